"""Finds lost notifications and dead collectors by polling, and releases the claims of dead starters."""

from collections.abc import Callable
from itertools import batched, takewhile
from typing import TYPE_CHECKING

from lambdas.aws.telemetry import Count, count, logger
from lambdas.model.clock import iso
from lambdas.model.events import ask_again

if TYPE_CHECKING:
    from lambdas.aws.job_table import Jobs
    from lambdas.logic.enqueue import Messages
    from lambdas.model.clock import Clock
    from lambdas.model.job import State

FIRST_POLL = 120.0  # seconds from a start to the first poll, if no notification has come
LONGEST_POLL = 600.0  # longest interval between two polls in seconds; it doubles until then
MESSAGES_A_CALL = 10  # SQS's limit per call


class Poller:
    """Polls overdue jobs."""

    def __init__(self, jobs: "Jobs", finished_queue: "Messages", clock: "Clock") -> None:
        self._jobs = jobs
        self._finished_queue = finished_queue
        self._clock = clock
        self._released = 0

    def poll_silent_jobs(self, enough_time: Callable[[], bool]) -> int:
        """Send messages to poll jobs whose notification is overdue or whose collector died, and release stale claims.
        Only due jobs are read, and each batch is sent at once, so a tick that ends early has handled all that it has
        read.

        Returns:
            how many claims were released.
        """
        self._released = 0
        states: tuple[State, State] = ("RUNNING", "COLLECTING")
        now = self._clock.now()
        for state in states:
            due = takewhile(lambda _: enough_time(), self._jobs.due(state, now))
            polls = filter(None, (self._poll(state, now, job_id) for job_id, _ in due))
            for some in batched(polls, MESSAGES_A_CALL):
                self._finished_queue.send(some)
                count(Count.JOBS_POLLED, len(some))
        return self._released

    def _poll(self, state: "State", now: float, job_id: str) -> str | None:
        """The message to poll a job; None if there is nothing to poll."""
        job = self._jobs.get(job_id)
        if job is None or job.state != state or job.due_at > iso(now):
            return None
        if job.rekognition_job_id is None:
            with logger.append_context_keys(**job.log_keys):
                logger.warning("claimed and never started; released")
            # The job's token makes starting it again safe: had Rekognition accepted it, it answers with the same id.
            self._jobs.release_stale(job)
            self._released += 1
            return None
        wait = min(FIRST_POLL * 2 ** min(job.polls + 1, 10), LONGEST_POLL)
        return ask_again(job_id, "overdue") if self._jobs.note_poll(job, next_poll_at=now + wait) else None
