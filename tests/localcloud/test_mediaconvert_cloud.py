"""MediaConvert in the local cloud: it converts what lies in S3, as the job's role, and EventBridge tells of it."""

from __future__ import annotations

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import ports
from localcloud.cloud import LocalCloud
from tests.rekognition_local import videos

ARN = "arn:aws:mediaconvert:us-east-1:000000000000"


def allow(action: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


READ, WRITE = allow("s3:GetObject", "arn:aws:s3:::videos/*"), allow("s3:PutObject", "arn:aws:s3:::results/converted/*")


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(deploy=False) as cloud:
        for bucket in ("videos", "results"):
            cloud.client("s3").create_bucket(Bucket=bucket)
        yield cloud


@pytest.fixture(scope="module")
def role(cloud: LocalCloud) -> Callable[..., str]:
    """Make a role: its name, the service that it trusts, and what it may do."""

    def make(name: str, service: str, *statements: dict[str, Any], condition: dict[str, Any] | None = None) -> str:
        iam = cloud.client("iam")
        principal = {"AWS": "*"} if service == "anyone" else {"Service": service}
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition or {}}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=document(*statements))
        return str(made["Role"]["Arn"])

    return make


@pytest.fixture(scope="module")
def converter(role: Callable[..., str]) -> str:
    return role("converter", "mediaconvert.amazonaws.com", READ, WRITE)


@pytest.fixture
def convert(cloud: LocalCloud, converter: str) -> Callable[..., dict[str, Any]]:
    """Have an object converted; the job when it has ended."""

    def convert(key: str, output: str = "converted/copy", role: str = converter, **video: Any) -> dict[str, Any]:
        client = cloud.client("mediaconvert")
        job = client.create_job(Role=role, Settings=settings(key, output, **video))["Job"]
        deadline = time.monotonic() + 60
        while job["Status"] in ("SUBMITTED", "PROGRESSING"):
            assert time.monotonic() < deadline, cloud.logs()
            time.sleep(0.1)
            job = client.get_job(Id=job["Id"])["Job"]
        return dict(job)

    return convert


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def settings(key: str, output: str, **video: Any) -> dict[str, Any]:
    codec = {"Codec": "H_264", "H264Settings": {"RateControlMode": "QVBR", "MaxBitrate": 5_000_000}}
    destination = {"FileGroupSettings": {"Destination": f"s3://results/{output}"}, "Type": "FILE_GROUP_SETTINGS"}
    made = {"ContainerSettings": {"Container": "MP4"}, "VideoDescription": {"CodecSettings": codec} | video}
    return {
        "Inputs": [{"FileInput": f"s3://videos/{key}", "VideoSelector": {"Rotate": "AUTO"}}],
        "OutputGroups": [{"OutputGroupSettings": destination, "Outputs": [made]}],
    }


def phone(folder: Path) -> Path:
    """HEVC of a picture that lies on its side."""
    pictures = list(videos.scenery(180, 320, 45))
    options = {"x265-params": "log-level=none"}
    return videos.write(folder / "phone.mov", pictures, codec="libx265", options=options, rotation=90)


def put(cloud: LocalCloud, path: Path, key: str) -> None:
    cloud.client("s3").upload_file(str(path), "videos", key)


# First, as the module's cloud is new then.
def test_nothing_of_it_runs_until_the_first_call(cloud: LocalCloud) -> None:
    def running() -> bool:
        listing = subprocess.run(["ps", "-axwwo", "command="], capture_output=True, text=True, check=True).stdout
        return any("localcloud.mediaconvert" in line and str(cloud.folder) in line for line in listing.splitlines())

    assert not running()

    url = cloud.mediaconvert_url

    assert running()
    assert ports.answers(f"{url}/_health")
    answer = cloud.client("mediaconvert").describe_endpoints()
    assert answer["Endpoints"] == [{"Url": cloud.env["AWS_ENDPOINT_URL"]}]


def test_an_hevc_video_of_a_phone_becomes_an_upright_mp4(
    cloud: LocalCloud, convert: Callable[..., Any], tmp_path: Path
) -> None:
    put(cloud, phone(tmp_path), "clips/phone ü.mov")

    job = convert("clips/phone ü.mov", "converted/", Width=160, Height=90)

    assert (job["Status"], job.get("ErrorMessage")) == ("COMPLETE", None)
    details = job["OutputGroupDetails"][0]["OutputDetails"][0]
    assert details == {"DurationInMs": 1500, "VideoDetails": {"WidthInPx": 160, "HeightInPx": 90}}
    content = cloud.client("s3").get_object(Bucket="results", Key="converted/phone ü.mp4")["Body"].read()
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 160, 90)
        assert len(list(container.decode(stream))) == 45


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (videos.text, 1010, "Unable to open input file [s3://videos/{key}]: [Failed probe/open: [No parser found"),
        (videos.cut_in_half, 1076, "Is file truncated?"),
        (videos.sound_only, 1020, "Your input file [s3://videos/{key}] doesn't have video"),
    ],
)
def test_a_broken_input_is_an_error_in_mediaconverts_words(cloud, convert, tmp_path, make, code, words) -> None:
    path = make(tmp_path)
    put(cloud, path, path.name)

    job = convert(path.name)

    assert (job["Status"], job["ErrorCode"]) == ("ERROR", code)
    assert words.format(key=path.name) in job["ErrorMessage"]


def test_what_s3_and_iam_refuse_is_an_error_of_the_job(cloud, convert, role) -> None:
    put(cloud, videos.CLIP, "clip.mp4")
    blind = role("blind", "mediaconvert.amazonaws.com", WRITE)
    mute = role("mute", "mediaconvert.amazonaws.com", READ)
    stranger = role("stranger", "rekognition.amazonaws.com", READ, WRITE)

    ends = {
        "no object": convert("nowhere.mp4"),
        "may not read": convert("clip.mp4", role=blind),
        "may not write": convert("clip.mp4", role=mute),
        "not there": convert("clip.mp4", role="arn:aws:iam::000000000000:role/nobody"),
        "trusts another": convert("clip.mp4", role=stranger),
    }

    assert {name: job.get("ErrorCode") for name, job in ends.items()} == {
        **{"no object": 1404, "may not read": 1401, "may not write": 1401, "not there": 1433, "trusts another": 1434}
    }
    assert "Access denied to [s3://videos/clip.mp4]" in ends["may not read"]["ErrorMessage"]
    assert "Unable to write to output file [s3://results/converted/copy.mp4]" in ends["may not write"]["ErrorMessage"]


@pytest.mark.parametrize(("queue", "state"), [("Default", "COMPLETE"), ("Other", "ERROR")])
def test_a_trust_policys_source_is_the_queue_of_the_account(cloud, convert, role, queue: str, state: str) -> None:
    """As AWS advises against the confused deputy."""
    put(cloud, videos.CLIP, "clip.mp4")
    condition = {
        "StringEquals": {"aws:SourceAccount": "000000000000"},
        "ArnLike": {"aws:SourceArn": f"{ARN}:queues/{queue}"},
    }
    careful = role(f"careful-{queue}", "mediaconvert.amazonaws.com", READ, WRITE, condition=condition)

    job = convert("clip.mp4", role=careful)

    assert (job["Status"], job.get("ErrorCode")) == (state, None if state == "COMPLETE" else 1434)


def test_the_end_reaches_a_function_by_eventbridge(
    cloud: LocalCloud, convert: Callable[..., Any], role: Callable[..., str]
) -> None:
    """A function is the target, and the rule's pattern is about the state and the user's metadata."""
    code = "import boto3, json\ndef handler(event, _):\n    boto3.client('s3').put_object("
    code += "Bucket='results', Key='heard/' + event['detail']['status'], Body=json.dumps(event))\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("listener.py", code)
    listener = role("listener", "lambda.amazonaws.com", allow("s3:PutObject", "arn:aws:s3:::results/heard/*"))
    function = cloud.client("lambda").create_function(
        FunctionName="listener",
        Runtime="python3.13",
        Handler="listener.handler",
        Role=listener,
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]
    events = cloud.client("events")
    pattern = {
        "source": ["aws.mediaconvert"],
        "detail-type": ["MediaConvert Job State Change"],
        "detail": {"status": ["COMPLETE", "ERROR", "CANCELED"]},
    }
    rule = events.put_rule(Name="ends", EventPattern=json.dumps(pattern))["RuleArn"]
    cloud.client("lambda").add_permission(
        FunctionName="listener",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule="ends", Targets=[{"Id": "listener", "Arn": function}])

    job = convert("nowhere.mp4")

    event = json.loads(_object(cloud, "heard/ERROR"))
    assert event["source"] == "aws.mediaconvert"
    assert event["detail-type"] == "MediaConvert Job State Change"
    assert event["resources"] == [job["Arn"]]
    assert (event["detail"]["jobId"], event["detail"]["errorCode"]) == (job["Id"], 1404)
    keys = [one["Key"] for one in cloud.client("s3").list_objects_v2(Bucket="results", Prefix="heard/")["Contents"]]
    assert keys == ["heard/ERROR"], "PROGRESSING does not match"


def test_no_client_but_the_root_speaks_for_aws(cloud: LocalCloud, caller: Callable[..., Any]) -> None:
    entry = {"Source": "aws.mediaconvert", "DetailType": "MediaConvert Job State Change", "Detail": "{}"}

    answer = caller("events", allow("events:PutEvents")).put_events(Entries=[entry])
    other = cloud.client("events").put_events(Entries=[entry | {"Source": "aws.s3"}])

    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert other["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


@pytest.fixture(scope="module")
def caller(cloud: LocalCloud, role: Callable[..., str]) -> Callable[..., Any]:
    """A client that may do exactly what these statements say."""
    arn = role("caller", "anyone")

    def caller(service: str, *statements: dict[str, Any]) -> Any:
        policy = document(*statements)
        cloud.client("iam").put_role_policy(RoleName="caller", PolicyName="policy", PolicyDocument=policy)
        keys = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=cloud.env["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return caller


def test_iam_stands_in_front_with_the_resources_of_each_call(converter: str, caller: Callable[..., Any]) -> None:
    passing = allow("iam:PassRole", converter) | {
        "Condition": {"StringEquals": {"iam:PassedToService": "mediaconvert.amazonaws.com"}}
    }
    create, get = (
        allow("mediaconvert:CreateJob", f"{ARN}:queues/Default"),
        allow("mediaconvert:GetJob", f"{ARN}:jobs/*"),
    )
    request = {"Role": converter, "Settings": settings("nowhere.mp4", "converted/x")}

    job = caller("mediaconvert", create, passing).create_job(**request)["Job"]
    assert caller("mediaconvert", get).get_job(Id=job["Id"])["Job"]["Id"] == job["Id"]

    for statements, call in {
        "mediaconvert:CreateJob": ([passing, get], lambda client: client.create_job(**request)),
        "iam:PassRole on resource": ([create], lambda client: client.create_job(**request)),
        "mediaconvert:GetJob": ([create], lambda client: client.get_job(Id=job["Id"])),
        "mediaconvert:CancelJob": ([get], lambda client: client.cancel_job(Id=job["Id"])),
        "mediaconvert:ListJobs": ([get], lambda client: client.list_jobs()),
    }.items():
        with pytest.raises(ClientError, match=f"not authorized to perform: {statements}") as refusal:
            call[1](caller("mediaconvert", *call[0]))
        assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_query_of_a_list_gets_through(cloud: LocalCloud, converter: str) -> None:
    client = cloud.client("mediaconvert")
    for name in ("gone.mp4", "gone too.mp4"):
        job = client.create_job(Role=converter, Settings=settings(name, "converted/gone"))["Job"]
        _until(lambda job=job: client.get_job(Id=job["Id"])["Job"]["Status"] == "ERROR")  # type: ignore[misc]

    listed = client.list_jobs(MaxResults=1, Status="ERROR", Order="ASCENDING")

    assert len(listed["Jobs"]) == 1
    assert listed["NextToken"]


def test_a_canceled_job_stops_converting_and_leaves_nothing(cloud: LocalCloud, converter: str, tmp_path: Path) -> None:
    put(cloud, videos.crowded(tmp_path, 120), "long.mp4")
    client = cloud.client("mediaconvert")
    job = client.create_job(Role=converter, Settings=settings("long.mp4", "converted/long", Width=1920, Height=1080))[
        "Job"
    ]
    _until(lambda: client.get_job(Id=job["Id"])["Job"].get("CurrentPhase") == "TRANSCODING")
    assert _workers(cloud)

    client.cancel_job(Id=job["Id"])

    _until(lambda: not _workers(cloud))
    assert client.get_job(Id=job["Id"])["Job"]["Status"] == "CANCELED"
    assert "Contents" not in cloud.client("s3").list_objects_v2(Bucket="results", Prefix="converted/long")


def test_the_converting_process_ends_with_the_cloud(tmp_path: Path) -> None:
    with LocalCloud(deploy=False) as cloud:
        for bucket in ("videos", "results"):
            cloud.client("s3").create_bucket(Bucket=bucket)
        trust = {"Effect": "Allow", "Principal": {"Service": "mediaconvert.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam = cloud.client("iam")
        role = iam.create_role(RoleName="converter", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="converter", PolicyName="policy", PolicyDocument=document(READ, WRITE))
        put(cloud, videos.crowded(tmp_path, 120), "long.mp4")
        order = settings("long.mp4", "converted/long", Width=1920, Height=1080)
        cloud.client("mediaconvert").create_job(Role=role, Settings=order)
        _until(lambda: _workers(cloud))
        aws = cloud.env["AWS_ENDPOINT_URL"]

    _until(lambda: not _workers(cloud, aws))
    assert not cloud.folder.exists()


def _workers(cloud: LocalCloud, aws: str = "") -> list[str]:
    """The processes that convert for this cloud."""
    listing = subprocess.run(["ps", "-axwwo", "command="], capture_output=True, text=True, check=True).stdout
    mine = aws or cloud.env["AWS_ENDPOINT_URL"]
    return [line for line in listing.splitlines() if "mediaconvert.worker" in line and line.endswith(mine)]


def _object(cloud: LocalCloud, key: str) -> bytes:
    found: list[bytes] = []

    def look() -> bool:
        try:
            found.append(cloud.client("s3").get_object(Bucket="results", Key=key)["Body"].read())
        except ClientError:
            return False
        return True

    _until(look)
    return found[0]


def _until(right: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not right():
        assert time.monotonic() < deadline
        time.sleep(0.05)
