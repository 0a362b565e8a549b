"""What each function may do: the calls it makes, on what it makes them on, and nothing else.

tests/stacks/test_permissions.py compares this with the calls that the handlers make.
"""

from aws_cdk import Stack, aws_dynamodb as dynamodb, aws_iam as iam, aws_kms as kms, aws_s3 as s3
from constructs import IConstruct

from lambdas.model.analyses import CATALOGUE
from lambdas.model.conversion import COPIES
from stacks.conversion import MEDIACONVERT, Converter, queue_arn
from stacks.functions import Handler
from stacks.publisher import Publisher
from stacks.settings import Settings
from stacks.storage import WorkQueue

REKOGNITION = "rekognition.amazonaws.com"


def grant_work(function: Handler, *, jobs: dynamodb.Table, finished: WorkQueue, key: kms.IKey | None) -> None:
    """Let a function do what both do: change jobs, send messages about them, announce what became of them."""
    _allow(function, [jobs.table_arn], "dynamodb:GetItem", "dynamodb:UpdateItem")
    _allow(function, [finished.queue_arn], "sqs:SendMessage")
    bus = Stack.of(function).format_arn(service="events", resource="event-bus", resource_name="default")
    _allow(function, [bus], "events:PutEvents")
    if key:
        _allow(function, [key.key_arn], "kms:Decrypt", "kms:GenerateDataKey")


def grant_starting(
    start: Handler,
    *,
    settings: Settings,
    videos: s3.IBucket,
    jobs: dynamodb.Table,
    publisher: Publisher,
) -> None:
    """Let the starting function look at videos, have Rekognition analyse them, and keep their jobs."""
    _allow(start, [jobs.table_arn], "dynamodb:PutItem", "dynamodb:DeleteItem")
    _allow(start, [f"{jobs.table_arn}/index/{name}" for name in ("ByState", "Backlog")], "dynamodb:Query")

    # Rekognition reads the video with the rights of the caller of Start, and announces with a role it is passed.
    _allow(start, [videos.arn_for_objects("*")], "s3:GetObject", "s3:GetObjectVersion")
    if settings.upload_choice in ("tags", "both"):
        _allow(start, [videos.arn_for_objects("*")], "s3:GetObjectTagging", "s3:GetObjectVersionTagging")
    # Without ListBucket, S3 answers 403 for an object that isn't there, and "deleted" would read as "forbidden".
    _allow(start, [videos.bucket_arn], "s3:ListBucket")
    if settings.videos_key_arn:
        # Both, as the Rekognition Developer Guide's key policy gives them to the calling user ("Configuring Amazon
        # Rekognition Video"). No kms:ViaService: the guide doesn't say through which service Rekognition uses the key,
        # and with the wrong one each video would be refused.
        _allow(start, [settings.videos_key_arn], "kms:Decrypt", "kms:GenerateDataKey")
    _allow(start, [publisher.role_arn], "iam:PassRole", StringEquals={"iam:PassedToService": REKOGNITION})

    search = CATALOGUE["face-search"]
    without_resource = [analysis for analysis in settings.analyses_in_use if analysis != search]
    if without_resource:
        _allow(start, ["*"], *(f"rekognition:{analysis.start_operation}" for analysis in without_resource))
    # Of all these operations, one has a resource to name: the collection that is searched.
    ids = {choice[search.name]["CollectionId"] for choice in settings.choices if search.name in choice}
    if search.name in settings.uploaders_choose_from:
        ids = {"*"}
    if ids:
        _allow(start, _collections(start, ids), f"rekognition:{search.start_operation}")


def grant_converting(start: Handler, *, results: s3.IBucket, jobs: dynamodb.Table, converter: Converter) -> None:
    """Let the starting function have videos converted, and Rekognition read the copies with its rights."""
    _allow(start, [queue_arn(start)], "mediaconvert:CreateJob", "mediaconvert:ListJobs")
    # MediaConvert chooses the ids of jobs.
    anyones = Stack.of(start).format_arn(service="mediaconvert", resource="jobs", resource_name="*")
    _allow(start, [anyones], "mediaconvert:GetJob")
    _allow(start, [converter.role_arn], "iam:PassRole", StringEquals={"iam:PassedToService": MEDIACONVERT})
    _allow(start, [results.arn_for_objects(f"{COPIES}*")], "s3:GetObject")
    # Without ListBucket, S3 answers 403 where a copy isn't there any more.
    _allow(start, [results.bucket_arn], "s3:ListBucket")
    # The other analyses of an upload, which share its conversion.
    _allow(start, [f"{jobs.table_arn}/index/ByVideo"], "dynamodb:Query")


def grant_collecting(collect: Handler, *, results: s3.IBucket) -> None:
    """Let the collecting function read what Rekognition found, and write it to the results bucket."""
    # Every analysis, not only those in use: a job that was started, and paid for, before a setting changed is
    # collected.
    _allow(collect, ["*"], *(f"rekognition:{analysis.get_operation}" for analysis in CATALOGUE.values()))
    for prefix, actions in WRITES.items():
        _allow(collect, [results.arn_for_objects(f"{prefix}/*")], *actions)
    # Without ListBucket, S3 answers 403 where a result isn't there yet.
    _allow(collect, [results.bucket_arn], "s3:ListBucket")


_WHOLE, _IN_PARTS = ("s3:PutObject",), ("s3:PutObject", "s3:AbortMultipartUpload")
# What the collecting function does under each prefix of the results bucket (lambdas/logic/results.py).
WRITES = {
    "results": ("s3:GetObject", *_IN_PARTS),  # it looks whose result is there; If-Match asks for GetObject too
    "superseded": _IN_PARTS,
    "rows": _IN_PARTS,
    "jobs": _WHOLE,
    "collecting": ("s3:GetObject", *_WHOLE, "s3:DeleteObject"),  # remainders that the next invocation reads
}


def _collections(scope: IConstruct, ids: set[str]) -> list[str]:
    stack = Stack.of(scope)
    return [stack.format_arn(service="rekognition", resource="collection", resource_name=name) for name in sorted(ids)]


def _allow(function: Handler, resources: list[str], *actions: str, **conditions: object) -> None:
    """Let `function` do exactly `actions` on `resources`. (CDK's own grants are wider, or there is none.)"""
    function.add_to_role_policy(
        iam.PolicyStatement(actions=list(actions), resources=resources, conditions=conditions or None)
    )
