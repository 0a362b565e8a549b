"""One local cloud, deployed once by the real CLI; every test drops something into it and waits for what it gets."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambdas.aws.dynamodb import deserialize
from lambdas.aws.job_table import Jobs
from localcloud.cloud import LocalCloud

PATIENCE = 120.0  # seconds


class Deployed:
    """A deployed stack, as its user meets it."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.videos = outputs["VideosBucket"]
        self.results = outputs["ResultsBucket"]
        self.s3 = cloud.client("s3")
        self.sqs = cloud.client("sqs")
        self.dynamodb = cloud.client("dynamodb")

    @property
    def table(self) -> Jobs:
        """The jobs table, as the functions see it."""
        from lambdas.model.clock import Clock

        return Jobs(self.dynamodb, self.outputs["JobsTable"], Clock())

    def drop(self, key: str, path: Path) -> None:
        """Upload a file as boto3 does: in one PUT, or in parts when it is large."""
        self.s3.upload_file(str(path), self.videos, key)

    def everything(self) -> list[dict[str, Any]]:
        """All jobs as they stand in the table, oldest first."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.outputs["JobsTable"], ConsistentRead=True)
        items = [deserialize(item) for page in pages for item in page["Items"]]
        return sorted((item for item in items if "state" in item), key=lambda item: item["registered_at"])

    def jobs(self, key: str) -> list[dict[str, Any]]:
        """The jobs of a key, oldest first."""
        return [job for job in self.everything() if job["key"] == key]

    def ended(self, key: str, how_many: int = 1) -> list[dict[str, Any]]:
        """The jobs of a key, once there are so many and they have ended."""
        return self.wait(
            lambda: (
                jobs
                if len(jobs := self.jobs(key)) >= how_many
                and all(job["state"] in ("SUCCEEDED", "FAILED", "REJECTED") for job in jobs)
                else None
            ),
            f"{how_many} job(s) of {key!r} to end",
        )

    def job(self, key: str) -> dict[str, Any]:
        """The one job of a key, once it has ended."""
        [job] = self.ended(key)
        return job

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        """What `look` gives, once it gives something."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.2)
        raise AssertionError(f"waited {PATIENCE:.0f} s for {what}\n{self.cloud.logs(60)}")

    def result(self, key: str) -> Any:
        """A document of the results bucket."""
        return json.loads(self.s3.get_object(Bucket=self.results, Key=key)["Body"].read())

    def queue(self, name: str) -> str:
        """The address of the queue whose logical id begins so."""
        urls = self.sqs.list_queues()["QueueUrls"]
        [url] = [url for url in urls if f"-{name}" in url and not url.split(f"-{name}")[1].startswith("Dead")]
        return url

    def waiting_in(self, name: str) -> int:
        """How many messages a queue holds."""
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.queue(name), AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(attributes["Attributes"]["ApproximateNumberOfMessages"])

    def starts(self, job_id: str) -> int:
        """How many Start calls Rekognition accepted for a job."""
        return sum(job["JobTag"] == job_id for job in self.rekognition_jobs())

    def rekognition_jobs(self) -> list[dict[str, Any]]:
        """The endpoint's own list of jobs."""
        return self._ask("_jobs")["jobs"]

    def stats(self) -> dict[str, Any]:
        """The endpoint's own counts."""
        return self._ask("_stats")

    def faults(self, **settings: Any) -> None:
        """Let something go wrong with Rekognition from now on."""
        request = urllib.request.Request(
            f"{self.cloud.rekognition_url}/_faults", data=json.dumps(settings).encode(), method="PUT"
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.cloud.rekognition_url}/{path}") as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    """The stack as the repository has it, in a local cloud of its own."""
    with LocalCloud() as cloud:
        yield Deployed(cloud, cloud.outputs)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where test videos are made, once each."""
    return tmp_path_factory.mktemp("videos")
