"""Everything of one video, gone: faces are personal data.

The video, its results, rows and reports, what unfinished or replaced collections left, half-done uploads, its jobs'
records; every version of each, where a bucket has versions. What Rekognition keeps of its own answers it forgets after
7 days. A backup (DynamoDB's point-in-time recovery, 35 days) and logs (the setting log_retention_days) run out by
themselves.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

from botocore.exceptions import ClientError

from cli.errors import CliError
from cli.stack import Stack
from lambdas import results
from lambdas.jobs import Job


@dataclass(frozen=True, slots=True)
class Thing:
    """One version of one object, or one upload that was never finished."""

    bucket: str
    key: str
    version: str | None = None
    upload_id: str | None = None
    size: int = 0

    @property
    def address(self) -> str:
        """For people."""
        more = " (an unfinished upload)" if self.upload_id else f" (version {self.version})" if self.version else ""
        return f"s3://{self.bucket}/{self.key}{more}"


def jobs_of(stack: Stack, key: str) -> list[Job]:
    """The video's jobs, of all its uploads.

    Raises:
        NotThere: neither a job nor an object has that key.
        CliError: the results of one are being written this moment.
    """
    jobs = stack.table.of_video(stack.videos, key)
    if not jobs and not any(_versions(stack, stack.videos, key)):
        raise stack.unknown(key)
    if any(job.state == "COLLECTING" for job in jobs):
        raise CliError(
            f"The results of {key} are being written this moment; deleted now, they would come back.",
            stack.where.command("status", key, "--watch"),
        )
    return jobs


def things(stack: Stack, key: str, jobs: Sequence[Job]) -> list[Thing]:
    """Every object that holds something of the video."""
    found = list(_versions(stack, stack.videos, key))
    # Beside the documents, the pages that `report` writes. One level only: results/a/b.mp4/ is not the video a's.
    for folder in results_folders(key):
        found += [one for one in _under(stack, stack.results, folder) if "/" not in one.key.removeprefix(folder)]
    for job in jobs:
        for made in (results.rows_key(job), results.job_row_key(job)):
            found += _versions(stack, stack.results, made)
        for recorded in filter(None, (job.result_key, job.rows_key)):
            found += _versions(stack, stack.results, recorded)
        for prefix in (f"superseded/{job.job_id}/", f"collecting/{job.job_id}/"):
            found += _under(stack, stack.results, prefix)
    return list(dict.fromkeys(found))


def results_folders(key: str) -> list[str]:
    """Where a video's documents may lie: under its key, and under the short form of a very long one."""
    plain, short = f"results/{key}/", f"results/.long-keys/{hashlib.sha256(key.encode()).hexdigest()}/"
    return [folder for folder in (plain, short) if len(folder.encode()) <= results.LONGEST_KEY]


def delete(stack: Stack, key: str, jobs: Sequence[Job], found: Sequence[Thing]) -> None:
    """Delete them all, then the records; whoever is interrupted in between can go on by asking again.

    Raises:
        CliError: a job began to collect meanwhile, or an object would not go.
    """
    erase(stack, found)
    for job in jobs:
        if not stack.table.forget(job):
            raise CliError(f"A job of {key} moved on while it was being deleted.", stack.where.command("delete", key))
    # Between the first look and the end of its record, a job may have written something more.
    erase(stack, things(stack, key, jobs))


def erase(stack: Stack, found: Sequence[Thing]) -> None:
    """Delete objects, each in its version.

    Raises:
        CliError: one would not go.
    """
    s3 = stack.client("s3")
    for thing in found:
        if thing.upload_id:
            s3.abort_multipart_upload(Bucket=thing.bucket, Key=thing.key, UploadId=thing.upload_id)
    objects = [thing for thing in found if not thing.upload_id]
    for bucket in dict.fromkeys(thing.bucket for thing in objects):
        for batch in batched((thing for thing in objects if thing.bucket == bucket), 1000):
            doomed = [{"Key": one.key, **({"VersionId": one.version} if one.version else {})} for one in batch]
            errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True}).get("Errors")
            if errors:
                raise CliError(
                    f"{errors[0]['Key']} could not be deleted: {errors[0].get('Message', errors[0]['Code'])}."
                )


def _versions(stack: Stack, bucket: str, key: str) -> Iterator[Thing]:
    return (thing for thing in _under(stack, bucket, key) if thing.key == key)


def _under(stack: Stack, bucket: str, prefix: str) -> Iterator[Thing]:
    """Every version and every unfinished upload whose key begins so."""
    s3 = stack.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            version = one.get("VersionId")
            yield Thing(bucket, one["Key"], None if version == "null" else version, size=one.get("Size", 0))
    for upload in _unfinished(s3, bucket, prefix):
        yield Thing(bucket, upload["Key"], upload_id=upload["UploadId"])


def _unfinished(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    try:
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Uploads", [])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
