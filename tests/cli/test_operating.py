"""Pausing, trying again, dead letters."""

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from cli.core.stack import Stack
from lambdas.model.events import ask_again
from tests.cli.conftest import Said
from tests.fake_aws import World, s3_record
from tests.rekognition_local import videos

Typed = Callable[..., Said]


def test_pause_keeps_new_videos_waiting_and_resume_starts_them(aws: World, typed: Typed) -> None:
    said = typed("pause")
    aws.drop("a.mp4")
    aws.tick()

    assert (said.code, said.out) == (0, "")
    assert "rekognition-batch resume" in said.err
    assert aws.job("a.mp4")["state"] == "WAITING"

    assert "1 job in line" in typed("resume").err
    aws.tick()

    assert aws.job("a.mp4")["state"] == "RUNNING"


def test_retry_starts_a_failed_job_again_under_another_token(aws: World, stack: Stack, typed: Typed) -> None:
    aws.drop("a.mp4")
    stack.table.fail(stack.table.of_video("videos", "a.mp4")[0], "Unsupported codec/format.")

    said = typed("retry", "a.mp4")

    assert said.code == 0
    assert "attempt 2" in said.out
    assert aws.job("a.mp4")["state"] == "WAITING"
    aws.settle()
    assert aws.job("a.mp4")["state"] == "SUCCEEDED"
    assert aws.starts == 2


def test_retry_failed_takes_every_video_that_failed_or_was_rejected(aws: World, stack: Stack, typed: Typed) -> None:
    for key in ("failed.mp4", "rejected.mp4", "fine.mp4"):
        aws.drop(key)
    stack.table.fail(stack.table.of_video("videos", "failed.mp4")[0], "reason")
    stack.table.reject(stack.table.of_video("videos", "rejected.mp4")[0], "AccessDenied")

    dry = typed("retry", "--failed", "--dry-run")
    assert "would be retried" in dry.out
    assert aws.job("failed.mp4")["state"] == "FAILED"

    typed("retry", "--failed")

    assert aws.job("failed.mp4")["state"] == aws.job("rejected.mp4")["state"] == "WAITING"
    assert aws.job("fine.mp4")["state"] == "RUNNING"


def test_retry_leaves_what_could_only_fail_again_and_says_why(aws: World, stack: Stack, typed: Typed) -> None:
    aws.drop("empty.mp4", b"")
    aws.drop("gone.mp4")
    aws.drop("replaced.mp4")
    for key in ("gone.mp4", "replaced.mp4"):
        stack.table.fail(stack.table.of_video("videos", key)[0], "reason")
    aws.s3.delete_object(Bucket="videos", Key="gone.mp4")
    aws.s3.put_object(Bucket="videos", Key="replaced.mp4", Body=b"another")

    said = typed("retry", "--failed")

    assert said.code == 1
    for why in ("the object is empty", "the object was deleted", "the object was replaced"):
        assert why in said.out
    assert not [job for job in aws.jobs() if job["state"] == "WAITING"]


def test_retry_takes_a_video_that_these_credentials_may_not_read_as_the_function_may(
    aws: World, stack: Stack, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.drop("anna.mp4")
    stack.table.fail(stack.table.of_video("videos", "anna.mp4")[0], "reason")

    def denied(**_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "HeadObject")

    monkeypatch.setattr(stack.client("s3"), "head_object", denied)
    monkeypatch.setattr(stack.client("s3"), "get_object", denied)

    assert "attempt 2" in typed("retry", "anna.mp4").out


def test_a_mistyped_video_is_answered_with_the_nearest(aws: World, typed: Typed) -> None:
    aws.drop("interviews/anna.mp4")

    said = typed("retry", "interview/ana.mp4")

    assert said.code == 3
    assert "Did you mean 'interviews/anna.mp4'?" in said.err
    assert "Traceback" not in said.err


def test_retry_wants_to_know_which(typed: Typed) -> None:
    said = typed("retry")

    assert said.code == 2
    assert "VIDEO, or use --failed" in said.err


def test_dead_letters_can_be_read_and_sent_back(aws: World, stack: Stack, typed: Typed) -> None:
    aws.drop("known.mp4")
    upload = json.dumps({"Records": [s3_record("videos", "new one.mp4", "etag", 7, 1)]})
    sqs = stack.client("sqs")
    sqs.send_message(QueueUrl=stack.output("UploadsDeadLetterQueue"), MessageBody=upload)
    sqs.send_message(QueueUrl=stack.output("UploadsDeadLetterQueue"), MessageBody="gibberish")
    known = ask_again(aws.job("known.mp4")["job_id"], "test")
    sqs.send_message(QueueUrl=stack.output("FinishedDeadLetterQueue"), MessageBody=known)

    looked = typed("redrive", "--dry-run")
    listed = typed("redrive", "--dry-run", "--json").json

    assert "upload of new one.mp4" in looked.out
    assert "not an S3 event" in looked.out
    assert "face-detection of known.mp4" in looked.out
    assert {letter["body"] for letter in listed} == {upload, "gibberish", known}

    sent = typed("redrive")

    assert "3 messages sent back" in sent.err
    assert len(sqs.receive_message(QueueUrl=stack.output("UploadsQueue"), MaxNumberOfMessages=10)["Messages"]) == 2
    assert aws.messages() == [known]
    assert "are empty" in typed("redrive", "--dry-run").err


def test_quota_counts_this_stacks_jobs_and_says_when_the_limit_is_unknown(
    aws: World, stack: Stack, typed: Typed
) -> None:
    for number in range(25):
        aws.drop(f"{number}.mp4")
    stack.local = True

    found = typed("quota", "--json").json

    assert (found["running"], found["waiting"]) == (25, 0)
    assert found["limit"] is None
    assert "has no Service Quotas" in found["limit_from"]


def test_status_tells_places_in_line_and_why_nothing_can_be_expected(aws: World, typed: Typed) -> None:
    typed("pause")
    for key in ("a.mp4", "b.mp4"):
        aws.drop(key)
        aws.pass_time(1)

    jobs = {job["video"]: job for job in typed("status", "--json").json["jobs"]}

    assert (jobs["a.mp4"]["place_in_line"], jobs["b.mp4"]["place_in_line"]) == (1, 2)
    assert jobs["a.mp4"]["expected_at"] is None


def test_status_of_a_video_tells_what_its_header_says_and_what_its_analyses_cost(aws: World, typed: Typed) -> None:
    aws.drop("a.mp4", videos.CLIP.read_bytes())

    said = typed("status", "a.mp4").err
    [job] = typed("status", "a.mp4", "--json").json["jobs"]

    assert "The video: 0:00:07 of h264 in MP4, 640x360, 29.97 frames a second." in said
    assert "Its analyses: 0.1 minutes, $0.01 (list prices" in said
    assert job["header"]["codec"] == "h264"
    assert job["minutes"] == pytest.approx(7 / 60, rel=0.01)
    assert job["usd"] == pytest.approx(0.1 * job["minutes"])


def test_status_of_all_tells_how_much_video_waits(aws: World, typed: Typed) -> None:
    typed("pause")
    for key in ("a.mp4", "b.mp4"):
        aws.drop(key, videos.CLIP.read_bytes())
    aws.drop("c.mp4")

    assert "In line: 0.2 minutes, $0.02, and 1 job of unknown length (list prices" in typed("status").err


def test_status_of_a_video_that_failed_is_told_to_scripts_by_the_exit_code(
    aws: World, stack: Stack, typed: Typed
) -> None:
    aws.drop("a.mp4")
    assert typed("status", "a.mp4").code == 0
    stack.table.fail(stack.table.of_video("videos", "a.mp4")[0], "Unsupported codec/format.")

    said = typed("status", "a.mp4")

    assert said.code == 1
    assert "Unsupported codec/format." in said.out
    assert typed("status", "--state", "succeeded").out == ""


def test_what_can_move_a_terminals_cursor_is_not_printed(aws: World, typed: Typed) -> None:
    aws.drop("a\x1b[2Jb\u202e.mp4")

    out = typed("status").out

    assert "\x1b" not in out
    assert "\u202e" not in out
