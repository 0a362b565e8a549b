"""Delete everything of one video: faces are personal data.

That is the video, its results, rows and reports, its converted copies, the remains of unfinished or replaced
collections, unfinished uploads, and its jobs' records; every version of each in a versioned bucket, including ``null``
(from before versioning). The command then lists the buckets again and reports what S3 still has, with the reason.

Rekognition deletes its own copy of its answers after 7 days. Dead letters (14 days), backups (DynamoDB's point-in-time
recovery, 35 days) and logs (the setting log_retention_days) expire by themselves.
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
from lambdas.model.conversion import copies_prefix
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
    """An object that S3 still has after a deletion, and why."""

    thing: Thing
    why: str


def jobs_of(stack: Stack, key: str) -> list[Job]:
    """The video's jobs, of all its uploads.

    Raises:
        NotThere: neither a job nor an object has that key.
        CliError: the collector is writing the results of one right now, or MediaConvert its copy.
    """
    jobs = stack.table.of_video(stack.videos, key)
    if not jobs and not any(_versions(stack, stack.videos, key)):
        raise stack.unknown(key)
    if any(job.state == "CONVERTING" for job in jobs):
        raise CliError(
            f"{key} is being converted right now, so its copy would appear after a deletion.",
            stack.target.command("status", key, "--watch"),
        )
    if any(job.state == "COLLECTING" for job in jobs):
        raise CliError(
            f"The results of {key} are being written right now, so they would reappear after a deletion.",
            stack.target.command("status", key, "--watch"),
        )
    return jobs


def things(stack: Stack, key: str, jobs: Sequence[Job]) -> list[Thing]:
    """Every object that was made from the video, and the video itself."""
    found = list(_versions(stack, stack.videos, key))
    # Beside the documents, the pages that `report` writes. One level only: results/a/b.mp4/ is not the video a's.
    for folder in results_folders(key):
        found += [one for one in _under(stack, stack.results, folder) if "/" not in one.key.removeprefix(folder)]
    for job in jobs:
        for made in (results.rows_key(job), results.job_row_key(job)):
            found += _versions(stack, stack.results, made)
        for recorded in filter(None, (job.result_key, job.rows_key)):
            found += _versions(stack, stack.results, recorded)
        copies = copies_prefix(stack.results, job)
        for prefix in (f"superseded/{job.job_id}/", f"collecting/{job.job_id}/", copies):
            found += _under(stack, stack.results, prefix)
    return list(dict.fromkeys(found))


def results_folders(key: str) -> list[str]:
    """The folders that may hold a video's documents: named by its key, and by the hash of a very long key."""
    plain, short = f"results/{key}/", f"results/.long-keys/{hashlib.sha256(key.encode()).hexdigest()}/"
    return [folder for folder in (plain, short) if len(folder.encode()) <= results.LONGEST_KEY]


def delete(stack: Stack, key: str, jobs: Sequence[Job], found: Sequence[Thing]) -> list[Left]:
    """Delete `found`, then the jobs' records, and list again; returns what S3 still has.

    If anything of `found` stays, the records stay too, because they name the objects; the same call can be repeated.
    A version of the video that was uploaded meanwhile is not deleted but reported: the user has not agreed to that.

    Raises:
        CliError: the collector took a job meanwhile.
    """
    agreed = set(found)
    refusals = erase(stack, found)
    if left := _left(stack, things(stack, key, jobs), agreed, refusals):
        return left
    for job in jobs:
        if not stack.table.delete_record(job):
            raise CliError(
                f"The state of a job of {key} changed during the deletion.", stack.target.command("delete", key)
            )
    # A job may have written more objects between the first listing and the deletion of its record.
    more = [thing for thing in things(stack, key, jobs) if thing.bucket == stack.results]
    return _left(stack, things(stack, key, jobs), agreed | set(more), erase(stack, more))


def erase(stack: Stack, found: Sequence[Thing]) -> dict[Thing, str]:
    """Delete the given versions and abort unfinished uploads; returns S3's refusals with their messages.

    Delete markers are deleted last, and only where no version beneath them stays: without its marker, a version that S3
    refuses to delete would become the current one again.
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
                # Some endpoints return only the key.
                versions = (
                    [error["VersionId"]] if error.get("VersionId") else [v for k, v in named if k == error["Key"]]
                )
                for version in versions:
                    refusals[named[error["Key"], version]] = f"{error['Code']}: {error.get('Message', '')}".strip(": ")
    return refusals


def _left(stack: Stack, there: Sequence[Thing], agreed: Set[Thing], refusals: Mapping[Thing, str]) -> list[Left]:
    """Of the objects that S3 lists now, those that should be gone, and new uploads, each with the reason."""
    s3 = stack.client("s3")
    left = []
    for thing in there:
        if thing in refusals:
            left.append(Left(thing, _lock(s3, thing) or f"S3 refused ({refusals[thing]})"))
        elif thing in agreed:
            hidden = thing.marker and any((one.bucket, one.key) == (thing.bucket, thing.key) for one in refusals)
            left.append(Left(thing, "it hides a version that S3 refuses to delete" if hidden else "S3 still lists it"))
        elif thing.bucket == stack.videos:
            left.append(Left(thing, "it was uploaded during the deletion"))
    return left


def _lock(s3: Any, thing: Thing) -> str:
    """Why S3 Object Lock keeps that version; empty if no lock is visible."""
    # HeadObject shows locks only to callers with s3:GetObjectRetention and s3:GetObjectLegalHold.
    try:
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
    """Every version and every unfinished upload under that prefix."""
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
