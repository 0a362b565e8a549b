"""Chooses and claims the next job to start; see shares.py for the order."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from lambdas.aws.job_table import Jobs, Terms
from lambdas.aws.telemetry import logger
from lambdas.model.budget import Limits
from lambdas.model.clock import Clock, iso, seconds_of
from lambdas.model.errors import SharesChanged
from lambdas.model.shares import MARK_LASTS, Shares

if TYPE_CHECKING:
    from lambdas.model.job import Job

OLDEST, NEWEST, BETWEEN = range(3)  # which of the waiting jobs to look at first
MOST_CLAIMS = 100  # tried in a row
MOST_CHOICES = 20  # made anew, as other starts were faster; then those fill the slots


class Dispatcher:
    """The lines of waiting jobs, as this invocation has read them.

    Args:
        limits: the month's budget.
        known: the scheduler's item in the table, as it was read last.
    """

    def __init__(self, jobs: Jobs, clock: Clock, limits: Limits, known: Mapping[str, Any]) -> None:
        self._jobs = jobs
        self._clock = clock
        self._limits = limits
        self._shares = Shares.from_item(known)

    def next(self, turn: int, *, only: str | None = None, but: Iterable[str] = ()) -> "Job | None":
        """Claim the next job of one analysis, or of all `but` some; None if none is due.

        `turn` says where to look: OLDEST is the order of classes and shares; NEWEST and BETWEEN look elsewhere in the
        whole backlog, and so does OLDEST with `only`.

        Raises:
            BudgetReached: the month's budget is used up.
        """
        for _ in range(MOST_CHOICES):
            try:
                if turn == OLDEST and only is None:
                    return self._in_order(but)
                return self._claim(self._anywhere(turn, only=only, but=but))
            except SharesChanged:
                self._shares = self._jobs.shares()
        return None

    def _in_order(self, but: Iterable[str]) -> "Job | None":
        now = self._clock.now()
        for line in self._shares.lines(now, self._jobs.weights):
            if job := self._claim(self._jobs.due_in(line, now, but=but)):
                return job
            if self._shares.stale(line, now):
                self._look_after(line, now)
        return None

    def _look_after(self, line: str, now: float) -> None:
        """Drop a line in which no job waits, or note that one does, so that the index is not asked again and again."""
        if self._jobs.waits_in(line):
            self._shares = self._jobs.note_shares(lambda shares: shares.mark(line, now, self._jobs.weights))
            return

        def drop(shares: Shares) -> Shares:
            return shares.drop(line, now) if shares.stale(line, now) else shares

        self._shares = self._jobs.note_shares(drop)
        logger.info("a line is empty", extra={"line": line, "for_seconds": MARK_LASTS})

    def _anywhere(self, turn: int, *, only: str | None = None, but: Iterable[str] = ()) -> Iterator[str]:
        """Waiting jobs that are due: the oldest first, the newest first, or from somewhere in between."""
        now = self._clock.now()
        due = partial(self._jobs.due, "WAITING", now, only=only, but=but)
        if turn == BETWEEN:
            for _, first in islice(due(), 1):
                for _, last in islice(due(newest_first=True), 1):
                    yield from (job_id for job_id, _ in due(since=_between(first, last, now)))
        yield from (job_id for job_id, _ in due(newest_first=turn == NEWEST))

    def _claim(self, job_ids: Iterable[str]) -> "Job | None":
        """The first that can be claimed; None when there is none. (An index trails the table by a moment, so some may
        have moved on.)"""
        for job_id in islice(job_ids, MOST_CLAIMS):
            if job := self._jobs.claim(job_id, Terms(self._shares, self._limits)):
                if job.charge and job.charge.line is not None:  # the record was written with it
                    minutes, now = float(job.charge.minutes), self._clock.now()
                    self._shares = self._shares.started(job.line, minutes, now, self._jobs.weights).written()
                return job
        return None


def _between(first: str, last: str, now: float) -> str:
    """A position somewhere between two others, and elsewhere each millisecond: also among jobs of the same moment."""
    dice = hashlib.sha256(repr(now).encode()).hexdigest()
    began, ended = (seconds_of(position.partition("#")[0]) for position in (first, last))
    return f"{iso(began + (ended - began) * int(dice[:8], 16) / 16**8)}#{dice[8:16]}"
