"""Handles each message of a batch on its own: a failed message is retried alone, logged and counted."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from lambdas.aws.telemetry import Count, count, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


class _Batch(BatchProcessor):
    """Powertools' processor, which reports failed messages to SQS; this one also logs and counts them."""

    def failure_handler(self, record: Any, exception: Any) -> Any:
        logger.error(
            "could not handle a message; it comes again, and then lands in the dead-letter queue",
            extra={"message_id": record.message_id},
            exc_info=exception,
        )
        count(Count.MESSAGES_FAILED)
        return super().failure_handler(record, exception)


def handle_each(
    event: dict[str, Any], context: "LambdaContext", handle: "Callable[[SQSRecord], None]"
) -> Mapping[str, Any]:
    """Handle every message of an SQS event; returns the failed ones in Lambda's form."""
    return process_partial_response(
        event=event,
        record_handler=handle,
        processor=_Batch(event_type=EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )
