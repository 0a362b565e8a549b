"""A month's budget: what is charged, given back and settled, and what happens at the limit."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from lambdas.aws.job_table import Terms
from lambdas.model.budget import BYTES_A_MINUTE, MOST_MINUTES, Charge, Limits, Month, minutes_of, month_of
from lambdas.model.clock import seconds_of
from lambdas.model.errors import BudgetReached
from lambdas.model.events import Upload
from lambdas.model.job import Job, new_job
from lambdas.model.video_header import VideoHeader
from rekognition_local import Faults, Simulated
from tests.fast_fake.world import StandInWorld, standin_world
from tests.lambdas.test_job_table import Desk

MINUTE = b"x" * BYTES_A_MINUTE  # charged as a minute, as it has no header
TEN_CENTS = 0.1


def month(world: StandInWorld) -> Month:
    from lambdas import wiring

    return wiring.jobs().month(month_of(world.clock.now()))


def world_with(budget: float, *, seconds: float = 60.0, slots: int = 20, **settings: str) -> Any:
    return standin_world(
        Simulated(seconds=seconds, detections=1),
        Faults.off(max_running=slots),
        MONTHLY_BUDGET_USD=str(budget),
        **settings,
    )


@pytest.fixture
def world() -> Iterator[StandInWorld]:
    with world_with(0.25) as here:
        yield here


def sums(record: Month) -> tuple[float, float, float, float]:
    return (record.committed_usd, record.committed_minutes, record.spent_usd, record.spent_minutes)


class TestMinutes:
    def job(self, **known: Any) -> Job:
        upload = Upload("videos", "x.mp4", "e", 0, "2027-01-15T08:00:00.000Z")
        return replace(new_job(upload, "face-detection", {}, 0.0), **known)

    def test_are_those_that_rekognition_says(self) -> None:
        header = VideoHeader("mp4", "h264", 30.0, 1, 1, 0, 25.0, True)

        assert minutes_of(self.job(video_metadata={"DurationMillis": 90_000}, header=header)) == 1.5
        assert minutes_of(self.job(header=header, size=10**9)) == 0.5

    def test_are_estimated_by_the_size_where_nothing_says_them(self) -> None:
        assert minutes_of(self.job(size=BYTES_A_MINUTE * 3)) == 3
        assert minutes_of(self.job(size=10 * 2**30)) == MOST_MINUTES
        silent = VideoHeader("mp4", "h264", 0.0, 1, 1, 0, 0.0, True)
        assert minutes_of(self.job(size=BYTES_A_MINUTE, header=silent)) == 1


class TestCharging:
    def test_a_started_job_is_reserved_and_a_collected_one_spent_at_its_real_length(self, world: StandInWorld) -> None:
        world.drop("a/clip.mp4", MINUTE * 2)
        assert sums(month(world)) == pytest.approx((0.2, 2, 0, 0))

        world.settle(60)

        length = json.loads(world.job("a/clip.mp4")["video_metadata"])["DurationMillis"] / 60_000
        assert sums(month(world)) == pytest.approx((length / 10, length, length / 10, length), abs=1e-6)
        assert month(world).by_analysis["face-detection"] == pytest.approx((length / 10, length), abs=1e-6)

    def test_spent_money_is_summed_up_by_the_first_folder(self, world: StandInWorld) -> None:
        from lambdas import wiring

        for key in ("a/1.mp4", "a/b/2.mp4", "3.mp4"):
            world.drop(key)
        world.settle(60)

        found = {prefix: minutes for prefix, _, minutes in wiring.jobs().by_prefix(month_of(world.clock.now()))}
        assert set(found) == {"a/", ""}
        assert found["a/"] == pytest.approx(2 * found[""])

    def test_a_failed_or_rejected_job_is_given_back(self, world: StandInWorld) -> None:
        world.rekognition.set_faults({"fail_lasting": 1.0})
        world.drop("bad.mp4", MINUTE)
        assert month(world).committed_usd == pytest.approx(TEN_CENTS)
        world.settle(60)
        world.rekognition.inject("StartFaceDetection", "InvalidParameterException", times=1)
        world.drop("suspect.mp4", MINUTE)

        assert [job["state"] for job in world.jobs()] == ["FAILED", "REJECTED"]
        assert sums(month(world)) == (0, 0, 0, 0)
        assert all("charge" not in job for job in world.jobs())

    def test_a_job_without_a_slot_is_given_back(self) -> None:
        with world_with(10, slots=1) as world:
            world.drop("1.mp4", MINUTE)
            world.drop("2.mp4", MINUTE)
            world.tick()

            assert month(world).committed_usd == pytest.approx(TEN_CENTS)

    def test_results_that_are_collected_once_more_cost_nothing_more(self) -> None:
        with world_with(10) as world:
            first = world.drop("x.mp4", b"one")
            world.settle(60)
            world.drop("x.mp4", b"two")
            world.settle(60)
            spent = month(world).spent_usd
            world.drop("x.mp4", b"one")
            world.settle(60)

            assert first is not None
            assert [job["state"] for job in world.jobs()] == ["SUCCEEDED", "SUCCEEDED"]
            assert month(world).spent_usd == pytest.approx(spent)

    def test_a_job_that_ends_in_the_next_month_is_settled_in_the_month_it_was_charged_to(self) -> None:
        from lambdas import wiring

        with world_with(10, seconds=3600) as world:
            world.clock.seconds = seconds_of("2027-01-31T23:30:00Z")
            assert month_of(world.clock.now()) == "2027-01"
            world.drop("x.mp4", MINUTE)
            world.settle(3600)
            world.pass_time(24 * 3600)

            assert month_of(world.clock.now()) == "2027-02"
            assert wiring.jobs().month("2027-01").spent_usd > 0
            assert sums(month(world)) == (0, 0, 0, 0)

    def test_results_that_expired_were_billed_all_the_same(self, desk: Desk) -> None:
        job = desk.collecting()
        assert job.charge

        assert desk.jobs.fail(job, "its results expired", billed=True)

        record = desk.jobs.month(job.charge.month)
        assert record.spent_minutes == record.committed_minutes == pytest.approx(float(job.charge.minutes))

    def test_only_the_holder_of_a_claim_gives_its_charge_back(self, desk: Desk) -> None:
        first = desk.claimed()
        desk.jobs.release_stale(first)
        second = desk.jobs.claim(first.job_id, Terms(limits=Limits(usd=5)))
        assert second

        desk.jobs.release(first)
        desk.jobs.release(first)
        desk.jobs.release(second)

        assert sums(desk.jobs.month(month_of(desk.clock.now()))) == (0, 0, 0, 0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestTheLimit:
    def test_stops_starting_and_says_so(self, world: StandInWorld) -> None:
        for number in range(5):
            world.drop(f"{number}.mp4", MINUTE)

        assert [job["state"] for job in world.jobs()].count("RUNNING") == 3
        assert [job["state"] for job in world.jobs()].count("WAITING") == 2
        assert month(world).committed_usd == pytest.approx(0.3)
        [told] = [event for event in world.announcements if event["DetailType"] == "Starting Blocked"]
        assert told["Detail"]["scope"] == "budget"
        assert told["Detail"]["reason"] == "this month's budget of $0.25 is used up ($0.30 charged)"

    def test_is_exceeded_by_one_job_at_the_most_however_many_claim_at_once(self, desk: Desk) -> None:
        jobs = [desk.waiting(f"{number}.mp4") for number in range(9)]
        terms = Terms(limits=Limits(minutes=float(3 * minutes_of(jobs[0]))))

        claimed, refused = 0, 0
        for job in jobs:
            try:
                claimed += desk.jobs.claim(job.job_id, terms) is not None
            except BudgetReached:
                refused += 1

        assert (claimed, refused) == (3, 6)

    def test_goes_with_the_month(self, world: StandInWorld) -> None:
        for number in range(4):
            world.drop(f"{number}.mp4", MINUTE)
        world.settle(60)
        world.clock.seconds += 31 * 86_400

        world.tick()

        assert [job["state"] for job in world.jobs()].count("WAITING") == 0
        assert any(event["DetailType"] == "Starting Unblocked" for event in world.announcements)

    def test_goes_when_it_is_raised_or_taken_away(self, world: StandInWorld) -> None:
        for number in range(4):
            world.drop(f"{number}.mp4", MINUTE)
        world.tick()
        assert [job["state"] for job in world.jobs()].count("WAITING") == 1

        world.redeploy(MONTHLY_BUDGET_USD="0")
        world.tick()

        assert [job["state"] for job in world.jobs()].count("WAITING") == 0

    def test_goes_when_an_operator_lets_the_month_exceed_it(self, world: StandInWorld) -> None:
        from lambdas import wiring

        for number in range(4):
            world.drop(f"{number}.mp4", MINUTE)
        wiring.jobs().let_over_budget(month_of(world.clock.now()), True)

        world.tick()

        assert [job["state"] for job in world.jobs()].count("RUNNING") == 4

    def test_may_be_one_of_minutes(self) -> None:
        with world_with(0, MONTHLY_MINUTES="1.5") as world:
            for number in range(4):
                world.drop(f"{number}.mp4", MINUTE)

            assert [job["state"] for job in world.jobs()].count("RUNNING") == 2
            [told] = [event for event in world.announcements if event["DetailType"] == "Starting Blocked"]
            assert told["Detail"]["reason"] == "this month's 2 minutes are used up (2 charged)"

    def test_does_not_keep_a_placeholder_waiting_once_it_goes(self, world: StandInWorld) -> None:
        world.drop("0.mp4", MINUTE * 3)
        world.drop("1.mp4", MINUTE)
        assert world.job("1.mp4")["state"] == "WAITING"

        world.redeploy(MONTHLY_BUDGET_USD="100")
        world.tick()

        assert world.job("1.mp4")["state"] == "RUNNING"


class TestEvents:
    def percents(self, world: StandInWorld) -> list[int]:
        found = [event["Detail"] for event in world.announcements if event["DetailType"] == "Budget Reached"]
        return [detail["percent"] for detail in found]

    def test_are_told_once_at_each_step(self) -> None:
        with world_with(1.0) as world:
            for number in range(11):
                world.drop(f"{number}.mp4", MINUTE)
                world.tick()
                world.tick()

            assert self.percents(world) == [50, 80, 100]

    def test_are_told_again_after_the_bus_refused_them(self) -> None:
        with world_with(1.0) as world:
            world.drop("x.mp4", MINUTE * 6)
            world.events_to_refuse = 4
            world.tick()
            assert self.percents(world) == []

            world.tick()
            assert self.percents(world) == [50]

    def test_are_told_anew_when_the_budget_was_raised_but_not_when_a_charge_was_given_back(self) -> None:
        with world_with(1.0, slots=1) as world:
            world.drop("x.mp4", MINUTE * 6)
            world.tick()
            world.redeploy(MONTHLY_BUDGET_USD="10")
            world.tick()
            world.redeploy(MONTHLY_BUDGET_USD="1")
            world.tick()
            world.redeploy(MONTHLY_BUDGET_USD="1.25")  # 48 %
            world.tick()
            world.redeploy(MONTHLY_BUDGET_USD="1")
            world.tick()

            assert self.percents(world) == [50, 50]


def test_a_charge_is_exact_to_a_millionth() -> None:
    charge = Charge("2027-01", Decimal("0.033333"), Decimal("0.333333"))

    assert Charge.from_text(charge.as_text()) == charge
