"""Runs a command that must not outlive the process that started it.

    with ChildGuard(["cdk", "deploy"], ...) as deploy:
        deploy.wait()

This file also runs as a process between the two. It holds one end of a pipe. When the other end closes, because the
starter has finished, was interrupted or was killed with SIGKILL, it kills the command and every process that this has
started (its process group: the emulator's Lambda workers, Node under a shell script).

A pipe is used because process ids are reused, and because Linux's death signals do not exist on macOS. This file
imports only the standard library: for speed, the process starts without site-packages.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ChildGuard:
    """A running command, as its starter sees it."""

    def __init__(self, command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # In a session of its own: Ctrl-C in the terminal reaches only the starter, which then stops this.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", Path(__file__).resolve(), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        self.log = log

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self) -> int:
        return self._process.wait()

    def stop(self) -> None:
        """Kill the command and all its children at once. They have nothing to save."""
        let_go(self._process)

    def __enter__(self) -> ChildGuard:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, and wait for the process to end."""
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    process.wait()


def _hold(command: list[str]) -> int:
    """The process between the two: wait for the command, or for the pipe to close."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(*_: Any) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        kill()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, kill)
    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    kill()  # what a crashed command leaves behind
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    # The watching thread may still be in its read: leave without the interpreter's shutdown, which would wait for it.
    os._exit(_hold(sys.argv[1:]))
