"""The command in process, on moto: a stack as the functions' tests have it, with the queues beside it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from cli.app import run
from cli.core import stack as stacks
from cli.core.stack import Stack, Target
from tests.fake_aws import REGION, World, world


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def aws() -> Iterator[World]:
    """AWS with the handlers in it, and time that passes when told to."""
    with world() as here:
        yield here


@pytest.fixture
def stack(aws: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack of that world, which every command then finds."""
    queues = {
        name: aws.sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("UploadsQueue", "UploadsDeadLetterQueue", "FinishedDeadLetterQueue")
    }
    outputs = {
        "VideosBucket": "videos",
        "ResultsBucket": "results",
        "JobsTable": "jobs",
        "FinishedQueue": aws.finished_queue,
        **queues,
        "VideoExtensions": ".mp4,.mov",
        "Analyses": '{"face-detection": {"FaceAttributes": "DEFAULT"}}',
        "UploadChoice": "both",
        "AllowedAnalyses": "face-detection,label-detection,text-detection,segment-detection",
    }

    def client(service: str, **options: Any) -> Any:
        return boto3.client(service, region_name=REGION, **options)  # type: ignore[call-overload]

    made = Stack("RekognitionBatch", outputs, client, region=REGION)

    def find(target: Target) -> Stack:
        made.target = target
        return made

    monkeypatch.setattr(stacks, "find", find)
    return made


@pytest.fixture
def typed(stack: Stack, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Type a command: ``typed("status", "--json")``."""

    def type_it(*words: str) -> Said:
        capfd.readouterr()
        code = run(words)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return type_it
