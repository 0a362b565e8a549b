"""A KMS key of the stack's own, for those whose rules demand one."""

from aws_cdk import Stack, aws_iam as iam, aws_kms as kms
from constructs import Construct

from stacks.settings import Settings


def customer_managed_key(scope: Construct, id: str, *, settings: Settings) -> kms.IKey:
    """A key that the services between an upload and its results may use for this account, and nobody else.

    What is returned is a reference by ARN: CDK would otherwise write the ARN of each topic into the key's policy, while
    the topic needs the key, and neither could be made first.
    """
    key = kms.Key(scope, id, enable_key_rotation=True, removal_policy=settings.removal_policy)
    this_account = {"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
    for service in ("s3", "sns"):  # S3 and SNS send to encrypted queues
        _use(key, f"{service}.amazonaws.com", this_account)
    if settings.uploads_from == "eventbridge":
        # As the EventBridge User Guide has it ("Event bus targets", encrypted queues), without a condition: source
        # account and ARN are known to silence it on encrypted topics. The queue's policy names the account.
        _use(key, "events.amazonaws.com", {})
    logs = Stack.of(scope).format_arn(service="logs", resource="*")
    _use(
        key,
        f"logs.{Stack.of(scope).region}.amazonaws.com",
        {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
        "kms:Encrypt",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:DescribeKey",
    )
    return kms.Key.from_key_arn(scope, f"{id}Reference", key.key_arn)


def _use(key: kms.Key, service: str, conditions: dict[str, dict[str, str]], *more: str) -> None:
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(service)],
            actions=["kms:Decrypt", "kms:GenerateDataKey", *more],
            resources=["*"],  # in a key's policy: this key
            conditions=conditions or None,
        )
    )
