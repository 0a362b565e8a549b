"""A cap on what a month's videos cost: what is charged when, and when starting stops. Pure decisions.

A month's record in the table holds what it was charged. A job is *charged* in the same transaction in which it is
claimed, by its minutes and the price of its analysis, and the transaction is refused once the month's charges have
reached a limit; so however many functions claim at once, a month is over its limit by less than one job. The charge is
*given back* when the job is released, rejected or failed, and *settled* when it has succeeded: then it is spent, at the
length that Rekognition says.

A month is one of UTC, as on AWS's bill.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from lambdas.model.clock import iso
from lambdas.model.prices import conversion, per_minute
from lambdas.model.video_header import LONGEST

if TYPE_CHECKING:
    from lambdas.model.job import Job

BUDGET = "budget"  # the scope that is blocked while the month's budget is used up

# A video whose header can't be read is charged by its size until Rekognition says how long it is: a minute for each
# 7.5 MB, which is 1 Mbit/s. Most videos have more bits a second, so the charge is too high rather than too low.
BYTES_A_MINUTE = 7_500_000
MOST_MINUTES = LONGEST / 60
PERCENTS = (50, 80, 100)  # of a budget, that are announced


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's budget for a month; 0: none."""

    usd: float = 0.0
    minutes: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.usd or self.minutes)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a job was charged for its attempt.

    Attributes:
        month: the month that was charged: ``2026-11``.
        usd: dollars.
        minutes: of video.
        spent: whether it is settled.
        line: the line whose share was charged as well; None if shares were not recorded.
        turns: what the record of shares said before.
    """

    month: str
    usd: Decimal
    minutes: Decimal
    spent: bool = False
    line: str | None = None
    turns: int = 0

    def as_text(self) -> str:
        """The form in the table: text, which conditions can compare."""
        known = {
            "month": self.month,
            "usd": str(self.usd),
            "minutes": str(self.minutes),
            "spent": self.spent,
            "line": self.line,
            "turns": self.turns,
        }
        return json.dumps({name: value for name, value in known.items() if value})

    @classmethod
    def from_text(cls, text: str) -> "Charge":
        """The opposite of ``as_text``."""
        known = json.loads(text)
        sums = Decimal(known["usd"]), Decimal(known["minutes"])
        return cls(known["month"], *sums, bool(known.get("spent")), known.get("line"), known.get("turns", 0))


@dataclass(frozen=True, slots=True)
class Month:
    """The record of a month.

    Attributes:
        committed_usd, committed_minutes: charged and not given back.
        spent_usd, spent_minutes: of that, settled.
        by_analysis: spent ``(usd, minutes)`` by the analysis' name.
        over_budget: whether the operator lets this month exceed its budget.
        told: the highest percentage of the budget that was announced.
    """

    committed_usd: float = 0.0
    committed_minutes: float = 0.0
    spent_usd: float = 0.0
    spent_minutes: float = 0.0
    by_analysis: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    over_budget: bool = False
    told: int = 0

    def percent(self, limits: Limits) -> float:
        """How much of the budget is charged; of two limits, the one that is nearer."""
        shares = [
            charged / limit
            for charged, limit in (
                (self.committed_usd, limits.usd),
                (self.committed_minutes, limits.minutes),
            )
            if limit
        ]
        return 100 * max(shares, default=0.0)

    def used_up(self, limits: Limits) -> str:
        """Why no job may be started this month, in words; empty if one may."""
        if self.over_budget:
            return ""
        if limits.usd and self.committed_usd >= limits.usd:
            return f"this month's budget of ${limits.usd:,.2f} is used up (${self.committed_usd:,.2f} charged)"
        if limits.minutes and self.committed_minutes >= limits.minutes:
            return f"this month's {limits.minutes:,.0f} minutes are used up ({self.committed_minutes:,.0f} charged)"
        return ""


def month_of(seconds: float) -> str:
    """The month at that time: ``2026-11``."""
    return iso(seconds)[:7]


def minutes_of(job: "Job") -> float:
    """Minutes of a job's video: by its header, by Rekognition, or estimated by its size."""
    known = job.video_metadata.get("DurationMillis")
    if known:
        return float(known) / 60_000
    if job.header and job.header.seconds:
        return min(job.header.minutes, MOST_MINUTES)
    return min(job.size / BYTES_A_MINUTE, MOST_MINUTES)


def charge_of(job: "Job", minutes: float, month: str) -> Charge:
    """What `minutes` of a job's video cost in its analysis, and to convert if it was converted for this job."""
    usd = minutes * per_minute({job.analysis: job.parameters})[job.analysis]
    if job.pays_conversion:
        usd += conversion(minutes)
    return Charge(month, exact(usd), exact(minutes))


def exact(number: float) -> Decimal:
    """A number as the table keeps it: to a millionth, so that what is charged and given back is the same."""
    return Decimal(str(round(number, 6)))
