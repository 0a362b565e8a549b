"""`upload --convert`: what Rekognition can't read is converted on this machine before it is uploaded."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.core.stack import Stack
from cli.ingest import convert as converting
from lambdas.model.video_header import VideoHeader, read_header
from localcloud.mediaconvert import convert as conversion
from tests.cli.conftest import Said
from tests.fake_aws import World
from tests.rekognition_local import videos

Typed = Callable[..., Said]
X265 = {"x265-params": "log-level=none"}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where copies are made: the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """Holiday videos: one of a phone, an MKV, an MP4 that Rekognition reads, and one by another name."""
    folder = tmp_path / "phone"
    folder.mkdir()
    videos.write(folder / "beach.MOV", videos.scenery(180, 320, 30), codec="libx265", options=X265, rotation=90)
    videos.write(folder / "cave.mkv", videos.scenery(320, 180, 25), rate=25)
    (folder / "fine.mp4").write_bytes(videos.CLIP.read_bytes())
    (folder / "itunes.m4v").write_bytes(videos.CLIP.read_bytes())
    return folder


def stored(aws: World, key: str) -> VideoHeader:
    content = aws.s3.get_object(Bucket="videos", Key=key)["Body"].read()
    header = read_header(lambda offset, length: content[offset : offset + length], len(content))
    assert header
    return header


def keys(aws: World) -> list[str]:
    return [one["Key"] for one in aws.s3.list_objects_v2(Bucket="videos").get("Contents", [])]


def test_what_rekognition_cant_read_is_converted_and_the_rest_is_uploaded_as_it_is(
    aws: World, stack: Stack, typed: Typed, phone: Path, temporary: Path
) -> None:
    said = typed("upload", str(phone), "--convert")

    assert (said.code, sorted(said.out.splitlines())) == (
        0,
        [f"s3://videos/phone/{name}.mp4" for name in ("beach", "cave", "fine", "itunes")],
    )
    for name in ("beach", "cave"):
        header = stored(aws, f"phone/{name}.mp4")
        assert (header.container, header.codec, header.trouble) == ("mp4", "h264", "")
    beach = stored(aws, "phone/beach.mp4")
    assert (beach.width, beach.height, beach.rotation) == (320, 180, 0)
    assert beach.seconds == pytest.approx(1.0, abs=0.05)
    clip = videos.CLIP.read_bytes()
    for name in ("fine", "itunes"):
        assert aws.s3.get_object(Bucket="videos", Key=f"phone/{name}.mp4")["Body"].read() == clip
    assert "Converted: " in said.err
    assert "beach.MOV (hevc) in " in said.err
    assert "times as fast as it plays" in said.err
    assert "4 videos uploaded." in said.err
    assert list(temporary.iterdir()) == []


def test_a_copy_that_is_there_is_not_made_again_unless_it_is_of_another_file(
    aws: World, stack: Stack, typed: Typed, phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cave = str(phone / "cave.mkv")
    typed("upload", cave, "--convert")
    made: list[Path] = []
    convert = conversion.convert
    monkeypatch.setattr(conversion, "convert", lambda source, *more: made.append(source) or convert(source, *more))

    again = typed("upload", cave, "--convert")
    chosen = typed("upload", cave, "--convert", "--analyses", "label-detection")
    videos.write(phone / "cave.mkv", videos.scenery(320, 180, 50), rate=25)
    changed = typed("upload", cave, "--convert", "--analyses", "label-detection")

    assert "0 videos uploaded, 1 were there already." in again.err
    assert chosen.out == changed.out == "s3://videos/cave.mp4\n"
    assert len(made) == 2


def test_a_dry_run_converts_nothing(aws: World, stack: Stack, typed: Typed, phone: Path) -> None:
    said = typed("upload", str(phone), "--convert", "--dry-run")

    assert f"{phone / 'beach.MOV'}\ts3://videos/phone/beach.mp4\tconverted from hevc" in said.out.splitlines()
    assert f"{phone / 'itunes.m4v'}\ts3://videos/phone/itunes.mp4" in said.out.splitlines()
    assert keys(aws) == []


def test_without_it_what_rekognition_cant_read_is_skipped_and_the_option_named(
    aws: World, stack: Stack, typed: Typed, phone: Path
) -> None:
    said = typed("upload", str(phone))

    assert said.out == "s3://videos/phone/fine.mp4\n"
    assert "beach.MOV: its codec is hevc; Rekognition reads H.264" in said.err
    assert "(or let upload do that: --convert)" in said.err
    assert "cave.mkv: not a video by its extension (.mp4, .mov); upload --convert makes an MP4 of it" in said.err


def test_a_stack_that_converts_by_itself_takes_them(aws: World, stack: Stack, typed: Typed, phone: Path) -> None:
    stack.outputs = {**stack.outputs, "Convert": "mediaconvert", "VideoExtensions": ".mp4,.mov,.mkv"}

    said = typed("upload", str(phone / "beach.MOV"), str(phone / "cave.mkv"))

    assert said.out.splitlines() == ["s3://videos/beach.MOV", "s3://videos/cave.mkv"]


def test_two_videos_that_would_become_one_are_refused(stack: Stack, typed: Typed, phone: Path) -> None:
    (phone / "cave.mp4").write_bytes(videos.CLIP.read_bytes())

    said = typed("upload", str(phone), "--convert")

    assert said.code == 2
    assert "would both become 'phone/cave.mp4'" in said.err


def test_a_stack_that_takes_no_mp4_is_told(stack: Stack, typed: Typed, phone: Path) -> None:
    stack.outputs = {**stack.outputs, "VideoExtensions": ".mov"}

    said = typed("upload", str(phone / "cave.mkv"), "--convert")

    assert said.code == 2
    assert "Converted copies are MP4, and this stack accepts .mov files only." in said.err
    assert "video_extensions=.mov .mp4" in said.err


@pytest.mark.parametrize(
    ("make", "name", "why"),
    [
        (videos.text, "notes.mkv", "it is not a video"),
        (videos.sound_only, "song.mp4", "it has no video track"),
    ],
)
def test_what_cant_be_converted_is_named_and_the_rest_goes_on(
    aws: World, stack: Stack, typed: Typed, phone: Path, tmp_path: Path, temporary: Path, make: Any, name: str, why: str
) -> None:
    make(tmp_path).rename(phone / name)

    said = typed("upload", str(phone), "--convert")

    assert f"{name}: {why}" in said.err
    assert keys(aws) == [f"phone/{kept}.mp4" for kept in ("beach", "cave", "fine", "itunes")]
    assert list(temporary.iterdir()) == []


def test_a_full_disk_fails_that_video_and_leaves_nothing(
    aws: World, stack: Stack, typed: Typed, phone: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = conversion._Conversion.write

    def write_on_a_full_disk(self: Any, target: Path) -> Any:
        target.write_bytes(b"half a copy")
        return write(self, Path("/dev/full"))

    monkeypatch.setattr(conversion._Conversion, "write", write_on_a_full_disk)

    said = typed("upload", str(phone), "--convert")

    assert said.code == 1
    assert "cave.mkv: no room for its copy (" in said.err
    assert "set TMPDIR to a folder with more" in said.err
    assert "2 videos uploaded, 2 failed." in said.err
    assert list(temporary.iterdir()) == []


def test_a_copy_larger_than_rekognition_takes_is_not_uploaded(
    aws: World, stack: Stack, typed: Typed, phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "LARGEST_VIDEO", 100)

    said = typed("upload", str(phone / "cave.mkv"), "--convert")

    assert "cave.mkv: its copy is larger than 10 GB" in said.err
    assert keys(aws) == []


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.crowded(tmp_path_factory.mktemp("long"), 120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_nothing(tmp_path: Path, long_video: Path, number: signal.Signals) -> None:
    """In a process of its own: it converts, and tells when it has begun."""
    source = long_video
    folder = tmp_path / "copies"
    folder.mkdir()
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from cli.ingest.convert import Copy, converted\n"
        "from cli.ingest.upload import Item\n"
        "path = Path(sys.argv[1])\n"
        "try:\n"
        "    with converted(Copy(Item(path, 'a.mp4', 1), 'hevc'), lambda done, _: print(done, flush=True)):\n"
        "        pass\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(source)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"TMPDIR": str(folder)},
    )
    assert process.stdout
    while process.stdout.readline() and not list(folder.rglob("copy.mp4")):
        pass
    assert list(folder.rglob("copy.mp4"))

    process.send_signal(number)

    process.communicate(timeout=30)
    assert process.returncode == 130
    assert list(folder.iterdir()) == []
