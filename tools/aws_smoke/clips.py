"""Small videos, made when a run starts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

SECONDS = 2  # of each clip that can be analysed; what is billed
RATE = 15


@dataclass(frozen=True)
class Clips:
    """``good`` is H.264 in MP4; ``other`` too, in other bytes; ``hevc`` is what phones record; ``text`` is no video."""

    good: bytes
    other: bytes
    hevc: bytes
    text: bytes = b"This is not a video.\n" * 100


def make() -> Clips:
    return Clips(good=_video("libx264", 0), other=_video("libx264", 40), hevc=_video("libx265", 0))


def _video(codec: str, shade: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream: Any = container.add_stream(codec, rate=RATE, options={"preset": "ultrafast", "crf": "30"} | quiet)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for picture in _scenery(shade):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def _scenery(shade: int) -> Iterator[np.ndarray]:
    """A gradient that moves."""
    across = np.linspace(0, 160, 320, dtype=np.uint8)[None, :].repeat(180, 0)
    for number in range(SECONDS * RATE):
        yield np.dstack([np.roll(across, number * 3, 1), across + np.uint8(shade), np.full_like(across, 90)])
