"""An engine that reads no video: a job takes so many seconds and yields so many detections.

For load, for long videos and for failures on demand. What it says is plausible, depends on the row's index and the
job's parameters alone, and is made when a page is asked for: a million detections take no memory.

Of a picture for a collection it says that there is one face in it, the same for the same bytes, and that the same faces
are 100 alike and others less. simulated_rows.py has what it says of videos.

An object's user metadata overrides the engine's settings, so that one bucket can hold a mixed load:

    x-amz-meta-simulate-seconds: 2.5        how long the job takes
    x-amz-meta-simulate-detections: 120000  how many rows it yields
    x-amz-meta-simulate-fail: some text     the job fails, with this StatusMessage
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rekognition_local.engines import FacesInImage, FoundFace, Outcome, Planned, Report, Work
from rekognition_local.engines.simulated_rows import KINDS, ROWS, face


@dataclass(frozen=True, slots=True)
class Simulated:
    """``seconds`` a job takes, and ``detections`` it yields: numbers, or functions of the Work."""

    seconds: float | Callable[[Work], float] = 1.0
    detections: int | Callable[[Work], int] = 10
    failure: str | None = None

    def begin(self, work: Work, report: Report) -> Planned | None:  # noqa: ARG002  it never reports late
        try:
            seconds = _asked(work, "simulate-seconds", float, self.seconds)
            detections = _asked(work, "simulate-detections", int, self.detections)
        except ValueError as error:
            return Planned(0.0, Outcome(failure=str(error)))
        failure = work.metadata.get("simulate-fail") or self.failure
        if failure:
            return Planned(seconds, Outcome(failure=failure))
        film = ROWS[work.analysis.name](detections, work.parameters)
        return Planned(seconds, Outcome(film.rows, video_of(film.millis), extra=film.extra))

    def progress(self, job_id: str) -> float | None:  # noqa: ARG002  the service knows when the job began and will end
        return None

    def faces_in(self, image: bytes) -> FacesInImage:
        kind = int.from_bytes(hashlib.sha256(image).digest()[:4])
        return [FoundFace(face(kind % KINDS, everything=False), [float(kind % KINDS)])]

    def alike(self, vector: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
        return [max(0.0, 100.0 - abs(vector[0] - other[0])) for other in others]

    def close(self) -> None:
        pass


def _asked[N: (int, float)](work: Work, key: str, number: Callable[[str], N], default: N | Callable[[Work], N]) -> N:
    """The object's own wish, or the engine's setting. Raises ValueError with a sentence for a StatusMessage."""
    wish = work.metadata.get(key)
    if wish is None:
        return default(work) if callable(default) else default
    try:
        value = number(wish)
    except ValueError:
        raise ValueError(f"The object's metadata says {key}: {wish!r}, which is not a number.") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"The object's metadata says {key}: {wish!r}, which is not 0 or more.")
    return value


def video_of(millis: int) -> dict[str, Any]:
    """VideoMetadata of a 30 fps 1080p video of that length."""
    return {
        "Codec": "h264",
        "DurationMillis": millis,
        "Format": "QuickTime / MOV",
        "FrameRate": 30.0,
        "FrameHeight": 1080,
        "FrameWidth": 1920,
        "ColorRange": "LIMITED",
    }
