"""Announce videos that are already in the bucket, as S3 announces new ones."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any
from urllib.parse import quote_plus

from cli.core.stack import Stack
from cli.ingest.estimate import estimate, of_objects
from lambdas.aws.queue import Queue
from lambdas.model.clock import iso
from lambdas.model.events import BACKFILLED, SEQUENCER_WIDTH
from lambdas.model.job import Job
from lambdas.model.shares import BACKFILL, Priority

UPLOADS_A_MESSAGE = 20  # a batch of ten messages is then a few seconds' work of the starting function
SAMPLE = 200  # most headers to read for an estimate of many videos' minutes


@dataclass(frozen=True, slots=True)
class Cost:
    """The approximate length and price of some videos.

    Attributes:
        measured: number of videos whose header tells their length, or that Rekognition refuses them; the others are
            estimated by their size.
        refused: how many of those Rekognition does not accept.
    """

    minutes: float
    dollars: float
    measured: int
    refused: int


def missing(stack: Stack, prefix: str) -> list[dict[str, Any]]:
    """The videos in the bucket whose content has no job, each with the ``sequencer`` for its announcement."""
    known: dict[str, list[Job]] = {}
    for job in stack.table.everything():
        if job.key.startswith(prefix):
            known.setdefault(job.key, []).append(job)
    found = []
    for thing in stack.objects(prefix):
        key, jobs = thing["Key"], known.get(thing["Key"], [])
        if key.endswith("/") or not key.lower().endswith(stack.extensions):
            continue
        if not any(job.etag == thing["ETag"].strip('"') for job in jobs):
            found.append({**thing, "sequencer": _after(jobs)})
    return found


def _after(jobs: Iterable[Job]) -> str:
    """A sequencer after those of the key's earlier uploads and before any that S3 will assign: S3's sequencers grow
    with time, in steps far larger than one."""
    latest = max((int(job.sequencer or "0", 16) for job in jobs), default=-1)
    return f"{latest + 1:0{SEQUENCER_WIDTH}X}"


def cost(stack: Stack, objects: Sequence[dict[str, Any]]) -> Cost:
    """The approximate cost of the stack's analyses of these videos; measures a sample if there are many."""
    with_content = [thing for thing in objects if thing["Size"]]
    sample = with_content if len(with_content) <= SAMPLE else random.sample(with_content, SAMPLE)
    minutes, dollars, refused, known, measured = 0.0, 0.0, 0, 0, 0
    for key, video in of_objects(stack.client("s3"), stack.videos, sample):
        if video.trouble and not video.refused:
            continue
        known += 1
        measured += video.size
        chosen = stack.rules.for_key(key)
        priced = estimate(key, video, chosen, converts=stack.converts)
        refused += bool(priced.trouble)
        minutes += 0 if priced.trouble else video.header.minutes
        dollars += priced.total
    scale = sum(thing["Size"] for thing in with_content) / measured if measured else 0.0
    return Cost(minutes * scale, dollars * scale, known, refused)


def announce(stack: Stack, objects: Iterable[dict[str, Any]], priority: Priority = BACKFILL) -> None:
    """Send announcements to the uploads queue, in the form of S3's, for jobs of a class."""
    queue = Queue(stack.client("sqs"), stack.output("UploadsQueue"))
    queue.send(
        json.dumps({"Records": [_record(stack.videos, thing, priority) for thing in batch]})
        for batch in batched(objects, UPLOADS_A_MESSAGE)
    )


def _record(bucket: str, thing: dict[str, Any], priority: Priority) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "rekognition-batch:backfill",
        "eventTime": iso(thing["LastModified"].timestamp()),
        "eventName": BACKFILLED,
        "priority": priority,
        "s3": {
            "bucket": {"name": bucket},
            "object": {
                "key": quote_plus(thing["Key"], safe="/"),
                "size": thing["Size"],
                "eTag": thing["ETag"].strip('"'),
                "sequencer": thing["sequencer"],
            },
        },
    }
