"""The process that owns one local cloud: its folder, the emulator, the Lambda workers under it, and the endpoints.

    python -m localcloud.supervisor FOLDER [--port N] [--rekognition-endpoint URL] [--endpoint-options JSON]

It ends, and takes all of it along, when its standard input closes (so also when its starter is killed) or when it gets
a signal. `detach` on standard input loosens it from its starter: then only a signal ends it. If it is itself killed
with SIGKILL, its guards kill the processes; the folder stays, unlocked, for the next start to sweep.

The MediaConvert endpoint is started when the emulator's launcher asks for it (`mediaconvert-wanted` in the folder), at
the first call: a cloud whose stack converts nothing pays nothing for it.

In the folder, for the starter to read: `cloud.json` when all is up, `failed` with the reason when something went wrong,
and `logs/`. `lock` is held as long as the cloud lives.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import folders, ports
from localcloud.child_guard import ChildGuard

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
ACCOUNT = "000000000000"
REGION = "us-east-1"
PATIENCE = 60  # seconds for a server to come up, on a machine that is busy with other things


class Supervisor:
    def __init__(self, folder: Path, port: int, rekognition_endpoint: str | None, options: Sequence[str]) -> None:
        self.folder = folder
        self.port = port
        self.rekognition_endpoint = rekognition_endpoint
        self.options = list(options)
        self.guards: dict[str, ChildGuard] = {}
        self.end: queue.SimpleQueue[str] = queue.SimpleQueue()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end.put("signal"))
        threading.Thread(target=self._watch_starter, daemon=True).start()
        try:
            self._start()
            while not self._ended(0.2):
                self._check_children()
                self._start_converter()
        except Ended:
            pass
        except Failed as failure:
            self._stop_children()
            ports.write(self.folder / "failed", str(failure))
            self.end.get()  # the starter reads the reason and the logs, then lets go
        finally:
            self._stop_children()

    def _watch_starter(self) -> None:
        detached = False
        while line := sys.stdin.readline():
            detached = line.strip() == "detach"
        if not detached:
            self.end.put("the starter is gone")

    def _ended(self, seconds: float) -> bool:
        with contextlib.suppress(queue.Empty):
            self.end.get(timeout=seconds)
            return True
        return False

    def _start(self) -> None:
        url_file = self.folder / "rekognition-url"
        if self.rekognition_endpoint:
            ports.write(url_file, self.rekognition_endpoint)
        # A free port is found by opening and closing one; another process may take it in between.
        attempts = 1 if self.port else 5
        for attempt in range(attempts):
            port = self.port or ports.free_port()
            self._start_emulator(port, url_file)
            if not self.rekognition_endpoint and "endpoint" not in self.guards:
                self._start_endpoint(port, url_file)
            try:
                self._wait(lambda port=port: ports.answers(f"http://127.0.0.1:{port}/_ministack/health"))
                break
            except Failed:
                if attempt == attempts - 1 or "already in use" not in ports.tail(self.folder / "logs/emulator.log"):
                    raise
                self._stop_children()
        self._wait(lambda: url_file.exists() and (self.rekognition_endpoint or self._endpoint_answers(url_file)))
        state = {
            "pid": os.getpid(),
            "aws_endpoint": f"http://127.0.0.1:{port}",
            "rekognition_url": url_file.read_text().strip(),
            "rekognition_is_given": bool(self.rekognition_endpoint),
            "options": self.options,
            "started": time.time(),
        }
        self.port = port
        ports.write(self.folder / "cloud.json", json.dumps(state, indent=1))

    def _endpoint_answers(self, url_file: Path) -> bool:
        return ports.answers(url_file.read_text().strip() + "/_health")

    def _start_emulator(self, port: int, url_file: Path) -> None:
        python = CHECKOUT / ".venv-emulator/bin/python"
        launcher = CHECKOUT / "localcloud/emulator/launcher.py"
        command: list[str | Path] = [python, launcher, "--port", str(port), "--rekognition-url-file", url_file]
        command += ["--mediaconvert-url-file", self.folder / "mediaconvert-url"]
        # The whole of this environment reaches every Lambda function: nothing of the user's belongs into it.
        env = self._environment() | {
            "S3_PERSIST": "1",  # videos on disk and not in memory
            "S3_DATA_DIR": str(self.folder / "s3"),
            "MINISTACK_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",  # these two open ports of their own
            "SFTP_ENABLED": "0",
        }
        self.guards["emulator"] = ChildGuard(command, env=env, cwd=self.folder, log=self.folder / "logs/emulator.log")

    def _start_endpoint(self, port: int, url_file: Path) -> None:
        aws = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "rekognition_local", "--port", "0", "--aws-endpoint", aws]
        command += ["--url-file", str(url_file), *self.options]
        env = self._environment() | {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "PYTHONPATH": str(CHECKOUT)}
        env["REKOGNITION_LOCAL_INSTALL_COMMAND"] = "make extras EXTRAS={extra}"  # for messages
        self.guards["endpoint"] = ChildGuard(command, env=env, cwd=self.folder, log=self.folder / "logs/endpoint.log")

    def _start_converter(self) -> None:
        if "converter" in self.guards or not (self.folder / "mediaconvert-wanted").exists():
            return
        aws = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "localcloud.mediaconvert", "--aws-endpoint", aws, "--public-url", aws]
        command += ["--url-file", str(self.folder / "mediaconvert-url")]
        env = self._environment() | {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "PYTHONPATH": str(CHECKOUT)}
        log = self.folder / "logs/mediaconvert.log"
        self.guards["converter"] = ChildGuard(command, env=env, cwd=self.folder, log=log)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name in ("PATH", "LANG") if (value := os.environ.get(name))}
        return kept | {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _wait(self, condition: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._check_children()
            if time.monotonic() > deadline:
                raise Failed(f"It did not come up within {PATIENCE} seconds.")
            if self._ended(0.05):
                raise Ended

    def _check_children(self) -> None:
        for name, guard in self.guards.items():
            if (status := guard.poll()) is not None:
                raise Failed(f"The {name} ended by itself (status {status}):\n{ports.tail(guard.log)}")

    def _stop_children(self) -> None:
        for guard in self.guards.values():
            guard.stop()
        self.guards.clear()


class Failed(Exception):
    """Something did not come up, or went down."""


class Ended(Exception):
    """Told to end while still starting."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rekognition-endpoint")
    parser.add_argument("--endpoint-options", type=json.loads, default=[])
    arguments = parser.parse_args()

    try:
        owned = folders.owned(arguments.folder.resolve())
    except folders.InUseError as problem:
        sys.exit(str(problem))
    with owned as folder:
        for name in ("home", "tmp", "s3", "logs"):
            (folder / name).mkdir()
        log = os.open(folder / "logs/supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        Supervisor(folder, arguments.port, arguments.rekognition_endpoint, arguments.endpoint_options).run()
    # The thread may still be in its read of standard input, and the interpreter would wait for it.
    os._exit(0)


if __name__ == "__main__":
    main()
