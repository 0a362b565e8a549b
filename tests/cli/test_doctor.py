"""What doctor says of the videos bucket, deployed or not yet, and that its commands lose nothing of what is there."""

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cli.core.stack import Stack, Target
from cli.operate import bucket, doctor
from cli.operate.findings import Finding, run
from stacks.settings import Settings
from tests.cli.conftest import Said
from tests.fake_aws import REGION, World

Typed = Callable[..., Said]
QUEUE = "arn:aws:sqs:us-east-1:123456789012:UploadsQueue"
TOPIC = "arn:aws:sns:us-east-1:123456789012:theirs"
NEW_KIND = {"Quantum": {"Enabled": True}}  # whatever S3 may invent


@pytest.fixture
def announces(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what the bucket's notifications are; moto keeps only kinds that it knows."""

    def say(**configuration: Any) -> None:
        answer = {"ResponseMetadata": {"HTTPStatusCode": 200}, **configuration}
        monkeypatch.setattr(stack.client("s3"), "get_bucket_notification_configuration", lambda Bucket: answer)

    return say


def told(findings: Iterator[Finding]) -> Finding:
    [one] = findings
    return one


def notification_of(command: str) -> Any:
    """What a command would put."""
    words = shlex.split(command)
    return json.loads(words[words.index("--notification-configuration") + 1])


# announcements


def test_the_command_for_the_notifications_keeps_everything_that_was_there(
    stack: Stack, announces: Callable[..., None]
) -> None:
    theirs = {
        "EventBridgeConfiguration": {},
        "TopicConfigurations": [{"TopicArn": TOPIC, "Events": ["s3:ObjectRemoved:*"]}],
        "InventedLater": NEW_KIND,
    }
    announces(**theirs)

    found = told(bucket.announced_by_notifications(stack, QUEUE))

    assert found.verdict == "wrong"
    put = notification_of(found.fix)
    assert {name: put[name] for name in theirs} == theirs
    assert put.keys() - theirs.keys() == {"QueueConfigurations"}


def test_where_another_destination_has_the_event_the_way_out_is_eventbridge(
    stack: Stack, announces: Callable[..., None]
) -> None:
    announces(TopicConfigurations=[{"TopicArn": TOPIC, "Events": ["s3:ObjectCreated:Put"]}])

    found = told(bucket.announced_by_notifications(stack, QUEUE))

    assert TOPIC in found.text
    assert found.fix == "npx cdk deploy --all -c uploads_from=eventbridge"


def test_a_bucket_that_does_not_tell_eventbridge_is_told_to_without_losing_a_thing(
    stack: Stack, announces: Callable[..., None]
) -> None:
    theirs = {"TopicConfigurations": [{"TopicArn": TOPIC, "Events": ["s3:ObjectCreated:*"]}]}
    announces(**theirs)

    found = told(bucket.announced_by_eventbridge(stack, QUEUE))

    assert found.verdict == "wrong"
    assert notification_of(found.fix) == {**theirs, "EventBridgeConfiguration": {}}


@pytest.mark.parametrize(
    ("state", "of", "verdict", "fix"),
    [
        ("ENABLED", "videos", "fine", ""),
        ("DISABLED", "videos", "wrong", "aws events enable-rule --name Uploads"),
        ("ENABLED", "another", "wrong", "npx cdk deploy --all --revert-drift"),
    ],
)
def test_the_rule_that_brings_uploads_by_eventbridge_is_looked_at(
    stack: Stack, announces: Callable[..., None], state: str, of: str, verdict: str, fix: str
) -> None:
    announces(EventBridgeConfiguration={})
    stack.outputs = {**stack.outputs, "UploadsFrom": "eventbridge"}
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [of]}}}
    events = stack.client("events")
    events.put_rule(Name="Uploads", EventPattern=json.dumps(pattern), State=state)
    queue = doctor._arn(stack, "UploadsQueue")
    events.put_targets(Rule="Uploads", Targets=[{"Id": "1", "Arn": queue}])

    found = told(doctor.announcements(stack))

    assert (found.verdict, found.fix) == (verdict, fix)


def test_with_eventbridge_it_is_eventbridge_that_must_be_let_into_the_queue(stack: Stack) -> None:
    stack.outputs = {**stack.outputs, "UploadsFrom": "eventbridge", "JobFinishedTopic": "arn:aws:sns:us-east-1:1:t"}

    subjects = [one.subject for one in doctor.queue_policies(stack)]

    assert subjects == ["EVENTS may write to UploadsQueue", "SNS may write to FinishedQueue"]


# what was deleted or changed by hand


def test_what_is_gone_comes_back_only_when_drift_is_reverted() -> None:
    def looks(_: Stack) -> Iterator[Finding]:
        """The tick."""
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeRule")
        yield

    stack = Stack(
        "Other", {}, boto3.client, region=REGION, target=Target(stack="Other", region="eu-west-1", profile="me")
    )

    found = told(run(stack, [looks]))

    assert found.verdict == "wrong"
    assert found.fix == ("AWS_REGION=eu-west-1 npx cdk deploy --all --revert-drift -c stack_name=Other --profile me")


# encryption


@pytest.fixture
def key(aws: World) -> str:
    made: str = boto3.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    return made


def encrypt(aws: World, name: str, key: str | None) -> None:
    default = {"SSEAlgorithm": "aws:kms", **({"KMSMasterKeyID": key} if key else {})}
    rule = {"ApplyServerSideEncryptionByDefault": default}
    aws.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


def role_of_the_starting_function(stack: Stack, monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """Give the stack a starting function whose role may decrypt with these keys, and a bucket that was there before."""
    made = {"StackResources": [{"PhysicalResourceId": "results"}]}
    monkeypatch.setattr(stack.client("cloudformation"), "describe_stack_resources", lambda StackName: made)
    iam = stack.client("iam")
    iam.create_role(RoleName="start", AssumeRolePolicyDocument="{}")
    grant = {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": list(keys) or "arn:aws:kms:::none"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    iam.put_role_policy(RoleName="start", PolicyName="p", PolicyDocument=document)
    answer = {"Role": "arn:aws:iam::123456789012:role/start"}
    stack.outputs = {**stack.outputs, "StartFunction": "start"}
    monkeypatch.setattr(stack.client("lambda"), "get_function_configuration", lambda FunctionName: answer)


def test_a_key_that_the_stack_was_not_told_of_is_named_with_its_setting(
    aws: World, stack: Stack, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt(aws, "videos", key)
    role_of_the_starting_function(stack, monkeypatch)

    found = {one.subject: one for one in bucket.encrypted(stack)}

    assert found[bucket.ENCRYPTION].verdict == "wrong"
    assert found[bucket.ENCRYPTION].fix == f"npx cdk deploy --all -c videos_key_arn={key}"
    assert "ETags don't depend on the content alone" in found[bucket.SAME].text


def test_a_bucket_of_the_stacks_own_whose_key_was_changed_by_hand_gets_its_own_back(
    aws: World, stack: Stack, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt(aws, "videos", key)
    role_of_the_starting_function(stack, monkeypatch)
    made = {"StackResources": [{"PhysicalResourceId": "videos"}]}
    monkeypatch.setattr(stack.client("cloudformation"), "describe_stack_resources", lambda StackName: made)

    found = next(bucket.encrypted(stack))

    assert found.fix == "npx cdk deploy --all --revert-drift"


@pytest.mark.parametrize("by", ["setting", "own key"])
def test_a_key_that_the_stack_was_told_of_or_has_made_itself_is_fine(
    aws: World, stack: Stack, key: str, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    encrypt(aws, "videos", key)
    role_of_the_starting_function(stack, monkeypatch, *([key] if by == "own key" else []))
    stack.outputs = {**stack.outputs, "VideosKeyArn": key if by == "setting" else ""}

    found = next(bucket.encrypted(stack))

    assert found.verdict == "fine"


def test_a_bucket_with_awss_own_keys_needs_no_setting(aws: World, stack: Stack) -> None:
    assert [one.verdict for one in bucket.encrypted(stack)] == ["fine"]

    encrypt(aws, "videos", None)

    assert [one.verdict for one in bucket.encrypted(stack)] == ["fine", "note"]


# before there is a stack


def test_before_the_deploy_a_busy_bucket_is_told_the_settings_it_needs(aws: World, key: str, typed: Typed) -> None:
    aws.s3.create_bucket(Bucket="shared", ObjectLockEnabledForBucket=True)
    encrypt(aws, "shared", key)
    topic = boto3.client("sns", REGION).create_topic(Name="theirs")["TopicArn"]
    prefix = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}]}}
    theirs = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"], "Filter": prefix}
    aws.s3.put_bucket_notification_configuration(
        Bucket="shared", NotificationConfiguration={"TopicConfigurations": [theirs]}
    )

    said = typed("doctor", "--before-deploy", "shared", "--json")

    found = {one["subject"]: one for one in said.json}
    assert said.code == 0
    assert f"{topic} (prefix raw/)" in found[bucket.ANNOUNCED]["text"]
    assert "uploads_from=eventbridge" in found[bucket.ANNOUNCED]["text"]
    assert found["object lock"]["verdict"] == "note"
    wanted = f"-c videos_bucket=shared -c uploads_from=eventbridge -c videos_key_arn={key}"
    assert found["deploy"]["fix"] == f"npx cdk deploy --all {wanted}"
    settings = Settings.from_context(dict(word.split("=", 1) for word in shlex.split(wanted) if "=" in word))
    assert (settings.uploads_from, settings.videos_key_arn) == ("eventbridge", key)


def test_before_the_deploy_a_plain_bucket_needs_its_name_alone(aws: World, typed: Typed) -> None:
    said = typed("doctor", "--before-deploy", "videos", "--json")

    assert {one["verdict"] for one in said.json} == {"fine"}
    assert said.json[-1]["fix"] == "npx cdk deploy --all -c videos_bucket=videos"


def test_before_the_deploy_a_bucket_of_another_region_or_none_at_all_is_wrong(aws: World, typed: Typed) -> None:
    far = boto3.client("s3", "eu-west-1")
    far.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    away = typed("doctor", "--before-deploy", "far", "--json")
    missing = typed("doctor", "--before-deploy", "nowhere", "--json")

    assert (away.code, missing.code) == (1, 1)
    assert "far is in eu-west-1" in away.json[-1]["text"]
    assert away.json[-1]["fix"] == "rekognition-batch doctor --before-deploy far --region eu-west-1"
    assert missing.json[-1]["text"] == "there is no bucket nowhere"


def test_before_the_deploy_there_is_nothing_to_fly_through(typed: Typed) -> None:
    said = typed("doctor", "--before-deploy", "videos", "--canary")

    assert said.code == 2
    assert "choose one" in said.err


def test_before_the_deploy_what_may_not_be_looked_at_is_said_with_the_command(
    aws: World, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetBucketEncryption")

    monkeypatch.setattr(stack.client("s3"), "get_bucket_encryption", denied)

    found = list(doctor.before_deploy(stack, "videos"))

    assert ("unknown", "not permitted to check: GetBucketEncryption: AccessDenied") in [
        (one.verdict, one.text) for one in found
    ]
    assert found[-1].verdict == "note"
    assert "checks that could not be made" in found[-1].text
