"""Logs and metrics, the same for both functions. Names of metrics are a contract: people build alarms on them."""

import warnings
from enum import StrEnum

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

# In most minutes nothing happens, and log lines cost money.
warnings.filterwarnings("ignore", message="No application metrics to publish")

logger = Logger()
metrics = Metrics(namespace="RekognitionBatch")


class Count(StrEnum):
    """The metrics. A metric costs money in each hour in which it is sent, so zeros are not sent."""

    UPLOADS_IGNORED = "UploadsIgnored"
    JOBS_REGISTERED = "JobsRegistered"
    JOBS_STARTED = "JobsStarted"
    STARTS_REFUSED = "StartsRefused"
    STARTS_THROTTLED = "StartsThrottled"
    STARTS_BLOCKED = "StartsBlocked"
    CONVERSIONS_BEGUN = "ConversionsBegun"
    CONVERSIONS_FAILED = "ConversionsFailed"
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
    """Count `what`; zero is not sent."""
    if how_many:
        metrics.add_metric(name=what, unit=MetricUnit.Count, value=how_many)
