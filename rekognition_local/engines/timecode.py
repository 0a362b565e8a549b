"""Stretches of a video as GetSegmentDetection tells them: in frames, in milliseconds, in SMPTE timecode.

As in captured answers, a stretch ends with its last frame, so the next one begins a frame later, and durations are
from the first frame to the last. Milliseconds are rounded down.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

#: Rates whose timecode leaves out numbers, to stay with the clock: frames left out each minute but every tenth.
DROPPED = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}


def stretch(first: int, last: int, begins: Fraction, ends: Fraction, rate: Fraction) -> dict[str, Any]:
    """The members that say where a segment is: frame numbers, and when these frames are shown (seconds)."""
    return {
        "StartTimestampMillis": math.floor(begins * 1000),
        "EndTimestampMillis": math.floor(ends * 1000),
        "DurationMillis": math.floor((ends - begins) * 1000),
        "StartTimecodeSMPTE": smpte(first, rate),
        "EndTimecodeSMPTE": smpte(last, rate),
        "DurationSMPTE": smpte(last - first, rate),
        "StartFrameNumber": first,
        "EndFrameNumber": last,
        "DurationFrames": last - first,
    }


def smpte(frame: int, rate: Fraction) -> str:
    """``HH:MM:SS:fr``, or ``HH:MM:SS;fr`` for drop-frame rates."""
    a_second = max(1, round(rate))
    dropped = DROPPED.get(rate, 0)
    if dropped:
        a_minute, ten_minutes = 60 * a_second - dropped, 600 * a_second - 9 * dropped
        tens, rest = divmod(frame, ten_minutes)
        frame += 9 * dropped * tens + dropped * max(0, (rest - dropped) // a_minute)
    seconds, number = divmod(frame, a_second)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if dropped else ':'}{number:02}"
