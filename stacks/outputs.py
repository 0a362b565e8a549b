"""The stack's outputs, by which you and the command line find its parts; stored names (tests/test_stored_names.py)."""

from aws_cdk import (
    CfnOutput,
    Stack,
    aws_dynamodb as dynamodb,
    aws_events as events,
    aws_iam as iam,
    aws_s3 as s3,
    aws_sns as sns,
)

from stacks.functions import Handler
from stacks.settings import Settings
from stacks.storage import WorkQueue


def write_outputs(
    stack: Stack,
    *,
    settings: Settings,
    videos: s3.IBucket,
    results: s3.IBucket,
    jobs: dynamodb.Table,
    uploads: WorkQueue,
    finished: WorkQueue,
    job_finished: sns.Topic,
    publisher: iam.Role,
    start: Handler,
    collect: Handler,
    tick: events.Rule,
) -> None:
    """Write them all."""
    for name, value in {
        "VideosBucket": videos.bucket_name,
        "ResultsBucket": results.bucket_name,
        "JobsTable": jobs.table_name,
        "UploadsQueue": uploads.queue_url,
        "UploadsDeadLetterQueue": uploads.dead.queue_url,
        "FinishedQueue": finished.queue_url,
        "FinishedDeadLetterQueue": finished.dead.queue_url,
        "JobFinishedTopic": job_finished.topic_arn,
        "PublisherRole": publisher.role_arn,
        "StartFunction": start.function_name,
        "CollectFunction": collect.function_name,
        "StartLogs": start.log_group.log_group_name,
        "CollectLogs": collect.log_group.log_group_name,
        "TickRule": tick.rule_name,
        **settings.outputs,
    }.items():
        CfnOutput(stack, name, value=value)
