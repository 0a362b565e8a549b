"""What is measured, each in a process of its own: ``python -m bench.collect_sides ours|plain|bare``.

Endpoints come from the environment (``AWS_ENDPOINT_URL_...``). Prints its own CPU seconds, peak memory and row count as
JSON. Peak memory is ``VmHWM``: ``ru_maxrss`` would begin with the parent's.
"""

import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import VideoTypeDef

KEY = "six-hours.mp4"


def clients() -> dict[str, Any]:
    """The clients that the collecting function makes; the other sides make them too, so their time is not measured."""
    patient = Config(retries={"mode": "standard", "total_max_attempts": 8}, connect_timeout=5, read_timeout=30)
    made = {name: boto3.client(name) for name in ("dynamodb", "sqs", "s3", "events")}
    return {**made, "starter": boto3.client("rekognition"), "rekognition": boto3.client("rekognition", config=patient)}


def start() -> str:
    """Start the job (untimed: it is one call on both sides)."""
    rekognition = boto3.client("rekognition")
    video: VideoTypeDef = {"S3Object": {"Bucket": "videos", "Name": KEY}}
    return str(rekognition.start_face_detection(Video=video, FaceAttributes="DEFAULT")["JobId"])


def bare() -> int:
    """The runtime: boto3, the clients, one call of Rekognition."""
    clients()
    start()
    return 0


def plain() -> int:
    """The loop that one would write: every page into a list, one document, one file of rows, two puts."""
    from lambdas.logic.rows import _FLATTEN, _video
    from lambdas.model.job import new_job

    made, job_id = clients(), start()
    detections: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = made["rekognition"].get_face_detection(JobId=job_id, MaxResults=1000, **token)
        detections.extend(page["Faces"])
        if not page.get("NextToken"):
            break
        token = {"NextToken": page["NextToken"]}
    document = {name: value for name, value in page.items() if name not in ("ResponseMetadata", "Faces")}
    document["Faces"] = detections
    made["s3"].put_object(Bucket="results", Key="plain.json", Body=json.dumps(document).encode())
    job = new_job(upload(), "face-detection", {"FaceAttributes": "DEFAULT"}, time.time())
    video, flatten = _video(job), _FLATTEN["face-detection"]
    lines = "\n".join(json.dumps({**video, **flatten(detection)}) for detection in detections) + "\n"
    # As gzip comes, at level 9. Ours chose level 1 for its CPU; PLAIN_LEVEL=1 tells what that choice alone is worth.
    body = gzip.compress(lines.encode(), compresslevel=int(os.environ.get("PLAIN_LEVEL", "9")))
    made["s3"].put_object(Bucket="results", Key="plain.jsonl.gz", Body=body)
    return len(detections)


def ours() -> int:
    """The collecting function, from the notification to SUCCEEDED, in as many invocations as it takes."""
    from lambdas import collect_results, wiring
    from lambdas.model.events import ask_again
    from lambdas.model.job import new_job

    job = new_job(upload(), "face-detection", {"FaceAttributes": "DEFAULT"}, time.time())
    jobs = wiring.jobs()
    if not jobs.register(job) or not jobs.claim(job.job_id):
        raise AssertionError("the table is not empty")
    jobs.started(job, start(), time.time())
    for invocation in range(1, 1000):
        context = Invocation(f"invocation-{invocation}")
        record = {"messageId": "1", "body": ask_again(job.job_id, "bench"), "eventSource": "aws:sqs"}
        collect_results.handler({"Records": [record]}, context)
        done = jobs.get(job.job_id)
        if done and done.state == "SUCCEEDED":
            return done.detections or 0
    raise AssertionError("never done")


class Invocation:
    """One invocation's context, with the collecting function's five minutes."""

    function_name = "collect"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:collect"

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id
        self._deadline = time.monotonic() + 300

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end it."""
        return int(1000 * (self._deadline - time.monotonic()))


def upload() -> Any:
    """The upload that both sides' rows name."""
    from lambdas.model.events import Upload

    return Upload("videos", KEY, "etag", 1, "2026-11-22T00:00:00.000Z")


def main() -> None:
    """Run one side."""
    sides: dict[str, Callable[[], int]] = {"bare": bare, "plain": plain, "ours": ours}
    began = time.monotonic()
    rows = sides[sys.argv[1]]()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    figures = {
        "rows": rows,
        "cpu_seconds": time.process_time(),
        "peak_rss_mb": int(status["VmHWM"].split()[0]) / 1024,
        "wall_seconds": time.monotonic() - began,
    }
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
