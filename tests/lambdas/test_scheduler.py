"""Which job is started next, and what becomes of it with each answer of Rekognition, S3 and the table."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lambdas.logic.faults import Faults
from lambdas.logic.scheduler import MOST_START_ERRORS, MOST_TOKENS, Scheduler
from lambdas.model.blocking import Scope
from lambdas.model.budget import Limits, Month
from lambdas.model.clock import seconds_of
from lambdas.model.conversion import SWITCHED_OFF
from lambdas.model.errors import (
    AccountFault,
    BudgetReached,
    CannotStart,
    Gone,
    NoFreeSlot,
    ServiceTrouble,
    SharesChanged,
    SlowDown,
    TokenTaken,
)
from lambdas.model.events import Upload
from lambdas.model.job import Job
from lambdas.model.routing import UNKNOWN, WrongChoice
from lambdas.model.video_header import VideoHeader
from tests.lambdas.test_enqueue import FACES, NEWER
from tests.lambdas.test_faults import ONE_VIDEOS, THE_ACCOUNTS, Watch

MINUTE = 60.0
#: The minute of an hour in which a probe begins with the oldest job (the test's clock begins in such a minute).
OLDEST_FIRST, BETWEEN, NEWEST_FIRST, BETWEEN_AGAIN = range(4)


class Yard(Watch):
    """The table, and a scheduler with all that it asks.

    Attributes:
        says: what Start answers for a key, one after the other; then it accepts.
        checked: what S3 says of a key, likewise.
        headers: what S3 gives out of a key's video.
        copies: keys of converted copies that are there.
        begun: jobs whose conversion was begun.
        noted: months, and the percentage of their budget that was noted as announced.
        looked: the keys of which S3 was asked, and `versions` the versions.
        started: the keys for which Start was called.
    """

    def __init__(
        self, *, most_running: int | None = None, converts: bool = False, limits: Limits | None = None
    ) -> None:
        super().__init__()
        self.says: dict[str, list[Exception]] = defaultdict(list)
        self.checked: dict[str, list[Exception]] = defaultdict(list)
        self.started: list[str] = []
        self.headers: dict[str, VideoHeader] = {}
        self.headers_read = 0
        self.copies: set[str] = set()
        self.begun: list[Job] = []
        self.noted: list[tuple[str, int]] = []
        self.looked: list[str] = []
        self.versions: list[str | None] = []
        self.allowed = True
        self.polls: list[bool] = []
        self.released: Callable[[], int] = lambda: 0
        self.milliseconds = 60_000
        self.scheduler = Scheduler(
            self.jobs,
            self,
            self,
            self.enqueuer,
            self,
            self,
            self.clock,
            chooser=self,
            videos_bucket="videos",
            most_running=most_running,
            converter=self if converts else None,
            limits=limits,
        )

    def line_up(self, *keys: str, analysis: str = "face-detection") -> list[Job]:
        """Waiting jobs, in this order."""
        return [self.waiting(key=key, analysis=analysis) for key in keys]

    def fill(self, most: int = 1) -> None:
        """Start jobs as after so many uploads."""
        self.scheduler.fill_after_uploads(most, lambda: True)

    def tick(self) -> None:
        self.scheduler.tick(lambda: self.milliseconds)

    def states(self) -> str:
        """The states of all jobs, sorted by their keys: W(AITING), R(UNNING), x for REJECTED."""
        items = (item for item in self.client.scan(TableName="jobs")["Items"] if "state" in item)
        names = {"WAITING": "W", "RUNNING": "R", "REJECTED": "x"}
        return "".join(names[item["state"]["S"]] for item in sorted(items, key=lambda item: item["key"]["S"]))

    # what the scheduler asks

    def check(self, job: Job) -> None:
        self.looked.append(job.key)
        self.versions.append(job.version_id)
        if self.checked[job.key]:
            raise self.checked[job.key].pop(0)

    def header(self, upload: "Upload | Job") -> VideoHeader | None:
        self.headers_read += 1
        return self.headers.get(upload.key)

    def start(self, job: Job) -> str:
        self.started.append(job.key)
        if self.says[job.key]:
            raise self.says[job.key].pop(0)
        return f"r of {job.key}"

    def allows(self, analysis: str, parameters: Mapping[str, Any]) -> bool:
        return self.allowed

    def copy_is_there(self, source_key: str) -> bool:
        return source_key in self.copies

    def begin_now(self, job: Job) -> None:
        self.begun.append(job)

    def poll_silent_jobs(self, enough_time: Callable[[], bool]) -> int:
        self.polls.append(enough_time())
        return self.released()


@pytest.fixture
def yard() -> Yard:
    return Yard()


def of_each(error: Callable[[], Exception], keys: str, times: int = 1) -> dict[str, list[Exception]]:
    """That error, for each of these keys."""
    return defaultdict(list, {key: [error() for _ in range(times)] for key in keys})


class TestAfterUploads:
    def test_as_many_are_started_as_were_enqueued_the_oldest_first(self, yard: Yard) -> None:
        yard.line_up("b", "a", "c")

        yard.fill(2)

        assert yard.started == ["b", "a"]

    def test_nothing_is_read_where_nothing_is_new(self, yard: Yard) -> None:
        yard.line_up("a")
        patched: Any = yard.jobs
        patched.scheduler = lambda: 1 / 0

        yard.fill(0)

        assert yard.started == []

    @pytest.mark.parametrize(("seconds", "started"), [(149, []), (150, []), (151, ["a"])])
    def test_a_refusal_is_trusted_for_150_seconds(self, yard: Yard, seconds: float, started: list[str]) -> None:
        yard.jobs.note_limit_reached()
        yard.line_up("a")  # takes a second
        yard.clock.seconds += seconds - 1

        yard.fill()

        assert yard.started == started

    def test_no_start_begins_without_time(self, yard: Yard) -> None:
        yard.line_up("a", "b", "c")
        times = iter([True, True, False])

        yard.scheduler.fill_after_uploads(3, lambda: next(times))

        assert yard.started == ["a", "b"]

    def test_nothing_is_started_while_starting_is_paused(self, yard: Yard) -> None:
        yard.line_up("a")
        yard.jobs.pause(True)

        yard.fill()

        assert yard.states() == "W"

    def test_what_was_known_to_be_blocked_is_not_started(self, yard: Yard) -> None:
        yard.line_up("a")
        yard.know(videos=Scope().block("no", 0))

        yard.fill()

        assert yard.states() == "W"


class TestAfterACompletion:
    def test_one_job_is_started_and_a_repeated_notification_counts_once(self, yard: Yard) -> None:
        yard.line_up("a", "b", "c")
        done = yard.running(key="z")

        for _ in range(2):
            yard.scheduler.fill_after_completion(done.job_id, "r", lambda: True)

        assert yard.started == ["a"]

    def test_a_refusal_a_moment_ago_does_not_matter(self, yard: Yard) -> None:
        yard.line_up("a")
        done = yard.running(key="z")
        yard.jobs.note_limit_reached()

        yard.scheduler.fill_after_completion(done.job_id, "r", lambda: True)

        assert yard.started == ["a"]

    def test_what_is_blocked_and_who_paused_is_obeyed(self, yard: Yard) -> None:
        yard.line_up("a")
        done = yard.running(key="z")
        yard.know(videos=Scope().block("no", 0))

        yard.scheduler.fill_after_completion(done.job_id, "r", lambda: True)

        assert yard.started == []

    def test_no_start_begins_without_time(self, yard: Yard) -> None:
        yard.line_up("a")
        done = yard.running(key="z")

        yard.scheduler.fill_after_completion(done.job_id, "r", lambda: False)

        assert yard.started == []


class TestATick:
    def test_starts_until_it_is_refused(self, yard: Yard) -> None:
        yard.line_up(*"abcde")
        yard.says["d"] = [NoFreeSlot("20 run"), NoFreeSlot("20 run")]

        yard.tick()

        assert yard.states() == "RRRWW"
        assert yard.jobs.scheduler()["refused_at"] == yard.now

    @pytest.mark.parametrize(("left", "started"), [(25_001, ["a"]), (25_000, [])])
    def test_keeps_15_seconds_for_polls_and_10_for_the_last_start(
        self, yard: Yard, left: int, started: list[str]
    ) -> None:
        yard.line_up("a")
        yard.milliseconds = left
        seen: list[list[str]] = []
        yard.released = lambda: seen.append(list(yard.started)) or 0

        yard.tick()

        assert seen == [started]

    @pytest.mark.parametrize(("left", "enough"), [(10_001, True), (10_000, False)])
    def test_polls_while_there_are_10_seconds(self, yard: Yard, left: int, enough: bool) -> None:
        yard.milliseconds = left

        yard.tick()

        assert yard.polls == [enough]

    def test_starts_the_claims_that_polling_released_and_no_more(self, yard: Yard) -> None:
        def release() -> int:
            yard.line_up("a", "b", "c")
            return 2

        yard.released = release
        yard.tick()

        assert yard.started == ["a", "b"]

    def test_starts_none_of_these_without_time(self, yard: Yard) -> None:
        def release() -> int:
            yard.milliseconds = 10_000
            return len(yard.line_up("a"))

        yard.released = release
        yard.tick()

        assert yard.started == []

    def test_polls_though_starting_fails(self, yard: Yard) -> None:
        patched: Any = yard.jobs
        patched.uncollected = lambda *_: 1 / 0

        with pytest.raises(ZeroDivisionError):
            yard.tick()

        assert yard.polls == [True]

    def test_only_polls_while_starting_is_paused(self, yard: Yard) -> None:
        yard.line_up("a")
        yard.know(videos=Scope().block("no", 0))
        yard.jobs.pause(True)

        yard.tick()

        assert (yard.started, yard.told, yard.polls) == ([], [], [True])

    def test_forgets_a_refusal_once_no_job_waits(self, yard: Yard) -> None:
        yard.jobs.note_limit_reached()

        yard.tick()

        assert "refused_at" not in yard.jobs.scheduler()

    def test_writes_nothing_where_there_was_no_refusal(self, yard: Yard) -> None:
        patched: Any = yard.jobs
        patched.note_limit_cleared = lambda: 1 / 0

        yard.tick()

        assert yard.polls == [True]

    def test_keeps_a_refusal_while_jobs_wait_that_are_blocked(self, yard: Yard) -> None:
        yard.jobs.note_limit_reached()
        yard.know(**{"face-detection": Scope().block("no", 0)})

        yard.tick()

        assert "refused_at" in yard.jobs.scheduler()


class TestAStart:
    def test_is_recorded_and_polled_after_two_minutes(self, yard: Yard) -> None:
        [job] = yard.line_up("a")

        yard.fill()

        running = yard.get(job)
        assert (running.state, running.rekognition_job_id, running.due_at) == ("RUNNING", "r of a", yard.at(120))

    def test_opens_the_scopes_of_videos_and_of_its_analysis_and_no_other(self, yard: Yard) -> None:
        suspects = Scope(suspects=("one",))
        yard.know(**dict.fromkeys(("videos", "face-detection", "label-detection", "results"), suspects))
        yard.line_up("a")

        yard.fill()

        assert {name for name, scope in yard.scopes().items() if scope.suspects} == {"label-detection", "results"}

    def test_of_a_video_elsewhere_than_in_the_bucket_of_the_settings_is_not_tried(self, yard: Yard) -> None:
        yard.scheduler._videos_bucket = "others"
        [job] = yard.line_up("a")

        yard.fill()

        assert yard.started == []
        assert (yard.get(job).state, yard.get(job).suspected_in) == ("REJECTED", None)
        assert "takes videos from others now" in (yard.get(job).reason or "")

    def test_that_the_settings_do_not_allow_is_not_tried(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.allowed = False

        yard.fill()

        assert (yard.started, yard.get(job).state) == ([], "REJECTED")
        assert "the settings no longer allow face-detection" in (yard.get(job).reason or "")

    @pytest.mark.parametrize("error", [CannotStart("bad codec"), WrongChoice("x", "bad codec")])
    def test_that_can_never_work_rejects_its_job_and_the_next_is_started(self, yard: Yard, error: Exception) -> None:
        yard.line_up("a", "b", "c")
        yard.says["a"] = [error]

        yard.fill()

        assert (yard.started, yard.states()) == (["a", "b"], "xRW")
        assert yard.announced == [("a", "REJECTED", {"reason": "bad codec"})]

    def test_of_a_job_that_is_uploaded_again_in_this_moment_is_tried_again(self, yard: Yard) -> None:
        [job] = yard.line_up("a")

        def meanwhile(job: Job) -> None:
            patched.check = check
            yard.jobs.uploaded_again(job.job_id, NEWER)
            raise CannotStart("gone")

        patched: Any = yard
        check, patched.check = yard.check, meanwhile
        yard.fill()

        assert yard.get(job).rekognition_job_id == "r of a"

    def test_with_a_fault_that_may_be_the_accounts_makes_its_job_a_suspect(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.checked["a"] = [ONE_VIDEOS]

        yard.fill()

        assert (yard.get(job).state, yard.get(job).suspected_in) == ("REJECTED", "videos")

    def test_that_works_after_a_suspect_puts_it_back(self, yard: Yard) -> None:
        yard.line_up("a", "b")
        yard.checked["a"] = [ONE_VIDEOS]

        yard.fill()

        assert (yard.started, yard.states()) == (["b"], "WR")

    def test_never_happens_in_a_blocked_scope_after_the_fault_that_blocked_it(self, yard: Yard) -> None:
        yard.line_up("a", "b")
        yard.checked["a"] = [THE_ACCOUNTS]

        yard.fill(2)

        assert (yard.started, yard.states()) == ([], "WW")

    def test_of_another_analysis_than_a_blocked_one_goes_on(self, yard: Yard) -> None:
        yard.line_up("a", "b")
        yard.line_up("c", analysis="label-detection")
        yard.says["a"] = [AccountFault("face-detection", "denied", certain=True)]

        yard.fill(3)

        assert (yard.started, yard.states()) == (["a", "c"], "WWR")

    def test_without_a_slot_keeps_the_jobs_position_and_is_the_last(self, yard: Yard) -> None:
        [job, _] = yard.line_up("a", "b")
        yard.says["a"] = [NoFreeSlot("20 run")]

        yard.fill(2)

        assert (yard.started, yard.states(), yard.get(job).due_at) == (["a"], "WW", job.position)
        assert yard.jobs.scheduler()["refused_at"] == yard.now

    def test_over_the_operators_cap_is_not_tried(self) -> None:
        yard = Yard(most_running=2)
        yard.line_up(*"abc")

        yard.fill(3)

        assert (yard.started, yard.states()) == (["a", "b"], "RRW")


class TestAHeader:
    GOOD = VideoHeader("mp4", "h264", seconds=90.0, video=True)
    BAD = VideoHeader("mp4", "hevc", seconds=90.0, video=True)

    def test_that_rekognition_can_not_read_rejects_the_job_before_it_takes_a_slot(self) -> None:
        yard = Yard(most_running=1)
        [job, _] = yard.line_up("a", "b")
        yard.headers["a"] = self.BAD

        yard.fill()

        assert (yard.get(job).state, yard.get(job).reason) == ("REJECTED", self.BAD.trouble)
        assert (yard.looked, yard.started) == (["b"], ["b"])

    def test_is_read_at_the_start_where_the_job_has_none_and_recorded(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.headers["a"] = self.GOOD

        yard.fill()

        assert (yard.get(job).state, yard.get(job).header) == ("RUNNING", self.GOOD)

    def test_is_not_read_again(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.headers["a"] = self.GOOD
        yard.says["a"] = [NoFreeSlot("20 run")]
        yard.fill()
        yard.clock.seconds += 151

        yard.fill()

        assert (yard.get(job).state, yard.headers_read) == ("RUNNING", 1)

    def test_that_can_not_be_made_out_is_not_recorded_and_keeps_nothing_from_its_start(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.headers["a"] = VideoHeader("")

        yard.fill()

        assert (yard.get(job).state, yard.get(job).header) == ("RUNNING", None)


class TestAConvertedCopy:
    BAD = TestAHeader.BAD

    def copied(self, yard: Yard) -> Job:
        """A waiting job whose video was converted."""
        [job] = yard.line_up("a")
        yard.jobs._update(job.job_id, {"source_key": "converted/a.mp4"})
        yard.copies = {"converted/a.mp4"}
        yard.headers["a"] = self.BAD
        return job

    def test_is_started_whatever_the_header_of_the_original_says(self) -> None:
        yard = Yard(converts=True)
        job = self.copied(yard)

        yard.fill()

        assert (yard.get(job).state, yard.headers_read, yard.begun) == ("RUNNING", 0, [])

    def test_that_has_expired_is_made_again_and_takes_no_slot(self) -> None:
        yard = Yard(converts=True, most_running=1)
        job = self.copied(yard)
        yard.line_up("b")
        yard.copies.clear()

        yard.fill()

        assert (yard.get(job).state, yard.get(job).reason) == ("CONVERTING", "its converted copy has expired")
        assert ([it.key for it in yard.begun], yard.started) == (["a"], ["b"])

    def test_is_not_started_where_the_settings_convert_nothing_any_more(self, yard: Yard) -> None:
        job = self.copied(yard)

        yard.fill()

        assert (yard.get(job).state, yard.get(job).reason, yard.started) == ("REJECTED", SWITCHED_OFF, [])

    def test_is_made_of_a_video_that_rekognition_can_not_read(self) -> None:
        yard = Yard(converts=True)
        [job, _] = yard.line_up("a", "b")
        yard.headers["a"] = self.BAD

        yard.fill()

        assert (yard.get(job).state, yard.get(job).reason) == ("CONVERTING", self.BAD.trouble)
        assert [(it.key, it.state) for it in yard.begun] == [("a", "CONVERTING")]
        assert yard.started == ["b"]

    def test_is_not_made_where_it_would_be_refused_too(self) -> None:
        yard = Yard(converts=True)
        [job] = yard.line_up("a")
        yard.headers["a"] = VideoHeader("mp4", video=False)

        yard.fill()

        assert (yard.get(job).state, yard.begun) == ("REJECTED", [])

    def test_is_not_made_of_a_video_that_rekognition_can_read_or_that_is_unknown(self) -> None:
        yard = Yard(converts=True)
        yard.line_up("a", "b")
        yard.headers["a"] = TestAHeader.GOOD

        yard.fill(2)

        assert (yard.states(), yard.begun) == ("RR", [])

    def test_is_not_begun_of_a_job_that_moved_on(self) -> None:
        yard = Yard(converts=True)
        yard.line_up("a")
        yard.headers["a"] = self.BAD
        patched: Any = yard.jobs
        patched.convert = lambda *_: None

        yard.fill()

        assert (yard.begun, yard.started) == ([], [])

    def test_that_is_done_puts_its_jobs_back_and_as_many_are_started(self) -> None:
        yard = Yard(converts=True)
        patched: Any = yard.scheduler._conversions
        patched.ended = lambda conversion_id, faults: len(yard.line_up("a", "b")) if conversion_id == "1" else 0
        yard.line_up("c")

        yard.scheduler.fill_after_conversion("1", lambda: True)

        assert len(yard.started) == 2

    @pytest.mark.parametrize("paused", [True, False])
    def test_that_a_tick_finds_done_is_started_in_this_tick(self, paused: bool) -> None:
        yard = Yard(converts=True)
        yard.jobs.pause(paused)
        asked = []

        def advance(faults: Faults, enough_time: Callable[[], bool], *, paused: bool) -> int:
            asked.append((enough_time(), paused))
            return len(yard.line_up("a", "b")) - 1

        patched: Any = yard.scheduler._conversions
        patched.advance = advance
        yard.tick()

        assert asked == [(True, paused)]
        assert yard.started == ([] if paused else ["a"])


class TestABudget:
    LIMITS = Limits(usd=200.0)

    def yard(self, *, charged: float, told: int = 0, **more: Any) -> Yard:
        """A yard in whose month so many dollars are charged, of 200."""
        yard = Yard(limits=self.LIMITS)
        self.charge(yard, charged, told, **more)
        return yard

    def charge(self, yard: Yard, charged: float, told: int = 0, **more: Any) -> None:
        patched: Any = yard.jobs
        this = Month(committed_usd=charged, committed_minutes=7.26, told=told, **more)
        patched.month = lambda month: this if month == "2027-01" else Month()
        patched.note_told = lambda month, percent: yard.noted.append((month, percent))

    def reached(self, yard: Yard) -> list[int]:
        return [event["percent"] for what, event in yard.told if what == "Budget Reached"]

    def test_that_is_used_up_blocks_starting_with_its_reason(self) -> None:
        yard = self.yard(charged=201.0)
        yard.line_up("a", "b")
        patched: Any = yard.jobs
        patched.claim = self.refusing

        yard.fill(2)

        assert yard.faults().blocked == {"budget"}
        assert yard.scopes()["budget"].reason == "this month's budget of $200.00 is used up ($201.00 charged)"
        assert [(what, event["scope"]) for what, event in yard.told] == [("Starting Blocked", "budget")]

    def test_that_is_used_up_ends_a_probe_too(self) -> None:
        yard = self.yard(charged=201.0)
        yard.line_up("a")
        yard.know(videos=Scope().block("no", yard.clock.now()))
        patched: Any = yard.jobs
        patched.claim = self.refusing

        yard.tick()

        assert yard.faults().blocked == {"videos", "budget"}

    def test_of_which_something_was_given_back_in_this_moment_blocks_nothing(self) -> None:
        yard = self.yard(charged=199.0)
        yard.line_up("a")
        patched: Any = yard.jobs
        patched.claim = self.refusing

        yard.fill()

        assert yard.faults().blocked == set()

    @staticmethod
    def refusing(*_: Any) -> Any:
        raise BudgetReached("2027-01")

    def test_stays_blocked_while_it_is_used_up_and_nothing_is_claimed(self) -> None:
        yard = self.yard(charged=200.0)
        yard.line_up("a")
        yard.know(budget=Scope().block("used up", yard.clock.now()))
        patched: Any = yard.jobs
        patched.claim = lambda *_: 1 / 0

        yard.tick()

        assert yard.faults().blocked == {"budget"}

    @pytest.mark.parametrize(("charged", "more"), [(199.0, {}), (300.0, {"over_budget": True})])
    def test_is_open_again_once_some_is_left_or_the_operator_says_so(self, charged: float, more: Any) -> None:
        yard = self.yard(charged=charged, **more)
        yard.line_up("a")
        yard.know(budget=Scope().block("used up", yard.clock.now()))

        yard.tick()

        assert (set(yard.faults().blocked), yard.started) == (set(), ["a"])

    def test_that_is_switched_off_blocks_nothing(self, yard: Yard) -> None:
        yard.line_up("a")
        yard.know(budget=Scope().block("used up", yard.clock.now()))

        yard.tick()

        assert (set(yard.faults().blocked), yard.started) == (set(), ["a"])

    @pytest.mark.parametrize(
        ("charged", "told", "percent"),
        [
            (99.9, 0, None),
            (100.0, 0, 50),
            (159.9, 50, None),
            (160.0, 50, 80),
            (200.0, 80, 100),
            (240.0, 0, 100),
            (240.0, 100, None),
        ],
    )
    def test_is_announced_at_50_80_and_100_percent_once(self, charged: float, told: int, percent: int | None) -> None:
        yard = self.yard(charged=charged, told=told)

        yard.tick()

        assert self.reached(yard) == ([] if percent is None else [percent])
        assert yard.noted == ([] if percent is None else [("2027-01", percent)])

    def test_is_announced_with_what_is_charged_and_what_is_allowed(self) -> None:
        yard = self.yard(charged=100.128)

        yard.tick()

        assert yard.told == [
            (
                "Budget Reached",
                {
                    "month": "2027-01",
                    "percent": 50,
                    "charged_usd": 100.13,
                    "charged_minutes": 7.3,
                    "budget_usd": 200.0,
                    "budget_minutes": None,
                },
            )
        ]

    def test_is_announced_by_the_next_tick_where_the_bus_refuses(self) -> None:
        yard = self.yard(charged=100.0)
        yard.unheard = {"Budget Reached"}
        yard.tick()
        assert yard.noted == []

        yard.unheard = set()
        yard.tick()

        assert self.reached(yard) == [50]

    @pytest.mark.parametrize(
        ("charged", "noted"),
        [
            (199.0, []),  # some charges were given back: what was told stays told
            (182.0, []),
            (180.0, [("2027-01", 80)]),  # the budget was raised: the next step is told again
            (90.0, [("2027-01", 0)]),
        ],
    )
    def test_that_was_raised_is_announced_anew(self, charged: float, noted: list[tuple[str, int]]) -> None:
        yard = self.yard(charged=charged, told=100)

        yard.tick()

        assert (yard.noted, self.reached(yard)) == (noted, [])


class TestATokenTakenByAnotherStack:
    def test_makes_it_another_attempt_at_once(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.says["a"] = [TokenTaken("another call")]

        yard.fill()

        again = yard.get(job)
        assert (again.state, again.attempt, yard.started) == ("RUNNING", 2, ["a", "a"])

    def test_is_noted_as_the_reason_until_the_start(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.says["a"] = [TokenTaken("another call"), NoFreeSlot("20 run")]

        yard.fill()

        assert (yard.get(job).reason, yard.get(job).position[:24]) == ("another call", yard.now)

    def test_is_given_up_at_the_tenth(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.says["a"] = [TokenTaken("another call")] * 10

        yard.fill()

        assert (MOST_TOKENS, len(yard.started)) == (10, 10)
        assert (yard.get(job).state, yard.get(job).reason, yard.get(job).attempt) == ("REJECTED", "another call", 10)

    def test_does_not_count_as_started(self, yard: Yard) -> None:
        yard.line_up("a", "b")
        yard.says["a"] = [TokenTaken("another call")]

        yard.fill(1)

        assert yard.states() == "WR"


class TestAVersionThatIsGone:
    def uploaded_twice(self, yard: Yard) -> Job:
        [job] = yard.line_up("a")
        assert yard.jobs.uploaded_again(job.job_id, NEWER)
        yard.checked["a"] = [Gone("that version was deleted")]
        return yard.get(job)

    def test_is_replaced_by_a_newer_one_of_the_same_content_in_the_same_attempt(self, yard: Yard) -> None:
        job = self.uploaded_twice(yard)

        yard.fill()

        assert (yard.get(job).state, yard.get(job).attempt, yard.get(job).version_id) == ("RUNNING", 1, "v2")
        assert yard.versions == ["v1", "v2"]

    def test_is_replaced_in_another_attempt_where_the_former_may_have_been_started(self, yard: Yard) -> None:
        job = self.uploaded_twice(yard)
        claimed = yard.jobs.claim(job.job_id)
        assert claimed
        yard.jobs.reschedule(claimed, "no answer", 0, maybe_started=True)

        yard.fill()

        assert (yard.get(job).state, yard.get(job).attempt, yard.get(job).version_id) == ("RUNNING", 2, "v2")

    def test_is_the_reason_of_that_attempt_until_its_start(self, yard: Yard) -> None:
        job = self.uploaded_twice(yard)
        yard.jobs._update(job.job_id, {"maybe_started": True})
        yard.says["a"] = [NoFreeSlot("20 run")]

        yard.fill()

        assert (yard.get(job).attempt, yard.get(job).reason) == (2, "that version was deleted")

    def test_is_the_end_where_the_newest_is_gone_too(self, yard: Yard) -> None:
        job = self.uploaded_twice(yard)
        yard.checked["a"].append(Gone("all were deleted"))

        yard.fill()

        assert (yard.get(job).state, yard.get(job).reason) == ("REJECTED", "all were deleted")

    def test_is_the_end_where_there_is_no_newer_one(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.checked["a"] = [Gone("deleted")]

        yard.fill()

        assert (yard.get(job).state, yard.get(job).reason) == ("REJECTED", "deleted")

    def test_is_nothing_where_the_job_moved_on(self, yard: Yard) -> None:
        self.uploaded_twice(yard)
        patched: Any = yard.jobs
        patched.take_newest_version = lambda _: None

        yard.fill()

        assert (yard.started, yard.versions) == ([], ["v1"])


class TestAPlaceholder:
    def placed(self, yard: Yard) -> Job:
        yard.choice = FACES
        return yard.waiting(key="a", analysis=UNKNOWN)

    def test_makes_room_for_what_its_uploader_asked_for(self, yard: Yard) -> None:
        placeholder = self.placed(yard)

        yard.fill(1)

        assert yard.jobs.get(placeholder.job_id) is None
        assert (yard.started, yard.states()) == (["a"], "R")

    def test_opens_its_scope(self, yard: Yard) -> None:
        self.placed(yard)
        yard.know(**{UNKNOWN: Scope(suspects=("one",)), "videos": Scope(suspects=("one",))})
        yard.says["a"] = [NoFreeSlot("20 run")]

        yard.fill(1)

        assert [name for name, scope in yard.scopes().items() if scope.suspects] == ["videos"]

    def test_is_looked_at_again_where_it_is_uploaded_again_in_this_moment(self, yard: Yard) -> None:
        placeholder = self.placed(yard)
        choose, asked = yard.choose, []

        def meanwhile(upload: Any) -> Any:
            asked.append(upload.version_id)
            if len(asked) == 1:
                yard.jobs.uploaded_again(placeholder.job_id, NEWER)
            return choose(upload)

        patched: Any = yard
        patched.choose = meanwhile
        yard.fill(1)
        yard.fill(1)

        assert "v2" in asked
        assert yard.jobs.get(placeholder.job_id) is None

    @pytest.mark.parametrize(
        ("said", "state", "scopes"),
        [
            (WrongChoice("faces", "there is no faces"), "REJECTED", set()),
            (AccountFault(UNKNOWN, "denied", certain=True), "WAITING", {UNKNOWN}),
            (ServiceTrouble("no answer"), "WAITING", set()),
        ],
    )
    def test_that_can_not_be_read_is_treated_like_a_start(
        self, yard: Yard, said: Exception, state: str, scopes: set[str]
    ) -> None:
        placeholder = self.placed(yard)
        yard.choice = said

        yard.fill()

        assert yard.get(placeholder).state == state
        assert yard.faults().blocked == scopes


class TestSlowDown:
    @pytest.fixture(autouse=True)
    def _without_dice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("random.uniform", lambda *_: 1.0)

    def complete(self, yard: Yard) -> None:
        """Let a job end that holds a slot."""
        done = yard.running(key=f"z {yard.now}")
        yard.scheduler.fill_after_completion(done.job_id, "r", lambda: True)

    def test_is_waited_for_in_pauses_that_double_and_the_job_keeps_its_position(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.says["a"] = [SlowDown("slower")] * 3
        began = yard.clock.now()

        yard.fill()

        assert yard.started == ["a"] * 4
        assert yard.clock.now() - began == pytest.approx(0.2 + 0.4 + 0.8, abs=1e-3)
        assert yard.get(job).position == job.position

    def test_costs_one_write_and_the_claim_is_kept(self, yard: Yard) -> None:
        yard.line_up("a", "b")
        yard.says["a"] = [SlowDown("slower")] * 3
        yard.says["b"] = [NoFreeSlot("20 run")]
        calls: list[str] = []
        call = yard.client._make_api_call
        yard.client._make_api_call = lambda operation, params: calls.append(operation) or call(operation, params)

        yard.fill(2)

        # Each of the two claims, the release of b, and nothing for the pauses.
        assert calls.count("TransactWriteItems") == 3
        # The note, the start of a, and the refusal of b.
        assert calls.count("UpdateItem") == 3

    def test_is_left_to_the_next_tick_after_six_in_a_row(self, yard: Yard) -> None:
        [job, _] = yard.line_up("a", "b")
        yard.says["a"] = [SlowDown("slower")] * 99
        began = yard.clock.now()

        yard.fill(2)

        assert (len(yard.started), yard.states()) == (6, "WW")
        assert yard.clock.now() - began == pytest.approx(0.2 + 0.4 + 0.8 + 1.6 + 1.6, abs=1e-3)
        assert yard.get(job).position == job.position

    def test_is_not_waited_for_without_time(self, yard: Yard) -> None:
        yard.line_up("a")
        yard.says["a"] = [SlowDown("slower")] * 99
        times = iter([True, True, False])
        began = yard.clock.now()

        yard.scheduler.fill_after_uploads(1, lambda: next(times))

        assert (len(yard.started), yard.states()) == (2, "W")
        assert yard.clock.now() - began == pytest.approx(0.2, abs=1e-3)

    def test_is_counted_anew_for_each_job(self, yard: Yard) -> None:
        yard.line_up("a", "b")
        yard.says = of_each(lambda: SlowDown("slower"), "ab", 5)

        yard.fill(2)

        assert yard.states() == "RR"

    def test_makes_those_who_wait_at_the_same_time_wait_for_times_of_their_own(
        self, yard: Yard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[tuple[float, float]] = []
        monkeypatch.setattr("random.uniform", lambda *between: drawn.append(between) or 1.5)
        yard.line_up("a")
        yard.says["a"] = [SlowDown("slower")]
        began = yard.clock.now()

        yard.fill()

        assert drawn == [(0.5, 1.5)]
        assert yard.clock.now() - began == pytest.approx(0.3, abs=1e-3)

    @pytest.mark.parametrize(("seconds", "started"), [(1.9, []), (2.1, ["a"])])
    def test_has_others_leave_their_slots_for_two_seconds_to_the_one_that_met_it(
        self, yard: Yard, seconds: float, started: list[str]
    ) -> None:
        yard.line_up("a")
        yard.running(key="z")
        yard.jobs.note_throttled()
        yard.clock.seconds += seconds

        yard.fill()

        assert yard.started == started

    def test_has_its_invocation_fill_the_slots_that_others_leave_to_it(self, yard: Yard) -> None:
        yard.line_up(*"abcd")
        yard.says["a"] = [SlowDown("slower")]
        yard.says["d"] = [NoFreeSlot("20 run")]

        self.complete(yard)

        assert yard.states() == "RRRWR"

    def test_has_the_next_fill_all_slots_if_its_invocation_died(self, yard: Yard) -> None:
        yard.line_up(*"abc")
        yard.jobs.note_throttled()
        yard.clock.seconds += 60

        self.complete(yard)

        assert yard.states() == "RRRR"

    def test_is_over_once_a_start_was_refused(self, yard: Yard) -> None:
        yard.line_up(*"abc")
        yard.jobs.note_throttled()
        yard.clock.seconds += 60
        yard.jobs.note_limit_reached()

        self.complete(yard)

        assert yard.states() == "RWWR"

    def test_does_not_keep_a_tick_from_filling(self, yard: Yard) -> None:
        yard.line_up(*"ab")
        yard.jobs.note_throttled()

        yard.tick()

        assert yard.states() == "RR"

    def test_is_noted_every_two_seconds_while_it_lasts(self, yard: Yard) -> None:
        noted: list[float] = []
        note, patched = yard.jobs.note_throttled, yard.jobs
        patched.note_throttled = lambda: noted.append(yard.clock.now()) or note()  # type: ignore[method-assign]
        yard.line_up("a")
        yard.says["a"] = [SlowDown("slower")] * 99
        began = yard.clock.now()

        yard.fill()

        assert [at - began for at in noted] == pytest.approx([0, 3.0], abs=1e-3)


class TestTroubleOfTheService:
    def test_lets_the_job_wait_for_longer_and_longer(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        yard.says["a"] = [ServiceTrouble("no answer")] * 12
        waits = []
        for errors in range(1, 13):
            yard.fill()
            again = yard.get(job)
            assert (again.state, again.reason, again.start_errors) == ("WAITING", "no answer", errors)
            waits.append(round(seconds_of(again.due_at.partition("#")[0]) - yard.clock.now()))
            yard.clock.seconds += waits[-1]

        assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]

    @pytest.mark.parametrize("maybe", [True, False])
    def test_is_remembered_where_the_job_may_have_been_started(self, yard: Yard, maybe: bool) -> None:
        [job] = yard.line_up("a")
        trouble = ServiceTrouble("no answer")
        trouble.maybe_started = maybe
        yard.says["a"] = [trouble]

        yard.fill()

        assert yard.get(job).maybe_started is maybe

    def many_errors(self, yard: Yard, count: int) -> Job:
        [job] = yard.line_up("a")
        yard.jobs._update(job.job_id, {"start_errors": count})
        yard.says["a"] = [ServiceTrouble("no answer")]
        return job

    @pytest.mark.parametrize(("before", "state"), [(30, "WAITING"), (31, "REJECTED")])
    def test_ends_the_job_at_the_32nd_time(self, yard: Yard, before: int, state: str) -> None:
        job = self.many_errors(yard, before)

        yard.fill()

        assert (MOST_START_ERRORS, yard.get(job).state) == (32, state)
        if state == "REJECTED":
            assert yard.get(job).reason == "could not be started in 32 tries; the last said: no answer"

    def test_lets_it_wait_again_where_its_end_can_not_be_announced(self, yard: Yard) -> None:
        job = self.many_errors(yard, 31)
        yard.bus_refuses = True

        yard.fill()

        again = yard.get(job)
        assert (again.state, again.start_errors, again.reason) == ("WAITING", 32, "no answer")

    def test_has_the_scheduler_look_elsewhere_and_stop_after_four_in_a_row(self, yard: Yard) -> None:
        keys = "abcdefghij"
        yard.line_up(*keys)
        yard.says = of_each(lambda: ServiceTrouble("down"), keys)

        yard.fill(10)

        first, second, between, newest = yard.started
        assert (first, second, newest) == ("a", "b", "j" if between != "j" else "i")
        assert between not in "ab"
        assert yard.states() == "W" * 10

    def test_is_counted_anew_after_each_success(self, yard: Yard) -> None:
        yard.line_up(*"abcdefgh")
        trouble = iter([True, True, True, False] * 2)

        def start(job: Job) -> str:
            if next(trouble):
                raise ServiceTrouble("odd")
            return "r"

        patched: Any = yard
        patched.start = start
        yard.fill(8)

        assert (yard.states().count("R"), next(trouble, None)) == (2, None)


class TestProbing:
    def block(self, yard: Yard, *scopes: str) -> None:
        yard.know(**{name: Scope().block("no", yard.clock.now()) for name in scopes})

    def turn(self, yard: Yard, turn: int) -> None:
        """Go to the next minute in which a probe begins there."""
        while int(yard.clock.now() // MINUTE) % 4 != turn:
            yard.clock.seconds += MINUTE

    def test_tries_one_job_a_minute_which_keeps_its_position(self, yard: Yard) -> None:
        jobs = yard.line_up("a", "b")
        self.block(yard, "videos")
        yard.checked = of_each(lambda: THE_ACCOUNTS, "ab", 99)
        for _ in range(4):
            yard.tick()
            yard.clock.seconds += MINUTE

        assert len(yard.versions) == 4
        assert [yard.get(job).due_at for job in jobs] == [job.position for job in jobs]

    @pytest.mark.parametrize(("turn", "key"), [(OLDEST_FIRST, "a"), (NEWEST_FIRST, "e")])
    def test_begins_at_another_end_each_minute(self, yard: Yard, turn: int, key: str) -> None:
        yard.line_up(*"abcde")
        self.block(yard, "face-detection")
        yard.says = of_each(lambda: AccountFault("face-detection", "denied", certain=True), "abcde")
        self.turn(yard, turn)

        yard.tick()

        assert yard.started == [key]

    def test_looks_somewhere_in_between_every_second_minute(self, yard: Yard) -> None:
        yard.line_up(*(f"{n:03}" for n in range(100)))
        self.block(yard, "videos")
        yard.checked = defaultdict(lambda: [THE_ACCOUNTS])
        for turn in (BETWEEN, BETWEEN_AGAIN) * 3:
            self.turn(yard, turn)
            yard.tick()
            yard.clock.seconds += 1

        assert len(yard.looked) == 6
        assert len(set(yard.looked)) > 3, "elsewhere each time"
        assert {"000", "099"}.isdisjoint(yard.looked)

    def test_opens_the_scope_at_the_first_success_and_the_tick_starts_the_others(self, yard: Yard) -> None:
        yard.line_up(*"abc")
        self.block(yard, "videos")

        yard.tick()

        assert yard.states() == "RRR"
        assert [what for what, _ in yard.told] == ["Starting Blocked", "Starting Unblocked"]

    def test_of_an_analysis_tries_jobs_of_that_analysis(self, yard: Yard) -> None:
        yard.line_up("a", "b", analysis="label-detection")
        yard.line_up("c")
        self.block(yard, "face-detection", "label-detection")
        yard.says["c"] = [AccountFault("face-detection", "denied", certain=True)]
        yard.says["a"] = [AccountFault("label-detection", "denied", certain=True)]
        self.turn(yard, OLDEST_FIRST)

        yard.tick()

        assert yard.started == ["c", "a"]

    def test_tries_up_to_five_jobs_that_end_for_reasons_of_their_own(self, yard: Yard) -> None:
        yard.line_up(*"abcdefg")
        self.block(yard, "videos")
        yard.checked = of_each(lambda: Gone("deleted"), "abcdefg")
        self.turn(yard, OLDEST_FIRST)

        yard.tick()

        assert yard.states() == "xxxxxWW"

    def test_ends_with_the_first_fault_of_the_scope(self, yard: Yard) -> None:
        yard.line_up(*"abc")
        self.block(yard, "videos")
        yard.checked = of_each(lambda: ONE_VIDEOS, "bc")
        yard.checked["a"] = [Gone("deleted")]
        self.turn(yard, OLDEST_FIRST)

        yard.tick()

        assert (yard.looked, yard.states()) == (["a", "b"], "xWW")

    @pytest.mark.parametrize("error", [NoFreeSlot("20 run"), SlowDown("slower"), ServiceTrouble("down")])
    def test_ends_where_nothing_can_be_started_now(self, yard: Yard, error: Exception) -> None:
        yard.line_up(*"abc")
        self.block(yard, "videos")
        yard.says = of_each(lambda: error, "abc", 9)
        self.turn(yard, OLDEST_FIRST)

        yard.tick()

        assert (yard.started, yard.states()) == (["a"], "WWW")
        assert ("refused_at" in yard.jobs.scheduler()) is isinstance(error, NoFreeSlot)

    def test_reschedules_a_job_that_met_trouble_of_the_service(self, yard: Yard) -> None:
        [job] = yard.line_up("a")
        self.block(yard, "videos")
        yard.says["a"] = [ServiceTrouble("down")]

        yard.tick()

        assert (yard.get(job).start_errors, yard.get(job).reason) == (1, "down")

    def test_opens_a_scope_whose_analysis_the_settings_no_longer_allow(self, yard: Yard) -> None:
        yard.line_up("a")
        self.block(yard, "face-detection")
        yard.allowed = False

        yard.tick()

        assert yard.faults().blocked == set()
        assert (yard.started, yard.states()) == ([], "x")

    def test_of_what_is_no_analysis_asks_no_settings(self, yard: Yard) -> None:
        self.block(yard, "videos")
        yard.allowed = False

        yard.tick()

        assert yard.faults().blocked == {"videos"}

    def test_announces_what_was_not_announced_and_puts_suspects_back(self, yard: Yard) -> None:
        suspect = yard.suspect("z")
        yard.jobs.note_scopes(lambda known: {"videos": known["videos"].block("no", yard.clock.now())})
        yard.says["z"] = [NoFreeSlot("20 run")]

        yard.tick()

        assert yard.told[0][0] == "Starting Blocked"
        assert yard.get(suspect).state == "WAITING"

    def test_is_not_done_for_results_that_are_not_collected(self, yard: Yard) -> None:
        yard.line_up("a")
        self.block(yard, "results")
        patched: Any = yard.jobs
        patched.uncollected = lambda *_: 1000

        yard.tick()

        assert yard.started == []


class TestUncollectedResults:
    def tick(self, yard: Yard, count: int, collected: float | None) -> None:
        """A tick while so many results wait, and one was collected so many seconds ago."""
        asked: list[tuple[float, int]] = []
        patched: Any = yard.jobs
        patched.uncollected = lambda before, most: asked.append((yard.clock.now() - before, most)) or count
        if collected is not None:
            yard.clock.seconds -= collected
            yard.jobs.note_collected()
            yard.clock.seconds += collected
        yard.tick()
        assert asked == [(3600.0, 1000)]

    @pytest.mark.parametrize(
        ("count", "collected", "blocked"),
        [
            (9, None, False),
            (10, None, True),
            (10, 3601, True),
            (10, 3600, False),
            (10, 60, False),
            (999, 60, False),
            (1000, 60, True),
        ],
    )
    def test_block_starting_where_none_or_not_enough_are_collected(
        self, yard: Yard, count: int, collected: float | None, blocked: bool
    ) -> None:
        yard.line_up("a")

        self.tick(yard, count, collected)

        assert yard.faults().blocked == ({"results"} if blocked else set())
        assert yard.states() == ("W" if blocked else "R")

    def test_are_announced_with_their_number_once(self, yard: Yard) -> None:
        for _ in range(2):
            self.tick(yard, 1000, None)

        [(what, event)] = yard.told
        assert (what, event["scope"]) == ("Starting Blocked", "results")
        assert event["reason"] == "the results of 1,000 jobs have waited for more than an hour to be collected"

    def test_block_no_more_once_they_are_collected(self, yard: Yard) -> None:
        yard.line_up("a")
        self.tick(yard, 10, None)

        self.tick(yard, 9, None)

        assert (set(yard.faults().blocked), yard.states()) == (set(), "R")


class TestClaiming:
    def test_passes_over_what_another_invocation_was_faster_with(self, yard: Yard) -> None:
        yard.line_up(*"abc")
        claim, times = yard.jobs.claim, iter(range(99))

        def beaten(*arguments: Any) -> Job | None:
            return None if next(times) < 2 else claim(*arguments)

        patched: Any = yard.jobs
        patched.claim = beaten
        yard.fill()

        assert yard.started == ["c"]

    def test_is_tried_a_hundred_times_in_a_row(self, yard: Yard) -> None:
        yard.line_up(*(f"{n:03}" for n in range(120)))
        tried: list[str] = []
        patched: Any = yard.jobs
        patched.claim = lambda job_id, *_: tried.append(job_id)

        yard.fill()

        assert len(tried) == 100

    def test_takes_no_job_that_is_due_later(self, yard: Yard) -> None:
        yard.jobs.reschedule(yard.claimed(key="a"), "later", 30, maybe_started=False)

        yard.fill()
        assert yard.started == []
        yard.clock.seconds += 31
        yard.fill()

        assert yard.started == ["a"]

    @pytest.mark.parametrize(("times", "started"), [(19, ["a"]), (20, [])])
    def test_is_tried_anew_twenty_times_where_other_starts_are_faster(
        self, yard: Yard, times: int, started: list[str]
    ) -> None:
        yard.line_up("a")
        claim, faster = yard.jobs.claim, iter(range(times))

        def beaten(*arguments: Any) -> Job | None:
            if next(faster, None) is not None:
                raise SharesChanged
            return claim(*arguments)

        patched: Any = yard.jobs
        patched.claim = beaten
        yard.fill()

        assert yard.started == started
