"""Engines that analyse the video: in processes beside the server, or in this one for tests.

A worker process is a child with a pipe at either end. It ends when its standard input closes, so nothing that happens
to the server leaves one behind; the video it works on is a file without a name, so nothing leaves that behind either.

Jobs that wait for a worker and are of the same object are analysed together, with one decode.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, NamedTuple

from rekognition_local.aws import S3Objects
from rekognition_local.engines import NO_VIDEO, FacesInImage, Outcome, Planned, Report, Work
from rekognition_local.engines.analysis_pass import AnalysisTask, analyze_video, how_to_install
from rekognition_local.engines.models import ModelMissing

log = logging.getLogger("rekognition_local")

#: The folder that holds the package: a worker finds it there, installed or not.
IMPORT_ROOT = Path(__file__).resolve().parents[2]
#: A worker that dies (killed, out of memory, a decoder's crash) takes its video to another one, this often in all.
ATTEMPTS = 2
WORKER_DIED = "Internal server error"
#: Seconds without a further job of the same object after which its jobs are taken on, and after which they are anyway:
#: the analyses of one upload are started one after the other, and a decode costs more than the wait.
GATHER, LONGEST_GATHER = 0.3, 2.0


class Waiting(NamedTuple):
    """A job that no worker has taken on yet. ``since``: time.monotonic()."""

    work: Work
    report: Report
    since: float


class Workers:
    """The real engine: *count* worker processes, started when the first jobs come (or by :meth:`warm`)."""

    def __init__(self, *, aws_endpoint: str | None = None, region: str = "us-east-1", count: int | None = None) -> None:
        command = [sys.executable, "-m", "rekognition_local.engines.worker", "--region", region]
        self._command = command + (["--aws-endpoint", aws_endpoint] if aws_endpoint else [])
        self._count = count or os.cpu_count() or 1
        self._waiting: list[Waiting] = []
        self._progress: dict[str, float] = {}
        self._change = threading.Condition()
        self._closed = False
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads: list[threading.Thread] = []

    def warm(self) -> None:
        """Start one worker now, so that the first job doesn't wait for its imports."""
        self._start_thread()

    def begin(self, work: Work, report: Report) -> Planned | None:
        with self._change:
            self._progress[work.job_id] = 0.0
            self._waiting.append(Waiting(work, report, time.monotonic()))
            self._change.notify()
            busy = len(self._progress)
        if len(self._threads) < min(self._count, busy):
            self._start_thread()
        return None

    def progress(self, job_id: str) -> float | None:
        return self._progress.get(job_id)

    def faces_in(self, image: bytes) -> FacesInImage:
        return _faces_in(image)

    def alike(self, vector: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
        return _alike(vector, others)

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
            processes = list(self._processes)
        for process in processes:
            process.kill()
        for thread in self._threads:
            thread.join()

    def _start_thread(self) -> None:
        with self._change:
            if self._closed or len(self._threads) >= self._count:
                return
            thread = threading.Thread(target=self._serve, name="rekognition-worker", daemon=True)
            self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        """One thread per worker process: hands it work, and replaces it when it dies."""
        process: subprocess.Popen[bytes] | None = None
        try:
            process = self._spawn()
            while batch := self._next_batch():
                for attempt in range(1, ATTEMPTS + 1):
                    if process is None or process.poll() is not None:
                        process = self._spawn()
                    if process is None or self._work(process, batch):
                        break
                    self._forget(process)
                    log.warning("a worker died on %s (attempt %d of %d)", batch[0][0].source, attempt, ATTEMPTS)
                else:
                    self._finish(batch, {work.job_id: Outcome(failure=WORKER_DIED) for work, _ in batch})
        finally:
            if process:
                self._forget(process)

    def _next_batch(self) -> list[tuple[Work, Report]]:
        """The oldest job that waits, and all others that wait for the same object; nothing when closed."""
        with self._change:
            while True:
                self._change.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return []
                first = self._waiting[0]
                batch = [entry for entry in self._waiting if _same_video(entry.work, first.work)]
                pause = min(batch[-1].since + GATHER, first.since + LONGEST_GATHER) - time.monotonic()
                if pause <= 0:
                    self._waiting = [entry for entry in self._waiting if not _same_video(entry.work, first.work)]
                    return [(entry.work, entry.report) for entry in batch]
                self._change.wait(pause)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._change:
            if self._closed:
                return None
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=IMPORT_ROOT)
            self._processes.add(process)
            return process

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        with self._change:
            self._processes.discard(process)
        process.kill()
        with contextlib.suppress(OSError):
            process.communicate()

    def _work(self, process: subprocess.Popen[bytes], batch: Sequence[tuple[Work, Report]]) -> bool:
        """Have *batch* analysed. False when the worker died before it said all."""
        jobs = [
            {"job_id": work.job_id, "analysis": work.analysis.name, "parameters": work.parameters} for work, _ in batch
        ]
        task = {"source": asdict(batch[0][0].source), "jobs": jobs}
        try:
            _send(process.stdin, task)
            outcomes: dict[str, Outcome] = {}
            while len(outcomes) < len(batch):
                message = json.loads(_line(process.stdout))
                if "progress" in message:
                    for work, _ in batch:
                        self._progress[work.job_id] = message["progress"]
                else:
                    rows = [_line(process.stdout) for _ in range(message["rows"])]
                    outcomes[message["job_id"]] = Outcome(rows, message["video"], message["failure"], message["extra"])
        except (OSError, EOFError):
            return False
        self._finish(batch, outcomes)
        return True

    def _finish(self, batch: Sequence[tuple[Work, Report]], outcomes: dict[str, Outcome]) -> None:
        for work, report in batch:
            self._progress.pop(work.job_id, None)
            report(work.job_id, outcomes[work.job_id])


class InProcess:
    """The real engines in the calling process, for tests beside moto: Start returns when the video is analysed."""

    def __init__(self, objects: S3Objects) -> None:
        self._objects = objects

    def begin(self, work: Work, report: Report) -> Planned | None:  # noqa: ARG002  it never reports late
        task = AnalysisTask(work.job_id, work.analysis.name, work.parameters)
        with tempfile.TemporaryFile() as file:
            try:
                self._objects.download(work.source, file)
            except Exception as error:
                log.warning("%s: %s", work.source, error)
                return Planned(0.0, Outcome(failure=NO_VIDEO))
            file.seek(0)
            return Planned(0.0, analyze_video(file, [task], lambda _done: None, log.info)[work.job_id])

    def progress(self, job_id: str) -> float | None:  # noqa: ARG002
        return None

    def faces_in(self, image: bytes) -> FacesInImage:
        return _faces_in(image)

    def alike(self, vector: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
        return _alike(vector, others)

    def close(self) -> None:
        pass


def _faces_in(image: bytes) -> FacesInImage:
    """In this process: a picture is a matter of milliseconds, and only those who index need the engine."""
    from rekognition_local.engines.search import faces_in

    try:
        return faces_in(image)
    except (ImportError, ModelMissing) as error:
        raise ModelMissing(how_to_install("face-search", error)) from error


def _alike(vector: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
    from rekognition_local.engines.search import alike  # there is: it made the vectors

    return alike(vector, others)


def _same_video(one: Work, other: Work) -> bool:
    return (one.source, one.etag) == (other.source, other.etag)


def _send(pipe: IO[bytes] | None, message: object) -> None:
    if pipe is None:
        raise EOFError
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def _line(pipe: IO[bytes] | None) -> bytes:
    line = pipe.readline() if pipe else b""
    if not line.endswith(b"\n"):
        raise EOFError
    return line[:-1]
