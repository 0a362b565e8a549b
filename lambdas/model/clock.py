"""The only source of time, so that tests and benches can let days pass in milliseconds."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait `seconds`."""
        time.sleep(seconds)


def seconds_of(text: str) -> float:
    """Seconds since 1970 of an ISO time: the opposite of ``iso``."""
    return datetime.fromisoformat(text).timestamp()


def iso(seconds: float) -> str:
    """`seconds` since 1970 as text that sorts like time: ``2026-11-22T23:57:20.123Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
