"""MediaConvert in process: jobs that take a while in virtual time, and then put a copy into the bucket.

Promises: a token is one job for a minute, as AWS documents it, and another one after it; a job reads what is under its
key when it begins, a moment after CreateJob; it ends with an event that can be lost or come twice; ListJobs has the
newest first. It does not convert: the copy is some bytes that name what was read.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.fast_fake.client import Client, Params, refuse

TOKEN_LIVES = 60.0  # seconds; API Reference, "Idempotency"
BEGINS_AFTER = 1.0  # seconds from CreateJob to reading the video


@dataclass(slots=True)
class Job:
    """A job of MediaConvert's."""

    job_id: str
    token: str
    request: Params
    created_at: float
    ends_at: float
    status: str = "SUBMITTED"
    content: bytes | None = None  # what it read
    code: int = 0
    message: str = ""

    @property
    def source(self) -> tuple[str, str]:
        address = self.request["Settings"]["Inputs"][0]["FileInput"].removeprefix("s3://")
        bucket, _, key = address.partition("/")
        return bucket, key

    @property
    def destination(self) -> tuple[str, str]:
        group = self.request["Settings"]["OutputGroups"][0]["OutputGroupSettings"]["FileGroupSettings"]
        bucket, _, key = group["Destination"].removeprefix("s3://").partition("/")
        return bucket, f"{key}.mp4"

    @property
    def answer(self) -> dict[str, Any]:
        """As GetJob says it."""
        failed = {"ErrorCode": self.code, "ErrorMessage": self.message} if self.code else {}
        return {
            "Id": self.job_id,
            "Status": self.status,
            "Settings": self.request["Settings"],
            "Role": self.request["Role"],
            "UserMetadata": self.request.get("UserMetadata", {}),
            "CreatedAt": datetime.fromtimestamp(self.created_at, UTC),
            **failed,
        }

    @property
    def event(self) -> dict[str, Any]:
        """As EventBridge delivers its end (User Guide, "Events with COMPLETE status")."""
        failed = {"errorCode": self.code, "errorMessage": self.message} if self.code else {}
        return {
            "version": "0",
            "source": "aws.mediaconvert",
            "detail-type": "MediaConvert Job State Change",
            "detail": {
                "jobId": self.job_id,
                "status": self.status,
                "userMetadata": self.request.get("UserMetadata", {}),
                **failed,
            },
        }


@dataclass
class MediaConvert:
    """The service.

    Attributes:
        seconds: that a job takes.
        fails_with: error code and message of the next jobs that end, in order; an empty one succeeds.
        refusals: of the next calls: operation, error code, message.
        events: of ended jobs, not delivered yet.
        calls: names of the calls made, in order.
    """

    s3: Any
    now: Callable[[], float]
    seconds: float = 90.0
    fails_with: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[tuple[str, str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    after_create: Callable[[], None] = lambda: None
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def refuse(self, operation: str, code: str, times: int = 1, message: str = "as the test wanted it") -> None:
        """Answer the next `times` calls of `operation` with that error."""
        self.refusals += [(operation, code, message)] * times

    def client(self) -> Client:
        """A client of it."""
        return Client({name: self._answering(name) for name in ("CreateJob", "GetJob", "ListJobs")})

    def attach(self, client: Any) -> None:
        """Answer the calls of a boto3 client, which checks them against AWS's own model."""
        asked: dict[str, Params] = {}

        def remember(params: Params, model: Any, **_: Any) -> None:
            asked[model.name] = params

        def answer(model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
            try:
                return SimpleNamespace(status_code=200), self._call(model.name, asked.pop(model.name))
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                return SimpleNamespace(status_code=status), dict(error.response)

        client.meta.events.register("provide-client-params.mediaconvert.*", remember)
        client.meta.events.register("before-call.mediaconvert.*", answer)

    def _answering(self, operation: str) -> Callable[[Params], dict[str, Any]]:
        return lambda params: self._call(operation, params)

    def _call(self, operation: str, params: Params) -> dict[str, Any]:
        self.calls.append(operation)
        self.run_due()
        for refusal in self.refusals:
            if refusal[0] == operation:
                self.refusals.remove(refusal)
                refuse(refusal[1], operation, 400, refusal[2])
        return {"CreateJob": self._create, "GetJob": self._get, "ListJobs": self._list}[operation](params)

    def _create(self, params: Params) -> dict[str, Any]:
        for job in self.jobs.values():
            if job.token == params["ClientRequestToken"] and self.now() - job.created_at < TOKEN_LIVES:
                return {"Job": job.answer}
        job_id = f"{int(1000 * self.now())}-{next(self._ids):06d}"
        job = Job(job_id, params["ClientRequestToken"], params, self.now(), self.now() + self.seconds)
        self.jobs[job_id] = job
        self.after_create()
        return {"Job": job.answer}

    def _get(self, params: Params) -> dict[str, Any]:
        if params["Id"] not in self.jobs:
            refuse("NotFoundException", "GetJob", 404, "The requested job does not exist.")
        return {"Job": self.jobs[params["Id"]].answer}

    def _list(self, params: Params) -> dict[str, Any]:
        newest = sorted(self.jobs.values(), key=lambda job: job.created_at, reverse=True)
        begin = int(params.get("NextToken", 0))
        end = begin + params.get("MaxResults", 20)
        more = {"NextToken": str(end)} if end < len(newest) else {}
        return {"Jobs": [job.answer for job in newest[begin:end]], **more}

    def run_due(self) -> None:
        """Let jobs read their videos, and end."""
        for job in list(self.jobs.values()):
            if job.status == "SUBMITTED" and self.now() >= job.created_at + BEGINS_AFTER:
                job.status, job.content = "PROGRESSING", self._read(job)
            if job.status == "PROGRESSING" and self.now() >= job.ends_at:
                self._end(job)

    def _read(self, job: Job) -> bytes | None:
        bucket, key = job.source
        try:
            content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError:
            return None
        return content

    def _end(self, job: Job) -> None:
        if self.fails_with and (failure := self.fails_with.pop(0))[0]:
            job.status, (job.code, job.message) = "ERROR", failure
        elif job.content is None:
            job.status, job.code, job.message = "ERROR", 1404, "Unable to open input file: HeadObject failed"
        else:
            bucket, key = job.destination
            job.status = "COMPLETE"
            self.s3.put_object(Bucket=bucket, Key=key, Body=b"converted: " + job.content)
        self.events.append(job.event)
