"""The stack, in the order data flows: where it lands, what waits, what announces the end, what runs; wiring last."""

from aws_cdk import (
    Duration,
    Stack,
    aws_kms as kms,
    aws_lambda as lambda_,
    aws_lambda_event_sources as sources,
    aws_s3 as s3,
    aws_sns as sns,
    aws_sns_subscriptions as subscriptions,
)
from constructs import Construct

from stacks import acknowledged
from stacks.announcements import announce_uploads
from stacks.conversion import Converter, announce_conversions
from stacks.encryption import RekognitionBatchKey
from stacks.functions import Handler
from stacks.outputs import write_outputs
from stacks.permissions import grant_collecting, grant_converting, grant_starting, grant_work
from stacks.publisher import Publisher
from stacks.settings import Settings
from stacks.storage import DataBucket, WorkQueue, jobs_table, results_bucket
from stacks.tick import Tick

START_TIMEOUT = Duration.seconds(60)
COLLECT_TIMEOUT = Duration.minutes(5)


class RekognitionBatch(Stack):
    """Videos in, results out."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, lock: RekognitionBatchKey | None) -> None:
        super().__init__(
            scope, id, description="Drop a video into an S3 bucket, and its Amazon Rekognition results appear."
        )
        key = None
        if lock:
            self.add_dependency(lock)
            key = kms.Key.from_key_arn(self, "KeyReference", lock.key_arn)

        videos: s3.IBucket = (
            s3.Bucket.from_bucket_name(self, "Videos", settings.videos_bucket)
            if settings.videos_bucket
            else DataBucket(self, "Videos", settings=settings, key=key)
        )
        results = results_bucket(self, "Results", settings=settings, key=key)
        self.results, self.key = results, key  # for the stack that asks them
        jobs = jobs_table(self, "Jobs", settings=settings, key=key)

        uploads = WorkQueue(self, "Uploads", consumer_timeout=START_TIMEOUT, key=key)
        finished = WorkQueue(self, "Finished", consumer_timeout=COLLECT_TIMEOUT, key=key)

        job_finished = sns.Topic(self, "JobFinished", enforce_ssl=True, master_key=key)
        publisher = Publisher(self, "Publisher", topic=job_finished)

        converter = None
        if settings.converts:
            converter = Converter(self, "Converter", settings=settings, videos=videos, results=results, key=key)

        environment = {
            "JOBS_TABLE": jobs.table_name,
            "VIDEOS_BUCKET": videos.bucket_name,
            "RESULTS_BUCKET": results.bucket_name,
            "FINISHED_QUEUE_URL": finished.queue_url,
            "JOB_FINISHED_TOPIC_ARN": job_finished.topic_arn,
            "PUBLISHER_ROLE_ARN": publisher.role_arn,
            **({"CONVERTER_ROLE_ARN": converter.role_arn} if converter else {}),
            **settings.environment,
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

        announce_uploads(self, settings=settings, videos=videos, uploads=uploads)
        start.add_event_source(
            sources.SqsEventSource(uploads, batch_size=10, max_concurrency=5, report_batch_item_failures=True)
        )
        job_finished.add_subscription(
            subscriptions.SqsSubscription(finished, raw_message_delivery=True, dead_letter_queue=finished.dead)
        )
        job_finished.add_subscription(subscriptions.LambdaSubscription(start))  # a slot came free
        # Lambda would repeat what failed twice, and keep what it throttled for six hours, tick and SNS alike. They
        # need neither: the next tick, within a minute, does once what a failed tick or completion left undone.
        start.configure_async_invoke(retry_attempts=0, max_event_age=Duration.minutes(1))
        # Six read as many pages as 20 Gets a second give, and don't wait for long where there are 5 (make bench-burst).
        collect.add_event_source(
            sources.SqsEventSource(finished, batch_size=1, max_concurrency=6, report_batch_item_failures=True)
        )
        tick = Tick(self, "Tick", function=start)
        if converter:
            announce_conversions(self, results=results, start=start)

        for function in (start, collect):
            grant_work(function, jobs=jobs, finished=finished, key=key)
        grant_starting(start, settings=settings, videos=videos, jobs=jobs, publisher=publisher)
        grant_collecting(collect, results=results)
        if converter:
            grant_converting(start, results=results, jobs=jobs, converter=converter)

        write_outputs(
            self,
            settings=settings,
            videos=videos,
            results=results,
            jobs=jobs,
            uploads=uploads,
            finished=finished,
            job_finished=job_finished,
            publisher=publisher,
            start=start,
            collect=collect,
            tick=tick,
        )
        acknowledged.findings(self, videos=videos, results=results)
