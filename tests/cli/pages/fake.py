"""A backend in memory: jobs that one moves by hand, and videos that are bytes."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from cli.pages.backend import OutOfRange, Part
from cli.pages.detections import Document
from cli.status.overview import Overview, arrange
from lambdas.model.clock import iso
from lambdas.model.job import Job, State


class FakeBackend:
    """Uploads become face-detection jobs at once; `move` does what the functions would."""

    name = "RekognitionBatch · nowhere"
    extensions = (".mp4", ".mov")
    slots: int | None = 20

    def __init__(self) -> None:
        self.videos: dict[str, bytes] = {}
        self.jobs: dict[str, Job] = {}
        self.scheduler: dict[str, Any] = {}
        self.results: Mapping[str, Document] = {}
        self.looks = 0
        self.trouble: Exception | None = None
        self.gate = threading.Event()  # uploads wait for it
        self.gate.set()
        self.piece = 0  # bytes taken before it waits

    def job(self, key: str, state: State = "WAITING", analysis: str = "face-detection", **more: Any) -> Job:
        number = len(self.jobs)
        at = iso(time.time() - 100 + number / 100)
        job = Job(
            job_id=f"{number:064}",
            state=state,
            bucket="videos",
            key=key,
            etag=str(more.pop("etag", "e")),
            analysis=analysis,
            parameters={},
            size=len(self.videos.get(key, b"")) or 89_706,
            uploaded_at=at,
            sequencer=str(more.pop("sequencer", "1")),
            position=f"{at}#{number:08}",
            due_at=f"{at}#{number:08}",
            state_since=at,
            registered_at=at,
            **more,
        )
        self.jobs[job.job_id] = job
        return job

    def move(self, key: str, state: State, **changes: Any) -> None:
        for job in list(self.jobs.values()):
            if job.key == key:
                self.jobs[job.job_id] = replace(job, state=state, state_since=iso(time.time()), **changes)

    def list_jobs(self) -> Overview:
        self.looks += 1
        if self.trouble:
            raise self.trouble
        return arrange(list(self.jobs.values()), self.scheduler, time.time())

    def exists(self, key: str) -> bool:
        return key in self.videos

    def upload(self, key: str, stream: IO[bytes], size: int) -> None:
        content = stream.read(self.piece)
        self.gate.wait(10)
        content += stream.read()
        assert len(content) == size
        self.videos[key] = content
        self.job(key, etag=str(hash(content)), sequencer=str(len(self.jobs)))

    def open_video(self, key: str, first: int = 0, last: int | None = None) -> Part | None:
        if key not in self.videos:
            return None
        content = self.videos[key]
        if first >= len(content):
            raise OutOfRange
        piece = content[first:] if last is None else content[first : last + 1]
        return Part(first, first + len(piece) - 1, len(content), [piece])

    def documents(self, jobs: Sequence[Job]) -> dict[str, Document]:
        return {job.analysis: self.results[job.analysis] for job in jobs if job.analysis in self.results}
