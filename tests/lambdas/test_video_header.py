"""The header reader, beside PyAV's own answer for files that PyAV writes, and with files that lie."""

from pathlib import Path

from lambdas.model.video_header import MOST_BYTES, MOST_READS, VideoHeader, read_header
from tests.rekognition_local import videos


class Reads:
    """A file's bytes, and what was read of them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.number = self.bytes = 0

    def __call__(self, offset: int, length: int) -> bytes:
        self.number += 1
        self.bytes += length
        assert self.number <= MOST_READS
        assert self.bytes <= MOST_BYTES
        return self.content[offset : offset + length]


def header_of(path: Path) -> VideoHeader | None:
    content = path.read_bytes()
    return read_header(Reads(content), len(content))


def test_an_iphone_s_hevc_is_known_before_a_start(tmp_path: Path) -> None:
    header = header_of(videos.hevc(tmp_path))

    assert header
    assert (header.container, header.codec, header.video) == ("mov", "hevc", True)
    assert header.trouble.startswith("its codec is hevc; Rekognition reads H.264.")
    assert "ffmpeg -i IN -c:v libx264" in header.trouble
    assert header.convertible


def test_a_file_without_a_video_track_is_in_trouble_and_not_convertible(tmp_path: Path) -> None:
    header = header_of(videos.sound_only(tmp_path))

    assert header
    assert header.video is False
    assert header.trouble == "it has no video track (MP4)"
    assert not header.convertible


def test_what_is_no_video_has_no_header(tmp_path: Path) -> None:
    assert header_of(videos.text(tmp_path)) is None
