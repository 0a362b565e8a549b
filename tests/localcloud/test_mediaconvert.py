"""MediaConvert's protocol, spoken by boto3 to the endpoint. A runner that the test holds stands in for converting."""

from __future__ import annotations

import copy
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.mediaconvert.faults import Faults
from localcloud.mediaconvert.server import Server
from localcloud.mediaconvert.service import Job, JobFailed, Made, MediaConvert

ROLE = "arn:aws:iam::000000000000:role/converter"
QUEUE = "arn:aws:mediaconvert:us-east-1:000000000000:queues/Default"


class Held:
    """Jobs run until the test lets them; then each output is 2 s of 640 × 360."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.go = threading.Event()
        self.failure: Exception | None = None

    def __call__(self, job: Job, report: Callable[[str, int | None], None]) -> list[list[Made]]:
        self.orders.append(job.order)
        report("TRANSCODING", 42)
        while not self.go.wait(0.01):
            if job.canceled.is_set():
                raise InterruptedError
        if self.failure:
            raise self.failure
        return [[Made(one.uri, 2000, 640, 360) for one in group] for group in job.order.groups]


class Endpoint:
    def __init__(self, server: Server, client: Any) -> None:
        self.server, self.client = server, client
        self.now = 1_800_000_000.0
        self.runner, self.events = Held(), []
        self.service = MediaConvert(
            runner=self.runner,
            publish=lambda job, detail: self.events.append((job.arn, dict(detail))),
            url=lambda: self.server.url,
            clock=lambda: self.now,
        )
        server.service = self.service

    def create(self, **changes: Any) -> dict[str, Any]:
        return self.client.create_job(**({"Role": ROLE, "Settings": settings()} | changes))["Job"]

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it is over, and its event has been published."""
        self.runner.go.set()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            job = self.client.get_job(Id=job_id)["Job"]
            if job["Status"] in ("COMPLETE", "ERROR"):
                self.service._pool.submit(lambda: None).result(10)  # after it has told its event
                return job
            time.sleep(0.01)
        raise AssertionError(job)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        content = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.server.url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(MediaConvert(runner=Held(), publish=lambda *_: None)) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return boto3.client(
        "mediaconvert",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


@pytest.fixture
def endpoint(server: Server, client: Any) -> Iterator[Endpoint]:
    made = Endpoint(server, client)
    yield made
    made.service.close()


def settings(**video: Any) -> dict[str, Any]:
    codec = {"Codec": "H_264", "H264Settings": {"RateControlMode": "QVBR", "MaxBitrate": 5_000_000}}
    output = {"ContainerSettings": {"Container": "MP4"}, "VideoDescription": {"CodecSettings": codec} | video}
    group = {
        "OutputGroupSettings": {
            "Type": "FILE_GROUP_SETTINGS",
            "FileGroupSettings": {"Destination": "s3://results/converted/abc/"},
        },
        "Outputs": [output],
    }
    return {
        "Inputs": [{"FileInput": "s3://videos/clips/phone.mov", "VideoSelector": {"Rotate": "AUTO"}}],
        "OutputGroups": [group],
    }


def test_a_job_goes_from_submitted_over_progressing_to_complete(endpoint: Endpoint) -> None:
    first = endpoint.create(UserMetadata={"upload": "abc"})
    second = endpoint.create()

    assert first["Status"] in ("SUBMITTED", "PROGRESSING")
    assert first["Arn"] == f"arn:aws:mediaconvert:us-east-1:000000000000:jobs/{first['Id']}"
    assert first["Queue"] == QUEUE
    assert endpoint.client.get_job(Id=second["Id"])["Job"]["Status"] == "SUBMITTED", "one at a time here"
    running = _until(lambda: endpoint.client.get_job(Id=first["Id"])["Job"], lambda job: job.get("CurrentPhase"))
    assert (running["Status"], running["CurrentPhase"], running["JobPercentComplete"]) == (
        "PROGRESSING",
        "TRANSCODING",
        42,
    )

    job = endpoint.ended(first["Id"])

    assert (job["Status"], job["JobPercentComplete"]) == ("COMPLETE", 100)
    assert job["Settings"] == settings()
    assert job["UserMetadata"] == {"upload": "abc"}
    assert job["OutputGroupDetails"] == [
        {"OutputDetails": [{"DurationInMs": 2000, "VideoDetails": {"WidthInPx": 640, "HeightInPx": 360}}]}
    ]
    assert set(job["Timing"]) == {"SubmitTime", "StartTime", "FinishTime"}


def test_each_change_is_an_event_in_the_documented_form(endpoint: Endpoint) -> None:
    job = endpoint.create(UserMetadata={"upload": "abc"})
    endpoint.ended(job["Id"])

    (arn, progressing), (_, complete) = endpoint.events
    common = {"accountId": "000000000000", "queue": QUEUE, "jobId": job["Id"], "userMetadata": {"upload": "abc"}}
    assert arn == job["Arn"]
    assert progressing == common | {"timestamp": 1_800_000_000_000, "status": "PROGRESSING"}
    output = {
        "outputFilePaths": ["s3://results/converted/abc/phone.mp4"],
        "durationInMs": 2000,
        "videoDetails": {"widthInPx": 640, "heightInPx": 360},
    }
    assert complete == common | {
        "timestamp": 1_800_000_000_000,
        "status": "COMPLETE",
        "outputGroupDetails": [{"outputDetails": [output], "type": "FILE_GROUP"}],
    }


def test_a_job_that_fails_says_why_in_its_record_and_its_event(endpoint: Endpoint) -> None:
    endpoint.runner.failure = JobFailed(1404, "Unable to open input file")

    job = endpoint.ended(endpoint.create()["Id"])

    assert (job["Status"], job["ErrorCode"], job["ErrorMessage"]) == ("ERROR", 1404, "Unable to open input file")
    assert "OutputGroupDetails" not in job
    detail = endpoint.events[-1][1]
    assert (detail["status"], detail["errorCode"], detail["errorMessage"]) == (
        "ERROR",
        1404,
        "Unable to open input file",
    )


def test_a_fault_of_the_endpoint_is_an_unknown_error_of_the_job(endpoint: Endpoint) -> None:
    endpoint.runner.failure = ZeroDivisionError("a bug")

    assert endpoint.ended(endpoint.create()["Id"])["ErrorCode"] == 1999


def test_a_token_stands_for_one_job_for_a_minute(endpoint: Endpoint) -> None:
    first = endpoint.create(ClientRequestToken="t")
    endpoint.now += 59
    again = endpoint.create(ClientRequestToken="t")
    other = endpoint.create(ClientRequestToken="u")
    endpoint.now += 2
    later = endpoint.create(ClientRequestToken="t")

    assert again["Id"] == first["Id"]
    assert len({first["Id"], other["Id"], later["Id"]}) == 3
    assert first["ClientRequestToken"] == "t"


def test_a_canceled_job_ends_and_says_so(endpoint: Endpoint) -> None:
    job, waiting = endpoint.create(), endpoint.create()

    endpoint.client.cancel_job(Id=waiting["Id"])
    assert endpoint.client.cancel_job(Id=job["Id"])["ResponseMetadata"]["HTTPStatusCode"] == 202

    assert endpoint.client.get_job(Id=job["Id"])["Job"]["Status"] == "CANCELED"
    assert [(detail["jobId"], detail["status"]) for _, detail in endpoint.events][-2:] == [
        (waiting["Id"], "CANCELED"),
        (job["Id"], "CANCELED"),
    ]
    with pytest.raises(ClientError, match="is CANCELED and can't be canceled") as refusal:
        endpoint.client.cancel_job(Id=job["Id"])
    assert refusal.value.response["Error"]["Code"] == "ConflictException"
    after = endpoint.create()
    assert endpoint.ended(after["Id"])["Status"] == "COMPLETE", "the next job has its turn"
    assert endpoint.client.get_job(Id=job["Id"])["Job"]["Status"] == "CANCELED"


def test_jobs_are_listed_page_by_page_the_newest_first(endpoint: Endpoint) -> None:
    ids = [endpoint.create()["Id"] for _ in range(5)]

    pages = endpoint.client.get_paginator("list_jobs").paginate(PaginationConfig={"PageSize": 2})
    listed = [job["Id"] for page in pages for job in page["Jobs"]]

    assert listed == ids[::-1]
    assert [job["Id"] for job in endpoint.client.list_jobs(Order="ASCENDING", MaxResults=2)["Jobs"]] == ids[:2]
    assert [job["Id"] for job in endpoint.client.list_jobs(Status="SUBMITTED")["Jobs"]] == ids[:0:-1]
    assert endpoint.client.list_jobs(Status="ERROR")["Jobs"] == []
    assert _refused(endpoint.client.list_jobs, MaxResults=21) == (
        "BadRequestException",
        "/maxResults: 21 is more than 20",
    )
    assert _refused(endpoint.client.list_jobs, NextToken="x!")[0] == "BadRequestException"


def test_a_job_of_another_account_is_not_there(endpoint: Endpoint) -> None:
    job = endpoint.create()

    path = f"/2017-08-29/jobs/{job['Id']}"
    assert endpoint.ask("GET", path, **{"X-Mediaconvert-Local-Account": "111111111111"})[0] == 404
    assert endpoint.ask("GET", path)[0] == 200
    assert _refused(endpoint.client.get_job, Id="1-a")[0] == "NotFoundException"


def test_the_endpoint_is_its_own(endpoint: Endpoint) -> None:
    assert endpoint.client.describe_endpoints()["Endpoints"] == [{"Url": endpoint.server.url}]


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """The settings with one member changed; None: taken away."""
    found = copy.deepcopy(settings())
    place: Any = found
    for name in path[:-1]:
        place = place[name]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return found


OUTPUT = ("OutputGroups", 0, "Outputs", 0)
H264 = (*OUTPUT, "VideoDescription", "CodecSettings", "H264Settings")
FILES = ("OutputGroups", 0, "OutputGroupSettings", "FileGroupSettings")
WRONG = [
    (changed("Inputs", to=[]), "/settings/inputs: there are 0 inputs, and exactly 1 is offered"),
    (changed("Inputs", 0, "FileInput", to=None), "/settings/inputs/0/fileInput: Required field is missing"),
    (changed("Inputs", 0, "FileInput", to="videos/a.mov"), "/fileInput: 'videos/a.mov' does not match"),
    (changed("Inputs", 0, "FileInput", to="https://example.org/a.mov"), "it takes s3://bucket/key"),
    (changed("Inputs", 0, "FileInput", to="s3://videos/"), "/fileInput: 's3://videos/' names no object"),
    (changed("Inputs", 0, "InputClippings", to=[{"StartTimecode": "00:00:01:00"}]), "/inputs/0/inputClippings: is"),
    (changed("Inputs", 0, "VideoSelector", "Rotate", to="UPRIGHT"), "/rotate: 'UPRIGHT' is not one of: DEGREE_0"),
    (changed("OutputGroups", to=[]), "/settings/outputGroups: Should not be null or empty"),
    (changed(*FILES, "Destination", to=None), "fileGroupSettings/destination: Required field is missing"),
    (changed(*FILES, "Destination", to="results/"), "'results/' does not match the pattern"),
    (changed("OutputGroups", 0, "OutputGroupSettings", "Type", to="HLS_GROUP_SETTINGS"), "[HLS_GROUP_SETTINGS] is"),
    (changed(*OUTPUT, "ContainerSettings", "Container", to="M2TS"), "[M2TS] is not offered by the"),
    (changed(*OUTPUT, "VideoDescription", "CodecSettings", "Codec", to="H_265"), "[H_265] is not offered"),
    (changed(*OUTPUT, "VideoDescription", "Width", to=8), "/videoDescription/width: 8 is less than 32"),
    (changed(*OUTPUT, "VideoDescription", "Width", to="8"), '/videoDescription/width: "8" is not of type integer'),
    (changed(*OUTPUT, "VideoDescription", "ScalingBehavior", to="SMART_CROP"), "[SMART_CROP] is not offered"),
    (changed(*OUTPUT, "NameModifier", to="$dt$"), "the format identifier in"),
    (changed(*OUTPUT, "AudioDescriptions", to=[{"AudioSourceName": "A"}]), "no audio selector is called 'A'"),
    (changed(*H264, "MaxBitrate", to=None), "h264Settings/maxBitrate: Required when rateControlMode is QVBR"),
    (changed(*H264, "RateControlMode", to="CBR"), "h264Settings/bitrate: Required when rateControlMode is CBR"),
    (changed(*H264, "FramerateControl", to="SPECIFIED"), "Required when framerateControl is SPECIFIED"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_breaks_the_model_or_is_not_offered_is_a_bad_request(endpoint: Endpoint, wrong: Any, said: str) -> None:
    code, message = _refused(endpoint.create, Settings=wrong)

    assert code == "BadRequestException"
    assert said in message
    assert endpoint.service.jobs() == []


def test_several_faults_are_all_named(endpoint: Endpoint) -> None:
    status, answer = endpoint.ask("POST", "/2017-08-29/jobs", {"settings": {"inputs": {}}, "priority": 51})

    assert status == 400
    assert answer["message"].split(" | ") == [
        "/role: Required field is missing",
        "/priority: 51 is more than 50",
        "/settings/inputs: {} is not of type list",
    ]


def test_a_token_that_is_too_long_and_an_unknown_queue_are_refused(endpoint: Endpoint) -> None:
    assert "/clientRequestToken: " in _refused(endpoint.create, ClientRequestToken="t" * 65)[1]
    assert "/clientRequestToken: " in _refused(endpoint.create, ClientRequestToken="ü")[1]
    assert _refused(endpoint.create, Queue="fast")[0] == "NotFoundException"
    assert endpoint.create(Queue=QUEUE)["Queue"] == QUEUE


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"role": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(endpoint: Endpoint, body: bytes) -> None:
    request = urllib.request.Request(endpoint.server.url + "/2017-08-29/jobs", body, method="POST")

    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request)

    assert refusal.value.code == 400
    assert refusal.value.headers["x-amzn-ErrorType"] == "BadRequestException"


def test_an_operation_that_is_not_offered_is_named(endpoint: Endpoint) -> None:
    code, message = _refused(endpoint.client.list_presets)

    assert code == "UnknownOperationException"
    assert "It offers: CreateJob, GetJob, ListJobs, CancelJob, DescribeEndpoints" in message


def test_the_destination_follows_mediaconverts_rules(endpoint: Endpoint) -> None:
    two = [copy.deepcopy(settings()["OutputGroups"][0]["Outputs"][0]) | {"NameModifier": name} for name in ("-a", "-b")]
    named = changed(*FILES, "Destination", to="s3://results/folder/name")
    several = changed(*FILES, "Destination", to="s3://results/folder/name")
    several["OutputGroups"][0]["Outputs"] = two
    bare = changed(*FILES, "Destination", to="s3://results")
    extension = changed(*OUTPUT, "Extension", to="m4v")
    for one in (settings(), named, several, bare, extension):
        endpoint.create(Settings=one)
    endpoint.runner.go.set()
    _until(lambda: endpoint.runner.orders, lambda orders: len(orders) == 5)

    assert [[output.uri for output in order.groups[0]] for order in endpoint.runner.orders] == [
        ["s3://results/converted/abc/phone.mp4"],
        ["s3://results/folder/name.mp4"],
        ["s3://results/folder/name-a.mp4", "s3://results/folder/name-b.mp4"],
        ["s3://results/phone.mp4"],
        ["s3://results/converted/abc/phone.m4v"],
    ]
    several["OutputGroups"][0]["Outputs"][1].pop("NameModifier")
    assert "/outputs/1/nameModifier: Required" in _refused(endpoint.create, Settings=several)[1]


@pytest.mark.parametrize(
    ("rotate", "turn"),
    [("AUTO", "auto"), ("DEGREES_90", 90), ("DEGREE_0", 0), (None, 0)],
)
def test_a_video_is_turned_as_the_job_says(endpoint: Endpoint, rotate: str | None, turn: int | str) -> None:
    endpoint.create(Settings=changed("Inputs", 0, "VideoSelector", "Rotate", to=rotate))
    endpoint.runner.go.set()
    _until(lambda: endpoint.runner.orders, bool)

    assert endpoint.runner.orders[0].groups[0][0].wanted.turn == turn


def test_a_caller_who_may_not_pass_the_role_is_refused(endpoint: Endpoint) -> None:
    headers = {"X-Mediaconvert-Local-May-Pass-Role": "false", "X-Mediaconvert-Local-Caller": "arn:aws:iam::1:role/a"}

    request = {"role": ROLE, "settings": _wire(settings())}
    status, answer = endpoint.ask("POST", "/2017-08-29/jobs", request, **headers)

    assert status == 403
    assert answer["message"].startswith(
        f"User: arn:aws:iam::1:role/a is not authorized to perform: iam:PassRole on {''}"
    )


def test_faults_are_set_while_it_runs_and_refused_by_name_and_value(endpoint: Endpoint) -> None:
    def put(**changes: Any) -> tuple[int, Any]:
        return endpoint.ask("PUT", "/_faults", changes)

    assert put(creates_refused=1)[0] == 200
    assert endpoint.ask("GET", "/_faults")[1] == Faults(creates_refused=1).as_dict()
    assert put(create_refused="TooManyRequestException") == (
        400,
        {"error": "create_refused='TooManyRequestException'; did you mean 'TooManyRequestsException'?"},
    )
    assert "unknown fault 'drop_events'" in put(drop_events=1)[1]["error"]
    assert put(events_dropped=-1)[1] == {"error": "events_dropped=-1: is not a whole number of 0 or more"}
    assert put(events_dropped=True)[0] == 400
    assert put(least_seconds="long")[1] == {"error": "least_seconds='long': is not a number of 0 or more"}
    assert endpoint.ask("PUT", "/_faults", {}, Origin="http://example.org")[0] == 403


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDeniedException", 403),
        ("SubscriptionRequiredException", 403),
        ("ForbiddenException", 403),
        ("ConflictException", 409),
        ("TooManyRequestsException", 429),
        ("InternalServerErrorException", 500),
    ],
)
def test_create_job_can_be_refused(endpoint: Endpoint, code: str, status: int) -> None:
    endpoint.service.set_faults({"create_refused": code, "creates_refused": 1})

    with pytest.raises(ClientError) as refusal:
        endpoint.create()

    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert endpoint.service.jobs() == []
    assert endpoint.create()["Id"]


def test_an_answer_can_be_lost_and_the_token_finds_the_job(endpoint: Endpoint) -> None:
    endpoint.service.set_faults({"answers_lost": 1})

    assert _refused(endpoint.create, ClientRequestToken="t")[0] == "InternalServerErrorException"
    found = endpoint.create(ClientRequestToken="t")

    assert [job["id"] for job in endpoint.service.jobs()] == [found["Id"]]


@pytest.mark.parametrize(("fault", "told"), [("events_dropped", 0), ("events_twice", 2)])
def test_the_event_of_an_end_can_be_lost_or_come_twice(endpoint: Endpoint, fault: str, told: int) -> None:
    endpoint.service.set_faults({fault: 1})

    first = endpoint.ended(endpoint.create()["Id"])
    second = endpoint.ended(endpoint.create()["Id"])

    ends = [detail["jobId"] for _, detail in endpoint.events if detail["status"] == "COMPLETE"]
    assert (ends.count(first["Id"]), ends.count(second["Id"])) == (told, 1)


def test_jobs_of_some_keys_can_fail_a_number_of_times(endpoint: Endpoint) -> None:
    endpoint.service.set_faults({"fail_keys": "clips/*", "fail_code": 1076, "fail_message": "Cut.", "fails": 1})

    first, second = endpoint.ended(endpoint.create()["Id"]), endpoint.ended(endpoint.create()["Id"])

    assert (first["Status"], first["ErrorCode"], first["ErrorMessage"]) == ("ERROR", 1076, "Cut.")
    assert second["Status"] == "COMPLETE"


def test_an_event_that_cant_be_published_harms_no_job(endpoint: Endpoint) -> None:
    def refuse(*_: Any) -> None:
        raise ConnectionError

    endpoint.service._publish = refuse

    assert endpoint.ended(endpoint.create()["Id"])["Status"] == "COMPLETE"


def _refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def _until(look: Callable[[], Any], right: Callable[[Any], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not right(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def _wire(value: Any) -> Any:
    """The model's names as they are sent."""
    match value:
        case dict():
            return {name[0].lower() + name[1:]: _wire(item) for name, item in value.items()}
        case list():
            return [_wire(item) for item in value]
    return value
