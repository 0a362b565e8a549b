"""A video's results: which jobs count, and what they wrote."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from cli.core.errors import CliError, NotThere
from cli.core.stack import Stack
from lambdas.model.job import FINAL, Job


def newest_upload(jobs: Iterable[Job]) -> list[Job]:
    """Of one video's jobs those of its newest upload: all that have its content, in the order given.

    What an earlier upload of the same key had is of another video, and is not shown with this one.
    """
    jobs = list(jobs)
    newest = max(jobs, key=lambda job: job.sequencer, default=None)
    return [job for job in jobs if newest and job.etag == newest.etag]


def jobs_of(stack: Stack, video: str) -> tuple[str, list[Job]]:
    """The key, and of its newest upload the job that counts for each analysis.

    Raises:
        NotThere: nobody knows the video.
    """
    key = stack.key(video)
    # Oldest first, so of two jobs of one analysis (other parameters) the later one counts.
    newest = {job.analysis: job for job in newest_upload(stack.table.of_video(stack.videos, key))}
    if not newest:
        raise stack.unknown(key)
    return key, sorted(newest.values(), key=lambda job: job.analysis)


def done(stack: Stack, video: str, analysis: str | None = None) -> tuple[str, list[Job]]:
    """As `jobs_of`, of those that SUCCEEDED: all, or the one of an analysis.

    Raises:
        NotThere: nobody knows the video, or it has no such results.
    """
    key, jobs = jobs_of(stack, video)
    if analysis:
        jobs = [job for job in jobs if job.analysis == analysis]
        if not jobs:
            raise NotThere(f"The newest upload of {key} has had no {analysis}.", stack.target.command("status", key))
    finished = [job for job in jobs if job.state == "SUCCEEDED"]
    if not finished:
        states = ", ".join(
            f"{job.analysis} is {job.state}" + (f" ({job.reason})" if job.reason else "") for job in jobs
        )
        ended = all(job.state in FINAL for job in jobs)
        raise NotThere(
            f"{key} has no results{'' if ended else ' yet'}: {states.removesuffix('.')}.",
            stack.target.command("retry", key) if ended else stack.target.command("status", key, "--watch"),
        )
    return key, finished


def body(stack: Stack, key: str | None) -> Any:
    """An object of the results bucket, to read from.

    Raises:
        CliError: it isn't there, though a job says so.
    """
    try:
        return stack.client("s3").get_object(Bucket=stack.results, Key=key)["Body"]
    except stack.client("s3").exceptions.NoSuchKey:
        raise CliError(
            f"s3://{stack.results}/{key} is gone, though its job wrote it.",
            "upload the video again: its result is written again, at no cost within 7 days",
        ) from None


def document(stack: Stack, job: Job) -> dict[str, Any]:
    """A job's document: Rekognition's own answer, all pages in one.

    Raises:
        CliError: it isn't there, or is none.
    """
    return parsed(body(stack, job.result_key).read(), f"s3://{stack.results}/{job.result_key}")


def parsed(content: bytes, address: str) -> dict[str, Any]:
    """A document from its bytes; what is in it may be anything.

    Raises:
        CliError: it is none.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{address} is no results document: {error}.") from None
    if not isinstance(found, dict):
        raise CliError(f"{address} is no results document: it holds a {type(found).__name__}, not an object.")
    return found


def documents(stack: Stack, jobs: list[Job]) -> dict[str, dict[str, Any]]:
    """The documents of jobs, by analysis."""
    return {job.analysis: document(stack, job) for job in jobs}


def rows(stack: Stack, job: Job) -> Iterator[dict[str, Any]]:
    """A job's rows, one after the other.

    Raises:
        CliError: they aren't there, or are none.
    """
    try:
        with gzip.open(body(stack, job.rows_key), "rt", encoding="utf-8") as lines:
            for line in lines:
                yield dict(json.loads(line))
    except (ValueError, TypeError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CliError(f"s3://{stack.results}/{job.rows_key} holds no rows: {error}.") from None
