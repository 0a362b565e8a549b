"""Starts no faster than Rekognition allows: 5 a second in most regions, for the whole account.

Usually slots come free more slowly. Where the account has hundreds of slots, they may come free faster: then each
completion would find Start throttled, and many invocations calling again and again would be a storm in which still only
5 a second succeed. So an invocation that is throttled notes the time, and goes on until there is no free slot. An
invocation that comes within the next seconds leaves its slot to it; one that comes later does not trust that the other
is still there, and fills all free slots itself.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from lambdas.aws.job_table import Jobs
from lambdas.aws.telemetry import Count, count
from lambdas.model.clock import Clock, iso
from lambdas.model.errors import SlowDown

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 1.6  # seconds after "slow down", give or take a half
TRIES = 6  # of one start; then other programs in the account are that busy, and the next tick continues
NOTE_HOLDS = 2.0  # seconds in which others leave their slots to the invocation that was throttled


class Pacer:
    """The pace of one invocation.

    Args:
        known: the scheduler's item in the table.
    """

    def __init__(self, jobs: Jobs, clock: Clock, known: Mapping[str, Any]) -> None:
        self._jobs = jobs
        self._clock = clock
        self._noted: str = known.get("throttled_at", "")
        self._throttled: bool = self._noted > known.get("refused_at", "")

    @property
    def left_to_others(self) -> bool:
        """Whether an invocation was throttled just now: it fills the slots of others too."""
        return self._noted > iso(self._clock.now() - NOTE_HOLDS)

    @property
    def fills_all(self) -> bool:
        """Whether slots may be free that others have left: since this invocation or another one was throttled, no
        Start was refused for want of a slot."""
        return self._throttled

    def start(self, start: Callable[[], bool], enough_time: Callable[[], bool]) -> bool:
        """What `start` says, which is called again after a pause while it is throttled.

        The claim is kept meanwhile: to return it and claim the job again would write the month's charges twice more.

        Raises:
            SlowDown: it is throttled for long, or there isn't time to call it again.
        """
        pause = FIRST_PAUSE
        for tries in range(1, TRIES + 1):
            try:
                return start()
            except SlowDown:
                self._note()
                if tries == TRIES or not enough_time():
                    raise
            self._clock.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError  # the last try returns or raises

    def _note(self) -> None:
        count(Count.STARTS_THROTTLED)
        self._throttled = True
        if not self.left_to_others:
            self._noted = self._jobs.note_throttled()
