"""Who comes first: class, share, position. The pure decisions, and what the functions make of them."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambdas.model.clock import iso
from lambdas.model.shares import (
    DEFAULT_LINE,
    FORGOTTEN,
    HALF_LIFE,
    LEAST_MINUTES,
    LOWER_EVERY,
    MARK_EVERY,
    MARK_LASTS,
    MOST_SHARES,
    ONE_SHARE,
    OTHERS,
    PRIORITIES,
    Shares,
    line_of,
    share_of,
)
from rekognition_local import Faults, Simulated
from tests.fake_aws import World, world as moto_world
from tests.fast_fake.world import StandInWorld, standin_world

NOW = 1.8e9
A, B, C = (line_of("live", share) for share in ("a/", "b/", "c/"))
LATER = line_of("backfill", "")


def marked(*lines: str, **used: float) -> Shares:
    shares = Shares()
    for line in lines:
        shares = shares.mark(line, NOW, {})
    return replace(shares, used={f"{name}/": minutes for name, minutes in used.items()}, as_of=NOW)


class TestTheOrder:
    def test_without_classes_and_shares_there_is_one_line(self) -> None:
        assert Shares().lines(NOW, {}) == [DEFAULT_LINE]

    def test_live_comes_before_backfill(self) -> None:
        assert marked(LATER).lines(NOW, {}) == [DEFAULT_LINE, LATER]

    def test_the_share_with_the_fewest_used_minutes_comes_first(self) -> None:
        assert marked(A, B, C, a=3, b=1, c=2).lines(NOW, {}) == [DEFAULT_LINE, B, C, A]

    def test_minutes_count_in_proportion_to_the_weight(self) -> None:
        shares = marked(A, B, a=3, b=2)

        assert shares.lines(NOW, {"a/": 2})[1:] == [A, B]
        assert shares.lines(NOW, {"a/": 1.4})[1:] == [B, A]

    def test_minutes_count_half_after_a_half_life(self) -> None:
        shares = marked(A, B, a=4).started(B, 1.9, NOW + HALF_LIFE)

        assert shares.used["a/"] == pytest.approx(2)
        assert shares.lines(NOW + HALF_LIFE, {})[1:] == [B, A]

    def test_the_class_comes_before_the_share(self) -> None:
        late = line_of("backfill", "b/")

        assert marked(A, late, a=100).lines(NOW, {}) == [DEFAULT_LINE, A, late]


class TestTheLowerClass:
    def test_gets_every_tenth_start_while_both_wait(self) -> None:
        shares, starts = marked(LATER), []
        for _ in range(40):
            line = shares.lines(NOW, {})[0]
            shares = shares.started(line, 1, NOW)
            starts.append(line)

        assert [number for number, line in enumerate(starts, 1) if line == LATER] == [10, 20, 30, 40]
        assert LOWER_EVERY == 10

    def test_is_not_counted_while_nothing_waits_in_it(self) -> None:
        shares = Shares()
        for _ in range(20):
            shares = shares.started(DEFAULT_LINE, 1, NOW)

        assert shares == Shares()

    def test_begins_its_count_anew_after_it_was_empty(self) -> None:
        shares = marked(LATER)
        for _ in range(5):
            shares = shares.started(DEFAULT_LINE, 1, NOW)

        assert shares.turns == 5
        assert shares.drop(LATER, NOW).turns == 0


class TestAShareThatComesBack:
    def test_starts_with_no_less_than_the_least_of_those_that_wait(self) -> None:
        shares = marked(A, B, a=100, b=60).mark(C, NOW, {})

        assert shares.used["c/"] == 60

    def test_keeps_what_it_has_used_if_that_is_more(self) -> None:
        shares = marked(A, a=100, c=120).mark(C, NOW, {})

        assert shares.used["c/"] == 120

    def test_is_measured_by_its_weight(self) -> None:
        assert marked(A, a=100).mark(C, NOW, {"c/": 3}).used["c/"] == 300

    def test_has_its_line_in_the_other_class_counted_too(self) -> None:
        shares = marked(A, B, a=5, b=50).mark(line_of("backfill", "a/"), NOW, {})

        assert shares.used["a/"] == 5


def test_the_default_line_which_is_not_recorded_is_never_more_than_the_longest_video_behind_the_others() -> None:
    shares, weights, starts = marked(A, B, a=9_000, b=4_000), {"": 2}, 0
    while shares.lines(NOW, weights)[0] == DEFAULT_LINE:
        shares = shares.started(DEFAULT_LINE, 10, NOW, weights)
        starts += 1

    assert starts == 73
    assert shares.used[""] == pytest.approx(2 * (4_000 - 360) + 73 * 10)


def test_a_start_that_did_not_come_to_be_is_given_back() -> None:
    shares = marked(A, B, a=10, b=12)

    assert shares.started(A, 5, NOW).given_back(A, 5, 0, NOW).used == shares.used
    assert shares.given_back(A, 50, 0, NOW).used["a/"] == 0
    assert shares.given_back(C, 5, 0, NOW) == shares


def test_a_start_that_finds_no_slot_does_not_take_the_lower_classs_turn() -> None:
    shares = replace(marked(LATER), turns=LOWER_EVERY - 1)

    assert shares.started(LATER, 1, NOW).given_back(LATER, 1, shares.turns, NOW).turns == shares.turns
    fewer = replace(shares, turns=4)
    assert fewer.started(DEFAULT_LINE, 1, NOW).given_back(DEFAULT_LINE, 1, 4, NOW).turns == 4


def test_an_old_line_without_jobs_is_dropped_and_its_used_minutes_decay_away() -> None:
    shares = marked(A, B, a=10, b=10)

    assert not shares.stale(A, NOW + MARK_LASTS - 1)
    assert shares.stale(A, NOW + MARK_LASTS + 1)
    soon, late = shares.drop(A, NOW), shares.drop(A, NOW + 20 * HALF_LIFE)
    assert (set(soon.marked), set(soon.used)) == ({B}, {"a/", "b/"})
    assert set(late.used) == {"b/"}


def test_beyond_a_hundred_shares_a_key_waits_with_the_others() -> None:
    lines = [line_of("live", f"{number}/") for number in range(MOST_SHARES)]
    shares = marked(*lines)

    assert shares.admitted("7/") == "7/"
    assert shares.admitted("new/") == OTHERS


class TestTheForecast:
    def test_takes_the_shares_in_turn_and_each_lines_jobs_in_their_order(self) -> None:
        shares = marked(A, B, a=3, b=0)
        waiting = {A: [("a1", 2.0), ("a2", 1.0)], B: [("b1", 2.0), ("b2", 2.0), ("b3", 9.0)], C: []}

        assert list(shares.forecast(waiting, NOW, {})) == ["b1", "b2", "a1", "b3", "a2"]

    def test_weighs_the_shares(self) -> None:
        waiting = {A: [("a1", 1.0), ("a2", 1.0)], B: [("b1", 1.0), ("b2", 1.0)]}

        assert list(marked(A, B).forecast(waiting, NOW, {"b/": 3.0})) == ["a1", "b1", "b2", "a2"]

    def test_counts_half_of_what_was_used_a_half_life_ago(self) -> None:
        shares = marked(A, B, a=4).started(B, 3, NOW)
        waiting = {A: [("a1", 1.0)], B: [("b1", 0.9), ("b2", 1.0)]}

        assert list(shares.forecast(waiting, NOW + HALF_LIFE, {})) == ["b1", "a1", "b2"]

    def test_gives_the_lower_class_its_turn(self) -> None:
        live = [(f"live{number}", 1.0) for number in range(12)]

        order = list(marked(LATER).forecast({DEFAULT_LINE: live, LATER: [("old", 1.0)]}, NOW, {}))

        assert order.index("old") == LOWER_EVERY - 1
        assert len(order) == 13

    def test_counts_no_turns_for_a_lower_class_that_is_through(self) -> None:
        live = [(f"live{number}", 1.0) for number in range(12)]
        shares = replace(marked(LATER, A), turns=LOWER_EVERY - 1)

        order = list(shares.forecast({LATER: [("old", 1.0)], DEFAULT_LINE: live, A: [("a", 1.0)]}, NOW, {}))

        assert order[:2] == ["old", "live0"]

    def test_counts_no_turns_for_a_line_in_which_nothing_waits_any_more(self) -> None:
        live = [(f"live{number}", 1.0) for number in range(3)]
        shares = replace(marked(LATER), turns=LOWER_EVERY - 3)

        order = list(shares.forecast({DEFAULT_LINE: live, LATER: []}, NOW, {}))

        assert order == ["live0", "live1", "live2"]

    def test_counts_turns_for_a_lower_class_that_is_not_recorded_yet(self) -> None:
        live = [(f"live{number}", 1.0) for number in range(12)]

        order = list(Shares().forecast({DEFAULT_LINE: live, LATER: [("old", 1.0)]}, NOW, {}))

        assert order.index("old") == LOWER_EVERY - 1

    def test_counts_turns_no_further_once_the_lower_class_is_through(self) -> None:
        live = [(f"live{number}", 1.0) for number in range(12)]
        waiting = {LATER: [("old", 1.0)], DEFAULT_LINE: live, A: [("a", 1.0)]}

        order = list(replace(marked(A), turns=LOWER_EVERY - 1).forecast(waiting, NOW, {}))

        assert order[0] == "old"
        assert len(order) == 14

    def test_changes_nothing_of_the_record(self) -> None:
        shares = marked(A, B, a=3)
        before = shares.as_text()

        list(shares.forecast({A: [("a1", 1.0)]}, NOW + 60, {}))

        assert shares.as_text() == before


class TestTheRecord:
    def test_is_of_the_time_of_its_last_change(self) -> None:
        shares, later = marked(A, B, a=4, b=8), NOW + HALF_LIFE
        changed = {
            "started": shares.started(A, 1, later),
            "given back": shares.given_back(A, 1, 0, later),
            "marked": shares.mark(C, later, {}),
            "dropped": shares.drop(A, later),
        }

        assert {name: after.as_of for name, after in changed.items()} == dict.fromkeys(changed, later)
        assert changed["started"].used == {"a/": 3, "b/": 4}
        assert changed["given back"].used == {"a/": 1, "b/": 4}
        assert changed["marked"].used == {"a/": 2, "b/": 4, "c/": 2}
        assert changed["dropped"].used == {"a/": 2, "b/": 4}

    def test_is_not_read_into_the_future_by_a_clock_that_is_behind(self) -> None:
        shares = marked(A, a=4).started(A, 1, NOW - HALF_LIFE)

        assert shares.used == {"a/": 5}

    def test_of_one_share_stays_empty_and_counts_that_share_once_there_is_another(self) -> None:
        assert Shares().started(LATER, 5, NOW).used == {}
        assert replace(Shares(), used={ONE_SHARE: 1.0}, as_of=NOW).started(LATER, 5, NOW).used == {ONE_SHARE: 1.0}
        assert marked(A, a=1).started(DEFAULT_LINE, 5, NOW).used == {"a/": 1, ONE_SHARE: 5}

    def test_counts_a_start_as_six_seconds_at_least(self) -> None:
        shares = marked(A, a=1).started(A, 0.0, NOW)

        assert shares.used == {"a/": pytest.approx(1.1)}
        assert shares.given_back(A, 0.0, 0, NOW).used == {"a/": pytest.approx(1)}
        assert marked(A).given_back(A, 1, 0, NOW).used == {}
        assert marked(A, a=1).given_back(A, 0.95, 0, NOW).used == {"a/": pytest.approx(0.05)}

    def test_keeps_all_else_when_a_line_is_marked_again(self) -> None:
        shares = replace(marked(A, B, a=3), turns=4, version=7)

        again = shares.mark(A, NOW + 60, {})

        assert again == replace(shares, marked={A: iso(NOW + 60), B: iso(NOW)})
        assert shares.mark(DEFAULT_LINE, NOW + 60, {}) is shares

    def test_has_no_minutes_for_the_first_share_that_comes(self) -> None:
        assert Shares().mark(A, NOW, {}) == Shares(marked={A: iso(NOW)})

    def test_measures_a_share_that_comes_by_the_weights_of_those_that_wait(self) -> None:
        shares = marked(A, B, a=100, b=60)

        assert shares.mark(C, NOW, {"a/": 4.0}).used["c/"] == 25
        assert marked(A).mark(C, NOW, {}).used["c/"] == 0
        assert marked(A, a=100).mark(C, NOW, {"b/": 2.0}).used["c/"] == 100

    def test_takes_a_default_share_that_comes_back_for_one_video_behind_the_others(self) -> None:
        shares = marked(A, B, a=1000, b=2000)

        assert shares.started(DEFAULT_LINE, 5, NOW).used[ONE_SHARE] == 1000 - 360 + 5
        assert shares.started(DEFAULT_LINE, 5, NOW, {"b/": 4.0}).used[ONE_SHARE] == (2000 - 360) / 4 + 5
        assert shares.started(DEFAULT_LINE, 5, NOW, {ONE_SHARE: 2.0}).used[ONE_SHARE] == 2 * (1000 - 360) + 5
        assert marked(A, B, a=1000).started(DEFAULT_LINE, 5, NOW).used[ONE_SHARE] == 5
        # Its own line does not count among the others.
        assert marked(A, line_of("backfill", ""), a=1000).started(LATER, 5, NOW).used[ONE_SHARE] == 645

    def test_takes_a_share_with_a_number_sign_in_its_name_for_what_it_is(self) -> None:
        line = line_of("live", "take#1/")
        shares = marked(line).started(line, 2, NOW)

        assert shares.used == {"take#1/": 2}
        assert shares.admitted("take#1/") == "take#1/"
        assert set(shares.mark(line_of("backfill", "take#1/"), NOW, {}).used) == {"take#1/"}

    def test_comes_back_from_the_table_as_it_was(self) -> None:
        shares = replace(marked(A, a=1.23456), turns=3)

        stored = Shares.from_item({"shares": shares.as_text(), "shares_version": 5})

        assert stored == replace(shares, used={"a/": 1.2346}, version=5)
        assert Shares.from_item({}) == Shares()
        assert " " not in shares.as_text()

    def test_has_the_next_version_once_it_is_written(self) -> None:
        shares = replace(marked(A, a=1), turns=3, version=5)

        assert shares.written() == replace(shares, version=6)


class TestTurns:
    def test_are_counted_no_further_than_to_the_turn_of_the_lower_class(self) -> None:
        due = replace(marked(LATER), turns=LOWER_EVERY - 1)

        assert due.started(DEFAULT_LINE, 1, NOW).turns == LOWER_EVERY - 1
        assert due.given_back(LATER, 1, LOWER_EVERY - 1, NOW).turns == LOWER_EVERY - 1
        assert marked(LATER).given_back(DEFAULT_LINE, 1, 0, NOW).turns == 0
        assert replace(due, turns=LOWER_EVERY - 2).lines(NOW, {}) == [DEFAULT_LINE, LATER]
        assert due.lines(NOW, {}) == [LATER, DEFAULT_LINE]

    def test_come_back_on_top_of_those_counted_meanwhile(self) -> None:
        meanwhile = replace(marked(LATER), turns=2)

        assert meanwhile.given_back(LATER, 1, 5, NOW).turns == 7
        assert meanwhile.given_back(DEFAULT_LINE, 1, 5, NOW).turns == 1

    def test_go_on_while_another_line_of_the_lower_class_is_left(self) -> None:
        shares = replace(marked(LATER, line_of("backfill", "a/"), A), turns=5)

        assert shares.drop(LATER, NOW).turns == 5
        assert shares.drop(A, NOW).turns == 5
        assert replace(marked(LATER, A), turns=5).drop(LATER, NOW).turns == 0

    def test_of_the_lower_class_begin_anew_after_it_had_one(self) -> None:
        assert replace(marked(LATER), turns=5).started(LATER, 1, NOW) == marked(LATER)
        assert marked(LATER).started(LATER, 1, NOW) == marked(LATER)


def test_a_line_is_stale_once_its_mark_is_older_than_five_minutes() -> None:
    shares = marked(A)

    assert not shares.stale(A, NOW + MARK_LASTS)
    assert shares.stale(A, NOW + MARK_LASTS + 0.001)
    assert not shares.stale(B, NOW + MARK_LASTS + 60)


def test_what_a_dropped_share_has_used_is_forgotten_below_three_seconds() -> None:
    shares = marked(A, B, a=FORGOTTEN, b=0.0)

    assert shares.drop(A, NOW).used == {"a/": FORGOTTEN, "b/": 0.0}
    assert shares.drop(A, NOW + 60).used == {"b/": 0.0}
    assert shares.drop(A, NOW).marked == {B: iso(NOW)}


def test_the_hundredth_share_is_still_admitted_and_shares_that_only_used_minutes_count() -> None:
    shares = marked(*(line_of("live", f"{number}/") for number in range(60)))
    shares = replace(shares, used={f"{number}/": 1.0 for number in range(50, MOST_SHARES - 1)})

    assert shares.admitted("new/") == "new/"
    full = replace(shares, used={**shares.used, "last/": 1.0})
    assert [full.admitted(share) for share in ("new/", "last/", "0/")] == [OTHERS, "last/", "0/"]


def test_the_figures_are_those_of_the_documents() -> None:
    assert (MOST_SHARES, LOWER_EVERY, HALF_LIFE, LEAST_MINUTES, FORGOTTEN) == (100, 10, 24 * 3600, 0.1, 0.05)
    assert (MARK_EVERY, MARK_LASTS) == (60, 300)
    # As they stand in the table: other names would lose the jobs that wait.
    assert (PRIORITIES, ONE_SHARE, OTHERS) == (("live", "backfill"), "", "(others)")
    assert (DEFAULT_LINE, LATER, A) == ("live#", "backfill#", "live#a/")


@pytest.mark.parametrize(
    ("share_by", "key", "share"),
    [
        ("", "a/b/c.mp4", ""),
        ("prefix:1", "a/b/c.mp4", "a/"),
        ("prefix:2", "a/b/c.mp4", "a/b/"),
        ("prefix:3", "a/b/c.mp4", "a/b/"),
        ("prefix:1", "c.mp4", ""),
        ("prefix:1", "/c.mp4", "/"),
        ("route", "a/b/c.mp4", "a/b/"),
        ("route", "a/c.mp4", "a/"),
        ("route", "b/c.mp4", ""),
    ],
)
def test_a_share_is_chosen_by_the_key(share_by: str, key: str, share: str) -> None:
    assert share_of(key, share_by, ["a/", "a/b/"]) == share


def test_the_longest_prefix_of_a_route_is_the_share_wherever_it_stands_in_the_list() -> None:
    assert share_of("a/b/c.mp4", "route", ["a/b/", "a/"]) == "a/b/"
    assert share_of("a/b/c.mp4", "route", ["a/", "a/b/", "z/long/"]) == "a/b/"


# What the functions make of it. One slot, so that each completion starts exactly one job.


@pytest.fixture
def one_slot() -> Iterator[StandInWorld]:
    with standin_world(Simulated(seconds=60.0, detections=1), Faults.off(max_running=1)) as world:
        yield world


def order(world: StandInWorld) -> list[str]:
    return [job["Name"] for job in world.rekognition.jobs()]


def run_all(world: StandInWorld) -> list[str]:
    for _ in range(200):
        if all(job["state"] in ("SUCCEEDED", "FAILED", "REJECTED") for job in world.jobs()):
            break
        world.settle(60)
        world.tick()
    return order(world)


def shared(**settings: str) -> Any:
    return standin_world(
        Simulated(seconds=60.0, detections=1), Faults.off(max_running=1), SHARE_BY="prefix:1", **settings
    )


def test_one_class_and_one_share_are_first_come_first_served_and_write_no_record(one_slot: StandInWorld) -> None:
    from lambdas import wiring

    keys = [f"{number}/{number}.mp4" for number in range(5)]
    for key in keys:
        one_slot.drop(key)
        one_slot.pass_time(1)

    assert run_all(one_slot) == keys
    assert "shares" not in wiring.jobs().scheduler()


def test_a_live_video_behind_a_back_catalogue_starts_within_two_freed_slots(one_slot: StandInWorld) -> None:
    for number in range(30):
        one_slot.drop(f"old{number:02}.mp4", priority="backfill")
    for _ in range(12):
        one_slot.settle(60)
    before = len(order(one_slot))

    one_slot.drop("urgent.mp4")

    run_all(one_slot)
    assert order(one_slot).index("urgent.mp4") <= before + 2


def test_the_backfill_goes_on_while_live_videos_keep_coming(one_slot: StandInWorld) -> None:
    one_slot.drop("old.mp4", priority="backfill")
    one_slot.drop("older.mp4", priority="backfill")
    for number in range(25):
        one_slot.drop(f"live{number:02}.mp4")

    started = run_all(one_slot)

    assert started.index("older.mp4") <= 11
    assert len(started) == 27


def test_shares_take_turns_and_weights_are_kept() -> None:
    with shared(SHARE_WEIGHTS=json.dumps({"big/": 3})) as world:
        for folder in ("big", "small"):
            for number in range(24):
                world.drop(f"{folder}/{number:02}.mp4")
                world.clock.seconds += 0.01  # else they have one position, and their order is any

        started = run_all(world)

    first = Counter(key.split("/")[0] for key in started[:20])
    assert first["big"] in (14, 15, 16)
    assert [key for key in started if key.startswith("small/")] == [f"small/{number:02}.mp4" for number in range(24)]


def test_a_share_without_jobs_that_are_due_leaves_no_slot_empty() -> None:
    with shared() as world:
        world.drop("a/1.mp4")
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=1)
        world.drop("b/1.mp4")
        for number in range(2, 5):
            world.drop(f"a/{number}.mp4")

        started = run_all(world)

    assert set(started) == {"a/1.mp4", "a/2.mp4", "a/3.mp4", "a/4.mp4", "b/1.mp4"}


def test_a_share_without_a_name_is_one_among_others(aws_as_moto: World) -> None:
    for key in ("a/1.mp4", "1.mp4", "b/1.mp4"):
        aws_as_moto.drop(key)
    aws_as_moto.settle(60)
    aws_as_moto.tick()
    aws_as_moto.settle(60)

    assert {job["state"] for job in aws_as_moto.jobs()} == {"SUCCEEDED"}


@pytest.fixture
def aws_as_moto() -> Iterator[World]:
    """DynamoDB takes no empty name in a map, and moto says so in its own way."""
    with moto_world(Simulated(seconds=60.0, detections=1), Faults.off(max_running=1), SHARE_BY="prefix:1") as here:
        yield here


def test_a_line_in_which_nothing_waits_any_more_is_dropped_and_comes_back_with_the_next_video() -> None:
    from lambdas import wiring

    with shared() as world:
        world.drop("a/1.mp4")
        run_all(world)
        world.pass_time(MARK_LASTS + 60)
        world.tick()
        assert wiring.jobs().shares().marked == {}

        world.drop("a/2.mp4")
        assert set(wiring.jobs().shares().marked) == {"live#a/"}
        assert run_all(world) == ["a/1.mp4", "a/2.mp4"]


def test_a_line_whose_jobs_are_not_due_yet_is_kept() -> None:
    from lambdas import wiring

    with shared() as world:
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=6)
        world.drop("a/1.mp4")
        for _ in range(12):
            world.pass_time(60)
            world.tick()

        assert set(wiring.jobs().shares().marked) == {"live#a/"} or order(world) == ["a/1.mp4"]
        assert run_all(world) == ["a/1.mp4"]


def test_two_starts_that_choose_from_the_same_record_do_not_both_favour_one_share() -> None:
    from lambdas import wiring
    from lambdas.aws.job_table import Terms
    from lambdas.model.errors import SharesChanged

    with shared() as world:
        wiring.jobs().pause(True)
        for key in ("a/1.mp4", "a/2.mp4"):
            world.drop(key)
        jobs, record = wiring.jobs(), wiring.jobs().shares()
        first, second = (world.job(key)["job_id"] for key in ("a/1.mp4", "a/2.mp4"))
        assert jobs.claim(first, Terms(record))

        with pytest.raises(SharesChanged):
            jobs.claim(second, Terms(record))

        assert jobs.claim(second, Terms(jobs.shares()))


def test_an_unknown_priority_is_refused_in_a_sentence(one_slot: StandInWorld) -> None:
    one_slot.drop("x.mp4", priority="urgent")

    job = one_slot.job("x.mp4")
    assert (job["state"], job["analysis"]) == ("REJECTED", "unknown")
    assert job["reason"] == "its metadata says priority: 'urgent', but that takes live or backfill"


def test_a_waiting_video_that_is_uploaded_once_more_as_live_is_live(one_slot: StandInWorld) -> None:
    one_slot.drop("first.mp4")
    one_slot.drop("x.mp4", priority="backfill")
    assert one_slot.job("x.mp4")["priority"] == "backfill"

    one_slot.drop("x.mp4")

    assert "priority" not in one_slot.job("x.mp4")
    assert len(one_slot.jobs()) == 2


def test_a_route_says_the_class_of_its_uploads() -> None:
    routes = [{"prefix": "archive/", "analyses": {"face-detection": {}}, "priority": "backfill"}]
    with standin_world(Simulated(), Faults.off(max_running=1), ROUTES=json.dumps(routes)) as world:
        world.drop("archive/x.mp4")
        world.drop("archive/y.mp4", priority="live")
        world.drop("z.mp4")

        assert world.job("archive/x.mp4")["priority"] == "backfill"
        assert "priority" not in world.job("archive/y.mp4")
        assert "priority" not in world.job("z.mp4")
