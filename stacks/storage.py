"""What holds data, and what holds work."""

from aws_cdk import Duration, aws_dynamodb as dynamodb, aws_kms as kms, aws_s3 as s3, aws_sqs as sqs
from constructs import Construct

from lambdas.model.conversion import COPIES
from stacks.settings import Settings

# As long as SQS keeps anything: what landed in a dead-letter queue outlasts a holiday.
LONGEST = Duration.days(14)
# A message is tried that often before it counts as broken. Nothing merely waiting is ever sent back to a queue.
TRIES = 5
COPIES_KEPT = Duration.days(14)


class DataBucket(s3.Bucket):
    """A private, encrypted bucket over TLS only, kept or deleted with its content as the settings say."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, key: kms.IKey | None) -> None:
        super().__init__(
            scope,
            id,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            bucket_key_enabled=True if key else None,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=settings.removal_policy,
            auto_delete_objects=not settings.retain_data,
            lifecycle_rules=[
                # Interrupted uploads are invisible and cost as much as what is seen. Rekognition forgets results after
                # 7 days, so an unfinished collection is of no use after that either.
                s3.LifecycleRule(id="InterruptedUploads", abort_incomplete_multipart_upload_after=Duration.days(8))
            ],
        )


def results_bucket(scope: Construct, id: str, *, settings: Settings, key: kms.IKey | None) -> DataBucket:
    """The results bucket, which drops by itself what is of use for days only."""
    results = DataBucket(scope, id, settings=settings, key=key)
    results.add_lifecycle_rule(id="UnfinishedCollections", prefix="collecting/", expiration=Duration.days(8))
    results.add_lifecycle_rule(id="AnswersOfQueries", prefix="queries/", expiration=Duration.days(30))
    # Longer than a back catalogue of 100,000 videos waits on 20 slots (six days). A copy that has expired when its turn
    # comes is made again. The rule is there without the setting convert too: it may have been on before.
    results.add_lifecycle_rule(id="ConvertedCopies", prefix=COPIES, expiration=COPIES_KEPT)
    return results


def jobs_table(scope: Construct, id: str, *, settings: Settings, key: kms.IKey | None) -> dynamodb.Table:
    """The table of jobs, with an index by state, one of the backlog and one by video."""
    table = dynamodb.Table(
        scope,
        id,
        partition_key=_text("job_id"),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else dynamodb.TableEncryption.DEFAULT,
        encryption_key=key,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        removal_policy=settings.removal_policy,
        deletion_protection=settings.retain_data,
    )
    table.add_global_secondary_index(
        index_name="ByState",
        partition_key=_text("state"),
        sort_key=_text("due_at"),
        # What the scheduler filters by: analyses it may not start now, results that wait to be collected.
        projection_type=dynamodb.ProjectionType.INCLUDE,
        non_key_attributes=["analysis", "slot_freed_at"],
    )
    # The jobs that wait, and only those, by class and share.
    table.add_global_secondary_index(
        index_name="Backlog",
        partition_key=_text("waiting_in"),
        sort_key=_text("due_at"),
        projection_type=dynamodb.ProjectionType.INCLUDE,
        non_key_attributes=["analysis"],
    )
    table.add_global_secondary_index(
        index_name="ByVideo",
        partition_key=_text("video"),
        sort_key=_text("registered_at"),
        projection_type=dynamodb.ProjectionType.KEYS_ONLY,
    )
    return table


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


class WorkQueue(sqs.Queue):
    """An encrypted queue with a dead-letter queue beside it (``<id>Dead``)."""

    def __init__(self, scope: Construct, id: str, *, consumer_timeout: Duration, key: kms.IKey | None) -> None:
        self.dead = sqs.Queue(
            scope,
            f"{id}Dead",
            encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=LONGEST,
        )
        super().__init__(
            scope,
            id,
            encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=LONGEST,
            # Six times the consumer's timeout (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"): Lambda may
            # hold a batch while it is throttled, and a message that comes back meanwhile counts as one more try.
            visibility_timeout=Duration.seconds(6 * consumer_timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=TRIES),
        )
