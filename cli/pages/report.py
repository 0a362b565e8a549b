"""The page of one video: a single HTML file that needs nothing else, and no server.

    html = build_report("ads/clip.mp4", documents, facts=Facts.of(jobs), video=local_file(clip, page), stills=stills)
    write_report(Path("clip.html"), "ads/clip.mp4", documents, file=Path("clip.mp4"))

`documents` are results documents by analysis, ``{"face-detection": {...}}``, as they lie in the results bucket: any of
the seven analyses, or none. Everything in the page that comes from a document or a key gets there as text.
"""

from __future__ import annotations

import os
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from cli.pages import detections, html
from cli.pages.detections import INDEX, KINDS, SHOT, UNKNOWN, Detection
from cli.pages.stills import Still, key_moments, pictures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cli.pages.detections import Document
    from lambdas.model.job import Job

STYLES = ("base.css", "report.css")
SCRIPTS = ("base.js", "data.js", "player.js", "stage.js", "timeline.js", "table.js", "report.js")
MOST_LANDMARKS = 20_000  # most faces with landmarks; five points each would double a film's file


@dataclass(frozen=True, slots=True)
class JobFact:
    """The state of one analysis of the video."""

    analysis: str
    state: str
    reason: str | None = None
    detections: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about the upload and its jobs."""

    bucket: str | None = None
    size: int | None = None  # bytes
    uploaded_at: str | None = None  # ISO 8601
    jobs: Sequence[JobFact] = ()

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Facts:
        """The facts of a video from its jobs, newest last; the newest job of an analysis counts."""
        newest = {job.analysis: job for job in jobs}
        if not newest:
            return cls()
        last = max(newest.values(), key=lambda job: job.uploaded_at)
        jobs_ = [JobFact(job.analysis, job.state, job.reason, job.detections) for job in newest.values()]
        return cls(last.bucket, last.size, last.uploaded_at, jobs_)


@dataclass(frozen=True, slots=True)
class Link:
    """The address from which the page plays the video."""

    url: str
    expires_at: str | None = None  # ISO 8601, if it is a presigned link


def local_file(video: Path, page: Path) -> Link:
    """A link from the page at `page` to a video on the same disk, relative, so that both can be moved together."""
    path = os.path.relpath(video.resolve(), page.resolve().parent)
    return Link(quote(Path(path).as_posix() if path.startswith("..") else f"./{Path(path).as_posix()}"))


def write_report(
    path: Path,
    key: str,
    documents: Mapping[str, Document],
    *,
    facts: Facts | None = None,
    video: Link | None = None,
    file: Path | None = None,
) -> Path:
    """Write the page of the video `key` to `path`.

    `file` is the video on this disk: the source of the pictures, and what the page plays unless `video` is given.
    """
    found = detections.read(documents)
    stills = stills_of(file, found, documents) if file else []
    link = video or (local_file(file, path) if file else None)
    path.write_text(build_report(key, documents, facts=facts, video=link, stills=stills, found=found), "utf-8")
    return path


def stills_of(file: Any, found: Sequence[Detection], documents: Mapping[str, Document]) -> list[Still]:
    """Pictures of the key moments; `file` is a path or a seekable file."""
    return pictures(file, key_moments(found, duration_of(found, documents)))


def build_report(
    key: str,
    documents: Mapping[str, Document],
    *,
    facts: Facts | None = None,
    video: Link | None = None,
    stills: Sequence[Still] = (),
    found: Sequence[Detection] | None = None,
    back: str | None = None,
) -> str:
    """The page of the video `key` as HTML.

    `found` are the detections, if the caller has read the documents already; `back` is the address of the link back.
    """
    found = detections.read(documents) if found is None else found
    facts = facts or Facts()
    about = detections.metadata(documents)
    duration = duration_of(found, documents)
    content = {
        "key": key.encode("utf-8", "replace").decode(),
        "facts": {"bucket": facts.bucket, "size": facts.size, "uploaded": facts.uploaded_at},
        "jobs": [{"analysis": job.analysis, "state": job.state, "reason": job.reason} for job in facts.jobs],
        "video": {
            "url": video.url if video else None,
            "expires": video.expires_at if video else None,
            "duration": duration,
            "width": detections.number(about.get("FrameWidth")) or None,
            "height": detections.number(about.get("FrameHeight")) or None,
            "rate": detections.number(about.get("FrameRate")) or None,
            "codec": str(about.get("Codec") or "") or None,
        },
        "back": back,
        "kinds": [
            {
                "analysis": kind.analysis,
                "title": kind.title,
                "step": detections.step(found, index),
                "looked": kind.analysis in documents,
                "unreadable": found.unreadable.get(kind.analysis, 0) if isinstance(found, detections.Found) else 0,
            }
            for index, kind in enumerate(KINDS)
        ],
        "tiles": tiles(found, documents, duration),
        "stills": [
            {
                "at": still.millis,
                "caption": still.caption,
                "width": still.width,
                "height": still.height,
                "url": still.url,
            }
            for still in stills
        ],
        "rows": columns(found),
    }
    return html.page(
        html.source("report.html"),
        title=f"{key.rsplit('/', 1)[-1] or key} – what is in it",
        style=html.source(*STYLES),
        script=html.source(*SCRIPTS),
        policy={"img-src": "data: blob:", "media-src": _media(video)},
        data=html.data(content),
    )


def _media(video: Link | None) -> str:
    """The media sources of the page's policy: files that the reader chooses, and the given address."""
    if video is None:
        return "blob:"
    parts = urlsplit(video.url)
    if parts.scheme in ("http", "https"):
        return f"blob: {parts.scheme}://{parts.netloc}"
    # Next to the page: on the same server, or on the same disk, where some browsers don't apply 'self'.
    return "blob: 'self' file:"


def duration_of(found: Sequence[Detection], documents: Mapping[str, Document]) -> int:
    """The video's length in milliseconds; the end of the last detection if no document has the length."""
    said = detections.number(detections.metadata(documents).get("DurationMillis"))
    if 0 < said <= detections.LATEST:
        return int(said)
    return max((one.end or one.millis for one in found), default=0)


def tiles(found: Sequence[Detection], documents: Mapping[str, Document], duration: int) -> list[dict[str, Any]]:
    """The summary: for each analysis a number, its meaning, and a moment to look at."""
    by_kind: dict[str, list[Detection]] = {kind.analysis: [] for kind in KINDS}
    for one in found:
        by_kind[KINDS[one.kind].analysis].append(one)
    result: list[dict[str, Any]] = []

    def tile(analysis: str, value: int, one: str, many: str, note: str, at: int | None = None) -> None:
        result.append(
            {"kind": INDEX[analysis], "value": value, "what": one if value == 1 else many, "note": note, "at": at}
        )

    for kind in KINDS:
        rows = by_kind[kind.analysis]
        names = detections.most_frequent(row.name for row in rows)
        if kind.analysis not in documents:
            continue
        if kind.analysis == "face-detection":
            count: dict[int, int] = {}
            for row in rows:
                count[row.millis] = count.get(row.millis, 0) + 1
            at = max(count, key=lambda millis: count[millis], default=None)
            looked = max(1, round(duration / detections.step(found, INDEX[kind.analysis])))
            share = min(100, round(100 * len(count) / looked))
            note = f"a person in {share} % of it" if rows else "no person in it"
            tile(kind.analysis, max(count.values(), default=0), "face at once", "faces at once", note, at)
        elif kind.analysis == "segment-detection":
            shots = [row for row in rows if row.name == SHOT]
            length = sum((row.end or row.millis) - row.millis for row in shots) / max(1, len(shots)) / 1000
            cues = [name for name in names if name != SHOT]
            note = "; ".join(filter(None, (f"{length:.1f} s on average" if shots else "", ", ".join(cues[:2]))))
            tile(kind.analysis, len(shots), "shot", "shots", note)
        elif kind.analysis == "content-moderation":
            at = max(rows, key=lambda row: row.confidence).millis if rows else None
            moments = len({row.millis for row in rows})
            tile(kind.analysis, moments, "flagged moment", "flagged moments", ", ".join(names[:3]) or "nothing", at)
        elif kind.analysis == "text-detection":
            read = detections.words(documents)
            at = rows[0].millis if rows else None
            tile(kind.analysis, len(read), "word", "words", " ".join(read[:4]) or "nothing to read", at)
        elif kind.analysis == "face-search":
            known = [name for name in names if name != UNKNOWN]
            note = ", ".join(known[:3]) or ("only unknown faces" if rows else "no person in it")
            tile(kind.analysis, len(known), "known face", "known faces", note, _first(rows, known))
        elif kind.analysis == "celebrity-recognition":
            tile(kind.analysis, len(names), "celebrity", "celebrities", ", ".join(names[:3]), _first(rows, names))
        else:
            tile(kind.analysis, len(names), "label", "labels", ", ".join(names[:3]), _first(rows, names))
    return result


def _first(rows: Iterable[Detection], names: Sequence[str]) -> int | None:
    """The first time of the first name, in ms."""
    return next((row.millis for row in rows if names and row.name == names[0]), None)


def columns(found: Sequence[Detection]) -> dict[str, Any]:
    """The rows column by column, in as few bytes as they need: 100,000 of them are some 3 MB of text, soon read.

    Names and details are numbers of `strings`. Boxes and landmarks are in ten-thousandths of the frame; `boxes` says
    how many a row has, and `spans` which rows last, and until when.
    """
    strings: dict[str, int] = {}

    def string(text: Any) -> int:
        return strings.setdefault(str(text).encode("utf-8", "replace").decode(), len(strings))

    faces = sum(1 for one in found if one.landmarks)
    with_landmarks = [one for one in found if one.landmarks] if faces <= MOST_LANDMARKS else []
    return {
        "count": len(found),
        "at": _column([one.millis for one in found]),
        "kind": _column([one.kind for one in found]),
        "name": _column([string(one.name) for one in found]),
        "detail": _column([string(one.detail) for one in found]),
        "confidence": _column([max(0, min(10_000, round(one.confidence * 100))) for one in found]),
        "boxes": _column([len(one.boxes) for one in found]),
        "corners": _column([_fraction(side) for one in found for box in one.boxes for side in box], "h"),
        "landmarks": _column(
            [_fraction(side) for one in with_landmarks for point in one.landmarks for side in point], "h"
        ),
        "marked": _column([row for row, one in enumerate(found) if one.landmarks] if with_landmarks else []),
        "spans": _column([row for row, one in enumerate(found) if one.end is not None]),
        "ends": _column([one.end for one in found if one.end is not None]),
        "strings": list(strings),
    }


def _fraction(side: float) -> int:
    return max(-32_000, min(32_000, round(side * 10_000)))


_NAMES = {"B": "u8", "H": "u16", "I": "u32", "h": "i16"}


def _column(values: Sequence[int], code: str | None = None) -> list[str]:
    """Whole numbers as the narrowest type that holds them, little-endian, in base64."""
    import base64

    most = max(values, default=0)
    code = code or ("B" if most < 1 << 8 else "H" if most < 1 << 16 else "I")
    packed = array(code, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return [_NAMES[code], base64.b64encode(packed.tobytes()).decode()]
