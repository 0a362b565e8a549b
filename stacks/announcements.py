"""How the uploads queue learns of every new object in the videos bucket."""

from typing import cast

from aws_cdk import (
    Stack,
    aws_events as events,
    aws_events_targets as targets,
    aws_iam as iam,
    aws_s3 as s3,
    aws_s3_notifications as notifications,
)
from constructs import Construct

from stacks.settings import Settings
from stacks.storage import DataBucket, WorkQueue


def announce_uploads(scope: Construct, *, settings: Settings, videos: s3.IBucket, uploads: WorkQueue) -> None:
    """Have every new object of `videos` announced in `uploads`, in the way that the settings say."""
    if settings.uploads_from == "eventbridge":
        _by_eventbridge(scope, videos, uploads)
    elif isinstance(videos, DataBucket):
        _by_notifications(scope, videos, uploads)
    else:
        # The bucket is not the stack's own and may have other notifications: this merges ours in, by a function of
        # CDK's own.
        videos.add_event_notification(s3.EventType.OBJECT_CREATED, notifications.SqsDestination(uploads))


def _by_notifications(scope: Construct, videos: DataBucket, uploads: WorkQueue) -> None:
    # Said directly, it needs no function. The queue's policy can't name the bucket, which can't be made before it;
    # what it must keep out is other people's buckets, and it does.
    announced = uploads.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sqs:SendMessage"],
            principals=[iam.ServicePrincipal("s3.amazonaws.com")],
            resources=[uploads.queue_arn],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
        )
    )
    bucket = cast("s3.CfnBucket", videos.node.default_child)
    bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        queue_configurations=[
            s3.CfnBucket.QueueConfigurationProperty(event="s3:ObjectCreated:*", queue=uploads.queue_arn)
        ]
    )
    videos.node.add_dependency(*filter(None, [announced.policy_dependable]))


def _by_eventbridge(scope: Construct, videos: s3.IBucket, uploads: WorkQueue) -> None:
    """S3 tells EventBridge of everything, whatever else the bucket announces to others; a rule picks new objects."""
    rule = events.Rule(
        scope,
        "NewObjects",
        description="Brings new objects of the videos bucket to the uploads queue",
        event_pattern=events.EventPattern(
            source=["aws.s3"], detail_type=["Object Created"], detail={"bucket": {"name": [videos.bucket_name]}}
        ),
        # EventBridge tries for a day; what it could not deliver by then lies beside what the function could not read.
        targets=[targets.SqsQueue(uploads, dead_letter_queue=uploads.dead)],
    )
    if isinstance(videos, DataBucket):
        bucket = cast("s3.CfnBucket", videos.node.default_child)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
    else:
        # CDK's function keeps what the bucket announces already, and leaves delivery on when the stack goes.
        videos.enable_event_bridge_notification()
        videos.node.add_dependency(rule)
