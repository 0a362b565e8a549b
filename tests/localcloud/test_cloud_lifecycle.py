"""However a local cloud ends, no process and no file of it is left.

Nothing is deployed here, so each of these takes a second: what is started and ended is the same.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from localcloud import folders, ports
from localcloud.cloud import CloudError, LocalCloud, checked_url
from localcloud.supervisor import CHECKOUT

NOWHERE = "http://127.0.0.1:9"  # nothing here calls Rekognition

STARTER = f"""
import sys, time
from localcloud.cloud import LocalCloud
with LocalCloud(deploy=False, rekognition_endpoint="{NOWHERE}") as cloud:
    print(cloud.folder, flush=True)
    print(cloud.env["AWS_ENDPOINT_URL"], flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """Clouds of this test live in its own folder, and sweeping reaches no other."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield tmp_path
    assert all_gone(tmp_path / "any", but_the_folder=True)


@pytest.fixture
def starter():
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def processes_of(folder: Path) -> list[str]:
    listing = subprocess.run(["ps", "-axwwo", "pid=,command="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if f"{folder}/" in line]


def supervisor_of(folder: Path) -> int:
    (line,) = (line for line in processes_of(folder.parent) if "localcloud.supervisor" in line)
    return int(line.split()[0])


def all_gone(folder: Path, *, but_the_folder: bool = False) -> bool:
    """Whether they are, within seconds: who was killed can't wait for it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not processes_of(folder.parent) and (but_the_folder or not folder.exists()):
            return True
        time.sleep(0.05)
    return False


def run_a_lambda_function(client) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return event\n")
    anyone = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
    role = client("iam").create_role(RoleName="role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    functions = client("lambda")
    functions.create_function(
        FunctionName="echo", Runtime="python3.13", Role=role, Handler="index.handler", Code={"ZipFile": code.getvalue()}
    )
    answer = functions.invoke(FunctionName="echo", Payload=b'{"said": "hi"}')["Payload"].read()
    assert json.loads(answer) == {"said": "hi"}


def test_a_cloud_leaves_no_process_and_no_file():
    with LocalCloud(deploy=False, rekognition_endpoint=NOWHERE) as cloud:
        run_a_lambda_function(cloud.client)
        cloud.client("s3").create_bucket(Bucket="videos")
        cloud.client("s3").put_object(Bucket="videos", Key="a.mp4", Body=b"bytes")
        assert len(cloud.lambda_workers("echo")) == 1

    assert not cloud.folder.exists()
    assert processes_of(cloud.folder.parent) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_cloud_ends_with_its_starter(starter, number):
    folder = Path(starter.stdout.readline().strip())
    assert ports.answers(starter.stdout.readline().strip() + "/_ministack/health")

    os.killpg(starter.pid, number)

    starter.wait(timeout=10)
    assert all_gone(folder)


@pytest.mark.parametrize("delay", [0, 0.1, 0.2, 0.4])
def test_a_cloud_ends_with_a_starter_killed_while_starting_it(starter, delay, tmp_path):
    deadline = time.monotonic() + 10
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder,) = tmp_path.iterdir()
    time.sleep(delay)

    os.killpg(starter.pid, signal.SIGKILL)

    assert all_gone(folder)


def test_processes_die_with_a_killed_supervisor_and_the_next_start_sweeps_its_folder(starter, monkeypatch):
    folder = Path(starter.stdout.readline().strip())

    os.kill(supervisor_of(folder), signal.SIGKILL)

    assert all_gone(folder, but_the_folder=True)
    assert folder.exists()
    monkeypatch.setattr(folders, "YOUNG", 0)
    with LocalCloud(deploy=False, rekognition_endpoint=NOWHERE):
        assert not folder.exists()


def test_a_living_cloud_is_not_swept(starter, monkeypatch):
    folder = Path(starter.stdout.readline().strip())
    monkeypatch.setattr(folders, "YOUNG", 0)

    folders.sweep()

    assert (folder / "cloud.json").exists()


def test_two_clouds_run_side_by_side():
    with (
        LocalCloud(deploy=False, rekognition_endpoint=NOWHERE) as one,
        LocalCloud(deploy=False, rekognition_endpoint=NOWHERE) as other,
    ):
        one.client("s3").create_bucket(Bucket="only-here")

        assert other.client("s3").list_buckets()["Buckets"] == []


def test_a_server_that_does_not_come_up_says_why(monkeypatch):
    cloud = LocalCloud(deploy=False, endpoint_options=["--no-such-option"])

    with pytest.raises(CloudError, match="--no-such-option"):
        cloud.start()

    assert not cloud.folder.exists()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:5000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://a:99999", "5000", " "]
)
def test_a_wrong_endpoint_is_refused_before_anything_starts(url):
    with pytest.raises(CloudError, match="it looks like http"):
        LocalCloud(rekognition_endpoint=url)


def test_an_endpoint_may_have_a_path_and_a_name():
    assert checked_url("http://rekognition.test:8080/v1/") == "http://rekognition.test:8080/v1"


def test_the_emulator_of_another_version_is_refused(tmp_path):
    wrong = tmp_path / "ministack-9.9.9.dist-info"
    wrong.mkdir()
    (wrong / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")

    launcher = CHECKOUT / "localcloud/emulator/launcher.py"
    refused = subprocess.run(
        [CHECKOUT / ".venv-emulator/bin/python", launcher, "--port", "1", "--rekognition-url-file", "none"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode != 0
    assert "needs ministack 1.5.33 and finds 9.9.9" in refused.stderr
