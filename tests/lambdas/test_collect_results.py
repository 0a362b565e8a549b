"""From Rekognition's notification to results in the bucket: complete, in order, resumable, and the newest stands."""

import gzip
import json

import pytest

from lambdas import collect_results
from lambdas.aws import multipart
from lambdas.logic.results import result_key
from lambdas.model.events import ask_again
from rekognition_local import Faults, Simulated
from tests.fake_aws import World, sqs_record, world as make_world


def rows(world: World, key: str) -> list[dict]:
    body = world.s3.get_object(Bucket="results", Key=key)["Body"].read()
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def everything(world: World, key: str) -> list[dict]:
    """All detections of a key's job, as the service holds them."""
    job = world.job(key)
    from lambdas import wiring

    faces: list[dict] = []
    token = {}
    while True:
        client = wiring.client("rekognition", wiring.PATIENT)  # answers with the plain text, see lambdas/rekognition.py
        page = json.loads(client.get_face_detection(JobId=job["rekognition_job_id"], **token)["Page"])
        faces += page["Faces"]
        if "NextToken" not in page:
            return faces
        token = {"NextToken": page["NextToken"]}


def test_the_result_is_the_services_own_answer(world: World) -> None:
    world.drop("in/clip.mp4")
    world.settle()

    job = world.job("in/clip.mp4")
    document = world.result("results/in/clip.mp4/face-detection.json")
    assert job["state"] == "SUCCEEDED"
    assert job["result_key"] == "results/in/clip.mp4/face-detection.json"
    assert set(document) == {"JobStatus", "VideoMetadata", "JobId", "Video", "JobTag", "Faces"}
    assert document["JobStatus"] == "SUCCEEDED"
    assert document["VideoMetadata"]["Codec"] == "h264"
    assert document["Faces"] == everything(world, "in/clip.mp4")
    assert "NextToken" not in document


def test_rows_say_the_same_with_the_video_beside_it(world: World) -> None:
    world.drop("in/clip.mp4")
    world.settle()

    job = world.job("in/clip.mp4")
    lines = rows(world, job["rows_key"])
    assert job["rows_key"] == f"rows/analysis=face-detection/date=2026-11-22/{job['job_id']}.jsonl.gz"
    assert [(row["timestamp_ms"], row["confidence"]) for row in lines] == [
        (item["Timestamp"], item["Face"]["Confidence"]) for item in everything(world, "in/clip.mp4")
    ]
    assert {(row["video_bucket"], row["video_key"], row["job_id"], row["schema"]) for row in lines} == {
        ("videos", "in/clip.mp4", job["job_id"], 1)
    }


@pytest.mark.parametrize("detections", [0, 1, 999, 1000, 1001, 2500])
def test_every_page_arrives_in_order(detections: int) -> None:
    with make_world(Simulated(detections=detections)) as world:
        world.drop("clip.mp4")
        world.settle()

        faces = world.result("results/clip.mp4/face-detection.json")["Faces"]
        assert len(faces) == detections == world.job("clip.mp4")["detections"]
        assert faces == everything(world, "clip.mp4")
        assert len(rows(world, world.job("clip.mp4")["rows_key"])) == detections


@pytest.mark.parametrize("key", ["日本語 😀/a+b %25&'\".mp4", "a//b.mp4", "x" * 1020 + ".mp4"])
def test_results_appear_under_that_very_key_whatever_it_is(world: World, key: str) -> None:
    world.drop(key)
    world.settle()

    place = world.job(key)["result_key"]
    assert place == result_key(key, "face-detection")
    assert len(place.encode()) <= 1024
    assert len(world.result(place)["Faces"]) == 10


def test_a_key_too_long_to_nest_gets_a_short_place_of_its_own() -> None:
    longest = "日" * 340 + ".mp4"

    assert result_key("short.mp4", "face-detection") == "results/short.mp4/face-detection.json"
    assert result_key(longest, "face-detection").startswith("results/.long-keys/")
    assert result_key(longest, "face-detection") != result_key("本" + longest[1:], "face-detection")


def test_a_broken_video_fails_with_rekognitions_reason() -> None:
    with make_world(faults=Faults.off(fail_lasting=1.0)) as world:
        world.drop("clip.mp4")
        world.settle()

        assert world.job("clip.mp4")["state"] == "FAILED"
        assert world.job("clip.mp4")["reason"] == "Unsupported codec/format."
        assert world.starts == 1
        assert world.results() == []


def test_a_passing_failure_is_tried_again_with_another_token() -> None:
    with make_world(faults=Faults.off(fail_passing_keys="*", fail_passing_times=1)) as world:
        world.drop("clip.mp4")
        world.settle()

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"
        assert world.job("clip.mp4")["attempt"] == 2
        assert set(world.rekognition.stats()["accepted_by_token"].values()) == {1}


def test_a_passing_failure_that_stays_is_given_up() -> None:
    with make_world(faults=Faults.off(fail_passing_keys="*", fail_passing_times=99)) as world:
        world.drop("clip.mp4")
        world.settle()

        assert world.job("clip.mp4")["state"] == "FAILED"
        assert world.starts == 3


def test_a_notification_before_the_start_was_recorded_is_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from lambdas.aws.job_table import Jobs

    monkeypatch.setattr(Jobs, "started", lambda *_, **__: None)
    world.drop("clip.mp4")
    world.pass_time(2)

    world.deliver()

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"


def test_a_notification_twice_is_one_result(world: World) -> None:
    world.drop("clip.mp4")
    world.pass_time(2)
    message = world.notifications[0].message

    world.collect(message)
    world.collect(message)

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"
    assert len(world.announcements) == 1


def test_a_lost_notification_is_found_by_the_tick() -> None:
    with make_world(faults=Faults.off(notify_dropped=1.0)) as world:
        world.drop("clip.mp4")
        world.settle(minutes=5)

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"


def test_results_nobody_collected_in_time_are_made_again(world: World) -> None:
    world.drop("clip.mp4")
    world.pass_time(8 * 24 * 3600)
    world.notifications.clear()

    world.settle()

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"
    assert world.job("clip.mp4")["attempt"] == 2


@pytest.mark.parametrize(
    "body",
    [
        '{"JobId": "x", "Status": "SUCCEEDED", "API": "StartFaceDetection"}',
        '{"JobId": "x", "Status": "SUCCEEDED", "API": "StartFaceDetection", "JobTag": "somebody-elses"}',
    ],
)
def test_jobs_that_are_not_ours_are_ignored_and_said_to_be(world: World, log_lines, body: str) -> None:
    answer = world.collect(body)

    assert answer == {"batchItemFailures": []}
    assert log_lines()[-1]["message"].startswith("ignored")


def test_a_malformed_message_is_left_for_the_dead_letter_queue(world: World) -> None:
    answer = world.invoke(collect_results.handler, {"Records": [sqs_record("bad", "nonsense")]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}


def test_the_end_is_announced(world: World) -> None:
    world.drop("clip.mp4")
    world.drop("empty.mp4", b"")
    world.settle()

    ends = {event["Detail"]["video_key"]: event for event in world.announcements}
    assert ends["clip.mp4"]["DetailType"] == "Job Succeeded"
    assert ends["clip.mp4"]["Detail"]["result_key"] == "results/clip.mp4/face-detection.json"
    assert ends["empty.mp4"]["DetailType"] == "Job Rejected"
    assert ends["empty.mp4"]["Detail"]["reason"] == "the object is empty"


class TestTheNewestStands:
    def upload_two(self, world: World) -> tuple[str, str]:
        """Two uploads of one key, both running; the older's and the newer's notification."""
        world.drop("clip.mp4", b"older")
        world.drop("clip.mp4", b"newer!")
        world.pass_time(2)
        older, newer = (notification.message for notification in world.notifications)
        return older, newer

    def standing(self, world: World) -> str:
        return world.result("results/clip.mp4/face-detection.json")["JobTag"]

    def test_the_newer_result_replaces_the_older(self, world: World) -> None:
        older, newer = self.upload_two(world)

        world.collect(older)
        world.collect(newer)

        assert self.standing(world) == json.loads(newer)["JobTag"]

    def test_an_older_upload_that_finishes_last_does_not_replace_the_newer(self, world: World) -> None:
        older, newer = self.upload_two(world)

        world.collect(newer)
        world.collect(older)

        assert self.standing(world) == json.loads(newer)["JobTag"]
        late = next(job for job in world.jobs() if job["job_id"] == json.loads(older)["JobTag"])
        assert late["state"] == "SUCCEEDED"
        assert len(world.result(late["result_key"])["Faces"]) == 10

    def test_an_older_upload_in_many_parts_does_not_replace_the_newer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with make_world(Simulated(detections=20_000)) as world:
            older, newer = self.upload_two(world)
            write = multipart.ObjectStream.write

            def newer_first(self: multipart.ObjectStream, data: bytes) -> None:
                write(self, data)
                if self.begun:  # the older has begun its upload to the common place: now the newer overtakes it
                    monkeypatch.setattr(multipart.ObjectStream, "write", write)
                    world.collect(newer)

            monkeypatch.setattr(multipart.ObjectStream, "write", newer_first)
            world.collect(older)

            assert self.standing(world) == json.loads(newer)["JobTag"]
            late = next(job for job in world.jobs() if job["job_id"] == json.loads(older)["JobTag"])
            assert len(world.result(late["result_key"])["Faces"]) == 20_000

    def test_going_back_to_the_first_video_brings_its_result_back_unpaid(self, world: World) -> None:
        world.drop("clip.mp4", b"first")
        world.settle()
        world.drop("clip.mp4", b"second")
        world.settle()

        world.drop("clip.mp4", b"first")
        world.settle()

        first, second = world.jobs()
        assert self.standing(world) == first["job_id"]
        assert [first["state"], second["state"]] == ["SUCCEEDED", "SUCCEEDED"]
        assert world.starts == 2


class TestLongVideos:
    DETECTIONS = 30_500

    def test_what_does_not_fit_in_one_invocation_is_handed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with make_world(Simulated(detections=self.DETECTIONS)) as world:
            self.slow_pages(world, monkeypatch, seconds=20)
            world.drop("clip.mp4")
            world.pass_time(2)
            invocations = world.invocations

            world.deliver()

            assert world.invocations - invocations > 3
            self.complete(world)

    def test_a_crash_at_any_page_costs_no_row_and_doubles_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with make_world(Simulated(detections=self.DETECTIONS)) as world:
            self.slow_pages(world, monkeypatch, seconds=20)
            world.drop("clip.mp4")
            world.pass_time(2)
            from lambdas.logic.results import ResultWriter

            add, seen = ResultWriter.add, iter(range(10**6))

            def crash_sometimes(self: ResultWriter, page) -> None:
                add(self, page)
                if next(seen) % 7 == 6:
                    raise MemoryError

            monkeypatch.setattr(ResultWriter, "add", crash_sometimes)
            world.settle(minutes=200)

            self.complete(world)

    def test_an_expired_page_token_starts_again_at_page_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with make_world(Simulated(detections=self.DETECTIONS)) as world:
            self.slow_pages(world, monkeypatch, seconds=20)
            world.drop("clip.mp4")
            world.pass_time(2)
            message = world.notifications.pop().message
            world.collect(message, seconds=100)

            world.pass_time(25 * 3600)
            monkeypatch.undo()
            world.deliver()

            self.complete(world)

    def test_results_appear_only_when_complete(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with make_world(Simulated(detections=self.DETECTIONS)) as world:
            self.slow_pages(world, monkeypatch, seconds=20)
            world.drop("clip.mp4")
            world.pass_time(2)

            world.collect(world.notifications.pop().message, seconds=100)

            assert world.job("clip.mp4")["state"] == "COLLECTING"
            assert all(key.startswith("collecting/") for key in world.results())

    def test_two_collectors_at_once_are_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with make_world(Simulated(detections=self.DETECTIONS)) as world:
            world.drop("clip.mp4")
            world.pass_time(2)
            message = world.notifications.pop().message
            from lambdas.logic.results import ResultWriter

            add = ResultWriter.add

            def meanwhile(self: ResultWriter, page) -> None:
                monkeypatch.setattr(ResultWriter, "add", add)
                world.collect(message)
                assert world.job("clip.mp4")["state"] == "COLLECTING"
                add(self, page)

            monkeypatch.setattr(ResultWriter, "add", meanwhile)
            world.collect(message)

            self.complete(world)

    def test_trouble_reading_is_not_the_messages_fault(self, world: World) -> None:
        world.drop("clip.mp4")
        world.pass_time(2)
        message = world.notifications.pop().message
        world.rekognition.inject("GetFaceDetection", "InvalidParameterException", times=1)

        answer = world.collect(message)

        assert answer == {"batchItemFailures": []}
        assert "InvalidParameterException" in world.job("clip.mp4")["reason"]
        world.settle()
        assert world.job("clip.mp4")["state"] == "SUCCEEDED"
        assert "reason" not in world.job("clip.mp4")

    def slow_pages(self, world: World, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """Let each page take that long."""
        from lambdas.logic.results import ResultWriter

        add = ResultWriter.add

        def slowly(self: ResultWriter, page) -> None:
            world.clock.seconds += seconds
            add(self, page)

        monkeypatch.setattr(ResultWriter, "add", slowly)

    def complete(self, world: World) -> None:
        job = world.job("clip.mp4")
        assert job["state"] == "SUCCEEDED"
        expected = everything(world, "clip.mp4")
        assert world.result(job["result_key"])["Faces"] == expected
        lines = rows(world, job["rows_key"])
        assert [row["timestamp_ms"] for row in lines] == [face["Timestamp"] for face in expected]
        assert not world.s3.list_multipart_uploads(Bucket="results").get("Uploads")


def test_our_own_message_about_a_finished_job_does_nothing(world: World) -> None:
    world.drop("clip.mp4")
    world.settle()
    calls = world.calls["GetFaceDetection"]["ok"]

    world.collect(ask_again(world.job("clip.mp4")["job_id"], "silent"))

    assert world.calls["GetFaceDetection"]["ok"] == calls


def test_a_message_that_fails_is_heard_of_and_the_job_says_why(
    world: World, log_lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lambdas.logic.results import ResultWriter

    world.drop("clip.mp4")
    world.pass_time(2)
    monkeypatch.setattr(ResultWriter, "publish", lambda *_: 1 / 0)

    answer = world.collect(world.notifications.pop().message)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert next(line for line in log_lines() if line["level"] == "ERROR")["exception_name"] == "ZeroDivisionError"
    assert world.job("clip.mp4")["reason"] == "collecting: ZeroDivisionError: division by zero"


def test_our_own_question_never_piles_up_as_a_dead_letter(
    world: World, log_lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lambdas.logic.results import ResultWriter

    world.drop("clip.mp4")
    world.pass_time(2)
    monkeypatch.setattr(ResultWriter, "publish", lambda *_: 1 / 0)

    answer = world.collect(ask_again(world.job("clip.mp4")["job_id"], "silent"))

    assert answer == {"batchItemFailures": []}
    assert log_lines()[-1]["message"] == "could not collect"
