"""The parts, put together once per execution environment: the one place where clients and settings meet."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from lambdas.choosing import Chooser
from lambdas.clock import Clock
from lambdas.collecting import Collector
from lambdas.jobs import Jobs
from lambdas.outcome import Bus
from lambdas.queue import Queue
from lambdas.rekognition import Rekognition
from lambdas.results import Results
from lambdas.scheduler import Scheduler, Videos
from lambdas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

# Start is asked once: "no slot" is an answer, and boto3's standard mode would repeat it by itself.
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15)
# Get is free; what fails is mostly its rate (5 a second in most regions, for the whole account). The collector itself
# waits for its turn: botocore's quota of retries is soon used up (make bench-burst).
PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30)


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
    """A boto3 client, made when first needed (made at import, it would bypass the tests' stand-in for AWS)."""
    return boto3.client(service, config=config)  # type: ignore[call-overload]


@cache
def jobs() -> Jobs:
    """The jobs table."""
    return Jobs(client("dynamodb"), settings().jobs_table, clock())


def _rekognition() -> Rekognition:
    starter: RekognitionClient = client("rekognition", ONE_ATTEMPT)
    reader: RekognitionClient = client("rekognition", PATIENT)
    return Rekognition(starter, reader, topic_arn=settings().topic_arn, role_arn=settings().publisher_role_arn)


@cache
def scheduler() -> Scheduler:
    """What starts jobs."""
    queue = Queue(client("sqs"), settings().finished_queue_url)
    videos, bus = Videos(client("s3")), Bus(client("events"), clock())
    given = settings()
    return Scheduler(
        jobs(),
        _rekognition(),
        videos,
        queue,
        bus,
        clock(),
        chooser=Chooser(client("s3"), given.rules),
        most_running=given.most_running,
    )


@cache
def collector() -> Collector:
    """What collects a finished job's results."""
    queue = Queue(client("sqs"), settings().finished_queue_url)
    results = Results(client("s3"), settings().results_bucket)
    return Collector(jobs(), _rekognition(), results, queue, Bus(client("events"), clock()), clock())
