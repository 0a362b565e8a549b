"""Tells a fault of one video from a fault of the account, in which no job can be started. Pure decisions.

Some refusals concern one video or all of them: S3's 403, a KMS key's, Rekognition's InvalidS3ObjectException and
InvalidParameterException. The scheduler can't see which from one of them, but from several:

- A job with such a fault is REJECTED at once, and recorded as a *suspect* in the fault's *scope*: ``videos`` if every
  analysis would fail, else the analysis.
- Several different videos in a row: the fault is the account's. The scope is *blocked*: its jobs wait, the suspects go
  back to the backlog, and the tick probes one job a minute.
- The first success in the scope opens it, and the suspects go back to the backlog. A suspect that fails again and
  again, each time with a success after it, has the fault itself: it stays REJECTED.

A refusal of the call itself (AccessDeniedException) can't be a video's fault: it blocks at once and rejects no job.

A run of bad videos looks like a fault of the account for a while. Each time this happens, the next block needs more of
them in a row, so a thousand bad videos take a dozen probes and not a thousand.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lambdas.model.clock import iso

VIDEOS = "videos"  # the scope of a fault that concerns every analysis
RESULTS = "results"  # the scope that is blocked while results wait to be collected
CONVERSION = "conversion"  # the scope of a fault that concerns every conversion, and no Start

VIDEOS_IN_A_ROW = 3  # different videos until a scope is blocked
MOST_IN_A_ROW = 192  # the list of suspects is part of one item of 400 KB
OWN_FAULT_AFTER = 2  # times that a job may fail while others succeed; after the next failure it stays REJECTED
TOLERANCE_LASTS = 86400.0  # seconds after which the record of a scope is dropped


@dataclass(frozen=True, slots=True)
class Scope:
    """The record of one scope.

    Attributes:
        reason: the fault's words.
        since: ISO time since when it is blocked; None if it isn't.
        suspects: ids of jobs that failed with the fault since the last success.
        videos: digests of these jobs' videos, each once.
        tolerance: how many different videos in a row block it.
        succeeded_at: ISO time of the last success that cleared suspects or a block; None if there was none.
        told: whether the block was announced.
    """

    reason: str = ""
    since: str | None = None
    suspects: Sequence[str] = ()
    videos: Sequence[str] = ()
    tolerance: int = VIDEOS_IN_A_ROW
    succeeded_at: str | None = None
    told: bool = False

    @property
    def blocked(self) -> bool:
        """Whether the scheduler starts only probes in this scope."""
        return self.since is not None

    def met_by(self, job_id: str, video: str, reason: str, now: float) -> "Scope":
        """The record after `job_id`, of that `video`, failed with a fault that may be its own."""
        if self.blocked or job_id in self.suspects:
            return self
        # A digest: a key may have 1,024 bytes, and this is stored.
        digest = hashlib.sha256(video.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        videos = self.videos if digest in self.videos else (*self.videos, digest)
        more = replace(self, reason=reason, suspects=(*self.suspects, job_id), videos=videos)
        return more.block(reason, now) if len(videos) >= self.tolerance else more

    def block(self, reason: str, now: float) -> "Scope":
        """The record after a fault that is certainly the account's."""
        return self if self.blocked else replace(self, reason=reason, since=iso(now), told=False)

    def succeed(self, now: float) -> "Scope":
        """The record after a success: not blocked, no suspects."""
        tolerance = min(2 * self.tolerance, MOST_IN_A_ROW) if self.blocked else self.tolerance
        return Scope(tolerance=tolerance, succeeded_at=iso(now))

    def cleared_since(self, then: str | None) -> bool:
        """Whether a success has cleared the suspects of that time."""
        return bool(then and self.succeeded_at and then <= self.succeeded_at)

    def as_item(self) -> dict[str, Any]:
        """The form in the table: only text, numbers, lists and flags."""
        known = {
            "reason": self.reason[:1000] or None,
            "since": self.since,
            "suspects": list(self.suspects) or None,
            "videos": list(self.videos) or None,
            "tolerance": self.tolerance,
            "succeeded_at": self.succeeded_at,
            "told": self.told or None,
        }
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Scope":
        """The opposite of ``as_item``."""
        return cls(
            reason=item.get("reason", ""),
            since=item.get("since"),
            suspects=tuple(item.get("suspects", ())),
            videos=tuple(item.get("videos", ())),
            tolerance=int(item.get("tolerance", VIDEOS_IN_A_ROW)),
            succeeded_at=item.get("succeeded_at"),
            told=bool(item.get("told")),
        )


def scopes_in(item: Mapping[str, Any]) -> dict[str, Scope]:
    """The scopes in the scheduler's item of the table, by name."""
    return {name: Scope.from_item(known) for name, known in item.get("scopes", {}).items()}


def worth_keeping(scopes: Mapping[str, Scope], now: float) -> dict[str, Scope]:
    """`scopes` without those that had no fault for a day."""
    since = iso(now - TOLERANCE_LASTS)
    return {
        name: scope
        for name, scope in scopes.items()
        if scope.blocked or scope.suspects or (scope.succeeded_at or "") > since
    }
