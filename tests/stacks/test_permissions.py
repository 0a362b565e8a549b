"""What each function may do is what it does: no grant is missing, and none is left over."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_cdk.assertions import Template

from lambdas.aws.videos import Videos
from lambdas.model.analyses import CATALOGUE
from lambdas.model.errors import ServiceTrouble
from rekognition_local import Simulated
from tests.fake_aws import CONVERT, World, world
from tests.lambdas.test_conversion import phone

KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"

# What Lambda does with a function's role, and not the function: its log, and the queue it takes messages from.
BY_LAMBDA = {
    *(("Logs", action) for action in ("logs:CreateLogStream", "logs:PutLogEvents")),
    *(
        (queue, f"sqs:{action}")
        for queue in ("Uploads", "Finished")
        for action in (
            "ChangeMessageVisibility",
            "DeleteMessage",
            "GetQueueAttributes",
            "GetQueueUrl",
            "ReceiveMessage",
        )
    ),
}


def granted(template: Template, function: str) -> set[tuple[str, str]]:
    """What `function` may do, as (resource, action): ("Results/rows/*", "s3:PutObject")."""
    found = set()
    for policy in template.find_resources("AWS::IAM::Policy").values():
        if not any(role["Ref"].startswith(function) for role in policy["Properties"]["Roles"]):
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            for resource in _list(statement["Resource"]):
                found |= {(readable(resource), action) for action in _list(statement["Action"])}
    return found


def readable(arn: Any) -> str:
    """A resource of a template as the id it was given in the stack, and what stands behind it."""
    if isinstance(arn, str):
        return arn
    if "Fn::Join" in arn:
        return "".join(readable(part) for part in arn["Fn::Join"][1])
    if "Ref" in arn:
        return "" if arn["Ref"].startswith("AWS::") else str(arn["Ref"])
    name = re.fullmatch(r"(\w+?)[0-9A-F]{8}", arn["Fn::GetAtt"][0])
    assert name, arn
    return re.sub(r"\w+(?=Logs$)", "", name[1])


def _list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


BUS = "arn::events:::event-bus/default"
BOTH = {
    ("Jobs", "dynamodb:GetItem"),
    ("Jobs", "dynamodb:UpdateItem"),
    ("Finished", "sqs:SendMessage"),
    (BUS, "events:PutEvents"),
}
STARTS = BOTH | {
    ("Jobs", "dynamodb:PutItem"),
    ("Jobs", "dynamodb:DeleteItem"),
    ("Jobs/index/ByState", "dynamodb:Query"),
    ("Jobs/index/Backlog", "dynamodb:Query"),
    ("Publisher", "iam:PassRole"),
    ("Videos", "s3:ListBucket"),
    *(("Videos/*", f"s3:GetObject{of}") for of in ("", "Version", "Tagging", "VersionTagging")),
    *(("*", f"rekognition:{one.start_operation}") for one in CATALOGUE.values() if one.name != "face-search"),
}
COLLECTS = BOTH | {
    ("Results", "s3:ListBucket"),
    ("Results/results/*", "s3:GetObject"),
    ("Results/results/*", "s3:PutObject"),
    ("Results/results/*", "s3:AbortMultipartUpload"),
    ("Results/superseded/*", "s3:PutObject"),
    ("Results/superseded/*", "s3:AbortMultipartUpload"),
    ("Results/rows/*", "s3:PutObject"),
    ("Results/rows/*", "s3:AbortMultipartUpload"),
    ("Results/jobs/*", "s3:PutObject"),
    ("Results/collecting/*", "s3:GetObject"),
    ("Results/collecting/*", "s3:PutObject"),
    ("Results/collecting/*", "s3:DeleteObject"),
    *(("*", f"rekognition:{one.get_operation}") for one in CATALOGUE.values()),
}


# Where the setting convert is on.
QUEUE = "arn::mediaconvert:::queues/Default"
CONVERTS = {
    *((QUEUE, f"mediaconvert:{operation}") for operation in ("CreateJob", "ListJobs")),
    ("arn::mediaconvert:::jobs/*", "mediaconvert:GetJob"),
    ("Converter", "iam:PassRole"),
    ("Results/converted/*", "s3:GetObject"),
    ("Results", "s3:ListBucket"),
    ("Jobs/index/ByVideo", "dynamodb:Query"),
}


def test_the_starting_function_may_do_exactly_this(template: Template) -> None:
    assert granted(template, "StartAnalysis") - BY_LAMBDA == STARTS


def test_the_collecting_function_may_do_exactly_this(template: Template) -> None:
    assert granted(template, "CollectResults") - BY_LAMBDA == COLLECTS


def test_where_videos_are_converted_the_starting_function_may_do_this_as_well(
    with_settings: Callable[..., Template],
) -> None:
    template = with_settings(convert="mediaconvert")

    assert granted(template, "StartAnalysis") - BY_LAMBDA == STARTS | CONVERTS
    assert granted(template, "CollectResults") - BY_LAMBDA == COLLECTS


def test_mediaconvert_reads_videos_and_writes_copies_for_this_accounts_queue_and_nothing_else(
    with_settings: Callable[..., Template],
) -> None:
    template = with_settings(convert="mediaconvert", videos_bucket="our-videos", videos_key_arn=KEY)

    assert granted(template, "Converter") == {
        ("arn::s3:::our-videos/*", "s3:GetObject"),
        ("Results/converted/*", "s3:PutObject"),
        (KEY, "kms:Decrypt"),
        (KEY, "kms:GenerateDataKey"),
    }
    roles = template.find_resources("AWS::IAM::Role")
    [trust] = [
        role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for name, role in roles.items()
        if name.startswith("Converter")
    ]
    assert trust[0]["Principal"] == {"Service": "mediaconvert.amazonaws.com"}
    assert trust[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert readable(trust[0]["Condition"]["ArnLike"]["aws:SourceArn"]) == QUEUE


def test_results_are_collected_of_analyses_that_are_no_longer_in_use(with_settings: Callable[..., Template]) -> None:
    """A job in flight is paid for. Only what may be started follows the settings."""
    template = with_settings(upload_choice="none", analyses='{"text-detection": {}}')

    started = {action for _, action in granted(template, "StartAnalysis") if action.startswith("rekognition:")}
    assert started == {"rekognition:StartTextDetection"}
    assert granted(template, "CollectResults") - BY_LAMBDA == COLLECTS


def test_a_change_of_the_videos_bucket_changes_nothing_for_the_collecting_function(
    with_settings: Callable[..., Template],
) -> None:
    """It reads nothing of the videos, so jobs in flight of a former bucket are collected."""
    template = with_settings(videos_bucket="another")

    assert granted(template, "CollectResults") - BY_LAMBDA == COLLECTS


def test_an_existing_buckets_key_is_granted_to_the_starting_function_and_no_other_key(
    with_settings: Callable[..., Template],
) -> None:
    template = with_settings(videos_bucket="our-videos", videos_key_arn=KEY)

    def keys(function: str) -> set[tuple[str, str]]:
        return {(resource, action) for resource, action in granted(template, function) if action.startswith("kms:")}

    assert keys("StartAnalysis") == {(KEY, "kms:Decrypt"), (KEY, "kms:GenerateDataKey")}
    assert keys("CollectResults") == set()


# The calls that the handlers make, as IAM sees them.


class Recorded:
    """What the functions ask of AWS, as (resource, action)."""

    def __init__(self, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, set[tuple[str, str]]] = {"StartAnalysis": set(), "CollectResults": set()}
        from lambdas import wiring

        clients = [wiring.client(service) for service in ("s3", "dynamodb", "sqs", "events")]
        clients.append(wiring.client("s3", wiring.QUICK))
        clients += [wiring.client("rekognition", config) for config in (wiring.ONE_ATTEMPT, wiring.PATIENT)]
        if wiring.settings().converter_role_arn:
            clients.append(wiring.client("mediaconvert", wiring.IMPATIENT))
        self._function: str | None = None
        for client in clients:
            client.meta.events.register("provide-client-params.*", self._note)
        invoke = here.invoke

        def invoked(handler: Any, event: Any, seconds: float = 60.0) -> Any:
            starting = handler.__module__.endswith("start_analysis")
            self._function = "StartAnalysis" if starting else "CollectResults"
            try:
                return invoke(handler, event, seconds)
            finally:
                self._function = None

        monkeypatch.setattr(here, "invoke", invoked)

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if self._function:
            service = model.service_model.service_name
            self.calls[self._function] |= set(_needs(service, model.name, params))


S3_ACTIONS = {
    "HeadObject": "GetObject",
    "GetObject": "GetObject",
    "GetObjectTagging": "GetObjectTagging",
    "PutObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "DeleteObject": "DeleteObject",
}


def _needs(service: str, operation: str, params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a call needs (AWS Service Authorization Reference)."""
    if service == "s3":
        bucket = params["Bucket"].capitalize()
        prefix = f"/{params['Key'].split('/')[0]}/*" if bucket == "Results" else "/*"
        action = S3_ACTIONS[operation]
        if params.get("VersionId"):
            action = action.replace("GetObject", "GetObjectVersion")
        yield f"{bucket}{prefix}", f"s3:{action}"
        if action in ("GetObject", "GetObjectVersion"):
            yield bucket, "s3:ListBucket"  # for 404 instead of 403
    elif service == "dynamodb":
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        # A transaction of updates needs what the updates need, and is no action of its own.
        yield f"Jobs{index}", f"dynamodb:{operation.replace('TransactWriteItems', 'UpdateItem')}"
    elif service == "sqs":
        yield "Finished", f"sqs:{operation.removesuffix('Batch')}"
    elif service == "events":
        yield BUS, f"events:{operation}"
    elif service == "mediaconvert":
        yield QUEUE if operation != "GetJob" else "arn::mediaconvert:::jobs/*", f"mediaconvert:{operation}"
        if operation == "CreateJob":
            yield "Converter", "iam:PassRole"
    else:
        yield "*", f"rekognition:{operation}"
        if operation.startswith("Start"):
            yield "Publisher", "iam:PassRole"
            video = params["Video"]["S3Object"]
            version = "Version" if video.get("Version") else ""
            yield ("Videos/*" if video["Bucket"] == "videos" else "Results/converted/*"), f"s3:GetObject{version}"


ALL = {
    name: {"SegmentTypes": ["SHOT"]} if name == "segment-detection" else {"CollectionId": "people"}
    for name in CATALOGUE
    if name in ("segment-detection", "face-search")
} | {name: {} for name in CATALOGUE if name not in ("segment-detection", "face-search")}


@pytest.fixture(scope="module")
def calls() -> Iterator[dict[str, set[tuple[str, str]]]]:
    """What the handlers call in the life of short, long, replaced and interrupted jobs of every analysis."""
    from moto.s3 import models

    from lambdas.aws import multipart

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)
        monkeypatch.setattr(multipart, "PART", 10_000)  # bytes: in parts after a page or two
        short = _short_jobs(monkeypatch)
        long = _long_jobs(monkeypatch)
        yield {function: short[function] | long[function] for function in short}


def _short_jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[tuple[str, str]]]:
    from lambdas import wiring

    tags = {"TagSet": [{"Key": "of", "Value": "no interest"}]}
    with world(ANALYSES=json.dumps(ALL)) as here:
        wiring.client("rekognition", wiring.PATIENT).create_collection(CollectionId="people")
        recorded = Recorded(here, monkeypatch)
        record = here.upload("short.mp4")
        here.s3.put_object_tagging(Bucket="videos", Key="short.mp4", Tagging=tags)
        here.hear(record)
        here.s3.put_bucket_versioning(Bucket="videos", VersioningConfiguration={"Status": "Enabled"})
        record = here.upload("versioned.mp4")
        version = here.s3.head_object(Bucket="videos", Key="versioned.mp4")["VersionId"]
        here.s3.put_object_tagging(Bucket="videos", Key="versioned.mp4", VersionId=version, Tagging=tags)
        record["s3"]["object"]["versionId"] = version
        here.hear(record)
        here.settle()
        here.notifications.clear()
        here.drop("empty.mp4", b"")  # is rejected
        with monkeypatch.context() as outage:  # what its uploader asked for is read later, and the placeholder removed
            outage.setattr(Videos, "head", unreadable)
            here.drop("later.mp4")
        here.tick()
        here.drop("unheard.mp4")
        here.pass_time(150)
        here.notifications.clear()
        here.tick()  # asks after the jobs that no notification came of
        return recorded.calls


def unreadable(*_: Any) -> Any:
    raise ServiceTrouble("S3 head_object: InternalError")


def _long_jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[tuple[str, str]]]:
    from lambdas.logic.results import ResultWriter

    with world(Simulated(detections=4_500)) as here:
        recorded = Recorded(here, monkeypatch)
        add = ResultWriter.add

        def slowly(self: ResultWriter, page: Any) -> None:
            here.clock.seconds += 20
            add(self, page)

        monkeypatch.setattr(ResultWriter, "add", slowly)
        here.drop("long.mp4", b"older")
        here.drop("long.mp4", b"newer")
        here.pass_time(2)
        older, newer = (notification.message for notification in here.notifications)
        here.collect(newer)
        here.collect(older, seconds=180)  # five pages in vain, then three to its own place, and handed over
        here.pass_time(25 * 3600)  # and its page token expires
        here.settle()
        return recorded.calls


@pytest.fixture(scope="module")
def calls_of_converting() -> Iterator[set[tuple[str, str]]]:
    """What the starting function calls in the life of a converted video, with a crash in it."""
    with pytest.MonkeyPatch.context() as monkeypatch, world(**CONVERT) as here:
        recorded = Recorded(here, monkeypatch)
        here.mediaconvert.refuse("CreateJob", "InternalServerErrorException")
        here.drop("phone.mov", phone())
        here.settle()
        assert here.job("phone.mov")["state"] == "SUCCEEDED"
        yield recorded.calls["StartAnalysis"]


SEARCH = {("*", "rekognition:StartFaceSearch")}  # of named collections only, and not by default: see test_template.py


def test_every_call_that_the_handlers_make_is_granted(calls: dict[str, set[tuple[str, str]]]) -> None:
    assert calls["StartAnalysis"] - SEARCH <= STARTS
    assert calls["CollectResults"] <= COLLECTS


def test_every_grant_is_of_a_call_that_the_handlers_make(calls: dict[str, set[tuple[str, str]]]) -> None:
    assert calls["StartAnalysis"] >= STARTS
    assert calls["CollectResults"] >= COLLECTS


def test_every_call_of_converting_is_granted_and_every_grant_is_of_such_a_call(
    calls_of_converting: set[tuple[str, str]],
) -> None:
    assert calls_of_converting <= STARTS | CONVERTS
    assert calls_of_converting >= CONVERTS
