"""Whose fault is it: telling a bad video from an account in which nothing can be started. Pure decisions.

Some refusals meet one video or all of them: S3's 403, a KMS key's, Rekognition's InvalidS3ObjectException and
InvalidParameterException. The scheduler can't see which from one of them, but from several:

- A job that meets such a fault is REJECTED at once, and remembered as a *suspect* of the fault's *scope*: ``videos``
  where any analysis would meet it, else the analysis.
- Several different videos in a row: the fault is the account's. The scope is *blocked*: its jobs wait, the suspects go
  back to the backlog, and the tick probes one job a minute.
- The first success in the scope opens it, and the suspects go back to the backlog. One that meets the fault again and
  again, each time with a success after it, is at fault itself: it stays REJECTED.

A refusal of the call itself (AccessDeniedException) is no video's: it blocks at once and rejects nothing.

A run of truly bad videos looks like the account's for a while. Each time that this turns out, more of them in a row are
needed the next time, so a thousand bad ones take a dozen probes and not a thousand.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lambdas.model.clock import iso

VIDEOS = "videos"  # the scope of a fault that meets every video, whatever its analysis
RESULTS = "results"  # the scope that is blocked while results wait to be collected

VIDEOS_IN_A_ROW = 3  # different videos until a scope is blocked
MOST_IN_A_ROW = 192  # the list of suspects is part of one item of 400 KB
OWN_FAULT_AFTER = 2  # times that a job met the fault and others succeeded; the next time is its own
TOLERANCE_LASTS = 86400.0  # seconds after which what was learnt of a scope is dropped


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known of one scope.

    Attributes:
        reason: the fault's words.
        since: ISO time since when it is blocked; None if it isn't.
        suspects: job ids of jobs that met the fault since the last success.
        videos: digests of the different videos that these are of.
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
        """Whether nothing in this scope is started but probes."""
        return self.since is not None

    def met_by(self, job_id: str, video: str, reason: str, now: float) -> "Scope":
        """After `job_id`, of that `video`, met a fault that may be its own."""
        if self.blocked or job_id in self.suspects:
            return self
        # A digest: a key may have 1,024 bytes, and this is stored.
        digest = hashlib.sha256(video.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        videos = self.videos if digest in self.videos else (*self.videos, digest)
        more = replace(self, reason=reason, suspects=(*self.suspects, job_id), videos=videos)
        return more.block(reason, now) if len(videos) >= self.tolerance else more

    def block(self, reason: str, now: float) -> "Scope":
        """After a fault that is certainly the account's."""
        return self if self.blocked else replace(self, reason=reason, since=iso(now), told=False)

    def succeed(self, now: float) -> "Scope":
        """After a success: nothing is blocked, and there are no suspects."""
        tolerance = min(2 * self.tolerance, MOST_IN_A_ROW) if self.blocked else self.tolerance
        return Scope(tolerance=tolerance, succeeded_at=iso(now))

    def cleared_since(self, then: str | None) -> bool:
        """Whether a success has cleared what was suspected at that time."""
        return bool(then and self.succeeded_at and then <= self.succeeded_at)

    def as_item(self) -> dict[str, Any]:
        """For the table: nothing but text, numbers, lists and flags."""
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
    """What the scheduler's item of the table knows, by scope."""
    return {name: Scope.from_item(known) for name, known in item.get("scopes", {}).items()}


def worth_keeping(scopes: Mapping[str, Scope], now: float) -> dict[str, Scope]:
    """`scopes` without those that have been well for a day."""
    since = iso(now - TOLERANCE_LASTS)
    return {
        name: scope
        for name, scope in scopes.items()
        if scope.blocked or scope.suspects or (scope.succeeded_at or "") > since
    }
