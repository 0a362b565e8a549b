"""The endpoint as a process of its own, for the tests that talk to it over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from rekognition_local import clients

#: The folder that holds the package: where ``python -m rekognition_local`` finds it, installed or not.
IMPORT_ROOT = Path(clients.__file__).resolve().parents[1]


class Endpoint:
    """A running ``python -m rekognition_local``; *aws* is the URL of S3 and its like. Ends with its standard input."""

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
                cwd=IMPORT_ROOT,
                env=os.environ | {"TMPDIR": str(folder)},
            )
        assert self.process.stdout
        self.url = self.process.stdout.readline().decode().strip()
        assert self.url, self.log.read_text()

    def client(self) -> Any:
        return clients.maker(self.url, "us-east-1")("rekognition")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # closes its standard input, and sees it end
