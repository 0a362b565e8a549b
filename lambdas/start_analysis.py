"""The starting function: enqueue uploads, start jobs, on an upload, the end of a job or a conversion, or the tick."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lambdas import wiring
from lambdas.aws.batches import handle_each
from lambdas.aws.headers import HeaderOf, read_ahead
from lambdas.aws.telemetry import Count, count, logger, metrics
from lambdas.logic.scheduler import SPARE, EnoughTime
from lambdas.model.errors import MalformedEvent
from lambdas.model.events import NotOurs, Upload, conversion_in, notifications_in, trigger_of, uploads_in
from lambdas.model.video_header import VideoHeader

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

FOR_HEADERS = 30_000  # ms left, half of the function's time, at which headers are left to the scheduler


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: "LambdaContext") -> Any:
    """Handle an SQS batch of uploads, SNS's notification of a job's end, MediaConvert's event, or the minute tick."""

    def enough_time() -> bool:
        return context.get_remaining_time_in_millis() > SPARE

    match trigger_of(event):
        case "tick":
            return wiring.scheduler().tick(context.get_remaining_time_in_millis)
        case "completion":
            return _completed(event, enough_time)
        case "conversion":
            return wiring.scheduler().fill_after_conversion(conversion_in(event), enough_time)
        case "uploads":
            return _uploaded(event, context, enough_time)


def _completed(event: dict[str, Any], enough_time: EnoughTime) -> None:
    for notification in notifications_in(event):
        if isinstance(notification, NotOurs) or notification.rekognition_job_id is None:
            continue  # the collecting function sends the same message
        wiring.scheduler().fill_after_completion(notification.job_id, notification.rekognition_job_id, enough_time)


def _uploaded(event: dict[str, Any], context: "LambdaContext", enough_time: EnoughTime) -> Any:
    enqueued = 0

    def enqueue(record: "SQSRecord") -> None:
        nonlocal enqueued
        for upload in uploads_in(record.body):
            enqueued += _enqueue(upload, header_of)

    def read(upload: Upload) -> VideoHeader | None:
        return wiring.videos().header(upload) if context.get_remaining_time_in_millis() > FOR_HEADERS else None

    with read_ahead(list(filter(_is_video, _uploads(event))), read) as header_of:
        failures = handle_each(event, context, enqueue)
    try:
        wiring.scheduler().fill_after_uploads(enqueued, enough_time)
    except Exception:
        # The uploads are in the table, so a failure would only deliver them again. The next tick fills the slots.
        logger.exception("could not fill slots after uploads")
    return failures


def _uploads(event: dict[str, Any]) -> Iterator[Upload]:
    """All that the messages announce; a malformed one is reported when its turn comes."""
    for record in event["Records"]:
        with suppress(MalformedEvent):
            yield from uploads_in(record["body"])


def _is_video(upload: Upload) -> bool:
    return not upload.key.endswith("/") and upload.key.lower().endswith(wiring.settings().video_extensions)


def _enqueue(upload: Upload, header_of: HeaderOf) -> int:
    with logger.append_context_keys(bucket=upload.bucket, key=upload.key):
        if not _is_video(upload):
            logger.info("ignored: not a video by its extension")
            count(Count.UPLOADS_IGNORED)
            return 0
        return wiring.enqueuer().enqueue(upload, header_of)
