"""What this month's analyses cost so far, and what the waiting ones will: the table's own sums, at list prices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cli.core.stack import Stack, Target
from cli.core.terminal import many
from lambdas.model.budget import Limits, Month, charge_of, minutes_of, month_of
from lambdas.model.prices import as_of
from lambdas.model.routing import UNKNOWN


@dataclass(frozen=True, slots=True)
class Sum:
    """Dollars and minutes of video."""

    usd: float
    minutes: float

    @property
    def cells(self) -> tuple[str, str]:
        """For a table."""
        return f"${self.usd:,.2f}", f"{self.minutes:,.1f}"


@dataclass(frozen=True, slots=True)
class Budget:
    """A month's sums.

    Attributes:
        month: of UTC: ``2026-11``.
        spent: of jobs that succeeded.
        reserved: of jobs that are claimed and not over.
        waiting: what the jobs in line will cost, and how many they are.
        limits: the operator's; 0: none.
        by: spent by analysis or by prefix.
    """

    month: str
    spent: Sum
    reserved: Sum
    waiting: Sum
    jobs_waiting: int
    limits: Limits
    over_budget: bool
    used_up: str
    by: Mapping[str, Sum]

    @property
    def left(self) -> Sum:
        """What is left of each limit; of one that is not set, zero."""
        used_usd, used_minutes = self.spent.usd + self.reserved.usd, self.spent.minutes + self.reserved.minutes
        return Sum(
            max(0.0, self.limits.usd - used_usd) if self.limits.usd else 0.0,
            max(0.0, self.limits.minutes - used_minutes) if self.limits.minutes else 0.0,
        )

    @property
    def fits(self) -> bool:
        """Whether the waiting jobs fit into what is left of the month."""
        usd = not self.limits.usd or self.waiting.usd <= self.left.usd
        minutes = not self.limits.minutes or self.waiting.minutes <= self.left.minutes
        return usd and minutes

    @property
    def percent(self) -> float:
        """How much of the budget is used; of two limits, the one that is nearer."""
        committed = Month(self.spent.usd + self.reserved.usd, self.spent.minutes + self.reserved.minutes)
        return committed.percent(self.limits)

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """For a table: what, dollars, minutes."""
        rows = [("spent", *self.spent.cells), ("reserved by jobs at work", *self.reserved.cells)]
        if self.limits:
            usd, minutes = self.left.cells
            no = "no limit"
            rows.append(("left", usd if self.limits.usd else no, minutes if self.limits.minutes else no))
        return [*rows, (f"for {many(self.jobs_waiting, 'job')} in line", *self.waiting.cells)]

    def sentences(self, target: Target) -> Iterator[str]:
        """For people: how the budget stands, and what to type."""
        if self.limits:
            limits = [f"${self.limits.usd:,.2f}"] * bool(self.limits.usd)
            limits += [f"{self.limits.minutes:,.0f} minutes"] * bool(self.limits.minutes)
            yield f"{self.percent:.0f} % of the month's budget ({' and '.join(limits)}) is used."
        else:
            yield f"No budget is set. To set one: {target.deploy('-c', 'monthly_budget_usd=100')}"
        if self.over_budget:
            yield "This month may exceed its budget: resume --over-budget was typed."
        elif self.used_up:
            yield "Starting is held until the month turns (UTC) or the budget is raised, or now with:"
            yield f"  {target.command('resume', '--over-budget')}"
        elif self.limits and not self.fits:
            yield "The jobs in line don't all fit into this month's budget; the last ones will wait for the next month."
        yield f"These are {as_of()}."

    @property
    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {**asdict(self), "left": asdict(self.left), "prices": as_of()}


def read(stack: Stack, by: str, now: float, month: str | None = None) -> Budget:
    """A month's sums; the waiting jobs count towards the current one only.

    Args:
        by: ``analysis`` or ``prefix``.
        month: None: the current one.
    """
    current = month_of(now)
    month = month or current
    record = stack.table.month(month)
    waiting, number = _waiting(stack, month) if month == current else (Sum(0.0, 0.0), 0)
    return Budget(
        month=month,
        spent=Sum(record.spent_usd, record.spent_minutes),
        reserved=Sum(
            max(0.0, record.committed_usd - record.spent_usd), max(0.0, record.committed_minutes - record.spent_minutes)
        ),
        waiting=waiting,
        jobs_waiting=number,
        limits=stack.limits,
        over_budget=record.over_budget,
        used_up=record.used_up(stack.limits) if month == current else "",
        by=_by_prefix(stack, month) if by == "prefix" else _by_analysis(record),
    )


def _waiting(stack: Stack, month: str) -> tuple[Sum, int]:
    usd = minutes = 0.0
    number = 0
    for job in stack.table.everything():
        if job.state == "WAITING" and job.analysis != UNKNOWN:
            charge = charge_of(job, minutes_of(job), month)
            usd, minutes, number = usd + float(charge.usd), minutes + float(charge.minutes), number + 1
    return Sum(usd, minutes), number


def _by_analysis(record: Month) -> dict[str, Sum]:
    return {name: Sum(*sums) for name, sums in _largest([(name, *sums) for name, sums in record.by_analysis.items()])}


def _by_prefix(stack: Stack, month: str) -> dict[str, Sum]:
    return {prefix or "/": Sum(*sums) for prefix, sums in _largest(list(stack.table.by_prefix(month)))}


def _largest(found: Sequence[tuple[str, float, float]]) -> list[tuple[str, tuple[float, float]]]:
    return [(name, (usd, minutes)) for name, usd, minutes in sorted(found, key=lambda one: (-one[1], one[0]))]
