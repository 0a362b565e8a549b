"""What becomes of an upload: new jobs, a rejected one that says why, a placeholder, or nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lambdas.aws.videos import LARGEST_VIDEO
from lambdas.logic.enqueue import Enqueuer
from lambdas.model.errors import AccountFault, EventRefused, Gone, ServiceTrouble
from lambdas.model.events import Upload, ask_again
from lambdas.model.job import Job
from lambdas.model.routing import UNKNOWN, Chosen, WrongChoice
from lambdas.model.video_header import VideoHeader
from tests.lambdas.test_job_table import UPLOAD, Desk

FACES: Mapping[str, Any] = {"face-detection": {"FaceAttributes": "ALL"}}
NEWER = replace(UPLOAD, sequencer="06", version_id="v2")


class Office(Desk):
    """The table, and an enqueuer before it. `choice` is what the chooser says, or raises."""

    def __init__(self) -> None:
        super().__init__()
        self.choice: Any = FACES
        self.asked: list[Upload] = []
        self.sent: list[str] = []
        self.announced: list[tuple[str, str, dict[str, Any]]] = []
        self.bus_refuses = False
        self.enqueuer = Enqueuer(self.jobs, self, self, self.clock, self)

    def choose(self, upload: Upload) -> Any:
        self.asked.append(upload)
        if isinstance(self.choice, Exception):
            raise self.choice
        return Chosen(self.choice)

    def share(self, key: str) -> str:
        return ""

    def allows(self, analysis: str, parameters: Mapping[str, Any]) -> bool:
        raise AssertionError("the enqueuer does not ask this")

    def send(self, bodies: Iterable[str]) -> None:
        self.sent += bodies

    def announce(self, job: Job, state: str, **outcome: Any) -> None:
        if self.bus_refuses:
            raise EventRefused("the bus is out of order")
        self.announced.append((job.key, state, outcome))

    def only(self) -> Job:
        [job] = self.jobs.of_video("videos", "x.mp4")
        return job


@pytest.fixture
def office() -> Office:
    return Office()


def test_each_chosen_analysis_is_a_new_job_once(office: Office) -> None:
    office.choice = {**FACES, "label-detection": {}}

    assert office.enqueuer.enqueue(UPLOAD) == 2
    assert office.enqueuer.enqueue(UPLOAD) == 0

    jobs = office.jobs.of_video("videos", "x.mp4")
    assert {(job.analysis, job.state) for job in jobs} == {
        ("face-detection", "WAITING"),
        ("label-detection", "WAITING"),
    }
    assert {job.due_at[:24] for job in jobs} == {office.now}
    assert (office.announced, office.sent) == ([], [])
    assert office.asked == [UPLOAD, UPLOAD]


def test_where_nothing_is_chosen_there_is_no_job(office: Office) -> None:
    office.choice = {}

    assert office.enqueuer.enqueue(UPLOAD) == 0

    assert office.jobs.of_video("videos", "x.mp4") == []


@pytest.mark.parametrize(
    ("said", "parameters", "reason"),
    [
        (WrongChoice("faces", "there is no faces"), {"analyses": "faces"}, "there is no faces"),
        (Gone("it was deleted"), {}, "it was deleted"),
        (WrongChoice("x", "y" * 1001), {"analyses": "x"}, "y" * 1000),
    ],
)
def test_what_can_not_be_done_is_a_rejected_job_that_says_why_and_is_announced(
    office: Office, said: Exception, parameters: dict[str, str], reason: str
) -> None:
    office.choice = said

    assert office.enqueuer.enqueue(UPLOAD) == 0

    job = office.only()
    assert (job.state, job.analysis, job.parameters, job.reason) == ("REJECTED", UNKNOWN, parameters, reason)
    assert office.announced == [("x.mp4", "REJECTED", {"reason": str(said)})]


def test_a_refusal_that_can_not_be_announced_is_a_placeholder_that_is_asked_again(office: Office) -> None:
    office.choice, office.bus_refuses = WrongChoice("faces", "there is no faces"), True

    assert office.enqueuer.enqueue(UPLOAD) == 1

    assert (office.only().state, office.only().analysis, office.only().parameters) == ("WAITING", UNKNOWN, {})


@pytest.mark.parametrize("said", [AccountFault("videos", "no"), ServiceTrouble("no answer")])
def test_a_choice_that_can_not_be_read_now_is_a_placeholder(office: Office, said: Exception) -> None:
    office.choice = said

    assert office.enqueuer.enqueue(UPLOAD) == 1

    assert (office.only().state, office.only().analysis, office.only().parameters) == ("WAITING", UNKNOWN, {})


class TestChoosingAgain:
    def test_registers_the_jobs_in_the_placeholders_position(self, office: Office) -> None:
        office.choice = ServiceTrouble("no answer")
        office.enqueuer.enqueue(UPLOAD)
        placeholder = office.only()
        office.clock.seconds += 600
        office.choice = FACES

        office.enqueuer.choose_again(placeholder)

        [job] = [it for it in office.jobs.of_video("videos", "x.mp4") if it.analysis != UNKNOWN]
        assert job.position == job.due_at == f"{placeholder.position.partition('#')[0]}#{job.job_id[:8]}"
        assert office.asked[1] == UPLOAD

    def test_asks_the_newest_version(self, office: Office) -> None:
        office.choice = ServiceTrouble("no answer")
        office.enqueuer.enqueue(UPLOAD)
        office.enqueuer.enqueue(NEWER)
        office.choice = FACES

        office.enqueuer.choose_again(office.only())

        assert office.asked[-1] == NEWER

    def test_may_fail_again(self, office: Office) -> None:
        office.choice = ServiceTrouble("no answer")
        office.enqueuer.enqueue(UPLOAD)

        with pytest.raises(ServiceTrouble):
            office.enqueuer.choose_again(office.only())


class TestRejecting:
    def test_is_announced_and_then_written(self, office: Office) -> None:
        job = office.claimed()

        assert office.enqueuer.reject(job, "no", suspected_in="videos")

        assert office.announced == [("x.mp4", "REJECTED", {"reason": "no"})]
        assert (office.get(job).state, office.get(job).reason, office.get(job).suspected_in) == (
            "REJECTED",
            "no",
            "videos",
        )

    def test_that_can_not_be_announced_is_not_written(self, office: Office) -> None:
        job = office.claimed()
        office.bus_refuses = True

        with pytest.raises(ServiceTrouble, match="out of order"):
            office.enqueuer.reject(job, "no")

        assert office.get(job) == job

    @pytest.mark.parametrize(
        ("suspicions", "reason", "told"), [(1, "x" * 1000, False), (1, "another", True), (0, "x" * 1000, True)]
    )
    def test_for_what_it_was_rejected_for_before_is_not_announced_again(
        self, office: Office, suspicions: int, reason: str, told: bool
    ) -> None:
        job = replace(office.claimed(), suspicions=suspicions, reason=reason)

        office.enqueuer.reject(job, "x" * 1001)

        assert bool(office.announced) is told

    def test_of_a_job_that_moved_on_is_nothing(self, office: Office) -> None:
        job = office.claimed()
        office.jobs.uploaded_again(job.job_id, NEWER)

        assert not office.enqueuer.reject(job, "no")


class TestTheHeader:
    HEVC = VideoHeader("mov", "hevc", 60.0, 1920, 1080, 90, 30.0, True)

    def read(self, upload: Upload) -> VideoHeader | None:
        self.wanted = [*getattr(self, "wanted", []), upload]
        return self.HEVC

    def test_is_read_once_and_is_in_each_jobs_record(self, office: Office) -> None:
        office.choice = {**FACES, "label-detection": {}}

        office.enqueuer.enqueue(UPLOAD, self.read)

        assert self.wanted == [UPLOAD]
        assert [job.header for job in office.jobs.of_video("videos", "x.mp4")] == [self.HEVC, self.HEVC]

    def test_of_what_rekognition_can_not_read_rejects_it_at_once(self, office: Office) -> None:
        assert office.enqueuer.enqueue(UPLOAD, self.read) == 0

        assert office.only().state == "REJECTED"
        assert office.announced == [("x.mp4", "REJECTED", {"reason": self.HEVC.trouble})]

    @pytest.mark.parametrize("size", [0, LARGEST_VIDEO + 1])
    def test_is_not_read_of_what_has_no_job_or_is_rejected_by_its_size(self, office: Office, size: int) -> None:
        office.enqueuer.enqueue(replace(UPLOAD, size=size), self.read)
        office.choice = {}
        office.enqueuer.enqueue(UPLOAD, self.read)

        assert not hasattr(self, "wanted")

    def test_that_can_not_be_read_now_is_left_to_the_scheduler(self, office: Office) -> None:
        assert office.enqueuer.enqueue(UPLOAD, lambda upload: None) == 1

        assert office.only().header is None


class TestAnEmptyObject:
    EMPTY = replace(UPLOAD, size=0)

    def test_is_rejected_at_once(self, office: Office) -> None:
        assert office.enqueuer.enqueue(self.EMPTY) == 0

        assert (office.only().state, office.only().reason) == ("REJECTED", "the object is empty")
        assert office.announced == [("x.mp4", "REJECTED", {"reason": "the object is empty"})]

    def test_waits_where_that_can_not_be_announced(self, office: Office) -> None:
        office.bus_refuses = True

        assert office.enqueuer.enqueue(self.EMPTY) == 1

        assert office.only().state == "WAITING"

    def test_stays_rejected_when_it_is_uploaded_again(self, office: Office) -> None:
        office.enqueuer.enqueue(self.EMPTY)

        assert office.enqueuer.enqueue(replace(self.EMPTY, sequencer="06")) == 0

        assert office.only().state == "REJECTED"


class TestTheSameContentAgain:
    def test_puts_a_rejected_job_back(self, office: Office) -> None:
        office.enqueuer.enqueue(UPLOAD)
        office.enqueuer.reject(office.only(), "no")

        assert office.enqueuer.enqueue(UPLOAD) == 0  # the same news
        assert office.only().state == "REJECTED"
        assert office.enqueuer.enqueue(NEWER) == 1

        assert (office.only().state, office.sent) == ("WAITING", [])

    @pytest.mark.parametrize("upload", [UPLOAD, NEWER])
    def test_has_the_result_looked_at_that_may_be_another_videos_now(self, office: Office, upload: Upload) -> None:
        job = self._succeeded(office)

        assert office.enqueuer.enqueue(upload) == 0

        assert office.sent == [ask_again(job.job_id, "uploaded again")]

    def test_of_a_job_that_is_at_work_is_noted_and_no_more(self, office: Office) -> None:
        office.enqueuer.enqueue(UPLOAD)

        assert office.enqueuer.enqueue(NEWER) == 0

        assert (office.only().newest_version_id, office.sent) == ("v2", [])

    def test_of_a_job_that_went_meanwhile_is_nothing(self, office: Office) -> None:
        office.enqueuer.enqueue(UPLOAD)
        patched: Any = office.jobs
        patched.uploaded_again = patched.requeue_rejected = lambda *_: None
        patched.get = lambda _: None

        assert office.enqueuer.enqueue(UPLOAD) == 0

        assert office.sent == []

    @staticmethod
    def _succeeded(office: Office) -> Job:
        office.enqueuer.enqueue(UPLOAD)
        claimed = office.jobs.claim(office.only().job_id)
        assert claimed is not None
        office.jobs.started(claimed, "r", poll_at=0)
        collecting = office.jobs.begin_collecting(office.get(claimed), "r", "me", office.clock.now() + 90)
        assert collecting is not None
        assert office.jobs.succeed(collecting)
        return collecting
