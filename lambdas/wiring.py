"""Builds the parts once per execution environment: the only module that joins clients and settings."""

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
import botocore
from botocore.config import Config

from lambdas.aws.event_bus import EventBus
from lambdas.aws.job_table import Jobs
from lambdas.aws.mediaconvert import MediaConvert
from lambdas.aws.queue import Queue
from lambdas.aws.rekognition import Rekognition
from lambdas.aws.telemetry import logger
from lambdas.aws.upload_choice import Chooser
from lambdas.aws.videos import Videos
from lambdas.logic.collector import Collector
from lambdas.logic.conversion import Converter
from lambdas.logic.enqueue import Enqueuer
from lambdas.logic.polling import Poller
from lambdas.logic.results import Results
from lambdas.logic.scheduler import Scheduler
from lambdas.model.clock import Clock
from lambdas.model.errors import WrongRuntime
from lambdas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

# The runtime brings boto3. 1.35.69 is the first version with IfMatch of PutObject and CompleteMultipartUpload:
# the handlers' tests fail with 1.35.68, and test_least_boto3.py runs them with 1.35.69.
LEAST_BOTOCORE = "1.35.69"


def require_botocore(least: str = LEAST_BOTOCORE) -> None:
    """Check that the runtime's botocore has everything that the functions call.

    Raises:
        WrongRuntime: it is too old. Also logged, because Lambda's own line about a failed import says little.
    """
    if _numbers(botocore.__version__) < _numbers(least):
        error = WrongRuntime(
            f"botocore {botocore.__version__} is too old: the functions need {least} or newer. Let the function's "
            "runtime be updated (Lambda, runtime management: Auto), or bundle a newer boto3"
        )
        logger.critical(str(error))
        raise error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])


require_botocore()

# One attempt per Start: "no slot" is an answer, and boto3's standard mode would retry it.
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15)
# Get is free and fails mostly by its rate (5 a second in most regions, for the whole account). The collector itself
# waits and retries, because botocore's retry quota is soon used up (make bench-burst).
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30)


# What is asked of S3 about a video is answered in a moment, and there may be many uploads in one message.
QUICK = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=5)
# A conversion can wait for the next tick, and uploads can't wait for long.
IMPATIENT = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=10)


@cache
def settings() -> Settings:
    """The settings in the environment."""
    return Settings.from_environment()


@cache
def clock() -> Clock:
    """The clock."""
    return Clock()


@cache
def client(service: str, config: Config | None = None) -> Any:
    """A boto3 client, made on first use (a client made at import would bypass the tests' fake of AWS)."""
    return boto3.client(service, config=config)  # type: ignore[call-overload]


@cache
def jobs() -> Jobs:
    """The jobs table."""
    return Jobs(client("dynamodb"), settings().jobs_table, clock(), settings().rules.weights)


def _rekognition() -> Rekognition:
    starter: RekognitionClient = client("rekognition", ONE_ATTEMPT)
    reader: RekognitionClient = client("rekognition", PATIENT)
    return Rekognition(
        starter,
        reader,
        topic_arn=settings().topic_arn,
        role_arn=settings().publisher_role_arn,
        results_bucket=settings().results_bucket,
    )


def _queue() -> Queue:
    return Queue(client("sqs"), settings().finished_queue_url)


def _bus() -> EventBus:
    return EventBus(client("events"), clock())


@cache
def videos() -> Videos:
    """The videos bucket."""
    return Videos(client("s3", QUICK))


def _chooser() -> Chooser:
    return Chooser(videos(), settings().rules)


@cache
def _converter() -> Converter | None:
    """The part that converts videos; None if the setting convert is off."""
    role_arn, results_bucket = settings().converter_role_arn, settings().results_bucket
    if role_arn is None:
        return None
    mediaconvert = MediaConvert(
        partial(client, "mediaconvert", IMPATIENT), results_bucket=results_bucket, role_arn=role_arn
    )
    return Converter(jobs(), mediaconvert, videos(), _bus(), clock(), results_bucket=results_bucket)


@cache
def enqueuer() -> Enqueuer:
    """The part that turns uploads into jobs."""
    return Enqueuer(jobs(), _queue(), _bus(), clock(), _chooser(), _converter())


@cache
def scheduler() -> Scheduler:
    """The scheduler."""
    return Scheduler(
        jobs(),
        _rekognition(),
        videos(),
        enqueuer(),
        Poller(jobs(), _queue(), clock()),
        _bus(),
        clock(),
        chooser=_chooser(),
        converter=_converter(),
        videos_bucket=settings().videos_bucket,
        most_running=settings().most_running,
        limits=settings().limits,
    )


@cache
def collector() -> Collector:
    """The collector."""
    results = Results(client("s3"), settings().results_bucket)
    converts = settings().converter_role_arn is not None
    return Collector(jobs(), _rekognition(), results, _queue(), _bus(), clock(), converts=converts)
