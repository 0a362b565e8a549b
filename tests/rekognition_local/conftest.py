"""Fixtures for the tests of rekognition_local, which need nothing of the project that they are kept in.

Tests of the endpoint as a process need an S3 over HTTP. They start `ministack`, an AWS emulator from PyPI, from
an environment of its own (it pins another botocore): `.venv-emulator` beside this project's `.venv`, or any on PATH
(``uv tool install ministack==1.5.33``). Without it they are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from rekognition_local import clients
from tests.rekognition_local.endpoint_process import Endpoint

#: Without the extra ``faces`` these can't be imported.
collect_ignore = [] if importlib.util.find_spec("av") else ["test_engines.py", "test_server.py", "test_video.py"]
BESIDE = Path(__file__).parents[2] / ".venv-emulator/bin/ministack"


def pytest_report_header() -> list[str]:
    return (
        [f"rekognition-local[faces] is not installed: {', '.join(collect_ignore)} left out"] if collect_ignore else []
    )


@pytest.fixture(autouse=True)
def fake_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test uses the credentials, profile or endpoints of the user who runs it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_REKOGNITION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3, without IAM."""
    program = BESIDE if BESIDE.exists() else shutil.which("ministack")
    if program is None:
        pytest.skip("needs an S3 over HTTP, from an environment of its own: uv tool install ministack==1.5.33")
    folder = tmp_path_factory.mktemp("emulator")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
    environment |= {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment
        )
    try:
        deadline = time.monotonic() + 30
        while not _listens(port):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def aws(emulator: str) -> Callable[[str], Any]:
    """A function that makes clients of the emulator: ``aws("s3")``."""
    return clients.maker(emulator, "us-east-1")


@pytest.fixture(scope="session")
def videos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where videos.py puts what it makes; once per run."""
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
    """An endpoint that analyses videos. Rates are off: tests poll."""
    return start_endpoint("--start-per-second", "none", "--get-per-second", "none")
