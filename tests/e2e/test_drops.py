"""What each drop gets: the real template, the real CLI, real Lambda code, real video.

All is dropped at once, as people do; each test then looks at what its own drop got.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lambdas.logic.results import result_key
from lambdas.model.blocking import scopes_in
from tests.e2e.conftest import Deployed
from tests.rekognition_local import videos

CLIP = videos.CLIP
UNSUPPORTED = "Unsupported codec/format."

LONGEST_KEY = "long/" + "k" * (1024 - len("long/.mp4")) + ".mp4"
ODD_KEYS = (
    "with space and + and % and %25.mp4",
    'R&B\'s "greatest" <hits>;=@,!$*().mp4',
    "日本語/動画 😀.mp4",
    "a//b.mp4",
    "UPPER.MP4",
    "Mixed.Mov",
)


@pytest.fixture(scope="session")
def dropped(deployed: Deployed, folder: Path) -> Deployed:
    """The cloud with everything dropped into it."""
    deployed.drop("crowd.mp4", videos.crowded(folder))
    for key in ("small.mp4", *ODD_KEYS, LONGEST_KEY):
        deployed.s3.put_object(Bucket=deployed.videos, Key=key, Body=CLIP.read_bytes())
    deployed.drop("large.mp4", videos.large(folder))
    deployed.drop("nobody.mp4", videos.without_faces(folder))
    deployed.drop("bad/text.mp4", videos.text(folder))
    deployed.drop("bad/phone.mov", videos.hevc(folder))
    deployed.drop("bad/half.mp4", videos.cut_before_its_index(folder))
    for key in ("empty.mp4", "folder.mp4/"):
        deployed.s3.put_object(Bucket=deployed.videos, Key=key, Body=b"")
    deployed.s3.put_object(Bucket=deployed.videos, Key="notes.txt", Body=b"notes")
    return deployed


def faces_by_second(document: dict[str, Any]) -> dict[float, int]:
    """How many faces were found at each sampled moment that has any, in seconds."""
    return Counter(face["Timestamp"] / 1000 for face in document["Faces"])


def test_a_small_video_in_one_put_gets_its_faces(dropped: Deployed) -> None:
    job = dropped.job("small.mp4")

    assert job["state"] == "SUCCEEDED"
    assert job["result_key"] == "results/small.mp4/face-detection.json"
    document = dropped.result(job["result_key"])
    found = faces_by_second(document)
    assert {found[at] for at in found if at < 1.9} == {1}
    assert {found[at] for at in found if 2.1 < at < 3.9} == {2}
    assert not any(4.1 < at < 4.9 for at in found)
    assert {found[at] for at in found if at > 5.1} == {1}
    assert document["VideoMetadata"]["Format"] == "QuickTime / MOV"
    assert document["JobTag"] == job["job_id"]


def test_its_rows_say_the_same(dropped: Deployed) -> None:
    job = dropped.job("small.mp4")

    body = dropped.s3.get_object(Bucket=dropped.results, Key=job["rows_key"])["Body"].read()
    rows = [json.loads(line) for line in gzip.decompress(body).splitlines()]

    faces = dropped.result(job["result_key"])["Faces"]
    assert [row["timestamp_ms"] for row in rows] == [face["Timestamp"] for face in faces]
    assert {row["video_key"] for row in rows} == {"small.mp4"}


def test_a_large_video_in_parts_is_one_job_with_results(dropped: Deployed) -> None:
    job = dropped.job("large.mp4")

    assert job["size"] > 60_000_000
    assert "-" in job["etag"]
    assert job["state"] == "SUCCEEDED"
    assert dropped.starts(job["job_id"]) == 1


@pytest.mark.parametrize("key", ODD_KEYS)
def test_results_lie_under_that_very_key(dropped: Deployed, key: str) -> None:
    job = dropped.job(key)

    assert job["state"] == "SUCCEEDED"
    assert job["result_key"] == f"results/{key}/face-detection.json"
    assert dropped.result(job["result_key"])["Faces"]


def test_the_longest_key_gets_a_short_place_that_its_record_tells(dropped: Deployed) -> None:
    job = dropped.job(LONGEST_KEY)

    assert len(LONGEST_KEY.encode()) == 1024
    assert job["state"] == "SUCCEEDED"
    assert job["result_key"] == result_key(LONGEST_KEY, "face-detection")
    assert dropped.result(job["result_key"])["Faces"]


def test_a_video_without_faces_succeeds_with_none(dropped: Deployed) -> None:
    job = dropped.job("nobody.mp4")

    assert job["state"] == "SUCCEEDED"
    assert dropped.result(job["result_key"])["Faces"] == []
    assert job["detections"] == 0


def test_over_a_thousand_detections_arrive_every_one_in_order(dropped: Deployed) -> None:
    job = dropped.job("crowd.mp4")

    faces = dropped.result(job["result_key"])["Faces"]
    [held] = [held for held in dropped.rekognition_jobs() if held["JobTag"] == job["job_id"]]
    assert len(faces) == held["Detections"] > 1000
    assert [face["Timestamp"] for face in faces] == sorted(face["Timestamp"] for face in faces)


@pytest.mark.parametrize("key", ["bad/text.mp4", "bad/half.mp4"])
def test_what_rekognition_cannot_read_fails_with_its_reason(dropped: Deployed, key: str) -> None:
    job = dropped.job(key)

    assert job["state"] == "FAILED"
    assert job["reason"] == UNSUPPORTED
    assert dropped.starts(job["job_id"]) == 1


def test_what_a_phone_records_is_rejected_by_its_header_and_no_start_is_spent_on_it(dropped: Deployed) -> None:
    job = dropped.job("bad/phone.mov")

    assert job["state"] == "REJECTED"
    assert job["reason"].startswith("its codec is hevc; Rekognition reads H.264.")
    assert json.loads(job["header"])["width"] == 320
    assert dropped.starts(job["job_id"]) == 0


def test_an_empty_video_is_rejected_and_no_start_is_spent_on_it(dropped: Deployed) -> None:
    job = dropped.job("empty.mp4")

    assert job["state"] == "REJECTED"
    assert job["reason"] == "the object is empty"
    assert dropped.starts(job["job_id"]) == 0


@pytest.mark.parametrize("key", ["notes.txt", "folder.mp4/"])
def test_what_is_no_video_leaves_nothing_in_the_table(dropped: Deployed, key: str) -> None:
    dropped.job("small.mp4")

    assert dropped.jobs(key) == []


def test_the_same_object_again_and_its_event_three_times_is_no_second_job(dropped: Deployed) -> None:
    job = dropped.job("small.mp4")
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": job["uploaded_at"],
        "s3": {
            "bucket": {"name": dropped.videos},
            "object": {
                "key": "small.mp4",
                "size": int(job["size"]),
                "eTag": job["etag"],
                "sequencer": job["sequencer"],
            },
        },
    }

    for _ in range(3):
        dropped.sqs.send_message(QueueUrl=dropped.queue("Uploads"), MessageBody=json.dumps({"Records": [record]}))
    dropped.s3.put_object(Bucket=dropped.videos, Key="small.mp4", Body=CLIP.read_bytes())
    dropped.wait(lambda: dropped.jobs("small.mp4")[0].get("uploaded_again_at"), "the second upload to be noted")
    dropped.wait(lambda: dropped.waiting_in("Uploads") == 0, "the uploads queue to be empty")

    assert dropped.job("small.mp4")["state"] == "SUCCEEDED"
    assert dropped.starts(job["job_id"]) == 1


def test_another_video_under_the_same_key_is_a_new_job_and_its_result_stands(dropped: Deployed, folder: Path) -> None:
    dropped.drop("again.mp4", CLIP)
    dropped.ended("again.mp4")

    dropped.drop("again.mp4", videos.without_faces(folder))
    older, newer = dropped.ended("again.mp4", 2)

    assert [older["state"], newer["state"]] == ["SUCCEEDED", "SUCCEEDED"]
    assert dropped.result(newer["result_key"])["JobTag"] == newer["job_id"]
    assert newer["result_key"] == "results/again.mp4/face-detection.json"


def test_the_older_of_two_uploads_finishing_last_does_not_replace_the_newer(dropped: Deployed, folder: Path) -> None:
    dropped.faults(notify_late=1.0, notify_late_seconds=20.0)
    dropped.drop("twice.mp4", CLIP)
    dropped.wait(
        lambda: [job for job in dropped.rekognition_jobs() if job["Name"] == "twice.mp4" and job["Ended"]],
        "the older one to be done, its message on a long way",
    )
    dropped.faults(notify_late=0.0)

    dropped.drop("twice.mp4", videos.without_faces(folder))
    newer = dropped.wait(
        lambda: next((job for job in dropped.jobs("twice.mp4")[1:] if job["state"] == "SUCCEEDED"), None),
        "the newer one to be done",
    )
    overtaken = dropped.jobs("twice.mp4")[0]["state"]
    older, _ = dropped.ended("twice.mp4", 2)

    assert overtaken == "RUNNING"
    assert dropped.result("results/twice.mp4/face-detection.json")["JobTag"] == newer["job_id"]
    assert dropped.result(older["result_key"])["JobTag"] == older["job_id"]


def test_an_object_deleted_before_its_start_is_rejected_with_the_reason(dropped: Deployed) -> None:
    dropped.table.pause(True)
    dropped.drop("gone.mp4", CLIP)
    dropped.wait(lambda: dropped.jobs("gone.mp4"), "the upload to be registered")
    dropped.s3.delete_object(Bucket=dropped.videos, Key="gone.mp4")
    dropped.table.pause(False)

    dropped.drop("after.mp4", CLIP)  # the next upload starts the job that waits first

    assert dropped.job("gone.mp4")["state"] == "REJECTED"
    assert dropped.job("gone.mp4")["reason"] == "the object was deleted before its analysis could start"
    assert dropped.job("after.mp4")["state"] == "SUCCEEDED"


def test_nothing_landed_in_a_dead_letter_queue(dropped: Deployed) -> None:
    for key in ("small.mp4", "large.mp4", "crowd.mp4", *ODD_KEYS):
        dropped.job(key)

    assert dropped.waiting_in("UploadsDead") == 0
    assert dropped.waiting_in("FinishedDead") == 0


class TestPermissions:
    """IAM is enforced here: that all of the above works shows that the policies suffice; this, that it is noticed."""

    @pytest.mark.parametrize("action", ["rekognition:StartFaceDetection", "iam:PassRole"])
    def test_a_right_to_start_taken_away_blocks_starting_until_it_is_back(self, dropped: Deployed, action: str) -> None:
        key = f"without {action.replace(':', ' ')}.mp4"

        with taken_away(dropped, action):
            dropped.drop(key, CLIP)
            reason = dropped.wait(lambda: blocked(dropped).get("face-detection"), f"{key} to block starting")
            assert "AccessDeniedException" in reason
            assert [job["state"] for job in dropped.jobs(key)] == ["WAITING"]
        tick(dropped)

        assert dropped.job(key)["state"] == "SUCCEEDED"
        assert blocked(dropped) == {}

    def test_a_video_that_may_not_be_read_is_done_after_all_once_it_may(self, dropped: Deployed) -> None:
        with taken_away(dropped, "s3:GetObject"):
            dropped.drop("forbidden.mp4", CLIP)
            assert dropped.job("forbidden.mp4")["state"] == "REJECTED"
            assert "this stack may not read the object" in dropped.job("forbidden.mp4")["reason"]
        dropped.drop("allowed.mp4", CLIP)
        assert dropped.job("allowed.mp4")["state"] == "SUCCEEDED"
        tick(dropped)

        done = dropped.wait(
            lambda: [job for job in dropped.jobs("forbidden.mp4") if job["state"] == "SUCCEEDED"], "forbidden.mp4"
        )
        assert [job["analysis"] for job in done] == ["face-detection"]


@contextmanager
def taken_away(dropped: Deployed, action: str) -> Iterator[None]:
    """Take one right away from the starting function, for a while."""
    iam = dropped.cloud.client("iam")
    [role] = [r["RoleName"] for r in iam.list_roles()["Roles"] if "-StartAnalysisRole" in r["RoleName"]]
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(without(policy, action)))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def blocked(dropped: Deployed) -> dict[str, str]:
    """What is blocked, and why."""
    return {
        name: scope.reason for name, scope in scopes_in(dropped.table.scheduler()).items() if scope.since is not None
    }


def tick(dropped: Deployed) -> None:
    """The next tick, now."""
    payload = json.dumps({"source": "aws.events", "detail-type": "Scheduled Event"})
    dropped.cloud.client("lambda").invoke(FunctionName=dropped.outputs["StartFunction"], Payload=payload)


def without(policy: dict[str, Any], action: str) -> dict[str, Any]:
    """`policy` with one action taken away."""
    statements = []
    for statement in policy["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        kept = [one for one in actions if one != action]
        statements += [{**statement, "Action": kept}] if kept else []
    assert statements != policy["Statement"]
    return {**policy, "Statement": statements}


def test_a_second_copy_works_beside_the_first_and_on_an_existing_bucket(dropped: Deployed) -> None:
    dropped.s3.create_bucket(Bucket="our-own-videos")
    outputs = dropped.cloud.deploy_also({"stack_name": "Second", "videos_bucket": "our-own-videos"})
    second = Deployed(dropped.cloud, outputs)

    second.drop("clip.mp4", CLIP)

    assert second.videos == "our-own-videos"
    assert second.job("clip.mp4")["state"] == "SUCCEEDED"
    assert second.result("results/clip.mp4/face-detection.json")["Faces"]
    assert dropped.jobs("clip.mp4") == []


def test_a_bucket_that_announces_to_others_is_heard_of_by_eventbridge_and_goes_on_announcing(dropped: Deployed) -> None:
    sqs = dropped.cloud.client("sqs")
    theirs = sqs.create_queue(QueueName="theirs")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=theirs, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    let = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=theirs, Attributes={"Policy": json.dumps({"Statement": [let]})})
    dropped.s3.create_bucket(Bucket="announcing")
    configuration = {"QueueConfigurations": [{"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    dropped.s3.put_bucket_notification_configuration(Bucket="announcing", NotificationConfiguration=configuration)
    context = {"stack_name": "Third", "videos_bucket": "announcing", "uploads_from": "eventbridge"}
    third = Deployed(dropped.cloud, dropped.cloud.deploy_also(context))

    third.drop("a+b ü%2B.mp4", CLIP)

    assert third.job("a+b ü%2B.mp4")["state"] == "SUCCEEDED"
    assert third.result("results/a+b ü%2B.mp4/face-detection.json")["Faces"]
    assert third.outputs["UploadsFrom"] == "eventbridge"
    assert "a%2Bb+%C3%BC%252B.mp4" in str(sqs.receive_message(QueueUrl=theirs, MaxNumberOfMessages=10)["Messages"])
    kept = dropped.s3.get_bucket_notification_configuration(Bucket="announcing")
    assert [one["Id"] for one in kept["QueueConfigurations"]] == ["theirs"]
    assert "EventBridgeConfiguration" in kept
