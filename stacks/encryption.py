"""A KMS key of the deployer's own, for those whose rules demand one."""

from aws_cdk import Stack, aws_iam as iam, aws_kms as kms
from constructs import Construct

from stacks.settings import Settings


class RekognitionBatchKey(Stack):
    """A key that only the services between an upload and its results may use, for this account.

    In a stack of its own, so that it outlives what it encrypts: CloudFormation deletes what leaves a template, and when
    ``customer_managed_key`` is turned off, buckets, table and logs stay and are still encrypted with it. This stack
    stays too, until it is destroyed itself, which CloudFormation refuses while another stack uses the key.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(scope, id, description="The KMS key that RekognitionBatch encrypts with.")
        self.key = kms.Key(self, "Key", enable_key_rotation=True, removal_policy=settings.removal_policy)
        # An import by name: CloudFormation deletes nothing that is exported as long as another stack imports it.
        self.key_arn = self.export_value(self.key.key_arn)

        this_account = {"StringEquals": {"aws:SourceAccount": self.account}}
        for service in ("s3", "sns"):  # S3 and SNS send to encrypted queues
            self._let(f"{service}.amazonaws.com", this_account)
        if settings.uploads_from == "eventbridge":
            # As the EventBridge User Guide has it ("Event bus targets", encrypted queues), without a condition: source
            # account and ARN are known to silence it on encrypted topics. The queue's policy names the account.
            self._let("events.amazonaws.com", {})
        self._let(
            f"logs.{self.region}.amazonaws.com",
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": self.format_arn(service="logs", resource="*")}},
            "kms:Encrypt",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:DescribeKey",
        )

    def _let(self, service: str, conditions: dict[str, dict[str, str]], *more: str) -> None:
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=["kms:Decrypt", "kms:GenerateDataKey", *more],
                resources=["*"],  # in a key's policy: this key
                conditions=conditions or None,
            )
        )
