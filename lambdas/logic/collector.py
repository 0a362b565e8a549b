"""Collects a finished job's results: completely, in constant memory, and resumable at any point."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from lambdas.aws.event_bus import EventBus
from lambdas.aws.job_table import Jobs
from lambdas.aws.multipart import UploadGone
from lambdas.aws.telemetry import Count, count, logger
from lambdas.logic.results import Results, ResultWriter
from lambdas.model.clock import Clock
from lambdas.model.conversion import UNSUPPORTED
from lambdas.model.errors import (
    CollectionDenied,
    EventRefused,
    JobForgotten,
    PageTokenExpired,
    ServiceTrouble,
    SlowDown,
)
from lambdas.model.events import Finished, ask_again
from lambdas.model.job import FINAL, Job

if TYPE_CHECKING:
    from lambdas.aws.rekognition import Rekognition
    from lambdas.model.page import Page

# A lease is short, so that another collector soon takes over from a dead one; it is renewed while there are pages.
LEASE = 90.0  # seconds
CHECKPOINT_EVERY = 30.0  # seconds; a crash costs at most that much reading, which is free
HAND_OVER = 30_000  # ms left at which the next invocation takes over; a page and two writes take a second or two

# Gets are limited to 5 or 20 a second for the whole account. A throttled collector retries, in pauses that
# double; the others' pages come in between, so it is served long before it gives up and another invocation goes on.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds, give or take a half
THROTTLED_TOO_LONG = 30.0  # seconds without a page

# Seconds after trouble until the job is polled, doubled with each poll; at most an hour where an operator has to act.
POLL_SOON, POLL_OFTEN, POLL_RARELY = 60.0, 600.0, 3600.0

DAY = 86_400.0  # seconds
RESULTS_LIVE = 7 * DAY  # that Rekognition keeps results after the job's end (Developer Guide, "Calling ... operations")
LONGEST_RUN = 14 * DAY  # that a job may be IN_PROGRESS; videos have up to 6 hours, so it is stuck

MOST_ATTEMPTS = 3  # each is a Start of its own; Rekognition bills those that succeed
RETRY_DELAY = 60.0  # seconds before another attempt, doubled each time

# Parts of StatusMessages about the service and not about the video. All others are final: a broken video fails again.
PASSING = ("internal", "service unavailable", "try again", "timed out", "timeout", "throttl", "temporar")


# These pass, or an operator fixes the cause.
PASSING_TROUBLE = (CollectionDenied, EventRefused, ServiceTrouble, SlowDown)


class LeaseLost(Exception):
    """Another invocation has taken over the job."""


class Messages(Protocol):
    """The queue of messages to the collecting function."""

    def send(self, bodies: Iterable[str]) -> None:
        """Send each of `bodies`."""


class Collector:
    """Collects finished jobs.

    Args:
        converts: whether videos in a format that Rekognition can't read are converted.
    """

    def __init__(
        self,
        jobs: Jobs,
        rekognition: "Rekognition",
        results: Results,
        finished_queue: Messages,
        bus: EventBus,
        clock: Clock,
        *,
        converts: bool = False,
    ) -> None:
        self._converts = converts
        self._jobs = jobs
        self._rekognition = rekognition
        self._results = results
        self._finished_queue = finished_queue
        self._bus = bus
        self._clock = clock

    def collect(self, finished: Finished, owner: str, milliseconds_left: Callable[[], int]) -> None:
        """Collect, poll or end the job that `finished` names, depending on its state. Idempotent.

        Args:
            finished: the message.
            owner: the id of this invocation, for the lease.
            milliseconds_left: gives the time that this invocation has left.
        """
        with logger.append_context_keys(job_id=finished.job_id):
            job = self._jobs.get(finished.job_id)
            if job is None:
                logger.warning("ignored: no such job in the table", extra={"why": finished.why})
                count(Count.NOTIFICATIONS_IGNORED)
                return
            with logger.append_context_keys(**job.log_keys):
                try:
                    self._collect(job, finished, owner, milliseconds_left)
                except PASSING_TROUBLE as error:
                    self._poll_later(job, finished, owner, error)
                except Exception as error:
                    self._note(job, f"collecting: {type(error).__name__}: {error}")
                    if finished.rekognition_job_id or job.state in FINAL:
                        raise
                    # Our own message: the job will be polled again, so a dead letter would be of no use.
                    logger.exception("could not collect")

    def _collect(self, job: Job, finished: Finished, owner: str, milliseconds_left: Callable[[], int]) -> None:
        rekognition_job_id = self._which(job, finished)
        if rekognition_job_id is None:
            logger.info("nothing to do", extra={"state": job.state, "why": finished.why})
            return
        try:
            page = self._patiently(partial(self._rekognition.page, job, rekognition_job_id), milliseconds_left)
        except JobForgotten as error:
            if job.rekognition_job_id:  # confirmed by Rekognition, not only by a message
                self._another_attempt(job, str(error), 0, billed=True)
            return
        job = replace(job, rekognition_job_id=rekognition_job_id)
        if page.status == "IN_PROGRESS":
            self._in_progress(job, finished)
        elif page.status == "SUCCEEDED":
            self._write_results(job, rekognition_job_id, page, owner, milliseconds_left)
        elif job.state != "REJECTED":
            self._failed(job, str(page.rest.get("StatusMessage") or "Rekognition gave no reason"))

    def _which(self, job: Job, finished: Finished) -> str | None:
        """Rekognition's id of the job to read; None if there is none."""
        told, known = finished.rekognition_job_id, job.rekognition_job_id
        if told and (told in job.past_rekognition_job_ids or (known and known != told)):
            return None  # a notification of an earlier attempt
        if job.state == "SUCCEEDED" and not told:
            return known if self._results.is_missing_or_stale(job, self._jobs.get) else None
        if job.state == "REJECTED":
            # Rekognition accepted a Start whose answer was lost, and then the video was deleted: its analysis is paid.
            return told
        if job.state in FINAL:
            return None
        return known or told

    def _in_progress(self, job: Job, finished: Finished) -> None:
        if job.state == "REJECTED":
            raise ServiceTrouble("Rekognition announced the job's end, and says that it is in progress")
        if self._seconds_in_state(job) > LONGEST_RUN:
            self._end_failed(job, f"still IN_PROGRESS at Rekognition {LONGEST_RUN / DAY:.0f} days after its start")
            return
        logger.info("still in progress", extra={"why": finished.why})

    def _patiently(self, read: "Callable[[], Page]", milliseconds_left: Callable[[], int]) -> "Page":
        """Call `read` until it is not throttled.

        Raises:
            SlowDown: it was throttled for too long, or the function's time is nearly over.
        """
        began, pause = self._clock.now(), FIRST_PAUSE
        while True:
            try:
                return read()
            except SlowDown:
                if self._clock.now() - began > THROTTLED_TOO_LONG or milliseconds_left() < HAND_OVER:
                    raise
            self._clock.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  (no secret: it spreads the calls)
            pause = min(2 * pause, LONGEST_PAUSE)

    # reading and writing the results

    def _write_results(
        self, job: Job, rekognition_job_id: str, first: "Page", owner: str, milliseconds_left: Callable[[], int]
    ) -> None:
        mine = self._jobs.begin_collecting(job, rekognition_job_id, owner, self._clock.now() + LEASE)
        if mine is None:
            logger.info("another invocation is collecting")
            return
        writing = self._results.resume(mine, first)
        try:
            while True:
                superseded = False
                try:
                    if not self._write(mine, rekognition_job_id, first, writing, milliseconds_left):
                        return
                    if writing.publish(self._jobs.get, partial(self._hold, mine)):
                        break
                    logger.info("superseded while collecting; once more, to its own place")
                    superseded = True
                except (PageTokenExpired, UploadGone) as error:
                    logger.warning("from page one again", extra={"error": str(error)})
                writing.abandon()
                writing = self._results.begin(mine, first, superseded=superseded)
            self._succeeded(mine, writing)
        except LeaseLost:
            logger.warning("the lease was lost; another invocation goes on")
        except PASSING_TROUBLE as error:
            self._log(error)
            # The results are published and only the event is missing; the next collector reads them again.
            checkpoint = None if writing.complete else writing.checkpoint()
            self._jobs.stop_collecting(mine, checkpoint, self._next_poll(mine, error), str(error))

    def _write(
        self,
        job: Job,
        rekognition_job_id: str,
        first: "Page",
        writing: ResultWriter,
        milliseconds_left: Callable[[], int],
    ) -> bool:
        """Write every page; False if the rest was handed over to another invocation.

        Raises:
            LeaseLost
        """
        patiently = partial(self._patiently, milliseconds_left=milliseconds_left)
        if writing.next_token:
            first = patiently(partial(self._rekognition.page, job, rekognition_job_id, writing.next_token))
        written_down = self._clock.now()
        for page in self._rekognition.pages(job, rekognition_job_id, first, patiently):
            writing.add(page)
            if writing.complete:
                break
            if milliseconds_left() < HAND_OVER:
                if self._jobs.stop_collecting(job, writing.checkpoint(), poll_at=0):
                    self._finished_queue.send([ask_again(job.job_id, "handed over")])
                    logger.info("handed over", extra={"detections": writing.detections})
                return False
            if self._clock.now() - written_down > CHECKPOINT_EVERY:
                written_down = self._clock.now()
                if not self._jobs.checkpoint(job, writing.checkpoint(), until=written_down + LEASE):
                    raise LeaseLost
                self._jobs.note_collected()
        return True

    def _hold(self, job: Job) -> None:
        """Renew the lease: without it, this invocation must not publish."""
        if not self._jobs.renew_lease(job, self._clock.now() + LEASE):
            raise LeaseLost

    def _succeeded(self, job: Job, writing: ResultWriter) -> None:
        outcome = {
            "result_key": writing.result_key,
            "rows_key": writing.rows_key,
            "detections": writing.detections,
            "video_metadata": writing.video_metadata,
        }
        self._bus.announce(job, "SUCCEEDED", **outcome)
        if self._jobs.succeed(job, **outcome):
            writing.tidy()
            logger.info("succeeded", extra={"detections": writing.detections, "result_key": writing.result_key})
            count(Count.JOBS_SUCCEEDED)
            count(Count.DETECTIONS, writing.detections)
            self._jobs.note_collected()

    # don't count service errors toward the dead-letter limit

    def _poll_later(self, job: Job, finished: Finished, owner: str, error: Exception) -> None:
        """Schedule a poll after `error`; end the job if its results have expired."""
        self._log(error)
        # Not after the first error (`reason` is None): asked once more, Rekognition may answer that it has forgotten
        # the job, and then there is another attempt.
        if self._expired(job) and job.reason and not isinstance(error, EventRefused | SlowDown):
            try:
                expired = f"its results expired at Rekognition before they could be read: {error}"
                self._end_failed(job, expired, billed=True)
            except EventRefused as refused:
                error = refused
            else:
                return
        if job.state in ("SUCCEEDED", "REJECTED"):
            # Ended jobs are not polled, and this one still has results to collect.
            told = job.rekognition_job_id or finished.rekognition_job_id or ""
            self._jobs.begin_collecting(job, told, owner, self._clock.now())
        self._note(job, str(error), self._next_poll(job, error))

    def _log(self, error: Exception) -> None:
        if isinstance(error, CollectionDenied):
            count(Count.COLLECTIONS_DENIED)
            logger.error("not allowed to collect; will try again", extra={"error": str(error)})
        else:
            logger.warning("trouble collecting; will try again", extra={"error": str(error)})

    def _note(self, job: Job, reason: str, poll_at: float | None = None) -> None:
        """Note trouble with the job; should that fail too, the trouble itself is the news."""
        try:
            self._jobs.trouble(job.job_id, reason, poll_at)
        except Exception:
            logger.exception("could not note the trouble with a job", extra={"trouble": reason})

    def _next_poll(self, job: Job, error: Exception) -> float:
        """When to poll a job after `error`."""
        if isinstance(error, SlowDown):
            return self._clock.now() + POLL_SOON
        longest = POLL_RARELY if isinstance(error, CollectionDenied | EventRefused) else POLL_OFTEN
        return self._clock.now() + min(POLL_SOON * 2.0 ** min(job.polls, 10), longest)

    def _expired(self, job: Job) -> bool:
        """Whether Rekognition has certainly forgotten the results of a job that is polled."""
        if job.state == "COLLECTING":  # so it had ended at that time
            return self._seconds_in_state(job) > RESULTS_LIVE
        return job.state == "RUNNING" and self._seconds_in_state(job) > RESULTS_LIVE + DAY

    def _seconds_in_state(self, job: Job) -> float:
        return self._clock.now() - datetime.fromisoformat(job.state_since).timestamp()

    # ends

    def _failed(self, job: Job, reason: str) -> None:
        count(Count.ATTEMPTS_FAILED)
        if UNSUPPORTED in reason.lower() and self._is_converted(job, reason):
            return
        if any(word in reason.lower() for word in PASSING):
            self._another_attempt(job, reason, RETRY_DELAY * 2 ** (job.attempt - 1))
        else:
            self._end_failed(job, reason)

    def _is_converted(self, job: Job, reason: str) -> bool:
        """Whether a copy takes the place of a video that Rekognition can't read, or has taken it."""
        if job.state == "CONVERTING" or (job.source_key and job.state == "WAITING"):
            logger.info("converted meanwhile; that was a start of the video itself", extra={"reason": reason})
            return True
        if not self._converts or job.source_key:
            return False
        if self._jobs.convert(job, reason):
            logger.warning("to be converted", extra={"reason": reason})
        return True

    def _another_attempt(self, job: Job, reason: str, seconds: float, *, billed: bool = False) -> None:
        """Start a job again, or end it after MOST_ATTEMPTS. `billed`: Rekognition did it, but forgot the results."""
        # Only attempts that Rekognition accepted; tokens taken by other stacks don't count.
        if len(job.past_rekognition_job_ids) + 1 >= MOST_ATTEMPTS and job.state != "SUCCEEDED":
            self._end_failed(job, reason, billed=billed)
        elif self._jobs.try_again(job, reason, seconds, billed=billed):
            logger.warning("another attempt", extra={"reason": reason, "attempt": job.attempt + 1})

    def _end_failed(self, job: Job, reason: str, *, billed: bool = False) -> None:
        self._bus.announce(job, "FAILED", reason=reason)
        if self._jobs.fail(job, reason, billed=billed):
            logger.warning("failed", extra={"reason": reason})
            count(Count.JOBS_FAILED)
