"""Shots and technical cues as an edit decision list (CMX 3600), which editing programs read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.pages.detections import metadata, number

MOST_FRAMES = 24 * 3600 * 60  # of 24 hours at 60 per second; Rekognition accepts six hours
USUAL_RATE, MOST_RATE = 25, 240  # frames per second: the default, and the most that a timecode can count
MOST_EVENTS = 999  # CMX 3600 numbers events with three digits


class NoSegments(ValueError):
    """The document has no usable segments."""


def edl(key: str, document: Mapping[str, Any]) -> Iterator[str]:
    """The document of a segment detection as an edit decision list, line by line.

    Each shot is an event with the same times in the timeline as in the video; technical cues (black frames, credits)
    are markers in the events. Without shots, the cues are the events.

    Raises:
        NoSegments: the document has neither.
    """
    given = document.get("Segments")
    given = given if isinstance(given, list) else []
    segments = [one for one in given if _usable(one)]
    shots = [one for one in segments if one.get("Type") == "SHOT"]
    cues = [one for one in segments if one.get("Type") == "TECHNICAL_CUE"]
    if not segments:
        usable = " with usable frame numbers" if given else ""
        raise NoSegments(f"Rekognition found no shots and no technical cues in it{usable}")
    rate, drop = _rate(document, segments)
    yield f"TITLE: {_plain(key)[:70]}"
    yield f"FCM: {'DROP FRAME' if drop else 'NON-DROP FRAME'}"
    for count, event in enumerate(shots or cues, 1):
        begin, end = int(event["StartFrameNumber"]), _end(event)
        times = " ".join([timecode(begin, rate, drop), timecode(end, rate, drop)] * 2)
        yield ""
        yield f"{count:03}  AX       V     C        {times}"
        yield f"* FROM CLIP NAME: {_plain(key.rsplit('/', 1)[-1])}"
        yield f"* COMMENT: {_named(event)}"
        if shots:
            yield from _markers(cues, begin, end, rate, drop)
    if lost := len(given) - len(segments):
        yield f"* COMMENT: {lost} segments without usable frame numbers are left out"


def _usable(segment: Any) -> bool:
    """Whether the segment has valid frame numbers."""
    if not isinstance(segment, Mapping):
        return False
    last = "EndFrameNumber" if segment.get("DurationFrames") is None else "DurationFrames"
    return all(0 <= number(segment.get(name), -1) <= MOST_FRAMES for name in ("StartFrameNumber", last))


def _markers(cues: Sequence[Mapping[str, Any]], begin: int, end: int, rate: int, drop: bool) -> Iterator[str]:
    for cue in cues:
        if begin <= int(cue["StartFrameNumber"]) < end:
            at = timecode(int(cue["StartFrameNumber"]), rate, drop)
            until = timecode(_end(cue), rate, drop)
            yield f"* LOC: {at} RED     {_named(cue)} until {until}"


def _end(segment: Mapping[str, Any]) -> int:
    """The first frame after a segment, as an edit's end is exclusive."""
    begin = int(segment["StartFrameNumber"])
    return begin + max(1, int(segment.get("DurationFrames") or int(segment["EndFrameNumber"]) - begin))


def _named(segment: Mapping[str, Any]) -> str:
    if "ShotSegment" in segment:
        shot = segment["ShotSegment"] or {}
        return f"SHOT {_plain(str(shot.get('Index', '')))} {number(shot.get('Confidence')):.1f}%"
    cue = segment.get("TechnicalCueSegment") or {}
    return f"{_plain(str(cue.get('Type', 'CUE')))} {number(cue.get('Confidence')):.1f}%"


def _rate(document: Mapping[str, Any], segments: Sequence[Mapping[str, Any]]) -> tuple[int, bool]:
    """Frames per second as timecodes count them, and whether it is drop-frame timecode."""
    rate = round(number(metadata({"": document}).get("FrameRate")))
    rate = rate if 1 <= rate <= MOST_RATE else USUAL_RATE
    drop = any(";" in str(one.get("StartTimecodeSMPTE", "")) for one in segments)
    return rate, drop and rate in (30, 60)


def timecode(frame: int, rate: int, drop: bool) -> str:
    """A frame's SMPTE timecode. Drop-frame skips the first numbers of every minute except each tenth."""
    if drop:
        left_out = rate // 15  # 2 at 29.97, 4 at 59.94
        a_minute, ten = rate * 60 - left_out, rate * 600 - 9 * left_out
        tens, rest = divmod(frame, ten)
        frame += 9 * left_out * tens
        if rest >= rate * 60:
            frame += left_out * (1 + (rest - rate * 60) // a_minute)
    seconds, frames = divmod(frame, rate)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if drop else ':'}{frames:02}"


def _plain(text: str) -> str:
    """ASCII on one line, as the format requires."""
    return "".join(mark if 32 <= ord(mark) < 127 else "_" for mark in text)
