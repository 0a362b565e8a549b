"""MediaConvert, where the setting ``convert`` is on: the role it works with, and who hears of its end."""

from aws_cdk import (
    Duration,
    Stack,
    aws_events as events,
    aws_events_targets as targets,
    aws_iam as iam,
    aws_kms as kms,
    aws_s3 as s3,
)
from constructs import Construct

from lambdas.model.conversion import COPIES, OWNER
from stacks.functions import Handler
from stacks.settings import Settings

MEDIACONVERT = "mediaconvert.amazonaws.com"


class Converter(iam.Role):
    """May read videos and write their converted copies, and be assumed by MediaConvert for this account's jobs."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        videos: s3.IBucket,
        results: s3.IBucket,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(
            scope,
            id,
            description="MediaConvert reads videos and writes converted copies with this",
            assumed_by=iam.ServicePrincipal(
                MEDIACONVERT,
                # MediaConvert User Guide, "Cross-service confused deputy prevention".
                conditions={
                    "StringEquals": {"aws:SourceAccount": Stack.of(scope).account},
                    "ArnLike": {"aws:SourceArn": queue_arn(scope)},
                },
            ),
        )
        self._allow([videos.arn_for_objects("*")], "s3:GetObject")
        self._allow([results.arn_for_objects(f"{COPIES}*")], "s3:PutObject")
        keys = [*([key.key_arn] if key else []), *([settings.videos_key_arn] if settings.videos_key_arn else [])]
        if keys:
            self._allow(keys, "kms:Decrypt", "kms:GenerateDataKey")

    def _allow(self, resources: list[str], *actions: str) -> None:
        self.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=resources))


def queue_arn(scope: Construct) -> str:
    """The queue to which jobs go: every account and region has this one, and it costs nothing while it is empty."""
    return Stack.of(scope).format_arn(service="mediaconvert", resource="queues", resource_name="Default")


def announce_conversions(scope: Construct, *, results: s3.IBucket, start: Handler) -> None:
    """Have `start` hear of the end of each conversion of this stack. A delivery that fails is not repeated: the tick
    finds the end of what no event told."""
    events.Rule(
        scope,
        "ConversionOver",
        description="Tells the starting function of the end of this stack's conversions",
        event_pattern=events.EventPattern(
            source=["aws.mediaconvert"],
            detail_type=["MediaConvert Job State Change"],
            detail={"status": ["COMPLETE", "ERROR", "CANCELED"], "userMetadata": {OWNER: [results.bucket_name]}},
        ),
        targets=[targets.LambdaFunction(start, retry_attempts=0, max_event_age=Duration.minutes(1))],
    )
