"""A video's header, read from a few pieces of the file: codec, length, picture, rotation, frame rate.

MP4 and QuickTime (ISO/IEC 14496-12, and Apple's QuickTime File Format) are read box by box, other containers are known
by their first bytes. Nothing that the file says about sizes and counts is believed beyond its real size and the budget
of MOST_READS reads and MOST_BYTES bytes.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

Read = Callable[[int, int], bytes]
"""Returns the bytes at an offset: as many as were asked for, or fewer at the file's end."""

LONGEST = 6 * 3600.0  # seconds; Developer Guide, "Guidelines and quotas in Amazon Rekognition"

SMALLEST = 16  # bytes; in less there is no header, and nothing is read
MOST_READS = 12
PIECE = 64 * 1024  # bytes a read; the boxes that matter are close together, so two or three reads do in most files
MOST_BYTES = MOST_READS * PIECE
LEAST_RATE = 1  # bytes a second; a length that leaves fewer for each second of the file is none
MOST_TABLE = PIECE  # bytes that are read of one table

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
        if self.container not in _READ:
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
    pieces = _Pieces(read, size)
    container = ""
    try:
        first = pieces.at(0, 16)
        container = _by_magic(first, pieces)
        if container not in _READ:
            known = False if container in _NO_VIDEO else None
            return VideoHeader(container, video=known) if container else None
        return _movie(pieces, container)
    except (_Spent, _Cut):
        return VideoHeader(container) if container else None


# reading


class _Spent(Exception):
    """The budget of reads is used up."""


class _Cut(Exception):
    """The file or a box ends in the middle of a field."""


class _Pieces:
    """The file, in the pieces that were read."""

    def __init__(self, read: Read, size: int) -> None:
        self.size = size
        self._read = read
        self._pieces: list[tuple[int, bytes]] = []

    def at(self, offset: int, length: int) -> bytes:
        """The `length` bytes at `offset`, PIECE at the most; fewer at the end of the file.

        Raises:
            _Spent: another read would exceed the budget.
        """
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        for start, data in self._pieces:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        if len(self._pieces) == MOST_READS:
            raise _Spent
        data = self._read(offset, min(PIECE, self.size - offset))[:PIECE]
        self._pieces.append((offset, data))
        return data[:length]

    def boxes(self, start: int, end: int) -> "Iterator[_Box]":
        """The boxes between two offsets, one after the other.

        Raises:
            _Cut: what is there is no box.
        """
        while start + 8 <= end:
            head = self.at(start, 16)
            size, kind, header = _number(head, 0, 4), head[4:8], 8
            if size == 1:
                size, header = _number(head, 8, 8), 16
            elif size == 0:
                size = end - start
            if size < header:
                raise _Cut
            yield _Box(kind, start, start + header, min(start + size, end), whole=start + size <= end)
            start += size

    def inside(self, box: "_Box") -> "Iterator[_Box]":
        """The boxes in a box."""
        return self.boxes(box.body, box.end)

    def content(self, box: "_Box", most: int = 4096) -> bytes:
        """The first `most` bytes of a box's content."""
        return self.at(box.body, min(box.end - box.body, most))


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    body: int  # where its content begins
    end: int
    whole: bool  # whether it ends within what it is in


def _number(data: bytes, offset: int, width: int, *, signed: bool = False) -> int:
    part = data[offset : offset + width]
    if len(part) < width:
        raise _Cut
    return int.from_bytes(part, signed=signed)


def _duration(data: bytes, offset: int, width: int) -> int:
    """A duration; 0 where it is unknown, which is all ones."""
    value = _number(data, offset, width)
    return 0 if value == (1 << 8 * width) - 1 else value


# a movie


@dataclass(slots=True)
class _Track:
    """What is known of a track; times are in units of its own scale, but for edits."""

    enabled: bool = False
    number: int = 0
    handler: bytes = b""
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)
    edits: list[tuple[int, int]] = field(default_factory=list)  # (length in the movie's scale, where in the media)
    scale: int = 0
    duration: int = 0
    codec: str = ""
    encrypted: bool = False
    width: int = 0
    height: int = 0
    samples: int = 0
    sampled: int = 0  # the samples' time
    counted: bool = False  # whether `samples` and `sampled` are of all samples
    step: int = 0  # the time of each sample, if all have the same (but for the last)


@dataclass(slots=True)
class _Movie:
    scale: int = 0
    duration: int = 0
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)
    tracks: list[_Track] = field(default_factory=list)
    fragmented: bool = False
    fragments: int = 0  # mehd's duration, in the movie's scale
    defaults: dict[int, int] = field(default_factory=dict)  # time of each sample, by track
    whole: bool = False  # whether all of it was read


def _movie(pieces: _Pieces, container: str) -> VideoHeader:
    found: _Box | None = None
    for box in pieces.boxes(0, pieces.size):
        if box.kind == b"moov":
            found = box
            break
    if found is None:
        return VideoHeader(container)
    movie = _Movie()
    try:
        _read_movie(pieces, found, movie)
        movie.whole = found.whole
    except (_Spent, _Cut):
        pass
    videos = [track for track in movie.tracks if track.handler == b"vide"]
    track = next((one for one in videos if one.enabled), videos[0] if videos else None)
    if track is None:
        others = movie.whole and all(one.handler in _NOT_PICTURES for one in movie.tracks)
        return VideoHeader(container, seconds=_seconds(movie.duration, movie.scale), video=False if others else None)
    seconds = _played(movie, track)
    if movie.fragmented:
        seconds = _with_fragments(pieces, found, movie, track, seconds)
    if seconds * LEAST_RATE > pieces.size:
        seconds = 0.0  # a lie: a negative number, say
    return VideoHeader(
        container,
        track.codec,
        seconds,
        track.width,
        track.height,
        _rotation(track.matrix, movie.matrix),
        _rate(track),
        video=True,
        encrypted=track.encrypted,
    )


def _read_movie(pieces: _Pieces, moov: _Box, movie: _Movie) -> None:
    for box in pieces.inside(moov):
        if box.kind == b"mvhd":
            data = pieces.content(box)
            at, width = (20, 8) if data[:1] == b"\x01" else (12, 4)
            movie.scale, movie.duration = _number(data, at, 4), _duration(data, at + 4, width)
            movie.matrix = _matrix(data, at + 4 + width + 16)
        elif box.kind == b"trak":
            track = _Track()
            movie.tracks.append(track)
            _read_track(pieces, box, track)
        elif box.kind == b"mvex":
            movie.fragmented = True
            for one in pieces.inside(box):
                data = pieces.content(one)
                if one.kind == b"mehd":
                    movie.fragments = _duration(data, 4, 8 if data[:1] == b"\x01" else 4)
                elif one.kind == b"trex":
                    movie.defaults[_number(data, 4, 4)] = _number(data, 12, 4)
        if not box.whole:
            raise _Cut


def _read_track(pieces: _Pieces, trak: _Box, track: _Track) -> None:
    for box in pieces.inside(trak):
        if box.kind == b"tkhd":
            data = pieces.content(box)
            track.enabled = bool(_number(data, 3, 1) & 1)
            at = 20 if data[:1] == b"\x01" else 12
            track.number = _number(data, at, 4)
            at += 8 + (8 if data[:1] == b"\x01" else 4) + 16
            track.matrix = _matrix(data, at)
            track.width, track.height = _number(data, at + 36, 4) >> 16, _number(data, at + 40, 4) >> 16
        elif box.kind == b"edts":
            for one in pieces.inside(box):
                if one.kind == b"elst":
                    track.edits = _edits(pieces.content(one, MOST_TABLE))
        elif box.kind == b"mdia":
            _read_media(pieces, box, track)


def _read_media(pieces: _Pieces, mdia: _Box, track: _Track) -> None:
    for box in pieces.inside(mdia):
        if box.kind == b"mdhd":
            data = pieces.content(box)
            at, width = (20, 8) if data[:1] == b"\x01" else (12, 4)
            track.scale, track.duration = _number(data, at, 4), _duration(data, at + 4, width)
        elif box.kind == b"hdlr":
            track.handler = pieces.content(box)[8:12]
        elif box.kind == b"minf" and track.handler in (b"vide", b""):
            for one in pieces.inside(box):
                if one.kind == b"stbl":
                    _read_samples(pieces, one, track)


def _read_samples(pieces: _Pieces, stbl: _Box, track: _Track) -> None:
    for box in pieces.inside(stbl):
        if box.kind == b"stsd":
            _read_description(pieces, box, track)
        elif box.kind == b"stts":
            data = pieces.content(box, MOST_TABLE)
            count = _number(data, 4, 4)
            entries = [
                (_number(data, at, 4), _number(data, at + 4, 4))
                for at in range(8, 8 + 8 * min(count, (len(data) - 8) // 8), 8)
            ]
            track.samples = sum(samples for samples, _ in entries)
            track.sampled = sum(samples * step for samples, step in entries)
            track.counted = len(entries) == count
            if entries and (count == 1 or (count == 2 and len(entries) == 2 and entries[1][0] == 1)):
                track.step = entries[0][1]


def _read_description(pieces: _Pieces, stsd: _Box, track: _Track) -> None:
    """The first sample entry. (Where a track changes its codec midway, there are more.)"""
    for entry in pieces.boxes(stsd.body + 8, stsd.end):
        data = pieces.content(entry)
        track.width, track.height = _number(data, 24, 2) or track.width, _number(data, 26, 2) or track.height
        kind = entry.kind
        if kind in (b"encv", b"drmi"):
            track.encrypted = True
            kind = _original_format(pieces, entry)
        track.codec = _object_codec(pieces, entry) if kind == b"mp4v" else _CODECS.get(kind, "")
        return


def _original_format(pieces: _Pieces, entry: _Box) -> bytes:
    for box in pieces.boxes(entry.body + 78, entry.end):
        if box.kind == b"sinf":
            for one in pieces.inside(box):
                if one.kind == b"frma":
                    return pieces.content(one)[:4]
    return b""


def _object_codec(pieces: _Pieces, entry: _Box) -> str:
    """The codec that the descriptor of an ``mp4v`` entry names (ISO/IEC 14496-1); it is seldom another than MPEG-4."""
    try:
        for box in pieces.boxes(entry.body + 78, entry.end):
            if box.kind == b"esds":
                data = pieces.content(box)[4:]
                at = _into_descriptor(data, 0, 0x03)
                flags = _number(data, at + 2, 1)
                at += 3 + 2 * bool(flags & 0x80)
                if flags & 0x40:
                    at += 1 + _number(data, at, 1)
                at = _into_descriptor(data, at + 2 * bool(flags & 0x20), 0x04)
                return _OBJECTS.get(_number(data, at, 1), "")
    except _Cut:
        pass
    return "mpeg4"


def _into_descriptor(data: bytes, at: int, tag: int) -> int:
    """Where the content of the descriptor at `at` begins, behind its tag and a length of one to four bytes."""
    if _number(data, at, 1) != tag:
        raise _Cut
    for length in range(1, 5):
        if not _number(data, at + length, 1) & 0x80:
            return at + length + 1
    raise _Cut


def _edits(data: bytes) -> list[tuple[int, int]]:
    width = 8 if data[:1] == b"\x01" else 4
    each = 2 * width + 4
    count = min(_number(data, 4, 4), (len(data) - 8) // each)
    return [
        (_number(data, at, width), _number(data, at + width, width, signed=True))
        for at in range(8, 8 + each * count, each)
    ]


def _matrix(data: bytes, at: int) -> tuple[int, int, int, int]:
    a, b, c, d = (_number(data, at + offset, 4, signed=True) for offset in (0, 4, 12, 16))
    return (a, b, c, d)


def _rotation(track: tuple[int, int, int, int], movie: tuple[int, int, int, int]) -> int:
    """The turn of the track's matrix followed by the movie's: [[a, b], [c, d]], applied to a row vector."""
    a, b, _, _ = track
    x, y = a * movie[0] + b * movie[2], a * movie[1] + b * movie[3]
    return round(math.degrees(math.atan2(y, x)) / 90) % 4 * 90


def _seconds(duration: int, scale: int) -> float:
    return duration / scale if scale else 0.0


def _rate(track: _Track) -> float:
    if track.step:
        return track.scale / track.step
    return track.samples * track.scale / track.sampled if track.sampled else 0.0


def _played(movie: _Movie, track: _Track) -> float:
    """Seconds of a track's samples in the ``moov`` box, as its edits play them."""
    media = _seconds(track.sampled if track.counted and track.sampled else track.duration, track.scale)
    edits = [(length, begin) for length, begin in track.edits if begin >= 0]  # others are a pause
    if not edits or not media:
        return media
    # An edit may begin later than at 0 although it leaves nothing out: where frames are stored in another order than
    # they are shown in, all are shown a little later.
    played = _seconds(sum(duration for duration, _ in edits), movie.scale)
    return min(played, media * len(edits)) or media


# fragments


def _with_fragments(pieces: _Pieces, moov: _Box, movie: _Movie, track: _Track, seconds: float) -> float:
    """Seconds of a fragmented movie: said by ``mehd``, by ``sidx`` or ``mfra``, or by the fragments themselves, if the
    budget allows to look at all of them; 0 if unknown. `seconds` are those of the samples in ``moov``."""
    if movie.fragments and movie.scale:
        return _seconds(movie.fragments, movie.scale)
    step = movie.defaults.get(track.number, 0)
    begins = [0] if track.sampled else []  # in the track's scale; a recording of a live stream begins anywhere
    ends = [track.sampled]
    at, first = moov.end, True
    try:
        while (box := next(pieces.boxes(at, pieces.size), None)) is not None:
            at = box.end
            if box.kind == b"sidx" and (index := _index(pieces, box)) and index.track == track.number and index.scale:
                at = max(at, index.end)
                for one in pieces.boxes(box.end, pieces.size):
                    if one.kind == b"moof":
                        _fragment(pieces, one, track, step, 0)  # for the rate
                    break
                begins.append(index.begin * track.scale // index.scale)
                ends.append(index.until * track.scale // index.scale)
            elif box.kind == b"moof":
                begin, end = _fragment(pieces, box, track, step, max(ends))
                begins.append(begin)
                ends.append(end)
                last = _last_fragment(pieces, track) if first else 0
                at, first = max(at, last), False
    except (_Spent, _Cut):
        return 0.0
    return max(_seconds(max(ends) - min(begins, default=0), track.scale), seconds)


@dataclass(frozen=True, slots=True)
class _Index:
    track: int
    scale: int
    begin: int  # the time at which the indexed fragments begin, in that scale
    until: int  # the time at which they end
    end: int  # the offset at which they end


def _index(pieces: _Pieces, sidx: _Box) -> _Index:
    data = pieces.content(sidx, MOST_TABLE)
    width = 8 if data[:1] == b"\x01" else 4
    at = 12 + 2 * width
    count = _number(data, at + 2, 2)
    entries = range(at + 4, at + 4 + 12 * count, 12)
    size = sum(_number(data, entry, 4) & 0x7FFFFFFF for entry in entries)
    time = sum(_number(data, entry + 4, 4) for entry in entries)
    begin, offset = _number(data, 12, width), _number(data, 12 + width, width)
    return _Index(_number(data, 4, 4), _number(data, 8, 4), begin, begin + time, sidx.end + offset + size)


def _fragment(pieces: _Pieces, moof: _Box, track: _Track, step: int, before: int) -> tuple[int, int]:
    """The times at which a fragment's samples of a track begin and end. `before` is when the fragment before it ended,
    `step` the time of a sample of which the fragment doesn't say it."""
    for traf in pieces.inside(moof):
        if traf.kind != b"traf":
            continue
        begin, time = before, 0
        for box in pieces.inside(traf):
            data = pieces.content(box, MOST_TABLE)
            if box.kind == b"tfhd":
                if _number(data, 4, 4) != track.number:
                    break
                flags = _number(data, 1, 3)
                if flags & 0x8:
                    step = _number(data, 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2), 4)
            elif box.kind == b"tfdt":
                begin = _number(data, 4, 8 if data[:1] == b"\x01" else 4)
            elif box.kind == b"trun":
                track.samples += _number(data, 4, 4)
                time += _run(data, step)
        else:
            track.sampled += time
            return begin, begin + time
    return before, before


def _run(data: bytes, step: int) -> int:
    """The time of a run's samples."""
    flags, count = _number(data, 1, 3), _number(data, 4, 4)
    if not flags & 0x100:
        return count * step
    at = 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    width = 4 * sum(bool(flags & flag) for flag in (0x100, 0x200, 0x400, 0x800))
    return sum(_number(data, sample, 4) for sample in range(at, at + width * count, width))


def _last_fragment(pieces: _Pieces, track: _Track) -> int:
    """The offset of a track's last fragment by the index at the file's end (``mfra``); 0 if there is none."""
    tail = pieces.at(max(0, pieces.size - PIECE), PIECE)
    size = _number(tail, len(tail) - 4, 4) if tail[-12:-8] == b"mfro" else 0
    if not 0 < size <= pieces.size:
        return 0
    for mfra in pieces.boxes(pieces.size - size, pieces.size):
        for box in pieces.inside(mfra) if mfra.kind == b"mfra" else ():
            data = pieces.content(box, 16)
            if box.kind == b"tfra" and _number(data, 4, 4) == track.number and (count := _number(data, 12, 4)):
                lengths = _number(data, 8, 4)
                width = 8 if data[:1] == b"\x01" else 4
                entry = 2 * width + 3 + (lengths & 3) + (lengths >> 2 & 3) + (lengths >> 4 & 3)
                return _number(pieces.at(box.body + 16 + entry * (count - 1), entry), width, width)
        break
    return 0


# what things are called

_READ = ("mp4", "mov")
_NAMES = {
    "asf": "WMV/ASF", "avi": "AVI", "flac": "FLAC", "flv": "FLV", "gif": "GIF", "heif": "HEIF", "ivf": "IVF",
    "jpeg": "JPEG", "matroska": "Matroska (MKV)", "mp3": "MP3", "mp4": "MP4", "mov": "MOV", "mpeg": "MPEG",
    "mpegts": "MPEG-TS", "mpegvideo": "MPEG video", "mxf": "MXF", "ogg": "Ogg", "png": "PNG", "rm": "RealMedia",
    "wav": "WAV", "webm": "WebM", "webp": "WebP",
}  # fmt: skip
_NO_VIDEO = frozenset({"flac", "gif", "heif", "jpeg", "mp3", "png", "wav", "webp"})
# Handlers of tracks that show no picture, or none of a film: sound, text, timecode, metadata, hints, MIDI.
_NOT_PICTURES = frozenset(
    {b"soun", b"text", b"subt", b"sbtl", b"clcp", b"tmcd", b"meta", b"mdta", b"hint", b"musi", b"odsm", b"sdsm"}
)
_CODECS = {
    kind.encode(): codec
    for codec, kinds in {
        "h264": "avc1 avc2 avc3 avc4 dva1 dvav",
        "hevc": "hvc1 hev1 hvc2 hev2 dvh1 dvhe",
        "vvc": "vvc1 vvi1",
        "av1": "av01 dav1",
        "vp8": "vp08",
        "vp9": "vp09",
        "mpeg4": "XVID DIVX 3IV2",
        "mpeg2video": "m2v1 mpg2 mp2v xd51 xd54 xd55 xd59 xd5a xd5b xd5c xd5d xd5e xd5f xdv1 xdv2 xdv3 xdv4 xdv5 xdv6 "
        "xdv7 xdv8 xdv9 xdva xdvb xdvc xdvd xdve xdvf hdv1 hdv2 hdv3 hdv4 hdv5 hdv6 hdv7 hdv8 hdv9 hdva mx5p mx5n",
        "mpeg1video": "m1v1 mpg1 mp1v",
        "mjpeg": "jpeg mjpa mjpg AVDJ",
        "mjpegb": "mjpb",
        "prores": "apch apcn apcs apco ap4h ap4x",
        "dnxhd": "AVdn AVdh",
        "dvvideo": "dvc  dvcp dvpp dv5n dv5p dvh2 dvh3 dvh5 dvh6 dvhp dvhq",
        "h263": "h263 H263 s263",
        "svq1": "SVQ1 svq1",
        "svq3": "SVQ3",
        "cinepak": "cvid",
        "qtrle": "rle ",
        "rpza": "rpza",
        "vc1": "vc-1",
        "cfhd": "CFHD",
        "png": "png  MPNG",
        "rawvideo": "raw  2vuy yuv2 yuvs",
        "v210": "v210",
        "ffv1": "FFV1",
        "hap": "Hap1 Hap5 HapY HapA HapM",
    }.items()
    for kind in (kinds[at : at + 4] for at in range(0, len(kinds), 5))
}
# objectTypeIndication of an elementary stream (the MP4 registration authority's list).
_OBJECTS = {
    0x20: "mpeg4", 0x21: "h264", 0x23: "hevc", 0x6A: "mpeg1video", 0x6C: "mjpeg", 0x6D: "png", 0x6E: "jpeg2000",
    0xA3: "vc1", **dict.fromkeys(range(0x60, 0x66), "mpeg2video"),
}  # fmt: skip
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


def _by_magic(first: bytes, pieces: _Pieces) -> str:
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
    if first[4:8] in _OPENING and (_number(first, 0, 4) >= 8 or _number(first, 0, 4) <= 1):
        return _OPENING[first[4:8]]
    for start, step in ((0, 188), (4, 192)):  # a transport stream's packets, and Blu-ray's
        if pieces.size > start + 4 * step and all(
            pieces.at(at, 1) == b"\x47" for at in range(start, start + 5 * step, step)
        ):
            return "mpegts"
    return ""
