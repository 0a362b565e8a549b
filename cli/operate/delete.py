"""Delete everything of one video: faces are personal data.

The video, its results, rows and reports, what unfinished or replaced collections left, half-done uploads, its jobs'
records; every version of each, where a bucket has versions, the one called ``null`` (from before the versioning) too.
S3 is asked again afterwards, and what it still has is reported with the reason.

What Rekognition keeps of its own answers it forgets after 7 days. Dead letters (14 days), a backup (DynamoDB's
point-in-time recovery, 35 days) and logs (the setting log_retention_days) run out by themselves.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any

from botocore.exceptions import ClientError

from cli.core.errors import CliError
from cli.core.stack import Stack
from lambdas.logic import results
from lambdas.model.job import Job

# What S3 calls the version of an object that was put while its bucket had no versioning. Without it in the request, a
# bucket that got versioning later only hides the object under a delete marker (S3 User Guide, "Deleting object versions
# from a versioning-enabled bucket"); a bucket that never had it takes it as well.
NULL = "null"


@dataclass(frozen=True, slots=True)
class Thing:
    """One version of one object, or one upload that was never finished."""

    bucket: str
    key: str
    version: str = NULL  # as S3 lists it; in a bucket without versions that is NULL too
    upload_id: str | None = None
    size: int = 0
    modified: datetime | None = None  # a second upload of a key without versions differs in this alone
    marker: bool = False  # a delete marker: it hides the versions beneath it

    @property
    def address(self) -> str:
        """For people."""
        version = f" (version {self.version})" if self.version != NULL else ""
        return f"s3://{self.bucket}/{self.key}{' (an unfinished upload)' if self.upload_id else version}"


@dataclass(frozen=True, slots=True)
class Left:
    """What is there still after a deletion, and why."""

    thing: Thing
    why: str


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
            stack.target.command("status", key, "--watch"),
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


def delete(stack: Stack, key: str, jobs: Sequence[Job], found: Sequence[Thing]) -> list[Left]:
    """Delete `found`, then the jobs' records, and look again; returns what is there still.

    If anything of `found` stays, the records stay too, as they name where the rest is; the same call can be repeated.
    A version of the video that was uploaded meanwhile is left alone and reported: the user has not agreed to delete it.

    Raises:
        CliError: a job began to collect meanwhile.
    """
    agreed = set(found)
    refusals = erase(stack, found)
    if left := _left(stack, things(stack, key, jobs), agreed, refusals):
        return left
    for job in jobs:
        if not stack.table.forget(job):
            raise CliError(f"A job of {key} moved on while it was being deleted.", stack.target.command("delete", key))
    # Between the first look and the end of its record, a job may have written something more.
    more = [thing for thing in things(stack, key, jobs) if thing.bucket == stack.results]
    return _left(stack, things(stack, key, jobs), agreed | set(more), erase(stack, more))


def erase(stack: Stack, found: Sequence[Thing]) -> dict[Thing, str]:
    """Delete objects, each in its version, and abort unfinished uploads; returns what S3 refused, and its words.

    Delete markers go last, and only where nothing beneath them stays: without its marker, a version that S3 refuses to
    delete would be the current one again.
    """
    s3 = stack.client("s3")
    for thing in found:
        if thing.upload_id:
            try:
                s3.abort_multipart_upload(Bucket=thing.bucket, Key=thing.key, UploadId=thing.upload_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":  # finished or aborted meanwhile
                    raise
    refusals = _erase_objects(s3, [thing for thing in found if not thing.upload_id and not thing.marker])
    stay = {(thing.bucket, thing.key) for thing in refusals}
    return refusals | _erase_objects(
        s3, [thing for thing in found if thing.marker and (thing.bucket, thing.key) not in stay]
    )


def _erase_objects(s3: Any, objects: Sequence[Thing]) -> dict[Thing, str]:
    refusals = {}
    for bucket in dict.fromkeys(thing.bucket for thing in objects):
        for batch in batched((thing for thing in objects if thing.bucket == bucket), 1000):
            named = {(one.key, one.version): one for one in batch}
            doomed = [{"Key": key, "VersionId": version} for key, version in named]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True})
            for error in answer.get("Errors", []):
                # Some endpoints name the key alone.
                versions = (
                    [error["VersionId"]] if error.get("VersionId") else [v for k, v in named if k == error["Key"]]
                )
                for version in versions:
                    refusals[named[error["Key"], version]] = f"{error['Code']}: {error.get('Message', '')}".strip(": ")
    return refusals


def _left(stack: Stack, there: Sequence[Thing], agreed: Set[Thing], refusals: Mapping[Thing, str]) -> list[Left]:
    """Of what S3 lists now, what should be gone, or is new in the videos bucket, each with its reason."""
    s3 = stack.client("s3")
    left = []
    for thing in there:
        if thing in refusals:
            left.append(Left(thing, _lock(s3, thing) or f"S3 refused ({refusals[thing]})"))
        elif thing in agreed:
            hidden = thing.marker and any((one.bucket, one.key) == (thing.bucket, thing.key) for one in refusals)
            left.append(Left(thing, "it hides the version that stays" if hidden else "S3 lists it still"))
        elif thing.bucket == stack.videos:
            left.append(Left(thing, "it was uploaded while this was being deleted"))
    return left


def _lock(s3: Any, thing: Thing) -> str:
    """Why S3 Object Lock keeps that version; empty if no lock is to be seen."""
    try:  # HeadObject tells of locks those who may read them (s3:GetObjectRetention, s3:GetObjectLegalHold)
        head = s3.head_object(Bucket=thing.bucket, Key=thing.key, VersionId=thing.version)
    except ClientError:
        return ""
    reasons = []
    if head.get("ObjectLockLegalHoldStatus") == "ON":
        reasons.append("it is under a legal hold")
    if mode := head.get("ObjectLockMode"):
        reasons.append(f"S3 Object Lock keeps it until {head['ObjectLockRetainUntilDate']:%Y-%m-%d} ({mode} mode)")
    return " and ".join(reasons)


def _versions(stack: Stack, bucket: str, key: str) -> Iterator[Thing]:
    return (thing for thing in _under(stack, bucket, key) if thing.key == key)


def _under(stack: Stack, bucket: str, prefix: str) -> Iterator[Thing]:
    """Every version and every unfinished upload whose key begins so."""
    s3 = stack.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for one in page.get("Versions", []):
            yield Thing(
                bucket, one["Key"], one.get("VersionId", NULL), size=one.get("Size", 0), modified=one["LastModified"]
            )
        for one in page.get("DeleteMarkers", []):
            yield Thing(bucket, one["Key"], one.get("VersionId", NULL), modified=one["LastModified"], marker=True)
    for upload in _unfinished(s3, bucket, prefix):
        yield Thing(bucket, upload["Key"], upload_id=upload["UploadId"])


def _unfinished(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    try:
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Uploads", [])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
