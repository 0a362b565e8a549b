"""The template that will be deployed says what is intended. Intentions, not counts, and not everything."""

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from bench import burst
from lambdas import settings as functions_settings
from stacks.encryption import RekognitionBatchKey
from tests.fake_aws import TABLE

# What holds data or work. A changed id replaces the resource: a deploy loses it, or leaves two.
LOGICAL_IDS = {
    "Videos88AE8DA0": "AWS::S3::Bucket",
    "Results25575328": "AWS::S3::Bucket",
    "JobsDF1CC2D4": "AWS::DynamoDB::Table",
    "Uploads4F6EB0FD": "AWS::SQS::Queue",
    "UploadsDead8782C920": "AWS::SQS::Queue",
    "FinishedA941F288": "AWS::SQS::Queue",
    "FinishedDead3E712448": "AWS::SQS::Queue",
    "JobFinished4D5DD594": "AWS::SNS::Topic",
}


def resources(template: Template, kind: str) -> Mapping[str, Mapping[str, Any]]:
    return template.find_resources(kind)


def functions(template: Template) -> dict[str, dict[str, Any]]:
    return {
        properties["Handler"].split(".")[1]: properties
        for properties in (resource["Properties"] for resource in resources(template, "AWS::Lambda::Function").values())
    }


def statements(template: Template, role: str) -> Iterator[dict[str, Any]]:
    """What the role whose logical id begins so may do."""
    for policy in resources(template, "AWS::IAM::Policy").values():
        if any(ref["Ref"].startswith(role) for ref in policy["Properties"]["Roles"]):
            yield from policy["Properties"]["PolicyDocument"]["Statement"]


def actions(template: Template, role: str) -> set[str]:
    found: set[str] = set()
    for statement in statements(template, role):
        found |= set(as_list(statement["Action"]))
    return found


def as_list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def test_logical_ids_of_what_holds_data_never_change(template: Template) -> None:
    found = {
        logical_id: resource["Type"]
        for logical_id, resource in template.to_json()["Resources"].items()
        if resource["Type"] in set(LOGICAL_IDS.values())
    }

    assert found == LOGICAL_IDS


def test_there_are_two_functions_on_python_3_13_and_arm(template: Template) -> None:
    assert set(functions(template)) == {"start_analysis", "collect_results"}
    template.all_resources_properties("AWS::Lambda::Function", {"Runtime": "python3.13", "Architectures": ["arm64"]})


def test_every_handler_named_is_there(template: Template) -> None:
    for properties in functions(template).values():
        module, name = properties["Handler"].rsplit(".", 1)
        assert callable(getattr(importlib.import_module(module), name))


def test_the_functions_read_exactly_the_variables_that_the_stack_declares(template: Template) -> None:
    source = ast.parse(Path(functions_settings.__file__).read_text())
    read = {
        node.slice.value
        for node in ast.walk(source)
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "environment"
        if isinstance(node.slice, ast.Constant)
    }

    for properties in functions(template).values():
        declared = set(properties["Environment"]["Variables"])
        assert {name for name in declared if not name.startswith("POWERTOOLS_")} == read


@pytest.mark.parametrize(("setting", "told"), [("", {"Ref": "Videos88AE8DA0"}), ("our-videos", "our-videos")])
def test_the_functions_are_told_which_bucket_videos_come_from(
    with_settings: Callable[..., Template], setting: str, told: object
) -> None:
    template = with_settings(videos_bucket=setting)

    for name in ("start_analysis", "collect_results"):
        assert functions(template)[name]["Environment"]["Variables"]["VIDEOS_BUCKET"] == told


def test_nothing_else_in_lambdas_reads_the_environment() -> None:
    for path in Path(functions_settings.__file__).parent.glob("*.py"):
        if path.name != "settings.py":
            text = path.read_text().replace("environment", "")
            assert "environ" not in text, path.name
            assert "getenv" not in text, path.name


def test_what_holds_data_outlives_the_stack(template: Template) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"):
        template.all_resources(kind, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})
    template.all_resources_properties("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": True})


def test_unless_a_setting_says_otherwise(with_settings: Callable[..., Template]) -> None:
    template = with_settings(retain_data="false")

    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"):
        template.all_resources(kind, {"DeletionPolicy": "Delete"})
    template.resource_count_is("Custom::S3AutoDeleteObjects", 2)
    template.all_resources_properties("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": False})


def test_buckets_are_private_and_encrypted(template: Template) -> None:
    template.all_resources_properties(
        "AWS::S3::Bucket",
        {
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "BucketEncryption": Match.any_value(),
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        },
    )


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"])
def test_everything_that_has_a_policy_takes_tls_only(template: Template, kind: str) -> None:
    guarded = {
        "AWS::S3::BucketPolicy": "AWS::S3::Bucket",
        "AWS::SQS::QueuePolicy": "AWS::SQS::Queue",
        "AWS::SNS::TopicPolicy": "AWS::SNS::Topic",
    }
    insecure = {"Bool": {"aws:SecureTransport": "false"}}

    policies = resources(template, kind).values()

    assert len(policies) == len(resources(template, guarded[kind]))
    for policy in policies:
        denials = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert any(denial["Condition"] == insecure for denial in denials)


def test_queues_are_encrypted_and_have_a_dead_letter_queue_that_outlasts_a_holiday(template: Template) -> None:
    template.all_resources_properties(
        "AWS::SQS::Queue", {"SqsManagedSseEnabled": True, "MessageRetentionPeriod": 14 * 24 * 3600}
    )
    with_redrive = [q for q in resources(template, "AWS::SQS::Queue").values() if "RedrivePolicy" in q["Properties"]]
    assert len(with_redrive) == 2


def test_no_message_comes_back_while_its_function_may_still_be_at_it(template: Template) -> None:
    assert len(resources(template, "AWS::Lambda::EventSourceMapping")) == 2
    for mapping in resources(template, "AWS::Lambda::EventSourceMapping").values():
        queue = template.to_json()["Resources"][mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]]
        function = template.to_json()["Resources"][mapping["Properties"]["FunctionName"]["Ref"]]
        assert queue["Properties"]["VisibilityTimeout"] >= 6 * function["Properties"]["Timeout"]
        assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_rekognition_may_publish_for_this_account_and_nothing_narrower_silences_it(template: Template) -> None:
    template.has_resource_properties(
        "AWS::IAM::Role",
        {
            "AssumeRolePolicyDocument": {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": "rekognition.amazonaws.com"},
                        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                    }
                ]
            }
        },
    )
    assert actions(template, "Publisher") == {"sns:Publish"}


def rekognition_actions(template: Template) -> set[str]:
    found = actions(template, "StartAnalysis") | actions(template, "CollectResults")
    return {action for action in found if action.startswith("rekognition:")}


def test_without_a_choice_by_uploaders_only_what_the_operator_chose_is_allowed(
    with_settings: Callable[..., Template],
) -> None:
    template = with_settings(
        upload_choice="none", routes='[{"prefix": "ads/", "analyses": {"label-detection": {}, "text-detection": {}}}]'
    )

    assert {action for action in rekognition_actions(template) if "Start" in action} == {
        f"rekognition:Start{operation}" for operation in ("FaceDetection", "LabelDetection", "TextDetection")
    }
    assert "s3:GetObjectTagging" not in actions(template, "StartAnalysis")


def test_what_uploaders_may_choose_is_what_is_allowed(with_settings: Callable[..., Template]) -> None:
    template = with_settings(upload_choice="metadata", allowed_analyses="text-detection")

    assert {action for action in rekognition_actions(template) if "Start" in action} == {
        "rekognition:StartFaceDetection",
        "rekognition:StartTextDetection",
    }
    assert "s3:GetObjectTagging" not in actions(template, "StartAnalysis")


@pytest.mark.parametrize(
    ("settings", "collections"),
    [
        ({"analyses": '{"face-search": {"CollectionId": "staff"}}'}, ["staff"]),
        (
            {
                "analyses": '{"face-search": {"CollectionId": "staff"}}',
                "routes": '[{"prefix": "vip/", "analyses": {"face-search": {"CollectionId": "guests"}}}]',
            },
            ["guests", "staff"],
        ),
        ({"allowed_analyses": "face-search label-detection"}, ["*"]),
    ],
)
def test_faces_are_searched_in_named_collections_only(
    with_settings: Callable[..., Template], settings: dict[str, str], collections: list[str]
) -> None:
    template = with_settings(**settings)

    [search] = [s for s in statements(template, "StartAnalysis") if s["Action"] == "rekognition:StartFaceSearch"]
    arns = search["Resource"] if isinstance(search["Resource"], list) else [search["Resource"]]
    assert [arn["Fn::Join"][1][-1].removeprefix(":collection/") for arn in arns] == collections


def test_routes_and_what_uploaders_may_say_reach_the_functions(with_settings: Callable[..., Template]) -> None:
    template = with_settings(
        routes='[{"prefix": "ads/", "analyses": {}}]', upload_choice="tags", allowed_analyses="text-detection"
    )

    told = functions(template)["start_analysis"]["Environment"]["Variables"]
    assert json.loads(told["ROUTES"]) == [{"prefix": "ads/", "analyses": {}}]
    assert (told["UPLOAD_CHOICE"], told["ALLOWED_ANALYSES"]) == ("tags", "text-detection")


def test_only_rekognitions_calls_are_allowed_on_everything(template: Template) -> None:
    for role in ("StartAnalysis", "CollectResults", "Publisher"):
        for statement in statements(template, role):
            if statement["Resource"] == "*":
                found = statement["Action"]
                assert all(
                    action.startswith("rekognition:") for action in ([found] if isinstance(found, str) else found)
                )


def test_only_the_publisher_role_can_be_passed_and_only_to_rekognition(template: Template) -> None:
    [passing] = [s for s in statements(template, "StartAnalysis") if s["Action"] == "iam:PassRole"]

    assert passing["Resource"] == {"Fn::GetAtt": [role_id(template, "Publisher"), "Arn"]}
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "rekognition.amazonaws.com"}}


def role_id(template: Template, prefix: str) -> str:
    [found] = [i for i in resources(template, "AWS::IAM::Role") if i.startswith(prefix)]
    return found


def test_the_functions_are_told_the_analyses_and_their_parameters(with_settings: Callable[..., Template]) -> None:
    template = with_settings(analyses='{"face-detection": {"FaceAttributes": "ALL"}}')

    assert json.loads(functions(template)["start_analysis"]["Environment"]["Variables"]["ANALYSES"]) == {
        "face-detection": {"FaceAttributes": "ALL"}
    }


def test_the_tick_comes_each_minute_and_is_not_delivered_again(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "ScheduleExpression": "rate(1 minute)",
            "Targets": [
                Match.object_like({"RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}})
            ],
        },
    )


def test_lambda_repeats_neither_a_tick_nor_a_completion_that_failed(template: Template) -> None:
    """EventBridge and SNS only hand them over; by default Lambda runs each twice more, and keeps it for six hours."""
    [config] = resources(template, "AWS::Lambda::EventInvokeConfig").values()

    assert functions(template)["start_analysis"] == function(template, config["Properties"]["FunctionName"]["Ref"])
    assert config["Properties"]["Qualifier"] == "$LATEST"
    assert config["Properties"]["MaximumRetryAttempts"] == 0
    assert config["Properties"]["MaximumEventAgeInSeconds"] == 60


def function(template: Template, logical_id: str) -> Any:
    return resources(template, "AWS::Lambda::Function")[logical_id]["Properties"]


def test_completions_reach_the_finished_queue_and_the_starting_function(template: Template) -> None:
    subscriptions = {
        one["Properties"]["Protocol"]: one["Properties"]
        for one in resources(template, "AWS::SNS::Subscription").values()
    }

    assert set(subscriptions) == {"sqs", "lambda"}
    assert subscriptions["sqs"]["Endpoint"] == {"Fn::GetAtt": ["FinishedA941F288", "Arn"]}
    assert subscriptions["sqs"]["RawMessageDelivery"] is True
    assert "FinishedDead3E712448" in json.dumps(subscriptions["sqs"]["RedrivePolicy"])
    [start] = [
        name
        for name, it in resources(template, "AWS::Lambda::Function").items()
        if it["Properties"]["Handler"] == "lambdas.start_analysis.handler"
    ]
    assert subscriptions["lambda"]["Endpoint"] == {"Fn::GetAtt": [start, "Arn"]}


def test_functions_log_where_the_stack_says_and_not_for_ever(template: Template) -> None:
    template.all_resources_properties("AWS::Logs::LogGroup", {"RetentionInDays": 30})
    for properties in functions(template).values():
        assert "Ref" in properties["LoggingConfig"]["LogGroup"]


def test_the_table_is_what_the_handlers_tests_use(template: Template) -> None:
    [table] = resources(template, "AWS::DynamoDB::Table").values()

    for name in ("KeySchema", "BillingMode", "GlobalSecondaryIndexes"):
        assert table["Properties"][name] == TABLE[name]
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_outputs_have_the_names_that_people_and_programs_rely_on(template: Template) -> None:
    assert {"VideosBucket", "ResultsBucket", "JobsTable"} <= set(template.to_json()["Outputs"])


def test_no_physical_name_keeps_a_second_copy_out(template: Template) -> None:
    named = {
        "AWS::S3::Bucket": "BucketName",
        "AWS::DynamoDB::Table": "TableName",
        "AWS::SQS::Queue": "QueueName",
        "AWS::SNS::Topic": "TopicName",
        "AWS::Lambda::Function": "FunctionName",
        "AWS::IAM::Role": "RoleName",
        "AWS::Logs::LogGroup": "LogGroupName",
        "AWS::Events::Rule": "Name",
    }
    for kind, name in named.items():
        for resource in resources(template, kind).values():
            assert name not in resource.get("Properties", {})


def test_an_existing_bucket_is_announced_from_and_not_made(with_settings: Callable[..., Template]) -> None:
    template = with_settings(videos_bucket="our-videos")

    assert len(resources(template, "AWS::S3::Bucket")) == 1
    [notifications] = resources(template, "Custom::S3BucketNotifications").values()
    assert notifications["Properties"]["BucketName"] == "our-videos"
    assert notifications["Properties"]["Managed"] is False
    assert template.to_json()["Outputs"]["VideosBucket"]["Value"] == "our-videos"


@pytest.mark.parametrize("existing", ["", "our-videos"])
def test_a_bucket_may_announce_by_eventbridge(with_settings: Callable[..., Template], existing: str) -> None:
    template = with_settings(uploads_from="eventbridge", videos_bucket=existing)

    [rule] = [
        rule["Properties"]
        for rule in resources(template, "AWS::Events::Rule").values()
        if "EventPattern" in rule["Properties"]
    ]
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [existing or {"Ref": "Videos88AE8DA0"}]}},
    }
    [target] = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["Uploads4F6EB0FD", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["UploadsDead8782C920", "Arn"]}}
    assert "RetryPolicy" not in target  # for a day, and 185 times
    assert template.to_json()["Outputs"]["UploadsFrom"]["Value"] == "eventbridge"


def test_the_stacks_own_bucket_tells_eventbridge_and_nothing_else(with_settings: Callable[..., Template]) -> None:
    template = with_settings(uploads_from="eventbridge")

    videos = resources(template, "AWS::S3::Bucket")["Videos88AE8DA0"]["Properties"]
    assert videos["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    template.resource_count_is("Custom::S3BucketNotifications", 0)


def test_an_existing_bucket_tells_eventbridge_beside_what_it_announces_once_the_rule_is_there(
    with_settings: Callable[..., Template],
) -> None:
    template = with_settings(uploads_from="eventbridge", videos_bucket="our-videos")

    [notifications] = resources(template, "Custom::S3BucketNotifications").values()
    assert notifications["Properties"]["NotificationConfiguration"] == {"EventBridgeConfiguration": {}}
    assert notifications["Properties"]["Managed"] is False
    [rule] = [name for name in resources(template, "AWS::Events::Rule") if not name.startswith("Tick")]
    assert rule in notifications["DependsOn"]


@pytest.mark.parametrize("key", ["true", "false"])
@pytest.mark.parametrize("queue", ["Uploads4F6EB0FD", "UploadsDead8782C920"])
def test_eventbridge_may_send_to_the_uploads_queue_and_its_dead_letter_queue(
    with_settings: Callable[..., Template], queue: str, key: str
) -> None:
    template = with_settings(uploads_from="eventbridge", customer_managed_key=key)

    [policy] = [
        policy["Properties"]["PolicyDocument"]
        for policy in resources(template, "AWS::SQS::QueuePolicy").values()
        if policy["Properties"]["Queues"] == [{"Ref": queue}]
    ]
    [sending] = [s for s in policy["Statement"] if s["Principal"] == {"Service": "events.amazonaws.com"}]
    assert "sqs:SendMessage" in as_list(sending["Action"])
    assert sending["Condition"]  # of this rule, or of this account


def test_s3_alone_sends_to_the_uploads_queue_where_eventbridge_does_not(template: Template) -> None:
    [policy] = [
        policy["Properties"]["PolicyDocument"]
        for policy in resources(template, "AWS::SQS::QueuePolicy").values()
        if policy["Properties"]["Queues"] == [{"Ref": "Uploads4F6EB0FD"}]
    ]

    assert [s["Principal"] for s in policy["Statement"] if s["Effect"] == "Allow"] == [{"Service": "s3.amazonaws.com"}]
    assert template.to_json()["Outputs"]["UploadsFrom"]["Value"] == "notifications"


def test_the_key_of_an_existing_bucket_is_told_to_the_command_line(with_settings: Callable[..., Template]) -> None:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"

    outputs = with_settings(videos_bucket="our-videos", videos_key_arn=arn).to_json()["Outputs"]

    assert outputs["VideosKeyArn"]["Value"] == arn


# What of each kind says with which key it encrypts.
KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "AWS::S3::Bucket": lambda it: it["BucketEncryption"]["ServerSideEncryptionConfiguration"],
    "AWS::DynamoDB::Table": lambda it: it["SSESpecification"],
    "AWS::SQS::Queue": lambda it: it["KmsMasterKeyId"],
    "AWS::SNS::Topic": lambda it: it["KmsMasterKeyId"],
    "AWS::Logs::LogGroup": lambda it: it["KmsKeyId"],
    "AWS::Lambda::Function": lambda it: it["KmsKeyArn"],
}


def test_a_customer_managed_key_encrypts_everything(with_settings: Callable[..., Template]) -> None:
    template = with_settings(customer_managed_key="true")
    key = the_key(template)

    for kind, of in KEYS.items():
        assert resources(template, kind)
        for name, resource in resources(template, kind).items():
            assert found_in(of(resource["Properties"])) == {key}, name
    for bucket in resources(template, "AWS::S3::Bucket").values():
        [rule] = KEYS["AWS::S3::Bucket"](bucket["Properties"])
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert rule["BucketKeyEnabled"] is True  # or each object costs a call to KMS


def test_without_it_everything_but_the_topic_is_encrypted_with_keys_of_aws(template: Template) -> None:
    """DynamoDB, CloudWatch Logs and Lambda do so when nothing is said; SNS has none that costs nothing."""
    for queue in resources(template, "AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
    for bucket in resources(template, "AWS::S3::Bucket").values():
        [rule] = KEYS["AWS::S3::Bucket"](bucket["Properties"])
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def the_key(template: Template) -> str:
    """The name under which the key's own stack exports it."""
    [name] = found_in(template.to_json()["Resources"])
    return name


def found_in(value: Any) -> set[str]:
    """All that `value` imports of other stacks."""
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            return {value["Fn::ImportValue"]}
        value = list(value.values())
    return set().union(*(found_in(one) for one in value)) if isinstance(value, list) else set()


def test_both_functions_and_the_publisher_may_use_the_key(with_settings: Callable[..., Template]) -> None:
    template = with_settings(customer_managed_key="true")

    for role, needed in (
        ("StartAnalysis", {"kms:Decrypt", "kms:GenerateDataKey"}),
        ("CollectResults", {"kms:Decrypt", "kms:GenerateDataKey"}),
        # Without these, every completion would be lost in silence.
        ("Publisher", {"kms:Decrypt", "kms:GenerateDataKey*"}),
    ):
        found = [s for s in statements(template, role) if any(a.startswith("kms:") for a in as_list(s["Action"]))]
        assert {action for statement in found for action in as_list(statement["Action"])} == needed
        assert {name for statement in found for name in found_in(statement["Resource"])} == {the_key(template)}


@pytest.mark.parametrize(("retain", "policy"), [("true", "Retain"), ("false", "Delete")])
def test_the_key_goes_with_its_own_stack_and_no_change_of_another_takes_it_away(
    with_settings: Callable[..., Template], retain: str, policy: str
) -> None:
    """CloudFormation deletes what leaves a template; turned off, the setting leaves buckets that need the key."""
    alone = with_settings(of=RekognitionBatchKey, customer_managed_key="true", retain_data=retain)
    work = with_settings(customer_managed_key="true", retain_data=retain)

    work.resource_count_is("AWS::KMS::Key", 0)
    alone.all_resources("AWS::KMS::Key", {"DeletionPolicy": policy, "UpdateReplacePolicy": policy})
    # CloudFormation deletes no export that another stack imports, so the data goes before the key.
    exports = {output["Export"]["Name"] for output in alone.to_json()["Outputs"].values()}
    assert exports == {the_key(work)}


@pytest.mark.parametrize(
    ("uploads_from", "services"),
    [("notifications", {"s3", "sns", "logs"}), ("eventbridge", {"s3", "sns", "logs", "events"})],
)
def test_the_services_that_send_to_queues_may_use_the_key_and_no_other(
    with_settings: Callable[..., Template], uploads_from: str, services: set[str]
) -> None:
    template = with_settings(of=RekognitionBatchKey, customer_managed_key="true", uploads_from=uploads_from)

    [key] = resources(template, "AWS::KMS::Key").values()
    assert key["Properties"]["EnableKeyRotation"] is True
    let = {
        str(service if isinstance(service, str) else service["Fn::Join"][1][0]).split(".")[0]: statement
        for statement in key["Properties"]["KeyPolicy"]["Statement"]
        for service in as_list(statement["Principal"].get("Service", []))
    }
    assert set(let) == services
    for name, statement in let.items():
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(statement["Action"])
        # Each for this account only, but EventBridge, which says no account where the target is encrypted.
        assert ("Condition" in statement) == (name != "events")


def test_the_app_is_deployed_by_name_and_described(template: Template) -> None:
    assert re.search("Rekognition", template.to_json()["Description"])


def test_as_many_collectors_run_at_a_time_as_the_bench_has_found_to_do(template: Template) -> None:
    sources = template.find_resources("AWS::Lambda::EventSourceMapping").values()

    at_a_time = {
        source["Properties"]["ScalingConfig"]["MaximumConcurrency"]
        for source in sources
        if "Finished" in json.dumps(source["Properties"]["EventSourceArn"])
    }

    assert at_a_time == {burst.COLLECTORS}


def test_nothing_of_mediaconvert_is_there_where_videos_are_not_converted(template: Template) -> None:
    assert "mediaconvert" not in json.dumps(template.to_json()).lower()
    assert "CONVERTER" not in json.dumps(template.to_json())


def test_where_videos_are_converted_both_functions_know_it_and_so_does_the_command_line(
    with_settings: Callable[..., Template],
) -> None:
    template = with_settings(convert="mediaconvert")

    for properties in functions(template).values():
        assert properties["Environment"]["Variables"]["CONVERTER_ROLE_ARN"] == {
            "Fn::GetAtt": ["ConverterADEF5D00", "Arn"]
        }
    assert template.to_json()["Outputs"]["Convert"]["Value"] == "mediaconvert"


def test_the_starting_function_hears_of_the_end_of_this_stacks_conversions_alone(
    with_settings: Callable[..., Template],
) -> None:
    rules = resources(with_settings(convert="mediaconvert"), "AWS::Events::Rule")

    [rule] = [rule["Properties"] for rule in rules.values() if "EventPattern" in rule["Properties"]]
    assert rule["EventPattern"]["source"] == ["aws.mediaconvert"]
    assert rule["EventPattern"]["detail"] == {
        "status": ["COMPLETE", "ERROR", "CANCELED"],
        "userMetadata": {"rekognition-batch": [{"Ref": "Results25575328"}]},
    }
    assert rule["Targets"][0]["Arn"]["Fn::GetAtt"][0].startswith("StartAnalysis")


def test_converted_copies_expire_whether_or_not_the_setting_is_still_on(template: Template) -> None:
    [rules] = [
        bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        for name, bucket in resources(template, "AWS::S3::Bucket").items()
        if name.startswith("Results")
    ]

    assert {"Id": "ConvertedCopies", "Prefix": "converted/", "ExpirationInDays": 14, "Status": "Enabled"} in rules
