"""What the service knows of engines, which analyse videos.

The service hands an engine a :class:`Work`. An engine either says at once when the job will end and how
(:class:`Planned`: the simulated engine), or returns ``None`` and calls ``report`` when it is done (the real engines,
which work in other processes).

Rows travel as compact JSON, one ``bytes`` each: a page is put together without parsing a row, and a million simulated
rows are a sequence that makes them when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, overload

from rekognition_local.catalogue import Analysis

Rows = Sequence[bytes]


class MadeRows(Sequence[bytes]):
    """Rows that are made when asked for: *count* of them, each by *make* from its place."""

    def __init__(self, count: int, make: Callable[[int], bytes]) -> None:
        self._range = range(count)
        self._make = make

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        wanted = self._range[at]
        return self._make(wanted) if isinstance(wanted, int) else [self._make(i) for i in wanted]


#: What AWS says of a file it can't read, of whatever kind: wrong codec, wrong container, corrupt.
UNREADABLE = "Unsupported codec/format."
#: The object went away between Start and the job. What AWS says then is not known.
NO_VIDEO = "Unable to get the video from S3."


@dataclass(frozen=True, slots=True)
class Source:
    """One object of S3, as Start named it."""

    bucket: str
    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One job for an engine. ``metadata`` is the object's user metadata, ``size`` its bytes.

    ``parameters`` are Start's; for a face search, ``CollectionFaces`` beside them: what the collection held at Start, a
    list of ``{"Face": as ListFaces shows it, "Vector": as the engine made it}``.
    """

    job_id: str
    analysis: Analysis
    parameters: Mapping[str, Any]
    source: Source
    etag: str = ""
    size: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: ``failure`` is AWS's StatusMessage, or None when it succeeded.

    ``video`` is VideoMetadata (one object). ``extra`` are further members of the Get reply.
    """

    rows: Rows = ()
    video: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """A job whose end is known when it starts: so many seconds from now."""

    seconds: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in an image: its FaceDetail (the default attributes), and what it is compared by."""

    detail: Mapping[str, Any]
    vector: Sequence[float]


FacesInImage = Sequence[FoundFace]


def matches(faces: Sequence[Any], alike: Sequence[float], least: float) -> list[dict[str, Any]]:
    """FaceMatches: of *faces*, with how alike each is, those of *least* Similarity and more, the likest first."""
    pairs = sorted(zip(alike, faces, strict=True), key=lambda pair: -pair[0])
    return [{"Similarity": similarity, "Face": face} for similarity, face in pairs if similarity >= least]


class NotAnImage(Exception):
    """The bytes are no picture that Rekognition reads: PNG or JPEG."""


Report = Callable[[str, Outcome], None]
"""Called once per job, with its id and outcome, from any thread."""


class Engine(Protocol):
    """What the service asks of an engine."""

    def begin(self, work: Work, report: Report) -> Planned | None:
        """Take the job on. Doesn't wait for it, and doesn't raise: what goes wrong is the job's outcome."""

    def progress(self, job_id: str) -> float | None:
        """How much of the video is done, 0..1, or None where the engine can't say."""

    def faces_in(self, image: bytes) -> FacesInImage:
        """The faces in a picture, for a collection. Raises NotAnImage, ModelMissing or ImportError."""

    def alike(self, vector: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
        """How alike a face is to others, by their vectors (:class:`FoundFace`): a Similarity (0..100) for each."""

    def close(self) -> None:
        """Drop all work and end whatever was started for it."""
