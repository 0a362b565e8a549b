"""Telling the world how a job ended: an event on the account's default event bus, for whoever wants to build on it."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

    from lambdas.jobs import Job, State

SOURCE = "rekognition-batch"


class Bus:
    """EventBridge's default bus."""

    def __init__(self, events: "EventBridgeClient") -> None:
        self._events = events

    def announce(self, job: "Job", state: "State", **outcome: Any) -> None:
        """Put an event ``Job Succeeded``, ``Job Failed`` or ``Job Rejected`` on the bus.

        Call it before the state is written: then the event may come twice, but not never.
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
        self._events.put_events(
            Entries=[{"Source": SOURCE, "DetailType": f"Job {state.capitalize()}", "Detail": json.dumps(detail)}]
        )
