"""From an upload to a running job, whatever arrives and whatever Rekognition says."""

import contextlib
import itertools
import json
import logging

import pytest

from lambdas import start_analysis
from lambdas.aws import job_table as jobs_module
from lambdas.logic import pacing, scheduler as scheduler_module
from rekognition_local import Faults, Simulated
from tests.fake_aws import World, s3_record, sqs_record, world as make_world


def test_an_upload_becomes_a_running_job(world: World) -> None:
    world.drop("in/clip one.mp4")

    job = world.job("in/clip one.mp4")
    assert job["state"] == "RUNNING"
    [running] = world.rekognition.jobs()
    assert running["JobId"] == job["rekognition_job_id"]


def test_rekognition_is_told_which_job_it_is_and_where_to_announce_its_end(world: World) -> None:
    world.drop("clip.mp4")

    world.pass_time(2)

    [notification] = world.notifications
    assert json.loads(notification.message)["JobTag"] == world.job("clip.mp4")["job_id"]
    assert notification.role_arn.endswith("role/publisher")


@pytest.mark.parametrize("key", ["a.mp4", "a.MP4", "a.Mov", "deep/er/日本語 😀 %+&'\".mp4", "a//b.mp4"])
def test_videos_are_known_by_their_extension_in_any_case(world: World, key: str) -> None:
    world.drop(key)

    assert world.job(key)["state"] == "RUNNING"


@pytest.mark.parametrize("key", ["notes.txt", "folder/", "folder.mp4/", "mp4", "clip.mp4.part"])
def test_what_is_no_video_is_ignored_and_said_to_be(
    world: World, key: str, log_lines, capsys: pytest.CaptureFixture[str]
) -> None:
    world.drop(key, b"" if key.endswith("/") else b"notes")

    assert world.jobs() == []
    assert [(line["message"], line["key"]) for line in log_lines()] == [("ignored: not a video by its extension", key)]
    assert json.loads(capsys.readouterr().out)["UploadsIgnored"] == [1]


def test_the_same_event_three_times_is_one_start(world: World) -> None:
    record = world.upload("clip.mp4")

    world.hear(record, record)
    world.hear(record)

    assert len(world.jobs()) == 1
    assert world.starts == 1


def test_the_same_content_again_is_no_second_job(world: World) -> None:
    world.drop("clip.mp4")
    world.settle()

    world.drop("clip.mp4")
    world.settle()

    assert [job["state"] for job in world.jobs()] == ["SUCCEEDED"]
    assert world.starts == 1


def test_the_same_content_in_a_versioned_bucket_is_no_second_job(world: World) -> None:
    world.keep_versions()
    first, again = world.upload("clip.mp4"), world.upload("clip.mp4")

    world.hear(first)
    world.hear(again)
    world.settle()

    assert len({record["s3"]["object"]["versionId"] for record in (first, again)}) == 2
    assert [job["state"] for job in world.jobs()] == ["SUCCEEDED"]
    assert world.starts == 1


@pytest.mark.parametrize("call", range(1, 8))
def test_a_rejected_video_uploaded_again_is_tried_again_though_the_function_dies_at_any_call(
    world: World, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    record = world.upload("clip.mp4")
    world.s3.delete_object(Bucket="videos", Key="clip.mp4")
    world.hear(record)
    again = world.upload("clip.mp4")

    with monkeypatch.context() as dying, contextlib.suppress(KeyboardInterrupt):
        die_after(dying, call)
        world.hear(again)
    world.hear(again)
    world.settle()

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"


def die_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Let the function die right after so many calls of the table."""
    from lambdas import wiring

    table = wiring.client("dynamodb")
    carry_out, numbers = table._make_api_call, itertools.count(1)

    def call(operation: str, params: dict) -> dict:
        answer = carry_out(operation, params)
        if next(numbers) == calls:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(table, "_make_api_call", call)


def test_an_upload_in_the_moment_of_a_rejection_is_not_rejected_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.upload("clip.mp4")
    world.s3.delete_object(Bucket="videos", Key="clip.mp4")
    reject = jobs_module.Jobs.reject

    def meanwhile(*arguments, **named) -> bool:
        monkeypatch.setattr(jobs_module.Jobs, "reject", reject)
        world.drop("clip.mp4")
        return reject(*arguments, **named)

    monkeypatch.setattr(jobs_module.Jobs, "reject", meanwhile)
    world.hear(record)
    world.settle()

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"


def test_another_video_under_the_same_key_is_a_new_job(world: World) -> None:
    world.drop("clip.mp4", b"one")
    world.drop("clip.mp4", b"two")

    assert len(world.jobs()) == 2
    assert world.starts == 2


def test_an_empty_object_is_rejected_without_a_call(world: World) -> None:
    world.drop("clip.mp4", b"")

    assert world.job("clip.mp4")["state"] == "REJECTED"
    assert world.job("clip.mp4")["reason"] == "the object is empty"
    assert world.calls == {}


def test_an_empty_object_is_rejected_without_a_call_though_its_registration_was_cut_short(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.upload("clip.mp4", b"")
    with monkeypatch.context() as dying, contextlib.suppress(KeyboardInterrupt):
        die_after(dying, 1)
        world.hear(record)

    world.hear(record)
    world.tick()

    assert world.job("clip.mp4")["state"] == "REJECTED"
    assert world.calls == {}


def test_a_video_too_large_is_rejected_without_a_call(world: World) -> None:
    record = world.upload("clip.mp4")
    record["s3"]["object"]["size"] = 10 * 1024**3 + 1

    world.hear(record)

    assert world.job("clip.mp4")["state"] == "REJECTED"
    assert "10 GB" in world.job("clip.mp4")["reason"]
    assert world.calls == {}


def test_a_video_deleted_before_the_start_is_rejected(world: World) -> None:
    record = world.upload("clip.mp4")
    world.s3.delete_object(Bucket="videos", Key="clip.mp4")

    world.hear(record)

    assert world.job("clip.mp4")["state"] == "REJECTED"
    assert "deleted before" in world.job("clip.mp4")["reason"]
    assert world.calls == {}


def test_a_video_replaced_before_the_start_is_not_analysed_in_its_stead(world: World) -> None:
    old = world.upload("clip.mp4", b"old")
    new = world.upload("clip.mp4", b"new")

    world.hear(old)
    world.hear(new)

    states = {job["etag"]: job["state"] for job in world.jobs()}
    assert states[old["s3"]["object"]["eTag"]] == "REJECTED"
    assert states[new["s3"]["object"]["eTag"]] == "RUNNING"


def test_a_rejected_video_uploaded_again_is_tried_again(world: World) -> None:
    record = world.upload("clip.mp4")
    world.s3.delete_object(Bucket="videos", Key="clip.mp4")
    world.hear(record)

    world.drop("clip.mp4")
    world.settle()

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"


def test_a_malformed_message_fails_alone(world: World) -> None:
    good = json.dumps({"Records": [world.upload("clip.mp4")]})
    event = {"Records": [sqs_record("bad", "nonsense"), sqs_record("good", good)]}

    answer = world.invoke(start_analysis.handler, event)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert world.job("clip.mp4")["state"] == "RUNNING"


def test_every_log_line_of_a_job_carries_its_id_bucket_and_key(world: World, log_lines) -> None:
    world.drop("clip.mp4")
    world.settle()

    lines = log_lines()
    job_id = world.job("clip.mp4")["job_id"]
    assert [line["message"] for line in lines] == ["registered", "started", "succeeded"]
    assert {(line["job_id"], line["bucket"], line["key"]) for line in lines} == {(job_id, "videos", "clip.mp4")}


class TestTheBacklog:
    def test_a_refused_job_keeps_its_place(self) -> None:
        with make_world(Simulated(seconds=60), Faults.off(max_running=1)) as world:
            for name in ("first", "second", "third"):
                world.drop(f"{name}.mp4")
                world.clock.seconds += 1

            states = [job["state"] for job in world.jobs()]
            world.pass_time(60)
            world.slot_free(world.notifications[0].message)

            assert states == ["RUNNING", "WAITING", "WAITING"]
            assert [job["state"] for job in world.jobs()] == ["RUNNING", "RUNNING", "WAITING"]

    def test_uploads_do_not_knock_again_once_refused(self) -> None:
        with make_world(Simulated(seconds=600), Faults.off(max_running=1)) as world:
            for number in range(10):
                world.drop(f"{number}.mp4")

            assert world.calls["StartFaceDetection"] == {"ok": 1, "LimitExceededException": 1}

    def test_a_doubled_notification_frees_one_slot(self) -> None:
        with make_world(Simulated(seconds=60), Faults.off(max_running=1)) as world:
            for number in range(4):
                world.drop(f"{number}.mp4")
            world.pass_time(60)
            calls = sum(world.calls["StartFaceDetection"].values())

            world.slot_free(world.notifications[0].message)
            world.slot_free(world.notifications[0].message)

            assert sum(world.calls["StartFaceDetection"].values()) == calls + 1

    def test_the_tick_fills_slots_nobody_announced(self) -> None:
        with make_world(Simulated(seconds=60), Faults.off(max_running=2, notify_dropped=1.0)) as world:
            for number in range(5):
                world.drop(f"{number}.mp4")
            world.pass_time(60)

            world.tick()

            assert [job["state"] for job in world.jobs()].count("WAITING") == 1

    def test_a_poisoned_video_at_the_head_does_not_stop_the_queue(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=1)
        world.drop("poison.mp4")
        world.clock.seconds += 1

        world.drop("fine.mp4")

        assert world.job("poison.mp4")["state"] == "WAITING"
        assert "InternalServerError" in world.job("poison.mp4")["reason"]
        assert world.job("fine.mp4")["state"] == "RUNNING"

    def test_what_met_trouble_is_tried_again_later(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=1)
        world.drop("clip.mp4")

        world.settle()

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"

    def test_trouble_that_never_ends_ends_the_job(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=1000)
        world.drop("clip.mp4")

        for _ in range(scheduler_module.MOST_START_ERRORS):
            world.clock.seconds += 3700
            world.tick()

        assert world.job("clip.mp4")["state"] == "REJECTED"
        assert f"{scheduler_module.MOST_START_ERRORS} tries" in world.job("clip.mp4")["reason"]

    @pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
    def test_slow_down_is_obeyed_and_forgiven(self, world: World, code: str) -> None:
        world.rekognition.inject("StartFaceDetection", code, times=3)
        before = world.clock.now()

        world.drop("clip.mp4")

        assert world.job("clip.mp4")["state"] == "RUNNING"
        assert world.clock.now() - before >= 0.5 * (0.2 + 0.4 + 0.8)

    def test_slow_down_without_end_is_left_to_the_next_tick(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "ThrottlingException", times=1000)

        answer = world.drop("clip.mp4")

        assert answer == {"batchItemFailures": []}
        assert world.job("clip.mp4")["state"] == "WAITING"
        assert world.calls["StartFaceDetection"] == {"ThrottlingException": pacing.TRIES}

    @pytest.mark.parametrize(
        "code", ["InvalidS3ObjectException", "InvalidParameterException", "VideoTooLargeException"]
    )
    def test_a_start_that_can_never_work_rejects_the_job_with_rekognitions_words(self, world: World, code: str) -> None:
        world.rekognition.inject("StartFaceDetection", code, times=1)

        world.drop("clip.mp4")

        assert world.job("clip.mp4")["state"] == "REJECTED"
        assert world.job("clip.mp4")["reason"].startswith(code)

    def test_a_start_whose_answer_was_lost_is_not_paid_twice(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=1, carried_out=True)
        world.drop("clip.mp4")

        world.settle()

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"
        assert world.rekognition.stats()["accepted"] == 1

    def test_a_claim_nobody_came_back_from_is_handed_back(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
        world.drop("clip.mp4")
        from lambdas import wiring

        wiring.jobs().claim(world.job("clip.mp4")["job_id"])  # and then the function dies

        world.settle()

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"

    def test_a_token_taken_by_another_stack_becomes_another_attempt(self, world: World) -> None:
        world.rekognition.inject("StartFaceDetection", "IdempotentParameterMismatchException", times=1)

        world.drop("clip.mp4")
        world.settle()

        assert world.job("clip.mp4")["state"] == "SUCCEEDED"
        assert world.job("clip.mp4")["attempt"] == 2

    def test_a_cap_below_the_quota_holds(self) -> None:
        with make_world(Simulated(seconds=60), Faults.off(max_running=20), MAX_RUNNING_JOBS="3") as world:
            for number in range(8):
                world.drop(f"{number}.mp4")
            world.tick()

            states = [job["state"] for job in world.jobs()]
            most = world.rekognition.stats()["most_running"]

            assert (states.count("RUNNING"), states.count("WAITING")) == (3, 5)
            assert most == 3
            assert world.calls["StartFaceDetection"] == {"ok": 3}

    def test_a_completion_frees_a_slot_under_the_cap_before_it_is_collected(self) -> None:
        with make_world(Simulated(seconds=60), MAX_RUNNING_JOBS="1") as world:
            world.drop("first.mp4")
            world.drop("second.mp4")
            world.pass_time(60)

            world.slot_free(world.notifications[0].message)

            assert world.job("second.mp4")["state"] == "RUNNING"

    def test_nothing_leaks_a_slot_of_the_cap(self) -> None:
        with make_world(Simulated(seconds=60), Faults.off(notify_dropped=1.0), MAX_RUNNING_JOBS="2") as world:
            for number in range(9):
                world.drop(f"{number}.mp4")

            world.settle(minutes=60)

            assert {job["state"] for job in world.jobs()} == {"SUCCEEDED"}
            assert world.rekognition.stats()["most_running"] <= 2

    def test_paused_means_accepted_and_waiting(self, world: World) -> None:
        from lambdas import wiring

        wiring.jobs().pause(True)
        world.drop("clip.mp4")
        world.tick()
        while_paused = world.job("clip.mp4")["state"]

        wiring.jobs().pause(False)
        world.tick()

        assert while_paused == "WAITING"
        assert world.job("clip.mp4")["state"] == "RUNNING"


def test_a_bug_while_filling_does_not_send_the_uploads_back(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs_module.Jobs, "claim", lambda *_: 1 / 0)

    with caplog.at_level(logging.ERROR):
        answer = world.drop("clip.mp4")

    assert answer == {"batchItemFailures": []}
    assert world.job("clip.mp4")["state"] == "WAITING"


def test_trouble_with_mending_does_not_keep_the_tick_from_starting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lambdas.aws.queue import Queue

    world.drop("overdue.mp4")
    world.notifications.clear()
    world.pass_time(130)
    world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
    world.drop("clip.mp4")
    world.notifications.clear()
    monkeypatch.setattr(Queue, "send", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        world.tick()

    assert world.job("clip.mp4")["state"] == "RUNNING"


def test_the_same_content_is_analysed_under_a_newer_version_where_the_former_is_archived(world: World) -> None:
    world.keep_versions()
    stored = world.s3.put_object(Bucket="videos", Key="clip.mp4", Body=b"a video", StorageClass="GLACIER")
    archived = s3_record("videos", "clip.mp4", stored["ETag"], 7, 0, stored["VersionId"])
    again = world.upload("clip.mp4")

    world.hear(archived, again)
    world.settle()

    assert world.job("clip.mp4")["state"] == "SUCCEEDED"
