"""The key moments of a video, and their pictures."""

from __future__ import annotations

import base64
import io
from bisect import bisect_left, insort
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import av
import av.error
from PIL import Image

from cli.pages.detections import INDEX, SHOT, UNKNOWN, Detection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST = 12
LONGEST_SIDE = 400  # pixels; a dozen pictures take about 200 KB
QUALITY = 74
BLACK = 32  # of 255: a frame that is darker everywhere is left out


@dataclass(slots=True)
class Moment:
    """A key moment, and the reason for it."""

    millis: int
    why: list[str]


@dataclass(frozen=True, slots=True)
class Still:
    """The picture of a moment."""

    millis: int
    caption: str
    width: int
    height: int
    jpeg: bytes

    @property
    def url(self) -> str:
        """The picture as a data: URL."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode()


def key_moments(found: Sequence[Detection], duration: int, most: int = MOST) -> list[Moment]:
    """Up to `most` key moments: the first choice of every analysis before the second of any."""
    order = sorted(
        INDEX.values(), key=lambda kind: kind == INDEX["segment-detection"]
    )  # shots fill the remaining places
    wishes = [wish for wish in (_of_kind(found, kind) for kind in order) if wish]
    apart = max(1000, duration // (3 * most))
    chosen: list[Moment] = []
    for turn in range(max(map(len, wishes), default=0)):
        for wish in wishes:
            if turn < len(wish):
                _choose(chosen, *wish[turn], apart, most)
    return chosen


def _choose(chosen: list[Moment], millis: int, why: str, apart: int, most: int) -> None:
    """Add a moment, or its reason to a moment close by."""
    at = bisect_left(chosen, millis, key=lambda moment: moment.millis)
    for near in chosen[max(0, at - 1) : at + 1]:
        if abs(near.millis - millis) < apart:
            if len(near.why) < 3 and why not in near.why:
                near.why.append(why)
            return
    if len(chosen) < most:
        insort(chosen, Moment(millis, [why]), key=lambda moment: moment.millis)


def _of_kind(found: Sequence[Detection], kind: int) -> list[tuple[int, str]]:
    rows = [one for one in found if one.kind == kind]
    if kind == INDEX["face-detection"]:
        return _faces(rows)
    if kind == INDEX["segment-detection"]:
        # The middle of a shot, the longest shots first: its beginning may be a fade.
        shots = [row for row in rows if row.name == SHOT and row.end]
        wishes = [(row.end - row.millis, (row.millis + row.end) // 2, n) for n, row in enumerate(shots, 1) if row.end]
        return [(middle, f"{SHOT} {number}") for _, middle, number in sorted(wishes, reverse=True)]
    best: dict[str, Detection] = {}
    count: dict[str, int] = {}
    for row in rows:
        count[row.name] = count.get(row.name, 0) + 1
        if row.name not in best or _interest(row) > _interest(best[row.name]):
            best[row.name] = row
    order = sorted(best.values(), key=lambda row: (row.name == UNKNOWN, -count[row.name]))
    return [(row.millis, row.name) for row in order]


def _interest(row: Detection) -> float:
    """Whether a detection is certain and large."""
    return row.confidence * (1 + sum(width * height for _, _, width, height in row.boxes))


def _faces(rows: Iterable[Detection]) -> list[tuple[int, str]]:
    """The best moment for each number of faces, most faces first; then moments spread over the video."""
    at: dict[int, list[Detection]] = {}
    for row in rows:
        at.setdefault(row.millis, []).append(row)
    best: dict[int, tuple[float, int]] = {}
    for millis, faces in at.items():
        interest = sum(map(_interest, faces))
        best[len(faces)] = max(best.get(len(faces), (0.0, 0)), (interest, millis))
    wishes = [(best[count][1], count) for count in sorted(best, reverse=True)]
    times = sorted(at)
    if times:
        spread = [times[len(times) * eighth // 8] for eighth in (4, 1, 7, 2, 6, 0)]
        wishes += [(millis, len(at[millis])) for millis in spread]
    return [(millis, "1 face" if count == 1 else f"{count} faces") for millis, count in wishes]


def pictures(video: Path | IO[bytes], moments: Iterable[Moment], side: int = LONGEST_SIDE) -> list[Still]:
    """The pictures of these moments, as far as the video can be decoded; an unreadable video gives none."""
    wanted = sorted(moments, key=lambda moment: moment.millis)
    made = []
    try:
        with av.open(str(video) if isinstance(video, Path) else video) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for moment in wanted:
                frame = _frame_at(container, stream, moment.millis)
                still = _still(frame, moment, side) if frame is not None else None
                if still:
                    made.append(still)
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return made
    return made


def _frame_at(container: Any, stream: Any, millis: int) -> Any:
    """The frame shown at that time: the last one that begins before it."""
    begin = stream.start_time or 0
    container.seek(begin + int(millis / 1000 / stream.time_base), stream=stream, backward=True)
    shown = None
    for frame in container.decode(stream):
        # Rekognition rounds times down to milliseconds, so a frame may begin up to one ms later.
        if shown is not None and (frame.pts - begin) * stream.time_base * 1000 > millis + 0.999:
            break
        shown = frame
    return shown


def _still(frame: Any, moment: Moment, side: int) -> Still | None:
    """The picture; None if the frame is black."""
    scale = min(1.0, side / max(frame.width, frame.height))
    width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
    picture = Image.fromarray(frame.reformat(width=width, height=height, format="rgb24").to_ndarray())
    if max(picture.convert("L").tobytes()) < BLACK:
        return None
    turn = float(getattr(frame, "rotation", 0) or 0) % 360
    if turn:
        picture = picture.rotate(turn, expand=True)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    return Still(moment.millis, " · ".join(moment.why), picture.width, picture.height, file.getvalue())
