"""Findings of AWS Solutions' rules that are meant, each where it is found and with its reason."""

from aws_cdk import Acknowledgment, Stack, Validations, aws_s3 as s3
from constructs import IConstruct

from lambdas.model.conversion import COPIES
from stacks.permissions import WRITES

ACCESS_LOGS = "Access logs need a bucket of their own, and cost; who wants them adds CloudTrail data events."
RUNTIME = "3.13 is the newest runtime on which all of the code is tested, in the local cloud too."
REKOGNITION = "Rekognition's operations on stored video have no resource type."
OBJECTS = "Every object under the prefix, and nothing else, is what the function reads or writes."
DATA_KEYS = "What CDK grants with publishing to an encrypted topic: a data key, with or without its plain text."
KEY_POLICY = "The key's policy lets S3 use it already; see encryption.py."
COPIES_WRITTEN = "Every converted copy, under their prefix, is what the role writes."
CONVERSIONS = "MediaConvert chooses the ids of its jobs, so the function can't be given those of its own alone."
CDKS_OWN = "A function of CDK's own, deployed by it to set up or empty a bucket; its policies are CDK's."

BASIC_EXECUTION = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def findings(stack: Stack, *, videos: s3.IBucket, results: s3.IBucket) -> None:
    """Acknowledge what the stack does on purpose, finding by finding."""
    for bucket in (videos, results):
        _acknowledge(bucket, ("S1", ACCESS_LOGS))
    for name in ("StartAnalysis", "CollectResults"):
        _acknowledge(stack.node.find_child(name), ("L1", RUNTIME))
        _acknowledge(stack.node.find_child(f"{name}Role"), ("IAM5[Resource::*]", REKOGNITION))
    _acknowledge(stack.node.find_child("StartAnalysisRole"), (f"IAM5[Resource::{_arn(stack, videos)}/*]", OBJECTS))
    _acknowledge(
        stack.node.find_child("CollectResultsRole"),
        *((f"IAM5[Resource::{_arn(stack, results)}/{prefix}/*]", OBJECTS) for prefix in WRITES),
    )
    _acknowledge(stack.node.find_child("Publisher"), ("IAM5[Action::kms:GenerateDataKey*]", DATA_KEYS))
    if converter := stack.node.try_find_child("Converter"):
        copies = f"IAM5[Resource::{_arn(stack, results)}/{COPIES}*]"
        _acknowledge(converter, (f"IAM5[Resource::{_arn(stack, videos)}/*]", OBJECTS), (copies, COPIES_WRITTEN))
        jobs = "IAM5[Resource::arn:<AWS::Partition>:mediaconvert:<AWS::Region>:<AWS::AccountId>:jobs/*]"
        _acknowledge(stack.node.find_child("StartAnalysisRole"), (copies, OBJECTS), (jobs, CONVERSIONS))
    if reference := stack.node.try_find_child("KeyReference"):
        Validations.of(reference).acknowledge(
            Acknowledgment(id="@aws-cdk/aws-s3-notifications:sqsKMSPermissionsNotAdded", reason=KEY_POLICY)
        )
    for child in stack.node.children:
        if child.node.id.startswith(("BucketNotificationsHandler", "Custom::")):
            _acknowledge(
                child,
                (
                    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]",
                    CDKS_OWN,
                ),
                ("IAM5[Resource::*]", CDKS_OWN),
                ("L1", CDKS_OWN),
            )


def _arn(stack: Stack, bucket: s3.IBucket) -> str:
    """A bucket's ARN as the rules write it."""
    resource = bucket.node.default_child
    if isinstance(resource, s3.CfnBucket):
        return f"<{stack.get_logical_id(resource)}.Arn>"
    return f"arn:<AWS::Partition>:s3:::{bucket.bucket_name}"


def _acknowledge(construct: IConstruct, *findings: tuple[str, str]) -> None:
    Validations.of(construct).acknowledge(
        *(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason) for rule, reason in findings)
    )
