"""The heads of Matroska and WebM files (RFC 9559) and of AVI files (Microsoft's AVI RIFF File Reference).

Rekognition reads neither Matroska nor most of AVI: this is for whoever converts them, and for their price.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lambdas.model.pieces import Box, Cut, Pieces, Spent, number

if TYPE_CHECKING:
    from lambdas.model.video_header import VideoHeader

SEGMENT, INFO, TRACKS, CLUSTER, ENTRY, VIDEO = (
    bytes.fromhex(name) for name in ("18538067", "1549a966", "1654ae6b", "1f43b675", "ae", "e0")
)
SCALE, DURATION, KIND, CODEC, FRAME_TIME, WIDTH, HEIGHT = (
    bytes.fromhex(name) for name in ("2ad7b1", "4489", "83", "86", "23e383", "b0", "ba")
)
NANOSECONDS = 1e9


def read_matroska(pieces: Pieces, header: "VideoHeader") -> "VideoHeader":
    """`header` with what the segment says before its first cluster."""
    found, whole = header, False
    scale, duration = 1_000_000, 0.0
    try:
        for top in _elements(pieces, 0, pieces.size):
            for one in _elements(pieces, top.body, top.end) if top.kind == SEGMENT else ():
                if one.kind == CLUSTER:
                    break
                for inner in _elements(pieces, one.body, one.end) if one.kind in (INFO, TRACKS) else ():
                    if inner.kind == SCALE:
                        scale = _integer(pieces, inner)
                    elif inner.kind == DURATION:
                        duration = _float(pieces, inner)
                    elif inner.kind == ENTRY and found.video is None:
                        found = _entry(pieces, inner, found)
                whole = whole or (one.kind == TRACKS and one.whole)
    except (Spent, Cut):
        pass
    if whole and found.video is None:
        return replace(found, video=False)
    seconds = duration * scale / NANOSECONDS
    return replace(found, seconds=seconds) if 0 < seconds <= pieces.size else found  # nor infinite, nor no number


def _entry(pieces: Pieces, entry: Box, header: "VideoHeader") -> "VideoHeader":
    """`header` with a track's, if it is one of a video."""
    kind, codec, width, height, each = 0, "", 0, 0, 0
    for one in _elements(pieces, entry.body, entry.end):
        if one.kind == KIND:
            kind = _integer(pieces, one)
        elif one.kind == CODEC:
            codec = pieces.content(one).rstrip(b"\0").decode("latin-1")
        elif one.kind == FRAME_TIME:
            each = _integer(pieces, one)
        elif one.kind == VIDEO:
            for inner in _elements(pieces, one.body, one.end):
                width = _integer(pieces, inner) if inner.kind == WIDTH else width
                height = _integer(pieces, inner) if inner.kind == HEIGHT else height
    if kind != 1:
        return header
    name = next((name for begin, name in _MATROSKA.items() if codec.startswith(begin)), "")
    return replace(header, codec=name, width=width, height=height, rate=NANOSECONDS / each if each else 0.0, video=True)


def _elements(pieces: Pieces, start: int, end: int) -> Iterator[Box]:
    """The EBML elements between two offsets. An unknown size is written as the largest: such an element is the rest."""
    while start < end:
        pieces.look()
        head = pieces.at(start, 12)
        name = _width(head[:1])
        size = _width(head[name : name + 1])
        body = start + name + size
        last = body + (number(head, name, size) & ~(1 << 7 * size))
        yield Box(head[:name], start, body, min(last, end), whole=last <= end)
        start = last


def _width(first: bytes) -> int:
    """Bytes of a number, by the leading zeros of its first."""
    if not first or not first[0]:
        raise Cut
    return 9 - first[0].bit_length()


def _integer(pieces: Pieces, box: Box) -> int:
    return int.from_bytes(pieces.content(box, 8))


def _float(pieces: Pieces, box: Box) -> float:
    data = pieces.content(box, 8)
    form = {4: ">f", 8: ">d"}.get(len(data))
    return float(struct.unpack(form, data)[0]) if form else 0.0


def read_avi(pieces: Pieces, header: "VideoHeader") -> "VideoHeader":
    """`header` with what the lists at the file's beginning say of the first video stream."""
    whole = False
    try:
        for movie in _chunks(pieces, 0, pieces.size):
            for top in _chunks(pieces, movie.body + 4, movie.end):
                if pieces.content(top, 4) != b"hdrl":
                    break
                for stream in _chunks(pieces, top.body + 4, top.end):
                    if pieces.content(stream, 4) == b"strl" and (found := _stream(pieces, stream, header)):
                        return found
                whole = top.whole
            break
    except (Spent, Cut):
        pass
    return replace(header, video=False) if whole else header


def _stream(pieces: Pieces, strl: Box, header: "VideoHeader") -> "VideoHeader | None":
    """`header` with a stream's, if it is one of a video."""
    chunks = {box.kind: pieces.content(box) for box in _chunks(pieces, strl.body + 4, strl.end)}
    about, form = chunks.get(b"strh", b""), chunks.get(b"strf", b"")
    if about[:4] != b"vids":
        return None
    scale, rate, count = (_little(about, at) for at in (20, 24, 32))
    seconds = count * scale / rate if rate else 0.0
    return replace(
        header,
        codec=_AVI.get(form[16:20].upper(), ""),
        seconds=seconds if seconds <= pieces.size else 0.0,
        width=_little(form, 4),
        height=abs(_little(form, 8, signed=True)),  # negative: from top to bottom
        rate=rate / scale if scale else 0.0,
        video=True,
    )


def _chunks(pieces: Pieces, start: int, end: int) -> Iterator[Box]:
    """The RIFF chunks between two offsets."""
    while start + 8 <= end:
        pieces.look()
        head = pieces.at(start, 8)
        last = start + 8 + _little(head, 4)
        yield Box(head[:4], start, start + 8, min(last, end), whole=last <= end)
        start = last + last % 2


def _little(data: bytes, offset: int, *, signed: bool = False) -> int:
    part = data[offset : offset + 4]
    if len(part) < 4:
        raise Cut
    return int.from_bytes(part, "little", signed=signed)


# By the beginning of CodecID (the codec registry of Matroska).
_MATROSKA = {
    "V_MPEG4/ISO/AVC": "h264",
    "V_MPEGH/ISO/HEVC": "hevc",
    "V_MPEGI/ISO/VVC": "vvc",
    "V_MPEG4/ISO/": "mpeg4",
    "V_MPEG2": "mpeg2video",
    "V_MPEG1": "mpeg1video",
    "V_AV1": "av1",
    "V_VP8": "vp8",
    "V_VP9": "vp9",
    "V_MJPEG": "mjpeg",
    "V_PRORES": "prores",
    "V_THEORA": "theora",
    "V_FFV1": "ffv1",
}
# By biCompression, in capitals.
_AVI = {
    kind.encode(): codec
    for codec, kinds in {
        "h264": "H264 X264 AVC1 DAVC",
        "hevc": "HEVC H265 HVC1 HEV1",
        "mpeg4": "XVID DIVX DX50 FMP4 MP4V",
        "msmpeg4v3": "DIV3 MP43",
        "mjpeg": "MJPG",
        "mpeg2video": "MPG2",
        "dvvideo": "DVSD",
        "cinepak": "CVID",
        "av1": "AV01",
        "vp8": "VP80",
        "vp9": "VP90",
        "ffv1": "FFV1",
    }.items()
    for kind in kinds.split()
}
