"""Chooses whose job is started next: by class, then by fair shares, then first come, first served. Pure decisions.

A job has a *class* (``live`` or ``backfill``) and a *share* (by its key; one share for all by default). Both are chosen
when a slot is free, and not when the job is registered:

1. The class: ``live`` before ``backfill``; but when both wait, every tenth start goes to the lower class, so it never
   starves.
2. The share: the one with the least used minutes in proportion to its weight. Used minutes decay with a half-life of a
   day, so yesterday counts half. A share that comes back starts with no less than the least of those that wait: its
   absence earns it no monopoly.
3. The job: the oldest of that class and share that is due.

The waiting jobs of one class and share are one *line*, a partition of the index Backlog. A line other than the default
one is recorded here while jobs may wait in it, so only lines with jobs are read. With one class and one share nothing
is recorded, and the order is first come, first served.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lambdas.model.clock import iso, seconds_of
from lambdas.model.video_header import LONGEST

Priority = Literal["live", "backfill"]
LIVE: Priority = "live"
BACKFILL: Priority = "backfill"
PRIORITIES: tuple[Priority, ...] = (LIVE, BACKFILL)

ONE_SHARE = ""  # the share of all jobs, unless the setting share_by makes more
OTHERS = "(others)"  # the share of keys beyond MOST_SHARES
MOST_SHARES = 100  # at a time: each start rewrites the record of all

LOWER_EVERY = 10  # starts, of which one goes to the lower class while both wait
HALF_LIFE = 86_400.0  # seconds after which used minutes count half
LONGEST_VIDEO = LONGEST / 60  # minutes
LEAST_MINUTES = 0.1  # that a start counts: the shortest video occupies a slot for some seconds
FORGOTTEN = 0.05  # used minutes below which a share without waiting jobs is dropped from the record

# A line is recorded when a job comes to wait in it, at most once a minute in one execution environment. So if the
# record is older than five minutes, no job has come to wait for four; if the index shows none either, it is dropped.
MARK_EVERY = 60.0
MARK_LASTS = 300.0

NO_WEIGHTS: Mapping[str, float] = {}


def line_of(priority: str, share: str) -> str:
    """The line of a class and a share, as jobs hold it in ``waiting_in``."""
    return f"{priority}#{share}"


DEFAULT_LINE = line_of(LIVE, ONE_SHARE)


@dataclass(frozen=True, slots=True)
class Shares:
    """The record of lines and of what the shares have used.

    Attributes:
        marked: lines in which jobs may wait, with the ISO time of the last one that came; never the default line.
        used: minutes of video started in each share, decayed to `as_of`.
        as_of: seconds since 1970.
        turns: starts of the upper class since the lower class had one, while both wait.
        version: counts the writes of the record, so that two functions can't both decide from the same one.
    """

    marked: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, float] = field(default_factory=dict)
    as_of: float = 0.0
    turns: int = 0
    version: int = 0

    def lines(self, now: float, weights: Mapping[str, float]) -> list[str]:
        """The lines in which jobs may wait, in the order in which to look for the next job."""
        return self._sorted({DEFAULT_LINE, *self.marked}, now, weights)

    def _sorted(self, lines: Iterable[str], now: float, weights: Mapping[str, float]) -> list[str]:
        used = self._decayed(now)

        def rank(line: str) -> tuple[int, float, str]:
            share = share_in(line)
            return self._class_rank(line), used.get(share, 0.0) / weights.get(share, 1.0), line

        return sorted(lines, key=rank)

    def forecast(
        self, waiting: Mapping[str, Sequence[tuple[str, float]]], now: float, weights: Mapping[str, float]
    ) -> Iterator[str]:
        """The order in which jobs will start if no other comes.

        Args:
            waiting: by line, the ids of its jobs with their minutes, in their order.
        """
        shares = replace(self, marked=dict.fromkeys(waiting, ""))
        left = {line: deque(jobs) for line, jobs in waiting.items() if jobs}
        while left:
            line = shares._sorted(left, now, weights)[0]
            job_id, minutes = left[line].popleft()
            yield job_id
            shares = shares.started(line, minutes, now, weights)
            if not left[line]:
                del left[line]
                shares = replace(shares, marked=dict.fromkeys(left, ""))

    def _class_rank(self, line: str) -> int:
        return int(_is_lower(line) != (self.turns >= LOWER_EVERY - 1))

    def _decayed(self, now: float) -> dict[str, float]:
        factor = 0.5 ** (max(0.0, now - self.as_of) / HALF_LIFE)
        return {share: minutes * factor for share, minutes in self.used.items()}

    def started(self, line: str, minutes: float, now: float, weights: Mapping[str, float] = NO_WEIGHTS) -> "Shares":
        """The record after a job of `line` with that many minutes of video was started."""
        share = share_in(line)
        after = self
        if share != ONE_SHARE or set(self.used) - {ONE_SHARE}:
            used = self._decayed(now)
            before = max(used.get(share, 0.0), self._least(share, used, weights))
            used[share] = before + max(minutes, LEAST_MINUTES)
            after = replace(after, used=used, as_of=now)
        if _is_lower(line):
            return replace(after, turns=0) if self.turns else after
        if any(map(_is_lower, self.marked)):
            return replace(after, turns=min(self.turns + 1, LOWER_EVERY - 1))
        return after

    def _least(self, share: str, used: Mapping[str, float], weights: Mapping[str, float]) -> float:
        """What a share's used minutes count as at least. The default line is not recorded, so that its share comes back
        after a pause is not seen, as it is for others in ``mark``. But a share that always waited is behind each of the
        others by one video at most."""
        others = {known for line in self.marked if (known := share_in(line)) != share}
        least = min(
            ((used.get(other, 0.0) - LONGEST_VIDEO) / weights.get(other, 1.0) for other in others),
            default=0.0,
        )
        return least * weights.get(share, 1.0)

    def given_back(self, line: str, minutes: float, turns: int, now: float) -> "Shares":
        """The record after a start that did not come to be; `turns` is what the record said before it."""
        share, after = share_in(line), self
        if share in self.used:
            used = self._decayed(now)
            used[share] = max(0.0, used[share] - max(minutes, LEAST_MINUTES))
            after = replace(self, used=used, as_of=now)
        # Most starts that don't come to be find no slot. If they counted, the lower class would have its turn, find no
        # slot, and wait for ten more.
        back = self.turns + turns if _is_lower(line) else self.turns - 1
        return replace(after, turns=min(max(back, 0), LOWER_EVERY - 1))

    def mark(self, line: str, now: float, weights: Mapping[str, float]) -> "Shares":
        """The record after a job came to wait in `line`."""
        if line == DEFAULT_LINE:
            return self
        share, waiting = share_in(line), {share_in(known) for known in self.marked}
        after = replace(self, marked={**self.marked, line: iso(now)})
        if share in waiting or not waiting:
            return after
        used = self._decayed(now)
        least = min(used.get(known, 0.0) / weights.get(known, 1.0) for known in waiting)
        used[share] = max(used.get(share, 0.0), least * weights.get(share, 1.0))
        return replace(after, used=used, as_of=now)

    def stale(self, line: str, now: float) -> bool:
        """Whether the mark of a line is so old that the line may be dropped if no job waits in it."""
        return line in self.marked and self.marked[line] < iso(now - MARK_LASTS)

    def drop(self, line: str, now: float) -> "Shares":
        """The record without a line in which no job waits."""
        marked = {known: at for known, at in self.marked.items() if known != line}
        waiting = {share_in(known) for known in marked}
        used = {
            share: minutes for share, minutes in self._decayed(now).items() if share in waiting or minutes >= FORGOTTEN
        }
        lower = any(map(_is_lower, marked))
        return replace(self, marked=marked, used=used, as_of=now, turns=self.turns if lower else 0)

    def admitted(self, share: str) -> str:
        """The share in which a key of `share` waits: its own, or that of all others if there are too many."""
        known = set(self.used) | {share_in(line) for line in self.marked}
        return share if share in known or len(known) < MOST_SHARES else OTHERS

    def written(self) -> "Shares":
        """The record as it is once the table has it."""
        return replace(self, version=self.version + 1)

    def as_text(self) -> str:
        """The form in the table. As text: DynamoDB takes no empty name in a map, and one share's is empty."""
        known = {
            "marked": dict(self.marked),
            "used": {share: round(minutes, 4) for share, minutes in self.used.items()},
            "as_of": iso(self.as_of),
            "turns": self.turns,
        }
        return json.dumps(known, separators=(",", ":"))

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Shares":
        """The record in the scheduler's item of the table."""
        known = json.loads(item.get("shares", "{}"))
        return cls(
            marked=known.get("marked", {}),
            used=known.get("used", {}),
            as_of=seconds_of(known["as_of"]) if known else 0.0,
            turns=known.get("turns", 0),
            version=int(item.get("shares_version", 0)),
        )


def share_of(key: str, share_by: str, prefixes: Iterable[str]) -> str:
    """The share of an object by its key.

    Args:
        key: the object's.
        share_by: the setting: empty, ``route`` (the longest of `prefixes` that the key begins with), or ``prefix:N``
            (the key's first N folders, with their slashes).
        prefixes: of the routes.
    """
    if share_by == "route":
        return max((prefix for prefix in prefixes if key.startswith(prefix)), key=len, default=ONE_SHARE)
    if share_by:
        folders = key.split("/")[:-1][: int(share_by.partition(":")[2])]
        return "".join(f"{folder}/" for folder in folders)
    return ONE_SHARE


def share_in(line: str) -> str:
    """The share of a line."""
    return line.partition("#")[2]


def _is_lower(line: str) -> bool:
    return line.startswith(f"{BACKFILL}#")
