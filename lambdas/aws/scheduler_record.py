"""The items of the table that are no jobs: what the scheduler knows, the lines and shares, and each month's charges.

None of them has a state, so the index ByState does not list them.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lambdas.aws.dynamodb import Items, Write, versioned
from lambdas.model.blocking import Scope, scopes_in, worth_keeping
from lambdas.model.budget import Charge, Limits, Month, exact
from lambdas.model.clock import iso
from lambdas.model.shares import MARK_EVERY, ONE_SHARE, Shares, share_in

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from lambdas.model.clock import Clock

COLLECTED_EVERY = 60.0  # seconds between two notes that collecting works, in one execution environment

SCHEDULER = "#scheduler"  # what the service last said, the operator's switch, the lines and shares
MONTH = "#month#"  # and the month


class SchedulerRecord(Items):
    """Reads and writes of these items."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, clock: "Clock") -> None:
        super().__init__(dynamodb, table, clock)
        self._collected_noted = float("-inf")
        self._marked: dict[str, float] = {}

    def scheduler(self) -> Mapping[str, Any]:
        """What the scheduler knows: ``paused`` (the operator's switch), ``refused_at`` (the last "no slot"),
        ``throttled_at`` (the last "slow down"; see pacing.py), ``collected_at`` (about when results were last
        collected), ``scopes`` (what can't be started; see blocking.py), ``shares`` (see shares.py).
        """
        return self._get_item(SCHEDULER)

    def note_scopes(self, decide: Callable[[Mapping[str, Scope]], Mapping[str, Scope]]) -> Mapping[str, Scope]:
        """Change what is known of scopes: `decide` is given what the table knows and says what it is then. (It is
        called again if another invocation wrote first.)"""
        while True:
            item = self._get_item(SCHEDULER)
            known = scopes_in(item)
            new = worth_keeping(decide(known), self._clock.now())
            if new == known:
                return known
            version = int(item.get("scopes_version", 0))
            stored = {name: scope.as_item() for name, scope in new.items()}
            write = versioned(SCHEDULER, {"scopes": stored or None}, "scopes_version", version)
            if self._write_all([write])[0]:
                return new

    def note_limit_reached(self) -> None:
        """Remember that the service said "no slot"."""
        self._update(SCHEDULER, {"refused_at": iso(self._clock.now())})

    def note_throttled(self) -> str:
        """Remember that the service said "slow down"; returns the time that was noted."""
        now = iso(self._clock.now())
        self._update(SCHEDULER, {"throttled_at": now})
        return now

    def note_limit_cleared(self) -> None:
        """Note that no job waits."""
        self._update(SCHEDULER, {"refused_at": None})

    def note_collected(self) -> None:
        """Remember that collecting works: ``collected_at`` in ``scheduler()``, written once a minute at most."""
        now = self._clock.now()
        if now - self._collected_noted >= COLLECTED_EVERY:
            self._collected_noted = now
            self._update(SCHEDULER, {"collected_at": iso(now)})

    def pause(self, paused: bool) -> None:
        """Switch starting off or on. Uploads are accepted in both cases, and wait."""
        self._update(SCHEDULER, {"paused": paused or None, "paused_at": iso(self._clock.now()) if paused else None})

    # lines and shares

    def shares(self) -> Shares:
        """The record of lines and shares, read consistently."""
        return Shares.from_item(self.scheduler())

    def note_shares(self, decide: Callable[[Shares], Shares]) -> Shares:
        """Change the record of lines and shares as ``note_scopes`` does that of scopes."""
        while True:
            known = self.shares()
            new = decide(known)
            if new == known:
                return known
            if self._write_all([self._shares_write(known, new)])[0]:
                return new.written()

    def mark(self, line: str, weights: Mapping[str, float]) -> None:
        """Record that a job comes to wait in `line`: before it does, so that no crash leaves a job in a line that the
        scheduler doesn't read."""
        now = self._clock.now()
        if now - self._marked.get(line, float("-inf")) >= MARK_EVERY:
            self.note_shares(lambda shares: shares.mark(line, now, weights))
            self._marked[line] = now

    def admitted(self, share: str) -> str:
        """The share in which a job of `share` waits; see ``Shares.admitted``."""
        if share == ONE_SHARE or any(share_in(line) == share for line in self._marked):
            return share
        return self.shares().admitted(share)

    @staticmethod
    def _shares_write(known: Shares, new: Shares) -> Write:
        return versioned(SCHEDULER, {"shares": new.as_text()}, "shares_version", known.version)

    # months

    def month(self, month: str) -> Month:
        """What a month was charged."""
        item = self._get_item(MONTH + month)
        by_analysis = {
            name.removeprefix("usd_").replace("_", "-"): (
                float(usd),
                float(item["minutes_" + name.removeprefix("usd_")]),
            )
            for name, usd in item.items()
            if name.startswith("usd_")
        }
        return Month(
            committed_usd=float(item.get("committed_usd", 0)),
            committed_minutes=float(item.get("committed_minutes", 0)),
            spent_usd=float(item.get("spent_usd", 0)),
            spent_minutes=float(item.get("spent_minutes", 0)),
            by_analysis=by_analysis,
            over_budget=bool(item.get("over_budget")),
            told=int(item.get("told", 0)),
        )

    def by_prefix(self, month: str) -> Iterator[tuple[str, float, float]]:
        """What was spent in a month under each first folder of the keys: prefix, dollars, minutes."""
        for listed in self._query("ByVideo", "#video = :month", {":month": MONTH + month}):
            item = self._get_item(listed["job_id"])
            prefix = listed["job_id"].removeprefix(f"{MONTH}{month}#")
            yield prefix, float(item.get("spent_usd", 0)), float(item.get("spent_minutes", 0))

    def let_over_budget(self, month: str, allowed: bool) -> None:
        """Let a month exceed its budget, or not any more."""
        self._update(MONTH + month, {"over_budget": allowed or None})

    def note_told(self, month: str, percent: int) -> None:
        """Remember the highest percentage of a month's budget that was announced; 0: none, as the budget was raised."""
        self._update(MONTH + month, {"told": percent or None})

    @staticmethod
    def _charging(charge: Charge, limits: Limits) -> Write:
        """Charge a month, unless it has reached a limit."""
        within = [
            f"attribute_not_exists(#committed_{what}) OR #committed_{what} < :limit_{what}"
            for what, limit in (("usd", limits.usd), ("minutes", limits.minutes))
            if limit
        ]
        # DynamoDB refuses redundant parentheses.
        both = " AND ".join(f"({one})" for one in within) if len(within) > 1 else "".join(within)
        values = {"limit_usd": limits.usd, "limit_minutes": limits.minutes}
        return Write(
            MONTH + charge.month,
            adds={"committed_usd": charge.usd, "committed_minutes": charge.minutes},
            when=f"#over_budget = :yes OR {both}" if within else "",
            values={"yes": True, **{name: exact(value) for name, value in values.items()}} if within else {},
        )

    @staticmethod
    def _giving_back(charge: Charge) -> Write:
        return Write(MONTH + charge.month, adds={"committed_usd": -charge.usd, "committed_minutes": -charge.minutes})

    @staticmethod
    def _spending(spent: Charge, charged: Charge | None, analysis: str, prefix: str) -> list[Write]:
        """Settle what was charged, which may be nothing, at what it really cost."""
        kind, month = analysis.replace("-", "_"), MONTH + spent.month
        sums = {"spent_usd": spent.usd, "spent_minutes": spent.minutes}
        before = charged or Charge(spent.month, Decimal(0), Decimal(0))
        if before.month != spent.month:
            raise ValueError(f"charged to {before.month}, and not to {spent.month}")
        of_month = {
            "committed_usd": spent.usd - before.usd,
            "committed_minutes": spent.minutes - before.minutes,
            f"usd_{kind}": spent.usd,
            f"minutes_{kind}": spent.minutes,
        }
        # The attributes of the index ByVideo list a month's prefixes. A key of an index can't be empty.
        listed = {"video": month, "registered_at": prefix or "/"}
        return [Write(month, adds={**sums, **of_month}), Write(f"{month}#{prefix}", listed, adds=sums)]
