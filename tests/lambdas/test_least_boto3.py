"""boto3 is the runtime's. The oldest that the functions accept is tried here, and an older one is refused in words."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore
import pytest

from lambdas import wiring
from lambdas.model.errors import WrongRuntime

ROOT = Path(__file__).parent.parent.parent
PINS = Path(__file__).parent / "least-boto3.txt"


@pytest.fixture(scope="module")
def least_boto3() -> Path:
    """A folder with exactly the pinned boto3, to be put before what is installed. Made once for these pins."""
    folder = ROOT / ".build" / f"boto3-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        making = folder.with_suffix(f".{os.getpid()}")
        install = [
            ROOT / "tools/uv",
            "pip",
            "install",
            "-q",
            "--python",
            sys.executable,
            "--no-deps",
            "--require-hashes",
        ]
        subprocess.run([*install, "--target", making, "-r", PINS], check=True, cwd=ROOT)
        try:
            making.rename(folder)
        except OSError:  # another run was faster
            shutil.rmtree(making)
    return folder


def test_the_handlers_work_with_the_oldest_boto3_that_they_accept(least_boto3: Path) -> None:
    files = [
        f"tests/lambdas/test_{name}.py" for name in ("start_analysis", "collect_results", "analyses", "conversion")
    ]
    options = ["-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-W", "ignore", "--no-header"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(least_boto3), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"\d+ passed", done.stdout)


def test_what_is_tried_is_what_is_asked_for(least_boto3: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import botocore; print(botocore.__version__)"],
        env={**os.environ, "PYTHONPATH": str(least_boto3)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    assert said == wiring.LEAST_BOTOCORE


@pytest.mark.parametrize("version", ["1.35.68", "1.9.200", "0.104.0"])
def test_an_older_one_is_refused_in_the_log_and_by_an_error(
    monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]], version: str
) -> None:
    monkeypatch.setattr(botocore, "__version__", version)

    with pytest.raises(WrongRuntime, match=re.escape(f"botocore {version} is too old: the functions need 1.35.69")):
        wiring.require_botocore()

    [line] = log_lines()
    assert line["level"] == "CRITICAL"
    assert f"botocore {version} is too old" in line["message"]


@pytest.mark.parametrize("version", ["1.35.69", "1.35.100", "1.100.0", "2.0.0", "1.36.0.dev1"])
def test_that_one_and_any_newer_is_taken(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(botocore, "__version__", version)

    wiring.require_botocore()


def test_an_import_with_an_older_one_fails_with_that_error() -> None:
    code = "import botocore; botocore.__version__ = '1.35.68'; import lambdas.collect_results"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode != 0
    assert "WrongRuntime: botocore 1.35.68 is too old" in done.stderr
    assert '"level":"CRITICAL"' in done.stdout + done.stderr
