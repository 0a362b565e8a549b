"""The scheduler's record of faults of the account: blocked scopes, and suspect jobs. See blocking.py."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lambdas.aws.telemetry import Count, count, logger
from lambdas.model.blocking import CONVERSION, OWN_FAULT_AFTER, Scope, scopes_in
from lambdas.model.errors import AccountFault, EventRefused

if TYPE_CHECKING:
    from lambdas.aws.event_bus import EventBus
    from lambdas.aws.job_table import Jobs
    from lambdas.logic.enqueue import Enqueuer
    from lambdas.model.clock import Clock
    from lambdas.model.job import Job


class Faults:
    """The scopes, as this invocation has read and changed them.

    Args:
        known: the scheduler's item in the table, as it was read last.
    """

    def __init__(
        self, jobs: "Jobs", bus: "EventBus", clock: "Clock", enqueuer: "Enqueuer", known: Mapping[str, Any]
    ) -> None:
        self._jobs = jobs
        self._bus = bus
        self._clock = clock
        self._enqueuer = enqueuer
        self._scopes: Mapping[str, Scope] = scopes_in(known)
        self.met = 0  # faults found by this invocation

    @property
    def blocked(self) -> frozenset[str]:
        """The scopes in which starting is blocked."""
        return frozenset(name for name in self._scopes if self._is_blocked(name)) - {CONVERSION}

    @property
    def conversion_blocked(self) -> bool:
        """Whether converting is blocked."""
        return self._is_blocked(CONVERSION)

    def _is_blocked(self, name: str) -> bool:
        return name in self._scopes and self._scopes[name].blocked

    def blame(self, job: "Job", fault: AccountFault) -> None:
        """Handle a claimed or CONVERTING job with a fault: release it if the scope is blocked, else reject it as a
        suspect. (A CONVERTING job is not claimed, and stays CONVERTING.)"""
        self.met += 1
        reason, now = str(fault), self._clock.now()
        own = False

        def decide(scopes: Mapping[str, Scope]) -> Mapping[str, Scope]:
            nonlocal own
            scope = scopes.get(fault.scope, Scope())
            own = not fault.certain and job.suspicions >= OWN_FAULT_AFTER and self._cleared(scope, job)
            if own:
                return scopes
            if fault.certain:
                return {**scopes, fault.scope: scope.block(reason, now)}
            return {**scopes, fault.scope: scope.met_by(job.job_id, f"{job.bucket}/{job.key}", reason, now)}

        self._scopes = self._jobs.note_scopes(decide)
        if own:
            self._reject(job, reason)
        elif self._is_blocked(fault.scope):
            self._jobs.release(job)
            self._report(fault.scope)
            self._requeue(self._scopes[fault.scope])
            self.announce()
        else:
            self._reject(job, reason, suspected_in=fault.scope)
            # Another invocation may have blocked the scope since, and looked for suspects before this one was REJECTED.
            self._scopes = scopes_in(self._jobs.scheduler())
            if self._is_blocked(fault.scope):
                self._jobs.requeue_suspect(job.job_id)

    @staticmethod
    def _cleared(scope: Scope, job: "Job") -> bool:
        return job.suspected_in is not None and scope.cleared_since(job.suspected_at)

    def _reject(self, job: "Job", reason: str, *, suspected_in: str | None = None) -> None:
        if not self._enqueuer.reject(job, reason, suspected_in=suspected_in):
            self._jobs.release(job)  # uploaded again just now: look again

    def block(self, name: str, reason: str) -> None:
        """Block a scope for a reason that is not the fault of a start."""
        now = self._clock.now()
        self._scopes = self._jobs.note_scopes(
            lambda known: {**known, name: known.get(name, Scope()).block(reason, now)}
        )
        self._report(name)
        self.announce()

    def _report(self, name: str) -> None:
        logger.error("starting is blocked", extra={"scope": name, "reason": self._scopes[name].reason})
        count(Count.STARTS_BLOCKED)

    def clear(self, *names: str) -> None:
        """After a successful start: open these scopes, and put their suspects back into the backlog."""
        if not any(name in self._scopes and self._in_doubt(self._scopes[name]) for name in names):
            return
        cleared: dict[str, Scope] = {}

        def decide(known: Mapping[str, Scope]) -> Mapping[str, Scope]:
            cleared.clear()
            cleared.update({name: known[name] for name in names if name in known and self._in_doubt(known[name])})
            return {**known, **{name: scope.succeed(self._clock.now()) for name, scope in cleared.items()}}

        self._scopes = self._jobs.note_scopes(decide)
        for name, scope in cleared.items():
            self._requeue(scope)
            if scope.blocked:
                logger.info("starting is no longer blocked", extra={"scope": name, "since": scope.since})
                self._tell("Starting Unblocked", name, scope)

    @staticmethod
    def _in_doubt(scope: Scope) -> bool:
        return scope.blocked or bool(scope.suspects)

    def requeue_suspects(self) -> None:
        """Put the suspects of blocked scopes back, which a function that died may have left REJECTED."""
        for name, scope in self._scopes.items():
            if scope.blocked:
                self._requeue(self._scopes[name])

    def _requeue(self, scope: Scope) -> None:
        for job_id in scope.suspects:
            if self._jobs.requeue_suspect(job_id):
                logger.info("rejected as a suspect; back in the backlog", extra={"job_id": job_id})

    def announce(self) -> None:
        """Announce each block that was not announced yet: if that fails, the next tick tries again."""
        told = {
            name
            for name, scope in self._scopes.items()
            if scope.blocked and not scope.told and self._tell("Starting Blocked", name, scope)
        }
        if told:
            self._scopes = self._jobs.note_scopes(
                lambda known: {
                    name: replace(scope, told=True) if name in told and scope.blocked else scope
                    for name, scope in known.items()
                }
            )

    def _tell(self, what: str, name: str, scope: Scope) -> bool:
        try:
            self._bus.tell(what, scope=name, since=scope.since, reason=scope.reason)
        except EventRefused:
            logger.exception("could not announce", extra={"event": what, "scope": name})
            return False
        return True
