"""The service in process with a clock that a test moves: what most tests of the endpoint talk to."""

import json
from typing import Any

from rekognition_local import AnyObject, Caller, Faults, Notification, RekognitionVideo, Simulated
from rekognition_local.catalogue import BY_NAME
from tests.rekognition_local.shape_check import check_answer, check_error

BUCKET, KEY = "videos", "in/clip 1.mp4"
TOPIC = "arn:aws:sns:us-east-1:123456789012:finished"
ROLE = "arn:aws:iam::123456789012:role/publisher"
CHANNEL = {"SNSTopicArn": TOPIC, "RoleArn": ROLE}

#: What the Start call of an analysis can't do without.
NEEDED: dict[str, dict[str, Any]] = {name: {} for name in BY_NAME} | {
    "face-search": {"CollectionId": "people"},
    "segment-detection": {"SegmentTypes": ["TECHNICAL_CUE", "SHOT"]},
}


class ServiceHarness:
    """Every answer that passes here is checked against the service model."""

    def __init__(
        self, *, seconds: float = 10, detections: int = 3, faults: Faults | None = None, **options: Any
    ) -> None:
        self.now = 1_000_000.0
        self.sent: list[Notification] = []
        self.service = RekognitionVideo(
            **{"engine": Simulated(seconds=seconds, detections=detections), "objects": AnyObject()} | options,
            publish=self.sent.append,
            faults=faults or Faults.off(),
            clock=lambda: self.now,
        )
        self.caller = Caller(account="123456789012", arn="arn:aws:iam::123456789012:user/me")

    def call(self, operation: str, parameters: Any, **caller: Any) -> tuple[int, dict[str, Any]]:
        """Status and parsed body."""
        body = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
        who = Caller(**{field: getattr(self.caller, field) for field in Caller.__slots__} | caller)
        response = self.service.handle(f"RekognitionService.{operation}", body, who)
        assert response.headers["x-amzn-RequestId"]
        if response.status == 200:
            return 200, check_answer(operation, response.body)
        return response.status, json.loads(response.body)

    def refusal(self, operation: str, parameters: Any, **caller: Any) -> tuple[str, str]:
        """Code and message of an error that the operation declares."""
        status, value = self.call(operation, parameters, **caller)
        assert status != 200, value
        check_error(operation, json.dumps(value).encode())
        return value["Code"], value["Message"]

    def code(self, operation: str, parameters: Any, **caller: Any) -> str:
        """ "ok", or an error's code, whichever."""
        status, value = self.call(operation, parameters, **caller)
        return "ok" if status == 200 else str(value["Code"])

    def good(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer; the call must succeed."""
        status, value = self.call(operation, parameters)
        assert status == 200, value
        return value

    def start(self, name: str = KEY, analysis: str = "face-detection", **parameters: Any) -> str:
        """The job's id; the start must succeed. What an analysis can't do without is filled in."""
        answer = self.good(BY_NAME[analysis].start, Video=video(name), **NEEDED[analysis] | parameters)
        return str(answer["JobId"])

    def get(self, job_id: str, analysis: str = "face-detection", **parameters: Any) -> dict[str, Any]:
        return self.good(BY_NAME[analysis].get, JobId=job_id, **parameters)

    def rows(self, job_id: str, analysis: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows, page by page."""
        rows: list[dict[str, Any]] = []
        token: str | None = ""
        while token is not None:
            page = self.get(job_id, analysis, NextToken=token, **parameters)
            rows += page[BY_NAME[analysis].rows]
            token = page.get("NextToken")
        return rows

    def wait(self, seconds: float) -> None:
        """Time passes, and what is due happens."""
        self.now += seconds
        self.service.run_due()

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(notification.message) for notification in self.sent]


def video(name: str = KEY, bucket: str = BUCKET) -> dict[str, Any]:
    return {"S3Object": {"Bucket": bucket, "Name": name}}
