"""Detections as captions, in WebVTT and SubRip: one caption for each stretch with the same content."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.pages.detections import milliseconds

SAMPLE = 500  # ms between two frames that Rekognition samples; a detection is shown until the next sample
GAP = 1.5  # samples without a detection, after which a caption ends
MOST_LABELS = 5  # in one caption

# The analyses that captions can be made from, best first, each with the text for a detection.
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
    """Lines to show from `begin` to `end`, in ms."""

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
    """First and last ms of a detection; None if its times are invalid."""
    try:
        begin = milliseconds(seen["Timestamp"])
        # With AggregateBy=SEGMENTS a detection has an end; it is shown for its whole length.
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
    """The captions as WebVTT (W3C), in pieces."""
    yield "WEBVTT\n"
    for caption in found:
        text = "\n".join(line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in caption.lines)
        yield f"\n{_clock(caption.begin, '.')} --> {_clock(caption.end, '.')}\n{text}\n"


_NO_TAGS = str.maketrans("<>{}", "‹›()")


def srt(found: Iterable[Caption]) -> Iterator[str]:
    """The captions as SubRip. It has no escapes, so arrows and tags (also ASS's, ``{\\an8}``) in texts are replaced."""
    for number, caption in enumerate(found, 1):
        text = "\n".join(line.replace("-->", "→").translate(_NO_TAGS) for line in caption.lines)
        yield f"{number}\n{_clock(caption.begin, ',')} --> {_clock(caption.end, ',')}\n{text}\n\n"


def _clock(millis: int, point: str) -> str:
    seconds, millis = divmod(millis, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{millis:03}"
