"""Logs and metrics, the same for both functions. Names of metrics are a contract: people build alarms on them."""

import warnings
from enum import StrEnum

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

# Nothing happens in most minutes, and saying so costs money in the logs.
warnings.filterwarnings("ignore", message="No application metrics to publish")

logger = Logger()
metrics = Metrics(namespace="RekognitionBatch")


class Count(StrEnum):
    """What is counted. A metric costs money in each hour it is sent in, so nothing is sent when nothing happens."""

    UPLOADS_IGNORED = "UploadsIgnored"
    JOBS_REGISTERED = "JobsRegistered"
    JOBS_STARTED = "JobsStarted"
    STARTS_REFUSED = "StartsRefused"
    STARTS_THROTTLED = "StartsThrottled"
    STARTS_BLOCKED = "StartsBlocked"
    JOBS_POLLED = "JobsPolled"
    JOBS_REJECTED = "JobsRejected"
    JOBS_SUCCEEDED = "JobsSucceeded"
    JOBS_FAILED = "JobsFailed"
    ATTEMPTS_FAILED = "AttemptsFailed"
    DETECTIONS = "Detections"
    COLLECTIONS_DENIED = "CollectionsDenied"
    EVENTS_FAILED = "EventsFailed"
    NOTIFICATIONS_IGNORED = "NotificationsIgnored"
    MESSAGES_FAILED = "MessagesFailed"


def count(what: Count, how_many: int = 1) -> None:
    """Count `what`; nothing is sent for none."""
    if how_many:
        metrics.add_metric(name=what, unit=MetricUnit.Count, value=how_many)
