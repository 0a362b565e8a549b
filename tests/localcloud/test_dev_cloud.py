"""`make cloud`, again, and `make cloud-stop`: the real stack, in a folder of the test's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import dev_cloud, folders
from localcloud.__main__ import pairs, parser, settings
from localcloud.cloud import CloudError, LocalCloud
from localcloud.supervisor import CHECKOUT

NOTHING = {"context": {}, "rekognition_endpoint": None, "endpoint_options": [], "port": 0}
SIMULATED = ["--engine", "simulated", "--seconds", "0.5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "cloud"
    monkeypatch.setattr(dev_cloud, "FOLDER", path)
    yield path
    dev_cloud.down()


@pytest.fixture
def steps():
    return []


@pytest.fixture
def up(steps):
    def up(**options):
        return dev_cloud.up(**(NOTHING | options), progress=lambda name, done: steps.append(name) if done else None)

    return up


def sh(script: str, **env: str) -> str:
    shell = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **env}
    return subprocess.run(["/bin/sh", "-ec", script], env=shell, capture_output=True, text=True, check=True).stdout


def test_a_cloud_stays_takes_videos_is_brought_up_to_date_and_goes(folder, up, steps):
    cloud, was_running = up(endpoint_options=SIMULATED)
    assert not was_running
    assert folders.alive(folder)

    # The rest is enough for a user whose AWS configuration is for another account.
    found = json.loads((folder / "outputs.json").read_text())["RekognitionBatch"]
    assert {"VideosBucket", "ResultsBucket", "JobsTable"} <= set(found)
    misled = {"AWS_PROFILE": "elsewhere", "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    misled |= {"AWS_CA_BUNDLE": "/nowhere.pem", "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9"}
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

    assert dev_cloud.down()
    assert not folder.exists()
    assert not dev_cloud.down()


def test_a_killed_cloud_is_not_running_and_gives_way_to_a_new_one(folder):
    def start():
        with LocalCloud(deploy=False, rekognition_endpoint="http://127.0.0.1:9", folder=folder) as cloud:
            cloud.detach()

    start()
    os.kill(folders.owner(folder), signal.SIGKILL)
    while folders.alive(folder):
        pass

    assert dev_cloud.state() == {}
    start()
    assert dev_cloud.state()["aws_endpoint"]
    assert dev_cloud.down()


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_the_shell_lines_clear_what_would_mislead_a_client(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "env").write_text(dev_cloud.exports({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}))
    misled = {"AWS_CA_BUNDLE": "/nowhere.pem", "AWS_ENDPOINT_URL_SSM": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}

    for before in (misled, {}):
        env = {"PATH": os.environ["PATH"], "KEPT": "yes"} | before
        command = [shell, "-ec", f". {tmp_path}/env; env"]
        shown = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

        names = {line.partition("=")[0] for line in shown.splitlines()}
        assert {"AWS_ENDPOINT_URL", "KEPT"} <= names
        assert not names & set(misled)


def test_stopping_when_nothing_runs_is_fine(folder):
    assert not dev_cloud.down()


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("retain_data=false log_retention_days=7", {"retain_data": "false", "log_retention_days": "7"}),
        ("video_extensions='.mp4 .mov' a=b", {"video_extensions": ".mp4 .mov", "a": "b"}),
        ("'video_extensions=.mp4 .mov'", {"video_extensions": ".mp4 .mov"}),
        ("-c retain_data=false  -c log_retention_days=7", {"retain_data": "false", "log_retention_days": "7"}),
        ('analyses={"face-detection":{}}', {"analyses": '{"face-detection":{}}'}),
        ('a=1 analyses={"face-detection": {"FaceAttributes": "ALL"}} b=2', {
            "a": "1", "analyses": '{"face-detection": {"FaceAttributes": "ALL"}}', "b": "2"}),
        ("analyses='{\"face-detection\":{}}'", {"analyses": '{"face-detection":{}}'}),
        ('routes=[{"prefix": "it\'s/", "analyses": {}}]', {"routes": '[{"prefix": "it\'s/", "analyses": {}}]'}),
        ("max_running_jobs=", {"max_running_jobs": ""}),
    ],
)  # fmt: skip
def test_settings_are_taken_apart_as_in_a_shell_and_json_stays_whole(text, settings):
    assert pairs(text) == settings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("retain_data", "CONTEXT has 'retain_data'"),
        ("a=b 'c=d", "CONTEXT ends inside quotes: 'c=d"),
        ('analyses={"face-detection":}', "CONTEXT has analyses=, which begins like JSON and is none"),
        ('analyses={"face-detection":{}}x', "CONTEXT has 'x' right after the JSON of analyses"),
    ],
)
def test_settings_that_cannot_be_taken_apart_are_refused(text, says):
    with pytest.raises(CloudError, match=re.escape(says)):
        pairs(text)


@pytest.mark.parametrize(
    "context", ['analyses={"face-detection":{}}', "video_extensions='.mp4 .mov' retain_data=false", ""]
)
def test_make_hands_settings_on_as_they_were_typed(context, tmp_path):
    spy = tmp_path / "spy"
    spy.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    spy.chmod(0o755)

    command = ["make", "--silent", "-o", "setup", "cloud", f"LOCALCLOUD={spy}", f"CONTEXT={context}"]
    words = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.splitlines()

    assert words == ["up", *(["--context", context] if context else [])]


def test_settings_may_be_given_in_several_options():
    options = parser().parse_args(["up", "-c", "a=b", "--context", 'c={"d": 1} e=f', "-c", "a=g"])

    assert settings(options.context) == {"a": "g", "c": '{"d": 1}', "e": "f"}


def test_help_names_every_command():
    assert all(word in parser().format_help() for word in ("up", "down", "status"))
