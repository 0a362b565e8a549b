"""AWS for the handlers, in process and in virtual time: moto for S3, DynamoDB and SQS, our endpoint for Rekognition.

The handlers are the real ones, called with the events AWS would send. Queues are pumped by the test, so a test decides
what arrives when, twice, or never. Nothing sleeps: time passes when the test says so.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import quote_plus, unquote_plus

import boto3
from moto import mock_aws

from rekognition_local import Faults, RekognitionVideo, S3Objects, Simulated, attach
from rekognition_local.aws import Notification
from tests.fast_fake.mediaconvert import MediaConvert

REGION = "us-east-1"
START_OF_TIME = 1_800_000_000.0  # seconds since 1970; any will do

ENVIRONMENT = {
    "JOBS_TABLE": "jobs",
    "VIDEOS_BUCKET": "videos",
    "RESULTS_BUCKET": "results",
    "JOB_FINISHED_TOPIC_ARN": f"arn:aws:sns:{REGION}:123456789012:job-finished",
    "PUBLISHER_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
    "VIDEO_EXTENSIONS": ".mp4,.mov",
    "MAX_RUNNING_JOBS": "0",
    "ANALYSES": '{"face-detection": {"FaceAttributes": "DEFAULT"}}',
    "ROUTES": "[]",
    "UPLOAD_CHOICE": "both",
    "ALLOWED_ANALYSES": "face-detection,label-detection,content-moderation,text-detection,segment-detection",
    "SHARE_BY": "",
    "SHARE_WEIGHTS": "{}",
    "MONTHLY_BUDGET_USD": "0",
    "MONTHLY_MINUTES": "0",
    "POWERTOOLS_SERVICE_NAME": "test",
}

CONVERT = {"CONVERTER_ROLE_ARN": "arn:aws:iam::123456789012:role/converter"}  # the setting convert is mediaconvert

# As stacks/storage.py declares it; tests/stacks compares.
TABLE = {
    "KeySchema": [{"AttributeName": "job_id", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"}
        for name in ("job_id", "state", "due_at", "waiting_in", "video", "registered_at")
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "GlobalSecondaryIndexes": [
        {
            "IndexName": index,
            "KeySchema": [
                {"AttributeName": partition, "KeyType": "HASH"},
                {"AttributeName": order, "KeyType": "RANGE"},
            ],
            "Projection": projection,
        }
        for index, partition, order, projection in (
            (
                "ByState",
                "state",
                "due_at",
                {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["analysis", "slot_freed_at"]},
            ),
            (
                "Backlog",
                "waiting_in",
                "due_at",
                {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["analysis"]},
            ),
            ("ByVideo", "video", "registered_at", {"ProjectionType": "KEYS_ONLY"}),
        )
    ],
}


@dataclass
class VirtualClock:
    """Time that passes when told to. Takes the place of ``lambdas.model.clock.Clock``."""

    seconds: float = START_OF_TIME

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Context:
    """What Lambda hands a handler beside the event."""

    clock: VirtualClock
    aws_request_id: str
    deadline: float
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:123456789012:function:function"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.deadline - self.clock.now()))


@dataclass
class World:
    """Everything outside the handlers. Made by ``world()``."""

    clock: VirtualClock
    rekognition: RekognitionVideo
    s3: Any
    dynamodb: Any
    sqs: Any
    mediaconvert: MediaConvert
    notifications: list[Notification] = field(default_factory=list)
    announcements: list[dict[str, Any]] = field(default_factory=list)
    invocations: int = 0
    sequence: int = 0
    bucket: str = "videos"
    events_to_refuse: int = 0  # so many of the next entries of PutEvents fail

    # what people and S3 do

    def upload(self, key: str, body: bytes = b"a video", **metadata: str) -> dict[str, Any]:
        """Put an object and return S3's event record of it."""
        stored = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)
        self.sequence += 1
        return s3_record(self.bucket, key, stored["ETag"], len(body), self.sequence, stored.get("VersionId"))

    def keep_versions(self) -> None:
        """Have the videos' bucket keep versions from now on."""
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def drop(self, key: str, body: bytes = b"a video", **metadata: str) -> Any:
        """Upload a video and let the starting function hear of it."""
        return self.hear(self.upload(key, body, **metadata))

    # what AWS does with the functions

    def hear(self, *records: dict[str, Any]) -> Any:
        """Invoke the starting function with S3's event records, one a message."""
        return self.hear_events(*map(s3_event, records))

    def hear_events(self, *events: dict[str, Any]) -> Any:
        """Invoke the starting function with events, one a message."""
        from lambdas import start_analysis

        records = [sqs_record(str(number), json.dumps(event)) for number, event in enumerate(events)]
        return self.invoke(start_analysis.handler, {"Records": records})

    def redeploy(self, **environment: str) -> None:
        """Give the functions other settings; what runs meanwhile goes on with its own."""
        os.environ.update(environment)
        forget_parts(but_clients=True)

    def tick(self) -> None:
        """Invoke the starting function as the minute tick does."""
        from lambdas import start_analysis

        self.invoke(start_analysis.handler, {"source": "aws.events", "detail-type": "Scheduled Event"})

    def slot_free(self, message: str) -> None:
        """Invoke the starting function with Rekognition's notification."""
        from lambdas import start_analysis

        self.invoke(start_analysis.handler, {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]})

    def conversion_over(self, event: Mapping[str, Any]) -> None:
        """Invoke the starting function with MediaConvert's event."""
        from lambdas import start_analysis

        self.invoke(start_analysis.handler, event)

    def collect(self, body: str, seconds: float = 300.0) -> Any:
        """Invoke the collecting function with one message, and so much time to run."""
        from lambdas import collect_results

        return self.invoke(collect_results.handler, {"Records": [sqs_record("1", body)]}, seconds)

    def invoke(self, handler: Any, event: Mapping[str, Any], seconds: float = 60.0) -> Any:
        """Invoke a function, as Lambda does."""
        self.invocations += 1
        context = Context(self.clock, f"invocation-{self.invocations}", self.clock.now() + seconds)
        return handler(event, context)

    def take_events(self, entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """EventBridge's answer to PutEvents: HTTP 200, whichever entries it took."""
        answers = []
        for entry in entries:
            if self.events_to_refuse:
                self.events_to_refuse -= 1
                answers.append({"ErrorCode": "InternalFailure", "ErrorMessage": "the bus is out of order"})
            else:
                self.announcements.append({**entry, "Detail": json.loads(entry["Detail"])})
                answers.append({"EventId": "event"})
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    # time

    def deliver(self) -> int:
        """Deliver what is on its way: notifications to both functions, our own messages to the collecting one,
        MediaConvert's events to the starting one."""
        delivered = 0
        while self.notifications or self.mediaconvert.events or (messages := self.messages()):
            if self.mediaconvert.events:
                self.conversion_over(self.mediaconvert.events.pop(0))
                delivered += 1
                continue
            if self.notifications:
                message = self.notifications.pop(0).message
                self.slot_free(message)
                self.collect(message)
                delivered += 1
                continue
            for body in messages:
                self.collect(body)
                delivered += 1
        return delivered

    def messages(self) -> list[str]:
        """Take what the functions sent to the finished queue."""
        taken = []
        while answer := self.sqs.receive_message(QueueUrl=self.finished_queue, MaxNumberOfMessages=10).get("Messages"):
            for message in answer:
                taken.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.finished_queue, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def pass_time(self, seconds: float) -> None:
        """Let time pass; jobs end, and notifications and events of it go on their way."""
        self.clock.seconds += seconds
        self.rekognition.run_due()
        self.mediaconvert.run_due()

    def settle(self, minutes: int = 30) -> None:
        """Minute by minute, deliver and tick until every job has ended."""
        self.deliver()
        for _ in range(minutes):
            if all(job["state"] in ("SUCCEEDED", "FAILED", "REJECTED") for job in self.jobs()):
                return
            self.pass_time(60)
            self.deliver()
            self.tick()
            self.deliver()
        raise AssertionError(f"not settled after {minutes} minutes: {self.jobs()}")

    # what can be seen from outside

    @property
    def finished_queue(self) -> str:
        return os.environ["FINISHED_QUEUE_URL"]

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs in the table, in order of arrival."""
        from lambdas.aws.dynamodb import deserialize

        items = self.dynamodb.get_paginator("scan").paginate(TableName="jobs", ConsistentRead=True)
        jobs = [deserialize(item) for page in items for item in page["Items"]]
        return sorted((job for job in jobs if "state" in job), key=lambda job: (job["registered_at"], job["job_id"]))

    def job(self, key: str) -> dict[str, Any]:
        """The one job of a key."""
        [job] = [job for job in self.jobs() if job["key"] == key]
        return job

    def result(self, key: str) -> Any:
        """A document of the results bucket."""
        return json.loads(self.s3.get_object(Bucket="results", Key=key)["Body"].read())

    def results(self) -> list[str]:
        """Keys in the results bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="results")
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    @property
    def calls(self) -> dict[str, dict[str, int]]:
        """Calls to Rekognition, by operation and outcome."""
        return self.rekognition.stats()["calls"]

    @property
    def starts(self) -> int:
        """Start calls that Rekognition accepted."""
        return self.calls.get("StartFaceDetection", {}).get("ok", 0)


def forget_parts(*, but_clients: bool = False) -> None:
    """Have the functions put their parts together anew, as a new execution environment does."""
    from lambdas import wiring

    for part in vars(wiring).values():
        if hasattr(part, "cache_clear") and not (but_clients and part is wiring.client):
            part.cache_clear()


def s3_event(record: dict[str, Any]) -> dict[str, Any]:
    """S3's event notification with one record."""
    return {"Records": [record]}


def eventbridge_event(record: dict[str, Any]) -> dict[str, Any]:
    """What EventBridge delivers of the same upload (Amazon S3 User Guide, "EventBridge event message structure")."""
    thing = record["s3"]["object"]
    version = {"version-id": thing["versionId"]} if "versionId" in thing else {}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": record["eventTime"].partition(".")[0] + "Z",
        "region": REGION,
        "resources": [f"arn:aws:s3:::{record['s3']['bucket']['name']}"],
        "detail": {
            "version": "0",
            "bucket": {"name": record["s3"]["bucket"]["name"]},
            "object": {
                "key": unquote_plus(thing["key"]),
                "size": thing["size"],
                "etag": thing["eTag"],
                "sequencer": thing["sequencer"],
                **version,
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def s3_record(bucket: str, key: str, etag: str, size: int, sequence: int, version: str | None = None) -> dict[str, Any]:
    """One record of an S3 event notification (version 2.1); with `version` where the bucket keeps versions."""
    kept = {"versionId": version} if version else {}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-11-22T23:57:20.123Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": bucket},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": size,
                "eTag": etag.strip('"'),
                "sequencer": f"{sequence:016X}",
                **kept,
            },
        },
    }


def sqs_record(message_id: str, body: str) -> dict[str, Any]:
    """One record of the event that Lambda makes of an SQS message."""
    return {
        "messageId": message_id,
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:queue",
        "awsRegion": REGION,
    }


@contextmanager
def world(engine: Any = None, faults: Faults | None = None, **environment: str) -> Iterator[World]:
    """A world, with nothing in it yet. `environment` overrides the functions' own.

    WORLD=fast in the environment gives that of tests/fast_fake, which is ten times as fast (tools/mutants.py).
    """
    from lambdas import wiring

    if os.environ.get("WORLD") == "fast":
        from tests.fast_fake.world import standin_world

        with standin_world(engine, faults, **environment) as fast:
            yield fast
        return

    with mock_aws():
        session: dict[str, Any] = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        s3, dynamodb, sqs = (boto3.client(service, **session) for service in ("s3", "dynamodb", "sqs"))
        for bucket in ("videos", "results"):
            s3.create_bucket(Bucket=bucket)
        dynamodb.create_table(TableName="jobs", **TABLE)
        queue = sqs.create_queue(QueueName="finished")["QueueUrl"]
        clock = VirtualClock()
        rekognition = RekognitionVideo(
            engine=engine or Simulated(), objects=S3Objects(s3), faults=faults or Faults.off(), clock=clock.now
        )
        here = World(clock, rekognition, s3, dynamodb, sqs, MediaConvert(s3, clock.now))
        rekognition.publish = here.notifications.append
        settings = {**ENVIRONMENT, "FINISHED_QUEUE_URL": queue, "AWS_DEFAULT_REGION": REGION, **environment}
        with patch.dict(os.environ, settings), patch.object(wiring, "clock", lambda: clock):
            forget_parts()
            for config in (wiring.ONE_ATTEMPT, wiring.PATIENT):
                attach(wiring.client("rekognition", config), rekognition)
            if "CONVERTER_ROLE_ARN" in environment:  # the model of MediaConvert's API takes a moment to read
                here.mediaconvert.attach(wiring.client("mediaconvert", wiring.IMPATIENT))
            put: list[Mapping[str, Any]] = []
            bus = wiring.client("events").meta.events
            bus.register("provide-client-params.events.PutEvents", lambda params, **_: put.extend(params["Entries"]))
            bus.register("after-call.events.PutEvents", lambda parsed, **_: parsed.update(here.take_events(put)))
            bus.register("after-call.events.PutEvents", lambda **_: put.clear())
            yield here
        forget_parts()
