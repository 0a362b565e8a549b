"""Videos for tests, each made in a second or two. ``folder`` is where they are put; what is there is not made again.

The clip with people in it is two-portraits.mp4 (in the repository a link to the clip of the demo).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

CLIP = Path(__file__).with_name("two-portraits.mp4")


def write(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    rate: Fraction | int = 30,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rotation: int = 0,
    times: list[int] | None = None,
) -> Path:
    """A video of RGB *pictures*; *times* are milliseconds, for a rate that varies."""
    defaults = {"preset": "ultrafast", "crf": "30"}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=defaults | (options or {}))
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            if not number:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def scenery(width: int = 320, height: int = 180, frames: int = 60) -> Iterable[np.ndarray]:
    """A moving gradient without a face."""
    across = np.linspace(0, 160, width, dtype=np.uint8)[None, :].repeat(height, 0)
    for number in range(frames):
        yield np.dstack([np.roll(across, number * 3, 1), across, np.full_like(across, 90)])


def portrait(width: int = 320, height: int = 180) -> np.ndarray:
    """The clip's first frame: one face."""
    with av.open(str(CLIP)) as container:
        return next(container.decode(video=0)).reformat(width=width, height=height).to_ndarray(format="rgb24")


def without_faces(folder: Path) -> Path:
    return _once(folder / "scenery.mp4", lambda path: write(path, scenery()))


def hevc(folder: Path) -> Path:
    """What phones record, and Rekognition does not read."""
    options = {"x265-params": "log-level=none"}
    return _once(folder / "phone.mov", lambda path: write(path, scenery(), codec="libx265", options=options))


def text(folder: Path) -> Path:
    return _once(folder / "text.mp4", lambda path: path.write_text("This is not a video.\n" * 100))


def cut_in_half(folder: Path) -> Path:
    """The second half of the clip's bytes is missing; its index stands at the front and promises them."""
    content = CLIP.read_bytes()
    return _once(folder / "half.mp4", lambda path: path.write_bytes(content[: len(content) // 2]))


def cut_before_its_index(folder: Path) -> Path:
    """Half of a file whose index stands at the end, as cameras and FFmpeg write it."""
    content = without_faces(folder).read_bytes()
    return _once(folder / "headless.mp4", lambda path: path.write_bytes(content[: len(content) // 2]))


def sound_only(folder: Path) -> Path:
    def make(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("aac", rate=44100)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), format="s16", layout="mono")
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode())

    return _once(folder / "sound.mp4", make)


def crowded(folder: Path, seconds: int = 45, people: int = 12) -> Path:
    """The same face *people* times (12 at most), held still: 2 × *seconds* × *people* detections in a small file."""

    def make(path: Path) -> None:
        face = portrait(640, 360)[10:170, 210:370]
        tiles = [face if number < people else np.full_like(face, 128) for number in range(12)]
        picture = np.vstack([np.hstack(tiles[row : row + 4]) for row in (0, 4, 8)])
        write(path, (picture for _ in range(seconds * 5)), rate=5)

    return _once(folder / f"crowded-{seconds}-{people}.mp4", make)


def captioned(folder: Path, frames: int = 30) -> Path:
    """640×360, 10 frames a second: a headline that changes after two seconds, and a smaller line below it."""

    def pictures() -> Iterable[np.ndarray]:
        large, small = ImageFont.load_default(36), ImageFont.load_default(18)
        for number, background in enumerate(scenery(640, 360, frames)):
            picture = Image.fromarray(background)
            draw = ImageDraw.Draw(picture)
            draw.text((60, 60), "HARBOUR NEWS" if number < 20 else "GOOD NIGHT", fill="white", font=large)
            draw.text((60, 280), "Ferry leaves at 12:45", fill="white", font=small)
            yield np.asarray(picture)

    return _once(folder / f"captioned-{frames}.mp4", lambda path: write(path, pictures(), rate=10))


def flashes(folder: Path) -> Path:
    """25 frames a second: a second of scenery, a black frame, another second, and a second of black at the end."""

    def pictures() -> Iterable[np.ndarray]:
        seen = list(scenery(320, 180, 50))
        black = np.zeros_like(seen[0])
        return [*seen[:25], black, *seen[25:], *[black] * 25]

    return _once(folder / "flashes.mp4", lambda path: write(path, pictures(), rate=25))


def with_sound(folder: Path) -> Path:
    """A second of scenery and of silence: AAC, 44.1 kHz, one channel."""

    def make(path: Path) -> None:
        with av.open(str(path), "w") as container:
            pictures = container.add_stream("libx264", rate=25)
            pictures.width, pictures.height, pictures.pix_fmt = 320, 180, "yuv420p"
            sound = container.add_stream("aac", rate=44100, layout="mono")
            for picture in scenery(320, 180, 25):
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(pictures.encode())
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 44100
            container.mux(sound.encode(silence))
            container.mux(sound.encode())

    return _once(folder / "with-sound.mp4", make)


def large(folder: Path, megabytes: int = 60) -> Path:
    """The clip and *megabytes* of padding, as a valid MP4: a `free` box at its end."""
    padding = megabytes << 20

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(CLIP.read_bytes())
            file.write((padding + 8).to_bytes(4, "big") + b"free")
            file.write(np.random.default_rng(0).bytes(padding))

    return _once(folder / f"large-{megabytes}.mp4", make)


def rotated(folder: Path, rotation: int = 90) -> Path:
    """A face lying on its side, and the note that players shall turn it counter-clockwise by *rotation* degrees."""
    picture = np.ascontiguousarray(np.rot90(portrait(640, 360), -rotation // 90))
    return _once(
        folder / f"rotated-{rotation}.mp4", lambda path: write(path, (picture for _ in range(30)), rotation=rotation)
    )


def at_times(folder: Path, times: list[int]) -> Path:
    """A frame at each of *times* (milliseconds): a rate that varies."""
    path = folder / f"times-{len(times)}-{sum(times)}.mp4"
    return _once(path, lambda path: write(path, scenery(frames=len(times)), times=times))


def _once(path: Path, make) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    return path
