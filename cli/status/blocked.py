"""The jobs that the scheduler does not start, and why: faults of the account, and results that are not collected.

The scheduler notices by itself when the cause is gone; people fix the cause.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lambdas.model.blocking import CONVERSION, RESULTS, VIDEOS, scopes_in
from lambdas.model.budget import BUDGET
from lambdas.model.routing import UNKNOWN


@dataclass(frozen=True, slots=True)
class Block:
    """A scope of jobs that the scheduler does not start.

    Attributes:
        scope: ``videos`` (all jobs), ``results`` (all jobs, as results are not being collected), ``budget`` (all jobs,
            as the month's budget is used up), ``conversion`` (what has to be converted first), or an analysis.
        since: ISO time.
        reason: AWS's words, or the scheduler's.
    """

    scope: str
    since: str
    reason: str

    def meets(self, analysis: str) -> bool:
        """Whether the scheduler holds jobs of that analysis."""
        return self.scope in (VIDEOS, RESULTS, BUDGET, analysis)

    @property
    def sentence(self) -> str:
        """For people: what is held, since when, why, and what happens next."""
        since = f"since {self.since[:16].replace('T', ' ')} UTC"
        reason = self.reason.rstrip(".")
        if self.scope == RESULTS:
            return (
                f"Starting is held {since} because results are not being collected: {reason}. Rekognition "
                "keeps results for 7 days; later they would have to be bought again."
            )
        if self.scope == BUDGET:
            return (
                f"Starting is held {since}: {reason}. It goes on when the month turns (UTC) or the budget is raised; "
                "or now, with resume --over-budget. No job is lost."
            )
        if self.scope == CONVERSION:
            return (
                f"Converting is blocked {since}: {reason}. No job is lost; the scheduler tries one each minute, and "
                "converts the others after the first success."
            )
        what = "Starting" if self.scope == VIDEOS else f"Starting {self.scope}"
        if self.scope == UNKNOWN:
            what = "Reading which analyses uploaders ask for"
        return (
            f"{what} is blocked {since}: {reason}. No job is lost; the scheduler tries one each minute, and starts "
            "the others after the first success."
        )

    @property
    def as_json(self) -> dict[str, str]:
        """For ``--json``."""
        return asdict(self)


def blocks(scheduler: Mapping[str, Any]) -> list[Block]:
    """The blocks in the scheduler's item of the table, those that hold all jobs first."""
    found = [
        Block(name, scope.since, scope.reason or "no reason is recorded")
        for name, scope in scopes_in(scheduler).items()
        if scope.since
    ]
    return sorted(found, key=lambda one: (one.scope not in (VIDEOS, RESULTS, BUDGET), one.scope))
