"""A video's results: the jobs of its newest upload, and their documents and rows."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from cli.core.errors import CliError, NotThere
from cli.core.stack import Stack
from lambdas.model.job import FINAL, Job


def newest_upload(jobs: Iterable[Job]) -> list[Job]:
    """Of one video's jobs those of its newest upload, that is with its content, in the order given.

    An earlier upload of the same key was another video; its results are not shown with this one.
    """
    jobs = list(jobs)
    newest = max(jobs, key=lambda job: job.sequencer, default=None)
    return [job for job in jobs if newest and job.etag == newest.etag]


def jobs_of(stack: Stack, video: str) -> tuple[str, list[Job]]:
    """The key, and the latest job of each analysis of its newest upload.

    Raises:
        NotThere: there is no such video.
    """
    key = stack.key(video)
    # Oldest first, so the later of two jobs of one analysis (with other parameters) stays.
    newest = {job.analysis: job for job in newest_upload(stack.table.of_video(stack.videos, key))}
    if not newest:
        raise stack.unknown(key)
    return key, sorted(newest.values(), key=lambda job: job.analysis)


def done(stack: Stack, video: str, analysis: str | None = None) -> tuple[str, list[Job]]:
    """As `jobs_of`, but only jobs that SUCCEEDED: all, or the one of `analysis`.

    Raises:
        NotThere: there is no such video, or it has no such results.
    """
    key, jobs = jobs_of(stack, video)
    if analysis:
        jobs = [job for job in jobs if job.analysis == analysis]
        if not jobs:
            raise NotThere(
                f"The newest upload of {key} has no job for {analysis}.", stack.target.command("status", key)
            )
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
    """The body of an object in the results bucket.

    Raises:
        CliError: the object is missing, though a job recorded it.
    """
    try:
        return stack.client("s3").get_object(Bucket=stack.results, Key=key)["Body"]
    except stack.client("s3").exceptions.NoSuchKey:
        raise CliError(
            f"s3://{stack.results}/{key} does not exist any more, though its job wrote it.",
            "upload the video again: within 7 days, its result is written again at no cost",
        ) from None


def document(stack: Stack, job: Job) -> dict[str, Any]:
    """A job's document: Rekognition's own answer, with all pages in one.

    Raises:
        CliError: it is missing or invalid.
    """
    return parsed(body(stack, job.result_key).read(), f"s3://{stack.results}/{job.result_key}")


def parsed(content: bytes, address: str) -> dict[str, Any]:
    """A document from its bytes; its members are not checked.

    Raises:
        CliError: it is not a JSON object.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{address} is not a results document: {error}.") from None
    if not isinstance(found, dict):
        raise CliError(f"{address} is not a results document: it holds a {type(found).__name__}, not an object.")
    return found


def documents(stack: Stack, jobs: list[Job]) -> dict[str, dict[str, Any]]:
    """The documents of jobs, by analysis."""
    return {job.analysis: document(stack, job) for job in jobs}


def rows(stack: Stack, job: Job) -> Iterator[dict[str, Any]]:
    """A job's rows, in order.

    Raises:
        CliError: they are missing or invalid.
    """
    try:
        with gzip.open(body(stack, job.rows_key), "rt", encoding="utf-8") as lines:
            for line in lines:
                yield dict(json.loads(line))
    except (ValueError, TypeError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CliError(f"s3://{stack.results}/{job.rows_key} does not hold rows: {error}.") from None
