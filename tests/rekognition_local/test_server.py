"""The endpoint as a process: real clients, real videos, its control over HTTP, and what is left when it ends."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from rekognition_local import clients
from tests.rekognition_local import videos
from tests.rekognition_local.endpoint_process import IMPORT_ROOT, Endpoint

AWS_CLI = Path(sys.executable).with_name("aws")
ONE, BOTH, OTHER = (0, 467, 967, 1468, 1968), (2469, 2969, 3470, 3970), (5472, 5972, 6473, 6973)
CLIP_FACES = dict.fromkeys(ONE, 1) | dict.fromkeys(BOTH, 2) | dict.fromkeys(OTHER, 1)  # and at 4471 and 4971 nobody


def wait_for(client: Any, job_id: str, seconds: float = 30) -> dict[str, Any]:
    """The first page of a job that has ended."""
    deadline = time.monotonic() + seconds
    while (answer := client.get_face_detection(JobId=job_id))["JobStatus"] == "IN_PROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def analyzed(endpoint: Endpoint, s3: Any, bucket: str, path: Path, key: str | None = None) -> dict[str, Any]:
    """What the endpoint says of a video file."""
    key = key or path.name
    s3.upload_file(str(path), bucket, key)
    client = endpoint.client()
    return wait_for(client, client.start_face_detection(Video=place(bucket, key))["JobId"])


def place(bucket: str, key: str) -> dict[str, Any]:
    return {"S3Object": {"Bucket": bucket, "Name": key}}


def ask(url: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request(
        method,
        parts.path + (f"?{parts.query}" if parts.query else ""),
        json.dumps(body) if body is not None else None,
        headers or {},
    )
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


@pytest.fixture(scope="module")
def s3(aws: Callable[[str], Any], bucket: str) -> Any:
    client = aws("s3")
    client.upload_file(str(videos.CLIP), bucket, "clip.mp4")
    return client


@pytest.fixture(scope="module")
def simulated(start_endpoint: Callable[..., Endpoint], s3: Any) -> Endpoint:
    return start_endpoint("--engine", "simulated", "--seconds", "0.2", "--detections", "1500")


# What is seen.


def test_the_clip_has_its_faces_at_their_seconds(real: Endpoint, s3: Any, bucket: str) -> None:
    answer = analyzed(real, s3, bucket, videos.CLIP)

    faces = Counter(face["Timestamp"] for face in answer["Faces"])
    assert faces == CLIP_FACES
    assert answer["VideoMetadata"] == {
        "Codec": "h264",
        "DurationMillis": 7007,
        "Format": "QuickTime / MOV",
        "FrameRate": pytest.approx(29.97, abs=0.001),
        "FrameHeight": 360,
        "FrameWidth": 640,
        "ColorRange": "LIMITED",
    }


def test_faces_are_where_they_are_in_the_picture(real: Endpoint, s3: Any, bucket: str) -> None:
    both = [face["Face"] for face in analyzed(real, s3, bucket, videos.CLIP)["Faces"] if face["Timestamp"] == 2969]

    left, right = (face["BoundingBox"] for face in both)
    assert left["Left"] + left["Width"] < 0.5 < right["Left"] + right["Width"] / 2
    for face in both:
        marks = {mark["Type"]: (mark["X"], mark["Y"]) for mark in face["Landmarks"]}
        assert marks["eyeLeft"][0] < marks["nose"][0] < marks["eyeRight"][0]
        assert marks["eyeLeft"][1] < marks["nose"][1] < marks["mouthLeft"][1]
        assert face["Confidence"] > 80
        assert all(abs(angle) < 15 for angle in face["Pose"].values())


@pytest.mark.parametrize(
    "make", [videos.hevc, videos.text, videos.cut_in_half, videos.cut_before_its_index, videos.sound_only]
)
def test_what_rekognition_does_not_read_fails_in_its_words(
    real: Endpoint, s3: Any, bucket: str, videos_folder: Path, make: Callable[[Path], Path]
) -> None:
    answer = analyzed(real, s3, bucket, make(videos_folder))

    assert (answer["JobStatus"], answer["StatusMessage"]) == ("FAILED", "Unsupported codec/format.")


def test_an_empty_object_fails_too(real: Endpoint, s3: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()

    assert analyzed(real, s3, bucket, tmp_path / "empty.mp4")["StatusMessage"] == "Unsupported codec/format."


def test_a_video_without_faces_succeeds_with_an_empty_list(
    real: Endpoint, s3: Any, bucket: str, videos_folder: Path
) -> None:
    answer = analyzed(real, s3, bucket, videos.without_faces(videos_folder))

    assert (answer["JobStatus"], answer["Faces"]) == ("SUCCEEDED", [])
    assert "NextToken" not in answer


def test_a_large_video_and_a_difficult_key_are_no_trouble(
    real: Endpoint, s3: Any, bucket: str, videos_folder: Path
) -> None:
    key = "a b+c%20&'\"/日本語 😀//x.MP4"

    answer = analyzed(real, s3, bucket, videos.large(videos_folder), key)

    assert len(answer["Faces"]) == 17
    assert answer["Video"]["S3Object"]["Name"] == key


def test_a_turned_video_is_looked_at_upright(real: Endpoint, s3: Any, bucket: str, videos_folder: Path) -> None:
    answer = analyzed(real, s3, bucket, videos.rotated(videos_folder, 90))

    assert (answer["VideoMetadata"]["FrameWidth"], answer["VideoMetadata"]["FrameHeight"]) == (640, 360)
    assert all(abs(face["Face"]["Pose"]["Roll"]) < 15 for face in answer["Faces"])
    assert len(answer["Faces"]) == 2


def test_more_than_a_thousand_faces_come_in_order_while_other_calls_are_answered(
    real: Endpoint, s3: Any, bucket: str, videos_folder: Path
) -> None:
    s3.upload_file(str(videos.crowded(videos_folder)), bucket, "crowd.mp4")
    client = real.client()
    job = client.start_face_detection(Video=place(bucket, "crowd.mp4"))["JobId"]

    waits, progress = [], []
    while True:
        before = time.monotonic()
        status = client.get_face_detection(JobId=job)["JobStatus"]
        waits.append(time.monotonic() - before)
        if status != "IN_PROGRESS":
            break
        progress += [entry["Progress"] for entry in ask(f"{real.url}/_jobs?JobId={job}")[1]["jobs"]]
        time.sleep(0.05)
    first = client.get_face_detection(JobId=job)
    rest = client.get_face_detection(JobId=job, NextToken=first["NextToken"])

    times = [face["Timestamp"] for face in first["Faces"] + rest["Faces"]]
    assert (status, len(times), times) == ("SUCCEEDED", 1080, sorted(times))
    assert sorted(waits)[len(waits) // 2] < 0.2
    assert progress == sorted(progress)
    assert any(0.1 < done < 0.9 for done in progress)


def test_a_worker_that_is_killed_is_replaced_and_its_video_looked_at_again(
    start_endpoint: Callable[..., Endpoint], s3: Any, bucket: str, videos_folder: Path
) -> None:
    endpoint = start_endpoint("--workers", "1")
    s3.upload_file(str(videos.crowded(videos_folder, seconds=10)), bucket, "short-crowd.mp4")
    client = endpoint.client()
    job = client.start_face_detection(Video=place(bucket, "short-crowd.mp4"))["JobId"]
    while ask(f"{endpoint.url}/_jobs")[1]["jobs"][0]["Progress"] == 0:
        time.sleep(0.02)

    (worker,) = children(endpoint.process.pid)
    os.kill(worker, signal.SIGKILL)

    assert len(wait_for(client, job)["Faces"]) == 240
    assert children(endpoint.process.pid) != [worker]


# Who asks.


@pytest.mark.skipif(not AWS_CLI.exists(), reason="needs the AWS CLI in this environment: pip install awscli")
def test_the_aws_cli_cannot_tell(real: Endpoint, s3: Any, bucket: str) -> None:
    def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [AWS_CLI, "--endpoint-url", real.url, "rekognition", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    started = aws("start-face-detection", "--video", f"S3Object={{Bucket={bucket},Name=clip.mp4}}", "--job-tag", "cli")
    job = json.loads(started.stdout)["JobId"]
    wait_for(real.client(), job)
    answer = json.loads(aws("get-face-detection", "--job-id", job).stdout)
    refused = aws("get-face-detection", "--job-id", "nosuchjob")

    assert (answer["JobStatus"], answer["JobTag"], len(answer["Faces"])) == ("SUCCEEDED", "cli", 17)
    assert "An error occurred (ResourceNotFoundException) when calling the GetFaceDetection operation" in refused.stderr


@pytest.mark.skipif(
    not any((folder / "node_modules/@aws-sdk/client-rekognition").exists() for folder in Path(__file__).parents),
    reason="needs the AWS SDK for JavaScript: npm install @aws-sdk/client-rekognition",
)
def test_the_javascript_sdk_cannot_tell(real: Endpoint, s3: Any, bucket: str) -> None:
    command = ["node", Path(__file__).with_name("get_faces.mjs"), real.url, bucket, "clip.mp4"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert (seen["status"], seen["tag"], len(seen["times"]), seen["pages"]) == ("SUCCEEDED", "from-js", 17, 3)
    assert seen["refusal"] == "ResourceNotFoundException"


def test_a_call_without_a_signature_is_answered(simulated: Endpoint, bucket: str) -> None:
    headers = {"X-Amz-Target": "RekognitionService.StartFaceDetection", "Content-Type": "application/x-amz-json-1.1"}

    status, answer = ask(simulated.url + "/", "POST", {"Video": place(bucket, "clip.mp4")}, headers)

    assert (status, list(answer)) == (200, ["JobId"])


def test_a_proxy_in_front_says_who_calls(simulated: Endpoint, bucket: str) -> None:
    role = "arn:aws:iam::123456789012:role/publisher"
    channel = {"SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:t", "RoleArn": role}
    who = {
        "X-Rekognition-Local-Account": "123456789012",
        "X-Rekognition-Local-Caller": "arn:aws:iam::123456789012:user/me",
    }

    def start(**told: str) -> tuple[int, Any]:
        headers = {"X-Amz-Target": "RekognitionService.StartFaceDetection"} | who
        headers |= {f"X-Rekognition-Local-{name.replace('_', '-')}": word for name, word in told.items()}
        body = {"Video": place(bucket, "clip.mp4"), "NotificationChannel": channel}
        return ask(simulated.url + "/", "POST", body, headers)

    assert start(May_Read="false")[1]["Code"] == "InvalidS3ObjectException"
    assert start(May_Pass_Role="false")[1]["Message"].startswith("User: arn:aws:iam::123456789012:user/me is not auth")
    assert start(May_Read="true", May_Pass_Role="true")[0] == 200


def test_the_account_is_read_from_a_key_of_twelve_digits(simulated: Endpoint, bucket: str) -> None:
    def client(key: str) -> Any:
        return boto3.client("rekognition", endpoint_url=simulated.url, aws_access_key_id=key, aws_secret_access_key="x")

    job = client("111122223333").start_face_detection(Video=place(bucket, "clip.mp4"))["JobId"]

    assert client("111122223333").get_face_detection(JobId=job)["JobId"] == job
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client("test").get_face_detection(JobId=job)


# Control.


def test_faults_are_read_and_changed_while_it_runs(simulated: Endpoint) -> None:
    url = f"{simulated.url}/_faults"
    before = ask(url)[1]
    changed = ask(url, "PUT", {"slow_seconds": 0.01, "max_running": 7})
    refused = ask(url, "PUT", {"max_runing": 3})
    after = ask(url, "PUT", {"slow_seconds": 0.0, "max_running": before["max_running"]})

    assert changed == (200, before | {"slow_seconds": 0.01, "max_running": 7})
    assert refused == (400, {"error": "unknown fault 'max_runing'; did you mean 'max_running'?"})
    assert after == (200, before)


def test_faults_can_be_given_as_options(start_endpoint: Callable[..., Endpoint]) -> None:
    options = "--engine simulated --seed 9 --notify-dropped 0.25 --start-per-second none --outage true --max-running 3"
    endpoint = start_endpoint(*options.split(), "--fail-lasting-keys", "9*")

    faults = ask(f"{endpoint.url}/_faults")[1]

    assert (faults["seed"], faults["notify_dropped"], faults["start_per_second"]) == (9, 0.25, None)
    assert (faults["outage"], faults["max_running"], faults["fail_lasting_keys"]) == (True, 3, "9*")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--notify-dropped", "2"], "notify_dropped=2: is not a fraction from 0 to 1"),
        (["--max-running", "many"], "max_running='many': is not a whole number of 0 or more"),
        (["--seconds", "-1"], "--seconds -1.0: is not 0 or more"),
        (
            ["--engine", "real", "--objects", "any"],
            "--objects any: the real engine reads the videos; add --engine simulated, or use --objects s3",
        ),
    ],
)
def test_an_option_that_makes_no_sense_ends_it_with_a_sentence(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "rekognition_local", "--engine", "simulated", *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=IMPORT_ROOT)

    assert (run.returncode, run.stdout, run.stderr.strip()) == (2, "", says)


def test_without_s3_every_video_is_taken_as_being_there(start_endpoint: Callable[..., Endpoint]) -> None:
    client = start_endpoint("--engine", "simulated", "--seconds", "0", "--objects", "any").client()

    job = client.start_face_detection(Video=place("no-such-bucket", "no such key.mp4"))["JobId"]

    assert client.get_face_detection(JobId=job)["JobStatus"] == "SUCCEEDED"


def test_the_real_engine_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    """A stand-in for PyAV that can't be imported."""
    (tmp_path / "av.py").write_text("raise ImportError('no av here')")
    path = os.pathsep.join([str(tmp_path), str(IMPORT_ROOT)])
    run = subprocess.run(
        [sys.executable, "-m", "rekognition_local"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )

    assert run.returncode == 2
    assert (
        "The real engine is not installed: pip install 'rekognition-local[faces]' does that. (no av here)" in run.stderr
    )


def test_a_refusal_can_be_scripted_over_http(simulated: Endpoint) -> None:
    script = {"operation": "GetFaceDetection", "error_code": "AccessDeniedException", "times": 1}
    accepted = ask(f"{simulated.url}/_inject", "POST", script)
    refused = ask(f"{simulated.url}/_inject", "POST", {"operation": "GetFaceDetection"})

    codes = []
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            simulated.client().get_face_detection(JobId="nosuchjob")
        codes.append(error.value.response["Error"]["Code"])

    assert accepted == (200, {"injections_waiting": 1})
    assert refused == (400, {"error": "error_code is missing, or not text"})
    assert codes == ["AccessDeniedException", "ResourceNotFoundException"]


def test_jobs_and_counts_can_be_read(simulated: Endpoint, bucket: str) -> None:
    client = simulated.client()
    job = client.start_face_detection(Video=place(bucket, "clip.mp4"), JobTag="count-me")["JobId"]
    wait_for(client, job)

    (entry,) = ask(f"{simulated.url}/_jobs?JobTag=count-me")[1]["jobs"]
    stats = ask(f"{simulated.url}/_stats")[1]

    assert (entry["JobId"], entry["State"], entry["Progress"], entry["Detections"]) == (job, "SUCCEEDED", 1.0, 1500)
    assert stats["accepted_by_tag"] == {"count-me": 1}
    assert stats["calls"]["StartFaceDetection"]["ok"] >= 1


def test_web_pages_may_not_ask_and_unknown_paths_are_told_the_known_ones(simulated: Endpoint) -> None:
    from_a_page = ask(f"{simulated.url}/_stats", headers={"Origin": "https://example.com"})
    unknown = ask(f"{simulated.url}/_stat")

    assert from_a_page[0] == 403
    assert unknown[0] == 404
    assert "/_stats" in unknown[1]["error"]


def test_a_slow_answer_delays_no_other(start_endpoint: Callable[..., Endpoint], bucket: str, s3: Any) -> None:
    endpoint = start_endpoint("--engine", "simulated", "--slow-seconds", "1")
    answers: list[float] = []

    def call() -> None:
        with pytest.raises(ClientError):
            endpoint.client().get_face_detection(JobId="nosuchjob")
        answers.append(time.monotonic())

    began = time.monotonic()
    callers = [threading.Thread(target=call) for _ in range(5)]
    for caller in callers:
        caller.start()
    health = ask(f"{endpoint.url}/_health")
    asked = time.monotonic() - began
    for caller in callers:
        caller.join()

    assert health[1]["status"] == "ok"
    assert asked < 1
    assert len(answers) == 5
    assert all(1 <= answer - began < 3 for answer in answers)


def test_it_listens_on_loopback_only(simulated: Endpoint) -> None:
    assert urlsplit(simulated.url).hostname == "127.0.0.1"


# The end.


def children(pid: int) -> list[int]:
    """The processes that process *pid* has started."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in (line.split() for line in listing.splitlines()) if int(parent) == pid]


def gone(pids: list[int], seconds: float = 10) -> bool:
    """Whether all of these processes end in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = subprocess.run(["ps", "-o", "pid=", "-p", ",".join(map(str, pids))], capture_output=True, text=True)
        if not alive.stdout.strip():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def busy(emulator: str, s3: Any, bucket: str, tmp_path: Path, videos_folder: Path) -> Endpoint:
    """An endpoint in the middle of a video."""
    s3.upload_file(str(videos.crowded(videos_folder)), bucket, "crowd.mp4")
    endpoint = Endpoint(emulator, tmp_path / "endpoint")
    endpoint.client().start_face_detection(Video=place(bucket, "crowd.mp4"))
    while ask(f"{endpoint.url}/_jobs")[1]["jobs"][0]["Progress"] == 0:
        time.sleep(0.02)
    return endpoint


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_video_and_nothing_is_left(busy: Endpoint, number: int) -> None:
    workers = children(busy.process.pid)

    busy.process.send_signal(number)
    status = busy.process.wait(5)

    assert status == 0
    assert workers
    assert gone(workers)
    assert [path.name for path in busy.folder.iterdir()] == ["log"]


def test_it_ends_when_its_standard_input_closes(busy: Endpoint) -> None:
    workers = children(busy.process.pid)

    busy.process.stdin.close()

    assert busy.process.wait(5) == 0
    assert gone(workers)


def test_killed_outright_it_leaves_no_worker_and_no_video_behind(busy: Endpoint) -> None:
    workers = children(busy.process.pid)

    busy.process.kill()
    busy.process.wait(5)

    assert workers
    assert gone(workers)
    assert sorted(path.name for path in busy.folder.iterdir()) == ["log", "url"]  # nobody was left to remove the latter


def test_it_ends_with_the_process_it_was_told_to_watch(emulator: str, tmp_path: Path) -> None:
    watched = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    endpoint = Endpoint(emulator, tmp_path, "--engine", "simulated", "--parent-pid", str(watched.pid))

    watched.communicate()

    assert endpoint.process.wait(5) == 0


def test_a_video_in_another_regions_bucket_is_refused_as_aws_does(
    real: Endpoint, aws: Callable[[str], Any], bucket: str
) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for name in ("elsewhere", bucket):
        s3.put_object(Bucket=name, Key="region.mp4", Body=videos.CLIP.read_bytes())
    here, there = (clients.maker(real.url, region)("rekognition") for region in ("us-east-1", "eu-west-1"))

    for client, name in ((here, "elsewhere"), (there, bucket)):
        with pytest.raises(client.exceptions.InvalidS3ObjectException, match="Check object key, region and/or access"):
            client.start_face_detection(Video=place(name, "region.mp4"))

    for client, name in ((here, bucket), (there, "elsewhere")):
        job = client.start_face_detection(Video=place(name, "region.mp4"))["JobId"]
        assert wait_for(client, job)["JobStatus"] == "SUCCEEDED"
