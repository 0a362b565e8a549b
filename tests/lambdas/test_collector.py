"""What the collector does with each answer of Rekognition, S3 and the bus, and how the next invocation goes on."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambdas.aws import multipart
from lambdas.aws.multipart import UploadGone
from lambdas.logic.collector import Collector
from lambdas.logic.results import ResultWriter
from lambdas.model.budget import month_of
from lambdas.model.clock import iso
from lambdas.model.errors import (
    CollectionDenied,
    EventRefused,
    JobForgotten,
    PageTokenExpired,
    ServiceTrouble,
    SlowDown,
)
from lambdas.model.events import Finished, ask_again
from lambdas.model.job import Job
from lambdas.model.page import Page
from lambdas.model.video_header import VideoHeader
from tests.fake_aws import START_OF_TIME
from tests.lambdas.test_job_table import Desk
from tests.lambdas.test_results import NEWER, PAGES, Shelf, page

DAY = 86_400.0
LONG = [page(2 * n, 2, str(n + 1)) for n in range(6)] + [page(12, 2)]  # seven pages


class Station(Desk):
    """The table, the results bucket, a collector between them, and what it asks, sends and announces.

    Attributes:
        answers: of Get, by token: the first of each is given, and the last again and again.
    """

    def __init__(self, *, converts: bool = False) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.answers: dict[str | None, list[Page | Exception]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.sent: list[str] = []
        self.announced: list[tuple[str, dict[str, Any]]] = []
        self.refused: dict[str, str] = {}
        self.ends_at = float("inf")  # of the invocation
        self.waits: list[tuple[float, float]] = []
        self.seconds_a_page = 0.0
        self.when_asked: dict[str | None, Callable[[], None]] = defaultdict(lambda: lambda: None)
        setting = {"converts": True} if converts else {}
        self.collector = Collector(self.jobs, self, self.shelf.results, self, self, self.clock, **setting)
        self.say(*PAGES)

    def say(self, *pages: Page | Exception) -> None:
        """Let these be the job's pages, in their order."""
        tokens = [None, *(it.next_token for it in pages if isinstance(it, Page))]
        self.answers = {token: [it] for token, it in zip(tokens, pages, strict=False)}

    def job(self) -> Job:
        """A job that runs, of the upload whose result `shelf` knows."""
        return self.running(analysis="label-detection")

    def collect(self, job: Job, told: str | None = "r", owner: str = "me") -> None:
        self.collector.collect(Finished(job.job_id, told), owner, self.left)

    # the parts around the collector

    def left(self) -> int:
        return 10**6 if self.ends_at == float("inf") else round(1000 * (self.ends_at - self.clock.now()))

    def page(self, job: Job, rekognition_job_id: str, token: str | None = None) -> Page:
        self.asked.append((rekognition_job_id, token))
        self.when_asked[token]()
        answers = self.answers[token]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pages(
        self, job: Job, rekognition_job_id: str, first: Page, patiently: Callable[[Callable[[], Page]], Page]
    ) -> Iterator[Page]:
        while True:
            self.clock.seconds += self.seconds_a_page
            yield first
            token = first.next_token
            if token is None:
                return
            first = patiently(lambda token=token: self.page(job, rekognition_job_id, token))  # type: ignore[misc]

    def send(self, bodies: Iterable[str]) -> None:
        self.sent += bodies

    def announce(self, job: Job, state: str, **outcome: Any) -> None:
        if state in self.refused:
            raise EventRefused(self.refused[state])
        self.announced.append((state, outcome))


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Station:
    here = Station()

    def middle(low: float, high: float) -> float:
        here.waits.append((low, high))
        return 0.5

    monkeypatch.setattr(random, "uniform", middle)
    return here


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "PART", 50)


class TestASuccess:
    def test_stores_the_results_announces_them_and_then_ends_the_job(self, station: Station) -> None:
        job = station.job()

        station.collect(job)

        done = station.get(job)
        outcome = {
            "result_key": done.result_key,
            "rows_key": done.rows_key,
            "detections": 7,
            "video_metadata": {"Codec": "h264"},
        }
        station.shelf.holds()
        assert (done.state, done.detections, done.video_metadata) == ("SUCCEEDED", 7, {"Codec": "h264"})
        assert (done.lease_owner, done.checkpoint) == (None, None)
        assert station.announced == [("SUCCEEDED", outcome)]
        assert station.asked == [("r", None), ("r", "two"), ("r", "three")]

    def test_is_noted_as_a_sign_that_collecting_works(self, station: Station) -> None:
        station.collect(station.job())

        assert station.jobs.scheduler()["collected_at"] == station.now

    def test_holds_the_job_for_90_seconds_and_for_90_more_before_it_publishes(self, station: Station) -> None:
        job, leases = station.job(), []

        def look() -> None:
            leases.append((station.get(job).lease_owner, station.get(job).lease_until))

        station.when_asked["two"] = look
        station.shelf.before = lambda *_: look()
        station.seconds_a_page = 7
        began = station.clock.now()
        station.collect(job)

        assert [leases[0], leases[-1]] == [("me", iso(began + 90)), ("me", iso(began + 3 * 7 + 90))]

    def test_whose_event_is_refused_is_announced_later(self, station: Station) -> None:
        job = station.job()
        station.refused["SUCCEEDED"] = "the bus is out of order"

        station.collect(job)

        left = station.get(job)
        assert (left.state, left.checkpoint, left.lease_until) == ("COLLECTING", None, None)
        assert (left.reason, left.due_at) == ("the bus is out of order", station.at(60))
        station.refused.clear()
        station.collect(job, None)
        assert station.get(job).state == "SUCCEEDED"

    def test_of_which_the_lease_was_lost_at_the_last_moment_ends_nothing(self, station: Station) -> None:
        job = station.job()
        station.say(*LONG)
        station.seconds_a_page = 31
        announce = station.announce

        def meanwhile(*arguments: Any, **outcome: Any) -> None:
            announce(*arguments, **outcome)
            station.clock.seconds += 91
            assert station.jobs.begin_collecting(station.get(job), "r", "another", station.clock.now() + 90)

        station.collector._bus.announce = meanwhile  # type: ignore[method-assign]
        station.collect(job)

        assert (station.get(job).state, station.get(job).lease_owner) == ("COLLECTING", "another")
        assert any(key.startswith("collecting/") for key in station.shelf.listed()), "which the other reads"

    def test_is_not_published_by_an_invocation_that_lost_the_lease(self, station: Station) -> None:
        job = station.job()
        publish = ResultWriter.publish

        def late(self: ResultWriter, lookup: Any, hold: Callable[[], None]) -> bool:
            station.clock.seconds += 91
            assert station.jobs.begin_collecting(station.get(job), "r", "another", station.clock.now() + 90)
            return publish(self, lookup, hold)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ResultWriter, "publish", late)
            station.collect(job)

        assert station.shelf.listed() == set()
        assert (station.get(job).state, station.announced) == ("COLLECTING", [])

    def test_drops_what_its_checkpoints_kept(self, station: Station) -> None:
        station.say(*LONG)
        station.seconds_a_page = 31

        station.collect(station.job())

        assert not [key for key in station.shelf.listed() if key.startswith("collecting/")]

    def test_of_another_invocation_that_holds_the_job_is_left_to_it(self, station: Station) -> None:
        job = station.job()
        assert station.jobs.begin_collecting(job, "r", "another", station.clock.now() + 90)

        station.collect(job)

        assert station.shelf.listed() == set()
        assert station.get(job).lease_owner == "another"


class TestWhichOfRekognitionsJobsIsRead:
    @pytest.mark.parametrize(
        ("told", "asked"),
        [("r", ["r"]), (None, ["r"]), ("another", [])],
    )
    def test_is_the_one_that_runs(self, station: Station, told: str | None, asked: list[str]) -> None:
        station.collect(station.job(), told)

        assert list(dict.fromkeys(it for it, _ in station.asked)) == asked

    @pytest.mark.parametrize(("told", "asked"), [("r", ["r"]), (None, [])])
    def test_is_the_one_announced_where_its_start_is_not_recorded(
        self, station: Station, told: str | None, asked: list[str]
    ) -> None:
        station.collect(station.claimed(analysis="label-detection"), told)

        assert list(dict.fromkeys(it for it, _ in station.asked)) == asked

    def test_is_never_one_of_an_earlier_attempt(self, station: Station) -> None:
        job = station.job()
        assert station.jobs.try_again(job, "internal", 0)
        assert station.jobs.claim(job.job_id)

        station.collect(job, "r")

        assert station.asked == []

    @pytest.mark.parametrize("told", ["r", None])
    def test_is_none_of_a_job_that_failed(self, station: Station, told: str | None) -> None:
        job = station.job()
        assert station.jobs.fail(job, "broken")

        station.collect(job, told)

        assert station.asked == []

    def test_is_none_of_a_job_that_succeeded_and_is_announced_again(self, station: Station) -> None:
        job = station.job()
        station.collect(job)
        station.shelf.s3.delete_object(Bucket="results", Key=station.get(job).result_key)
        asked = len(station.asked)

        station.collect(job, "r")

        assert len(station.asked) == asked

    @pytest.mark.parametrize(("gone", "reads"), [(True, 3), (False, 0)])
    def test_is_read_again_where_the_result_of_a_job_that_succeeded_is_gone(
        self, station: Station, gone: bool, reads: int
    ) -> None:
        job = station.job()
        station.collect(job)
        if gone:
            station.shelf.s3.delete_object(Bucket="results", Key=station.get(job).result_key)
        asked = len(station.asked)

        station.collect(job, None)

        assert len(station.asked) - asked == reads
        station.shelf.holds()

    @pytest.mark.parametrize(("told", "state"), [("r", "SUCCEEDED"), (None, "REJECTED")])
    def test_of_a_rejected_job_is_the_one_announced(self, station: Station, told: str | None, state: str) -> None:
        job = self.rejected(station)

        station.collect(job, told)

        assert station.get(job).state == state

    @staticmethod
    def rejected(station: Station) -> Job:
        job = station.claimed(analysis="label-detection")
        assert station.jobs.reject(job, "deleted")
        return station.get(job)

    @pytest.mark.parametrize("message", ["internal", "bad codec"])
    def test_a_rejected_job_that_rekognition_failed_stays_rejected(self, station: Station, message: str) -> None:
        job = self.rejected(station)
        station.say(Page("FAILED", [], "[]", {"StatusMessage": message}, None))

        station.collect(job, "r")

        assert station.get(job) == job
        assert station.announced == []

    @pytest.mark.parametrize("answer", [Page("IN_PROGRESS", [], "[]", {}, None), ServiceTrouble("no answer")])
    def test_a_rejected_job_that_can_not_be_read_yet_is_polled(self, station: Station, answer: Any) -> None:
        job = self.rejected(station)
        station.say(answer)

        station.collect(job, "r")

        left = station.get(job)
        assert (left.state, left.rekognition_job_id, left.due_at) == ("COLLECTING", "r", station.at(60))
        station.say(*PAGES)
        station.clock.seconds += 60
        station.collect(job, None)
        assert station.get(job).state == "SUCCEEDED"

    def test_a_job_that_succeeded_and_can_not_be_read_again_is_polled(self, station: Station) -> None:
        job = station.job()
        station.collect(job)
        station.shelf.s3.delete_object(Bucket="results", Key=station.get(job).result_key)
        station.say(ServiceTrouble("no answer"))

        station.collect(job, None)

        left = station.get(job)
        assert (left.state, left.rekognition_job_id, left.reason) == ("COLLECTING", "r", "no answer")


class TestAJobInProgress:
    SAID = Page("IN_PROGRESS", [], "[]", {}, None)

    def test_is_left_alone(self, station: Station) -> None:
        job = station.job()
        station.say(self.SAID)

        station.collect(job, None)

        assert station.get(job) == job

    @pytest.mark.parametrize(("seconds", "state"), [(14 * DAY, "RUNNING"), (14 * DAY + 1, "FAILED")])
    def test_is_given_up_after_14_days(self, station: Station, seconds: float, state: str) -> None:
        job = station.job()
        station.clock.seconds += seconds
        station.say(self.SAID)

        station.collect(job, None)

        assert station.get(job).state == state
        if state == "FAILED":
            reason = "still IN_PROGRESS at Rekognition 14 days after its start"
            assert (station.get(job).reason, station.announced) == (reason, [("FAILED", {"reason": reason})])


class TestAFailure:
    def failed(self, station: Station, message: str | None) -> None:
        rest = {} if message is None else {"StatusMessage": message}
        station.say(Page("FAILED", [], "[]", rest, None))

    @pytest.mark.parametrize(("message", "reason"), [("bad codec", "bad codec"), (None, "Rekognition gave no reason")])
    def test_ends_the_job_with_rekognitions_reason(self, station: Station, message: str | None, reason: str) -> None:
        job = station.job()
        self.failed(station, message)

        station.collect(job)

        assert (station.get(job).state, station.get(job).reason) == ("FAILED", reason)
        assert station.announced == [("FAILED", {"reason": reason})]

    def test_whose_event_is_refused_is_announced_later(self, station: Station) -> None:
        job = station.job()
        self.failed(station, "bad codec")
        station.refused["FAILED"] = "not now"

        station.collect(job)

        assert (station.get(job).state, station.get(job).due_at) == ("RUNNING", station.at(60))

    @pytest.mark.parametrize(
        "message",
        [
            "Internal server error",
            "Service unavailable",
            "Please try again",
            "The request timed out",
            "Timeout",
            "Throttled",
            "A temporary problem",
        ],
    )
    def test_that_may_pass_is_tried_again_after_a_minute(self, station: Station, message: str) -> None:
        job = station.job()
        self.failed(station, message)

        station.collect(job)

        again = station.get(job)
        assert (again.state, again.attempt, again.reason) == ("WAITING", 2, message)
        assert again.due_at.startswith(station.at(60))

    def test_that_may_pass_is_tried_again_after_twice_as_long_each_time_and_three_times_in_all(
        self, station: Station
    ) -> None:
        job, waits = station.job(), []
        self.failed(station, "internal")
        for attempt in range(3):
            station.collect(job, f"r{attempt}" if attempt else "r")
            waits.append(station.get(job).due_at[:24])
            if attempt < 2:
                claimed = station.jobs.claim(job.job_id)
                assert claimed
                station.jobs.started(claimed, f"r{attempt + 1}", poll_at=station.clock.now() + 120)

        assert waits[:2] == [station.at(60), station.at(120)]
        assert (station.get(job).state, station.get(job).reason) == ("FAILED", "internal")

    def test_is_one_of_the_job_that_was_announced_where_its_start_is_not_recorded(self, station: Station) -> None:
        job = station.claimed(analysis="label-detection")
        self.failed(station, "internal")

        station.collect(job, "r")

        assert station.get(job).past_rekognition_job_ids == ["r"]

    def test_counts_only_attempts_that_rekognition_accepted(self, station: Station) -> None:
        job = station.claimed(analysis="label-detection")
        for _ in range(4):  # tokens taken by other stacks
            assert station.jobs.try_again(job, "taken", 0)
            claimed = station.jobs.claim(job.job_id)
            assert claimed
            job = claimed
        self.failed(station, "internal")

        station.collect(job, "r")

        assert station.get(job).state == "WAITING"


class TestAFormatThatRekognitionDoesNotKnow:
    UNSUPPORTED = "Unsupported codec/format."

    def station(self, *, converts: bool = True) -> Station:
        station = Station(converts=converts)
        station.say(Page("FAILED", [], "[]", {"StatusMessage": self.UNSUPPORTED}, None))
        return station

    def test_has_the_video_converted_and_ends_nothing(self) -> None:
        station = self.station()
        job = station.job()

        station.collect(job)

        assert (station.get(job).state, station.get(job).reason) == ("CONVERTING", self.UNSUPPORTED)
        assert station.announced == []

    @pytest.mark.parametrize(
        ("converts", "changes"), [(False, {"conversions": 0}), (True, {"source_key": "converted/x"})]
    )
    def test_is_the_end_where_nothing_is_converted_or_the_copy_failed_too(
        self, converts: bool, changes: dict[str, Any]
    ) -> None:
        station = self.station(converts=converts)
        job = station.job()
        station.jobs._update(job.job_id, changes)

        station.collect(job)

        assert (station.get(job).state, station.get(job).reason) == ("FAILED", self.UNSUPPORTED)
        assert station.announced == [("FAILED", {"reason": self.UNSUPPORTED})]

    def test_is_converted_again_where_earlier_conversions_failed_and_an_operator_retries(self) -> None:
        station = self.station()
        job = station.job()
        station.jobs._update(job.job_id, {"conversions": 3})

        station.collect(job)

        assert station.get(job).state == "CONVERTING"

    @pytest.mark.parametrize("converts", [True, False])
    def test_of_the_video_itself_is_no_news_while_it_is_converted(self, converts: bool) -> None:
        station = self.station(converts=converts)
        job = station.claimed(analysis="label-detection")
        converting = station.jobs.convert(job, "its codec is hevc")

        station.collect(job, "r")

        assert station.get(job) == converting

    def test_of_the_video_itself_is_no_news_once_its_copy_waits(self) -> None:
        station = self.station()
        waiting = station.waiting(analysis="label-detection")
        station.jobs._update(waiting.job_id, {"source_key": "converted/x"})
        before = station.get(waiting)

        station.collect(waiting, "r")

        assert (station.get(waiting), station.announced) == (before, [])

    def test_of_a_job_that_moved_on_ends_nothing(self) -> None:
        station = self.station()
        job = station.job()
        patched: Any = station.jobs
        patched.convert = lambda *_: None

        station.collect(job)

        assert (station.get(job), station.announced) == (job, [])


class TestAJobThatRekognitionForgot:
    def test_is_started_again_at_once(self, station: Station) -> None:
        job = station.job()
        station.say(JobForgotten("no such job"))

        station.collect(job, None)

        again = station.get(job)
        assert (again.state, again.attempt, again.reason) == ("WAITING", 2, "no such job")
        assert again.due_at.startswith(station.now)

    def test_is_left_where_only_a_message_named_it(self, station: Station) -> None:
        job = station.claimed(analysis="label-detection")
        station.say(JobForgotten("no such job"))

        station.collect(job, "r")

        assert station.get(job) == job

    def test_is_made_again_after_any_number_of_attempts_where_its_result_is_wanted_back(self, station: Station) -> None:
        job = station.job()
        for attempt in range(1, 3):
            assert station.jobs.try_again(station.get(job), "internal", 0)
            claimed = station.jobs.claim(job.job_id)
            assert claimed
            station.jobs.started(claimed, f"r{attempt}", poll_at=station.clock.now() + 120)
        station.collect(job, "r2")
        assert station.get(job).state == "SUCCEEDED"
        station.shelf.s3.delete_object(Bucket="results", Key=station.get(job).result_key)
        station.say(JobForgotten("no such job"))

        station.collect(job, None)

        assert station.get(job).state == "WAITING"


class TestThrottling:
    def test_is_waited_for_in_pauses_that_double(self, station: Station) -> None:
        job, began = station.job(), station.clock.now()
        station.answers["two"] = [*(SlowDown("slower") for _ in range(7)), PAGES[1]]

        station.collect(job)

        station.shelf.holds()
        assert station.clock.now() - began == pytest.approx((0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 2 + 2) / 2, abs=1e-3)
        assert station.waits == [(0.5, 1.5)] * 7

    @pytest.mark.parametrize(("seconds", "state"), [(30, "SUCCEEDED"), (30.5, "COLLECTING")])
    def test_is_waited_for_30_seconds_a_page(self, station: Station, seconds: float, state: str) -> None:
        job = station.job()

        def so_long() -> None:
            station.when_asked.clear()
            station.clock.seconds += seconds

        station.answers["two"] = [SlowDown("slower"), PAGES[1]]
        station.when_asked["two"] = so_long
        station.collect(job)

        assert station.get(job).state == state

    def test_for_longer_is_polled_after_a_minute(self, station: Station) -> None:
        job = station.job()
        station.answers["two"] = [SlowDown("slower")]

        station.collect(job)

        assert (station.get(job).state, station.get(job).due_at) == ("COLLECTING", station.at(60))

    @pytest.mark.parametrize(("seconds", "state"), [(30, "SUCCEEDED"), (29.999, "COLLECTING")])
    def test_is_waited_for_while_there_is_half_a_minute_left(
        self, station: Station, seconds: float, state: str
    ) -> None:
        job = station.job()
        station.say(page(0, 3, "two"), page(3, 4))
        station.answers["two"].insert(0, SlowDown("slower"))

        def late() -> None:
            station.ends_at = station.clock.now() + seconds
            station.when_asked.clear()

        station.when_asked["two"] = late
        station.collect(job)

        assert station.get(job).state == state

    def test_of_the_first_page_is_waited_for_too(self, station: Station) -> None:
        job = station.job()
        station.answers[None].insert(0, SlowDown("slower"))

        station.collect(job)

        assert station.get(job).state == "SUCCEEDED"


class TestHandingOver:
    def test_happens_with_less_than_half_a_minute_left(self, station: Station) -> None:
        job = station.job()
        station.say(*LONG)
        station.seconds_a_page = 10
        station.ends_at = station.clock.now() + 60

        station.collect(job)

        # 10, 20 and 30 seconds from the beginning there is enough left, after 40 not.
        assert station.sent == [ask_again(job.job_id, "handed over")]
        left = station.get(job)
        assert (left.state, left.lease_until, left.due_at) == ("COLLECTING", None, "1970-01-01T00:00:00.000Z")
        assert station.asked[-1] == ("r", "3")

    def test_goes_on_where_it_stopped(self, station: Station) -> None:
        job = station.job()
        station.say(*LONG)
        station.seconds_a_page, station.ends_at = 10, station.clock.now() + 60
        station.collect(job)
        station.asked.clear()

        station.ends_at = float("inf")
        station.collect(job, None, owner="another")

        assert station.asked == [("r", token) for token in (None, "4", "5", "6")]
        assert (station.get(job).state, station.get(job).detections) == ("SUCCEEDED", 14)

    def test_needs_no_message_where_another_holds_the_job(self, station: Station) -> None:
        job = station.job()
        station.say(*LONG)
        station.seconds_a_page, station.ends_at = 10, station.clock.now() + 45

        def taken() -> None:
            station.clock.seconds += 91
            assert station.jobs.begin_collecting(station.get(job), "r", "another", station.clock.now() + 90)

        station.when_asked["1"] = taken
        station.collect(job)

        assert station.sent == []
        assert station.get(job).lease_owner == "another"

    def test_does_not_happen_after_the_last_page(self, station: Station) -> None:
        job = station.job()
        station.say(page(0, 7))
        station.seconds_a_page, station.ends_at = 10, station.clock.now() + 35

        station.collect(job)

        assert station.get(job).state == "SUCCEEDED"


class TestCheckpoints:
    @pytest.mark.parametrize(("seconds", "count"), [(30, 3), (31, 6)])
    def test_are_written_after_more_than_30_seconds(
        self, station: Station, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
    ) -> None:
        job, written = station.job(), []
        checkpoint = station.jobs.checkpoint

        def noted(job: Job, state: str, *, until: float) -> bool:
            written.append((station.clock.now() - began, until - station.clock.now()))
            return checkpoint(job, state, until=until)

        monkeypatch.setattr(station.jobs, "checkpoint", noted)
        station.say(*LONG)
        station.seconds_a_page = seconds
        began = station.clock.now()
        station.collect(job)

        assert len(written) == count
        assert {lease for _, lease in written} == {90.0}

    def test_tell_that_collecting_works(self, station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        job, told = station.job(), []
        monkeypatch.setattr(station.jobs, "note_collected", lambda: told.append(station.get(job).state))
        station.say(*LONG)
        station.seconds_a_page = 31

        station.collect(job)

        assert told == ["COLLECTING"] * 6 + ["SUCCEEDED"]

    def test_without_a_lease_end_the_work(self, station: Station) -> None:
        job = station.job()
        station.say(*LONG)
        station.seconds_a_page = 31

        def taken() -> None:
            station.clock.seconds += 91
            assert station.jobs.begin_collecting(station.get(job), "r", "another", station.clock.now() + 90)

        station.when_asked["1"] = taken
        station.collect(job)

        assert station.asked[-1] == ("r", "1")
        assert station.get(job).lease_owner == "another"
        assert station.announced == []


class TestPageOneAgain:
    @pytest.mark.usefixtures("small_parts")
    @pytest.mark.parametrize("error", [PageTokenExpired("24 hours"), UploadGone("aborted")])
    def test_where_what_was_written_can_not_be_gone_on_with(self, station: Station, error: Exception) -> None:
        job = station.job()
        station.answers["two"].insert(0, error)

        station.collect(job)

        assert station.get(job).state == "SUCCEEDED"
        station.shelf.holds()
        assert not station.shelf.buckets.uploads

    @pytest.mark.usefixtures("small_parts")
    def test_to_its_own_place_where_a_newer_upload_was_faster(self, station: Station) -> None:
        job = station.job()
        assert station.jobs.register(replace(job, job_id=NEWER.job_id, sequencer=NEWER.sequencer))

        def faster() -> None:
            station.when_asked.clear()
            station.shelf.stored(NEWER)

        station.when_asked["three"] = faster
        station.collect(job)

        done = station.get(job)
        assert (done.state, done.result_key) == ("SUCCEEDED", f"superseded/{job.job_id}/label-detection.json")
        assert station.shelf.owner() == NEWER.job_id
        assert not station.shelf.buckets.uploads

    @pytest.mark.usefixtures("small_parts")
    def test_to_the_common_place_after_an_upload_that_is_gone(self, station: Station) -> None:
        job = station.job()
        station.shelf.buckets.conflicts = 1

        station.collect(job)

        assert station.get(job).result_key == "results/x.mp4/label-detection.json"
        station.shelf.holds()


class TestWhatAnEndCosts:
    """A job of two minutes is charged when it is claimed; see model/budget.py."""

    def charged(self, station: Station) -> Job:
        job = station.waiting(analysis="label-detection")
        station.jobs._update(job.job_id, {"header": VideoHeader("mp4", "h264", seconds=120.0, video=True)})
        claimed = station.jobs.claim(job.job_id)
        assert claimed is not None
        station.jobs.started(claimed, "r", poll_at=station.clock.now() + 120)
        assert self.minutes(station) == (2.0, 0.0)
        return station.get(job)

    def minutes(self, station: Station) -> tuple[float, float]:
        """Charged this month, and spent of that."""
        month = station.jobs.month(month_of(START_OF_TIME))
        return month.committed_minutes, month.spent_minutes

    @pytest.mark.parametrize("message", ["bad codec", "internal"])
    def test_is_given_back_where_rekognition_failed(self, station: Station, message: str) -> None:
        job = self.charged(station)
        station.say(Page("FAILED", [], "[]", {"StatusMessage": message}, None))

        station.collect(job)

        assert self.minutes(station) == (0.0, 0.0)

    def test_is_given_back_where_rekognition_never_ended(self, station: Station) -> None:
        job = self.charged(station)
        station.clock.seconds += 14 * DAY + 1
        station.say(Page("IN_PROGRESS", [], "[]", {}, None))

        station.collect(job, None)

        assert (station.get(job).state, self.minutes(station)) == ("FAILED", (0.0, 0.0))

    @pytest.mark.parametrize(("earlier", "state"), [([], "WAITING"), (["r1", "r2"], "FAILED")])
    def test_is_spent_where_rekognition_forgot_the_results(
        self, station: Station, earlier: list[str], state: str
    ) -> None:
        job = self.charged(station)
        station.jobs._update(job.job_id, {"past_rekognition_job_ids": earlier})
        station.say(JobForgotten("no such job"))

        station.collect(job, None)

        assert (station.get(job).state, self.minutes(station)) == (state, (2.0, 2.0))

    def test_is_spent_where_the_results_expired_before_they_could_be_read(self, station: Station) -> None:
        job = self.charged(station)
        station.clock.seconds += 9 * DAY
        station.say(ServiceTrouble("no answer"))

        for _ in range(2):
            station.collect(job, None)

        assert (station.get(job).state, self.minutes(station)) == ("FAILED", (2.0, 2.0))


class TestTrouble:
    @pytest.mark.parametrize(
        ("error", "waits"),
        [
            (SlowDown("slower"), [60, 60, 60, 60, 60, 60, 60]),
            (ServiceTrouble("no answer"), [60, 120, 240, 480, 600, 600, 600]),
            (CollectionDenied("no right"), [60, 120, 240, 480, 960, 1920, 3600]),
        ],
    )
    def test_is_polled_less_and_less_often(self, station: Station, error: Exception, waits: list[float]) -> None:
        job, found = station.job(), []
        station.say(error)
        for polls in range(7):
            station.jobs._update(job.job_id, {"polls": polls})
            station.collect(job, None)
            assert station.get(job).reason == str(error)
            found.append(station.get(job).due_at)
            assert station.get(job).due_at == station.at(waits[polls])

    def test_of_the_bus_is_polled_at_least_once_an_hour(self, station: Station) -> None:
        job = station.job()
        station.jobs._update(job.job_id, {"polls": 10_000})
        station.refused["SUCCEEDED"] = "not now"

        station.collect(job, None)

        assert station.get(job).due_at == station.at(3600)

    @pytest.mark.parametrize("error", [ServiceTrouble("no answer"), CollectionDenied("no right"), SlowDown("slower")])
    def test_after_some_pages_costs_none_of_them_and_is_logged(
        self, station: Station, error: Exception, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        job = station.job()
        station.answers["three"] = [error]

        station.collect(job)

        left = station.get(job)
        assert (left.state, left.lease_until, left.reason) == ("COLLECTING", None, str(error))
        assert left.due_at == station.at(60)
        level = "ERROR" if isinstance(error, CollectionDenied) else "WARNING"
        assert [(line["level"], line["error"]) for line in log_lines()] == [(level, str(error))]
        station.answers["three"] = [PAGES[2]]
        station.asked.clear()
        station.collect(job, None)
        station.shelf.holds()
        assert station.asked == [("r", None), ("r", "three")]

    def test_that_is_no_passing_one_sends_a_notification_back(self, station: Station) -> None:
        job = station.job()
        station.say(ValueError("odd"))

        with pytest.raises(ValueError, match="odd"):
            station.collect(job, "r")

        assert (station.get(job).reason, station.get(job).due_at) == ("collecting: ValueError: odd", job.due_at)

    def test_that_is_no_passing_one_sends_our_own_message_back_where_nothing_polls_the_job(
        self, station: Station
    ) -> None:
        job = station.job()
        station.collect(job)
        station.shelf.s3.delete_object(Bucket="results", Key=station.get(job).result_key)
        station.say(ValueError("odd"))

        with pytest.raises(ValueError, match="odd"):
            station.collect(job, None)

    def test_that_is_no_passing_one_ends_our_own_message(
        self, station: Station, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        job = station.job()
        station.say(ValueError("odd"))

        station.collect(job, None)

        assert station.get(job).reason == "collecting: ValueError: odd"
        assert log_lines()[-1]["exception_name"] == "ValueError"


class TestResultsThatExpired:
    def trouble(self, station: Station, job: Job, times: int = 2, error: Exception | None = None) -> Job:
        """The job after it could not be read so many times."""
        station.say(error or ServiceTrouble("no answer"))
        for _ in range(times):
            station.collect(job, None)
        return station.get(job)

    def since(self, station: Station, job: Job) -> Job:
        """The job as it is in its state since this moment."""
        station.jobs._update(job.job_id, {"state_since": station.now})
        return station.get(job)

    @pytest.mark.parametrize(("days", "state"), [(8, "RUNNING"), (8.001, "FAILED")])
    def test_of_a_running_job_after_eight_days(self, station: Station, days: float, state: str) -> None:
        job = self.since(station, station.job())
        station.clock.seconds += days * DAY

        left = self.trouble(station, job)

        assert left.state == state
        if state == "FAILED":
            reason = "its results expired at Rekognition before they could be read: no answer"
            assert (left.reason, station.announced) == (reason, [("FAILED", {"reason": reason})])

    @pytest.mark.parametrize(("days", "state"), [(7, "COLLECTING"), (7.001, "FAILED")])
    def test_of_a_job_that_had_ended_after_seven(self, station: Station, days: float, state: str) -> None:
        job = self.since(station, station.collecting(analysis="label-detection"))
        station.clock.seconds += days * DAY

        assert self.trouble(station, job).state == state

    def test_are_asked_for_once_more_after_the_first_error(self, station: Station) -> None:
        job = self.since(station, station.job())
        station.clock.seconds += 9 * DAY

        assert self.trouble(station, job, times=1).state == "RUNNING"
        station.say(JobForgotten("no such job"))
        station.collect(job, None)

        assert (station.get(job).state, station.get(job).attempt) == ("WAITING", 2)

    def test_are_not_given_up_because_rekognition_is_asked_too_often(self, station: Station) -> None:
        job = self.since(station, station.job())
        station.clock.seconds += 9 * DAY

        assert self.trouble(station, job, error=SlowDown("slower")).state == "RUNNING"

    def test_are_not_why_an_event_is_refused(self, station: Station) -> None:
        job = self.since(station, station.job())
        station.clock.seconds += 9 * DAY
        station.refused["SUCCEEDED"] = "not now"

        for _ in range(2):
            station.collect(job, None)

        assert station.get(job).state == "COLLECTING"

    def test_end_the_job_later_where_that_can_not_be_announced(self, station: Station) -> None:
        job = self.since(station, station.job())
        station.clock.seconds += 9 * DAY
        station.refused["FAILED"] = "not now"

        left = self.trouble(station, job)

        assert (left.state, left.reason, left.due_at) == ("RUNNING", "not now", station.at(60))

    @pytest.mark.parametrize("state", ["SUCCEEDED", "REJECTED"])
    def test_are_not_judged_by_when_the_job_ended(self, station: Station, state: str) -> None:
        if state == "SUCCEEDED":
            job = station.job()
            station.collect(job)
            station.shelf.s3.delete_object(Bucket="results", Key=station.get(job).result_key)
        else:
            job = TestWhichOfRekognitionsJobsIsRead.rejected(station)
        station.clock.seconds += 9 * DAY
        station.jobs._update(job.job_id, {"reason": "no answer"})
        station.say(ServiceTrouble("no answer"))

        station.collect(job, "r" if state == "REJECTED" else None)

        assert station.get(job).state == "COLLECTING"
