"""Real processes for the tests of the endpoint: the emulator, and the endpoint itself. All end with the tests."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import ports
from rekognition_local import clients
from tests.rekognition_local.endpoint_process import Endpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator alone, with IAM; its URL. Rekognition calls go to whatever stands in <folder>/rekognition-url."""
    folder = tmp_path_factory.mktemp("emulator")
    port = ports.free_port()
    command = [ROOT / ".venv-emulator/bin/python", ROOT / "localcloud/emulator/launcher.py", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--rekognition-url-file", folder / "rekognition-url"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not ports.answers(f"{url}/_ministack/health"):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def aws(emulator: str) -> Callable[[str], Any]:
    """Clients of the emulator, as its root."""
    return clients.maker(emulator, "us-east-1")


@pytest.fixture(scope="session")
def bucket(aws: Callable[[str], Any]) -> str:
    aws("s3").create_bucket(Bucket="videos")
    return "videos"


@pytest.fixture(scope="session")
def real(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint that analyses videos. Rates are off: tests poll."""
    folder = tmp_path_factory.mktemp("endpoint")
    with Endpoint(emulator, folder, "--start-per-second", "none", "--get-per-second", "none") as endpoint:
        yield endpoint
