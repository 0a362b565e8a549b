"""Pictures of what was found: the frame of each moment with its faces framed, and a contact sheet of them."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from rekognition_local.video import Video

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

MOST_PICTURES = 200  # of one video; a film would fill the disk with some ten thousand
MOST_ON_SHEET = 24
LONGEST_SIDE = 1280  # pixels of a picture; smaller videos stay as they are

ACCENT = (64, 224, 160)
INK = (12, 20, 18)
PAPER = (18, 20, 24)
BRIGHT = (236, 239, 244)
DIM = (139, 147, 160)


@dataclass(frozen=True, slots=True)
class Moment:
    """A sampled frame with at least one face."""

    millis: int
    faces: Sequence[Mapping[str, Any]]

    @property
    def interest(self) -> float:
        """Large faces with a high confidence."""
        boxes = ((face["BoundingBox"], face["Confidence"]) for face in self.faces)
        return sum(float(box["Width"] * box["Height"] * confidence) for box, confidence in boxes)


def moments(rows: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """The rows of a GetFaceDetection answer, by the moment they belong to."""
    ordered = sorted(rows, key=lambda row: int(row["Timestamp"]))
    return [
        Moment(millis, [row["Face"] for row in group])
        for millis, group in groupby(ordered, key=lambda row: int(row["Timestamp"]))
    ]


def spans(found: Sequence[Moment]) -> list[list[Moment]]:
    """Moments one after the other in which there are equally many faces."""
    result: list[list[Moment]] = []
    for moment in found:
        last = result[-1][-1] if result else None
        if last and len(last.faces) == len(moment.faces) and moment.millis - last.millis < 1000:
            result[-1].append(moment)
        else:
            result.append([moment])
    return result


def representative(found: Sequence[Moment], most: int) -> list[Moment]:
    """At most so many of them: the best of each span, so that every person is shown, then moments far from those."""
    if len(found) <= most:
        return list(found)
    best = [max(span, key=lambda moment: moment.interest) for span in spans(found)]
    if len(best) > most:
        best = [best[round(number * (len(best) - 1) / max(1, most - 1))] for number in range(most)]
    chosen = {moment.millis for moment in best}
    distance = {moment.millis: min(abs(moment.millis - other) for other in chosen) for moment in found}
    while len(chosen) < most:
        furthest = max(distance, key=lambda millis: distance[millis])
        chosen.add(furthest)
        distance = {millis: min(near, abs(millis - furthest)) for millis, near in distance.items()}
    return [moment for moment in found if moment.millis in chosen]


def frames(video: Path, wanted: Sequence[Moment]) -> Iterator[tuple[Moment, Image.Image]]:
    """The picture of each moment, upright. The frames are the very ones that were looked at."""
    by_millis = {moment.millis: moment for moment in wanted}
    with video.open("rb") as file, Video(file) as source:
        width, height = source.metadata["FrameWidth"], source.metadata["FrameHeight"]
        side = min(LONGEST_SIDE, max(width, height))
        for sample in source.samples():
            if moment := by_millis.pop(sample.millis, None):
                yield moment, Image.fromarray(sample.picture(side)[:, :, ::-1])
            if not by_millis:
                return


def framed(picture: Image.Image, moment: Moment) -> Image.Image:
    """The picture with a frame around each face, and beside it how sure that is."""
    # Drawn at twice the size and shrunk: Pillow's lines have no smooth edges of their own.
    scale = 2
    overlay = Image.new("RGBA", (picture.width * scale, picture.height * scale), (0, 0, 0, 0))
    pen = ImageDraw.Draw(overlay)
    short = min(overlay.size)
    line = max(5, round(short / 170))
    font = ImageFont.load_default(max(28, round(short / 24)))
    taken: list[tuple[float, float, float, float]] = []
    for face in sorted(moment.faces, key=lambda face: face["BoundingBox"]["Top"]):
        box = face["BoundingBox"]
        left, top = box["Left"] * overlay.width, box["Top"] * overlay.height
        right, bottom = left + box["Width"] * overlay.width, top + box["Height"] * overlay.height
        # A face may reach out of the picture; its frame is drawn as far as one can see it.
        left, top = max(left, line), max(top, line)
        right, bottom = min(right, overlay.width - line), min(bottom, overlay.height - line)
        if right - left < 4 * line or bottom - top < 4 * line:
            continue
        radius = min(right - left, bottom - top) * 0.08
        halo = line * 0.6
        pen.rounded_rectangle(
            (left - halo, top - halo, right + halo, bottom + halo),
            radius + halo,
            None,
            (0, 0, 0, 120),
            line + round(halo * 2),
        )
        pen.rounded_rectangle((left, top, right, bottom), radius, None, (*ACCENT, 255), line)
        _label(pen, f"{face['Confidence']:.1f} %", font, (left, top, right, bottom), overlay.size, line, taken)
    overlay = overlay.resize(picture.size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(picture.convert("RGBA"), overlay).convert("RGB")


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    font: Any,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    line: int,
    taken: list[tuple[float, float, float, float]],
) -> None:
    """A tag on the frame's upper edge; under it, or inside, where there is no room or another tag already."""
    left, top, _, bottom = box
    x0, y0, x1, y1 = pen.textbbox((0, 0), text, font=font)
    pad = (y1 - y0) * 0.45
    width, height = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
    left = min(max(0, left - line / 2), size[0] - width)
    for y in (top - height - line, bottom + line, top + line, bottom - height - line):
        spot = (left, y, left + width, y + height)
        inside = y >= 0 and y + height <= size[1]
        if inside and not any(_overlap(spot, other) for other in taken):
            break
    else:
        spot = (left, max(0, top), left + width, max(0, top) + height)
    taken.append(spot)
    pen.rounded_rectangle(spot, height * 0.25, (*ACCENT, 255))
    pen.text((spot[0] + pad - x0, spot[1] + pad - y0), text, font=font, fill=(*INK, 255))


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def contact_sheet(title: str, subtitle: str, cells: Sequence[tuple[Moment, Image.Image]]) -> Image.Image:
    """The frames (not framed yet: lines and text have to suit their size here) in rows, a time under each."""
    shape = min(1.8, max(picture.height / picture.width for _, picture in cells))
    choice = (6, 5, 4) if shape > 1 else (4, 5, 3)
    columns = min(choice, key=lambda count: -len(cells) % count)
    if len(cells) < min(choice):
        columns = 4 if shape > 1 else 2
    rows = math.ceil(len(cells) / columns)
    gap, margin = 24, 48
    width = 1600
    cell_width = (width - 2 * margin - (columns - 1) * gap) // columns
    cell_height = round(cell_width * shape)
    big, small, caption = (ImageFont.load_default(points) for points in (44, 24, 24))
    if not title.isascii():
        big, title = _font_for(title, 44)
    head, foot = 150, 56
    sheet = Image.new("RGB", (width, head + rows * (cell_height + foot) + margin), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((margin, 38), _shortened(pen, title, big, width - 2 * margin), font=big, fill=BRIGHT)
    pen.text((margin, 98), subtitle, font=small, fill=DIM)
    for number, (moment, picture) in enumerate(cells):
        x = margin + number % columns * (cell_width + gap)
        y = head + number // columns * (cell_height + foot)
        scale = min(cell_width / picture.width, cell_height / picture.height)
        fitted = picture.resize(
            (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS
        )
        fitted = framed(fitted, moment)
        sheet.paste(fitted, (x + (cell_width - fitted.width) // 2, y + (cell_height - fitted.height) // 2))
        time, people = clock(moment.millis), faces(len(moment.faces))
        pen.text((x, y + cell_height + 10), time, font=caption, fill=BRIGHT)
        pen.text((x + cell_width, y + cell_height + 10), people, font=caption, fill=DIM, anchor="ra")
    return sheet


def _font_for(text: str, points: int) -> tuple[Any, str]:
    """A font that has the letters. Pillow's own knows English only; without another, the letters that it has."""
    for name in ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "DejaVuSans.ttf", "Arial.ttf"):
        try:
            return ImageFont.truetype(name, points), text
        except OSError:
            continue
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return ImageFont.load_default(points), plain.encode("ascii", "replace").decode()


def _shortened(pen: ImageDraw.ImageDraw, text: str, font: Any, width: int) -> str:
    if pen.textlength(text, font=font) <= width:
        return text
    while text and pen.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"


def clock(millis: int) -> str:
    """``1:02:03.467``; hours only if there are any."""
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 1000:06.3f}" if hours else f"{minutes}:{rest / 1000:06.3f}"


def faces(count: int) -> str:
    return f"{count} face{'s' if count != 1 else ''}"
