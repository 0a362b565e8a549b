"""Which jobs `retry` puts back in line."""

from dataclasses import replace

from cli.core.errors import CliError
from cli.core.stack import Stack
from lambdas.aws.videos import Videos
from lambdas.model.errors import AccountFault, CannotStart, ServiceTrouble
from lambdas.model.job import Job

ENDED_BADLY = ("FAILED", "REJECTED")


def ended_badly(stack: Stack, key: str | None) -> list[Job]:
    """The jobs that FAILED or were REJECTED, of one video or of all.

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
    """Why another attempt can only fail again, by the scheduler's own checks; empty if it may succeed.

    Raises:
        CliError: S3 doesn't answer.
    """
    videos, why = Videos(stack.client("s3")), ""
    for version in dict.fromkeys((job.version_id, job.newest_version_id)):
        if version is None and why:  # there is no newer one
            continue
        try:
            videos.check(replace(job, version_id=version))
        except CannotStart as never:
            why = f"not retried: {never}"
        except AccountFault:  # only these credentials may not read the video; the function perhaps may
            return ""
        except ServiceTrouble as trouble:
            raise CliError(f"It is unknown whether {job.key} can be retried: {trouble}.") from None
        else:
            return ""
    return why
