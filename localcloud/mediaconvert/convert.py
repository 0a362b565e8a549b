"""A video that Rekognition can read, made of one that it can't: H.264 in MP4, of the same timing, by PyAV.

Used by the local MediaConvert endpoint, and by `rekognition-batch upload --convert`; it imports nothing of the project.

What the copy keeps: what is shown at each moment, counted from the first picture, and so the length (within one frame)
and, as ratios of the upright picture, where everything is. Its frame rate is constant: the source's own; where that
varies, one at which each picture comes at its time, or the average (`_rate`), with pictures repeated or left out. It
carries no rotation: the pictures are turned instead, if asked.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter

#: Seconds that a file may end before the length in its header: such lengths are rounded, to whole frames at the least.
EARLY = 1.0
#: Pixels along a side: MediaConvert takes no more, and a header that lies would cost memory.
MOST_SIDE = 8192
#: Frame rates that cameras mean when their time stamps average to within half a percent of one.
COMMON_RATES = [*map(Fraction, (15, 24, 25, 30, 50, 60, 120)), *(Fraction(n * 1000, 1001) for n in (24, 30, 60, 120))]
#: An average above this is a stream's clock and no frame rate. A varying rate is not brought above the other one.
MOST_RATE, MOST_EXACT_RATE = 240, 60
#: Seconds that a clock goes back, or on, when it was set anew or is wrong; FFmpeg's numbers.
JUMP, FAR_JUMP = 1, 10
#: Containers in which a picture may be shown for longer (a recording of a screen), as far as the file's size makes that
#: likely: bytes a second. Every second is some thirty pictures of the copy, so one wrong number could cost days.
STILL, LEAST_RATE = {"mov", "matroska"}, 25
#: Seconds, at most: Rekognition takes a quarter of it.
LONGEST = 24 * 3600
#: Frames of sound that are kept until the first picture comes: about twenty seconds.
MOST_WAITING = 1000
#: FFmpeg's AVCOL_RANGE_MPEG (16 to 235) and AVCOL_RANGE_JPEG (0 to 255).
LIMITED_RANGE, FULL_RANGE = 1, 2
#: What is wrong with a file system or this machine. All else, EIO and EPERM too, FFmpeg says of broken contents.
OF_THE_SYSTEM = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS),
    *(errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE),
}


class CannotConvert(Exception):
    """The video can't be converted.

    Attributes:
        code: MediaConvert's error code for that (User Guide, "Error codes").
        message: MediaConvert's words for it, with ``{input}`` where they name the file.
        reason: the same in plain words, for the command line.
    """

    def __init__(self, code: int, message: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.message, self.reason = code, message, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the copy shall be.

    Attributes:
        size: width and height in pixels, both even. A None is made to fit the other; both: the source's own size.
        fit: what happens where the picture has another shape than *size*: "pad" it with black, "crop" it, "stretch" it.
        turn: degrees clockwise, or "auto": as the file says that it shall be shown.
        turned_containers: "auto" heeds only these containers' word (FFmpeg's names); empty: any container's.
        rate: frames a second; None: the source's own.
        crf: x264's quality, 0 (exact) to 51.
        max_rate: bits a second, or 0.
        sound: keep the first sound track, as AAC.
    """

    size: tuple[int | None, int | None] = (None, None)
    fit: str = "pad"
    turn: int | str = "auto"
    turned_containers: tuple[str, ...] = ()
    rate: Fraction | None = None
    crf: int = 20
    max_rate: int = 0
    sound: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """What the copy is: pixels, seconds, frames a second."""

    width: int
    height: int
    seconds: float
    rate: Fraction


@dataclass(frozen=True, slots=True)
class Picture:
    """A source's pictures as they are shown, upright, in its own pixels; and for how many seconds, 0 if unknown."""

    width: int
    height: int
    aspect: Fraction  # width by height as a screen shows it: pixels need not be square
    seconds: float = 0.0


def convert(
    source: Path, target: Path, wanted: Wanted, progress: Callable[[float], None] = lambda _done: None
) -> Converted:
    """Write *target*, an MP4 whose index stands at the front.

    Args:
        progress: called after each picture with the fraction that is done, from 0 to 1.

    Raises:
        CannotConvert: because of *source*, or because *wanted* does not fit it.
        OSError: the files can't be read or written, such as ENOSPC for a full disk. *target* may be there in part.
    """
    try:
        with closing(_opened(source)) as container:
            return _Conversion(container, source.stat().st_size, wanted, progress).write(target)
    except av.error.FFmpegError as error:
        raise _plain(error) from error


def upright(source: Path) -> Picture:
    """How large the pictures of *source* are and how long it is, from its header and its first picture.

    Raises:
        CannotConvert: it is no video.
    """
    try:
        with closing(_opened(source)) as container:
            stream = _pictures(container)
            frame = next(_decoded(container, stream), None)
            quarters = _quarters(frame, Wanted(), container) if frame else 0
            return replace(_picture(stream, quarters), seconds=_seconds(container, stream))
    except av.error.FFmpegError as error:
        raise _plain(error) from error


def size_within(picture: Picture, long_side: int, short_side: int) -> tuple[int, int]:
    """The largest even size of square pixels with *picture*'s shape, no larger than it, and within these sides."""
    width, height = float(picture.height * picture.aspect), float(picture.height)
    if picture.aspect * picture.height < picture.width:  # pixels higher than wide: keep the width's detail
        width, height = float(picture.width), float(picture.width / picture.aspect)
    most = (long_side, short_side) if width >= height else (short_side, long_side)
    scale = min(1.0, most[0] / width, most[1] / height)
    return _even(width * scale), _even(height * scale)


class _Conversion:
    """One run. All times are seconds since the first picture."""

    def __init__(self, container: Any, size: int, wanted: Wanted, progress: Callable[[float], None]) -> None:
        self._container, self._wanted, self._progress = container, wanted, progress
        self._stream = _pictures(container)
        self._size = size
        if "mov" in container.format.name and any(
            entry.pos + entry.size > size for entry in self._stream.index_entries
        ):
            raise _cut_off(size)
        sound = container.streams.best("audio") if wanted.sound else None
        self._sound = sound if sound and sound.codec_context else None
        self._rate = wanted.rate or _rate(self._stream)
        self._length = _seconds(container, self._stream)
        self._stream.thread_type = "AUTO"
        self._reached = 0.0  # seconds of the source that have been read
        self._start = Fraction(0)  # when the first picture is shown, by the source's clock
        self._before: Fraction | None = None  # the last picture
        self._shift = Fraction(0)  # added to the source's clock since it was set anew
        self._longest_still = size / LEAST_RATE if STILL & set(container.format.name.split(",")) else FAR_JUMP

    def write(self, target: Path) -> Converted:
        with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as output:
            pictures = output.add_stream("libx264", rate=self._rate, options=self._x264())
            sound = _Sound(output, self._sound) if self._sound else None
            graph: _Graph | None = None
            frames = 0
            for frame in _decoded(self._container, self._stream, self._sound, self._read):
                if isinstance(frame, av.AudioFrame):
                    if sound:
                        output.mux(sound.encoded(frame))
                    continue
                time = self._time(frame)
                if graph is None:
                    graph, self._start = self._prepared(frame, pictures), time
                if sound:
                    sound.start = self._start - self._shift
                for shown in graph.shown(frame, time - self._start):
                    frames += 1
                    output.mux(pictures.encode(shown))
                self._progress(min(0.999, float(time - self._start) / max(self._length, 0.001)))
            if graph is None:
                raise CannotConvert(
                    1020, "Video sync did not read enough good frames to process successfully", "no picture can be read"
                )
            self._check_whole()
            for shown in graph.rest():
                frames += 1
                output.mux(pictures.encode(shown))
            output.mux(pictures.encode())
            if sound:
                output.mux(sound.rest())
        self._progress(1.0)
        return Converted(pictures.width, pictures.height, float(frames / self._rate), self._rate)

    def _x264(self) -> dict[str, str]:
        options = {"preset": "veryfast", "crf": str(self._wanted.crf)}
        if self._wanted.max_rate:
            options |= {"maxrate": str(self._wanted.max_rate), "bufsize": str(self._wanted.max_rate * 2)}
        return options

    def _prepared(self, frame: Any, pictures: Any) -> _Graph:
        """The filters that make the first frame, and all after it, what is wanted."""
        quarters = _quarters(frame, self._wanted, self._container)
        picture = _picture(self._stream, quarters)
        width, height, aspect = _geometry(picture, self._wanted)
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        pictures.codec_context.time_base = 1 / self._rate
        if aspect != 1:
            pictures.codec_context.sample_aspect_ratio = aspect
        if not frame.format.is_rgb:  # what its numbers mean stays what it was, but for their range
            for name in ("color_primaries", "color_trc", "colorspace"):
                setattr(pictures.codec_context, name, getattr(self._stream.codec_context, name))
        pictures.codec_context.color_range = LIMITED_RANGE
        filters = [*_turned(quarters), *_scaled(picture, self._wanted, width, height)]
        return _Graph(frame, [*_limited(frame), *filters], self._rate)

    def _time(self, frame: Any) -> Fraction:
        """When it is shown. Where it doesn't say so (AVI), or the clock was set anew (parts of a transport stream, one
        after the other), after the one before it."""
        time, before = _time(frame), self._before
        if before is None:
            self._before = time or Fraction(0)
            return self._before
        follows = before + 1 / self._rate
        gap = time + self._shift - before if time is not None else None
        if time is not None and gap is not None and not -JUMP <= gap <= max(FAR_JUMP, self._longest_still):
            self._shift = follows - time
        self._before = follows if time is None else time + self._shift
        if self._before - self._start > LONGEST:
            raise CannotConvert(
                1040,
                f"The local MediaConvert takes videos of up to {LONGEST} seconds.",
                f"it is longer than {LONGEST // 3600} hours",
            )
        return self._before

    def _read(self, until: float) -> None:
        self._reached = max(self._reached, until)

    def _check_whole(self) -> None:
        """Raise CannotConvert if the file ends well before the length that its header states."""
        if self._container.duration and self._reached < self._container.duration / av.time_base - EARLY:
            raise _cut_off(self._size)


class _Graph:
    """Filters between decoder and encoder: pictures of any size and time in, the wanted ones at a constant rate out."""

    def __init__(self, first: Any, filters: list[tuple[str, str]], rate: Fraction) -> None:
        self._like = (first.width, first.height, first.format.name)
        self._base = Fraction(1, 90_000)
        graph = av.filter.Graph()
        steps = [
            graph.add_buffer(width=first.width, height=first.height, format=first.format.name, time_base=self._base),
            graph.add("bwdif", "mode=send_frame:deint=interlaced"),
            *(graph.add(name, options) for name, options in filters),
            graph.add("format", "pix_fmts=yuv420p"),
            graph.add("fps", f"fps={rate}"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()
        self._graph: Any = graph
        self._last = -1

    def shown(self, frame: Any, time: Fraction) -> Iterator[Any]:
        """What is complete once *frame* is shown at *time*."""
        if (frame.width, frame.height, frame.format.name) != self._like:  # it may change within a stream
            width, height, name = self._like
            frame = frame.reformat(width=width, height=height, format=name)
        ticks = round(time / self._base)
        if ticks <= self._last:  # shown at no time of its own
            return
        self._last = ticks
        length = (frame.duration or 0) * Fraction(frame.time_base or 0)
        frame.pts, frame.time_base, frame.duration = ticks, self._base, round(length / self._base)
        self._graph.push(frame)
        yield from self._pulled()

    def rest(self) -> Iterator[Any]:
        """What is still in the filters when the source ends."""
        self._graph.push(None)
        yield from self._pulled()

    def _pulled(self) -> Iterator[Any]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            frame.pict_type = av.video.frame.PictureType.NONE  # the source's key frames are no wish
            yield frame


class _Sound:
    """A sound track on its way to AAC."""

    def __init__(self, output: Any, source: Any) -> None:
        rate = source.codec_context.sample_rate or 48_000
        rate = rate if rate in (32_000, 44_100, 48_000) else 48_000
        layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=rate, layout=layout)
        self.start: Fraction | None = None
        self._waiting: list[Any] = []
        self._resampler = av.AudioResampler("fltp", layout, rate, frame_size=1024)

    def encoded(self, frame: Any) -> list[Any]:
        """Packets; none yet while it is unknown when the first picture is shown, and none for what is heard before."""
        self._waiting.append(frame)
        if self.start is None and len(self._waiting) < MOST_WAITING:
            return []
        frames, self._waiting = self._waiting, []
        return [packet for one in frames for packet in self._shifted(one, self.start or Fraction(0))]

    def rest(self) -> list[Any]:
        return self._packets(self._resampler.resample(None)) + list(self._stream.encode())

    def _shifted(self, frame: Any, start: Fraction) -> list[Any]:
        time = _time(frame)
        if time is None or time < start:
            return []
        frame.pts -= round(start / Fraction(frame.time_base))
        return self._packets(self._resampler.resample(frame))

    def _packets(self, frames: list[Any]) -> list[Any]:
        return [packet for frame in frames for packet in self._stream.encode(frame)]


def _opened(source: Path) -> Any:
    try:
        return av.open(str(source))
    except av.error.InvalidDataError as error:
        if _is_mp4(source):
            raise CannotConvert(
                1075,
                "Unable to open input file [{input}]: [Failed probe/open: [no moov box found in file]]",
                "its index is missing (is the file cut off?)",
            ) from error
        raise _no_container() from error
    except (av.error.EOFError, ValueError) as error:
        raise _no_container() from error


def _no_container() -> CannotConvert:
    return CannotConvert(
        1010,
        "Unable to open input file [{input}]: [Failed probe/open: [No parser found for container]]",
        "it is not a video",
    )


def _is_mp4(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(12)[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def _pictures(container: Any) -> Any:
    """The first video track; a cover picture is none."""
    streams = [
        stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams:
        raise CannotConvert(
            1020,
            "Your input file [{input}] doesn't have video that the transcoder can consume. Check your input video "
            "codec against this list of supported input video codec and container combinations: "
            "https://docs.aws.amazon.com/mediaconvert/latest/ug/reference-codecs-containers-input.html"
            "#reference-codecs-containers-input-video.",
            "it contains no video",
        )
    stream = streams[0]
    context = stream.codec_context
    if context is None or not context.width or not context.height:
        raise _unknown_codec()
    if max(context.width, context.height) > MOST_SIDE:
        raise CannotConvert(
            1040,
            f"Invalid resolution [{context.width} x {context.height}], {MOST_SIDE} at most. video_description [1].",
            f"its picture is {context.width} × {context.height}, and {MOST_SIDE} pixels along a side is the limit",
        )
    return stream


def _unknown_codec() -> CannotConvert:
    # Without its name: PyAV ends the whole process when it is asked for the name of a codec that it has not opened.
    words = "Video codec [unknown] is not a supported input video codec"
    return CannotConvert(1030, words, "its video codec is unknown, or broken")


def _decoded(
    container: Any, pictures: Any, sound: Any = None, read: Callable[[float], None] = lambda _until: None
) -> Iterator[Any]:
    """The frames of these streams in the file's order. A packet that can't be decoded is left out."""
    start = (container.start_time or 0) / av.time_base
    for packet in container.demux():
        if packet.pts is not None:
            until = packet.pts + (packet.duration or 0)
            read(float(until * packet.time_base) - start)
        if packet.stream not in (pictures, sound):
            continue
        try:
            frames = packet.decode()
        except (av.error.InvalidDataError, av.error.EOFError):
            continue
        except ValueError as error:  # PyAV's: there is no decoder
            if packet.stream is pictures:
                raise _unknown_codec() from error
            continue
        yield from frames


def _quarters(frame: Any, wanted: Wanted, container: Any) -> int:
    """Quarter turns clockwise."""
    if wanted.turn != "auto":
        return int(wanted.turn) // 90 % 4
    names = container.format.name.split(",")
    if wanted.turned_containers and not set(wanted.turned_containers) & set(names):
        return 0
    # PyAV gives degrees counter-clockwise. MediaConvert heeds what is within a degree of a quarter turn.
    degrees = -(getattr(frame, "rotation", 0) or 0) % 360
    nearest = round(degrees / 90) * 90
    return nearest // 90 % 4 if abs(degrees - nearest) <= 1 else 0


def _picture(stream: Any, quarters: int) -> Picture:
    context = stream.codec_context
    width, height = context.width, context.height
    aspect = Fraction(width, height) * Fraction(stream.sample_aspect_ratio or 1)
    return Picture(height, width, 1 / aspect) if quarters % 2 else Picture(width, height, aspect)


def _geometry(picture: Picture, wanted: Wanted) -> tuple[int, int, Fraction]:
    """Width and height of the copy, and the shape of its pixels."""
    width, height = wanted.size
    if width is None and height is None:
        width, height = picture.width, picture.height
        aspect = picture.aspect * Fraction(height, width)
    else:
        width = _even(float(height * picture.aspect)) if width is None and height else width or 0
        height = _even(float(width / picture.aspect)) if height is None else height
        aspect = Fraction(1)
    if width % 2 or height % 2:
        raise CannotConvert(
            1040,
            f"Invalid resolution [{width} x {height}], only even values are supported. video_description [1].",
            f"a copy of {width} × {height} pixels can't be made: H.264 takes even numbers only",
        )
    return width, height, aspect.limit_denominator(255)


def _turned(quarters: int) -> list[tuple[str, str]]:
    turns = {0: [], 1: [("transpose", "clock")], 2: [("hflip", ""), ("vflip", "")], 3: [("transpose", "cclock")]}
    return turns[quarters]


def _limited(frame: Any) -> list[tuple[str, str]]:
    """Brightness in H.264's usual range, as phones' and webcams' videos need not have it."""
    full = frame.color_range == FULL_RANGE and not frame.format.is_rgb
    return [("scale", "in_range=full:out_range=limited")] if full else []


def _scaled(picture: Picture, wanted: Wanted, width: int, height: int) -> list[tuple[str, str]]:
    if (picture.width, picture.height) == (width, height):
        return []
    scale = f"{width}:{height}"
    if wanted.fit == "stretch" or wanted.size == (None, None) or None in wanted.size:
        return [("scale", scale)]
    by_width = (width, _even(float(width / picture.aspect)))
    by_height = (_even(float(height * picture.aspect)), height)
    wider = picture.aspect > Fraction(width, height)
    if wanted.fit == "crop":
        inner = by_height if wider else by_width
        return [("scale", f"{max(width, inner[0])}:{max(height, inner[1])}"), ("crop", scale)]
    inner = by_width if wider else by_height
    return [("scale", f"{min(width, inner[0])}:{min(height, inner[1])}"), ("pad", f"{scale}:-1:-1")]


def _rate(stream: Any) -> Fraction:
    """The lowest constant rate at which every picture is shown at its own time (FFmpeg's guess), if it is one that
    cameras have; else the average."""
    average = Fraction(stream.average_rate or stream.guessed_rate or 0)
    exact = Fraction(stream.base_rate or 0)
    if not 0 < average <= MOST_RATE:
        raise CannotConvert(
            1040,
            "Frame rate is set to follow, but there is no frame rate information in the input stream info",
            "it does not say how many frames a second it has",
        )
    rate = exact if average <= exact <= MOST_EXACT_RATE else average
    near = min(COMMON_RATES, key=lambda common: abs(common - rate))
    return near if abs(near - rate) < rate / 200 else rate.limit_denominator(1001)


def _seconds(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _time(frame: Any) -> Fraction | None:
    return None if frame.pts is None or not frame.time_base else frame.pts * Fraction(frame.time_base)


def _even(number: float) -> int:
    return max(2, 2 * round(number / 2))


def _cut_off(size: int) -> CannotConvert:
    return CannotConvert(
        1076,
        f"Demuxer: [ReadPacketData File read failed - end of file hit at length [{size}]. Is file truncated?]",
        "the file is cut off: its header promises more than there is",
    )


def _plain(error: av.error.FFmpegError) -> Exception:
    """An error of FFmpeg's as what it means: one of the files (OSError), or the source's content."""
    if isinstance(error, av.error.InvalidDataError | av.error.PatchWelcomeError | av.error.DecoderNotFoundError):
        return CannotConvert(
            1030, f"Unsupported video input: [{error.strerror}]", f"it can't be read ({error.strerror})"
        )
    if error.errno in OF_THE_SYSTEM:
        return OSError(error.errno, error.strerror)
    return CannotConvert(
        1999, f"Unexpected transcoding error: {error.strerror}", f"it can't be read ({error.strerror})"
    )
