"""Reads a video: its metadata, and the frames that Rekognition would sample.

Decoded straight through by PyAV (seeking to each sample is 5 to 10 times slower); only sampled frames are converted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any, Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""Height × width × 3, BGR."""

#: AWS samples two frames a second of stored video; it warns that this may change.
SAMPLES_PER_SECOND = 2
LONGEST = 6 * 3600  # seconds; the service's limit
COLOR_RANGES = {1: "LIMITED", 2: "FULL"}  # FFmpeg's AVColorRange; unknown is taken as LIMITED, as players do


class CannotAnalyse(Exception):
    """The file is not a video that Rekognition reads, or not one at all. The text is for people; AWS gives none."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame: its number from 0, when it is shown in seconds since the first, and PyAV's object."""

    number: int
    time: Fraction
    raw: Any


class Sample:
    """One sampled frame: ``millis`` since the video's start, and its picture as it would be shown."""

    def __init__(self, frame: Any, millis: int) -> None:
        self.millis = millis
        self._frame = frame
        self._pictures: dict[int, Picture] = {}

    @property
    def side(self) -> int:
        """Pixels along the frame's longer side."""
        return int(max(self._frame.width, self._frame.height))

    def picture(self, side: int = 640) -> Picture:
        """The frame with *side* pixels along its longer side, upright; converted once for all who ask."""
        if side not in self._pictures:
            frame = self._frame
            scale = side / max(frame.width, frame.height)
            width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
            pixels = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
            # PyAV gives the counter-clockwise turn that shows the picture upright, as rot90 takes it.
            turned = np.rot90(pixels, _quarters(frame))
            self._pictures[side] = np.ascontiguousarray(turned)
        return self._pictures[side]


class Video:
    """A file that Rekognition would read: H.264 in MP4 or MOV, not longer than six hours.

    *file* is a binary file at its start. Raises CannotAnalyse, here or while samples are taken.
    """

    def __init__(self, file: IO[bytes]) -> None:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            self._container: Any = av.open(file)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise CannotAnalyse(str(error)) from error
        try:
            self._stream = self._checked(size)
        except BaseException:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self.progress = 0.0
        self._quarters = 0
        self._decoded = False

    def _checked(self, size: int) -> Any:
        container = self._container
        if "mov" not in container.format.name.split(","):
            raise CannotAnalyse(f"the container is {container.format.name}")
        if not container.streams.video:
            raise CannotAnalyse("there is no video in it")
        stream = container.streams.video[0]
        if stream.codec_context.name != "h264":
            raise CannotAnalyse(f"the codec is {stream.codec_context.name}")
        if not stream.average_rate:
            raise CannotAnalyse("it has no frame rate")
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            raise CannotAnalyse("the file is cut off")
        self.seconds = _seconds(container, stream)
        if self.seconds > LONGEST:
            raise CannotAnalyse(f"it is {float(self.seconds):.0f} s long, and {LONGEST} s is the limit")
        return stream

    @property
    def metadata(self) -> dict[str, Any]:
        """VideoMetadata. Width and height are of the upright picture once a frame has been decoded."""
        stream, context = self._stream, self._stream.codec_context
        width, height = (context.width, context.height)[:: -1 if self._quarters % 2 else 1]
        return {
            "Codec": context.name,
            "DurationMillis": math.floor(self.seconds * 1000),
            # FFmpeg's own name, also for .mp4; real answers of the service carry it too.
            "Format": self._container.format.long_name,
            "FrameRate": round(float(stream.average_rate), 6),
            "FrameHeight": height,
            "FrameWidth": width,
            "ColorRange": COLOR_RANGES.get(int(context.color_range or 0), "LIMITED"),
        }

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return Fraction(self._stream.average_rate)

    @property
    def audio(self) -> list[dict[str, Any]]:
        """AudioMetadata: an entry for each of its sound tracks."""
        return [
            {
                "Codec": stream.codec_context.name,
                "DurationMillis": math.floor(_seconds(self._container, stream) * 1000),
                "SampleRate": stream.codec_context.sample_rate,
                "NumberOfChannels": stream.codec_context.layout.nb_channels,
            }
            for stream in self._container.streams.audio
        ]

    def samples(self, watch: Callable[[Frame], None] | None = None) -> Iterator[Sample]:
        """The frames Rekognition samples, in order; *watch* is shown every frame, from the same decode.

        Raises CannotAnalyse when nothing can be decoded.
        """
        try:
            yield from sampled(self._frames(watch))
        except av.error.FFmpegError as error:
            raise CannotAnalyse(str(error)) from error
        if not self._decoded:
            raise CannotAnalyse("no frame of it can be decoded")
        self.progress = 1.0

    def _frames(self, watch: Callable[[Frame], None] | None) -> Iterator[Frame]:
        times = self._times()
        start: Fraction | None = None
        for number, raw in enumerate(self._container.decode(self._stream)):
            if not number:
                self._quarters, self._decoded = _quarters(raw), True
            self.progress = min(0.999, max(self.progress, (raw.time or 0) / max(float(self.seconds), 0.001)))
            time = next(times) if times else _own_time(raw)
            if time is None:
                continue
            start = time if start is None else start
            frame = Frame(number, time - start, raw)
            if watch:
                watch(frame)
            yield frame

    def _times(self) -> Iterator[Fraction] | None:
        """When each frame is shown, if all are shown equally long; None when their own time stamps must tell."""
        stream, rate = self._stream, self.rate
        if stream.base_rate and stream.base_rate != stream.average_rate:
            return None
        return (number / rate for number in itertools.count())

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sampled(frames: Iterator[Frame]) -> Iterator[Sample]:
    """Of *frames*, those shown at 0, 1/2, 1, ... seconds: for each moment the last that has begun by then.

    For a constant rate that is frame ``floor(k * fps / 2)`` with time stamp ``floor(1000 * frame / fps)``, the series
    found in real answers (0, 467, 967, 1468 ms at 29.97 fps). Fractions, because floats round wrongly at the floor.
    """
    before: Frame | None = None
    moment, shown = 0, Fraction(0)  # the next moment to sample, in samples; how long the last frame was shown
    for frame in frames:
        # `before` is what is shown until now: at every moment that has passed since.
        passed = math.ceil(frame.time * SAMPLES_PER_SECOND)
        if before is not None and passed > moment:
            yield Sample(before.raw, math.floor(before.time * 1000))
            moment = passed
        shown = frame.time - before.time if before else shown
        before = frame
    if before is not None and (moment == 0 or moment < (before.time + shown) * SAMPLES_PER_SECOND):
        yield Sample(before.raw, math.floor(before.time * 1000))


def _own_time(frame: Any) -> Fraction | None:
    return None if frame.pts is None else frame.pts * Fraction(frame.time_base)


def _quarters(frame: Any) -> int:
    return round((getattr(frame, "rotation", 0) or 0) / 90) % 4


def _seconds(container: Any, stream: Any) -> Fraction:
    if stream.duration:
        return Fraction(stream.duration) * Fraction(stream.time_base)
    return Fraction(container.duration or 0, av.time_base)
