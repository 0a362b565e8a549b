"""The index of an MP4 or QuickTime movie (ISO/IEC 14496-12, and Apple's QuickTime File Format)."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lambdas.model.pieces import PIECE, Box, Cut, Pieces, Spent, number

if TYPE_CHECKING:
    from lambdas.model.video_header import VideoHeader

MOST_TABLE = PIECE  # bytes that are read of one table
LEAST_RATE = 1  # bytes a second; a length that leaves fewer for each second of the file is none


def _duration(data: bytes, offset: int, width: int) -> int:
    """A duration; 0 where it is unknown, which is all ones."""
    value = number(data, offset, width)
    return 0 if value == (1 << 8 * width) - 1 else value


def _times(data: bytes) -> tuple[int, int, int]:
    """What ``mvhd`` and ``mdhd`` begin with: the scale, the duration, and where they end."""
    at, width = (20, 8) if data[:1] == b"\x01" else (12, 4)
    return number(data, at, 4), _duration(data, at + 4, width), at + 4 + width


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


def read_movie(pieces: Pieces, header: "VideoHeader") -> "VideoHeader":
    """`header` with what the movie's index says.

    Raises:
        Spent, Cut: the index can't be found.
    """
    found: Box | None = None
    for box in pieces.boxes(0, pieces.size):
        if box.kind == b"moov":
            found = box
            break
    if found is None:
        return header
    movie = _Movie()
    try:
        _read_movie(pieces, found, movie)
        movie.whole = found.whole
    except (Spent, Cut):
        pass
    videos = [track for track in movie.tracks if track.handler == b"vide"]
    track = next((one for one in videos if one.enabled), videos[0] if videos else None)
    if track is None:
        others = movie.whole and all(one.handler in _NOT_PICTURES for one in movie.tracks)
        return replace(header, seconds=_seconds(movie.duration, movie.scale), video=False if others else None)
    seconds = _played(movie, track)
    if movie.fragmented:
        seconds = _with_fragments(pieces, found, movie, track, seconds)
    if seconds * LEAST_RATE > pieces.size:
        seconds = 0.0  # a lie: a negative number, say
    return replace(
        header,
        codec=track.codec,
        seconds=seconds,
        width=track.width,
        height=track.height,
        rotation=_rotation(track.matrix, movie.matrix),
        rate=_rate(track),
        video=True,
        encrypted=track.encrypted,
    )


def _read_movie(pieces: Pieces, moov: Box, movie: _Movie) -> None:
    for box in pieces.inside(moov):
        if box.kind == b"mvhd":
            data = pieces.content(box)
            movie.scale, movie.duration, end = _times(data)
            movie.matrix = _matrix(data, end + 16)
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
                    movie.defaults[number(data, 4, 4)] = number(data, 12, 4)
        if not box.whole:
            raise Cut


def _read_track(pieces: Pieces, trak: Box, track: _Track) -> None:
    for box in pieces.inside(trak):
        if box.kind == b"tkhd":
            data = pieces.content(box)
            track.enabled = bool(number(data, 3, 1) & 1)
            at = 20 if data[:1] == b"\x01" else 12
            track.number = number(data, at, 4)
            at += 8 + (8 if data[:1] == b"\x01" else 4) + 16
            track.matrix = _matrix(data, at)
            track.width, track.height = number(data, at + 36, 4) >> 16, number(data, at + 40, 4) >> 16
        elif box.kind == b"edts":
            for one in pieces.inside(box):
                if one.kind == b"elst":
                    track.edits = _edits(pieces.content(one, MOST_TABLE))
        elif box.kind == b"mdia":
            _read_media(pieces, box, track)


def _read_media(pieces: Pieces, mdia: Box, track: _Track) -> None:
    for box in pieces.inside(mdia):
        if box.kind == b"mdhd":
            track.scale, track.duration, _ = _times(pieces.content(box))
        elif box.kind == b"hdlr":
            track.handler = pieces.content(box)[8:12]
        elif box.kind == b"minf" and track.handler in (b"vide", b""):
            for one in pieces.inside(box):
                if one.kind == b"stbl":
                    _read_samples(pieces, one, track)


def _read_samples(pieces: Pieces, stbl: Box, track: _Track) -> None:
    for box in pieces.inside(stbl):
        if box.kind == b"stsd":
            _read_description(pieces, box, track)
        elif box.kind == b"stts":
            data = pieces.content(box, MOST_TABLE)
            count = number(data, 4, 4)
            entries = [
                (number(data, at, 4), number(data, at + 4, 4))
                for at in range(8, 8 + 8 * min(count, (len(data) - 8) // 8), 8)
            ]
            track.samples = sum(samples for samples, _ in entries)
            track.sampled = sum(samples * step for samples, step in entries)
            track.counted = len(entries) == count
            if entries and (count == 1 or (count == 2 and len(entries) == 2 and entries[1][0] == 1)):
                track.step = entries[0][1]


def _read_description(pieces: Pieces, stsd: Box, track: _Track) -> None:
    """The first sample entry. (Where a track changes its codec midway, there are more.)"""
    for entry in pieces.boxes(stsd.body + 8, stsd.end):
        data = pieces.content(entry)
        track.width, track.height = number(data, 24, 2) or track.width, number(data, 26, 2) or track.height
        kind = entry.kind
        if kind in (b"encv", b"drmi"):
            track.encrypted = True
            kind = _original_format(pieces, entry)
        track.codec = _object_codec(pieces, entry) if kind == b"mp4v" else _CODECS.get(kind, "")
        return


def _original_format(pieces: Pieces, entry: Box) -> bytes:
    for box in pieces.boxes(entry.body + 78, entry.end):
        if box.kind == b"sinf":
            for one in pieces.inside(box):
                if one.kind == b"frma":
                    return pieces.content(one)[:4]
    return b""


def _object_codec(pieces: Pieces, entry: Box) -> str:
    """The codec that the descriptor of an ``mp4v`` entry names (ISO/IEC 14496-1); it is seldom another than MPEG-4."""
    try:
        for box in pieces.boxes(entry.body + 78, entry.end):
            if box.kind == b"esds":
                data = pieces.content(box)[4:]
                at = _into_descriptor(data, 0, 0x03)
                flags = number(data, at + 2, 1)
                at += 3 + 2 * bool(flags & 0x80)
                if flags & 0x40:
                    at += 1 + number(data, at, 1)
                at = _into_descriptor(data, at + 2 * bool(flags & 0x20), 0x04)
                return _OBJECTS.get(number(data, at, 1), "")
    except Cut:
        pass
    return "mpeg4"


def _into_descriptor(data: bytes, at: int, tag: int) -> int:
    """Where the content of the descriptor at `at` begins, behind its tag and a length of one to four bytes."""
    if number(data, at, 1) != tag:
        raise Cut
    for length in range(1, 5):
        if not number(data, at + length, 1) & 0x80:
            return at + length + 1
    raise Cut


def _edits(data: bytes) -> list[tuple[int, int]]:
    width = 8 if data[:1] == b"\x01" else 4
    each = 2 * width + 4
    count = min(number(data, 4, 4), (len(data) - 8) // each)
    return [
        (number(data, at, width), number(data, at + width, width, signed=True))
        for at in range(8, 8 + each * count, each)
    ]


def _matrix(data: bytes, at: int) -> tuple[int, int, int, int]:
    a, b, c, d = (number(data, at + offset, 4, signed=True) for offset in (0, 4, 12, 16))
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


def _with_fragments(pieces: Pieces, moov: Box, movie: _Movie, track: _Track, seconds: float) -> float:
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
    except (Spent, Cut):
        return 0.0
    return max(_seconds(max(ends) - min(begins, default=0), track.scale), seconds)


@dataclass(frozen=True, slots=True)
class _Index:
    track: int
    scale: int
    begin: int  # the time at which the indexed fragments begin, in that scale
    until: int  # the time at which they end
    end: int  # the offset at which they end


def _index(pieces: Pieces, sidx: Box) -> _Index:
    data = pieces.content(sidx, MOST_TABLE)
    width = 8 if data[:1] == b"\x01" else 4
    at = 12 + 2 * width
    count = number(data, at + 2, 2)
    entries = range(at + 4, at + 4 + 12 * count, 12)
    size = sum(number(data, entry, 4) & 0x7FFFFFFF for entry in entries)
    time = sum(number(data, entry + 4, 4) for entry in entries)
    begin, offset = number(data, 12, width), number(data, 12 + width, width)
    return _Index(number(data, 4, 4), number(data, 8, 4), begin, begin + time, sidx.end + offset + size)


def _fragment(pieces: Pieces, moof: Box, track: _Track, step: int, before: int) -> tuple[int, int]:
    """The times at which a fragment's samples of a track begin and end. `before` is when the fragment before it ended,
    `step` the time of a sample of which the fragment doesn't say it."""
    for traf in pieces.inside(moof):
        if traf.kind != b"traf":
            continue
        begin, time = before, 0
        for box in pieces.inside(traf):
            data = pieces.content(box, MOST_TABLE)
            if box.kind == b"tfhd":
                if number(data, 4, 4) != track.number:
                    break
                flags = number(data, 1, 3)
                if flags & 0x8:
                    step = number(data, 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2), 4)
            elif box.kind == b"tfdt":
                begin = number(data, 4, 8 if data[:1] == b"\x01" else 4)
            elif box.kind == b"trun":
                track.samples += number(data, 4, 4)
                time += _run(data, step)
        else:
            track.sampled += time
            return begin, begin + time
    return before, before


def _run(data: bytes, step: int) -> int:
    """The time of a run's samples."""
    flags, count = number(data, 1, 3), number(data, 4, 4)
    if not flags & 0x100:
        return count * step
    at = 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    width = 4 * sum(bool(flags & flag) for flag in (0x100, 0x200, 0x400, 0x800))
    return sum(number(data, sample, 4) for sample in range(at, at + width * count, width))


def _last_fragment(pieces: Pieces, track: _Track) -> int:
    """The offset of a track's last fragment by the index at the file's end (``mfra``); 0 if there is none."""
    tail = pieces.at(max(0, pieces.size - PIECE), PIECE)
    size = number(tail, len(tail) - 4, 4) if tail[-12:-8] == b"mfro" else 0
    if not 0 < size <= pieces.size:
        return 0
    for mfra in pieces.boxes(pieces.size - size, pieces.size):
        for box in pieces.inside(mfra) if mfra.kind == b"mfra" else ():
            data = pieces.content(box, 16)
            if box.kind == b"tfra" and number(data, 4, 4) == track.number and (count := number(data, 12, 4)):
                lengths = number(data, 8, 4)
                width = 8 if data[:1] == b"\x01" else 4
                entry = 2 * width + 3 + (lengths & 3) + (lengths >> 2 & 3) + (lengths >> 4 & 3)
                return number(pieces.at(box.body + 16 + entry * (count - 1), entry), width, width)
        break
    return 0


# what things are called

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
