"""A MediaConvert that says no, fails, or whose events go astray: for tests. Off unless asked for: PUT /_faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.mediaconvert.protocol import error_codes
from rekognition_local.errors import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Counts are of what happens next, and go down by one each time. Raises ValueError, naming setting and value.

    Attributes:
        create_refused: error code with which CreateJob is refused, such as AccessDeniedException,
            SubscriptionRequiredException (not enabled for the account or in the region), TooManyRequestsException.
        creates_refused: so many times; -1: until it is changed.
        answers_lost: CreateJobs that are carried out, and answered InternalServerErrorException.
        events_dropped: ends of jobs that no event tells of.
        events_twice: ends of jobs that two events tell of.
        fail_keys: jobs whose input key matches this pattern (as in a shell) end with ERROR ...
        fail_code: ... this code ...
        fail_message: ... and these words ...
        fails: ... so many times; -1: each time.
        least_seconds: a job takes at least as long.
    """

    create_refused: str = "AccessDeniedException"
    creates_refused: int = 0
    answers_lost: int = 0
    events_dropped: int = 0
    events_twice: int = 0
    fail_keys: str = ""
    fail_code: int = 1999
    fail_message: str = "Unexpected transcoding error. Contact AWS Support."
    fails: int = -1
    least_seconds: float = 0.0

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            value: Any = getattr(self, setting.name)
            least = -1 if setting.name in ("creates_refused", "fails") else 0
            kinds, wanted = {
                "str": (str, "text"),
                "int": (int, f"a whole number of {least} or more"),
                "float": (int | float, "a number of 0 or more"),
            }[str(setting.type)]
            fits = isinstance(value, kinds) and not isinstance(value, bool)
            if not fits or (not isinstance(value, str) and not least <= value < float("inf")):
                raise ValueError(f"{setting.name}={value!r}: is not {wanted}")
        if self.create_refused not in error_codes():
            raise ValueError(f"create_refused={self.create_refused!r}{nearest(self.create_refused, error_codes())}")

    def changed(self, changes: Mapping[str, Any]) -> Faults:
        """Raises ValueError for an unknown name, with the nearest known one."""
        names = [setting.name for setting in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                raise ValueError(f"unknown fault {name!r}{nearest(name, names)}")
        return dataclasses.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
