"""Rekognition Video as an object: requests in, answers out, no HTTP and no waiting.

Time is what the injected clock says. Nothing here sleeps: jobs end and messages go out when
:meth:`RekognitionVideo.run_due` is called at or after their time (a job's end also shows in any call that comes later
than it).
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import logging
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import BotoCoreError

from rekognition_local import faults as fault, regions, shapes, views
from rekognition_local.aws import Notification, Objects, Publish, S3Objects, Stored, Unreadable
from rekognition_local.catalogue import BY_GET, BY_START, COLLECTIONS, OPERATIONS, Analysis, Asked
from rekognition_local.engines import Engine, FacesInImage, Outcome, Rows, Source, Work
from rekognition_local.engines.simulated import Simulated
from rekognition_local.errors import ServiceError
from rekognition_local.face_collections import Collections
from rekognition_local.faults import Faults
from rekognition_local.jobs import Job, PageTokens

log = logging.getLogger("rekognition_local")

#: Stored video's limits (Developer Guide, "Guidelines and quotas"). 10 GB taken as powers of two.
MOST_BYTES = 10 * 1024**3
MOST_RESULTS = 1000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as is known. ``None``: unknown, so not refused for it.

    ``may_read``: may read the object named. ``may_pass_role``: may pass the NotificationChannel's role.
    """

    account: str = "000000000000"
    region: str = "us-east-1"
    arn: str = ""
    may_read: bool | None = None
    may_pass_role: bool | None = None

    @property
    def name(self) -> str:
        return self.arn or f"arn:aws:iam::{self.account}:root"


@dataclass(frozen=True, slots=True)
class Response:
    """``delay``: seconds a server should wait before it sends this (a slow answer, if faults ask for one)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0


class RekognitionVideo:
    """The service. Thread-safe. Its promises are listed in the package's docstring.

    *engine* does the jobs; *objects* is S3 (default: boto3's, found as boto3 finds it); *publish* is handed each
    completion message when it is due (default: none is sent); *clock* is in epoch seconds.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        objects: Objects | None = None,
        publish: Publish | None = None,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine: Engine = engine or Simulated()
        self.objects: Objects = objects or S3Objects()
        self.publish = publish
        self.clock = clock
        #: Set whenever something new may be due: a server's ticker waits for it.
        self.news = threading.Event()
        self._faults = faults or Faults()
        self._script = fault.Script()
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._running: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._requests: dict[tuple[tuple[str, str], str, str], tuple[float, str, str]] = {}
        self._attempts: Counter[tuple[str, Source]] = Counter()
        self._ends: list[tuple[float, int, str]] = []
        self._outbox: list[tuple[float, int, Notification]] = []
        self._order = itertools.count()
        self._calls: Counter[str] = Counter()
        self._rates: dict[tuple[tuple[str, str], str], fault.Rate] = defaultdict(fault.Rate)
        self._ramps: dict[tuple[str, str], fault.Ramp] = defaultdict(fault.Ramp)
        self._tokens = PageTokens()
        self._collections = Collections(self.engine, self.objects, clock)
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self._accepted_by_tag: Counter[str] = Counter()
        self._accepted_by_token: Counter[str] = Counter()
        self._messages: Counter[str] = Counter()
        self._most_running = 0

    # Answering.

    def handle(self, target: str, body: bytes, caller: Caller | None = None) -> Response:
        """Answer one request: *target* as in X-Amz-Target, *body* its JSON. Never raises."""
        operation = target.removeprefix("RekognitionService.")
        caller = caller or Caller()
        request_id = str(uuid.uuid4())
        with self._lock:
            self._calls[operation] += 1
            number = self._calls[operation]
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": request_id}
        try:
            answer, outcome, status = self._answer(operation, number, body, caller), "ok", 200
        except ServiceError as error:
            answer, outcome, status = _error_body(error, request_id), error.code, error.status
        except Exception:
            log.exception("%s failed", operation)
            bug = ServiceError("InternalServerError")
            answer, outcome, status = _error_body(bug, request_id), bug.code, bug.status
        with self._lock:
            self._outcomes[operation if operation in OPERATIONS else "(other)"][outcome] += 1
        return Response(status, headers, answer, self._delay(operation, number))

    def _answer(self, operation: str, number: int, body: bytes, caller: Caller) -> bytes:
        if operation not in OPERATIONS:
            if operation in shapes.service_model().operation_names:
                # Declared by every operation, and what AWS itself says of a feature that a region does not have.
                offered = (
                    f"The local Rekognition endpoint does not offer {operation}. It offers {', '.join(OPERATIONS)}."
                )
                raise ServiceError("AccessDeniedException", offered)
            raise ServiceError("UnknownOperationException")
        regions.require(operation, caller.region, on_collections=operation in COLLECTIONS)
        scope = (caller.account, caller.region)
        with self._lock:
            self._end_due_jobs()
            injected, lost, fits = self._injected_faults(operation, number, scope)
        if injected and not injected.carried_out:
            raise ServiceError(injected.error_code, status=injected.status)
        parameters = shapes.parse(operation, body)
        if operation in BY_START:
            answer = self._start(BY_START[operation], parameters, caller, fits)
        elif operation in COLLECTIONS:
            answer = self._collection(operation, parameters, caller)
        else:
            answer = self._get(BY_GET[operation], parameters, scope, fits)
        if injected:
            raise ServiceError(injected.error_code, status=injected.status)
        if lost:
            raise ServiceError("InternalServerError")
        return answer

    def _injected_faults(
        self, operation: str, number: int, scope: tuple[str, str]
    ) -> tuple[fault.Injection | None, bool, bool]:
        """What the *number*-th call of *operation* runs into whatever it asks.

        A scripted error, a lost answer, and whether the rate has room.

        Raises ServiceError for what refuses it outright.
        """
        faults = self._faults
        if faults.outage:
            raise ServiceError("ServiceUnavailableException")
        if not self._ramps[scope].take(self.clock(), faults.ramp):
            raise ServiceError("ThrottlingException")
        fits = self._rates[scope, operation].take(self.clock(), faults.per_second(operation))
        injected = self._script.next(operation)
        lost = False
        if not injected and faults.concern(operation):
            if faults.chance(faults.throttled, "throttled", operation, number):
                raise ServiceError("ThrottlingException")
            if faults.chance(faults.unavailable, "unavailable", operation, number):
                raise ServiceError("ThrottlingException", "Service Unavailable", status=500)
            if faults.chance(faults.internal_errors, "internal", operation, number):
                raise ServiceError("InternalServerError")
            lost = faults.chance(faults.lost_answers, "lost", operation, number)
        return injected, lost, fits

    def _delay(self, operation: str, number: int) -> float:
        faults = self._faults
        return faults.slow_seconds if faults.chance(faults.slow, "slow", operation, number) else 0.0

    # Start.

    def _start(self, analysis: Analysis, parameters: Mapping[str, Any], caller: Caller, fits: bool) -> bytes:
        """Shape, then the object with the caller's rights, its size, the token, the slots, the rate; then it is on.

        AWS's own order isn't documented. What matters to callers: a repeated token is answered even when every slot
        is taken or the rate is exceeded, so a retry can always find out what became of the first try.
        """
        source = _source(parameters)
        channel = parameters.get("NotificationChannel")
        if channel and caller.may_pass_role is False:
            raise ServiceError("AccessDeniedException", _not_authorized(caller, "iam:PassRole", channel["RoleArn"]))
        stored = self._head(source, caller)
        with self._lock:
            self._end_due_jobs()
            scope, now = (caller.account, caller.region), self.clock()
            repeated = self._repeated(analysis, parameters, scope, now)
            if repeated:
                return _start_body(repeated)
            if len(self._running[scope]) >= self._faults.max_running:
                raise ServiceError("LimitExceededException", limit=self._faults.max_running, arn=caller.name)
            if not fits:
                raise ServiceError("ProvisionedThroughputExceededException")
            given = dict(parameters)
            if "CollectionId" in parameters:
                given["CollectionFaces"] = self._collections.known(parameters["CollectionId"], scope)
            job = self._accept(analysis, parameters, source, stored, scope, now)
        # Not under the lock: an engine may take its time, or report at once.
        work = Work(job.id, analysis, given, source, stored.etag, stored.size, stored.metadata)
        planned = self.engine.begin(work, self._report)
        if planned:
            with self._lock:
                job.planned, job.ends = planned.outcome, now + planned.seconds
                heapq.heappush(self._ends, (job.ends, next(self._order), job.id))
                self.news.set()
        return _start_body(job.id)

    def _head(self, source: Source, caller: Caller) -> Stored:
        if caller.may_read is False:
            raise ServiceError("InvalidS3ObjectException")
        try:
            stored = self.objects.head(source)
        except Unreadable:
            raise ServiceError("InvalidS3ObjectException") from None
        except BotoCoreError as error:
            log.warning("S3 can't be asked for %s: %s", source, error)
            raise ServiceError("InternalServerError") from None
        if stored.region and stored.region != caller.region:
            raise ServiceError("InvalidS3ObjectException")
        if stored.size > MOST_BYTES:
            raise ServiceError("VideoTooLargeException", size=stored.size, limit=MOST_BYTES)
        return stored

    def _repeated(
        self, analysis: Analysis, parameters: Mapping[str, Any], scope: tuple[str, str], now: float
    ) -> str | None:
        """The job this request's token already started. Raises ServiceError if it was for something else."""
        token = parameters.get("ClientRequestToken")
        known = self._requests.get((scope, analysis.start, token)) if token else None
        if not known or now - known[0] > self._faults.request_token_seconds:
            return None
        _, fingerprint, job_id = known
        if fingerprint != _fingerprint(parameters):
            raise ServiceError("IdempotentParameterMismatchException", token=token)
        self._outcomes[analysis.start]["repeated"] += 1
        return job_id

    def _accept(
        self,
        analysis: Analysis,
        parameters: Mapping[str, Any],
        source: Source,
        stored: Stored,
        scope: tuple[str, str],
        now: float,
    ) -> Job:
        self._attempts[analysis.name, source] += 1
        # Unique across restarts of a server through the clock, and repeatable where the clock is a test's.
        identity = [*scope, analysis.start, source, now, len(self._jobs), self._faults.seed]
        job_id = hashlib.sha256(repr(identity).encode()).hexdigest()
        attempt = self._attempts[analysis.name, source]
        job = Job(job_id, analysis, parameters, source, stored, scope, attempt, started=now)
        self._jobs[job_id] = job
        self._running[scope].add(job_id)
        self._most_running = max(self._most_running, sum(map(len, self._running.values())))
        if job.token:
            self._requests[scope, analysis.start, job.token] = (now, _fingerprint(parameters), job_id)
            self._accepted_by_token[job.token] += 1
        if job.tag:
            self._accepted_by_tag[job.tag] += 1
        return job

    # Get.

    def _get(self, analysis: Analysis, parameters: Mapping[str, Any], scope: tuple[str, str], fits: bool) -> bytes:
        with self._lock:
            if not fits:
                raise ServiceError("ProvisionedThroughputExceededException")
            self._end_due_jobs()
            now, faults = self.clock(), self._faults
            job = self._jobs.get(parameters["JobId"])
            if job is None or job.analysis is not analysis or job.scope != scope:
                raise ServiceError("ResourceNotFoundException")
            if job.ended is not None and now - job.ended > faults.result_seconds:
                raise ServiceError("ResourceNotFoundException")
            asked, offset = analysis.asked(parameters), 0
            if parameters.get("NextToken"):
                offset = self._tokens.open(parameters["NextToken"], job.id, asked.name, now, faults.page_token_seconds)
            outcome, state = job.outcome, job.state
        body: dict[str, Any] = {"JobStatus": state, "JobId": job.id, "Video": job.parameters["Video"]}
        if job.tag:
            body["JobTag"] = job.tag
        body.update(analysis.about(job.parameters, asked))
        page: list[bytes] = []
        if outcome and state == "FAILED":
            body["StatusMessage"] = outcome.failure
        elif outcome:
            body["VideoMetadata"] = [outcome.video] if analysis.metadata_is_list else outcome.video
            body.update(outcome.extra)
            rows = self._view(job, outcome.rows, asked)
            end = offset + min(parameters.get("MaxResults", MOST_RESULTS), MOST_RESULTS)
            page = list(rows[offset:end])
            if end < len(rows):
                body["NextToken"] = self._tokens.issue(job.id, asked.name, end, now)
        members = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        return b'%s,"%s":[%s]}' % (members[:-1], analysis.rows.encode(), b",".join(page))

    def _view(self, job: Job, rows: Rows, asked: Asked) -> Rows:
        """Not under the lock: a million rows take seconds to sort, once."""
        if asked.name not in job.views:
            job.views[asked.name] = views.view(job.analysis, rows, asked)
        return job.views[asked.name]

    # Collections.

    def _collection(self, operation: str, parameters: Mapping[str, Any], caller: Caller) -> bytes:
        scope = (caller.account, caller.region)
        seen: FacesInImage = ()
        if "Image" in parameters:
            with self._lock:
                self._collections.known(parameters["CollectionId"], scope)
            # Not under the lock: it takes its time.
            seen = self._collections.faces_in_image(parameters, caller.region, caller.may_read)
        with self._lock:
            answer = self._collections.answer(operation, parameters, scope, seen)
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()

    # What happens in time.

    def due(self) -> float | None:
        """When the next job ends or the next message is due, in the clock's seconds; None when nothing is coming."""
        with self._lock:
            return min((heap[0][0] for heap in (self._ends, self._outbox) if heap), default=None)

    def run_due(self, submit: Callable[[Callable[[], None]], object] = lambda send: send()) -> int:
        """Let what is due happen: jobs end, messages go out. Returns how many messages went to *submit*.

        Messages are sent by the calling thread, or by whatever *submit* hands them to.
        """
        with self._lock:
            self._end_due_jobs()
            messages = []
            while self._outbox and self._outbox[0][0] <= self.clock():
                messages.append(heapq.heappop(self._outbox)[2])
        for message in messages:
            submit(lambda message=message: self._send(message))  # type: ignore[misc]
        return len(messages)

    def _send(self, notification: Notification) -> None:
        """Publish, and only log what goes wrong: AWS, too, tells the caller nothing."""
        result = "published"
        try:
            if self.publish:
                self.publish(notification)
        except Exception as error:
            result = "failed"
            log.warning("completion of job %s not published: %s", notification.job_id, error)
        with self._lock:
            self._messages[result] += 1

    def _report(self, job_id: str, outcome: Outcome) -> None:
        """A real engine is done with a job."""
        with self._lock:
            self._end(self._jobs[job_id], outcome, self.clock())
            self.news.set()

    def _end_due_jobs(self) -> None:
        while self._ends and self._ends[0][0] <= self.clock():
            when, _, job_id = heapq.heappop(self._ends)
            job = self._jobs[job_id]
            if job.planned:
                self._end(job, job.planned, when)

    def _end(self, job: Job, outcome: Outcome, when: float) -> None:
        if job.state != "IN_PROGRESS":
            return
        failure = self._failure(job)
        job.outcome = replace(outcome, rows=(), failure=failure) if failure else outcome
        job.planned, job.ended = None, when
        job.state = "FAILED" if job.outcome.failure else "SUCCEEDED"
        self._running[job.scope].discard(job.id)
        channel = job.parameters.get("NotificationChannel")
        if channel:
            message = Notification(channel["SNSTopicArn"], channel["RoleArn"], job.message(), job.scope[0], job.id)
            for delay in self._deliveries(job):
                heapq.heappush(self._outbox, (when + delay, next(self._order), message))

    def _failure(self, job: Job) -> str | None:
        """The StatusMessage with which faults let this job fail, if they do."""
        faults, name = self._faults, job.source.name
        identity = (job.analysis.name, job.source, job.stored.etag)
        if faults.fail_lasting_keys and fnmatchcase(name, faults.fail_lasting_keys):
            return fault.LASTING
        if faults.chance(faults.fail_lasting, "lasting", *identity):
            return fault.LASTING
        if faults.fail_passing_keys and fnmatchcase(name, faults.fail_passing_keys):
            return fault.PASSING if job.attempt <= faults.fail_passing_times else None
        return fault.PASSING if faults.chance(faults.fail_passing, "passing", *identity, job.attempt) else None

    def _deliveries(self, job: Job) -> list[float]:
        """How long after the job's end its message goes out: once, or as faults have it."""
        faults, identity = self._faults, (job.analysis.name, job.source, job.attempt)
        if faults.chance(faults.notify_dropped, "dropped", *identity):
            self._messages["dropped"] += 1
            return []
        first = 0.0
        if faults.chance(faults.notify_late, "late", *identity):
            self._messages["late"] += 1
            first = faults.notify_late_seconds
        if faults.chance(faults.notify_twice, "twice", *identity):
            self._messages["twice"] += 1
            return [first, first + faults.notify_twice_seconds]
        return [first]

    # What tests, benches and people may ask and set.

    @property
    def faults(self) -> Faults:
        return self._faults

    def set_faults(self, changes: Mapping[str, Any]) -> Faults:
        """Change some settings while it runs. Raises ValueError, and changes nothing then."""
        with self._lock:
            self._faults = self._faults.changed(changes)
            return self._faults

    def inject(
        self,
        operation: str,
        error_code: str,
        times: int = 1,
        after: int = 0,
        *,
        carried_out: bool = False,
        status: int | None = None,
    ) -> None:
        """Let the next *times* calls of *operation* ("*": any) end in an error, once *after* calls have passed.

        *carried_out*: what was asked is done, and only the answer is lost. Raises ValueError.
        """
        self.add_injection(fault.Injection(operation, error_code, times, after, carried_out, status))

    def add_injection(self, injection: fault.Injection) -> None:
        with self._lock:
            self._script.add(injection)

    def stats(self) -> dict[str, Any]:
        """Counts since the beginning: GET /_stats."""
        with self._lock:
            self._end_due_jobs()
            return {
                "calls": {operation: dict(outcomes) for operation, outcomes in sorted(self._outcomes.items())},
                "running": sum(map(len, self._running.values())),
                "most_running": self._most_running,
                "accepted": len(self._jobs),
                "ended": dict(Counter(job.state for job in self._jobs.values() if job.ended is not None)),
                "accepted_by_tag": dict(self._accepted_by_tag),
                "accepted_by_token": dict(self._accepted_by_token),
                "notifications": {
                    name: self._messages[name] for name in ("published", "failed", "dropped", "late", "twice")
                }
                | {"waiting": len(self._outbox)},
                "injections_waiting": len(self._script),
            }

    def jobs(self) -> list[dict[str, Any]]:
        """Every job, the oldest first: GET /_jobs."""
        with self._lock:
            self._end_due_jobs()
            jobs, now = list(self._jobs.values()), self.clock()
        return [job.described(now, self.engine.progress(job.id)) for job in jobs]

    @contextmanager
    def running(self) -> Iterator[RekognitionVideo]:
        """Keep time: a thread that calls run_due when something is due, until the block ends. For real clocks."""
        stop = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(stop,), name="rekognition-clock", daemon=True)
        ticker.start()
        try:
            yield self
        finally:
            stop.set()
            self.news.set()
            ticker.join()
            self.engine.close()

    def _tick(self, stop: threading.Event) -> None:
        senders = ThreadPoolExecutor(8, "rekognition-sns")
        while not stop.is_set():
            due = self.due()
            # Never longer than a second: the clock may be a test's, and jump.
            self.news.wait(1.0 if due is None else min(1.0, max(0.0, due - self.clock())))
            self.news.clear()
            self.run_due(senders.submit)
        senders.shutdown(wait=False, cancel_futures=True)


def _source(parameters: Mapping[str, Any]) -> Source:
    """The object Start names. The model marks neither bucket nor name as required; the service wants both."""
    place = parameters["Video"].get("S3Object", {})
    if "Bucket" not in place or "Name" not in place:
        raise ServiceError("InvalidParameterException")
    return Source(place["Bucket"], place["Name"], place.get("Version"))


def _fingerprint(parameters: Mapping[str, Any]) -> str:
    return json.dumps(parameters, sort_keys=True)


def _start_body(job_id: str) -> bytes:
    return b'{"JobId":"%s"}' % job_id.encode()


def _not_authorized(caller: Caller, action: str, resource: str) -> str:
    return (
        f"User: {caller.name} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def _error_body(error: ServiceError, request_id: str) -> bytes:
    body = {"__type": error.code, "Code": error.code, "Logref": request_id, "Message": error.message}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
