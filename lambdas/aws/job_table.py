"""The jobs table: each job, its state (model/job.py), and its position in the backlog. Every change of state is one
conditional write.

An end is left for three reasons only: REJECTED ─▶ WAITING, its content was uploaded again; REJECTED ─▶ COLLECTING,
Rekognition had accepted a Start whose answer was lost, and says that it is done; SUCCEEDED ─▶ COLLECTING or WAITING,
its result had been replaced and is wanted back.

The index ByState sorts the jobs of a state by ``due_at``: WAITING, when the job may be started (its position); RUNNING,
COLLECTING and CONVERTING, when to look at it, should no notification come; ended, when it ended.

The index Backlog has the WAITING jobs only, by their line (see shares.py), in the same order.

A job is charged in the transaction that claims it; see budget.py.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lambdas.aws.dynamodb import Write, versioned
from lambdas.aws.scheduler_record import SchedulerRecord
from lambdas.model import analyses
from lambdas.model.budget import Charge, Limits, charge_of, minutes_of, month_of
from lambdas.model.clock import iso
from lambdas.model.errors import BudgetReached, SharesChanged
from lambdas.model.job import Job, State, position
from lambdas.model.routing import UNKNOWN
from lambdas.model.shares import DEFAULT_LINE, LIVE, ONE_SHARE, Priority, Shares
from lambdas.model.video_header import VideoHeader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from lambdas.model.clock import Clock
    from lambdas.model.events import Upload

CLAIM_IS_STALE = 120.0  # seconds; twice what the starting function may run

BY_STATE = "ByState"
BY_VIDEO = "ByVideo"
BACKLOG = "Backlog"
SLOTS = "#slots"  # which jobs run, where the operator has set a cap; no job


@dataclass(frozen=True, slots=True)
class Terms:
    """What a claim depends on beside the job.

    Attributes:
        shares: the record of lines and shares from which the job was chosen.
        limits: the month's budget.
    """

    shares: Shares = field(default_factory=Shares)
    limits: Limits = field(default_factory=Limits)


class Jobs(SchedulerRecord):
    """The table's every read and write.

    Args:
        weights: of shares, where they are not 1.
    """

    def __init__(
        self, dynamodb: "DynamoDBClient", table: str, clock: "Clock", weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(dynamodb, table, clock)
        self.weights = weights or {}

    # reading

    def get(self, job_id: str) -> Job | None:
        """The job of that id, read consistently; None if the table has none."""
        item = self._get_item(job_id)
        return _job(item) if item else None

    def in_state(self, state: State) -> Iterator[str]:
        """Ids of the jobs in `state`, the first due first.

        Read from an index that trails the table by a moment, so a job's state may have changed: claim the job before
        you use it.
        """
        for item in self._query(BY_STATE, "#state = :state", {":state": state}):
            yield item["job_id"]

    def due(
        self,
        state: State,
        now: float,
        *,
        since: str = "",
        newest_first: bool = False,
        only: str | None = None,
        but: Iterable[str] = (),
    ) -> Iterator[tuple[str, str]]:
        """Ids of the jobs in `state` that are due, each with its ``due_at``; of one analysis, or of all `but` some.

        Read from the same index as ``in_state``, as they are needed.
        """
        unwanted = {f":but{number}": name for number, name in enumerate(sorted(but))}
        wanted = "#analysis = :only" if only else f"NOT #analysis IN ({', '.join(unwanted)})" if unwanted else ""
        found = self._query(
            BY_STATE,
            "#state = :state AND #due_at BETWEEN :since AND :now",
            {":state": state, ":since": since or iso(0), ":now": iso(now) + "~"}
            | ({":only": only} if only else unwanted),
            # DynamoDB reads filtered items too, so pages are large with a filter, and small without: often one item is
            # enough.
            page=None if wanted else 20,
            wanted=wanted,
            newest_first=newest_first,
        )
        return ((item["job_id"], item["due_at"]) for item in found)

    def due_in(self, line: str, now: float, *, but: Iterable[str] = ()) -> Iterator[str]:
        """Ids of the jobs that wait in `line` and are due, the oldest first; not of the analyses `but`."""
        unwanted = {f":but{number}": name for number, name in enumerate(sorted(but))}
        found = self._query(
            BACKLOG,
            "#waiting_in = :line AND #due_at <= :now",
            {":line": line, ":now": iso(now) + "~", **unwanted},
            page=None if unwanted else 20,
            wanted=f"NOT #analysis IN ({', '.join(unwanted)})" if unwanted else "",
        )
        return (item["job_id"] for item in found)

    def waits_in(self, line: str) -> bool:
        """Whether any job waits in `line`, due or not."""
        return next(self._query(BACKLOG, "#waiting_in = :line", {":line": line}, page=1), None) is not None

    def uncollected(self, before: float, most: int) -> int:
        """How many jobs ended at Rekognition before that time and are not collected yet; `most` at the most."""
        found = (
            item
            for state in ("RUNNING", "COLLECTING")
            for item in self._query(
                BY_STATE,
                "#state = :state",
                {":state": state, ":before": iso(before)},
                wanted="#slot_freed_at < :before",
            )
        )
        return sum(1 for _ in islice(found, most))

    def of_video(self, bucket: str, key: str) -> list[Job]:
        """All jobs of all uploads of one key, oldest first (from an index that trails the table by a moment)."""
        items = self._query(BY_VIDEO, "#video = :video", {":video": f"{bucket}/{key}"})
        return [job for item in items if (job := self.get(item["job_id"]))]

    # the backlog

    def register(self, job: Job) -> bool:
        """Add a job; False if it is there already."""
        waits: dict[str, Any] = {}
        if job.state == "WAITING":
            self._mark(job)
            waits = {"waiting_in": job.line}
        return self._put_new(_item(job) | {"video": f"{job.bucket}/{job.key}"} | waits)

    def uploaded_again(self, job_id: str, upload: "Upload") -> Job | None:
        """Note that a known job's content was uploaded again, later; None if a later one is noted already, or the job
        is REJECTED."""
        return self._uploaded_again(job_id, upload, {}, "#state <> :rejected")

    def requeue_rejected(self, job: Job, upload: "Upload") -> Job | None:
        """Let a REJECTED job try again, last in the backlog, as its content was uploaded again: the fault may
        be fixed. None if it isn't REJECTED, or a later upload is noted already.

        One write with the note of the upload: a crash between two writes would leave an upload without a reaction.
        """
        if job.state != "REJECTED":
            return None
        again = {**self._last_in_line(job, self._clock.now()), "reason": None, "start_errors": 0, **_UNSUSPECTED}
        return self._uploaded_again(job.job_id, upload, again, "#state = :rejected")

    def _uploaded_again(self, job_id: str, upload: "Upload", changes: Mapping[str, Any], when: str) -> Job | None:
        noted = {
            "sequencer": upload.sequencer,
            "uploaded_again_at": upload.uploaded_at,
            "newest_version_id": upload.version_id,
        }
        return self._change(
            job_id, {**noted, **changes}, when=f"#sequencer < :sequencer AND {when}", rejected="REJECTED"
        )

    def claim(self, job_id: str, terms: Terms | None = None) -> Job | None:
        """Take a WAITING job to start it, and charge the month and its share; None if another invocation was faster.

        Raises:
            BudgetReached: the month's budget is used up.
            SharesChanged: another start has changed the record of shares: choose again.
        """
        job = self.get(job_id)
        if job is None or job.state != "WAITING":
            return None
        now, terms = self._clock.now(), terms or Terms()
        claimed = self._state("RUNNING", iso(now + CLAIM_IS_STALE))
        # What was read must still hold, as the transaction does not answer with the item.
        unchanged = ("due_at", "sequencer", "attempt")
        seen = {f"seen_{name}": getattr(job, name) for name in unchanged} | {"line": job.line}
        when = " AND ".join(
            ["#state = :waiting AND #waiting_in = :line", *(f"#{name} = :seen_{name}" for name in unchanged)]
        )
        if job.analysis == UNKNOWN:  # a placeholder, which starts nothing
            write = Write(job_id, claimed, when=when, values={"waiting": "WAITING", **seen})
            return replace(job, **_as_fields(claimed)) if self._write_all([write])[0] else None
        minutes = minutes_of(job)
        charge = charge_of(job, minutes, month_of(now))
        started = terms.shares.started(job.line, minutes, now, self.weights)
        shares_too = started != terms.shares
        if shares_too:
            charge = replace(charge, line=job.line, turns=terms.shares.turns)
        claimed["charge"] = charge
        writes = [
            Write(job_id, claimed, when=when, values={"waiting": "WAITING", **seen}),
            self._charging(charge, terms.limits),
            *([self._shares_write(terms.shares, started)] if shares_too else []),
        ]
        is_waiting, in_budget, *in_shares = self._write_all(writes)
        if not is_waiting:
            return None
        if not in_budget:
            raise BudgetReached(charge.month)
        if not all(in_shares):
            raise SharesChanged
        return replace(job, **_as_fields(claimed))

    def release(self, job: Job) -> None:
        """Return a claim, keeping the job's position in the backlog."""
        self._release(job, self._in_line(job, job.position))

    def release_stale(self, job: Job) -> None:
        """Release the stale claim of a function that died; it may have started the job."""
        self._release(job, {**self._in_line(job, job.position), "maybe_started": True})

    def reschedule(self, job: Job, reason: str, seconds: float, *, maybe_started: bool) -> None:
        """Return a claim after trouble: behind the jobs that wait now, due in `seconds`, so it can't block them."""
        later = self._last_in_line(job, self._clock.now() + seconds)
        uncertain = {"maybe_started": True} if maybe_started else {}
        self._release(job, {**later, **uncertain, "reason": reason, "start_errors": job.start_errors + 1})

    def prioritize(self, job: Job, priority: Priority) -> bool:
        """Put a waiting job into a class, in its position there; False if it doesn't wait any more."""
        moved = replace(job, priority=priority)
        self._mark(moved)
        changed = self._change(
            job.job_id,
            {"priority": _unless(priority, LIVE), "waiting_in": moved.line},
            when="#state = :waiting AND #due_at = :due_at",
            waiting="WAITING",
            due_at=job.due_at,
        )
        return changed is not None

    def take_newest_version(self, job: Job) -> Job | None:
        """Let a claimed job of which no Start was ever sent analyse the same content under its newest version."""
        return self._change(
            job.job_id,
            {"version_id": job.newest_version_id},
            when=_CLAIMED,
            running="RUNNING",
            attempt=job.attempt,
        )

    def note_header(self, job: Job, header: VideoHeader) -> None:
        """Record the header of a claimed job that has none."""
        self._change(job.job_id, {"header": header}, when=_CLAIMED, running="RUNNING", attempt=job.attempt)

    def remove(self, job: Job) -> bool:
        """Remove a placeholder whose jobs are registered; False if its state changed, or it was uploaded again
        meanwhile."""
        when = "#state = :running AND #sequencer = :sequencer"
        return self._delete(job.job_id, when, running="RUNNING", sequencer=job.sequencer)

    def _release(self, job: Job, changes: Mapping[str, Any]) -> None:
        self._uncharge(job, changes, when=_CLAIMED, running="RUNNING", attempt=job.attempt)

    def started(self, job: Job, rekognition_job_id: str, poll_at: float) -> None:
        """Record that Rekognition accepted the job.

        If the completion was faster, it has recorded the id, and nothing is left to do. If the tick has released the
        claim as stale, this records the id as well, because the job runs.
        """
        self._change(
            job.job_id,
            {
                "state": "RUNNING",
                "waiting_in": None,
                "rekognition_job_id": rekognition_job_id,
                "due_at": iso(poll_at),
                **_STARTED,
            },
            when="#state IN (:running, :waiting) AND #attempt = :attempt AND attribute_not_exists(#rekognition_job_id)",
            running="RUNNING",
            waiting="WAITING",
            attempt=job.attempt,
        )

    def note_poll(self, job: Job, next_poll_at: float) -> bool:
        """Note that a job is being polled, and the time of the next poll; False if another invocation polls it."""
        changed = self._change(
            job.job_id,
            {"due_at": iso(next_poll_at), "polls": job.polls + 1},
            when="#state = :state AND #due_at = :before",
            state=job.state,
            before=job.due_at,
        )
        return changed is not None

    def mark_slot_freed(self, job_id: str, rekognition_job_id: str) -> bool:
        """Whether this is the first notification of the job's end; delivery is at least once."""
        return bool(
            self._change(
                job_id,
                {"slot_freed_by": rekognition_job_id, "slot_freed_at": iso(self._clock.now())},
                when="attribute_exists(#job_id) AND NOT (#slot_freed_by = :slot_freed_by)",
            )
        )

    def take_slot(self, job: Job, most: int) -> bool:
        """Let a claimed job be one of `most` that run; False if so many do.

        Slots are not returned: a holder whose record says that it doesn't run any more is ignored. So no crash can leak
        a slot.
        """
        while True:
            slots = self._get_item(SLOTS)
            holders = [holder for holder in slots.get("holders", []) if holder != job.job_id]
            if len(holders) >= most:
                holders = [holder for holder in holders if _runs(self.get(holder))]
            if len(holders) >= most:
                return False
            taken = {"holders": [*holders, job.job_id]}
            if self._write_all([versioned(SLOTS, taken, "version", int(slots.get("version", 0)))])[0]:
                return True

    # collecting

    def begin_collecting(self, job: Job, rekognition_job_id: str, owner: str, until: float) -> Job | None:
        """Take a job that Rekognition has finished, to collect its results; None if another invocation holds the
        lease."""
        return self._change(
            job.job_id,
            {
                **(self._state("COLLECTING", iso(until)) if job.state != "COLLECTING" else {"due_at": iso(until)}),
                "rekognition_job_id": rekognition_job_id,
                "lease_owner": owner,
                "lease_until": iso(until),
            },
            when="#attempt = :attempt AND #state = :from AND "
            "(attribute_not_exists(#lease_until) OR #lease_until < :now OR #lease_owner = :lease_owner)",
            **{"attempt": job.attempt, "from": job.state, "now": iso(self._clock.now())},
        )

    def checkpoint(self, job: Job, checkpoint: str, until: float) -> bool:
        """Save a checkpoint and renew the lease.

        False if the lease was lost meanwhile: then stop, as another invocation continues.
        """
        return self._still_mine(job, {"checkpoint": checkpoint, "lease_until": iso(until), "due_at": iso(until)})

    def renew_lease(self, job: Job, until: float) -> bool:
        """Hold a job that is being collected for longer; False if the lease was lost meanwhile."""
        return self._still_mine(job, {"lease_until": iso(until), "due_at": iso(until)})

    def stop_collecting(self, job: Job, checkpoint: str | None, poll_at: float, reason: str | None = None) -> bool:
        """Give up the lease, so that another invocation goes on from `checkpoint` (None: from page one).

        False if the lease was lost meanwhile.
        """
        why = {} if reason is None else {"reason": reason[:1000]}
        return self._still_mine(job, {"checkpoint": checkpoint, "lease_until": None, "due_at": iso(poll_at)} | why)

    def succeed(self, job: Job, **outcome: Any) -> bool:
        """The end that is wanted; `outcome` names where the results are and how many there are. What the job cost is
        settled, at the length that Rekognition says."""
        changes = {**self._state("SUCCEEDED"), **_OVER, "reason": None, **outcome}
        charged = job.charge
        if charged and charged.spent:  # collected again, which costs nothing
            return self._still_mine(job, changes)
        real = replace(job, video_metadata=outcome.get("video_metadata", job.video_metadata))
        month = charged.month if charged else month_of(self._clock.now())
        spent = replace(charge_of(real, minutes_of(real), month), spent=True)
        writes = self._spending(spent, charged, job.analysis, _prefix(job.key))
        when, values = _MINE, {"collecting": "COLLECTING", "attempt": job.attempt, "owner": job.lease_owner}
        over = _with_charge(job, Write(job.job_id, changes, when=when, values=values), spent)
        return self._write_all([over, *writes])[0]

    def _still_mine(self, job: Job, changes: Mapping[str, Any]) -> bool:
        changed = self._change(
            job.job_id,
            changes,
            when=_MINE,
            collecting="COLLECTING",
            attempt=job.attempt,
            owner=job.lease_owner,
        )
        return changed is not None

    def trouble(self, job_id: str, reason: str, poll_at: float | None = None) -> None:
        """Record an error of a job as its reason; with `poll_at`, also the time of its next poll."""
        self._change(
            job_id,
            {"reason": reason[:1000], **({"due_at": iso(poll_at)} if poll_at is not None else {})},
            when="#state IN (:running, :collecting)",
            running="RUNNING",
            collecting="COLLECTING",
        )

    # ends, and another try

    def reject(self, job: Job, reason: str, *, suspected_in: str | None = None) -> bool:
        """Reject a job that was never billed; False if its state changed, or it was uploaded again meanwhile, which may
        have fixed the fault. `suspected_in` names the scope of a fault that may not be its own."""
        if job.state not in ("WAITING", "CONVERTING", "RUNNING"):
            return False
        suspected = {
            "suspicions": job.suspicions + 1,
            "suspected_at": iso(self._clock.now()),
            "suspected_in": suspected_in,
        }
        return self._uncharge(
            job,
            {**self._state("REJECTED"), "reason": reason[:1000], **(suspected if suspected_in else _UNSUSPECTED)},
            when="#attempt = :attempt AND #state = :was AND #sequencer = :sequencer",
            attempt=job.attempt,
            was=job.state,
            sequencer=job.sequencer,
        )

    def requeue_suspect(self, job_id: str) -> bool:
        """Put a job that was REJECTED as a suspect back where it was in the backlog; False if it is something else."""
        job = self.get(job_id)
        if job is None or job.state != "REJECTED" or job.suspected_at is None:
            return False
        changed = self._change(
            job_id,
            self._in_line(job, job.position),
            when="#state = :rejected AND #suspected_at = :suspected_at",
            rejected="REJECTED",
            suspected_at=job.suspected_at,
        )
        return changed is not None

    def fail(self, job: Job, reason: str, *, billed: bool = False) -> bool:
        """End a job that Rekognition could not do, or MediaConvert could not convert; or that Rekognition has done
        (`billed`), and its results can't be read."""
        return self._over(job, {**self._state("FAILED"), **_OVER, "reason": reason}, billed=billed)

    def try_again(self, job: Job, reason: str, seconds: float, *, billed: bool = False) -> bool:
        """Put a job back in the backlog for another attempt (which is another Start, with another token) in
        `seconds`. `billed`: Rekognition has done this attempt, and its results can't be read."""
        changes = {
            **_OVER,
            **self._next_attempt(job),
            "reason": reason,
            **self._last_in_line(job, self._clock.now() + seconds),
        }
        return self._over(job, changes, billed=billed, also_from=("SUCCEEDED",))

    def _over(self, job: Job, changes: dict[str, Any], *, billed: bool, also_from: tuple[State, ...] = ()) -> bool:
        """The end of an attempt: its charge is given back, or settled if Rekognition bills it."""
        if job.state not in ("WAITING", "CONVERTING", "RUNNING", "COLLECTING", *also_from):
            return False
        held: dict[str, Any] = {"was": job.state, "was_attempt": job.attempt}
        when = "#attempt = :was_attempt AND #state = :was"
        if not billed or not job.charge or job.charge.spent:
            return self._uncharge(job, changes, when=when, **held)
        settled = self._spending(job.charge, job.charge, job.analysis, _prefix(job.key))
        over = _with_charge(job, Write(job.job_id, changes, when=when, values=held), None)
        return self._write_all([over, *settled])[0]

    # converting

    def convert(self, job: Job, reason: str) -> Job | None:
        """Have a job wait for a converted copy of its video, keeping its position in the backlog; None if its state
        changed meanwhile. A Start that was, or may have been, sent about the video itself is an attempt of its own."""
        started = job.rekognition_job_id or job.maybe_started
        changes = {
            **_OVER,
            **(self._next_attempt(job) if started else {}),
            **self._conversion_wanted(job, reason, 0),
            "start_errors": 0,
            "source_key": None,
        }
        if job.state not in ("WAITING", "RUNNING", "COLLECTING"):
            return None
        # Without an id the job is claimed: another invocation may have taken the claim over, and started it.
        unstarted = "" if job.rekognition_job_id else " AND attribute_not_exists(#rekognition_job_id)"
        when = f"#attempt = :was_attempt AND #state = :was{unstarted}"
        changed = self._uncharge(job, changes, when=when, was_attempt=job.attempt, was=job.state)
        return self.get(job.job_id) if changed else None

    def convert_again(self, job: Job, reason: str, seconds: float = 0, *, failed: bool) -> Job | None:
        """Have a CONVERTING job wait for another conversion, which begins in `seconds`; None if its state changed
        meanwhile. `failed`: the last one failed for a passing reason, which ``start_errors`` counts."""
        changes = self._conversion_wanted(job, reason, seconds)
        return self._change_converting(job, {**changes, "start_errors": job.start_errors + failed})

    def note_conversion(
        self, job: Job, number: int, conversion_id: str, look_at: float, *, paid: bool = False
    ) -> Job | None:
        """Record MediaConvert's id of the conversion that a job waits for, and when to look at it; None if its state
        changed meanwhile. `paid`: it was begun for this job, which is charged for it."""
        changes = {"conversion_id": conversion_id, "conversions": number, "due_at": iso(look_at), "polls": 0}
        return self._change_converting(job, {**changes, "reason": None, **({"pays_conversion": True} if paid else {})})

    def look_later(self, job: Job, reason: str, look_at: float) -> Job | None:
        """Look at a CONVERTING job again at that time, after trouble; None if its state changed meanwhile."""
        return self._change_converting(job, {"reason": reason[:1000], "due_at": iso(look_at)})

    def converted(self, job: Job, source_key: str) -> Job | None:
        """Put a CONVERTING job back in its position of the backlog, with its copy; None if its state changed
        meanwhile."""
        done = {"source_key": source_key, "reason": None, "start_errors": 0, "polls": 0}
        return self._change_converting(job, {**self._in_line(job, job.position), **done})

    def _conversion_wanted(self, job: Job, reason: str, seconds: float) -> dict[str, Any]:
        due_at = iso(self._clock.now() + seconds)
        wanted = {"conversions": job.conversions + 1, "conversion_id": None, "polls": 0, "reason": reason[:1000]}
        return {**self._state("CONVERTING", due_at), **wanted}

    def _change_converting(self, job: Job, changes: Mapping[str, Any]) -> Job | None:
        return self._change(
            job.job_id,
            changes,
            when="#state = :converting AND #attempt = :attempt AND #conversions = :before",
            converting="CONVERTING",
            attempt=job.attempt,
            before=job.conversions,
        )

    # how it is written

    @staticmethod
    def _next_attempt(job: Job) -> dict[str, Any]:
        return {
            "rekognition_job_id": None,
            "attempt": job.attempt + 1,
            "version_id": job.newest_version_id or job.version_id,
            "maybe_started": None,
            "slot_freed_at": None,
            "past_rekognition_job_ids": [
                *job.past_rekognition_job_ids,
                *([job.rekognition_job_id] if job.rekognition_job_id else []),
            ],
        }

    def _state(self, state: State, due_at: str | None = None) -> dict[str, Any]:
        """Another state than WAITING."""
        now = iso(self._clock.now())
        return {"state": state, "state_since": now, "due_at": due_at or now, "waiting_in": None}

    def _in_line(self, job: Job, where: str) -> dict[str, Any]:
        """WAITING, at a position. The class is written with the line, as `job` may be an old copy."""
        self._mark(job)
        return {**self._state("WAITING", where), "waiting_in": job.line, "priority": _unless(job.priority, LIVE)}

    def _last_in_line(self, job: Job, seconds: float) -> dict[str, Any]:
        """WAITING, to be started at that time."""
        where = position(seconds, job.job_id)
        return {**self._in_line(job, where), "position": where}

    def _mark(self, job: Job) -> None:
        if job.line != DEFAULT_LINE:
            self.mark(job.line, self.weights)

    def _uncharge(self, job: Job, changes: Mapping[str, Any], when: str, **values: Any) -> bool:
        """Change a job if `when` holds, and give back what it was charged for an attempt that is not billed."""
        charge = job.charge
        over = _with_charge(job, Write(job.job_id, changes, when=when, values=values), None)
        if charge is None or charge.spent:
            return self._write_all([over])[0]
        while True:
            writes = [over, self._giving_back(charge)]
            if charge.line is not None:
                known = self.shares()
                less = known.given_back(charge.line, float(charge.minutes), charge.turns, self._clock.now())
                if less != known:
                    writes.append(self._shares_write(known, less))
            held = self._write_all(writes)
            if all(held) or not held[0]:
                return held[0]

    def _to(self, job: Job, state: State, sources: tuple[State, ...], changes: Mapping[str, Any]) -> Job | None:
        if job.state not in sources:
            return None
        return self._change(
            job.job_id,
            {**self._state(state), **changes},
            when="#attempt = :was_attempt AND #state = :was",
            was_attempt=job.attempt,
            was=job.state,
        )

    def _stored(self, name: str, value: Any) -> Any:
        return _stored(name, value)

    def _change(self, job_id: str, changes: Mapping[str, Any], when: str = "", **values: Any) -> Job | None:
        """Change a job if `when` holds; the job as it is then, or None. See ``_update``."""
        item = self._update(job_id, changes, when, **values)
        return _job(item) if item is not None else None


_MINE = "#state = :collecting AND #attempt = :attempt AND #lease_owner = :owner"
# A claim without a started job.
_CLAIMED = "#state = :running AND #attempt = :attempt AND attribute_not_exists(#rekognition_job_id)"
_UNSUSPECTED: Mapping[str, Any] = dict.fromkeys(("suspicions", "suspected_at", "suspected_in"))
_STARTED: Mapping[str, Any] = {"reason": None, "maybe_started": None, **_UNSUSPECTED}
# What a job has only while an attempt of it runs or is collected.
_OVER: Mapping[str, Any] = dict.fromkeys(("checkpoint", "lease_owner", "lease_until", "polls"))

_FIELDS = frozenset(f.name for f in fields(Job))
_AS_JSON = ("parameters", "video_metadata", "header")  # DynamoDB's numbers are decimals, and these are not counted with


def _prefix(key: str) -> str:
    """The first folder of a key, with its slash: what costs are summed up by."""
    folder, slash, _ = key.partition("/")
    return folder + slash if slash else ""


def _with_charge(job: Job, write: Write, after: Charge | None) -> Write:
    """A write that also changes a job's charge, if it still is the one that the job was read with."""
    held = "#charge = :held_charge" if job.charge else "attribute_not_exists(#charge)"
    values = {**write.values, **({"held_charge": job.charge.as_text()} if job.charge else {})}
    return replace(write, changes={**write.changes, "charge": after}, when=f"{write.when} AND {held}", values=values)


def _unless(value: str, default: str) -> str | None:
    """A value to store; nothing if it is the default."""
    return value if value != default else None


def _as_fields(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a write of attributes changes in a job."""
    return {name: value for name, value in changes.items() if name in _FIELDS}


def _item(job: Job) -> dict[str, Any]:
    values = {name: getattr(job, name) for name in _FIELDS}
    item = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    item["priority"], item["share"] = _unless(job.priority, LIVE), _unless(job.share, ONE_SHARE)
    return {name: _stored(name, value) for name, value in item.items() if value is not None and value is not False}


def _runs(job: Job | None) -> bool:
    """Whether a job holds a slot, as far as is known."""
    return (
        job is not None
        and job.state == "RUNNING"
        and (job.slot_freed_by is None or job.slot_freed_by != job.rekognition_job_id)
    )


def _stored(name: str, value: Any) -> Any:
    if name == "charge":
        return value.as_text()
    if isinstance(value, VideoHeader):
        value = value.as_item
    return analyses.canonical(value) if name in _AS_JSON else value


def _job(item: Mapping[str, Any]) -> Job:
    known = {name: value for name, value in item.items() if name in _FIELDS}
    for name in _AS_JSON:
        if name in known:
            known[name] = json.loads(known[name])
    if "header" in known:
        known["header"] = VideoHeader.from_item(known["header"])
    if "charge" in known:
        known["charge"] = Charge.from_text(known["charge"])
    for name in ("size", "attempt", "start_errors", "suspicions", "polls", "detections", "conversions"):
        if name in known:
            known[name] = int(known[name])
    return Job(**known)
