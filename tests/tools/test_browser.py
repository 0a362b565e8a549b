"""The browser tests run in whatever browser is installed, and a machine without one is told what to type."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def find(path: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", ROOT / "tools/browser", *options]
    return subprocess.run(command, env={"PATH": path, **env}, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["chromium", "google-chrome-stable", "microsoft-edge"])
def test_a_browser_on_path_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch(0o755)

    found = find(str(tmp_path))

    assert (found.returncode, found.stdout) == (0, f"{tmp_path / name}\n")


def test_a_named_browser_comes_first(tmp_path: Path) -> None:
    (tmp_path / "mine").touch(0o755)
    (tmp_path / "chromium").touch(0o755)

    found = find(str(tmp_path), BROWSER_PATH=str(tmp_path / "mine"))

    assert found.stdout == f"{tmp_path / 'mine'}\n"


def test_without_a_browser_it_fails_and_says_what_to_type(tmp_path: Path) -> None:
    found = find(str(tmp_path))

    assert found.returncode == 1
    assert "apt-get install chromium" in found.stderr
    assert "BROWSER_PATH=/path/to/chrome make check" in found.stderr


def test_the_gate_brings_a_browser_before_it_tests() -> None:
    recipe = subprocess.run(["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, env=os.environ).stdout

    assert recipe.index("tools/browser --install") < recipe.index("-m pytest")
