"""What holds for every test: no test can reach a real account, or any machine but this one, however careless."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

# Node.js may be there, where tools/setup brought it: CDK's library and command start it.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ReachedOut(AssertionError):
    """A test tried to talk to another machine."""


@pytest.fixture(autouse=True)
def nobody_but_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
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
