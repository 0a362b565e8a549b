"""A short run of what ``make histories`` does ten thousand times, and a proof that the machine finds bugs."""

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.__main__ import profile
from tests.histories.machine import Histories
from tests.histories.on_moto import OnMoto, OnTheStandIn
from tests.histories.planted import BUGS, hunt

CAUGHT_SOON = (
    "a random token",
    "a token without the attempt",
    "the version is not pinned",
    "the settings are not asked",
    "one video's trouble ends the fill",
    "what is blocked is never probed",
    "overdue jobs are not polled",
    "entries of PutEvents",
    "the first three pages only",
)


def test_every_promise_holds_in_generated_histories() -> None:
    run_state_machine_as_test(seed(1)(Histories), settings=profile(150))


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in CAUGHT_SOON], ids=lambda bug: bug.name)
def test_a_planted_bug_breaks_a_promise(bug) -> None:
    promise, _ = hunt(bug, histories=500)

    assert promise in bug.breaks


def test_the_same_histories_leave_the_same_behind_on_moto_and_on_the_stand_in() -> None:
    left: dict[type[OnTheStandIn], list[str]] = {OnTheStandIn: [], OnMoto: []}
    for machine, texts in left.items():
        machine.left_behind = texts
        run_state_machine_as_test(seed(2)(machine), settings=profile(12))

    assert len(left[OnMoto]) >= 12
    assert left[OnMoto] == left[OnTheStandIn]
