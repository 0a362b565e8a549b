"""Real processes for the tests of the endpoint: the emulator, and the endpoint itself. All end with the tests."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from localcloud import ports
from rekognition_local import clients

ROOT = Path(__file__).resolve().parents[2]


class Endpoint:
    """A running ``python -m rekognition_local``."""

    def __init__(self, aws: str, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.url_file = folder / "url"
        self.log = folder / "log"
        command = [sys.executable, "-m", "rekognition_local", "--aws-endpoint", aws, "--exit-with-stdin"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--url-file", str(self.url_file), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(folder)},
            )
        assert self.process.stdout
        self.url = self.process.stdout.readline().decode().strip()
        assert self.url, self.log.read_text()

    def client(self) -> Any:
        return clients.maker(self.url, "us-east-1")("rekognition")

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # closes its standard input, and sees it end


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
def videos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests/videos.py puts what it makes; once per run."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def bucket(aws: Callable[[str], Any]) -> str:
    aws("s3").create_bucket(Bucket="videos")
    return "videos"


@pytest.fixture(scope="session")
def start_endpoint(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Endpoint]]:
    """A function that starts an endpoint with options; all of them end with the run."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(Endpoint(emulator, tmp_path_factory.mktemp("endpoint"), *options))


@pytest.fixture(scope="session")
def real(start_endpoint: Callable[..., Endpoint]) -> Endpoint:
    """An endpoint that looks at videos. Rates are off: tests poll."""
    return start_endpoint("--start-per-second", "none", "--get-per-second", "none")
