"""`make cloud`, again, and `make cloud-stop`: the real stack, in a folder of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import checkout, folders
from localcloud.__main__ import pairs, parser
from localcloud.cloud import CloudError
from localcloud.supervisor import CHECKOUT

NOTHING = {"context": {}, "rekognition_endpoint": None, "endpoint_options": [], "port": 0}
SIMULATED = ["--engine", "simulated", "--seconds", "0.5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "cloud"
    monkeypatch.setattr(checkout, "FOLDER", path)
    yield path
    checkout.down()


@pytest.fixture
def steps():
    return []


@pytest.fixture
def up(steps):
    def up(**options):
        return checkout.up(**(NOTHING | options), progress=lambda name, done: done and steps.append(name))

    return up


def sh(script: str, **env: str) -> str:
    shell = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **env}
    return subprocess.run(["/bin/sh", "-ec", script], env=shell, capture_output=True, text=True, check=True).stdout


def test_a_cloud_stays_takes_videos_is_brought_up_to_date_and_goes(folder, up, steps):
    cloud, was_running = up(endpoint_options=SIMULATED)
    assert not was_running
    assert folders.alive(folder)

    # What it leaves is enough for somebody who has AWS configured for something else.
    found = json.loads((folder / "outputs.json").read_text())["RekognitionBatch"]
    assert {"VideosBucket", "ResultsBucket", "JobsTable"} <= set(found)
    misled = {"AWS_PROFILE": "elsewhere", "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    misled["HTTP_PROXY"] = misled["http_proxy"] = "http://127.0.0.1:9"
    assert found["VideosBucket"] in sh(f". {folder}/env; aws s3 ls", **misled)
    python = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'])"
    assert found["VideosBucket"] in sh(f". {folder}/env; python -c {json.dumps(python)}", **misled)
    node = f"""
        const sdk = require("{CHECKOUT}/node_modules/@aws-sdk/client-rekognition");
        const ask = new sdk.GetFaceDetectionCommand({{ JobId: "{"0" * 64}" }});
        new sdk.RekognitionClient({{}}).send(ask).catch((refusal) => console.log(refusal.name));
    """
    script = folder / "client.cjs"
    script.write_text(node)
    assert sh(f". {folder}/env; node {script}", **misled) == "ResourceNotFoundException\n"

    steps.clear()
    again, was_running = up()
    assert was_running
    assert again.env == cloud.env
    assert again.stacks == cloud.stacks
    assert steps == ["Synthesize the stack", "Deploy"]

    # With retain_data=false CDK adds a resource of its own that the emulator could not run.
    up(context={"log_retention_days": "7", "retain_data": "false"})
    groups = again.client("logs").describe_log_groups()["logGroups"]
    assert {group.get("retentionInDays") for group in groups if "StartAnalysis" in group["logGroupName"]} == {7}

    for other in (
        {"rekognition_endpoint": "http://127.0.0.1:9"},
        {"endpoint_options": ["--seconds", "9"]},
        {"port": 9},
    ):
        with pytest.raises(CloudError, match=r"running already, .* make cloud-stop"):
            up(**other)

    assert checkout.down()
    assert not folder.exists()
    assert not checkout.down()


def test_a_killed_cloud_is_not_running_and_gives_way_to_a_new_one(folder):
    def start():
        with checkout.LocalCloud(deploy=False, rekognition_endpoint="http://127.0.0.1:9", folder=folder) as cloud:
            cloud.detach()

    start()
    os.kill(folders.owner(folder), signal.SIGKILL)
    while folders.alive(folder):
        pass

    assert checkout.state() == {}
    start()
    assert checkout.state()["aws_endpoint"]
    assert checkout.down()


def test_stopping_when_nothing_runs_is_fine(folder):
    assert not checkout.down()


def test_settings_with_spaces_are_taken_apart_as_in_a_shell():
    assert pairs("retain_data=false video_extensions='.mp4 .mov'") == {
        "retain_data": "false",
        "video_extensions": ".mp4 .mov",
    }
    with pytest.raises(CloudError, match="CONTEXT has 'retain_data'"):
        pairs("retain_data")


def test_help_names_every_command():
    assert all(word in parser().format_help() for word in ("up", "down", "status", "demo"))
