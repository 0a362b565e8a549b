"""A Rekognition that says no: limits, rates, throttling, failures, and notifications that go astray.

Defaults are AWS's own quotas; everything else is off. Chances are drawn from the seed and from what they are drawn for
(a call's number, a job's identity), never from the clock or from the order of threads: the same seed and the same calls
give the same history.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rekognition_local.catalogue import BY_GET, BY_START, OPERATIONS
from rekognition_local.errors import KNOWN, nearest

DAY = 86_400.0

#: StatusMessages of jobs that FAIL. The lasting one is AWS's; a passing one has never been captured, so this is the
#: text of its InternalServerError.
PASSING = "Internal server error"
LASTING = "Unsupported codec/format."


def _fault(default: Any, kind: str, help: str) -> Any:
    """A setting: what values it takes (a word of ``_KINDS``), and what ``--help`` says of it."""
    return field(default=default, metadata={"kind": kind, "help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Which faults occur, and how often. Raises ValueError, naming setting and value, for an invalid setting."""

    seed: int = _fault(0, "integer", "same seed, same history")

    # Quotas: AWS's defaults.
    max_running: int = _fault(20, "count", "jobs that may run at a time, over all analyses")
    start_per_second: float | None = _fault(5.0, "rate", "calls of each Start operation per second ('none': no limit)")
    get_per_second: float | None = _fault(20.0, "rate", "calls of each Get operation per second ('none': no limit)")
    page_token_seconds: float = _fault(DAY, "seconds", "life of a NextToken")
    result_seconds: float = _fault(7 * DAY, "seconds", "how long results can be asked for after the job's end")
    request_token_seconds: float = _fault(7 * DAY, "seconds", "life of a ClientRequestToken")

    # Calls that are refused or lost though nothing is wrong with them.
    ramp: int | None = _fault(None, "optional count", "calls one second may hold more than the one before it")
    throttled: float = _fault(0.0, "fraction", "calls answered ThrottlingException (400)")
    unavailable: float = _fault(0.0, "fraction", "calls answered ThrottlingException (500)")
    internal_errors: float = _fault(0.0, "fraction", "calls answered InternalServerError, nothing done")
    lost_answers: float = _fault(0.0, "fraction", "calls carried out, and then answered InternalServerError")
    error_operations: str = _fault(
        "", "operations", "only these operations (comma-separated; empty: all) for the above"
    )
    slow: float = _fault(1.0, "fraction", "calls that are slow, where slow_seconds is set")
    slow_seconds: float = _fault(0.0, "seconds", "what a slow answer takes")
    outage: bool = _fault(False, "switch", "every call is answered 503")

    # Jobs that FAIL.
    fail_passing: float = _fault(0.0, "fraction", "jobs that fail for a reason that passes")
    fail_lasting: float = _fault(0.0, "fraction", "objects whose every job fails")
    fail_passing_keys: str = _fault("", "text", "objects whose key matches this pattern (as in a shell) fail ...")
    fail_passing_times: int = _fault(1, "count", "... so many times, and then succeed")
    fail_lasting_keys: str = _fault("", "text", "objects whose key matches this pattern fail every time")

    # Completion messages.
    notify_dropped: float = _fault(0.0, "fraction", "jobs whose completion message never comes")
    notify_twice: float = _fault(0.0, "fraction", "jobs whose completion message comes a second time ...")
    notify_twice_seconds: float = _fault(5.0, "seconds", "... so much later")
    notify_late: float = _fault(0.0, "fraction", "jobs whose completion message comes late ...")
    notify_late_seconds: float = _fault(60.0, "seconds", "... by so much")

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            problem = _problem(setting.metadata["kind"], getattr(self, setting.name))
            if problem:
                raise ValueError(f"{setting.name}={getattr(self, setting.name)!r}: {problem}")

    @classmethod
    def off(cls, **changes: Any) -> Faults:
        """No rates and no limit of jobs: for tests of other behaviour."""
        return cls(**{"max_running": 1_000_000, "start_per_second": None, "get_per_second": None} | changes)

    def changed(self, changes: Mapping[str, Any]) -> Faults:
        """These settings with *changes*. Raises ValueError for an unknown name, with the nearest known one."""
        names = [setting.name for setting in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                raise ValueError(f"unknown fault {name!r}{nearest(name, names)}")
        return dataclasses.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def concern(self, operation: str) -> bool:
        """Whether refused and lost calls include *operation*."""
        return not self.error_operations or operation in self.error_operations.split(",")

    def per_second(self, operation: str) -> float | None:
        """The rate of *operation*; collections have none here."""
        if operation in BY_GET:
            return self.get_per_second
        return self.start_per_second if operation in BY_START else None

    def chance(self, fraction: float, kind: str, *identity: object) -> bool:
        """Whether what happens to *fraction* of all happens to this one: always the same answer for one seed."""
        if not fraction:
            return False
        text = "\0".join([str(self.seed), kind, *map(str, identity)])
        draw = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        return draw < fraction * 2**64


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS = {
    "integer": ("is not a whole number", _whole),
    "count": ("is not a whole number of 0 or more", lambda value: _whole(value) and value >= 0),
    "optional count": (
        "is neither a whole number of 0 or more nor null",
        lambda value: value is None or (_whole(value) and value >= 0),
    ),
    "rate": (
        "is neither a number of 0 or more nor null (no limit)",
        lambda value: value is None or (_number(value) and value >= 0),
    ),
    "seconds": ("is not a number of seconds, 0 or more", lambda value: _number(value) and value >= 0),
    "fraction": ("is not a fraction from 0 to 1", lambda value: _number(value) and 0 <= value <= 1),
    "switch": ("is neither true nor false", lambda value: isinstance(value, bool)),
    "text": ("is not text", lambda value: isinstance(value, str)),
    "operations": ("is not a comma-separated text of operations", lambda value: isinstance(value, str)),
}


def _problem(kind: str, value: Any) -> str | None:
    sentence, fits = _KINDS[kind]
    if not fits(value):
        return sentence
    if kind == "operations":
        for name in filter(None, value.split(",")):
            if name not in OPERATIONS:
                return f"no operation {name!r}{nearest(name, OPERATIONS)}"
    return None


@dataclass(slots=True)
class Injection:
    """So many of the next calls of an operation are refused: what a test says when chance won't do.

    ``after`` calls go through first. ``carried_out``: the call is done and only its answer is lost.
    """

    operation: str
    error_code: str
    times: int = 1
    after: int = 0
    carried_out: bool = False
    status: int | None = None

    def __post_init__(self) -> None:
        if self.operation != "*" and self.operation not in OPERATIONS:
            raise ValueError(f"no operation {self.operation!r}{nearest(self.operation, [*OPERATIONS, '*'])}")
        if self.error_code not in KNOWN:
            raise ValueError(f"no error {self.error_code!r}{nearest(self.error_code, KNOWN)}")
        for name, least in {"times": 1, "after": 0}.items():
            if not _whole(getattr(self, name)) or getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)!r}: is not a whole number of {least} or more")
        if self.status is not None and (not _whole(self.status) or not 400 <= self.status <= 599):
            raise ValueError(f"status={self.status!r}: is not an HTTP status from 400 to 599")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Injection:
        """Raises ValueError for unknown and missing names."""
        names = [setting.name for setting in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise ValueError(f"unknown member {name!r}{nearest(name, names)}")
        for name in ("operation", "error_code"):
            if not isinstance(values.get(name), str):
                raise ValueError(f"{name} is missing, or not text")  # noqa: TRY004  one error for every bad value
        return cls(**values)


class Script:
    """Injections, first come first served. Not thread-safe: the service asks under its lock."""

    def __init__(self) -> None:
        self._queue: list[Injection] = []

    def add(self, injection: Injection) -> None:
        self._queue.append(injection)

    def next(self, operation: str) -> Injection | None:
        """What this call of *operation* runs into, if anything; counts it."""
        for injection in self._queue:
            if injection.operation not in ("*", operation):
                continue
            if injection.after:
                injection.after -= 1
                continue
            injection.times -= 1
            if not injection.times:
                self._queue.remove(injection)
            return injection
        return None

    def __len__(self) -> int:
        return len(self._queue)


class Rate:
    """At most so many calls in any second that ends now. Times are the service's clock's; never runs backwards."""

    def __init__(self) -> None:
        self._accepted: deque[float] = deque()

    def take(self, now: float, per_second: float | None) -> bool:
        """Whether one more call fits; if so it counts. ``None``: no limit. Below 1: one in so many seconds."""
        if per_second is None:
            return True
        if per_second == 0:
            return False
        window = max(1.0, 1 / per_second)
        while self._accepted and self._accepted[0] <= now - window:
            self._accepted.popleft()
        if len(self._accepted) + 1 > per_second * window:
            return False
        self._accepted.append(now)
        return True


class Ramp:
    """Refuses calls that come much faster than the second before: at most *more* calls above its number."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()

    def take(self, now: float, more: int | None) -> bool:
        """Whether the call is within the ramp; refused calls count too, as load they are."""
        if more is None:
            return True
        while self._calls and self._calls[0] <= now - 2:
            self._calls.popleft()
        before = _count_until(self._calls, now - 1)
        self._calls.append(now)
        return len(self._calls) - before <= before + more


def _count_until(times: Iterable[float], end: float) -> int:
    return sum(1 for time in times if time <= end)
