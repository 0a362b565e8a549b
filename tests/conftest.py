"""What holds for every test: no test can reach a real account, or any machine but this one, however careless."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Node.js may be there, where tools/setup brought it: CDK's library and command start it.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# nohup starts this process with SIGHUP ignored, a shell's background job with SIGINT, other starters with some blocked,
# and processes hand that on: what a test starts and then signals would never end. A signal that is handled is at its
# default in a new process.
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
for number in SIGNALS:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ReachedOut(AssertionError):
    """A test tried to talk to another machine."""


# What shares something that is slow to start (a deployed cloud, a browser, a synthesized app) goes to one worker; every
# other test to the next that is free.
ONE_WORKER = ("tests/e2e/", "tests/stacks/")
ONE_WORKER_EACH = (
    "tests/cli/pages/",
    "tests/e2e/test_bulk.py",
    "tests/e2e/test_command_line.py",
    "tests/localcloud/test_mediaconvert_cloud.py",
)


def pytest_configure(config: pytest.Config) -> None:
    # Local clouds sweep what dead ones left in the temporary folder: each worker has one of its own.
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        folder = Path(tempfile.gettempdir(), f"tests-{os.environ['PYTEST_XDIST_TESTRUNUID'][:8]}-{worker}")
        folder.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        module = item.nodeid.split("::")[0]
        if module.startswith(ONE_WORKER_EACH):
            item.add_marker(pytest.mark.xdist_group(module))
        elif module.startswith(ONE_WORKER):
            item.add_marker(pytest.mark.xdist_group(str(Path(module).parent)))


@contextlib.contextmanager
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command that a test calls in this process may take the signals over, and the next test is none of its."""
    with signals_restored():
        yield


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake credentials, no configuration of the user's, and sockets that reach 127.0.0.1 only."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_REKOGNITION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)

    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise ReachedOut(f"a test tried to reach {address[0]}:{address[1]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
