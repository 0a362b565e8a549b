"""Finds the waiting jobs of a video, or of all videos under a prefix."""

from collections.abc import Iterator

from cli.core.stack import Stack
from lambdas.model.job import Job


def waiting_of(stack: Stack, key: str, prefix: bool) -> Iterator[Job]:
    """The WAITING jobs of `key`; of all keys that begin with it if it is a `prefix`."""
    jobs = stack.table.everything() if prefix else stack.table.of_video(stack.videos, key)
    for job in jobs:
        if job.state == "WAITING" and (job.key.startswith(key) if prefix else job.key == key):
            yield job
