"""The canary: sends a tiny video through the whole path, and deletes it afterwards."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from cli.core.errors import CliError
from cli.core.stack import Stack
from cli.operate import delete as deletion
from cli.operate.findings import Finding
from lambdas.model.job import FINAL, Job

CLIP = Path(__file__).parents[2] / "localcloud/clip/two-portraits.mp4"  # 7 s: about a cent per analysis
PATIENCE = 900.0  # seconds; Rekognition takes minutes for any video, and the backlog may be long


def run_canary(stack: Stack, patience: float = PATIENCE) -> Iterator[Finding]:
    """Upload the clip, wait for its jobs, report each; the clip is deleted in any case."""
    key = f"rekognition-batch-canary/{secrets.token_hex(4)}.mp4"
    began = time.monotonic()
    try:
        stack.client("s3").put_object(Bucket=stack.videos, Key=key, Body=CLIP.read_bytes(), ContentType="video/mp4")
        jobs = _until_over(stack, key, patience)
        seconds = time.monotonic() - began
        if not jobs:
            text = f"uploaded, but there is no job after {seconds:.0f} s"
            yield Finding("wrong", "canary", text, stack.target.command("doctor"))
        for job in jobs:
            yield _verdict(stack, job, seconds)
    finally:
        left = _remove(stack, key)
    for one in left:
        text = f"{one.thing.address} was not deleted: {one.why}"
        yield Finding("note", "canary", text, stack.target.command("delete", key))


def _until_over(stack: Stack, key: str, patience: float) -> list[Job]:
    deadline = time.monotonic() + patience
    no_job_after = time.monotonic() + min(patience, 120.0)
    while True:
        jobs = stack.table.of_video(stack.videos, key)
        now = time.monotonic()
        if (jobs and all(job.state in FINAL for job in jobs)) or now > deadline or (not jobs and now > no_job_after):
            return jobs
        time.sleep(1)


def _verdict(stack: Stack, job: Job, seconds: float) -> Finding:
    if job.state == "SUCCEEDED":
        return Finding("fine", "canary", f"{job.analysis}: {job.detections} detections after {seconds:.0f} s")
    if job.state in FINAL:
        return Finding("wrong", "canary", f"{job.analysis}: {job.state}: {job.reason}", stack.target.command("doctor"))
    text = f"{job.analysis}: still {job.state} after {seconds:.0f} s"
    return Finding(
        "wrong" if job.state != "WAITING" else "note", "canary", text, stack.target.command("status", "--stuck")
    )


def _remove(stack: Stack, key: str) -> list[deletion.Left]:
    for _ in range(30):
        try:
            jobs = stack.table.of_video(stack.videos, key)
            return deletion.delete(stack, key, jobs, deletion.things(stack, key, jobs))
        except CliError:  # the collector is writing its results right now
            time.sleep(1)
    return []
