"""The header reader, beside PyAV's own answer for files that PyAV writes, and with files that lie."""

import os
import random
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lambdas.model.mkv_avi import DURATION, INFO, SEGMENT, TRACKS
from lambdas.model.pieces import MOST_BYTES, MOST_READS, PIECE
from lambdas.model.video_header import VideoHeader, read_header
from tests.rekognition_local import videos

FAST = {"preset": "ultrafast", "g": "10"}
REORDERED = {"preset": "medium", "g": "10"}  # with B-frames
HEVC = {"preset": "ultrafast", "x265-params": "log-level=none"}


class Reads:
    """A file's bytes, and what was read of them: never more than is allowed, never beyond its end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.number = self.bytes = 0

    def __call__(self, offset: int, length: int) -> bytes:
        self.number += 1
        self.bytes += length
        assert 0 <= offset < offset + length <= len(self.content)
        assert self.number <= MOST_READS
        assert self.bytes <= MOST_BYTES
        return self.content[offset : offset + length]


def read(content: bytes) -> VideoHeader | None:
    return read_header(Reads(content), len(content))


def known(content: bytes) -> VideoHeader:
    header = read(content)
    assert header
    return header


def made(
    path: Path,
    codec: str = "libx264",
    *,
    frames: int = 60,
    rate: Fraction | int = 30,
    size: tuple[int, int] = (320, 180),
    pixels: str = "yuv420p",
    sound: str = "",
    sound_first: bool = False,
    flags: str = "",
    options: dict[str, str] | None = None,
    form: str | None = None,
    rotation: int = 0,
    times: list[int] | None = None,
) -> Path:
    """A video that PyAV writes. `flags` are FFmpeg's movflags, `times` milliseconds."""
    scheduling = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None
    with av.open(str(path), "w", format=form, options={"movflags": flags} if flags else {}) as container:
        heard: Any = container.add_stream(sound, rate=48000, layout="mono") if sound and sound_first else None
        seen: Any = container.add_stream(codec, rate=rate, options=options or {})
        (seen.width, seen.height), seen.pix_fmt = size, pixels
        if rotation:
            seen.set_display_rotation(rotation)
        if sound and not heard:
            heard = container.add_stream(sound, rate=48000, layout="mono")
        if times:
            seen.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), number * 3 % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(seen.encode(frame))
        container.mux(seen.encode())
        if heard:
            silence = np.zeros((1, int(48000 * frames / rate)), np.float32)
            tone = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            tone.sample_rate = 48000
            container.mux(heard.encode(tone))
            container.mux(heard.encode())
    if scheduling is not None:
        # SVT-AV1 gives root's threads real-time priority for good: in two workers on two processors they wait for
        # threads of other encoders that then never run.
        os.sched_setscheduler(0, scheduling, os.sched_param(0))
    return path


KINDS: dict[str, dict[str, Any]] = {
    "index-at-the-end.mp4": {"options": FAST},
    "index-in-front.mp4": {"options": FAST, "flags": "faststart", "sound": "aac"},
    "reordered.mp4": {"options": REORDERED},
    "sound-first.mp4": {"options": FAST, "sound": "aac", "sound_first": True},
    "quicktime.mov": {"options": FAST, "sound": "aac"},
    "ntsc.mov": {"options": FAST, "rate": Fraction(30000, 1001)},
    "varying.mp4": {"options": FAST, "frames": 20, "times": [number * number * 20 for number in range(20)]},
    "odd-size.mp4": {"options": FAST, "size": (322, 178)},
    "phone.3gp": {"options": FAST},
    "hevc-upright.mov": {"codec": "libx265", "options": HEVC, "rotation": 90},
    "hevc-other-side.mp4": {"codec": "libx265", "options": HEVC, "rotation": -90},
    "upside-down.mp4": {"options": FAST, "rotation": 180},
    "av1.mp4": {"codec": "libsvtav1", "frames": 10},
    "vp9.mp4": {"codec": "libvpx-vp9", "frames": 10},
    "mpeg4.mp4": {"codec": "mpeg4", "rate": 25},
    "mpeg2.mp4": {"codec": "mpeg2video", "rate": 25},
    "mjpeg.mov": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "prores.mov": {"codec": "prores_ks", "pixels": "yuv422p10le", "frames": 5},
    "dnxhd.mov": {
        "codec": "dnxhd", "pixels": "yuv422p", "frames": 3, "rate": 25, "size": (1920, 1080), "options": {"b": "120M"},
    },
    "fragments.mp4": {"options": FAST, "flags": "frag_keyframe+empty_moov"},
    "fragments-after-samples.mp4": {"options": FAST, "flags": "frag_keyframe"},
    "fragments-of-two-tracks.mp4": {
        "options": FAST, "flags": "frag_keyframe+empty_moov+default_base_moof", "sound": "aac",
    },
    "fragments-reordered.mp4": {"options": REORDERED, "flags": "frag_keyframe+empty_moov"},
    "fragments-delayed.mp4": {"options": REORDERED, "flags": "frag_keyframe+empty_moov+delay_moov"},
    "cmaf.mp4": {"options": REORDERED, "flags": "cmaf+frag_keyframe", "sound": "aac"},
    "dash.mp4": {"options": FAST, "flags": "dash+frag_keyframe"},
    "dash-one-index.mp4": {"options": FAST, "flags": "dash+frag_keyframe+global_sidx"},
    "many-fragments.mp4": {
        "options": FAST, "flags": "frag_keyframe+empty_moov", "frames": 3000, "size": (64, 64),
    },
    "many-fragments-one-index.mp4": {
        "options": FAST, "flags": "dash+frag_keyframe+global_sidx", "frames": 3000, "size": (64, 64),
    },
}  # fmt: skip

OTHERS = {
    "matroska": ("x.mkv", {"options": FAST}),
    "webm": ("x.webm", {"codec": "libvpx-vp9", "frames": 10}),
    "avi": ("x.avi", {"codec": "mpeg4", "rate": 25}),
    "mpeg": ("x.mpg", {"codec": "mpeg2video", "rate": 25}),
    "mpegts": ("x.ts", {"options": FAST}),
    "flv": ("x.flv", {"options": FAST}),
    "asf": ("x.wmv", {"codec": "wmv2", "form": "asf", "rate": 25}),
    "mxf": ("x.mxf", {"codec": "mpeg2video", "rate": 25}),
    "ivf": ("x.ivf", {"codec": "libvpx", "frames": 5}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def plain(folder: Path) -> bytes:
    """Two seconds of H.264 in MP4, the index at the end."""
    return made(folder / "plain.mp4", options=FAST).read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_any_kind_is_read_as_pyav_reads_it(folder: Path, name: str) -> None:
    path = made(folder / name, **KINDS[name])

    content = path.read_bytes()
    reads = Reads(content)
    header = read_header(reads, len(content))

    assert header
    assert reads.number <= 3
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame: Any = next(container.decode(video=0))
        assert header.container == ("mov" if path.suffix == ".mov" else "mp4")
        assert header.codec == stream.codec_context.codec.canonical_name
        assert header.seconds == pytest.approx(float((stream.duration or 0) * (stream.time_base or 0)), abs=0.05)
        assert header.seconds == pytest.approx((container.duration or 0) / 1e6, abs=0.08)  # sound may last longer
        assert (header.width, header.height) == (stream.width, stream.height)
        assert header.rotation == -frame.rotation % 360
        assert header.rate == pytest.approx(float(stream.average_rate or 0), rel=0.001)
    assert header.video is True
    assert not header.encrypted


@pytest.mark.parametrize("container", OTHERS)
def test_another_container_is_known_by_its_first_bytes(folder: Path, container: str) -> None:
    name, form = OTHERS[container]

    header = known(made(folder / name, **form).read_bytes())

    assert header.container == container
    assert "Rekognition reads MP4 and MOV. Convert it (or set `convert`): ffmpeg -i IN" in header.trouble
    assert header.convertible


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("h264.mkv", {"options": REORDERED, "sound": "aac"}),
        ("hevc.mkv", {"codec": "libx265", "options": HEVC, "sound": "aac", "sound_first": True}),
        ("large.mkv", {"codec": "mpeg4", "options": {"qscale": "1"}, "size": (640, 360)}),
        ("vp8.webm", {"codec": "libvpx", "frames": 10, "sound": "libopus"}),
        ("vp9.webm", {"codec": "libvpx-vp9", "frames": 10}),
        ("av1.webm", {"codec": "libsvtav1", "frames": 10}),
        ("mpeg4.avi", {"codec": "mpeg4", "rate": 25}),
        ("h264.avi", {"options": FAST, "rate": Fraction(30000, 1001)}),
        ("sound-first.avi", {"codec": "mjpeg", "pixels": "yuvj420p", "sound": "mp2", "sound_first": True}),
    ],
)
def test_matroska_and_avi_are_read_as_pyav_reads_them(folder: Path, name: str, form: dict[str, Any]) -> None:
    content = made(folder / f"others-{name}", **form).read_bytes()

    reads = Reads(content)
    header = read_header(reads, len(content))

    assert header
    assert reads.number == 1
    with av.open(str(folder / f"others-{name}")) as container:
        stream = container.streams.video[0]
        assert header.codec == stream.codec_context.codec.canonical_name
        assert header.seconds == pytest.approx((container.duration or 0) / 1e6, abs=0.05)
        assert (header.width, header.height) == (stream.width, stream.height)
        assert header.rate == pytest.approx(float(stream.average_rate or 0), rel=0.001)
    assert header.convertible == (name != "h264.avi")  # AWS's pages disagree on AVI: Rekognition is asked


def test_matroska_and_avi_without_a_video_track_are_not_convertible(folder: Path) -> None:
    for name in ("sound.mka", "sound.avi"):
        with av.open(str(folder / name), "w", format=None if name.endswith("avi") else "matroska") as container:
            heard: Any = container.add_stream("mp2", rate=48000, layout="mono")
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
            tone.sample_rate = 48000
            container.mux(heard.encode(tone))
            container.mux(heard.encode())

        header = known((folder / name).read_bytes())

        assert header.video is False
        assert not header.convertible


@pytest.mark.parametrize(
    ("first", "container"),
    [
        (b"RIFF\0\0\0\0WAVE", "wav"),
        (b"RIFF\0\0\0\0WEBP", "webp"),
        (b"ID3\x04\0", "mp3"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe1", "jpeg"),
        (b"GIF89a", "gif"),
        (b"fLaC", "flac"),
        (b"\0\0\0\x18ftypheic", "heif"),
    ],
)
def test_sound_and_pictures_are_no_videos(first: bytes, container: str) -> None:
    header = known(first + bytes(100))

    assert header.container == container
    assert header.video is False
    assert header.trouble.startswith("it has no video track (")
    assert not header.convertible


class TestTheTrouble:
    def test_of_hevc_names_it_and_the_command_that_helps(self, folder: Path) -> None:
        header = known(videos.hevc(folder).read_bytes())

        assert header.trouble == (
            "its codec is hevc; Rekognition reads H.264. Convert it (or set `convert`): "
            "ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p -c:a aac OUT.mp4"
        )
        assert header.convertible

    def test_of_a_film_of_seven_hours_is_its_length(self) -> None:
        header = VideoHeader("mp4", "h264", 7 * 3600 + 61, video=True)

        assert header.trouble.startswith("it is 7:01:01 long; Rekognition takes up to 6 hours. Cut it")
        assert "-segment_time" in header.trouble
        assert not header.convertible

    def test_of_a_film_of_seven_hours_in_hevc_is_not_solved_by_a_conversion(self) -> None:
        assert not VideoHeader("mp4", "hevc", 7 * 3600, video=True).convertible

    def test_is_none_of_six_hours(self) -> None:
        header = VideoHeader("mp4", "h264", 6 * 3600, video=True)

        assert (header.minutes, header.trouble) == (360, "")

    def test_of_a_file_without_a_video_track_is_that(self, folder: Path) -> None:
        header = known(videos.sound_only(folder).read_bytes())

        assert header.video is False
        assert header.trouble == "it has no video track (MP4)"
        assert not header.convertible

    def test_of_an_encrypted_video_is_not_solved_by_a_conversion(self, plain: bytes) -> None:
        header = known(plain.replace(b"avc1", b"encv").replace(b"isomiso2encv", b"isomiso2avc1"))

        assert header.encrypted
        assert header.trouble.startswith("it is encrypted (DRM)")
        assert not header.convertible

    @pytest.mark.parametrize("header", [VideoHeader(""), VideoHeader("mp4"), VideoHeader("mp4", video=True)])
    def test_is_none_where_the_header_leaves_it_open(self, header: VideoHeader) -> None:
        assert header.trouble == ""
        assert not header.convertible

    def test_is_none_of_a_codec_that_is_not_known(self, plain: bytes) -> None:
        header = known(plain.replace(b"avc1\0\0\0\0", b"ABCD\0\0\0\0"))

        assert (header.codec, header.trouble) == ("", "")


def test_what_is_stored_is_read_back_and_what_is_not_known_is_left_out(plain: bytes) -> None:
    header = known(plain)

    assert VideoHeader.from_item({**header.as_item, "of_a_later_release": 1}) == header
    assert VideoHeader("").as_item == {"container": "", "video": None}
    assert header.words == "0:00:02 of h264 in MP4, 320x180, 30 frames a second"
    assert VideoHeader("mov", rotation=90).words == "unknown length of an unknown codec in MOV, turned by 90 degrees"


@pytest.mark.parametrize("content", [b"", b"1", b"a video", b"This is not a video.\n" * 100, bytes(5000)])
def test_what_is_no_video_has_no_header(content: bytes) -> None:
    assert read(content) is None


def test_of_a_few_bytes_nothing_is_read() -> None:
    def never(offset: int, length: int) -> bytes:
        raise AssertionError

    assert read_header(never, 15) is None


def test_an_error_of_the_file_is_not_swallowed() -> None:
    def broken(offset: int, length: int) -> bytes:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        read_header(broken, 1000)


# The form of the file. Boxes are built and changed by hand where FFmpeg doesn't write them.


def box(kind: bytes, *content: bytes, size: int | None = None) -> bytes:
    body = b"".join(content)
    return (8 + len(body) if size is None else size).to_bytes(4) + kind + body


def number(value: int, width: int = 4) -> bytes:
    return (value % (1 << 8 * width)).to_bytes(width)


def movie(*tracks: bytes, seconds: int = 10, extra: bytes = b"") -> bytes:
    head = bytes(12) + number(1000) + number(seconds * 1000) + bytes(10 + 6) + MATRIX + bytes(28)
    return box(b"moov", box(b"mvhd", head), *tracks, extra)


MATRIX = b"".join(map(number, (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)))


def track(
    *,
    codec: bytes = b"avc1",
    handler: bytes = b"vide",
    enabled: bool = True,
    scale: int = 1000,
    duration: int = 10_000,
    samples: tuple[tuple[int, int], ...] = ((250, 40),),
    edits: tuple[tuple[int, int], ...] = (),
    wide: bool = False,
    entry: bytes = b"",
    before: bytes = b"",
) -> bytes:
    width = 8 if wide else 4
    flags = number(wide, 1) + number(enabled, 3)
    times = bytes(2 * width)
    tkhd = flags + times + number(1) + bytes(4 + width + 16) + MATRIX + number(640 << 16) + number(360 << 16)
    mdhd = flags + times + number(scale) + number(duration, width) + bytes(4)
    elst = flags + number(len(edits)) + b"".join(number(a, width) + number(b, width) + number(1) for a, b in edits)
    stsd = bytes(4) + number(1) + box(codec, bytes(24), number(640, 2), number(360, 2), bytes(50), entry)
    stts = bytes(4) + number(len(samples)) + b"".join(number(a) + number(b) for a, b in samples)
    return box(
        b"trak",
        box(b"tkhd", tkhd),
        box(b"edts", box(b"elst", elst)) if edits else b"",
        before,
        box(
            b"mdia",
            box(b"mdhd", mdhd),
            box(b"hdlr", bytes(8), handler, bytes(12)),
            box(b"minf", box(b"stbl", box(b"stsd", stsd), box(b"stts", stts))),
        ),
    )


FTYP = box(b"ftyp", b"isom", number(512), b"isomavc1")


def mp4(*tracks: bytes, **more: Any) -> bytes:
    """An MP4 whose index is in front; long enough for the length it says."""
    return FTYP + movie(*tracks, **more) + box(b"mdat", bytes(100_000))


class Sparse:
    """A file of many bytes, of which a few are not 0."""

    def __init__(self, size: int, **parts: bytes) -> None:
        self.size, self.parts = size, {int(at[1:]): content for at, content in parts.items()}
        self.number = self.bytes = 0

    def __call__(self, offset: int, length: int) -> bytes:
        self.number += 1
        self.bytes += length
        assert offset + length <= self.size
        data = bytearray(length)
        for at, content in self.parts.items():
            for place in range(max(at, offset), min(at + len(content), offset + length)):
                data[place - offset] = content[place - at]
        return bytes(data)


class TestTheForm:
    def test_boxes_of_64_bits(self) -> None:
        mdat = number(1) + b"mdat" + number(6_000_000_000, 8)
        index = movie(track(wide=True))
        at = len(FTYP) + 6_000_000_000
        file = Sparse(at + len(index), **{"_0": FTYP + mdat, f"_{at}": index})

        header = read_header(file, file.size)

        assert header
        assert (header.codec, header.seconds, header.rate) == ("h264", 10, 25)
        assert file.number == 2
        assert file.bytes <= 2 * PIECE

    def test_an_index_of_64_bits(self) -> None:
        index = movie(track())[8:]

        assert known(FTYP + number(1) + b"moov" + number(16 + len(index), 8) + index + bytes(10_000)).seconds == 10

    def test_a_box_that_claims_to_be_larger_than_what_it_is_in(self) -> None:
        """What follows the index is not taken for a part of it."""
        endless = box(b"trak", size=1 << 31)

        header = known(FTYP + movie(endless) + track(codec=b"hvc1")[8:])

        assert (header.codec, header.video) == ("", None)

    def test_the_whole_movie_may_be_turned(self, plain: bytes, tmp_path: Path) -> None:
        """Beside PyAV's answer."""
        turned = b"".join(map(number, (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)))
        for content in (plain.replace(MATRIX, turned, 1), plain.replace(MATRIX, turned)):
            (tmp_path / "x.mp4").write_bytes(content)
            with av.open(str(tmp_path / "x.mp4")) as container:
                frame: Any = next(container.decode(video=0))
                assert known(content).rotation == -frame.rotation % 360 != 0

    def test_a_last_frame_that_stays_does_not_change_the_rate(self) -> None:
        header = known(mp4(track(samples=((249, 40), (1, 2040)))))

        assert (header.rate, header.seconds) == (25, 12)

    def test_a_last_box_without_a_size(self) -> None:
        content = FTYP + movie(track()) + box(b"mdat", bytes(50_000), size=0)
        header = known(content)

        assert header.seconds == 10

    def test_an_index_without_a_size_is_the_rest_of_the_file(self) -> None:
        index = movie(track())

        assert known(FTYP + box(b"mdat", bytes(50_000)) + number(0) + index[4:]).seconds == 10

    def test_quicktime_without_ftyp(self) -> None:
        header = known(box(b"wide") + box(b"mdat", bytes(50_000)) + movie(track()))

        assert (header.container, header.codec, header.trouble) == ("mov", "h264", "")

    def test_an_index_of_200_megabytes_is_walked_by_its_boxes_heads(self) -> None:
        """Thumbnails and tables of 200 MB, before what is looked for and behind it."""
        large = 50 << 20
        whole = movie(track(before=b"@@@@"), extra=b"")
        head, tail = whole.split(b"@@@@")
        size = len(whole) + 4 * large
        start = len(FTYP)
        first = FTYP + number(size - 4) + head[4:]
        at = start + len(head)
        parts = {"_0": first}
        for _ in range(3):
            parts[f"_{at}"] = number(large) + b"free"
            at += large
        parts[f"_{at}"] = tail
        # The track grows by what is put into it.
        place = first.index(b"trak") - 4
        grown = number(int.from_bytes(first[place : place + 4]) - 4 + 3 * large)
        parts["_0"] = first[:place] + grown + first[place + 4 :]
        end = at + len(tail)
        parts[f"_{end}"] = number(large) + b"udta"
        file = Sparse(start + size - 4, **parts)

        header = read_header(file, file.size)

        assert header
        assert (header.codec, header.seconds, header.video) == ("h264", 10, True)
        assert file.number <= 7

    def test_the_first_enabled_video_track_counts(self) -> None:
        chapters = track(codec=b"jpeg", enabled=False)
        sound = track(codec=b"mp4a", handler=b"soun", duration=99_000)

        header = known(mp4(sound, chapters, track(codec=b"hvc1"), track()))

        assert header.codec == "hevc"

    def test_a_disabled_video_track_counts_where_there_is_no_other(self) -> None:
        assert known(mp4(track(enabled=False))).codec == "h264"

    def test_a_file_with_sound_and_timecode_has_no_video(self) -> None:
        header = known(mp4(track(handler=b"soun"), track(handler=b"tmcd")))

        assert header.video is False

    @pytest.mark.parametrize("handler", [b"MPEG", b"pict", b"????"])
    def test_a_track_of_a_kind_that_is_not_known_leaves_it_open(self, handler: bytes) -> None:
        assert known(mp4(track(handler=b"soun"), track(handler=handler))).video is None

    def test_an_index_that_is_cut_off_leaves_it_open_whether_there_is_a_video(self) -> None:
        whole = FTYP + movie(track(handler=b"soun"), track())

        assert known(whole[: len(FTYP) + 500]).video is None
        assert known(whole[: whole.rindex(b"trak") - 4]).video is None

    def test_only_the_original_codec_of_an_encrypted_track_is_told(self) -> None:
        entry = box(b"sinf", box(b"frma", b"hvc1"), box(b"schm", bytes(12)))

        header = known(mp4(track(codec=b"encv", entry=entry)))

        assert (header.codec, header.encrypted) == ("hevc", True)

    @pytest.mark.parametrize(
        ("kind", "codec"), [(0x20, "mpeg4"), (0x61, "mpeg2video"), (0x6C, "mjpeg"), (0x21, "h264"), (0xFF, "")]
    )
    def test_an_mp4v_track_says_its_codec_in_its_descriptor(self, kind: int, codec: str) -> None:
        """With a length of four bytes, as Apple writes it, and all the optional fields."""
        config = b"\x04\x80\x80\x80\x0d" + number(kind, 1) + bytes(12)
        descriptor = b"\x03\x80\x80\x80\x30" + bytes(2) + b"\xe0" + bytes(2) + b"\x03url" + bytes(2) + config

        assert known(mp4(track(codec=b"mp4v", entry=box(b"esds", bytes(4), descriptor)))).codec == codec


FRAGMENTED = movie(track(duration=0, samples=()), extra=box(b"mvex", box(b"trex", bytes(4), number(1), bytes(16))))
FRAGMENT = box(  # a frame that lasts a second
    b"moof",
    box(b"mfhd", bytes(8)),
    box(b"traf", box(b"tfhd", bytes(4), number(1)), box(b"trun", number(0x100), number(1), number(1000))),
) + box(b"mdat", bytes(PIECE))


def sidx(size: int, seconds: int, *, begin: int = 0, of: int = 1, nested: bool = False) -> bytes:
    """An index of the `size` bytes that follow, in two entries; they may be indexes themselves."""
    entries = b"".join(
        number(part | nested << 31) + number(time * 90_000) + bytes(4)
        for part, time in ((size // 2, seconds // 2), (size - size // 2, seconds - seconds // 2))
    )
    times = number(begin * 90_000, 8) + bytes(8)
    return box(b"sidx", number(1 << 24), number(of), number(90_000), times, bytes(2), number(2, 2), entries)


class TestTheLength:
    def test_is_what_the_edits_play(self, plain: bytes, tmp_path: Path) -> None:
        """Beside PyAV's answer."""
        at = plain.index(b"elst") + 12
        shorter = plain[:at] + number(1500) + plain[at + 4 :]
        (tmp_path / "x.mp4").write_bytes(shorter)

        header = known(shorter)

        with av.open(str(tmp_path / "x.mp4")) as container:
            assert (container.duration or 0) / 1e6 == pytest.approx(header.seconds, abs=0.05)
        assert header.seconds == 1.5

    @pytest.mark.parametrize(
        ("edits", "seconds"),
        [
            (((4000, 0), (3000, 5000)), 7),
            (((2000, -1), (4000, 0)), 4),  # a pause, in which no frame is shown
            (((0, 0),), 10),  # to the end
            (((99_000, 0),), 10),  # more than there is
            (((4_000_000_000, 0), (4_000_000_000, 0)), 20),
        ],
    )
    def test_of_edits_of_every_kind(self, edits: tuple[tuple[int, int], ...], seconds: float) -> None:
        for wide in (False, True):
            assert known(mp4(track(edits=edits, wide=wide))).seconds == seconds

    def test_of_a_negative_or_unknown_duration_is_that_of_the_samples(self) -> None:
        for duration in (-1, -5000, 0):
            for wide in (False, True):
                assert known(mp4(track(duration=duration, wide=wide))).seconds == 10

    def test_of_a_large_file_that_does_not_say_it_is_not_known(self) -> None:
        for wide in (False, True):
            content = FTYP + movie(track(duration=-1, samples=(), wide=wide)) + number(1) + b"mdat" + number(1 << 40, 8)
            file = Sparse(1 << 40, _0=content)

            header = read_header(file, file.size)

            assert header
            assert header.seconds == 0

    def test_that_is_negative_and_has_no_samples_is_not_known(self) -> None:
        for duration in (-1, -5000):
            for wide in (False, True):
                header = known(mp4(track(duration=duration, samples=(), wide=wide)))
                assert (header.seconds, header.trouble) == (0, "")

    def test_of_a_track_without_samples_is_not_known(self) -> None:
        header = known(mp4(track(duration=0, samples=()), seconds=0))

        assert (header.seconds, header.rate, header.trouble) == (0, 0, "")

    def test_without_a_time_scale_is_not_known(self) -> None:
        header = known(mp4(track(scale=0)))

        assert (header.seconds, header.rate) == (0, 0)

    def test_of_many_fragments_without_an_index_is_not_known(self) -> None:
        """Each fragment is another read: only the first ones are looked at."""
        few, many = known(FTYP + FRAGMENTED + 3 * FRAGMENT), known(FTYP + FRAGMENTED + 30 * FRAGMENT)

        assert (few.seconds, few.rate) == (3, 1)
        assert (many.seconds, many.trouble) == (0, "")

    def test_of_many_fragments_is_that_of_their_indexes(self) -> None:
        """One index for all, one for each half behind each other, and one of another track before them."""
        half = 15 * FRAGMENT
        other = sidx(30 * len(FRAGMENT), 99, of=2)
        for content in (
            sidx(2 * len(half), 30) + half + half,
            sidx(len(half), 15, nested=True) + half + sidx(len(half), 15, begin=15) + half,
            other + sidx(2 * len(half), 30, nested=True) + half + half,
        ):
            assert known(FTYP + FRAGMENTED + content).seconds == 30

    @pytest.mark.parametrize("size", [0, 7, 100, 1 << 31, (1 << 32) - 1])
    def test_of_fragments_does_not_need_the_index_at_the_end_that_lies(self, size: int) -> None:
        lie = box(b"mfra", box(b"mfro", bytes(4), number(size)))

        assert known(FTYP + FRAGMENTED + 3 * FRAGMENT + lie).seconds == 3

    def test_of_a_live_recording_begins_where_its_first_fragment_begins(self) -> None:
        fragments = b"".join(
            box(
                b"moof",
                box(
                    b"traf",
                    box(b"tfhd", number(0x000008), number(1), number(500)),
                    box(b"tfdt", number(1 << 24), number(1_795_000_000_000 + second * 1000, 8)),
                    box(b"trun", number(0), number(2)),
                ),
            )
            for second in range(4)
        )

        header = known(FTYP + FRAGMENTED + fragments)

        assert (header.seconds, header.rate) == (4, 2)

    def test_of_fragments_is_said_by_their_header(self) -> None:
        mehd = box(b"mehd", number(1 << 24), number(3_600_000, 8))
        index = movie(track(duration=0, samples=()), extra=box(b"mvex", mehd))

        assert known(FTYP + index + box(b"moof") + box(b"mdat", bytes(10_000))).seconds == 3600


def element(name: bytes | str, *content: bytes, size: int | None = None) -> bytes:
    """An EBML element; the size is written in eight bytes."""
    body = b"".join(content)
    kind = bytes.fromhex(name) if isinstance(name, str) else name
    return kind + number((1 << 56) | (len(body) if size is None else size), 8) + body


UNKNOWN_SIZE = (1 << 56) - 1


def matroska(*tracks: bytes, duration: float = 4000.0, size: int | None = None) -> bytes:
    info = element(INFO, element(DURATION, struct.pack(">d", duration)))
    segment = element(SEGMENT, info, element(TRACKS, *tracks), element("1f43b675", bytes(10_000)), size=size)
    return element("1a45dfa3", element("4282", b"matroska")) + segment


def entry(kind: int, codec: str, height: int = 360) -> bytes:
    picture = element("e0", element("b0", number(640, 2)), element("ba", number(height, 2)))
    return element("ae", element("83", number(kind, 1)), element("86", codec.encode()), picture)


def avi(*streams: bytes, size: int | None = None) -> bytes:
    content = b"AVI " + riff(b"LIST", b"hdrl", riff(b"avih", bytes(56)), *streams, size=size)
    return riff(b"RIFF", content + riff(b"LIST", b"movi", bytes(10_000)))


def riff(kind: bytes, *content: bytes, size: int | None = None) -> bytes:
    body = b"".join(content)
    return kind + (len(body) if size is None else size).to_bytes(4, "little") + body + bytes(len(body) % 2)


def stream(kind: bytes, codec: bytes, height: int = 360, count: int = 100) -> bytes:
    about = kind + bytes(16) + struct.pack("<4I", 1, 25, 0, count) + bytes(24)
    form = struct.pack("<Iii", 40, 640, height) + bytes(4) + codec + bytes(20)
    return riff(b"LIST", b"strl", riff(b"strn", b"odd"), riff(b"strh", about), riff(b"strf", form))


class TestMatroska:
    def test_of_a_live_recording_has_segments_of_unknown_size(self) -> None:
        assert known(matroska(entry(1, "V_MPEGH/ISO/HEVC"), size=UNKNOWN_SIZE)).codec == "hevc"

    def test_is_the_first_video_track(self) -> None:
        header = known(matroska(entry(2, "A_AAC"), entry(1, "V_AV1"), entry(1, "V_VP9", height=720)))

        assert (header.codec, header.height, header.seconds) == ("av1", 360, 4)

    def test_that_is_cut_off_leaves_it_open_whether_there_is_a_video(self) -> None:
        content = matroska(entry(2, "A_AAC"), entry(1, "V_AV1"))

        assert known(matroska(entry(2, "A_AAC"))).video is False
        assert known(content[: content.index(entry(1, "V_AV1"))]).video is None

    @pytest.mark.parametrize("duration", [-5.0, 1e300, float("inf"), float("nan")])
    def test_that_lies_about_its_length_has_none(self, duration: float) -> None:
        assert known(matroska(entry(1, "V_AV1"), duration=duration)).seconds == 0


class TestAvi:
    def test_may_be_stored_from_top_to_bottom_and_has_its_codec_in_any_case(self) -> None:
        header = known(avi(stream(b"auds", b""), stream(b"vids", b"xvid", height=-360)))

        assert (header.codec, header.height, header.seconds, header.rate) == ("mpeg4", 360, 4, 25)

    def test_that_is_cut_off_leaves_it_open_whether_there_is_a_video(self) -> None:
        assert known(avi(stream(b"auds", b""))).video is False
        assert known(avi(stream(b"auds", b""), size=1 << 20)).video is None

    def test_that_lies_about_its_length_has_none(self) -> None:
        assert known(avi(stream(b"vids", b"XVID", count=(1 << 32) - 1))).seconds == 0


@pytest.fixture(scope="module")
def whole(folder: Path) -> list[bytes]:
    """A file of each kind."""
    names = [name for name in KINDS if KINDS[name].get("size", (64, 64))[0] < 1000]
    paths = [folder / name if (folder / name).exists() else made(folder / name, **KINDS[name]) for name in names]
    others = [made(folder / f"whole-{name}", **form) for name, form in OTHERS.values()]
    return [path.read_bytes() for path in [*paths, *others]] + [mp4(track(), track(handler=b"soun"))]


class TestHostileFiles:
    """10,000 files: nothing raises, nothing is read that isn't there, and never more than is allowed."""

    @staticmethod
    def check(files: Callable[[random.Random], bytes], number: int, seed: int) -> None:
        dice = random.Random(seed)
        began = time.process_time()
        for _ in range(number):
            header = read(files(dice))
            if header:
                assert VideoHeader.from_item(header.as_item) == header
                assert (header.trouble == "") <= (not header.convertible)
                assert header.minutes >= 0
                assert header.rotation in (0, 90, 180, 270)
                assert header.words
        assert time.process_time() - began < 20

    def test_of_any_bytes(self) -> None:
        heads = [b"", FTYP, box(b"moov", size=1 << 20), b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI "]
        self.check(lambda dice: dice.choice(heads) + dice.randbytes(dice.randrange(300)), 3000, 1)

    def test_of_boxes_in_any_order_with_any_size(self) -> None:
        kinds = [
            b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl",
            b"stsd", b"stts", b"mvex", b"mehd", b"trex", b"moof", b"traf", b"tfhd", b"trun", b"sidx", b"mfra", b"mdat",
        ]  # fmt: skip

        def nested(dice: random.Random, depth: int = 0) -> bytes:
            inner = b"".join(nested(dice, depth + 1) for _ in range(dice.randrange(4))) if depth < 5 else b""
            body = inner or dice.randbytes(dice.randrange(60))
            sizes = [None] * 6 + [0, 1, 7, 8, 1 << 31, (1 << 32) - 1, dice.randrange(200)]
            return box(dice.choice(kinds), body, size=dice.choice(sizes))

        self.check(lambda dice: FTYP + b"".join(nested(dice) for _ in range(3)), 2000, 2)

    def test_with_bytes_changed(self, whole: list[bytes]) -> None:
        def changed(dice: random.Random) -> bytes:
            content = bytearray(dice.choice(whole))
            for _ in range(dice.randrange(1, 20)):
                content[dice.randrange(len(content))] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
            return bytes(content)

        self.check(changed, 1500, 3)

    def test_with_boxes_changed(self, whole: list[bytes]) -> None:
        """Sizes, counts and times, where a reader could be led astray."""
        kinds = [
            b"moov", b"trak", b"stts", b"stsd", b"elst", b"mdhd", b"mvhd", b"moof", b"trun", b"tfdt", b"tfhd", b"sidx",
            b"mdat", b"tkhd", b"mfra", b"tfra", b"mfro", b"esds", b"hdlr", b"strh", b"strf", b"hdrl", SEGMENT, INFO,
            TRACKS, DURATION,
        ]  # fmt: skip

        def changed(dice: random.Random) -> bytes:
            content = bytearray(dice.choice(whole))
            for _ in range(dice.randrange(1, 6)):
                at = content.find(dice.choice(kinds)) + dice.randrange(-4, 24)
                if 4 <= at < len(content) - 4:
                    content[at : at + 4] = number(dice.choice([0, 1, 7, 8, 255, 1 << 31, -1, dice.randrange(1 << 32)]))
            return bytes(content)

        self.check(changed, 2000, 4)

    def test_that_are_cut_off(self, whole: list[bytes]) -> None:
        def cut(dice: random.Random) -> bytes:
            content = dice.choice(whole)
            return content[: dice.randrange(len(content))]

        self.check(cut, 1500, 5)

    @pytest.mark.parametrize("size", [0, 1, 2, 7])
    def test_of_a_box_that_ends_before_it_begins(self, size: int) -> None:
        read(FTYP + box(b"moov", box(b"trak", bytes(100), size=size)))
        read(FTYP + box(b"free", bytes(100), size=size) + movie(track()))

    @pytest.mark.parametrize("size", [0, 1, 8, 15, 1 << 63, (1 << 64) - 1])
    def test_of_a_box_of_64_bits_that_ends_before_it_begins_or_never(self, size: int) -> None:
        for inside in (movie(extra=number(1) + b"free" + number(size, 8)), number(1) + b"free" + number(size, 8)):
            header = known(FTYP + inside + track() * 2)

            assert (header.codec, header.video) == ("", None)

    def test_of_a_megabyte_of_empty_boxes(self) -> None:
        began = time.process_time()

        read(FTYP + box(b"moov", box(b"free") * 130_000))
        read(FTYP + box(b"free") * 130_000)
        read(bytes.fromhex("1a45dfa380") + bytes.fromhex("ec80") * 500_000)
        read(bytes.fromhex("1a45dfa38018538067ff") + bytes.fromhex("ec80") * 500_000)
        read(b"RIFF" + bytes([255] * 4) + b"AVI " + b"JUNK\0\0\0\0" * 130_000)

        assert time.process_time() - began < 1

    def test_of_a_file_that_is_shorter_than_it_was_said_to_be(self, plain: bytes) -> None:
        header = read_header(lambda offset, length: plain[:1000][offset : offset + length], len(plain))

        assert header
        assert (header.container, header.video) == ("mp4", None)
