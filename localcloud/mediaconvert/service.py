"""MediaConvert as an object: requests in, answers out, jobs done by whatever it is given to do them.

Thread-safe. The oldest job that waits is begun when a runner is free; each change of its state is told by an event.
"""

from __future__ import annotations

import base64
import logging
import secrets
import string
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from localcloud.mediaconvert import protocol
from localcloud.mediaconvert.faults import Faults
from localcloud.mediaconvert.orders import Order, order_of
from localcloud.mediaconvert.protocol import Response, ServiceError

log = logging.getLogger("localcloud.mediaconvert")

#: Seconds that a ClientRequestToken stands for its job after a successful request, and its longest (API Reference,
#: "Preventing duplicate jobs").
TOKEN_SECONDS = 60.0
LONGEST_TOKEN = 64
MOST_LISTED = 20

ENDED = ("COMPLETE", "ERROR", "CANCELED")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``may_pass_role``: None where it is not known, which is no reason to refuse."""

    account: str = "000000000000"
    region: str = "us-east-1"
    arn: str = ""
    may_pass_role: bool | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """One file that a job has written. ``millis``: how long it is."""

    uri: str
    millis: int
    width: int
    height: int


class JobFailed(Exception):
    """A job ends with ERROR, this code (User Guide, "Error codes") and these words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass(slots=True)
class Job:
    id: str
    caller: Caller
    request: dict[str, Any]
    order: Order
    created: float
    queue: str
    state: str = "SUBMITTED"
    phase: str | None = None
    percent: int | None = None
    started: float | None = None
    ended: float | None = None
    error: tuple[int, str] | None = None
    made: Sequence[Sequence[Made]] = ()
    canceled: threading.Event = field(default_factory=threading.Event)

    @property
    def arn(self) -> str:
        return f"arn:aws:mediaconvert:{self.caller.region}:{self.caller.account}:jobs/{self.id}"

    def described(self) -> dict[str, Any]:
        """As GetJob has it, by the model's names."""
        timing = {"SubmitTime": self.created, "StartTime": self.started, "FinishTime": self.ended}
        groups = [
            {
                "OutputDetails": [
                    {"DurationInMs": one.millis, "VideoDetails": {"WidthInPx": one.width, "HeightInPx": one.height}}
                    for one in group
                ]
            }
            for group in self.made
        ]
        return {
            "Id": self.id,
            "Arn": self.arn,
            "Status": self.state,
            "CurrentPhase": self.phase,
            "JobPercentComplete": self.percent,
            "CreatedAt": self.created,
            "Timing": {name: round(value, 3) for name, value in timing.items() if value is not None},
            "Queue": self.queue,
            "Role": self.request["Role"],
            "Settings": self.request["Settings"],
            "UserMetadata": self.request.get("UserMetadata", {}),
            "ClientRequestToken": self.request.get("ClientRequestToken"),
            "Priority": self.request.get("Priority", 0),
            "AccelerationStatus": "NOT_APPLICABLE",
            "RetryCount": 0,
            "Messages": {"Info": [], "Warning": []},
            "OutputGroupDetails": groups or None,
            "ErrorCode": self.error[0] if self.error else None,
            "ErrorMessage": self.error[1] if self.error else None,
        }

    def event(self, now: float) -> dict[str, Any]:
        """The detail of "MediaConvert Job State Change" (User Guide, "Events with ... status", "File group")."""
        detail: dict[str, Any] = {
            "timestamp": round(now * 1000),
            "accountId": self.caller.account,
            "queue": self.queue,
            "jobId": self.id,
            "status": self.state,
            "userMetadata": self.request.get("UserMetadata", {}),
        }
        if self.error:
            detail |= {"errorCode": self.error[0], "errorMessage": self.error[1]}
        if self.state == "COMPLETE":
            detail["outputGroupDetails"] = [
                {
                    "outputDetails": [
                        {
                            "outputFilePaths": [one.uri],
                            "durationInMs": one.millis,
                            "videoDetails": {"widthInPx": one.width, "heightInPx": one.height},
                        }
                        for one in group
                    ],
                    "type": "FILE_GROUP",
                }
                for group in self.made
            ]
        return detail


class Runner(Protocol):
    """Carries out an order."""

    def __call__(self, job: Job, report: Callable[[str, int | None], None]) -> Sequence[Sequence[Made]]:
        """Returns what each group of outputs has become. *report* takes a phase and a percentage. Ends soon, by
        whatever exception, when ``job.canceled`` is set. Raises JobFailed."""


#: Publishes an event: the job it is about, and its detail. What goes wrong is the publisher's to raise and ours to log.
Publish = Callable[[Job, Mapping[str, Any]], None]


class MediaConvert:
    def __init__(
        self,
        *,
        runner: Runner,
        publish: Publish,
        url: Callable[[], str] = lambda: "",
        at_once: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*url*: what DescribeEndpoints answers; *at_once*: jobs in progress at a time, the others wait."""
        self.faults = Faults()
        self.url = url
        self._runner, self._publish, self._clock = runner, publish, clock
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tokens: dict[tuple[str, str, str], tuple[str, float]] = {}
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="mediaconvert")

    def handle(self, method: str, path: str, query: str, body: bytes, caller: Caller) -> Response:
        """Answer a request of MediaConvert's protocol."""
        try:
            operation, in_path = protocol.operation_of(method, path)
            parameters = protocol.parameters_of(operation, in_path, query, body)
            calls = {
                "CreateJob": self._create,
                "GetJob": self._get,
                "ListJobs": self._list,
                "CancelJob": self._cancel,
                "DescribeEndpoints": self._endpoints,
            }
            return protocol.answer(operation, calls[operation](parameters, caller))
        except ServiceError as error:
            return protocol.refusal(error)

    # The operations. Parameters and results by the model's names.

    def _create(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        if self._spend("creates_refused"):
            raise ServiceError(self.faults.create_refused, REFUSALS.get(self.faults.create_refused, "Refused."))
        token = request.get("ClientRequestToken", "")
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise ServiceError(
                "BadRequestException",
                f"/clientRequestToken: {token[:80]!r} is not up to {LONGEST_TOKEN} ASCII characters",
            )
        queue = f"arn:aws:mediaconvert:{caller.region}:{caller.account}:queues/Default"
        if request.get("Queue", "Default") not in ("Default", queue):
            raise ServiceError("NotFoundException", f"The queue {request['Queue']!r} does not exist. There is: {queue}")
        order = order_of(request)
        if caller.may_pass_role is False:
            raise ServiceError(
                "AccessDeniedException",
                f"User: {caller.arn} is not authorized to perform: iam:PassRole on resource: {request['Role']} "
                "because no identity-based policy allows the iam:PassRole action",
            )
        with self._lock:
            now = self._clock()
            known, since = self._tokens.get((caller.account, caller.region, token), ("", 0.0))
            if token and known and now - since <= TOKEN_SECONDS:
                job = self._jobs[known]
            else:
                mark = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
                job = Job(f"{round(now * 1000)}-{mark}", caller, request, order, now, queue)
                self._jobs[job.id] = job
                if token:
                    self._tokens[caller.account, caller.region, token] = (job.id, now)
                self._pool.submit(self._run, job)
            answer = {"Job": job.described()}
        if self._spend("answers_lost"):
            raise ServiceError("InternalServerErrorException", "Internal server error")
        return answer

    def _get(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        with self._lock:
            return {"Job": self._job(request["Id"], caller).described()}

    def _list(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        with self._lock:
            found = [
                job
                for job in self._jobs.values()
                if _scope(job.caller) == _scope(caller)
                and request.get("Status", job.state) == job.state
                and request.get("Queue", job.queue) in (job.queue, job.queue.rpartition("/")[2])
            ]
            if request.get("Order", "DESCENDING") == "DESCENDING":
                found.reverse()
            first = _position(request.get("NextToken", ""))
            most = request.get("MaxResults", MOST_LISTED)
            rest = first + most < len(found)
            return {
                "Jobs": [job.described() for job in found[first : first + most]],
                "NextToken": base64.urlsafe_b64encode(str(first + most).encode()).decode() if rest else None,
            }

    def _cancel(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        with self._lock:
            job = self._job(request["Id"], caller)
            if job.state in ENDED:
                raise ServiceError("ConflictException", f"The job {job.id} is {job.state} and can't be canceled.")
            job.canceled.set()
            self._end(job, "CANCELED")
        self._tell(job)
        return {}

    def _endpoints(self, _: dict[str, Any], __: Caller) -> dict[str, Any]:
        return {"Endpoints": [{"Url": self.url()}]}

    def _job(self, job_id: str, caller: Caller) -> Job:
        job = self._jobs.get(job_id)
        if job is None or _scope(job.caller) != _scope(caller):
            raise ServiceError("NotFoundException", f"The job {job_id!r} does not exist.")
        return job

    # What happens in time.

    def _run(self, job: Job) -> None:
        """One job, in a thread of the pool."""
        with self._lock:
            if job.canceled.is_set():
                return
            job.state, job.started, job.percent = "PROGRESSING", self._clock(), 0
            failure = self._planned_failure(job)
            until = time.monotonic() + self.faults.least_seconds
        self._tell(job)
        try:
            if failure:
                raise failure  # noqa: TRY301  it ends as any other failure does
            made = self._runner(job, lambda phase, percent: self._progress(job, phase, percent))
            job.canceled.wait(max(0.0, until - time.monotonic()))
            ending: tuple[str, tuple[int, str] | None] = ("COMPLETE", None)
        except JobFailed as error:
            job.canceled.wait(max(0.0, until - time.monotonic()))
            made, ending = (), ("ERROR", (error.code, error.message))
        except Exception:
            if not job.canceled.is_set():
                log.exception("job %s", job.id)
            made, ending = (), ("ERROR", (1999, "Unexpected transcoding error. Contact AWS Support."))
        with self._lock:
            if job.canceled.is_set():
                return
            job.made, job.error = made, ending[1]
            self._end(job, ending[0])
        if job.error:
            log.warning("job %s of %s: %d %s", job.id, job.order.uri, *job.error)
        self._tell(job)

    def _progress(self, job: Job, phase: str, percent: int | None) -> None:
        with self._lock:
            if job.state == "PROGRESSING":
                job.phase, job.percent = phase, percent if percent is not None else job.percent

    def _end(self, job: Job, state: str) -> None:
        job.state, job.ended, job.phase = state, self._clock(), None
        job.percent = 100 if state == "COMPLETE" else job.percent

    def _planned_failure(self, job: Job) -> JobFailed | None:
        faults = self.faults
        if not faults.fail_keys or not fnmatchcase(job.order.key, faults.fail_keys) or not self._spend("fails"):
            return None
        return JobFailed(faults.fail_code, faults.fail_message)

    def _tell(self, job: Job) -> None:
        """Publish what state *job* is in."""
        times = 1
        if job.state in ENDED:
            times = 0 if self._spend("events_dropped") else 2 if self._spend("events_twice") else 1
        for _ in range(times):
            try:
                self._publish(job, job.event(self._clock()))
            except Exception as error:
                log.warning("event of job %s (%s) not published: %s", job.id, job.state, error)

    # What tests may ask and set.

    def set_faults(self, changes: Mapping[str, Any]) -> Faults:
        """Change some settings. Raises ValueError, and changes nothing then."""
        with self._lock:
            self.faults = self.faults.changed(changes)
            return self.faults

    def _spend(self, name: str) -> bool:
        """Whether this happens now; counts it."""
        with self._lock:
            left = getattr(self.faults, name)
            if left > 0:
                self.faults = self.faults.changed({name: left - 1})
            return bool(left)

    def jobs(self) -> list[dict[str, Any]]:
        """Every job, the oldest first."""
        with self._lock:
            return [
                {
                    "id": job.id,
                    "status": job.state,
                    "input": job.order.uri,
                    "outputs": [one.uri for group in job.order.groups for one in group],
                    "token": job.request.get("ClientRequestToken"),
                    "error": job.error,
                }
                for job in self._jobs.values()
            ]

    def close(self) -> None:
        """End all jobs; no event tells of that."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for job in self._jobs.values():
                job.canceled.set()


#: What AWS says with an error, where it is known.
REFUSALS = {
    "AccessDeniedException": "User is not authorized to perform: mediaconvert:CreateJob",
    "SubscriptionRequiredException": "The AWS Access Key Id needs a subscription for the service",
    "TooManyRequestsException": "Too Many Requests",
    "ForbiddenException": "You don't have permissions for this action with the credentials that you sent.",
    "ConflictException": "The service couldn't complete your request because there is a conflict with the current "
    "state of the resource.",
    "InternalServerErrorException": "The service encountered an unexpected condition and can't fulfill your request.",
    "ServiceQuotaExceededException": "You attempted to create more resources than the service allows.",
}


def _scope(caller: Caller) -> tuple[str, str]:
    return caller.account, caller.region


def _position(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode())) if token else 0
    except ValueError:
        raise ServiceError("BadRequestException", f"/nextToken: {token[:80]!r} is none of ListJobs'") from None
