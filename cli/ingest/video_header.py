"""A video's length and codec, read from its header alone, and whether Rekognition accepts them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambdas.aws.videos import LARGEST_VIDEO

LONGEST = 6 * 3600.0  # seconds; Developer Guide, "Guidelines and quotas in Amazon Rekognition"


@dataclass(frozen=True, slots=True)
class Header:
    """A video's header.

    Attributes:
        trouble: why Rekognition refuses the video; empty if it should accept it.
    """

    seconds: float
    codec: str
    width: int
    height: int
    rate: float
    size: int
    trouble: str


def read(file: Any, size: int) -> Header:
    """The header of `file`: a path, or an open seekable file of `size` bytes."""
    import av

    try:
        with av.open(str(file) if isinstance(file, Path) else file, mode="r") as container:
            if not container.streams.video:
                return _none(size, "it contains no video")
            stream = container.streams.video[0]
            length = container.duration / 1_000_000 if container.duration else 0.0
            found = (stream.codec_context.name, stream.width, stream.height, float(stream.average_rate or 0))
            return Header(length, *found, size, _trouble(found[0], container.format.name, length, size))
    except (av.FFmpegError, ValueError):
        return _none(size, "it is not a video, or its index is missing (is the file truncated?)")


def _none(size: int, trouble: str) -> Header:
    return Header(0.0, "", 0, 0, 0.0, size, trouble)


def _trouble(codec: str, container: str, seconds: float, size: int) -> str:
    if "mp4" not in container:
        return f"it is {container}; Rekognition reads MP4 and MOV"
    if codec != "h264":
        return f"its codec is {codec}; Rekognition reads H.264 (ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4)"
    if seconds > LONGEST:
        return f"it is {seconds / 3600:.1f} hours long; Rekognition takes up to 6"
    if size > LARGEST_VIDEO:
        return "it is larger than 10 GB, Rekognition's limit"
    return "" if seconds else "its header does not say how long it is"
