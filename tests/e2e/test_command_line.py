"""The command, as a person types it, on the deployed stack: the real program, in a process of its own."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.model.events import ask_again
from tests.e2e.conftest import Deployed
from tests.rekognition_local import videos

PROGRAM = Path(sys.executable).parent / "rekognition-batch"
AWS = Path(sys.executable).parent / "aws"


class Typist:
    """Types commands in a folder of its own, with nothing in the environment but what `. .localcloud/env` sets."""

    def __init__(self, deployed: Deployed, folder: Path) -> None:
        self.deployed = deployed
        self.folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        self.environment = {**kept, **deployed.cloud.env, "HOME": str(folder), "NO_PROXY": "127.0.0.1,localhost"}

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        said = subprocess.run(
            [str(PROGRAM), *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert "Traceback" not in said.stderr, said.stderr
        assert said.returncode == code, f"{words}: {said.returncode}\n{said.stdout}\n{said.stderr}"
        return said

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, code=code).stdout)

    def ended(self, *keys: str) -> dict[str, Any]:
        """The jobs of these videos as `status` tells them, once they have ended."""

        def look() -> dict[str, Any] | None:
            jobs = {job["video"]: job for job in self.json("status", "--json")["jobs"]}
            over = all(jobs.get(key, {}).get("state") in ("SUCCEEDED", "FAILED", "REJECTED") for key in keys)
            return jobs if over else None

        return self.deployed.wait(look, f"{keys} to end")

    def aws(self, command: str) -> None:
        """Run a printed command that fixes a finding."""
        words = shlex.split(command)
        assert words[0] == "aws"
        done = subprocess.run([str(AWS), *words[1:]], env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.fixture(scope="module")
def typist(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Typist:
    return Typist(deployed, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def uploaded(typist: Typist) -> Typist:
    """A folder of videos that the command has uploaded, and their jobs have ended."""
    folder = typist.folder / "holiday"
    folder.mkdir()
    shutil.copy(videos.CLIP, folder / "day 1 + ü.mp4")
    shutil.copy(videos.text(typist.folder), folder / "broken.mp4")
    (folder / "notes.txt").write_text("notes")
    said = typist("upload", "holiday")
    assert "Skipped: holiday/notes.txt" in said.stderr
    assert len(said.stdout.splitlines()) == 2
    typist.ended("holiday/day 1 + ü.mp4", "holiday/broken.mp4")
    return typist


CLIP = "holiday/day 1 + ü.mp4"


def test_an_uploaded_folder_has_its_jobs_and_a_second_time_nothing_is_sent(uploaded: Typist) -> None:
    jobs = uploaded.ended(CLIP, "holiday/broken.mp4")

    assert jobs[CLIP]["state"] == "SUCCEEDED"
    assert jobs[CLIP]["detections"] > 0
    assert jobs["holiday/broken.mp4"]["reason"] == "Unsupported codec/format."
    assert "2 were there already" in uploaded("upload", "holiday").stderr


def test_status_of_one_video_watches_it_to_its_end(uploaded: Typist) -> None:
    said = uploaded("status", CLIP, "--watch")
    failed = uploaded("status", "holiday/broken.mp4", code=1)

    assert "SUCCEEDED" in said.stdout
    assert "Unsupported codec/format." in failed.stdout


def test_results_lie_on_the_disk_and_in_other_programs_forms(uploaded: Typist) -> None:
    uploaded("results", CLIP, "-o", "results")
    uploaded("export", CLIP, "--format", "csv", "-o", "faces.csv")
    uploaded("export", CLIP, "--format", "parquet", "-o", "faces.parquet")

    import csv

    import pyarrow.parquet

    document = json.loads((uploaded.folder / "results/face-detection.json").read_text())
    with (uploaded.folder / "faces.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pyarrow.parquet.read_table(uploaded.folder / "faces.parquet")
    assert len(document["Faces"]) == len(rows) == table.num_rows > 0
    assert [int(row["timestamp_ms"]) for row in rows] == [face["Timestamp"] for face in document["Faces"]]


def test_a_report_is_one_file_and_is_kept_next_to_the_results(uploaded: Typist) -> None:
    said = uploaded("report", CLIP, "--file", f"holiday/{CLIP.partition('/')[2]}", "--no-open", "-o", "page.html")

    page = (uploaded.folder / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "data:image/jpeg" in page
    assert f"results/{CLIP}/report.html" in said.stderr


def test_an_estimate_in_s3_says_what_one_on_the_disk_says(uploaded: Typist) -> None:
    [disk] = uploaded.json("estimate", str(videos.CLIP), "--json")
    [there] = uploaded.json("estimate", f"s3://{uploaded.deployed.videos}/{CLIP}", "--json")

    assert (there["seconds"], there["codec"], there["usd_total"]) == (disk["seconds"], "h264", disk["usd_total"])


def test_what_lay_in_the_bucket_before_is_analysed_by_backfill(typist: Typist) -> None:
    deployed = typist.deployed
    known = deployed.s3.get_bucket_notification_configuration(Bucket=deployed.videos)
    del known["ResponseMetadata"]
    silence_uploads(deployed)
    deployed.drop("before/old.mp4", videos.CLIP)
    deployed.s3.put_bucket_notification_configuration(Bucket=deployed.videos, NotificationConfiguration=known)

    dry = typist.json("backfill", "--prefix", "before/", "--dry-run", "--json")
    typist("backfill", "--prefix", "before/", code=5)
    typist("backfill", "--prefix", "before/", "--yes")

    assert dry["keys"] == ["before/old.mp4"]
    assert typist.ended("before/old.mp4")["before/old.mp4"]["state"] == "SUCCEEDED"


def test_a_failed_job_is_tried_again_once_it_is_asked_for(uploaded: Typist) -> None:
    before = uploaded.ended("holiday/broken.mp4")["holiday/broken.mp4"]

    said = uploaded("retry", "holiday/broken.mp4")

    assert "attempt 2" in said.stdout
    after = uploaded.deployed.wait(
        lambda: next(
            (
                job
                for job in uploaded.json("status", "--json")["jobs"]
                if job["video"] == "holiday/broken.mp4" and job["state"] == "FAILED"
            ),
            None,
        ),
        "the second attempt to fail",
    )
    assert after["attempt"] == before["attempt"] + 1
    assert after["rekognition_job_id"] != before["rekognition_job_id"]


def test_while_paused_uploads_wait_and_resume_lets_them_go(typist: Typist) -> None:
    typist("pause")
    try:
        typist.deployed.drop("paused.mp4", videos.CLIP)
        typist.deployed.wait(lambda: typist.deployed.jobs("paused.mp4"), "the upload to join the line")
        [job] = [job for job in typist.json("status", "--json")["jobs"] if job["video"] == "paused.mp4"]

        assert (job["state"], job["place_in_line"]) == ("WAITING", 1)
        assert "paused" in typist("status", "paused.mp4").stdout
    finally:
        typist("resume")
    assert typist.ended("paused.mp4")["paused.mp4"]["state"] == "SUCCEEDED"


def test_a_dead_letter_is_shown_with_its_video_and_sent_back(typist: Typist) -> None:
    deployed = typist.deployed
    deployed.drop("dead.mp4", videos.CLIP)
    [job] = deployed.ended("dead.mp4")
    letter = ask_again(job["job_id"], "test")
    deployed.sqs.send_message(QueueUrl=deployed.outputs["FinishedDeadLetterQueue"], MessageBody=letter)

    shown = typist.json("redrive", "--dry-run", "--json")
    typist("doctor", code=1)
    typist("redrive")

    assert [one["about"] for one in shown] == ["face-detection of dead.mp4"]
    assert typist.json("redrive", "--dry-run", "--json") == []


def objects(deployed: Deployed) -> Iterator[tuple[str, str]]:
    for bucket in (deployed.videos, deployed.results):
        for page in deployed.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                yield bucket, one["Key"]


def test_delete_leaves_nothing_of_a_video_and_everything_of_the_others(typist: Typist) -> None:
    deployed = typist.deployed
    before = set(objects(deployed)) | {(deployed.videos, "neighbour.mp4/inner.mp4")}
    deployed.drop("neighbour.mp4/inner.mp4", videos.CLIP)  # its results lie under those of the other
    deployed.drop("neighbour.mp4", videos.CLIP)
    [kept] = deployed.ended("neighbour.mp4/inner.mp4")
    [doomed] = deployed.ended("neighbour.mp4")
    typist("report", "neighbour.mp4", "--no-open", "-o", "neighbour.html")
    dry = typist("delete", "neighbour.mp4", "--dry-run").stdout
    refused = typist("delete", "neighbour.mp4", code=5)

    typist("delete", "neighbour.mp4", "--yes")

    assert "report.html" in dry
    assert doomed["rows_key"] in dry
    assert "--yes" in refused.stderr
    assert deployed.jobs("neighbour.mp4") == []
    left = set(objects(deployed)) - before
    assert {key for _, key in left if doomed["job_id"] in key or key == "neighbour.mp4"} == set()
    assert {kept["result_key"], kept["rows_key"]} <= {key for _, key in left}
    assert "There is no video" in typist("status", "neighbour.mp4", code=3).stderr


def test_delete_erases_the_version_from_before_the_versioning(typist: Typist) -> None:
    deployed = typist.deployed
    deployed.drop("versions.mp4", videos.CLIP)
    deployed.ended("versions.mp4")
    before = {"Bucket": deployed.videos, "Key": "versions.mp4", "VersionId": "null"}
    deployed.s3.put_bucket_versioning(Bucket=deployed.videos, VersioningConfiguration={"Status": "Enabled"})
    try:
        deployed.drop("versions.mp4", videos.CLIP)
        deployed.s3.delete_object(Bucket=deployed.videos, Key="versions.mp4")
        assert deployed.s3.get_object(**before)["ContentLength"] > 0

        said = typist("delete", "versions.mp4", "--yes")

        assert "S3 has nothing left of it" in said.stderr
        with pytest.raises(ClientError, match="NoSuchVersion"):
            deployed.s3.get_object(**before)
        assert "versions.mp4" not in {key for _, key in objects(deployed)}
    finally:
        deployed.s3.put_bucket_versioning(Bucket=deployed.videos, VersioningConfiguration={"Status": "Suspended"})


def test_a_canary_flies_the_whole_path_and_leaves_nothing_behind(typist: Typist) -> None:
    before = set(objects(typist.deployed))

    findings = typist.json("doctor", "--canary", "--json")

    assert [one["verdict"] for one in findings if one["subject"] == "canary"] == ["fine"]
    assert not [one for one in findings if one["verdict"] == "wrong"]
    assert set(objects(typist.deployed)) == before


def disable_the_tick(deployed: Deployed) -> None:
    deployed.cloud.client("events").disable_rule(Name=deployed.outputs["TickRule"])


def forget_the_queue_policy(deployed: Deployed) -> None:
    deployed.sqs.set_queue_attributes(QueueUrl=deployed.outputs["UploadsQueue"], Attributes={"Policy": ""})


def unsubscribe_the_queue(deployed: Deployed) -> None:
    sns = deployed.cloud.client("sns")
    topic = deployed.outputs["JobFinishedTopic"]
    for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        if one["Protocol"] == "sqs":
            sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])


def disable_a_mapping(deployed: Deployed) -> None:
    functions = deployed.cloud.client("lambda")
    known = functions.list_event_source_mappings(FunctionName=deployed.outputs["CollectFunction"])
    functions.update_event_source_mapping(UUID=known["EventSourceMappings"][0]["UUID"], Enabled=False)


def silence_uploads(deployed: Deployed) -> None:
    """All but EventBridge, which has other listeners."""
    theirs = {"EventBridgeConfiguration": {}}
    deployed.s3.put_bucket_notification_configuration(Bucket=deployed.videos, NotificationConfiguration=theirs)


def narrow_the_trust(deployed: Deployed) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "rekognition.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:rekognition:*:*:streamprocessor/*"}},
            }
        ],
    }
    role = deployed.outputs["PublisherRole"].rsplit("/", 1)[-1]
    deployed.cloud.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


@pytest.mark.parametrize(
    ("plant", "subject"),
    [
        (disable_the_tick, "the tick"),
        (forget_the_queue_policy, "S3 may write to UploadsQueue"),
        (unsubscribe_the_queue, "the finished queue hears of finished jobs"),
        (disable_a_mapping, "CollectFunction reads FinishedQueue"),
        (silence_uploads, "uploads are announced"),
        (narrow_the_trust, "Rekognition may take the publisher role"),
    ],
)
def test_the_doctor_finds_what_broke_and_its_command_mends_it(typist: Typist, plant: Any, subject: str) -> None:
    plant(typist.deployed)

    findings = typist.json("doctor", "--json", code=1)

    [found] = [one for one in findings if one["verdict"] == "wrong"]
    assert found["subject"] == subject
    typist.aws(found["fix"])
    time.sleep(1)
    typist("doctor")


def test_mending_the_notifications_has_kept_what_was_there(typist: Typist) -> None:
    known = typist.deployed.s3.get_bucket_notification_configuration(Bucket=typist.deployed.videos)

    assert known["EventBridgeConfiguration"] == {}
    assert len(known["QueueConfigurations"]) == 1


def test_before_a_deploy_a_bucket_is_looked_at_without_a_stack(typist: Typist) -> None:
    typist.deployed.s3.create_bucket(Bucket="before-any-stack")
    topic = typist.deployed.cloud.client("sns").create_topic(Name="theirs")["TopicArn"]
    theirs = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    typist.deployed.s3.put_bucket_notification_configuration(
        Bucket="before-any-stack", NotificationConfiguration=theirs
    )

    findings = {one["subject"]: one for one in typist.json("doctor", "--before-deploy", "before-any-stack", "--json")}

    assert topic in findings["uploads are announced"]["text"]
    assert findings["deploy"]["fix"].endswith("-c videos_bucket=before-any-stack -c uploads_from=eventbridge")
    typist.deployed.s3.delete_bucket(Bucket="before-any-stack")


def test_after_all_that_was_broken_and_mended_a_video_still_gets_its_faces(typist: Typist) -> None:
    assert "17 detections" in typist("doctor", "--canary").stdout


def test_a_stack_that_is_not_there_is_one_sentence_and_what_to_type(typist: Typist) -> None:
    said = typist("status", "--stack", "Nowhere", code=4)

    assert said.stderr.startswith("There is no stack Nowhere in us-east-1.\n  → npx cdk deploy")
    assert said.stdout == ""


def test_without_a_terminal_there_is_no_colour_and_data_stands_alone_on_stdout(uploaded: Typist) -> None:
    said = uploaded("status")

    assert "\x1b" not in said.stdout + said.stderr
    assert said.stdout.splitlines()[0].split("\t") == ["video", "analysis", "state", "for", "what"]
