"""Trying again what ended badly."""

from cli.stack import Stack
from lambdas.jobs import Job
from lambdas.videos import LARGEST_VIDEO

ENDED_BADLY = ("FAILED", "REJECTED")


def ended_badly(stack: Stack, key: str | None) -> list[Job]:
    """The jobs that FAILED or were REJECTED: of one video, or of all.

    Raises:
        NotThere: no such video.
    """
    if key is None:
        found = [stack.table.get(job_id) for state in ENDED_BADLY for job_id in stack.table.in_state(state)]  # type: ignore[arg-type]
        return [job for job in found if job and job.state in ENDED_BADLY]
    jobs = stack.table.of_video(stack.videos, key)
    if not jobs:
        raise stack.unknown(key)
    return [job for job in jobs if job.state in ENDED_BADLY]


def hopeless(stack: Stack, job: Job) -> str:
    """Why another attempt could only end the same way; empty if it could help."""
    from botocore.exceptions import ClientError

    if job.size == 0 or job.size > LARGEST_VIDEO:
        return "left: the object is empty" if job.size == 0 else "left: the object is larger than 10 GB"
    version = {"VersionId": job.version_id} if job.version_id else {}
    try:
        head = stack.client("s3").head_object(Bucket=job.bucket, Key=job.key, **version)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchVersion"):
            return "left: the video is gone"
        raise
    return "" if head["ETag"].strip('"') == job.etag else "left: another video is under this key now"
