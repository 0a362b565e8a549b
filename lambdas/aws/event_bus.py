"""Announces the end of each job as an event on the account's default EventBridge bus."""

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.aws.telemetry import Count, count, logger
from lambdas.model.clock import Clock
from lambdas.model.errors import EventRefused

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from lambdas.model.job import Job, State

SOURCE = "rekognition-batch"
PAUSES = (0.2, 1.0, 3.0)  # seconds before each further try


class EventBus:
    """EventBridge's default bus."""

    def __init__(self, events: "EventBridgeClient", clock: Clock) -> None:
        self._events = events
        self._clock = clock

    def announce(self, job: "Job", state: "State", **outcome: Any) -> None:
        """Put an event ``Job Succeeded``, ``Job Failed`` or ``Job Rejected`` on the bus.

        Call it before the state is written, and write the state only if it returns: so delivery is at least once.

        Raises:
            EventRefused: EventBridge did not accept the event in several tries.
        """
        detail = {
            "job_id": job.job_id,
            "state": state,
            "video_bucket": job.bucket,
            "video_key": job.key,
            "video_etag": job.etag,
            "analysis": job.analysis,
            **outcome,
        }
        self.tell(f"Job {state.capitalize()}", **detail)

    def tell(self, what: str, **detail: Any) -> None:
        """Put an event on the bus, such as ``Starting Blocked``.

        Raises:
            EventRefused: EventBridge did not accept the event in several tries.
        """
        entry: PutEventsRequestEntryTypeDef = {"Source": SOURCE, "DetailType": what, "Detail": json.dumps(detail)}
        refusal = self._put(entry)
        for pause in PAUSES:
            if refusal is None:
                return
            self._clock.sleep(pause)
            refusal = self._put(entry)
        if refusal is not None:
            count(Count.EVENTS_FAILED)
            logger.error("EventBridge did not take the event", extra={"event": what, "error": refusal})
            raise EventRefused(f"EventBridge did not take the event {what!r}: {refusal}")

    def _put(self, entry: "PutEventsRequestEntryTypeDef") -> str | None:
        """Put one event; returns the reason of a refusal, or None."""
        try:
            answer = self._events.put_events(Entries=[entry])
        except (ClientError, BotoCoreError) as error:
            return str(error)
        if not answer["FailedEntryCount"]:  # PutEvents answers 200 even if it refuses entries
            return None
        failed = answer["Entries"][0]
        return f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
