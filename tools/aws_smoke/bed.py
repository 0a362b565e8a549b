"""What the scenarios work on: the second copy of the stack, a bucket, topics and a queue beside it; what is seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from tools.aws_smoke.account import Account
from tools.aws_smoke.clips import Clips

ROOT = Path(__file__).resolve().parents[2]
TRUST = {"Effect": "Allow", "Principal": {"Service": "rekognition.amazonaws.com"}, "Action": "sts:AssumeRole"}
MANAGED = "arn:aws:iam::aws:policy/service-role/AmazonRekognitionServiceRole"
FINAL = {"SUCCEEDED", "FAILED", "REJECTED"}
GETS = {  # analysis -> operation of boto3, member that holds the rows
    "face-detection": ("get_face_detection", "Faces"),
    "label-detection": ("get_label_detection", "Labels"),
    "content-moderation": ("get_content_moderation", "ModerationLabels"),
    "text-detection": ("get_text_detection", "TextDetections"),
    "celebrity-recognition": ("get_celebrity_recognition", "Celebrities"),
    "segment-detection": ("get_segment_detection", "Segments"),
}


@dataclass(frozen=True)
class Waits:
    """Seconds.

    ``job``: for a job to end. ``settle``: until new roles are known everywhere. ``quiet``: after a job's end, until a
    message that has not come is taken for lost. ``second``: for a job that should not come.
    """

    job: float = 1800
    settle: float = 20
    quiet: float = 30
    second: float = 30


class Bed:
    """The stack's outputs, and the means to act and to see."""

    def __init__(self, account: Account, name: str, clips: Clips, waits: Waits, say: Callable[[str], None]) -> None:
        """*name* begins the name of everything that is made."""
        self.account, self.name, self.clips, self.waits, self.say = account, name, clips, waits, say
        self.outputs: dict[str, str] = {}
        self._messages: dict[str, list[str]] = {}

    # Arranging.

    def build(self) -> None:
        """Make what stands beside the stack, so that IAM knows the role when it is needed, and deploy the stack."""
        topics = [self.topic, self.plain_topic]
        self.say(f"Make the role {self.publisher.rpartition('/')[2]} and the bucket {self.account.bucket(self.bucket)}")
        self.say(f"Deploy the stack {self.name}")
        self.outputs = self._deploy()
        for topic in (self.outputs["JobFinishedTopic"], *topics):
            self.account.subscribe(topic, self._queue[1])
        self.put("good.mp4", self.clips.good)
        self.put("empty.mp4", b"")
        self.put("text.mp4", self.clips.text)

    def _deploy(self) -> dict[str, str]:
        account = self.account
        parameter = "/cdk-bootstrap/hnb659fds/version"
        try:
            account.client("ssm").get_parameter(Name=parameter)
        except ClientError as problem:
            number = account.client("sts").get_caller_identity()["Account"]
            raise SystemExit(
                f"CDK is not bootstrapped there ({problem.response['Error']['Code']} for {parameter}). "
                f"Once per account and region: npx cdk bootstrap aws://{number}/{account.region}"
            ) from None
        account.will_make("stack", self.name)
        with tempfile.TemporaryDirectory() as folder:
            outputs = Path(folder) / "outputs.json"
            settings = {"stack_name": self.name, "retain_data": "false", "log_retention_days": "1"}
            command: list[str | Path] = [
                *(ROOT / "node_modules/.bin/cdk", "deploy", self.name, "--exclusively", "--output", f"{folder}/out"),
                *("--require-approval", "never", "--outputs-file", outputs, "--no-notices", "--ci", "--no-color"),
                *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
            ]
            env = os.environ | {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
                "AWS_REGION": account.region,
                "AWS_DEFAULT_REGION": account.region,
                "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20,21",
            }
            if account.profile:
                env["AWS_PROFILE"] = account.profile
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)  # noqa: S603
            if done.returncode:
                raise SystemExit(f"cdk deploy failed:\n{(done.stdout + done.stderr)[-4000:]}")
            found: dict[str, str] = json.loads(outputs.read_text())[self.name]
        return found

    @cached_property
    def number(self) -> str:
        return str(self.account.client("sts").get_caller_identity()["Account"])

    @cached_property
    def identity(self) -> str:
        return str(self.account.client("sts").get_caller_identity()["Arn"])

    @property
    def bucket(self) -> str:
        """A bucket beside the stack, for calls that go straight to Rekognition."""
        return f"{self.name.lower()}-{self.number}"

    @cached_property
    def topic(self) -> str:
        return self.account.topic(f"AmazonRekognition{self.name}")

    @cached_property
    def plain_topic(self) -> str:
        """One whose name does not begin as AWS's managed policy wants it."""
        return self.account.topic(f"{self.name}Plain")

    @cached_property
    def publisher(self) -> str:
        """A publisher role as AWS's guide makes it, with the managed policy."""
        return self.account.role(f"{self.name}Publisher", TRUST, managed=[MANAGED])

    @cached_property
    def _queue(self) -> tuple[str, str]:
        url, arn = self.account.queue(f"{self.name}Seen")
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": self.number}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self.account.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return url, arn

    def caller(self, name: str, *allowed: tuple[list[str], Any]) -> Any:
        """A Rekognition client of a role with no other rights than these."""
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{self.number}:root"},
            "Action": "sts:AssumeRole",
        }
        return self.account.as_role(self.account.role(f"{self.name}{name}", trust, allowed), "rekognition")

    def put(self, key: str, body: bytes, bucket: str | None = None, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.account.client("s3").put_object(
            Bucket=bucket or self.bucket, Key=key, Body=body, **more
        )
        return answer

    # Acting.

    @property
    def rekognition(self) -> Any:
        return self.account.client("rekognition")

    def video(self, key: str = "good.mp4", bucket: str | None = None, **more: str) -> dict[str, Any]:
        return {"S3Object": {"Bucket": bucket or self.bucket, "Name": key, **more}}

    def channel(self, topic: str | None = None, role: str | None = None) -> dict[str, str]:
        return {"SNSTopicArn": topic or self.topic, "RoleArn": role or self.publisher}

    def start(self, client: Any = None, operation: str = "start_face_detection", **parameters: Any) -> dict[str, Any]:
        """``{"JobId"}``, or ``{"error", "message", "http"}``. Throttling is waited out: no scenario is about it."""
        parameters = {"Video": self.video()} | parameters
        return self.answer(getattr(client or self.rekognition, operation), **parameters)

    def answer(self, call: Any, **parameters: Any) -> dict[str, Any]:
        for _ in range(20):
            found = outcome(call, **parameters)
            if found.get("error") not in ("ThrottlingException", "ProvisionedThroughputExceededException"):
                break
            time.sleep(1)
        return found

    def plain(self, value: Any) -> Any:
        """*value* without what differs from run to run and from account to account."""
        text = json.dumps(value)
        for found, shown in (
            (self.outputs.get("VideosBucket", "\0"), "<videos>"),
            (self.bucket, "<bucket>"),
            (self.name, "<stack>"),
            (self.name.lower(), "<stack>"),
            (self.identity, "<caller>"),
            (self.number, "<account>"),
            (self.account.region, "<region>"),
        ):
            text = text.replace(found, shown)
        text = re.sub(r"\b[0-9a-f]{64}\b", "<job>", text)
        text = re.sub(r"\d+(\s+open Jobs for User.*limit: )\d+", r"<n>\1<n>", text)
        return json.loads(text)

    # Seeing.

    def jobs(self, key: str | None = None) -> list[dict[str, Any]]:
        """The stack's jobs, as its table has them."""
        read = TypeDeserializer().deserialize
        pages = (
            self.account.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.outputs["JobsTable"], ConsistentRead=True)
        )
        items = [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]
        return [item for item in items if "state" in item and key in (None, item["key"])]

    def ended(self, key: str, count: int = 1) -> list[dict[str, Any]]:
        """The jobs of a key, once there are *count* and all have ended. Raises TimeoutError."""
        return self.wait(
            lambda: jobs if len(jobs := self.jobs(key)) >= count and all(it["state"] in FINAL for it in jobs) else None,
            f"{count} job(s) of {key} to end",
        )

    def state(self, job_id: str, get: str = "get_face_detection") -> str:
        return str(self.answer(getattr(self.rekognition, get), JobId=job_id, MaxResults=1).get("JobStatus", "unknown"))

    def until_over(self, job_id: str, get: str = "get_face_detection") -> dict[str, Any]:
        """The Get reply of a job that is not in progress any more."""
        self.wait(lambda: self.state(job_id, get) != "IN_PROGRESS", f"job {job_id[:8]} to end")
        return self.answer(getattr(self.rekognition, get), JobId=job_id)

    def messages(self, job_id: str, wait: float = 20) -> list[str]:
        """The completion messages of a job that have come within *wait* seconds, as they came."""
        deadline = time.monotonic() + wait
        sqs, url = self.account.client("sqs"), self._queue[0]
        while True:
            page = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
            for message in page:
                body = message["Body"]
                self._messages.setdefault(json.loads(body).get("JobId", ""), []).append(body)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if not page and (job_id in self._messages or time.monotonic() > deadline):
                return self._messages.get(job_id, [])

    def wait[T](self, look: Callable[[], T | None], what: str) -> T:
        """What *look* gives, once it gives something. Raises TimeoutError."""
        deadline = time.monotonic() + self.waits.job
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.5)
        raise TimeoutError(f"waited {self.waits.job:.0f} s for {what}")


def outcome(call: Any, **parameters: Any) -> dict[str, Any]:
    """What a call said: its answer, or ``{"error", "message", "http"}``."""
    try:
        answer: dict[str, Any] = call(**parameters)
    except ClientError as problem:
        error, status = problem.response["Error"], problem.response["ResponseMetadata"]["HTTPStatusCode"]
        return {"error": error["Code"], "message": error["Message"], "http": status}
    answer.pop("ResponseMetadata", None)
    return answer


def shape(value: Any, path: str = "") -> list[str]:
    """The members of a value, each with its kind, sorted: ``Faces[].Timestamp: number``. Of lists, any item's."""
    if isinstance(value, Mapping):
        lines = {line for name, item in value.items() for line in shape(item, f"{path}.{name}" if path else name)}
    elif isinstance(value, list):
        lines = {line for item in value for line in shape(item, f"{path}[]")} or {f"{path}[]: nothing"}
    else:
        kinds = {bool: "true or false", str: "text", int: "number", float: "number"}
        lines = {f"{path}: {kinds.get(type(value), type(value).__name__)}"}
    return sorted(lines)
