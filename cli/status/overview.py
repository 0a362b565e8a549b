"""Every video's jobs: state, since when, why, place in line, and when they may be done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, islice, pairwise
from statistics import mean, median
from typing import Any, get_args

from cli.core.stack import Stack
from cli.results.result_lookup import newest_upload
from cli.status.blocked import Block, blocks
from lambdas.model import prices
from lambdas.model.analyses import CATALOGUE
from lambdas.model.blocking import CONVERSION
from lambdas.model.budget import BUDGET
from lambdas.model.job import FINAL, Job, State
from lambdas.model.shares import LIVE, Shares

IN_LINE = ("RUNNING", "WAITING")
EXACT = 1000  # jobs whose places in line are computed one by one
RECENT = 3600.0  # seconds; older completions do not count for the pace
FEWEST = 5  # completions needed to estimate a pace
IDLE = 10.0  # times the usual gap between two completions; in a longer gap no job was waiting
QUIET = 300.0  # seconds without a completion after which the pace is unknown
STUCK_CLAIM = 300.0  # seconds; the tick releases a stale claim after 120
STUCK_COLLECTING = 600.0  # seconds after a lease has expired; another collector takes over within two minutes
STUCK_DUE = 900.0  # seconds that a job is due while the service hasn't said "no slot"
ASKED_OFTEN = 6  # polls of a running job; by then it has run for most of an hour


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job and its outlook.

    Attributes:
        position: in the backlog: 1 for the job that starts next; None if the job doesn't wait.
        expected: seconds since 1970 when it may be done, estimated from recent completions; None if unknown.
        stuck: why it looks stuck; empty if it doesn't.
        blocked: whether it waits in a scope that the scheduler does not start.
        replaced: whether the video was replaced: the job is not of the key's newest upload.
    """

    job: Job
    position: int | None
    expected: float | None
    stuck: str
    replaced: bool = False
    blocked: bool = False

    @property
    def minutes(self) -> float | None:
        """Length of the video; None if unknown."""
        return minutes_of(self.job)

    @property
    def usd(self) -> float | None:
        """List price of the analysis, and of the conversion if one was begun for this job; None if unknown, zero if the
        job has failed or was rejected."""
        if self.job.state in ("FAILED", "REJECTED"):
            return 0.0
        minutes = self.minutes
        if minutes is None or self.job.analysis not in CATALOGUE:
            return None
        converting = prices.conversion(minutes) if self.job.pays_conversion else 0.0
        return minutes * prices.per_minute({self.job.analysis: self.job.parameters})[self.job.analysis] + converting

    @property
    def as_json(self) -> dict[str, Any]:
        """For ``--json``. The names are those of the table, documented in docs/results.md."""
        job = self.job
        return {
            "video": job.key,
            "analysis": job.analysis,
            "parameters": dict(job.parameters),
            "priority": job.priority,
            "share": job.share,
            "state": job.state,
            "state_since": job.state_since,
            "reason": job.reason,
            "place_in_line": self.position,
            "expected_at": datetime.fromtimestamp(self.expected).astimezone().isoformat() if self.expected else None,
            "stuck": self.stuck or None,
            "replaced": self.replaced,
            "blocked": self.blocked,
            "attempt": job.attempt,
            "detections": job.detections,
            "result_key": job.result_key,
            "rows_key": job.rows_key,
            "source_key": job.source_key,
            "conversion_id": job.conversion_id,
            "size": job.size,
            "header": job.header.as_item if job.header and job.header.container else None,
            "minutes": self.minutes,
            "usd": self.usd,
            "uploaded_at": job.uploaded_at,
            "job_id": job.job_id,
            "rekognition_job_id": job.rekognition_job_id,
        }


@dataclass(frozen=True, slots=True)
class Overview:
    """All jobs, and the scheduler's item, at one moment."""

    statuses: Sequence[JobStatus]
    scheduler: Mapping[str, Any]
    now: float
    blocks: Sequence[Block] = ()  # what the scheduler doesn't start, and why

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state that has any, in order of a job's life."""
        states = [status.job.state for status in self.statuses]
        return {state: states.count(state) for state in get_args(State) if state in states}

    @property
    def over(self) -> bool:
        """Whether every job has ended."""
        return all(status.job.state in FINAL for status in self.statuses)

    def of(self, key: str) -> "Overview":
        """Only one video's jobs."""
        return self._with(status for status in self.statuses if status.job.key == key)

    def in_states(self, states: Iterable[str]) -> "Overview":
        """Only jobs in these states."""
        wanted = set(states)
        return self._with(status for status in self.statuses if status.job.state in wanted)

    def stuck(self) -> "Overview":
        """Only jobs that look stuck."""
        return self._with(status for status in self.statuses if status.stuck)

    def _with(self, statuses: Iterable[JobStatus]) -> "Overview":
        return Overview(list(statuses), self.scheduler, self.now, self.blocks)


def overview(stack: Stack, now: float) -> Overview:
    """All jobs, newest upload first."""
    return arrange(list(stack.table.everything()), stack.table.scheduler(), now, stack.rules.weights)


def arrange(
    jobs: Sequence[Job], scheduler: Mapping[str, Any], now: float, weights: Mapping[str, float] | None = None
) -> Overview:
    """The jobs with their positions and expected ends.

    Args:
        weights: of shares, where they are not 1.
    """
    running = sorted((job for job in jobs if job.state == "RUNNING"), key=lambda job: job.state_since)
    lengths = lengths_of(jobs)
    waiting = in_line(jobs, lengths, Shares.from_item(scheduler), now, weights or {})
    pace = None if scheduler.get("paused") else seconds_per_minute(jobs, now)
    positions = {job.job_id: number for number, job in enumerate(waiting, 1)}
    # Jobs end roughly in the order of their starts, so a job is done when all the minutes of video up to its own are,
    # at the recent pace.
    blocked = blocks(scheduler)
    held = {job.job_id for job in waiting if any(block.meets(job.analysis) for block in blocked)}
    if any(block.scope in (CONVERSION, BUDGET) for block in blocked):
        held |= {job.job_id for job in jobs if job.state == "CONVERTING" and not job.conversion_id}
    ahead = [job.job_id for job in [*running, *waiting] if job.job_id not in held]
    turns = dict(zip(ahead, accumulate(lengths[job_id] for job_id in ahead), strict=True))
    videos: dict[str, list[Job]] = {}
    for job in jobs:
        videos.setdefault(job.key, []).append(job)
    current = {job.job_id for of_key in videos.values() for job in newest_upload(of_key)}
    statuses = [
        JobStatus(
            job,
            positions.get(job.job_id),
            now + turns[job.job_id] * pace if pace is not None and job.job_id in turns else None,
            "" if job.job_id in held else why_stuck(job, scheduler, now),
            replaced=job.job_id not in current,
            blocked=job.job_id in held,
        )
        for job in sorted(jobs, key=lambda job: (job.registered_at, job.analysis), reverse=True)
    ]
    return Overview(statuses, scheduler, now, blocked)


def in_line(
    jobs: Iterable[Job], lengths: Mapping[str, float], shares: Shares, now: float, weights: Mapping[str, float]
) -> list[Job]:
    """The waiting jobs in the order in which they will start: exact for the first thousand, about so behind."""
    waiting = sorted((job for job in jobs if job.state == "WAITING"), key=lambda job: job.position)
    if len({job.line for job in waiting}) < 2:
        return waiting
    lines: dict[str, list[tuple[str, float]]] = {}
    for job in waiting:
        lines.setdefault(job.line, []).append((job.job_id, lengths[job.job_id]))
    first = list(islice(shares.forecast(lines, now, weights), EXACT))
    places = {job_id: number for number, job_id in enumerate(first)}
    return sorted(waiting, key=lambda job: (places.get(job.job_id, EXACT), job.priority != LIVE, job.position))


def minutes_of(job: Job) -> float | None:
    """The length of a job's video in minutes, as Rekognition says it, or else its header; None if unknown."""
    if millis := job.video_metadata.get("DurationMillis"):
        return float(millis) / 60_000
    return job.header.minutes if job.header and job.header.seconds else None


def lengths_of(jobs: Sequence[Job]) -> dict[str, float]:
    """The minutes of each job's video; the mean where that is unknown, and 1 where all are."""
    known = {job.job_id: minutes for job in jobs if (minutes := minutes_of(job)) is not None}
    usual = mean(known.values()) if known else 1.0
    return {job.job_id: known.get(job.job_id, usual) for job in jobs}


def seconds_per_minute(jobs: Sequence[Job], now: float) -> float | None:
    """The pace: recent seconds for a minute of video, in all slots together; None if too few jobs were completed, or
    none for a while."""
    lengths = lengths_of(jobs)
    ends = sorted(
        (at, lengths[job.job_id])
        for job in jobs
        if job.state in ("SUCCEEDED", "FAILED") and now - (at := when(job.state_since)) < RECENT
    )
    if len(ends) < FEWEST:
        return None
    gaps = [(later - sooner, minutes) for (sooner, _), (later, minutes) in pairwise(ends)]
    longest = max(IDLE * median(gap for gap, _ in gaps), 1.0)
    if now - ends[-1][0] > max(longest, QUIET):
        return None
    # In a much longer gap no job was waiting, so it does not count for the pace.
    busy = [(gap, minutes) for gap, minutes in gaps if gap <= longest]
    return sum(gap for gap, _ in busy) / sum(minutes for _, minutes in busy)


def why_stuck(job: Job, scheduler: Mapping[str, Any], now: float) -> str:
    """Why a job looks stuck, in words; empty if it doesn't."""
    since = now - when(job.state_since)
    if job.state == "RUNNING":
        if job.rekognition_job_id is None and since > STUCK_CLAIM:
            return "claimed, but neither started nor released: does the tick run?"
        if job.polls >= ASKED_OFTEN:
            return f"no completion; Rekognition was polled {job.polls} times"
    elif job.state == "COLLECTING":
        lease = when(job.lease_until) if job.lease_until else when(job.state_since)
        if now - lease > STUCK_COLLECTING:
            return "its collector stopped, and no other has taken over: is there a dead letter?"
    elif job.state == "CONVERTING":
        if job.start_errors:
            return f"{job.start_errors} conversions failed: {job.reason}"
        if job.conversion_id is None and since > STUCK_DUE and not scheduler.get("paused"):
            return f"its conversion has not begun: {job.reason or 'does the tick run?'}"
    elif job.state == "WAITING" and not scheduler.get("paused"):
        if job.start_errors:
            return f"{job.start_errors} starts failed: {job.reason}"
        due = now - when(job.position.partition("#")[0])
        if due > STUCK_DUE and "refused_at" not in scheduler:
            return "due but not started, though Rekognition has not refused a start: does the tick run?"
    return ""


def when(text: str) -> float:
    """Seconds since 1970 of an ISO time."""
    return datetime.fromisoformat(text).timestamp()
