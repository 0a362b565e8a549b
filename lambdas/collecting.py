"""Collecting: a finished job's results, complete, in constant memory, and resumable at any point."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from lambdas.clock import Clock
from lambdas.errors import JobForgotten, PageTokenExpired, ServiceTrouble
from lambdas.events import Finished, ask_again
from lambdas.jobs import FINAL, Job, Jobs
from lambdas.outcome import Bus
from lambdas.results import Results, Writing
from lambdas.streams import UploadGone
from lambdas.telemetry import Count, count, logger

if TYPE_CHECKING:
    from lambdas.rekognition import Page, Rekognition

# A lease is short, so that a collector that dies is followed soon, and renewed while there are pages.
LEASE = 90.0  # seconds
CHECKPOINT_EVERY = 30.0  # seconds: what a crash costs is at most that much reading (which is free)
HAND_OVER = 30_000  # ms left at which the next invocation goes on; a page and two writes take a second or two

ASK_SOON = 60.0  # seconds after trouble until the job is asked after

MOST_ATTEMPTS = 3  # each is a Start of its own; Rekognition bills those that succeed
RETRY_DELAY = 60.0  # seconds before another attempt, doubled each time

# StatusMessages that say something of the service's bad day and not of the video. Anything else is final: trying a
# broken video again breaks it again.
PASSING = ("internal", "service unavailable", "try again", "timed out", "timeout", "throttl", "temporar")


class Messages(Protocol):
    """Where the next invocation finds what is left to do."""

    def send(self, bodies: Iterable[str]) -> None:
        """Send each of `bodies`."""


class Collector:
    """Brings a finished job's results home."""

    def __init__(
        self,
        jobs: Jobs,
        rekognition: "Rekognition",
        results: Results,
        finished_queue: Messages,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._rekognition = rekognition
        self._results = results
        self._finished_queue = finished_queue
        self._bus = bus
        self._clock = clock

    def collect(self, finished: Finished, owner: str, milliseconds_left: Callable[[], int]) -> None:
        """Look at the job that `finished` names and do what its state asks for. Any number of times is once.

        Args:
            finished: the message.
            owner: who is asking, for the lease: unique to this invocation.
            milliseconds_left: how long this invocation may still run.
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
                except ServiceTrouble as error:
                    # Not the message's fault, so it must not wander towards the dead-letter queue: ask again soon.
                    logger.warning("trouble reading results; will ask again", extra={"error": str(error)})
                    self._jobs.trouble(job.job_id, str(error), poll_at=self._clock.now() + ASK_SOON)
                except Exception as error:
                    self._jobs.trouble(job.job_id, f"collecting: {type(error).__name__}: {error}")
                    if finished.rekognition_job_id:
                        raise
                    # Our own question, which is asked again: in the dead-letter queue it would only pile up.
                    logger.exception("could not collect")

    def _collect(self, job: Job, finished: Finished, owner: str, milliseconds_left: Callable[[], int]) -> None:
        rekognition_job_id = self._which(job, finished)
        if rekognition_job_id is None:
            logger.info("nothing to do", extra={"state": job.state, "why": finished.why})
            return
        try:
            page = self._rekognition.page(job, rekognition_job_id)
        except JobForgotten as error:
            if job.rekognition_job_id:  # and not merely a message's word for it
                self._another_attempt(job, str(error), 0)
            return
        job = replace(job, rekognition_job_id=rekognition_job_id)
        if page.status == "IN_PROGRESS":
            logger.info("still in progress", extra={"why": finished.why})
        elif page.status == "SUCCEEDED":
            self._bring_home(job, rekognition_job_id, page, owner, milliseconds_left)
        else:
            self._failed(job, str(page.rest.get("StatusMessage") or "Rekognition gave no reason"))

    def _which(self, job: Job, finished: Finished) -> str | None:
        """Rekognition's id of the job to look at; None if there is nothing to look at."""
        told, known = finished.rekognition_job_id, job.rekognition_job_id
        if told and (told in job.past_rekognition_job_ids or (known and known != told)):
            return None  # the end of an earlier attempt
        if job.state == "SUCCEEDED" and not told:
            return known if self._results.somebody_elses(job, self._jobs.get) else None
        if job.state in FINAL:
            return None
        return known or told

    def _bring_home(
        self, job: Job, rekognition_job_id: str, first: "Page", owner: str, milliseconds_left: Callable[[], int]
    ) -> None:
        mine = self._jobs.begin_collecting(job, rekognition_job_id, owner, self._clock.now() + LEASE)
        if mine is None:
            logger.info("somebody else is collecting")
            return
        writing = self._results.resume(mine, first)
        while True:
            try:
                if not self._write(mine, rekognition_job_id, first, writing, milliseconds_left):
                    return
                if writing.publish(self._jobs.get):
                    break
                logger.info("superseded while collecting; once more, to its own place")
                superseded = True
            except (PageTokenExpired, UploadGone) as error:
                if milliseconds_left() < HAND_OVER:
                    raise
                logger.warning("from page one again", extra={"error": str(error)})
                superseded = False
            writing.abandon()
            writing = self._results.begin(mine, first, superseded=superseded)
        self._succeeded(mine, writing)

    def _succeeded(self, job: Job, writing: Writing) -> None:
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

    def _write(
        self, job: Job, rekognition_job_id: str, first: "Page", writing: Writing, milliseconds_left: Callable[[], int]
    ) -> bool:
        """Write every page; False if it was handed over (or lost) before the end."""
        if writing.complete:
            return True
        if writing.next_token:
            first = self._rekognition.page(job, rekognition_job_id, writing.next_token)
        written_down = self._clock.now()
        for page in self._rekognition.pages(job, rekognition_job_id, first):
            writing.add(page)
            if writing.complete:
                return True
            if milliseconds_left() < HAND_OVER:
                if self._jobs.checkpoint(job, writing.checkpoint(), until=None):
                    self._finished_queue.send([ask_again(job.job_id, "handed over")])
                    logger.info("handed over", extra={"detections": writing.detections})
                return False
            if self._clock.now() - written_down > CHECKPOINT_EVERY:
                written_down = self._clock.now()
                if not self._jobs.checkpoint(job, writing.checkpoint(), until=written_down + LEASE):
                    logger.warning("the lease was lost; somebody else goes on")
                    return False
        return True

    def _failed(self, job: Job, reason: str) -> None:
        count(Count.ATTEMPTS_FAILED)
        if any(word in reason.lower() for word in PASSING):
            self._another_attempt(job, reason, RETRY_DELAY * 2 ** (job.attempt - 1))
        else:
            self._end_failed(job, reason)

    def _another_attempt(self, job: Job, reason: str, seconds: float) -> None:
        if job.attempt >= MOST_ATTEMPTS and job.state != "SUCCEEDED":
            self._end_failed(job, reason)
        elif self._jobs.try_again(job, reason, seconds):
            logger.warning("another attempt", extra={"reason": reason, "attempt": job.attempt + 1})

    def _end_failed(self, job: Job, reason: str) -> None:
        self._bus.announce(job, "FAILED", reason=reason)
        if self._jobs.fail(job, reason):
            logger.warning("failed", extra={"reason": reason})
            count(Count.JOBS_FAILED)
