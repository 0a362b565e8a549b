"""A video's header, read from a few pieces of the file: codec, length, picture, rotation, frame rate.

MP4, QuickTime, Matroska and AVI are read by their parts' heads; other containers are known by their first bytes.
Nothing that the file says about sizes and counts is believed beyond its real size and the budget in pieces.py.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lambdas.model.iso_media import read_movie
from lambdas.model.mkv_avi import read_avi, read_matroska
from lambdas.model.pieces import Cut, Pieces, Read, Spent, number

LONGEST = 6 * 3600.0  # seconds; Developer Guide, "Guidelines and quotas in Amazon Rekognition"

SMALLEST = 16  # bytes; in less there is no header, and nothing is read

TO_H264 = "ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p -c:a aac OUT.mp4"
TO_PARTS = "ffmpeg -i IN -map 0 -c copy -f segment -segment_time 18000 -reset_timestamps 1 PART%d.mp4"


@dataclass(frozen=True, slots=True)
class VideoHeader:
    """What a video's header says of it.

    Attributes:
        container: ``mp4``, ``mov``, ``matroska``, ``avi`` ...; empty if unknown.
        codec: of the first enabled video track, in FFmpeg's words: ``h264``, ``hevc``, ``av1`` ...; empty if unknown.
        seconds: the length of that track as it is played; 0 if unknown.
        width: pixels of the coded picture, before rotation; 0 if unknown.
        height: as `width`.
        rotation: degrees clockwise by which the picture must be turned to be upright: 0, 90, 180 or 270.
        rate: frames a second; 0 if unknown.
        video: False if there is certainly no video track; None if unknown.
        encrypted: whether the video track is encrypted (DRM).
    """

    container: str
    codec: str = ""
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    rotation: int = 0
    rate: float = 0.0
    video: bool | None = None
    encrypted: bool = False

    @property
    def trouble(self) -> str:
        """Why Rekognition refuses the video, with what helps; empty if Rekognition should accept it, or if the header
        leaves that open. (H.264 in MP4 or MOV, up to 6 hours: Developer Guide, "Guidelines and quotas in Amazon
        Rekognition".)"""
        if not self.container:
            return ""
        if self.video is False:
            return f"it has no video track ({_NAMES.get(self.container, self.container)})"
        if self.encrypted:
            return "it is encrypted (DRM), and Rekognition can't decrypt it: upload an unencrypted copy"
        if self.seconds > LONGEST:
            return (
                f"it is {length(self.seconds)} long; Rekognition takes up to 6 hours. Cut it, and upload the parts: "
                f"{TO_PARTS}"
            )
        # AWS's pages disagree on AVI: the API's reference has it, the guidelines haven't.
        if self.container not in _READ and not (self.container == "avi" and self.codec in ("", "h264")):
            return (
                f"it is {_NAMES.get(self.container, self.container)}; Rekognition reads MP4 and MOV. Convert it "
                f"(or set `convert`): {TO_H264}"
            )
        if self.codec not in ("", "h264"):
            return f"its codec is {self.codec}; Rekognition reads H.264. Convert it (or set `convert`): {TO_H264}"
        return ""

    @property
    def convertible(self) -> bool:
        """Whether Rekognition would accept a converted copy: the codec or the container is the trouble."""
        return bool(self.trouble) and self.video is not False and not self.encrypted and self.seconds <= LONGEST

    @property
    def minutes(self) -> float:
        """The length in minutes; 0 if unknown."""
        return self.seconds / 60

    @property
    def words(self) -> str:
        """What is known, for people: ``0:00:07 of h264 in MP4, 1280x720, 30 frames a second``."""
        known = (
            (length(self.seconds) if self.seconds else "unknown length")
            + f" of {self.codec or 'an unknown codec'} in {_NAMES.get(self.container, self.container)}",
            f"{self.width}x{self.height}" if self.width and self.height else "",
            f"turned by {self.rotation} degrees" if self.rotation else "",
            f"{self.rate:.4g} frames a second" if self.rate else "",
        )
        return ", ".join(filter(None, known))

    @property
    def as_item(self) -> dict[str, Any]:
        """For a job's record: what is known."""
        return {name: value for name, value in asdict(self).items() if value or name in ("container", "video")}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "VideoHeader":
        """The opposite of ``as_item``; ignores what it doesn't know."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in item.items() if name in known})


def length(seconds: float) -> str:
    """A length as people read it: ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def read_header(read: Read, size: int) -> VideoHeader | None:
    """The header of a file of `size` bytes; None if it is no container that this module knows.

    A header that can't be read, whole or in part, is no fault of the video: then fields are left unknown.

    Raises:
        Whatever `read` raises.
    """
    if size < SMALLEST:
        return None
    pieces = Pieces(read, size)
    header = VideoHeader("")
    try:
        header = VideoHeader(_by_magic(pieces.at(0, 16), pieces))
        match header.container:
            case "":
                return None
            case "mp4" | "mov":
                return read_movie(pieces, header)
            case "matroska" | "webm":
                return read_matroska(pieces, header)
            case "avi":
                return read_avi(pieces, header)
            case name if name in _NO_VIDEO:
                return VideoHeader(name, video=False)
    except (Spent, Cut):
        pass
    return header if header.container else None


# what things are called

_READ = ("mp4", "mov")
_NAMES = {
    "asf": "WMV/ASF", "avi": "AVI", "flac": "FLAC", "flv": "FLV", "gif": "GIF", "heif": "HEIF", "ivf": "IVF",
    "jpeg": "JPEG", "matroska": "Matroska (MKV)", "mp3": "MP3", "mp4": "MP4", "mov": "MOV", "mpeg": "MPEG",
    "mpegts": "MPEG-TS", "mpegvideo": "MPEG video", "mxf": "MXF", "ogg": "Ogg", "png": "PNG", "rm": "RealMedia",
    "wav": "WAV", "webm": "WebM", "webp": "WebP",
}  # fmt: skip
_NO_VIDEO = frozenset({"flac", "gif", "heif", "jpeg", "mp3", "png", "wav", "webp"})
_MAGIC = {
    b"FLV\x01": "flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c": "asf",
    b"OggS": "ogg",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x00\x00\x01\xb3": "mpegvideo",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02": "mxf",
    b".RMF\x00\x00": "rm",
    b"DKIF\x00\x00": "ivf",
    b"fLaC": "flac",
    b"ID3\x02": "mp3",
    b"ID3\x03": "mp3",
    b"ID3\x04": "mp3",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff\xe0": "jpeg",
    b"\xff\xd8\xff\xe1": "jpeg",
}
_RIFF = {b"AVI ": "avi", b"AVIX": "avi", b"WAVE": "wav", b"WEBP": "webp"}
_BRANDS = {b"qt  ": "mov", b"heic": "heif", b"heix": "heif", b"mif1": "heif", b"avif": "heif"}
# Boxes that open a QuickTime movie without ``ftyp``, and segments of an MP4.
_OPENING = {b"moov": "mov", b"mdat": "mov", b"wide": "mov", b"pnot": "mov", b"free": "mov", b"skip": "mov"}


def _by_magic(first: bytes, pieces: Pieces) -> str:
    """The container that a file's first bytes announce; empty if they announce none."""
    for magic, name in _MAGIC.items():
        if first.startswith(magic):
            return name
    if first[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return _RIFF.get(first[8:12], "")
    if first[:4] == b"\x1a\x45\xdf\xa3":
        return "webm" if b"\x42\x82\x84webm" in pieces.at(0, 64) else "matroska"
    if first[4:8] == b"ftyp":
        return _BRANDS.get(first[8:12], "mp4")
    if first[4:8] in (b"styp", b"moof", b"sidx"):
        return "mp4"
    if first[4:8] in _OPENING and (number(first, 0, 4) >= 8 or number(first, 0, 4) <= 1):
        return _OPENING[first[4:8]]
    for start, step in ((0, 188), (4, 192)):  # a transport stream's packets, and Blu-ray's
        if pieces.size > start + 4 * step and all(
            pieces.at(at, 1) == b"\x47" for at in range(start, start + 5 * step, step)
        ):
            return "mpegts"
    return ""
