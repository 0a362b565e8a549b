"""The page of a video: written to this disk, and stored next to the results."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.core import terminal
from cli.core.errors import WrongUse
from cli.core.s3_file import S3File
from cli.core.stack import Stack
from cli.pages import detections
from cli.pages.report import Facts, Link, build_report, local_file, stills_of
from cli.pages.stills import Still
from cli.results import result_lookup
from lambdas.model.job import Job

LONGEST_LINK = 7 * 24 * 3600  # seconds; S3 signs no longer link


@dataclass(frozen=True, slots=True)
class Playing:
    """How the page plays the video: from a file on this disk, by a link that expires, or (neither) from a file that the
    reader chooses."""

    file: Path | None = None
    link_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a page."""

    key: str
    jobs: list[Job]
    documents: dict[str, dict[str, Any]]
    found: list[detections.Detection]
    stills: list[Still]

    def html(self, link: Link | None) -> str:
        """The page, which plays the video by `link`."""
        facts = Facts.of(self.jobs)
        return build_report(self.key, self.documents, facts=facts, video=link, stills=self.stills, found=self.found)


def report(stack: Stack, video: str, file: Path | None) -> Report:
    """Gather the content of a page; pictures come from `file`, or from the object by byte range.

    Raises:
        NotThere: there is no such video, or it has no results.
    """
    key, done = result_lookup.done(stack, video)
    documents = result_lookup.documents(stack, done)
    found = detections.read(documents)
    source = file or _object(stack, key)
    stills = stills_of(source, found, documents) if source else []
    return Report(key, result_lookup.jobs_of(stack, video)[1], documents, found, stills)


def link(stack: Stack, key: str, page: Path, playing: Playing) -> Link | None:
    """The link by which the file `page` plays the video."""
    return local_file(playing.file, page) if playing.file else _presigned(stack, key, playing.link_seconds)


def keep(stack: Stack, made: Report) -> str:
    """Store the page, without a link to the video, next to the results; returns a message with its address or the
    reason of a failure."""
    beside = next(job.result_key for job in made.jobs if job.result_key)
    target = f"{beside.rpartition('/')[0]}/report.html"
    body = made.html(None).encode()
    try:
        stack.client("s3").put_object(
            Bucket=stack.results, Key=target, Body=body, ContentType="text/html; charset=utf-8"
        )
    except ClientError as error:
        return f"The page was not stored next to the results: {error.response['Error'].get('Code')}."
    return f"Also stored at s3://{stack.results}/{terminal.printable(target)}"


def download(stack: Stack, key: str, path: Path) -> Path:
    """Download the video to `path`, unless a file of the same size is there."""
    s3 = stack.client("s3")
    size = s3.head_object(Bucket=stack.videos, Key=key)["ContentLength"]
    if path.exists() and path.stat().st_size == size:
        return path
    with terminal.progress(transfer=True) as bars:
        task = bars.add_task(path.name[:28], total=size)
        s3.download_file(stack.videos, key, str(path), Callback=lambda more: bars.update(task, advance=more))
    return path


def _object(stack: Stack, key: str) -> S3File | None:
    try:
        return S3File(stack.client("s3"), stack.videos, key)
    except ClientError:  # it was deleted, or these credentials may not read it
        terminal.info("The video can't be read, so the page has no pictures.")
        return None


def _presigned(stack: Stack, key: str, seconds: int | None) -> Link | None:
    if seconds is None:
        return None
    s3 = stack.client("s3")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": stack.videos, "Key": key}, ExpiresIn=seconds)
    return Link(url, datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds"))


def seconds(text: str) -> int:
    """Seconds for ``90m``, ``12h`` or ``7d``.

    Raises:
        WrongUse: it has another form, or is longer than S3 allows.
    """
    read = re.fullmatch(r"(\d+)\s*([mhd])", text.strip())
    length = int(read[1]) * {"m": 60, "h": 3600, "d": 86400}[read[2]] if read else 0
    if not 0 < length <= LONGEST_LINK:
        raise WrongUse(f"--link {text!r}: give a time like 90m, 12h or 7d; S3's links last 7 days at most.")
    return length
