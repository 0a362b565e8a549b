"""What goes wrong between a job's end and its results, and that nothing paid is lost by it."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lambdas.aws import multipart
from lambdas.aws.job_table import Jobs
from lambdas.logic.results import Results, ResultWriter
from lambdas.model.events import ask_again
from rekognition_local import Simulated
from rekognition_local.faults import Script
from tests.fast_fake.client import refuse
from tests.fast_fake.world import StandInWorld, standin_world

RESULT = "results/clip.mp4/face-detection.json"
DAY = 86_400


@pytest.fixture
def world() -> Iterator[StandInWorld]:
    """A world in which jobs take a second and find 4,500 faces, so five pages."""
    with standin_world(Simulated(detections=4_500)) as here:
        yield here


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Callable[[str], int]:
    """Gives how often something was counted so far."""
    seen: dict[str, int] = {}

    def total(name: str) -> int:
        for line in capsys.readouterr().out.splitlines():
            for metric, values in json.loads(line).items():
                if isinstance(values, list):
                    seen[metric] = seen.get(metric, 0) + int(sum(values))
        return seen.get(name, 0)

    return total


def ended(world: StandInWorld) -> str:
    """Drop a video and let its job end; Rekognition's notification."""
    world.drop("clip.mp4")
    world.pass_time(2)
    return world.notifications.pop().message


def cause_fixed(world: StandInWorld) -> None:
    """Rekognition does what it is asked again."""
    world.rekognition._script = Script()


def pass_days(world: StandInWorld, days: float, *, step: int = 600) -> None:
    """Let days pass, with a tick now and then."""
    for _ in range(int(days * DAY / step)):
        world.pass_time(step)
        world.tick()
        world.deliver()


def holds(world: StandInWorld, faces: int) -> None:
    """The result is there, whole, in both forms."""
    job = world.job("clip.mp4")
    assert job["state"] == "SUCCEEDED"
    assert len(world.result(RESULT)["Faces"]) == faces
    body = world.s3.get_object(Bucket="results", Key=job["rows_key"])["Body"].read()
    assert len(gzip.decompress(body).splitlines()) == faces
    assert "reason" not in job


class TestEvents:
    def test_an_event_that_the_bus_refuses_is_put_again(self, world: StandInWorld) -> None:
        message = ended(world)
        world.events_to_refuse = 2

        world.collect(message)

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"
        assert [event["DetailType"] for event in world.announcements] == ["Job Succeeded"]

    def test_no_job_is_over_before_the_bus_has_taken_its_event(
        self, world: StandInWorld, counted: Callable[[str], int], log_lines
    ) -> None:
        message = ended(world)
        world.events_to_refuse = 99

        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        assert world.job("clip.mp4")["state"] == "COLLECTING"
        assert "the bus is out of order" in world.job("clip.mp4")["reason"]
        assert counted("EventsFailed") == 1
        assert "ERROR" in {line["level"] for line in log_lines()}
        world.events_to_refuse = 0
        world.settle()
        holds(world, 4_500)
        assert [event["DetailType"] for event in world.announcements] == ["Job Succeeded"]

    def test_a_failure_is_not_over_either_before_the_bus_has_taken_its_event(self) -> None:
        with standin_world(Simulated(failure="Unsupported codec/format.")) as world:
            message = ended(world)
            world.events_to_refuse = 99

            answer = world.collect(message)

            assert answer == {"batchItemFailures": []}
            assert world.job("clip.mp4")["state"] == "RUNNING"
            world.events_to_refuse = 0
            world.settle()
            assert world.job("clip.mp4")["state"] == "FAILED"
            assert [event["DetailType"] for event in world.announcements] == ["Job Failed"]

    def test_a_bus_that_refuses_does_not_stop_starting(self, world: StandInWorld) -> None:
        records = [world.upload(key) for key in ("deleted.mp4", "deleted too.mp4", "there.mp4")]
        for key in ("deleted.mp4", "deleted too.mp4"):
            world.s3.delete_object(Bucket="videos", Key=key)
        world.events_to_refuse = 99

        answer = world.hear(*records)
        world.tick()

        assert answer == {"batchItemFailures": []}
        assert world.job("there.mp4")["state"] == "RUNNING"
        assert world.job("deleted.mp4")["state"] == "WAITING"
        world.events_to_refuse = 0
        world.settle()
        assert world.job("deleted.mp4")["state"] == "REJECTED"


class TestRejectedThoughItRan:
    def rejected(self, world: StandInWorld) -> None:
        """A Start is accepted and its answer lost; the video is deleted, and so its job REJECTED."""
        world.rekognition.inject("StartFaceDetection", "InternalServerError", carried_out=True)
        world.drop("clip.mp4")
        world.s3.delete_object(Bucket="videos", Key="clip.mp4")
        world.clock.seconds += 20
        world.tick()
        assert world.job("clip.mp4")["state"] == "REJECTED"

    def test_what_rekognition_did_is_collected(self, world: StandInWorld) -> None:
        self.rejected(world)

        world.pass_time(2)
        world.deliver()

        holds(world, 4_500)
        assert world.starts == 0  # that any caller was told of

    @pytest.mark.parametrize("code", ["InternalServerError", "ThrottlingException", "AccessDeniedException"])
    def test_trouble_reading_it_is_not_its_end(self, world: StandInWorld, code: str) -> None:
        self.rejected(world)
        world.pass_time(2)
        world.rekognition.inject("GetFaceDetection", code, times=100)

        answer = world.collect(world.notifications.pop().message)

        assert answer == {"batchItemFailures": []}
        cause_fixed(world)
        world.settle()
        holds(world, 4_500)

    def test_it_stays_rejected_where_rekognition_failed_too(self) -> None:
        with standin_world(Simulated(failure="Unsupported codec/format.")) as world:
            self.rejected(world)

            world.pass_time(2)
            world.deliver()

            assert world.job("clip.mp4")["state"] == "REJECTED"

    def test_an_id_that_rekognition_does_not_know_changes_nothing(self, world: StandInWorld) -> None:
        self.rejected(world)
        notification = json.loads(ended_elsewhere(world)) | {"JobId": "0" * 64}

        answer = world.collect(json.dumps(notification))

        assert answer == {"batchItemFailures": []}
        assert world.job("clip.mp4")["state"] == "REJECTED"

    def test_our_own_question_about_a_rejected_job_does_nothing(self, world: StandInWorld) -> None:
        self.rejected(world)

        world.collect(ask_again(world.job("clip.mp4")["job_id"], "silent"))

        assert world.job("clip.mp4")["state"] == "REJECTED"


def ended_elsewhere(world: StandInWorld) -> str:
    """The notification of a job that was rejected here."""
    world.pass_time(2)
    return world.notifications.pop().message


class TestThrottled:
    def test_a_collector_waits_for_its_turn(self, world: StandInWorld) -> None:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", "ProvisionedThroughputExceededException", times=20, after=2)

        world.collect(message)

        holds(world, 4_500)

    def test_a_collector_that_is_throttled_for_long_keeps_its_place(self, world: StandInWorld) -> None:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", "ThrottlingException", times=10_000, after=3)

        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        job = world.job("clip.mp4")
        assert (job["state"], json.loads(job["checkpoint"])["pages"]) == ("COLLECTING", 3)
        assert "lease_until" not in job
        cause_fixed(world)
        pages = world.calls["GetFaceDetection"]["ok"]
        world.settle()
        holds(world, 4_500)
        assert world.calls["GetFaceDetection"]["ok"] - pages == 3  # page one, for its metadata; four; five

    def test_a_collector_whose_time_is_over_while_it_waits_hands_over(self, world: StandInWorld) -> None:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", "ThrottlingException", times=10_000, after=3)

        world.collect(message, seconds=40)

        assert json.loads(world.job("clip.mp4")["checkpoint"])["pages"] == 3

    @pytest.mark.parametrize("code", ["InternalServerError", "AccessDeniedException"])
    def test_other_trouble_costs_no_page_either(self, world: StandInWorld, code: str) -> None:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", code, times=1_000, after=3)

        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        assert json.loads(world.job("clip.mp4")["checkpoint"])["pages"] == 3
        assert code in world.job("clip.mp4")["reason"]
        cause_fixed(world)
        world.settle()
        holds(world, 4_500)


class TestPublishing:
    def test_a_conflict_while_completing_writes_every_part_again(
        self, world: StandInWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(multipart, "PART", 100_000)
        message = ended(world)
        world.buckets.conflicts = 2

        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        holds(world, 4_500)
        assert not world.buckets.uploads

    def test_a_conflict_while_putting_puts_again(self, world: StandInWorld) -> None:
        message = ended(world)
        pages = world.calls.get("GetFaceDetection", {}).get("ok", 0)
        world.buckets.conflicts = 2

        world.collect(message)

        holds(world, 4_500)
        assert world.calls["GetFaceDetection"]["ok"] - pages == 5

    def test_a_conflict_at_the_end_of_the_functions_time_is_handed_over(
        self, world: StandInWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(multipart, "PART", 100_000)
        message = ended(world)
        world.buckets.conflicts = 1
        publish = ResultWriter.publish

        def at_the_last_moment(self: ResultWriter, *arguments: Any) -> bool:
            monkeypatch.setattr(ResultWriter, "publish", publish)
            world.clock.seconds += 280
            return publish(self, *arguments)

        monkeypatch.setattr(ResultWriter, "publish", at_the_last_moment)
        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        world.deliver()
        holds(world, 4_500)

    @pytest.mark.parametrize("part", [multipart.PART, 100_000])
    def test_a_collector_whose_lease_is_gone_publishes_nothing(
        self, world: StandInWorld, monkeypatch: pytest.MonkeyPatch, part: int
    ) -> None:
        monkeypatch.setattr(multipart, "PART", part)
        message = ended(world)
        add = ResultWriter.add

        def slowly(self: ResultWriter, page: Any) -> None:
            add(self, page)
            if self.complete:
                monkeypatch.setattr(ResultWriter, "add", add)
                world.clock.seconds += 100  # the lease is over; another takes the job, and has little time
                world.collect(ask_again(self._job.job_id, "silent"), seconds=29)
                world.messages()

        monkeypatch.setattr(ResultWriter, "add", slowly)
        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        assert world.job("clip.mp4")["state"] == "COLLECTING"
        assert not [key for key in world.results() if not key.startswith("collecting/")]
        assert world.announcements == []
        monkeypatch.undo()
        world.settle()
        holds(world, 4_500)


class TestNotAllowedToRead:
    def denied(self, world: StandInWorld) -> str:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", "AccessDeniedException", times=100_000)
        return message

    def test_it_is_told_as_such(self, world: StandInWorld, counted: Callable[[str], int], log_lines) -> None:
        answer = world.collect(self.denied(world))

        assert answer == {"batchItemFailures": []}
        assert world.job("clip.mp4")["reason"].startswith(
            "the collecting function may not read the results: AccessDeniedException"
        )
        assert counted("CollectionsDenied") == 1
        assert log_lines()[-1]["level"] == "ERROR"

    def test_it_is_asked_less_and_less_often(self, world: StandInWorld) -> None:
        world.collect(self.denied(world))
        pass_days(world, 1, step=60)
        asked = world.calls["GetFaceDetection"]["AccessDeniedException"]

        pass_days(world, 1, step=60)

        assert 20 <= world.calls["GetFaceDetection"]["AccessDeniedException"] - asked <= 26

    def test_once_it_is_allowed_the_results_are_there_within_the_hour(self, world: StandInWorld) -> None:
        world.collect(self.denied(world))
        pass_days(world, 6)
        cause_fixed(world)

        pass_days(world, 1.2 / 24)

        holds(world, 4_500)

    def test_it_ends_when_the_results_have_certainly_expired(self, world: StandInWorld) -> None:
        world.collect(self.denied(world))
        pass_days(world, 7.9)
        assert world.job("clip.mp4")["state"] == "RUNNING"

        pass_days(world, 0.3)

        job = world.job("clip.mp4")
        assert job["state"] == "FAILED"
        assert job["reason"].startswith("its results expired at Rekognition before they could be read: the collecting")
        assert [event["DetailType"] for event in world.announcements] == ["Job Failed"]

    def test_a_collection_that_is_denied_in_its_middle_ends_too(self, world: StandInWorld) -> None:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", "AccessDeniedException", times=100_000, after=3)

        world.collect(message)
        pass_days(world, 7.2)

        assert world.job("clip.mp4")["state"] == "FAILED"

    def test_an_event_that_is_refused_does_not_keep_it_from_ending(self, world: StandInWorld) -> None:
        world.collect(self.denied(world))
        pass_days(world, 7.9)
        world.events_to_refuse = 8

        pass_days(world, 0.4)

        assert world.job("clip.mp4")["state"] == "FAILED"
        assert [event["DetailType"] for event in world.announcements] == ["Job Failed"]


@pytest.mark.parametrize("code", ["InternalServerError", "ThrottlingException", "InvalidParameterException"])
def test_one_error_after_days_without_collecting_does_not_end_a_job(world: StandInWorld, code: str) -> None:
    message = ended(world)
    world.pass_time(8.1 * DAY)
    world.rekognition.inject("GetFaceDetection", code, times=100)

    world.collect(message)
    cause_fixed(world)
    pass_days(world, 0.05)

    holds(world, 4_500)
    assert world.job("clip.mp4")["attempt"] == 2


def test_throttling_never_ends_a_job(world: StandInWorld) -> None:
    message = ended(world)
    world.pass_time(8.1 * DAY)
    world.rekognition.inject("GetFaceDetection", "ThrottlingException", times=100_000)

    world.collect(message)
    world.collect(message)

    assert world.job("clip.mp4")["state"] == "RUNNING"


def test_a_result_that_is_wanted_back_comes_back_though_s3_fails_at_first(
    world: StandInWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"first", b"second"):
        world.drop("clip.mp4", content)
        world.settle()
    world.drop("clip.mp4", b"first")
    [wanted] = world.messages()
    monkeypatch.setattr(Results, "current_owner", lambda *_: refuse("503", "HeadObject", 503))

    answer = world.collect(wanted)
    monkeypatch.undo()
    world.collect(wanted)

    assert answer["batchItemFailures"]
    assert world.result(RESULT)["JobTag"] == world.jobs()[0]["job_id"]


def test_results_that_can_not_be_read_for_any_reason_end_too(world: StandInWorld) -> None:
    message = ended(world)
    world.rekognition.inject("GetFaceDetection", "InvalidParameterException", times=100_000)

    world.collect(message)
    pass_days(world, 8.1)

    assert world.job("clip.mp4")["state"] == "FAILED"
    assert "InvalidParameterException" in world.job("clip.mp4")["reason"]


def test_a_job_that_never_ends_at_rekognition_ends_here() -> None:
    with standin_world(Simulated(seconds=1e9)) as world:
        world.drop("clip.mp4")
        pass_days(world, 13.9)
        assert world.job("clip.mp4")["state"] == "RUNNING"

        pass_days(world, 0.2)

        assert world.job("clip.mp4")["state"] == "FAILED"
        assert world.job("clip.mp4")["reason"] == "still IN_PROGRESS at Rekognition 14 days after its start"


def test_what_was_paid_is_collected_whatever_the_settings_say_now(
    world: StandInWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lambdas import wiring

    message = ended(world)
    monkeypatch.setenv("ANALYSES", '{"label-detection": {}}')
    monkeypatch.setenv("ALLOWED_ANALYSES", "")
    monkeypatch.setenv("UPLOAD_CHOICE", "none")
    for part in (wiring.settings, wiring.collector):
        part.cache_clear()

    world.collect(message)

    holds(world, 4_500)


def test_a_result_to_bring_back_survives_trouble_reading_it(world: StandInWorld) -> None:
    for body in (b"first", b"second", b"first"):
        world.drop("clip.mp4", body)
        world.pass_time(2)
        if body == b"first" and world.sequence == 3:
            world.rekognition.inject("GetFaceDetection", "InternalServerError", times=100)
        world.deliver()
    cause_fixed(world)

    world.settle()

    first, second = world.jobs()
    assert world.result(RESULT)["JobTag"] == first["job_id"]
    assert [first["state"], second["state"]] == ["SUCCEEDED", "SUCCEEDED"]
    assert world.starts == 2


@pytest.mark.parametrize("told", [True, False])
def test_a_note_that_can_not_be_written_does_not_hide_what_went_wrong(
    world: StandInWorld, monkeypatch: pytest.MonkeyPatch, log_lines, told: bool
) -> None:
    message = ended(world)
    monkeypatch.setattr(ResultWriter, "publish", lambda *_: 1 / 0)
    monkeypatch.setattr(Jobs, "trouble", lambda *_: [].pop())

    answer = world.collect(message if told else ask_again(world.job("clip.mp4")["job_id"], "silent"))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}] if told else []}
    assert {"ZeroDivisionError", "IndexError"} <= {line.get("exception_name") for line in log_lines()}


class TestCollectingWorks:
    def noted(self, world: StandInWorld) -> str:
        from lambdas import wiring

        return wiring.jobs().scheduler().get("collected_at", "")

    def test_a_success_says_so_once_a_minute_at_most(self, world: StandInWorld) -> None:
        times = []
        for seconds, key in ((0, "a.mp4"), (5, "b.mp4"), (61, "c.mp4")):
            world.pass_time(seconds)
            world.drop(key)
            world.pass_time(2)
            world.deliver()
            times.append(self.noted(world))

        assert times[0]
        assert times[0] == times[1] < times[2]

    def test_trouble_does_not(self, world: StandInWorld) -> None:
        message = ended(world)
        world.rekognition.inject("GetFaceDetection", "AccessDeniedException", times=100)

        world.collect(message)

        assert self.noted(world) == ""
