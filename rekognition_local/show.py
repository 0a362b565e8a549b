"""Draws what the engines find: boxes on frames, and a strip of the shots.

    python -m rekognition_local.show VIDEO --out FOLDER --analyses face-detection text-detection --at 2.5

Writes a PNG for each moment (by default the three with most to see), and shots.png where segments are asked for.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from rekognition_local.catalogue import BY_NAME
from rekognition_local.engines.analysis_pass import ANALYZERS, AnalysisTask, analyze_video
from rekognition_local.video import Video

COLORS = {"Face": (64, 224, 160), "TextDetection": (255, 214, 70), "Label": (96, 170, 255), "Person": (255, 120, 170)}
SIDE, STRIP_SIDE = 480, 150  # pixels along the longer side: of a frame, of a shot in the strip
PAPER, BRIGHT = (18, 20, 24), (236, 239, 244)

Row = Mapping[str, Any]
Box = Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m rekognition_local.show", description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--out", type=Path, default=Path("shown"), help="folder for the pictures (%(default)s)")
    parser.add_argument("--analyses", nargs="+", choices=sorted(ANALYZERS), default=["face-detection"], metavar="NAME")
    parser.add_argument("--at", nargs="+", type=float, metavar="SECONDS", help="moments (default: the fullest three)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    rows = _rows(options.video, options.analyses)
    moments: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if "Timestamp" in row:
            moments[row["Timestamp"]].append(row)
    fullest = Counter({millis: len(found) for millis, found in moments.items()}).most_common(3)
    wanted = [round(second * 1000) for second in options.at or ()] or [millis for millis, _ in fullest]
    shots = [row for row in rows if row.get("Type") == "SHOT"]
    middles = [(shot["StartTimestampMillis"] + shot["EndTimestampMillis"]) // 2 for shot in shots]
    frames = _frames(options.video, [*wanted, *middles])
    for millis in wanted:
        sampled, picture = frames[millis]
        _save(drawn(picture, moments.get(sampled, [])), options.out / f"{sampled:06}.png")
    if shots:
        _save(strip([frames[middle][1] for middle in middles], rows), options.out / "shots.png")


def _rows(video: Path, analyses: Sequence[str]) -> list[Row]:
    needed = {"segment-detection": {"SegmentTypes": ["TECHNICAL_CUE", "SHOT"]}}
    tasks = [AnalysisTask(analysis, analysis, needed.get(analysis, {})) for analysis in analyses]
    with video.open("rb") as file:
        outcomes = analyze_video(file, tasks, lambda _done: None)
    for analysis, outcome in outcomes.items():
        print(f"{analysis}: {outcome.failure or f'{len(outcome.rows)} {BY_NAME[analysis].rows}'}")
    return [json.loads(row) for outcome in outcomes.values() for row in outcome.rows]


def _frames(path: Path, wanted: Iterable[int]) -> dict[int, tuple[int, Image.Image]]:
    """For each moment wanted, the sampled frame next to it: its own time, and its picture."""
    nearest: dict[int, tuple[int, Image.Image]] = {}
    wanted = list(wanted)
    with path.open("rb") as file, Video(file) as video:
        for sample in video.samples():
            closer = [
                millis
                for millis in wanted
                if millis not in nearest or abs(sample.millis - millis) < abs(nearest[millis][0] - millis)
            ]
            if closer:
                picture = Image.fromarray(sample.picture(SIDE)[:, :, ::-1])
                nearest |= dict.fromkeys(closer, (sample.millis, picture))
    return nearest


def drawn(picture: Image.Image, rows: Iterable[Row]) -> Image.Image:
    """*picture* with what was found in it framed and named."""
    picture = picture.copy()
    for row in rows:
        for kind, color in COLORS.items():
            if kind in row:
                for box, name in _boxes(kind, row):
                    _frame(picture, box, name, color)
    return picture


def _boxes(kind: str, row: Row) -> Iterable[tuple[Box, str]]:
    found = row[kind]
    if kind == "Label":
        return [(one["BoundingBox"], f"{found['Name']} {one['Confidence']:.0f}") for one in found["Instances"]]
    if kind == "TextDetection":
        if found["Type"] == "WORD":
            return []  # its line is framed
        return [(found["Geometry"]["BoundingBox"], f"{found['DetectedText']} {found['Confidence']:.0f}")]
    if kind == "Person":
        best = next(iter(row.get("FaceMatches", ())), None)
        match = f" {best['Face'].get('ExternalImageId', 'match')} {best['Similarity']:.0f}" if best else ""
        return [(found["Face"]["BoundingBox"], f"person {found['Index']}{match}")]
    return [(found["BoundingBox"], f"face {found['Confidence']:.0f}")]


def _frame(picture: Image.Image, box: Box, name: str, color: tuple[int, int, int]) -> None:
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    left, top = box["Left"] * picture.width, box["Top"] * picture.height
    right, bottom = left + box["Width"] * picture.width, top + box["Height"] * picture.height
    draw.rectangle((left, top, right, bottom), outline=color, width=2)
    _, _, width, height = draw.textbbox((0, 0), name, font=font)
    above = max(0, top - height - 4)
    draw.rectangle((left, above, left + width + 6, above + height + 4), fill=color)
    draw.text((left + 3, above + 1), name, fill=PAPER, font=font)


def strip(pictures: Sequence[Image.Image], rows: Iterable[Row]) -> Image.Image:
    """A picture of each shot, one beside the other, over a bar that is as long as they last; black is hatched."""
    rows = list(rows)
    shots = [row for row in rows if row.get("Type") == "SHOT"]
    small = [picture.resize((STRIP_SIDE, STRIP_SIDE * picture.height // picture.width)) for picture in pictures]
    height = max(picture.height for picture in small)
    sheet = Image.new("RGB", ((STRIP_SIDE + 6) * len(small) + 6, height + 74), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    end = max(1, max(shot["EndTimestampMillis"] for shot in shots))

    def x(millis: int) -> float:
        return 6.0 + (sheet.width - 12) * millis / float(end)

    for number, (picture, shot) in enumerate(zip(small, shots, strict=True)):
        left = 6 + number * (STRIP_SIDE + 6)
        sheet.paste(picture, (left, 6))
        found = shot["ShotSegment"]
        text = f"shot {found['Index']}  {shot['StartTimecodeSMPTE']}  {found['Confidence']:.0f}"
        draw.text((left, height + 10), text, fill=BRIGHT, font=font)
        bar = (x(shot["StartTimestampMillis"]), height + 34, x(shot["EndTimestampMillis"]) - 2, height + 52)
        draw.rectangle(bar, fill=COLORS["Face"] if number % 2 else COLORS["Label"])
    for cue in (row for row in rows if row.get("Type") == "TECHNICAL_CUE"):
        begin, stop = x(cue["StartTimestampMillis"]), x(cue["EndTimestampMillis"])
        for at in range(int(begin), int(stop), 6):
            draw.line((at, height + 52, at + 6, height + 34), fill=PAPER, width=2)
        draw.text((begin, height + 55), cue["TechnicalCueSegment"]["Type"], fill=BRIGHT, font=font)
    return sheet


def _save(picture: Image.Image, path: Path) -> None:
    picture.quantize(128).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
