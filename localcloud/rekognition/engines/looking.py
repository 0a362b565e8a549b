"""The real engines: one decode of a video, and everything that was asked of it looks on.

``LOOKERS`` is the list of what can look. A looker is made from the job's parameters and shown each sampled frame; it
answers with the rows it saw there.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast

from localcloud.rekognition.engines import UNREADABLE, Outcome
from localcloud.rekognition.video import CannotAnalyse, Sample, Video

#: analysis -> module:class. Imported when first asked for, so that an engine that isn't installed costs nothing.
LOOKERS: dict[str, str] = {
    "face-detection": "localcloud.rekognition.engines.faces:Faces",
}


class Looker(Protocol):
    def see(self, sample: Sample) -> list[dict[str, Any]]:
        """The rows of one frame."""


@dataclass(slots=True)
class Look:
    """One job's part in looking at a video."""

    job_id: str
    analysis: str
    parameters: Mapping[str, Any]
    rows: list[bytes] = field(default_factory=list)
    failure: str | None = None
    looker: Looker | None = None

    def see(self, sample: Sample) -> None:
        if self.looker is None:
            return
        try:
            self.rows += [json.dumps(row, separators=(",", ":")).encode() for row in self.looker.see(sample)]
        except Exception as error:  # one engine's trouble is not the others'
            self.fail(f"The local engine for {self.analysis} failed: {error}")

    def fail(self, why: str) -> None:
        self.failure, self.looker, self.rows = why, None, []

    def outcome(self, video: Mapping[str, Any]) -> Outcome:
        return Outcome(failure=self.failure) if self.failure else Outcome(self.rows, video)


def look_at(
    file: IO[bytes], looks: Sequence[Look], progress: Callable[[float], None], log: Callable[[str], None] = print
) -> dict[str, Outcome]:
    """Decode *file* once for all *looks*. Never raises: what goes wrong is each job's outcome.

    *progress* is told how much is done, 0..1, after each sample; *log* why AWS would say that a file is no video.
    """
    for look in looks:
        try:
            look.looker = _looker(look.analysis, look.parameters)
        except Exception as error:
            look.fail(str(error))
    metadata: dict[str, Any] = {}
    try:
        with Video(file) as video:
            for sample in video.samples():
                for look in looks:
                    look.see(sample)
                progress(video.progress)
            metadata = video.metadata
    except CannotAnalyse as reason:
        log(f"not a video that can be analysed: {reason}")
        for look in looks:
            look.fail(look.failure or UNREADABLE)
    return {look.job_id: look.outcome(metadata) for look in looks}


def _looker(analysis: str, parameters: Mapping[str, Any]) -> Looker:
    """Raises LookupError, ImportError or ModelMissing, with a text for a StatusMessage."""
    place = LOOKERS.get(analysis)
    if place is None:
        raise LookupError(f"There is no local engine for {analysis}.")
    module, name = place.split(":")
    return cast(Looker, getattr(importlib.import_module(module), name)(parameters))
