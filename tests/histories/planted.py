"""make histories-planted: bugs put into the real code one at a time, and which promise catches each, how soon.

A machine that finds nothing proves nothing until it is seen to find something.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from bench import report
from lambdas import wiring
from lambdas.aws import event_bus as outcome, multipart as streams, queue, rekognition as rekognition_module, videos
from lambdas.aws.dynamodb import Write
from lambdas.aws.job_table import Jobs
from lambdas.logic import collector as collecting, enqueue, faults, polling, results
from lambdas.logic.scheduler import Scheduler
from lambdas.model import analyses, routing as choosing
from lambdas.model.errors import (
    AccountFault,
    CannotStart,
    Gone,
    JobForgotten,
    NoFreeSlot,
    PageTokenExpired,
    ServiceTrouble,
)
from lambdas.model.job import Job
from tests.histories.__main__ import profile
from tests.histories.machine import Histories
from tests.histories.promises import (
    COMPLETE,
    CONSERVING,
    ENDS,
    JUST,
    LEASE,
    NEWEST,
    NO_WORK,
    ONE_START,
    QUIET,
    QUOTA,
    STAYS,
    TOLD,
    Broken,
)
from tests.histories.trouble import Trouble

MOST = 2000  # histories until a bug counts as missed


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug to plant, and the promises that may catch it."""

    name: str
    target: Any
    attribute: str
    replacement: Any
    breaks: tuple[str, ...]


def _without_condition(method: Callable[..., Any]) -> Callable[..., Any]:
    """A write of a job without its condition; what others write meanwhile keeps theirs."""

    def unconditional(self: Jobs, *arguments: Any, **named: Any) -> Any:
        request = self._request

        def unconditionally(_: Jobs, write: Write) -> Any:
            of_the_method = not write.item_id.startswith("#") and not _within_a_call(unconditional)
            return request(replace(write, when="") if of_the_method else write)

        with patch.object(Jobs, "_request", unconditionally):
            return method(self, *arguments, **named)

    return unconditional


def _within_a_call(function: Any) -> bool:
    """Whether this is one of the others that get in between while `function` calls AWS."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code is not function.__code__:
        if frame.f_code is Trouble.call.__code__:
            return True
        frame = frame.f_back
    return False


def _nothing(*_: Any, **__: Any) -> None:
    """Nothing happens."""


def _out_of_line(self: Jobs, job: Job) -> None:
    """release that takes the place away: WAITING, and in no index."""
    self._update(job.job_id, {**self._state("WAITING"), "due_at": None})


def _token_of_the_moment(self: Job) -> str:
    """A token that is new each time, as uuid4() would be."""
    return analyses._digest([self.job_id, wiring.clock().now()])


def _no_token_for_another_attempt(self: Job) -> str:
    """A token that doesn't know of attempts."""
    return analyses.attempt_token(self.job_id, 1)


def _state_without_flush(self: streams.GzipStream) -> dict[str, Any]:
    """A checkpoint that forgets what the compressor still holds."""
    return {"checksum": self._checksum, "length": self._length, **self.stream.state()}


def _resume_at_page_one(original: Callable[..., Any]) -> Callable[..., Any]:
    """Going on at page one, behind what is there."""

    def resume(self: results.Results, job: Job, first: Any) -> Any:
        writing = original(self, job, first)
        if job.checkpoint:
            writing.next_token, writing.pages = None, 0
        return writing

    return resume


def _pages_without_the_last(self: Any, job: Any, rekognition_job_id: str, first: Any, patiently: Any) -> Iterator[Any]:
    """Only as many pages as one sees in a test: the first three."""
    page = first
    for _ in range(2):
        if not page.next_token:
            break
        yield page
        page = self.page(job, rekognition_job_id, page.next_token)
    yield replace(page, next_token=None)


def _one_start_a_tick(original: Callable[..., Any]) -> Callable[..., Any]:
    """A tick that starts one job instead of starting until refused."""

    def fill(self: Scheduler, most: int | None, *more: Any) -> Any:
        return original(self, most or 1, *more)

    return fill


def _whatever_is_told(self: collecting.Collector, job: Job, finished: Any) -> str | None:
    """_which() without a look at what became of the job meanwhile."""
    return finished.rekognition_job_id or job.rekognition_job_id


def _nothing_of_the_rejected(original: Callable[..., Any]) -> Callable[..., Any]:
    """_which() to which REJECTED is an end like others."""

    def which(self: collecting.Collector, job: Job, finished: Any) -> str | None:
        return None if job.state == "REJECTED" else original(self, job, finished)

    return which


def _faults_reject(error: Exception, analysis: str) -> None:
    """What Rekognition refuses is the video's fault."""
    try:
        _start_error(error, analysis)
    except AccountFault as fault:
        raise CannotStart(str(fault)) from error


_start_error = rekognition_module._raise_start_error


def _refused_is_rejected(operation: str, error: ClientError) -> None:
    """What S3 refuses is the video's fault."""
    try:
        _s3_error(operation, error)
    except AccountFault as fault:
        raise CannotStart(str(fault)) from error


_s3_error = videos._raise


def _objects_are_trouble(operation: str, error: ClientError) -> None:
    """What S3 says of one object is its own trouble."""
    try:
        _s3_error(operation, error)
    except Gone:
        raise
    except CannotStart as fault:
        raise ServiceTrouble(str(fault)) from error


def _another_version(original: Callable[..., Any]) -> Callable[..., Any]:
    """An upload of the same content changes what its job was started with."""

    def uploaded_again(self: Jobs, job_id: str, upload: Any, changes: Mapping[str, Any], when: str) -> Any:
        return original(self, job_id, upload, {**changes, "version_id": upload.version_id}, when)

    return uploaded_again


def _older_uploads_too(original: Callable[..., Any]) -> Callable[..., Any]:
    """A note of an upload whatever its order."""

    def uploaded_again(self: Jobs, job_id: str, upload: Any, changes: Mapping[str, Any], when: str) -> Any:
        change = self._change
        with patch.object(
            Jobs,
            "_change",
            lambda _, item, changes, when, **values: change(item, changes, when.partition(" AND ")[2], **values),
        ):
            return original(self, job_id, upload, changes, when)

    return uploaded_again


def _whatever_became_of_the_entries(self: outcome.EventBus, entry: Any) -> None:
    """PutEvents answered, so it is well."""
    self._events.put_events(Entries=[entry])


def _succeeded_and_then_told(self: collecting.Collector, job: Job, writing: Any) -> None:
    """The state first, the event after it."""
    outcome = {
        "result_key": writing.result_key,
        "rows_key": writing.rows_key,
        "detections": writing.detections,
        "video_metadata": writing.video_metadata,
    }
    if self._jobs.succeed(job, **outcome):
        self._bus.announce(job, "SUCCEEDED", **outcome)


def _whichever_were_sent(self: queue.Queue, bodies: Any) -> None:
    """SendMessageBatch answered, so it is well."""
    for body in bodies:
        self._sqs.send_message_batch(QueueUrl=self._url, Entries=[{"Id": "0", "MessageBody": body}])


def _conflict_is_an_error(original: Callable[..., Any]) -> Callable[..., Any]:
    """409 is a failure like others."""

    def finish(self: streams.ObjectStream, **condition: str) -> None:
        try:
            original(self, **condition)
        except (streams.UploadGone, streams.PreconditionFailed) as error:
            if isinstance(error.__cause__, ClientError) and "Conflict" in str(error.__cause__):
                raise error.__cause__ from None
            raise

    return finish


def _key_error_where_superseded(original: Callable[..., Any]) -> Callable[..., Any]:
    """A slip where a result was superseded."""

    def tell(self: results.ResultWriter) -> None:
        if self._superseded:
            raise KeyError("superseded")
        original(self)

    return tell


def _key_error_after_trouble(original: Callable[..., Any]) -> Callable[..., Any]:
    """A slip where a collection goes on from its checkpoint."""

    def publish(self: results.ResultWriter, *more: Any) -> bool:
        if self.remainders:
            raise KeyError("remainders")
        return bool(original(self, *more))

    return publish


def _all_the_time_there_is(original: Callable[..., Any]) -> Callable[..., Any]:
    """No look at the time that is left."""

    def fill(self: Scheduler, most: int | None, enough_time: Any, *more: Any) -> Any:
        return original(self, most, lambda: True, *more)

    return fill


def _one_rejection_ends_the_fill(original: Callable[..., Any]) -> Callable[..., Any]:
    """Trouble of one video ends the fill."""

    def reject(self: Scheduler, job: Job, reason: str) -> None:
        original(self, job, reason)
        raise NoFreeSlot(reason)

    return reject


def _one_more(original: Callable[..., Any]) -> Callable[..., Any]:
    """One job more than the operator's cap."""

    def take_slot(self: Jobs, job: Job, most: int) -> bool:
        return bool(original(self, job, most + 1))

    return take_slot


def _paused_or_not(original: Callable[..., Any]) -> Callable[..., Any]:
    """A fill that does not know the switch."""

    def fill(self: Scheduler, most: int | None, enough_time: Any, known: Mapping[str, Any], *more: Any) -> Any:
        return original(self, most, enough_time, {k: v for k, v in known.items() if k != "paused"}, *more)

    return fill


def _running_only(original: Callable[..., Any]) -> Callable[..., Any]:
    """Collectors that died are not followed."""

    def poll(self: polling.Poller, state: Any, *more: Any) -> Any:
        return None if state == "COLLECTING" else original(self, state, *more)

    return poll


def _forgotten_is_failed(
    self: collecting.Collector, job: Job, reason: str, seconds: float, *, billed: bool = False
) -> None:
    """No other attempt."""
    self._end_failed(job, reason, billed=billed)


def _seen_by_its_name(self: videos.Videos, job: Job) -> None:
    """Start what lies under the key now."""


def _no_such_page(original: Callable[..., Any]) -> Callable[..., Any]:
    """An expired page token is a job that Rekognition has forgotten."""

    def error(error: Exception) -> None:
        try:
            original(error)
        except PageTokenExpired as expired:
            raise JobForgotten(str(expired)) from error

    return error


def _without_settings(original: Callable[..., Any]) -> Callable[..., Any]:
    """Whatever an uploader asks for is allowed."""

    def for_words(self: choosing.Rules, where: str, text: str) -> Any:
        return original(replace(self, allowed=tuple(analyses.CATALOGUE)), where, text)

    return for_words


BUGS = (
    # claims, attempts, tokens
    Bug("claim without its condition", Jobs, "claim", _without_condition(Jobs.claim), (ONE_START, STAYS, ENDS)),
    Bug("release drops the job", Jobs, "release", _out_of_line, (ENDS, CONSERVING)),
    Bug("a random token", Job, "token", property(_token_of_the_moment), (ONE_START,)),
    Bug("a token without the attempt", Job, "token", property(_no_token_for_another_attempt), (ENDS, ONE_START)),
    Bug("started is written unconditionally", Jobs, "started", _without_condition(Jobs.started), (STAYS, ONE_START)),
    Bug("reject without its condition", Jobs, "reject", _without_condition(Jobs.reject), (STAYS, JUST, ONE_START)),
    Bug("stale claims stay", Jobs, "release_stale", _nothing, (ENDS, CONSERVING)),
    Bug("the version is not pinned", Jobs, "_uploaded_again", _another_version(Jobs._uploaded_again), (ONE_START,)),
    Bug("uploads in any order", Jobs, "_uploaded_again", _older_uploads_too(Jobs._uploaded_again), (NEWEST, STAYS)),
    # what may be started
    Bug("the empty are not turned away", videos, "wrong_size", lambda size: None, (NO_WORK, JUST)),
    Bug("videos are not looked at", videos.Videos, "check", _seen_by_its_name, (NO_WORK, JUST)),
    Bug("the settings are not asked", Scheduler, "_check_settings", _nothing, (NO_WORK,)),
    Bug(
        "uploaders may ask for anything",
        choosing.Rules,
        "for_words",
        _without_settings(choosing.Rules.for_words),
        (NO_WORK, JUST, ENDS),
    ),
    Bug("paused is overlooked", Scheduler, "_fill", _paused_or_not(Scheduler._fill), (NO_WORK,)),
    Bug("one more than the cap", Jobs, "take_slot", _one_more(Jobs.take_slot), (QUOTA,)),
    # whose fault it is
    Bug("Rekognition's refusals reject", rekognition_module, "_raise_start_error", _faults_reject, (JUST,)),
    Bug("S3's refusals reject", videos, "_raise", _refused_is_rejected, (JUST,)),
    Bug("one object's trouble is the service's", videos, "_raise", _objects_are_trouble, (JUST, ENDS, CONSERVING)),
    Bug("suspects stay rejected", Jobs, "requeue_suspect", lambda self, job_id: False, (JUST,)),
    Bug("what is blocked is never probed", Scheduler, "_probe", _nothing, (ENDS, CONSERVING)),
    Bug("a success opens nothing", faults.Faults, "clear", _nothing, (ENDS, JUST, CONSERVING)),
    Bug("a placeholder becomes nothing", enqueue.Enqueuer, "choose_again", _nothing, (ENDS,)),
    # filling
    Bug("a tick starts one job", Scheduler, "_fill", _one_start_a_tick(Scheduler._fill), (CONSERVING,)),
    Bug("a free slot starts none", Scheduler, "fill_after_completion", _nothing, (CONSERVING,)),
    Bug(
        "one video's trouble ends the fill",
        Scheduler,
        "_reject",
        _one_rejection_ends_the_fill(Scheduler._reject),
        (CONSERVING,),
    ),
    Bug("the deadline is ignored", Scheduler, "_fill", _all_the_time_there_is(Scheduler._fill), (QUIET,)),
    Bug("overdue jobs are not polled", polling.Poller, "poll_silent_jobs", _nothing, (ENDS,)),
    Bug("dead collectors are not followed", polling.Poller, "_poll", _running_only(polling.Poller._poll), (ENDS,)),
    Bug("messages that were not sent", queue.Queue, "send", _whichever_were_sent, (NEWEST, ENDS)),
    # collecting
    Bug("every notification is believed", collecting.Collector, "_which", _whatever_is_told, (STAYS, ONE_START)),
    Bug(
        "a rejected job's work is dropped",
        collecting.Collector,
        "_which",
        _nothing_of_the_rejected(collecting.Collector._which),
        (JUST,),
    ),
    Bug(
        "a lease that is not asked for",
        Jobs,
        "begin_collecting",
        _without_condition(Jobs.begin_collecting),
        (LEASE, STAYS, ONE_START),
    ),
    Bug("published without the lease", collecting.Collector, "_hold", _nothing, (LEASE,)),
    Bug("the first three pages only", rekognition_module.Rekognition, "pages", _pages_without_the_last, (COMPLETE,)),
    Bug("a checkpoint without the compressor's rest", streams.GzipStream, "state", _state_without_flush, (COMPLETE,)),
    Bug(
        "going on begins at page one again",
        results.Results,
        "resume",
        _resume_at_page_one(results.Results.resume),
        (COMPLETE,),
    ),
    Bug(
        "409 is an error", streams.ObjectStream, "finish", _conflict_is_an_error(streams.ObjectStream.finish), (QUIET,)
    ),
    Bug(
        "an expired page is a forgotten job",
        rekognition_module,
        "_raise_get_error",
        _no_such_page(rekognition_module._raise_get_error),
        (ONE_START, QUIET),
    ),
    Bug("publish without looking who is there", results, "_newer", lambda holder, job: False, (NEWEST,)),
    Bug(
        "a KeyError where superseded",
        results.ResultWriter,
        "_tell_about_the_job",
        _key_error_where_superseded(results.ResultWriter._tell_about_the_job),
        (QUIET, ENDS),
    ),
    Bug(
        "a KeyError after a checkpoint",
        results.ResultWriter,
        "publish",
        _key_error_after_trouble(results.ResultWriter.publish),
        (QUIET, ENDS),
    ),
    Bug("failed at the first attempt", collecting.Collector, "_another_attempt", _forgotten_is_failed, (JUST, STAYS)),
    Bug("every failure passes", collecting, "PASSING", ("",), (ONE_START,)),
    # telling
    Bug("entries of PutEvents", outcome.EventBus, "_put", _whatever_became_of_the_entries, (TOLD,)),
    Bug("told after it is written", collecting.Collector, "_succeeded", _succeeded_and_then_told, (TOLD,)),
)


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The bug is in the code."""
    with patch.object(bug.target, bug.attribute, bug.replacement):
        if bug.attribute == "wrong_size":  # imported by name
            with patch.object(enqueue, "wrong_size", bug.replacement):
                yield
        else:
            yield


def hunt(bug: Bug, histories: int = MOST) -> tuple[str | None, int]:
    """The promise that the bug breaks first, and in which history; None if it gets through."""
    count = 0

    class Counted(Histories):
        def __init__(self) -> None:
            nonlocal count
            count += 1
            super().__init__()

    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    try:
        with planted(bug):
            run_state_machine_as_test(seed(0)(Counted), settings=profile(histories, shrink=False))
    except Broken as broken:
        return broken.promise, count
    return None, count


def _hunt(number: int) -> tuple[int, str | None, int]:
    return number, *hunt(BUGS[number])


def main() -> int:
    """Plant each, on every core."""
    found: dict[str, dict[str, Any]] = {}
    path = report.RESULTS / "planted.json"
    # Spawned: what is forked beside the bar's thread may inherit a lock that it holds.
    with multiprocessing.get_context("spawn").Pool() as pool, report.progress() as bar:
        task = bar.add_task("bugs", total=len(BUGS))
        for number, promise, count in pool.imap_unordered(_hunt, range(len(BUGS))):
            found[BUGS[number].name] = {"promise": promise, "histories": count}
            known = {bug.name: found[bug.name] for bug in BUGS if bug.name in found}
            path.write_text(json.dumps(known, indent=1) + "\n")  # as it goes: the rest takes minutes
            bar.update(task, description=BUGS[number].name)
            bar.advance(task)
    rows = [(bug.name, found[bug.name]["histories"], found[bug.name]["promise"]) for bug in BUGS]
    report.show(
        "Planted bugs",
        ["bug", "after histories", "promise that broke"],
        [(name, count, promise or "NOT CAUGHT") for name, count, promise in rows],
    )
    caught = sum(promise in bug.breaks for bug, (_, _, promise) in zip(BUGS, rows, strict=True))
    print(f"{caught} of {len(BUGS)} caught")
    return 0 if caught == len(BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
