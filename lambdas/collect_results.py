"""The collecting function: write the results of jobs that have finished, or should have."""

from typing import TYPE_CHECKING, Any

from lambdas import wiring
from lambdas.aws.batches import handle_each
from lambdas.aws.telemetry import Count, count, logger, metrics
from lambdas.model.events import NotOurs, finished_in

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: "LambdaContext") -> Any:
    """Handle an SQS batch of messages, each about one job that may have finished."""

    def collect(record: "SQSRecord") -> None:
        finished = finished_in(record.body)
        if isinstance(finished, NotOurs):
            logger.warning("ignored: no job of ours", extra={"rekognition_job_id": finished.rekognition_job_id})
            count(Count.NOTIFICATIONS_IGNORED)
            return
        wiring.collector().collect(
            finished,
            owner=context.aws_request_id,
            milliseconds_left=context.get_remaining_time_in_millis,
        )

    return handle_each(event, context, collect)
