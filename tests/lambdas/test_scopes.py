"""What is known of a scope, and what each fault and each success makes of it: no service, only values."""

import json
from dataclasses import replace

import pytest

from lambdas.model import blocking
from lambdas.model.blocking import MOST_IN_A_ROW, TOLERANCE_LASTS, Scope, scopes_in, worth_keeping
from lambdas.model.clock import iso

NOW = 1_800_000_000.0


def met(scope: Scope, *videos: str, now: float = NOW) -> Scope:
    """After a job of each of `videos` met a fault; the job is named after its video."""
    for video in videos:
        scope = scope.met_by(f"job of {video}", video, "no", now)
    return scope


def test_three_different_videos_in_a_row_block() -> None:
    two = met(Scope(), "a", "b")
    three = met(two, "c", now=NOW + 5)

    assert (two.blocked, two.since) == (False, None)
    assert (three.blocked, three.since, three.reason, three.told) == (True, iso(NOW + 5), "no", False)
    assert three.suspects == ("job of a", "job of b", "job of c")


def test_several_jobs_of_one_video_are_one_video() -> None:
    scope = Scope()
    for job in ("1", "2", "3", "4"):
        scope = scope.met_by(job, "a", "no", NOW)

    assert not scope.blocked
    assert scope.suspects == ("1", "2", "3", "4")
    assert met(scope, "b", "c").blocked


def test_a_job_is_a_suspect_once() -> None:
    scope = met(Scope(), "a", "b")

    assert scope.met_by("job of a", "a third one", "no", NOW) is scope


def test_a_blocked_scope_takes_no_more_suspects_and_keeps_its_time_and_reason() -> None:
    scope = met(Scope(), "a", "b", "c")

    assert met(scope, "d", now=NOW + 60) is scope
    assert scope.block("another", NOW + 60) is scope


def test_a_fault_of_the_account_blocks_at_once_and_is_not_told_yet() -> None:
    scope = replace(Scope(), told=True).block("a right", NOW)

    assert (scope.since, scope.reason, scope.told) == (iso(NOW), "a right", False)


def test_a_key_of_any_characters_and_length_is_remembered_in_16() -> None:
    scope = met(Scope(), "x" * 1024, "\ud800")

    assert [len(digest) for digest in scope.videos] == [16, 16]
    assert len(set(scope.videos)) == 2


def test_the_newest_words_of_the_fault_are_kept() -> None:
    scope = Scope().met_by("1", "a", "first", NOW).met_by("2", "b", "second", NOW)

    assert scope.reason == "second"


def test_a_success_clears_all_and_notes_its_time() -> None:
    assert met(Scope(), "a").succeed(NOW) == Scope(succeeded_at=iso(NOW))


def test_each_block_that_a_success_ends_doubles_what_it_takes_up_to_a_limit() -> None:
    scope, tolerances = Scope(), []
    for _ in range(8):
        scope = scope.block("no", NOW).succeed(NOW)
        tolerances.append(scope.tolerance)

    assert tolerances == [6, 12, 24, 48, 96, 192, 192, 192]
    assert MOST_IN_A_ROW == 192


def test_a_success_without_a_block_changes_no_tolerance() -> None:
    assert met(Scope(tolerance=6), "a").succeed(NOW).tolerance == 6


@pytest.mark.parametrize(
    ("suspected_at", "succeeded_at", "cleared"),
    [
        (None, iso(NOW), False),
        (iso(NOW), None, False),
        (iso(NOW), iso(NOW + 1), True),
        (iso(NOW), iso(NOW), True),
        (iso(NOW + 1), iso(NOW), False),
    ],
)
def test_a_suspicion_is_cleared_by_a_success_in_its_millisecond_or_after_it(
    suspected_at: str | None, succeeded_at: str | None, cleared: bool
) -> None:
    assert Scope(succeeded_at=succeeded_at).cleared_since(suspected_at) is cleared


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        met(Scope(), "a", "b"),
        replace(met(Scope(), "a", "b", "c"), told=True),
        Scope().block("no", NOW).succeed(NOW + 1),
    ],
)
def test_the_table_gives_back_what_was_stored(scope: Scope) -> None:
    item = json.loads(json.dumps({"scopes": {"videos": scope.as_item()}}))

    assert scopes_in(item) == {"videos": scope}


def test_what_is_not_known_is_not_stored() -> None:
    assert Scope().as_item() == {"tolerance": 3}
    assert scopes_in({}) == {}


def test_an_item_without_anything_is_a_scope_of_which_nothing_is_known() -> None:
    assert Scope.from_item({}) == Scope()


def test_a_long_reason_is_cut_for_the_table() -> None:
    assert Scope().block("x" * 1001, NOW).as_item()["reason"] == "x" * 1000


def test_what_was_learnt_of_a_scope_that_is_well_is_dropped_after_a_day() -> None:
    scopes = {
        "blocked": Scope().block("no", NOW - 10 * TOLERANCE_LASTS),
        "suspected": met(Scope(), "a"),
        "opened lately": Scope(succeeded_at=iso(NOW - TOLERANCE_LASTS + 1)),
        "opened a day ago": Scope(succeeded_at=iso(NOW - TOLERANCE_LASTS)),
        "nothing": Scope(),
    }

    assert list(worth_keeping(scopes, NOW)) == ["blocked", "suspected", "opened lately"]
    assert TOLERANCE_LASTS == 24 * 3600


def test_a_job_may_meet_the_fault_twice_before_it_is_its_own() -> None:
    assert blocking.OWN_FAULT_AFTER == 2


def test_scopes_that_are_no_analysis_have_names_that_stay() -> None:
    assert (blocking.VIDEOS, blocking.RESULTS) == ("videos", "results")  # stored, and shown by status
