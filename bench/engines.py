"""How fast the local engines look at a video: make bench-engines.

A generated minute at 720p and at 1080p, 30 frames a second, with the clip's two people and captions in it, looked at in
one process: by decoding alone, by each engine that is installed, and by all of them in one decode. The ratios count:
seconds of video per second of one core, and times what decoding alone takes of it. They are of processor time, which
says the same on a machine that is busy with other things; the wall clock is told beside. Sizes are those of what each
extra installs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench import report
from rekognition_local.engines.analysis_pass import ANALYZERS, EXTRAS, AnalysisTask, analyze_video
from rekognition_local.engines.models import MADE
from rekognition_local.video import Video
from tools.installed import installed_with

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "localcloud/clip/two-portraits.mp4"
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
RATE = 30
FIGURES = ("core_seconds", "wall_seconds", "peak_megabytes")
NEEDED: dict[str, dict[str, Any]] = {"segment-detection": {"SegmentTypes": ["TECHNICAL_CUE", "SHOT"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of video (%(default)s)")
    parser.add_argument("--measure", nargs="+", metavar=("VIDEO", "ANALYSIS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(*measure(Path(options.measure[0]), options.measure[1:]))
        return
    runs = [("decoding alone", []), *((name, [name]) for name in ANALYZERS if installed(name))]
    runs.append(("all of them", [name for name in ANALYZERS if installed(name)]))
    ours: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, report.progress() as bar:
        task = bar.add_task("engines", total=len(SIZES) * len(runs))
        for size in SIZES:
            video = make(Path(folder) / f"{size}.mp4", size, options.seconds)
            for name, analyses in runs:
                ours[f"{name}, {size}"] = in_a_process(video, analyses, options.seconds)
                bar.advance(task)
    for name, of in ours.items():
        decoding = ours[f"decoding alone, {name.rsplit(', ', 1)[1]}"]
        of["times_decoding"] = round(of["core_seconds"] / decoding["core_seconds"], 2)
    sizes = {extra: megabytes(extra) for name, extra in sorted(EXTRAS.items()) if installed(name)}
    report.show(
        f"{options.seconds} s of video at {RATE} frames a second, one process",
        ["", "× real time, one core", "× decoding", "core seconds", "wall seconds", "peak MB"],
        [
            (name, *(of[figure] for figure in ("times_real_time", "times_decoding", *FIGURES)))
            for name, of in ours.items()
        ],
    )
    report.show("What the extras install", ["", "MB"], list(sizes.items()))
    baselines = {name: of for name, of in ours.items() if name.startswith("decoding")}
    report.save(
        "engines",
        ours={name: of for name, of in ours.items() if name not in baselines},
        baselines=baselines,
        video_seconds=options.seconds,
        extras_megabytes=sizes,
    )


def installed(analysis: str) -> bool:
    task = AnalysisTask("job", analysis, NEEDED.get(analysis, {}))
    with CLIP.open("rb") as file:
        return "not installed" not in (analyze_video(file, [task], lambda _done: None)["job"].failure or "")


def make(path: Path, size: str, seconds: int) -> Path:
    """The clip's frames, enlarged, over and over; a headline that changes, and a line that runs along below."""
    width, height = SIZES[size]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, picture in zip(range(seconds * RATE), _pictures((width, height)), strict=False):
            large, small = ImageFont.load_default(height // 14), ImageFont.load_default(height // 28)
            draw = ImageDraw.Draw(picture)
            draw.text((width // 20, height // 20), f"CHAPTER {number // RATE // 5 + 1}", fill="white", font=large)
            draw.text(
                (width - number * 4 % width, height - height // 12), "Ferry leaves at 12:45", fill="white", font=small
            )
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path


def _pictures(size: tuple[int, int]) -> Iterator[Image.Image]:
    while True:
        with av.open(str(CLIP)) as container:
            for frame in container.decode(video=0):
                yield frame.to_image().resize(size)


def in_a_process(video: Path, analyses: list[str], seconds: int) -> dict[str, float]:
    """A process of its own: what it holds at its peak is this run's."""
    command = [sys.executable, "-m", "bench.engines", "--measure", str(video), *analyses]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    core, wall, peak = (round(float(word), 2) for word in run.stdout.split()[-3:])
    figures = dict(zip(FIGURES, (core, wall, round(peak)), strict=True))
    return {"times_real_time": round(seconds / core, 1), **figures}


def measure(video: Path, analyses: list[str]) -> tuple[float, float, float]:
    """FIGURES of one run, without imports."""
    tasks = [AnalysisTask(name, name, NEEDED.get(name, {})) for name in analyses]
    with CLIP.open("rb") as file:
        analyze_video(file, [AnalysisTask(name, name, NEEDED.get(name, {})) for name in analyses], lambda _done: None)
    began, core = time.perf_counter(), time.process_time()
    with video.open("rb") as file:
        if tasks:
            failures = [outcome.failure for outcome in analyze_video(file, tasks, lambda _done: None).values()]
            assert not any(failures), failures
        else:
            with Video(file) as decoded:
                for sample in decoded.samples():
                    sample.picture()
    wall, core = time.perf_counter() - began, time.process_time() - core
    return core, wall, peak()


def peak() -> float:
    """The most memory this process held, in MB. Linux's own ru_maxrss begins with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(kilobytes) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


def megabytes(extra: str) -> float:
    """What the files of an extra's packages take, and of the models made for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    always = installed_with([*project["project"]["dependencies"], *groups["deploy"], *groups["local"], *groups["dev"]])
    size = 0
    for name in installed_with(groups[extra]) - always:
        distribution = importlib.metadata.distribution(name)
        paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
        size += sum(path.stat().st_size for path in paths if path.is_file())
    if extra == "labels":
        size += sum(path.stat().st_size for path in MADE.glob("coco-ssd.*"))
    return round(size / 1e6, 1)


if __name__ == "__main__":
    main()
