"""The stack, in the order data flows: where it lands, what waits, what announces the end, what runs; wiring last."""

import json
from typing import cast

from aws_cdk import (
    CfnOutput,
    Duration,
    Stack,
    aws_events as events,
    aws_events_targets as targets,
    aws_iam as iam,
    aws_lambda as lambda_,
    aws_lambda_event_sources as sources,
    aws_s3 as s3,
    aws_s3_notifications as notifications,
    aws_sns as sns,
    aws_sns_subscriptions as subscriptions,
)
from constructs import Construct

from lambdas.analyses import CATALOGUE
from stacks import acknowledged
from stacks.encryption import customer_managed_key
from stacks.functions import Handler
from stacks.publisher import Publisher
from stacks.settings import Settings
from stacks.storage import DataBucket, WorkQueue, jobs_table

REKOGNITION = "rekognition.amazonaws.com"
START_TIMEOUT = Duration.seconds(60)
COLLECT_TIMEOUT = Duration.minutes(5)


class RekognitionBatch(Stack):
    """Videos in, results out."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(
            scope, id, description="Drop a video into an S3 bucket, and its Amazon Rekognition results appear."
        )
        key = customer_managed_key(self, "Key", settings=settings) if settings.customer_managed_key else None

        videos: s3.IBucket = (
            s3.Bucket.from_bucket_name(self, "Videos", settings.videos_bucket)
            if settings.videos_bucket
            else DataBucket(self, "Videos", settings=settings, key=key)
        )
        results = DataBucket(self, "Results", settings=settings, key=key)
        results.add_lifecycle_rule(id="UnfinishedCollections", prefix="collecting/", expiration=Duration.days(8))
        results.add_lifecycle_rule(id="AnswersOfQueries", prefix="queries/", expiration=Duration.days(30))
        self.results, self.key = results, key  # for the stack that asks them
        jobs = jobs_table(self, "Jobs", settings=settings, key=key)

        uploads = WorkQueue(self, "Uploads", consumer_timeout=START_TIMEOUT, key=key)
        finished = WorkQueue(self, "Finished", consumer_timeout=COLLECT_TIMEOUT, key=key)

        job_finished = sns.Topic(self, "JobFinished", enforce_ssl=True, master_key=key)
        publisher = Publisher(self, "Publisher", topic=job_finished)

        environment = {
            "JOBS_TABLE": jobs.table_name,
            "VIDEOS_BUCKET": videos.bucket_name,
            "RESULTS_BUCKET": results.bucket_name,
            "FINISHED_QUEUE_URL": finished.queue_url,
            "JOB_FINISHED_TOPIC_ARN": job_finished.topic_arn,
            "PUBLISHER_ROLE_ARN": publisher.role_arn,
            "VIDEO_EXTENSIONS": ",".join(settings.video_extensions),
            "MAX_RUNNING_JOBS": str(settings.max_running_jobs),
            "ANALYSES": json.dumps(settings.analyses, separators=(",", ":")),
            "ROUTES": json.dumps(settings.routes, separators=(",", ":")),
            "UPLOAD_CHOICE": settings.upload_choice,
            "ALLOWED_ANALYSES": ",".join(settings.allowed_analyses),
        }
        start = Handler(
            self,
            "StartAnalysis",
            "lambdas.start_analysis.handler",
            description="Turns uploads into jobs and starts them as slots come free",
            settings=settings,
            key=key,
            memory=512,
            timeout=START_TIMEOUT,
            environment=environment,
        )
        collect = Handler(
            self,
            "CollectResults",
            "lambdas.collect_results.handler",
            description="Brings the results of finished jobs to the results bucket",
            settings=settings,
            key=key,
            memory=1024,
            timeout=COLLECT_TIMEOUT,
            environment=environment,
            # It hands very long results over to itself through its own queue, which AWS would take for a runaway loop
            # and stop at the sixteenth time.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

        self._announce_uploads(videos, uploads)
        start.add_event_source(
            sources.SqsEventSource(uploads, batch_size=10, max_concurrency=5, report_batch_item_failures=True)
        )
        job_finished.add_subscription(
            subscriptions.SqsSubscription(finished, raw_message_delivery=True, dead_letter_queue=finished.dead)
        )
        job_finished.add_subscription(subscriptions.LambdaSubscription(start))  # a slot came free
        collect.add_event_source(
            sources.SqsEventSource(finished, batch_size=1, max_concurrency=10, report_batch_item_failures=True)
        )
        tick = events.Rule(
            self,
            "Tick",
            description="Mends what was left undone, and fills slots that came free unannounced",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            # A tick that fails is not repeated: the next one comes in a minute.
            targets=[targets.LambdaFunction(start, retry_attempts=0, max_event_age=Duration.minutes(1))],
        )

        self._allow_rekognition(start, collect, settings)
        # Rekognition reads the video with the rights of who calls Start, and announces with a role it is passed.
        allow(start, [videos.arn_for_objects("*")], "s3:GetObject", "s3:GetObjectVersion")
        if settings.upload_choice in ("tags", "both"):
            allow(start, [videos.arn_for_objects("*")], "s3:GetObjectTagging", "s3:GetObjectVersionTagging")
        allow(start, [publisher.role_arn], "iam:PassRole", StringEquals={"iam:PassedToService": REKOGNITION})
        # Without ListBucket, S3 answers 403 for an object that isn't there, and "deleted" would read as "forbidden".
        allow(start, [videos.bucket_arn], "s3:ListBucket")
        allow(collect, [results.bucket_arn], "s3:ListBucket")
        allow(
            collect,
            [
                results.arn_for_objects(f"{prefix}/*")
                for prefix in ("results", "rows", "jobs", "superseded", "collecting")
            ],
            "s3:GetObject",
            "s3:PutObject",
            "s3:AbortMultipartUpload",
        )
        allow(collect, [results.arn_for_objects("collecting/*")], "s3:DeleteObject")
        bus = events.EventBus.from_event_bus_name(self, "DefaultBus", "default")
        for function in (start, collect):
            allow(function, [jobs.table_arn], "dynamodb:GetItem", "dynamodb:UpdateItem")
            allow(function, [finished.queue_arn], "sqs:SendMessage")
            bus.grant_put_events_to(function)
            if key:
                allow(function, [key.key_arn], "kms:Decrypt", "kms:GenerateDataKey")
        allow(start, [jobs.table_arn], "dynamodb:PutItem")
        allow(start, [f"{jobs.table_arn}/index/ByState"], "dynamodb:Query")

        for name, value in (
            ("VideosBucket", videos.bucket_name),
            ("ResultsBucket", results.bucket_name),
            ("JobsTable", jobs.table_name),
            # What the command line works with beside these.
            ("UploadsQueue", uploads.queue_url),
            ("UploadsDeadLetterQueue", uploads.dead.queue_url),
            ("FinishedQueue", finished.queue_url),
            ("FinishedDeadLetterQueue", finished.dead.queue_url),
            ("JobFinishedTopic", job_finished.topic_arn),
            ("PublisherRole", publisher.role_arn),
            ("StartFunction", start.function_name),
            ("CollectFunction", collect.function_name),
            ("StartLogs", start.log_group.log_group_name),
            ("CollectLogs", collect.log_group.log_group_name),
            ("TickRule", tick.rule_name),
            ("VideoExtensions", ",".join(settings.video_extensions)),
            ("Analyses", json.dumps(settings.analyses)),
            ("Routes", json.dumps(settings.routes)),
            ("UploadChoice", settings.upload_choice),
            ("AllowedAnalyses", ",".join(settings.uploaders_choose_from) or "none"),
        ):
            CfnOutput(self, name, value=value)
        acknowledged.findings(self, videos=videos, results=results)

    def _allow_rekognition(self, start: Handler, collect: Handler, settings: Settings) -> None:
        """Let the functions call what may come to be called, and no other operation."""
        search = CATALOGUE["face-search"]
        without_resource = [analysis for analysis in settings.analyses_in_use if analysis != search]
        if without_resource:
            allow(start, ["*"], *(f"rekognition:{analysis.start_operation}" for analysis in without_resource))
        # Of all these operations, one has a resource to name: the collection that is searched.
        ids = {choice[search.name]["CollectionId"] for choice in settings.choices if search.name in choice}
        if search.name in settings.uploaders_choose_from:
            ids = {"*"}
        if ids:
            collections = [
                self.format_arn(service="rekognition", resource="collection", resource_name=name)
                for name in sorted(ids)
            ]
            allow(start, collections, f"rekognition:{search.start_operation}")
        allow(collect, ["*"], *(f"rekognition:{analysis.get_operation}" for analysis in settings.analyses_in_use))

    def _announce_uploads(self, videos: s3.IBucket, uploads: WorkQueue) -> None:
        """Have every new object of the videos bucket announced in the uploads queue."""
        if not isinstance(videos, DataBucket):
            # The bucket is somebody else's and may announce other things to others: this merges, by a function of
            # CDK's own.
            videos.add_event_notification(s3.EventType.OBJECT_CREATED, notifications.SqsDestination(uploads))
            return
        # Said directly, it needs no function. The queue's policy can't name the bucket, which can't be made before it;
        # what it must keep out is other people's buckets, and it does.
        announced = uploads.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sqs:SendMessage"],
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                resources=[uploads.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        bucket = cast("s3.CfnBucket", videos.node.default_child)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(event="s3:ObjectCreated:*", queue=uploads.queue_arn)
            ]
        )
        videos.node.add_dependency(*filter(None, [announced.policy_dependable]))


def allow(function: Handler, resources: list[str], *actions: str, **conditions: object) -> None:
    """Let `function` do exactly `actions` on `resources`. (CDK's own grants are wider, or there is none.)"""
    function.add_to_role_policy(
        iam.PolicyStatement(actions=list(actions), resources=resources, conditions=conditions or None)
    )
