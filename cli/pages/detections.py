"""Results documents as what a page needs of them: one plain list of what was seen when, whatever the analysis.

Documents come from Rekognition, from the local endpoint, or from a saved file; a member that is missing, or
is not what it should be, is never a reason to show nothing. A row that can't be read is left out, and counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

type Document = Mapping[str, Any]
type Box = tuple[float, float, float, float]
"""Left, top, width, height as fractions of the frame; may exceed 0..1."""


class Detection(NamedTuple):
    """One row of any analysis."""

    millis: int
    kind: int  # index in KINDS
    name: str
    confidence: float
    detail: str = ""
    boxes: Sequence[Box] = ()
    end: int | None = None  # of segments and aggregated detections
    landmarks: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One analysis as the page shows it."""

    analysis: str
    title: str
    rows: str  # the document's member with the list
    read: Callable[[Mapping[str, Any], int], Iterator[Detection]]


USUAL_STEP = 500  # ms between the frames that Rekognition samples
LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
TURNED, TILTED = 25.0, 20.0  # degrees of yaw and pitch from which a face looks away
SURE = 50.0  # least confidence of an attribute to mention it


LATEST = 24 * 3600 * 1000  # ms; Rekognition's limit is six hours


def number(value: Any, otherwise: float = 0.0) -> float:
    """`value` if it is a finite number, else `otherwise`."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and -1e15 < value < 1e15
    return float(value) if usable else otherwise


def milliseconds(value: Any) -> int:
    """A time in a video.

    Raises:
        ValueError: it is none.
    """
    found = number(value, -1e15)
    if not -LATEST <= found <= LATEST:
        raise ValueError(f"{value!r:.40} is not a time in a video")
    return max(0, int(found))


def _box(box: Mapping[str, Any] | None) -> tuple[Box, ...]:
    if not box:
        return ()
    left, top, width, height = (number(box.get(side)) for side in ("Left", "Top", "Width", "Height"))
    return ((left, top, width, height),)


def _between(row: Mapping[str, Any]) -> tuple[int, int | None]:
    """Begin of a detection, and its end if it has one, in ms."""
    begin = row.get("StartTimestampMillis", row.get("Timestamp", 0))
    end = row.get("EndTimestampMillis")
    return milliseconds(begin), None if end is None else milliseconds(end)


def _said(attribute: Mapping[str, Any] | None) -> Any:
    """The value of a face's attribute, if its confidence is at least SURE."""
    if attribute and number(attribute.get("Confidence")) >= SURE:
        return attribute.get("Value")
    return None


def _face_in_words(face: Mapping[str, Any]) -> str:
    words = []
    if age := face.get("AgeRange"):
        words.append(f"{age.get('Low')}–{age.get('High')} years")
    if gender := _said(face.get("Gender")):
        words.append(str(gender).lower())
    if emotions := face.get("Emotions"):
        strongest = max(emotions, key=lambda emotion: number(emotion.get("Confidence")))
        if number(strongest.get("Confidence")) >= SURE:
            words.append(str(strongest.get("Type", "")).lower())
    wears = {"Smile": "smiling", "Eyeglasses": "glasses", "Sunglasses": "sunglasses", "Beard": "beard"}
    words += [word for name, word in wears.items() if _said(face.get(name))]
    pose = face.get("Pose") or {}
    yaw, pitch = number(pose.get("Yaw")), number(pose.get("Pitch"))
    if abs(yaw) >= TURNED:
        words.append("turned aside")
    if abs(pitch) >= TILTED:
        words.append("looks up" if pitch > 0 else "looks down")
    if number((face.get("Quality") or {}).get("Sharpness"), 100.0) < 10.0:
        words.append("blurred")
    return ", ".join(words)


def _faces(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    face = row.get("Face") or {}
    points = {
        point.get("Type"): (number(point.get("X")), number(point.get("Y"))) for point in face.get("Landmarks") or ()
    }
    millis, _ = _between(row)
    yield Detection(
        millis,
        kind,
        "Face",
        number(face.get("Confidence")),
        _face_in_words(face),
        _box(face.get("BoundingBox")),
        landmarks=[points[name] for name in LANDMARKS] if points.keys() >= set(LANDMARKS) else (),
    )


def _labels(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    label = row.get("Label") or {}
    millis, end = _between(row)
    boxes = [box for one in label.get("Instances") or () for box in _box(one.get("BoundingBox"))]
    above = ", ".join(one.get("Name", "") for one in label.get("Parents") or label.get("Categories") or ())
    detail = " · ".join(filter(None, (above, f"{len(boxes)} in the picture" if boxes else "")))
    yield Detection(millis, kind, label.get("Name", ""), number(label.get("Confidence")), detail, boxes, end)


WORD = "word"


def _text(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    text = row.get("TextDetection") or {}
    millis, _ = _between(row)
    box = _box((text.get("Geometry") or {}).get("BoundingBox"))
    detail = WORD if text.get("Type") == "WORD" else ""
    yield Detection(millis, kind, text.get("DetectedText", ""), number(text.get("Confidence")), detail, box)


SHOT = "Shot"


def _segments(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    millis, end = _between(row)
    from_to = " – ".join(filter(None, (row.get("StartTimecodeSMPTE"), row.get("EndTimecodeSMPTE"))))
    if shot := row.get("ShotSegment"):
        detail = f"number {shot.get('Index', 0) + 1}" + (f" · {from_to}" if from_to else "")
        yield Detection(millis, kind, SHOT, number(shot.get("Confidence")), detail, (), end)
    elif cue := row.get("TechnicalCueSegment"):
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cue.get("Type", "")).capitalize()
        yield Detection(millis, kind, name, number(cue.get("Confidence")), from_to, (), end)


def _moderation(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    label = row.get("ModerationLabel") or {}
    millis, end = _between(row)
    kinds = [one.get("Name", "") for one in row.get("ContentTypes") or ()]
    detail = " · ".join(filter(None, (label.get("ParentName"), *kinds)))
    yield Detection(millis, kind, label.get("Name", ""), number(label.get("Confidence")), detail, (), end)


def _celebrities(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    celebrity = row.get("Celebrity") or {}
    millis, _ = _between(row)
    # The box of the face; the other box is of the whole body, and often most of the picture.
    box = _box((celebrity.get("Face") or {}).get("BoundingBox")) or _box(celebrity.get("BoundingBox"))
    detail = ", ".join(celebrity.get("Urls") or ())
    yield Detection(millis, kind, celebrity.get("Name", ""), number(celebrity.get("Confidence")), detail, box)


UNKNOWN = "Unknown face"


def _persons(row: Mapping[str, Any], kind: int) -> Iterator[Detection]:
    person = row.get("Person") or {}
    face = person.get("Face") or {}
    millis, _ = _between(row)
    matches = sorted(row.get("FaceMatches") or (), key=lambda match: -number(match.get("Similarity")))
    names = [_name_of(match.get("Face") or {}) for match in matches]
    detail = f"person {person.get('Index', 0)}"
    if len(names) > 1:
        detail += f" · or {', '.join(names[1:3])}"
    yield Detection(
        millis,
        kind,
        names[0] if names else UNKNOWN,
        matches[0].get("Similarity", 0.0) if matches else number(face.get("Confidence")),
        detail,
        _box(face.get("BoundingBox")) or _box(person.get("BoundingBox")),
    )


def _name_of(face: Mapping[str, Any]) -> str:
    return str(face.get("ExternalImageId") or face.get("UserId") or face.get("FaceId") or "a face")


# In the order of the page.
KINDS: Sequence[Kind] = (
    Kind("segment-detection", "Shots", "Segments", _segments),
    Kind("face-detection", "Faces", "Faces", _faces),
    Kind("content-moderation", "Moderation", "ModerationLabels", _moderation),
    Kind("celebrity-recognition", "Celebrities", "Celebrities", _celebrities),
    Kind("face-search", "Known faces", "Persons", _persons),
    Kind("label-detection", "Labels", "Labels", _labels),
    Kind("text-detection", "Text", "TextDetections", _text),
)
INDEX = {kind.analysis: index for index, kind in enumerate(KINDS)}


class Found(list[Detection]):
    """The detections, and per analysis the number of rows that have no valid time or form."""

    def __init__(self, rows: Iterable[Detection] = (), unreadable: Mapping[str, int] | None = None) -> None:
        super().__init__(rows)
        self.unreadable = unreadable or {}


def read(documents: Mapping[str, Document]) -> Found:
    """All detections, in order of time."""
    found: list[Detection] = []
    unreadable: dict[str, int] = {}
    for analysis, document in documents.items():
        if analysis not in INDEX:
            continue
        index = INDEX[analysis]
        kind = KINDS[index]
        rows = document.get(kind.rows)
        for row in rows if isinstance(rows, list) else ():
            try:
                found += [_of_text(one) for one in kind.read(row, index)]
            except (AttributeError, TypeError, ValueError):
                unreadable[analysis] = unreadable.get(analysis, 0) + 1
    found.sort(key=lambda one: (one.millis, one.kind))
    return Found(_without_words_of_lines(found), unreadable)


def _of_text(one: Detection) -> Detection:
    if isinstance(one.name, str):
        return one
    return one._replace(name="" if one.name is None else str(one.name)[:1000])


def _without_words_of_lines(found: list[Detection]) -> list[Detection]:
    """Only lines of text: Rekognition returns each line, and each of its words again."""
    text = INDEX["text-detection"]
    lines = {one.millis for one in found if one.kind == text and one.detail != WORD}
    return [one for one in found if one.kind != text or one.detail != WORD or one.millis not in lines]


def words(documents: Mapping[str, Document]) -> list[str]:
    """The words in the video, each once, the most frequent first."""
    rows = documents.get("text-detection", {}).get("TextDetections")
    texts = [row.get("TextDetection") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    read_ = [(str(text.get("DetectedText", "")), text.get("Type")) for text in texts if isinstance(text, Mapping)]
    found = [text for text, kind in read_ if kind == "WORD"] or [word for text, _ in read_ for word in text.split()]
    return most_frequent(found)


def most_frequent(names: Iterable[str]) -> list[str]:
    """Each name once, the most frequent first."""
    count: dict[str, int] = {}
    for name in names:
        count[name] = count.get(name, 0) + 1
    return sorted(count, key=lambda name: -count[name])


def metadata(documents: Mapping[str, Document]) -> Mapping[str, Any]:
    """VideoMetadata of the first document that has it (segments have a list of them)."""
    for document in documents.values():
        given = document.get("VideoMetadata")
        if isinstance(given, list):
            given = given[0] if given else None
        if isinstance(given, Mapping) and given:
            return {name: one for name, one in given.items() if isinstance(one, str) or number(one) > 0}
    return {}


def step(found: Iterable[Detection], kind: int) -> int:
    """Milliseconds between two sampled frames."""
    times = sorted({one.millis for one in found if one.kind == kind and one.end is None})
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Frames without detections leave larger gaps. Rekognition samples two frames per second, or more.
    return min(USUAL_STEP + 50, max(40, round(median(gaps)))) if gaps else USUAL_STEP
