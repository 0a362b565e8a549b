"""What a converted copy is: readable by Rekognition, the same length, the same picture at each moment, upright."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lambdas.model.video_header import read_header
from localcloud.mediaconvert.convert import CannotConvert, Picture, Wanted, convert, size_within, upright
from tests.rekognition_local import videos

X265 = {"x265-params": "log-level=none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    """When each picture is shown, and the picture."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [(float(frame.time - frames[0].time), frame.to_ndarray(format="rgb24")) for frame in frames]


def accepted(path: Path) -> bool:
    """Whether the project's own reader of headers finds nothing that Rekognition would refuse."""
    content = path.read_bytes()
    header = read_header(lambda offset, length: content[offset : offset + length], len(content))
    assert header
    assert header.codec == "h264"
    return header.trouble == "" and header.seconds > 0


def corners(width: int = 320, height: int = 180) -> np.ndarray:
    """Red at the top left, green at the top right, blue at the bottom left."""
    picture = np.full((height, width, 3), 128, np.uint8)
    half, third = height // 2, width // 3
    picture[:half, :third], picture[:half, -third:], picture[half:, :third] = (
        (230, 20, 20),
        (20, 230, 20),
        (20, 20, 230),
    )
    return picture


def strongest(picture: np.ndarray) -> list[str]:
    """The colours at the top left, the top right and the bottom left."""
    height, width = picture.shape[:2]
    places = [(height // 4, width // 8), (height // 4, width - width // 8), (height - height // 4, width // 8)]
    return ["rgb"[int(np.argmax(picture[place]))] for place in places]


def levels(numbers: Iterable[int]) -> Iterable[np.ndarray]:
    """Grey pictures, each of its own brightness."""
    return (np.full((64, 64, 3), 10 + 20 * number, np.uint8) for number in numbers)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_an_hevc_video_that_lies_on_its_side_becomes_upright_h264(tmp_path: Path, rotation: int) -> None:
    lying = np.ascontiguousarray(np.rot90(corners(), -rotation // 90))
    phone = videos.write(tmp_path / "phone.mov", [lying] * 30, codec="libx265", options=X265, rotation=rotation)

    made = convert(phone, tmp_path / "copy.mp4", Wanted())

    pictures = shown(tmp_path / "copy.mp4")
    assert accepted(tmp_path / "copy.mp4")
    assert (made.width, made.height) == (320, 180)
    assert made.seconds == pytest.approx(1.0)
    assert strongest(pictures[0][1]) == ["r", "g", "b"]
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_a_rotation_is_left_alone_when_it_is_not_wanted(folder: Path, tmp_path: Path) -> None:
    made = convert(videos.rotated(folder, 90), tmp_path / "copy.mp4", Wanted(turn=0))

    assert (made.width, made.height) == (360, 640)


KINDS = [
    *(("mkv", "libx264"), ("mkv", "libx265"), ("webm", "libvpx-vp9"), ("avi", "mpeg4"), ("wmv", "wmv2")),
    *(("mpg", "mpeg2video"), ("ts", "libx264"), ("flv", "libx264"), ("mov", "libx265")),
]


@pytest.mark.parametrize(("extension", "codec"), KINDS)
def test_every_kind_of_file_keeps_its_length_and_its_frame_rate(tmp_path: Path, extension: str, codec: str) -> None:
    options = X265 if codec == "libx265" else {}
    source = videos.write(
        tmp_path / f"a.{extension}", videos.scenery(320, 180, 50), rate=25, codec=codec, options=options
    )

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    assert accepted(tmp_path / "copy.mp4")
    assert made.rate == 25
    assert made.seconds == pytest.approx(2.0, abs=1 / 25)
    assert len(shown(tmp_path / "copy.mp4")) == 50


def test_a_varying_frame_rate_becomes_constant_with_every_picture_at_its_time(tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 240, 500, 540, 900, 1000]
    pictures = levels(range(len(times)))
    source = videos.write(tmp_path / "varying.mp4", pictures, times=times, options={"crf": "10"})

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    copy = shown(tmp_path / "copy.mp4")
    frame = float(1 / made.rate)
    assert [time for time, _ in copy] == pytest.approx([number * frame for number in range(len(copy))], abs=0.001)
    for moment in np.arange(0.01, 1.0, 0.02):
        before = max(number for number, time in enumerate(times) if time <= moment * 1000)
        level = int(next(picture for time, picture in reversed(copy) if time <= moment)[32, 32, 0])
        assert abs(level - (10 + 20 * before)) < 10, f"at {moment:.2f} s"


def test_a_clock_of_milliseconds_doesnt_make_a_constant_rate_vary(tmp_path: Path) -> None:
    source = videos.write(
        tmp_path / "a.mkv", levels([*range(10)] * 3), rate=Fraction(30000, 1001), options={"crf": "10"}
    )

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    assert made.rate == Fraction(30000, 1001)
    seen = [round((int(picture[32, 32, 0]) - 10) / 20) for _, picture in shown(tmp_path / "copy.mp4")]
    assert seen == [*range(10)] * 3


def test_a_picture_that_starts_late_starts_the_copy(tmp_path: Path) -> None:
    source = videos.write(tmp_path / "late.mkv", levels(range(3)), times=[5000, 5100, 5200])

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    assert made.seconds < 0.5
    assert len(shown(tmp_path / "copy.mp4")) <= 0.5 * made.rate


def test_parts_of_a_transport_stream_with_clocks_and_sizes_of_their_own_follow_each_other(tmp_path: Path) -> None:
    parts = [(320, 180), (160, 90), (320, 180)]
    files = [
        videos.write(tmp_path / f"{number}.ts", videos.scenery(*size, 50), rate=25) for number, size in enumerate(parts)
    ]
    source = tmp_path / "whole.ts"
    source.write_bytes(b"".join(file.read_bytes() for file in files))

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    assert made.seconds == pytest.approx(6.0, abs=0.2)
    assert {picture.shape for _, picture in shown(tmp_path / "copy.mp4")} == {(180, 320, 3)}


def test_a_wrong_time_costs_neither_days_nor_the_rest_of_the_video(tmp_path: Path) -> None:
    """One picture's time is a month away, as a flipped bit makes it."""
    times = [number * 40 if number < 20 else 2_000_000_000 + number * 40 for number in range(40)]
    source = videos.write(tmp_path / "wrong.mkv", videos.scenery(320, 180, 40), times=times)

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    assert made.seconds == pytest.approx(40 * 0.04, abs=0.3)


def test_a_still_picture_of_a_minute_lasts_a_minute(tmp_path: Path) -> None:
    source = videos.write(tmp_path / "still.mkv", levels(range(4)), times=[0, 100, 60_000, 60_100])

    made = convert(source, tmp_path / "copy.mp4", Wanted())

    assert made.seconds == pytest.approx(60.2, abs=0.3)


def odd(folder: Path) -> Path:
    """323 × 181 pixels: 4:4:4, as no other takes odd numbers."""
    path = folder / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 323, 181, "yuv444p"
        for picture in videos.scenery(323, 181, 10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_an_odd_size_is_refused_as_mediaconvert_does_and_made_even_when_asked(tmp_path: Path) -> None:
    source = odd(tmp_path)

    with pytest.raises(CannotConvert, match="323 × 181") as refusal:
        convert(source, tmp_path / "copy.mp4", Wanted())
    made = convert(source, tmp_path / "copy.mp4", Wanted(size=size_within(upright(source), 1920, 1080)))

    assert refusal.value.code == 1040
    assert refusal.value.message.startswith("Invalid resolution [323 x 181], only even values are supported.")
    assert (made.width, made.height) in [(322, 180), (324, 180), (324, 182)]


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (Wanted(size=(640, None)), (640, 360)),
        (Wanted(size=(None, 90)), (160, 90)),
        (Wanted(size=(300, 300)), (300, 300)),
    ],
)
def test_a_size_that_is_asked_for_is_kept(tmp_path: Path, wanted: Wanted, size: tuple[int, int]) -> None:
    made = convert(videos.CLIP, tmp_path / "copy.mp4", wanted)

    assert (made.width, made.height) == size
    assert shown(tmp_path / "copy.mp4")[0][1].shape[:2] == size[::-1]


@pytest.mark.parametrize(("fit", "top"), [("pad", 0), ("stretch", 200), ("crop", 200)])
def test_another_shape_is_padded_stretched_or_cropped(tmp_path: Path, fit: str, top: int) -> None:
    white = [np.full((180, 320, 3), 200, np.uint8)] * 5
    source = videos.write(tmp_path / "white.mp4", white)

    convert(source, tmp_path / "copy.mp4", Wanted(size=(200, 200), fit=fit))

    picture = shown(tmp_path / "copy.mp4")[0][1]
    assert int(picture[100, 100, 0]) == pytest.approx(200, abs=8)
    assert int(picture[4, 100, 0]) == pytest.approx(top, abs=8)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (Picture(3840, 2160, Fraction(16, 9)), (1920, 1080)),
        (Picture(2160, 3840, Fraction(9, 16)), (1080, 1920)),
        (Picture(4000, 3000, Fraction(4, 3)), (1440, 1080)),
        (Picture(640, 359, Fraction(640, 359)), (640, 360)),
        (Picture(720, 576, Fraction(16, 9)), (1024, 576)),  # PAL, widescreen: pixels wider than high
        (Picture(4000, 10, Fraction(400)), (1920, 4)),
    ],
)
def test_a_size_within_full_hd_keeps_the_shape_and_is_even(picture: Picture, size: tuple[int, int]) -> None:
    assert size_within(picture, 1920, 1080) == size


@pytest.mark.parametrize(
    ("extension", "codec", "pixels"),
    [
        ("mov", "libx265", "yuv420p10le"),  # an iPhone's HDR
        ("mov", "libx265", "yuvj420p"),  # full range, as some phones record
        ("avi", "mjpeg", "yuvj420p"),  # a webcam
        ("mkv", "libx264", "yuv444p"),
        ("avi", "png", "rgb24"),
        ("mkv", "ffv1", "gray"),
    ],
)
def test_brightness_stays_whatever_the_pixels_are(tmp_path: Path, extension: str, codec: str, pixels: str) -> None:
    source, greys = tmp_path / f"a.{extension}", (20, 128, 240)
    with av.open(str(source), "w") as container:
        stream = container.add_stream(codec, rate=25, options=X265 if codec == "libx265" else {})
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        for grey in greys:
            picture = np.full((64, 64, 3), grey, np.uint8)
            for _ in range(5):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())

    convert(source, tmp_path / "copy.mp4", Wanted())

    copy = [int(picture[32, 32, 0]) for _, picture in shown(tmp_path / "copy.mp4")]
    assert copy[2::5] == pytest.approx(greys, abs=4)


def test_sound_is_kept_when_it_is_wanted(folder: Path, tmp_path: Path) -> None:
    convert(videos.with_sound(folder), tmp_path / "silent.mp4", Wanted())
    convert(videos.with_sound(folder), tmp_path / "heard.mp4", Wanted(sound=True))

    with av.open(str(tmp_path / "silent.mp4")) as silent, av.open(str(tmp_path / "heard.mp4")) as heard:
        assert not silent.streams.audio
        assert heard.streams.audio[0].codec_context.name == "aac"
        last = list(heard.decode(audio=0))[-1]
        assert last.time == pytest.approx(1.0, abs=0.05)


def cut(folder: Path, extension: str) -> Path:
    """The first half of a file of four seconds."""
    whole = videos.write(folder / f"whole.{extension}", videos.scenery(320, 180, 100), rate=25)
    path = folder / f"cut.{extension}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def unknown_codec(folder: Path) -> Path:
    """An MKV whose video has a codec that FFmpeg does not know."""
    whole = videos.write(folder / "known.mkv", videos.scenery(320, 180, 10), codec="libx265", options=X265)
    path = folder / "unknown.mkv"
    path.write_bytes(whole.read_bytes().replace(b"V_MPEGH/ISO/HEVC", b"V_MPEGH/ISO/XXXX"))
    return path


def broken_codec(folder: Path) -> Path:
    """An MKV whose description of the codec has a wrong byte. PyAV ended the whole process when asked for its name."""
    content = bytearray(unknown_codec(folder).with_name("known.mkv").read_bytes())
    content[content.index(b"V_MPEGH") + 160] = 0x2C
    path = folder / "broken.mkv"
    path.write_bytes(content)
    return path


BROKEN = [
    (unknown_codec, 1030, "its video codec is unknown, or broken"),
    (broken_codec, 1030, "its video codec is unknown, or broken"),
    (videos.text, 1010, "it is not a video"),
    (videos.cut_before_its_index, 1075, "its index is missing"),
    (videos.cut_in_half, 1076, "the file is cut off"),
    (lambda folder: cut(folder, "mkv"), 1076, "the file is cut off"),
    (videos.sound_only, 1020, "it contains no video"),
]


@pytest.mark.parametrize(("make", "code", "reason"), BROKEN)
def test_what_cant_be_converted_is_refused_with_mediaconverts_code(tmp_path, make, code, reason) -> None:
    with pytest.raises(CannotConvert, match=reason) as refusal:
        convert(make(tmp_path), tmp_path / "copy.mp4", Wanted())

    assert refusal.value.code == code


def test_a_full_disk_and_a_missing_file_are_the_systems_errors(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as full:
        convert(videos.CLIP, Path("/dev/full"), Wanted())
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "nowhere.mp4", tmp_path / "copy.mp4", Wanted())

    assert full.value.errno == errno.ENOSPC


def test_progress_grows_to_the_end(folder: Path, tmp_path: Path) -> None:
    said: list[float] = []

    convert(videos.without_faces(folder), tmp_path / "copy.mp4", Wanted(), said.append)

    assert said == sorted(said)
    assert said[-1] == 1.0
    assert len(said) > 10


def test_random_damage_ends_in_a_copy_or_a_sentence(folder: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    whole = videos.write(
        folder / "damaged.mkv", videos.scenery(160, 90, 30), codec="libx265", options=X265
    ).read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        for place in random.integers(0, len(content), 40):
            content[place] = random.integers(0, 256)
        (tmp_path / "damaged.mkv").write_bytes(content[: random.integers(len(content) // 2, len(content))])

        with contextlib.suppress(CannotConvert):
            convert(tmp_path / "damaged.mkv", tmp_path / "copy.mp4", Wanted())
