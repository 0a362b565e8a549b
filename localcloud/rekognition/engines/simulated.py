"""An engine that looks at nothing: a job takes so many seconds and yields so many detections.

For load, for long videos and for failures on demand. What it says of a face is plausible, depends on the row's index
alone, and is made when a page is asked for: a million detections take no memory.

An object's user metadata overrides the engine's settings, so that one bucket can hold a mixed load:

    x-amz-meta-simulate-seconds: 2.5        how long the job takes
    x-amz-meta-simulate-detections: 120000  how many rows it yields
    x-amz-meta-simulate-fail: some text     the job fails, with this StatusMessage
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from localcloud.rekognition.engines import Outcome, Planned, Report, Rows, Work

#: Rekognition looks at two frames a second, and at six hours at most.
MOST_SAMPLES = 6 * 3600 * 2
#: Rows repeat after so many, apart from their time. A prime, so that faces of one sample never look alike.
KINDS = 997


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
        make = ROWS.get(work.analysis.name)
        if make is None:
            return Planned(0.0, Outcome(failure=f"The simulated engine has no rows for {work.analysis.name}."))
        return Planned(seconds, Outcome(make(detections, work.parameters), video_of(detections)))

    def progress(self, job_id: str) -> float | None:  # noqa: ARG002  the service knows when the job began and will end
        return None

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


def per_sample(detections: int) -> int:
    """Faces per sampled frame: one, or as many as it takes to fit into six hours."""
    return max(1, math.ceil(detections / MOST_SAMPLES))


def video_of(detections: int) -> dict[str, Any]:
    """VideoMetadata of a 30 fps 1080p video just long enough to hold that many."""
    samples = math.ceil(detections / per_sample(detections))
    return {
        "Codec": "h264",
        "DurationMillis": max(1, samples) * 500,
        "Format": "QuickTime / MOV",
        "FrameRate": 30.0,
        "FrameHeight": 1080,
        "FrameWidth": 1920,
        "ColorRange": "LIMITED",
    }


class SimulatedRows(Sequence[bytes]):
    """*count* rows, made when asked for. ``bodies`` is the tail of a row after its Timestamp, for each of KINDS."""

    def __init__(self, count: int, bodies: Sequence[bytes]) -> None:
        self._range = range(count)
        self._bodies = bodies
        self._per_sample = per_sample(count)

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        wanted = self._range[at]
        if isinstance(wanted, int):
            return self._row(wanted)
        return [self._row(i) for i in wanted]

    def _row(self, i: int) -> bytes:
        return b'{"Timestamp":%d,%s' % (i // self._per_sample * 500, self._bodies[i % KINDS])


def face_rows(count: int, parameters: Mapping[str, Any]) -> Rows:
    return SimulatedRows(count, _faces(parameters.get("FaceAttributes", "DEFAULT") == "ALL"))


@functools.cache
def _faces(everything: bool) -> list[bytes]:
    return [json.dumps({"Face": _face(i, everything)}, separators=(",", ":"))[1:].encode() for i in range(KINDS)]


def _face(i: int, everything: bool) -> dict[str, Any]:
    """One FaceDetail, different for every *i* below KINDS."""
    left, top = round(0.05 + 0.7 * i / KINDS, 6), round(0.1 + 0.5 * (i * 31 % KINDS) / KINDS, 6)
    width, height = round(0.08 + 0.1 * (i * 7 % 101) / 101, 6), round(0.12 + 0.15 * (i * 7 % 101) / 101, 6)

    def point(kind: str, x: float, y: float) -> dict[str, Any]:
        return {"Type": kind, "X": round(left + x * width, 6), "Y": round(top + y * height, 6)}

    face: dict[str, Any] = {
        "BoundingBox": {"Width": width, "Height": height, "Left": left, "Top": top},
        "Landmarks": [point(*where) for where in _FIVE_POINTS],
        "Pose": {"Roll": round(i % 41 - 20.5, 4), "Yaw": round(i % 61 - 30.5, 4), "Pitch": round(i % 31 - 15.5, 4)},
        "Quality": {"Brightness": round(40 + i % 50 + 0.125, 4), "Sharpness": round(30 + i % 65 + 0.25, 4)},
        "Confidence": round(90 + i % 100 / 10.01, 4),
    }
    if everything:
        for n, name in enumerate(_TRAITS):
            face[name] = {"Value": (i + n) % 3 == 0, "Confidence": round(60 + (i + n) % 40 + 0.5, 4)}
        face["AgeRange"] = {"Low": 20 + i % 30, "High": 28 + i % 30}
        face["Gender"] = {"Value": "Female" if i % 2 else "Male", "Confidence": round(70 + i % 30 + 0.5, 4)}
        face["Emotions"] = [
            {"Type": emotion, "Confidence": round(100 / 2 ** (n + 1), 4)} for n, emotion in enumerate(_EMOTIONS)
        ]
        face["Landmarks"] += [
            point(kind, 0.1 + 0.8 * (n % 5) / 4, 0.2 + 0.6 * (n // 5) / 4) for n, kind in enumerate(_MORE_POINTS)
        ]
    return face


_FIVE_POINTS = (
    ("eyeLeft", 0.3, 0.4),
    ("eyeRight", 0.7, 0.4),
    ("mouthLeft", 0.35, 0.75),
    ("mouthRight", 0.65, 0.75),
    ("nose", 0.5, 0.58),
)
_MORE_POINTS = (
    *("leftEyeBrowLeft", "leftEyeBrowRight", "leftEyeBrowUp", "rightEyeBrowLeft", "rightEyeBrowRight"),
    *("rightEyeBrowUp", "leftEyeLeft", "leftEyeRight", "leftEyeUp", "leftEyeDown", "rightEyeLeft", "rightEyeRight"),
    *("rightEyeUp", "rightEyeDown", "noseLeft", "noseRight", "mouthUp", "mouthDown", "leftPupil", "rightPupil"),
    *("upperJawlineLeft", "midJawlineLeft", "chinBottom", "midJawlineRight", "upperJawlineRight"),
)
_TRAITS = ("Smile", "Eyeglasses", "Sunglasses", "Beard", "Mustache", "EyesOpen", "MouthOpen")
_EMOTIONS = ("HAPPY", "CALM", "SURPRISED", "CONFUSED", "SAD", "ANGRY", "DISGUSTED", "FEAR")

#: What a simulated job of each analysis yields; an analysis without an entry fails its job and says so.
ROWS: dict[str, Callable[[int, Mapping[str, Any]], Rows]] = {
    "face-detection": face_rows,
}
