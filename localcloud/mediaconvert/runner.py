"""Carries out a job in a process of its own, which ends with this one however it ends, and when the job is canceled."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from localcloud.mediaconvert.service import Job, JobFailed, Made

CHECKOUT = Path(__file__).resolve().parents[2]
#: What MediaConvert says of a fault of its own.
UNEXPECTED = "Unexpected transcoding error. Contact AWS Support."


class Workers:
    """A Runner: `worker.py` in a process for each job."""

    def __init__(self, aws_endpoint: str | None, region: str) -> None:
        self._command = [sys.executable, "-m", "localcloud.mediaconvert.worker", "--region", region]
        if aws_endpoint:
            self._command += ["--aws-endpoint", aws_endpoint]

    def __call__(self, job: Job, report: Callable[[str, int | None], None]) -> Sequence[Sequence[Made]]:
        order = asdict(job.order)
        for group in order["groups"]:
            for output in group:
                rate = output["wanted"]["rate"]
                output["wanted"]["rate"] = str(rate) if rate else None
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT)
        over = threading.Event()
        watcher = threading.Thread(target=_end_when_canceled, args=(job, process, over), daemon=True)
        try:
            watcher.start()
            task = {"role": job.request["Role"], "account": job.caller.account, "order": order}
            return _followed(process, task, report)
        finally:
            over.set()
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()
            watcher.join()


def _followed(
    process: subprocess.Popen[bytes], task: object, report: Callable[[str, int | None], None]
) -> list[list[Made]]:
    """Give the process its task, and hear what it says until it says how it ended. Raises JobFailed."""
    with contextlib.suppress(OSError):  # it has ended already: then it says nothing either
        _send(process.stdin, task)
    while line := process.stdout.readline() if process.stdout else b"":
        said = json.loads(line)
        if "phase" in said:
            report(said["phase"], said["percent"])
        elif "code" in said:
            raise JobFailed(said["code"], said["message"])
        else:
            return [[Made(**one) for one in group] for group in said["made"]]
    raise JobFailed(1999, UNEXPECTED)


def _send(pipe: IO[bytes] | None, task: object) -> None:
    if pipe:
        pipe.write(json.dumps(task).encode() + b"\n")
        pipe.flush()


def _end_when_canceled(job: Job, process: subprocess.Popen[bytes], over: threading.Event) -> None:
    while not over.is_set():
        if job.canceled.wait(0.1):
            process.kill()
            return
