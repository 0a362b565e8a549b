"""What was seen, as captions: one for each stretch in which the same was to be seen. WebVTT and SubRip."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.pages.detections import milliseconds

SAMPLE = 500  # ms between two moments that Rekognition looks at; what is seen at one holds until the next
GAP = 1.5  # samples without anything, after which a caption ends
MOST_LABELS = 5  # in one caption

# Which analysis makes the best captions, best first, and what of a detection is said in them.
SAYS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "text-detection": lambda seen: (
        str(seen["TextDetection"].get("DetectedText", "")) if seen["TextDetection"].get("Type") == "LINE" else ""
    ),
    "label-detection": lambda seen: str(seen["Label"].get("Name", "")),
    "celebrity-recognition": lambda seen: str(seen["Celebrity"].get("Name", "")),
    "content-moderation": lambda seen: str(seen["ModerationLabel"].get("Name", "")),
    "face-search": lambda seen: " ".join(
        str(match["Face"].get("ExternalImageId") or match["Face"].get("FaceId", ""))
        for match in seen.get("FaceMatches", ())[:1]
    ),
}


@dataclass(frozen=True, slots=True)
class Caption:
    """What to show from when to when, in ms."""

    begin: int
    end: int
    lines: tuple[str, ...]


def captions(analysis: str, detections: Iterable[Mapping[str, Any]]) -> list[Caption]:
    """The captions of a document's detections, in order and not overlapping."""
    moments: dict[int, list[str]] = {}
    for seen in detections:
        lasts = when(seen)
        if lasts and (text := _one_line(SAYS[analysis](seen))):
            for at in range(lasts[0], lasts[1] + 1, SAMPLE):
                said = moments.setdefault(at, [])
                if text not in said and (analysis == "text-detection" or len(said) < MOST_LABELS):
                    said.append(text)
    return list(_merged(sorted(moments.items())))


def when(seen: Any) -> tuple[int, int] | None:
    """From when to when a detection lasts, in ms; None if that isn't times in a video."""
    try:
        begin = milliseconds(seen["Timestamp"])
        # With AggregateBy=SEGMENTS a detection lasts; then every moment of it counts.
        end = seen.get("EndTimestampMillis")
        return begin, begin if end is None else milliseconds(end)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _merged(moments: list[tuple[int, list[str]]]) -> Iterator[Caption]:
    begin, last = -1, -1
    lines: tuple[str, ...] = ()
    for at, said in [*moments, (-1, [])]:
        if begin >= 0 and (tuple(said) != lines or at - last > SAMPLE * GAP or at < 0):
            end = min(last + SAMPLE, at) if at > last else last + SAMPLE
            yield Caption(begin, end, lines)
            begin = -1
        if begin < 0 <= at:
            begin, lines = at, tuple(said)
        last = at


def _one_line(text: str) -> str:
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


def vtt(found: Iterable[Caption]) -> Iterator[str]:
    """As WebVTT (W3C): piece by piece."""
    yield "WEBVTT\n"
    for caption in found:
        text = "\n".join(line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in caption.lines)
        yield f"\n{_clock(caption.begin, '.')} --> {_clock(caption.end, '.')}\n{text}\n"


_NO_TAGS = str.maketrans("<>{}", "‹›()")


def srt(found: Iterable[Caption]) -> Iterator[str]:
    """As SubRip, which knows no way to write an arrow, or a tag of its own or of ASS (``{\\an8}``), as text."""
    for number, caption in enumerate(found, 1):
        text = "\n".join(line.replace("-->", "→").translate(_NO_TAGS) for line in caption.lines)
        yield f"{number}\n{_clock(caption.begin, ',')} --> {_clock(caption.end, ',')}\n{text}\n\n"


def _clock(millis: int, point: str) -> str:
    seconds, millis = divmod(millis, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{millis:03}"
