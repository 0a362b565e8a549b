"""Announcing on the event bus: what is said, how often it is tried, and what follows when it is not taken."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lambdas.aws.event_bus import EventBus
from lambdas.model.errors import EventRefused
from tests.fake_aws import START_OF_TIME, VirtualClock

TAKEN = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
REFUSED = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slower"}]}


class Events:
    """EventBridge, which gives these answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.entries: list[dict[str, Any]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> Any:
        self.entries += Entries
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_an_event_says_who_tells_what() -> None:
    events = Events(TAKEN)

    EventBus(events, VirtualClock()).tell("Starting Blocked", scope="videos")

    [entry] = events.entries
    assert (entry["Source"], entry["DetailType"]) == ("rekognition-batch", "Starting Blocked")
    assert json.loads(entry["Detail"]) == {"scope": "videos"}


@pytest.mark.parametrize(
    "refusal",
    [
        REFUSED,
        ClientError({"Error": {"Code": "InternalException", "Message": "no"}}, "PutEvents"),
        EndpointConnectionError(endpoint_url="https://events"),
    ],
)
def test_an_event_that_is_refused_is_put_again_after_longer_and_longer_pauses(refusal: Any) -> None:
    events, clock = Events(refusal, refusal, refusal, TAKEN), VirtualClock()

    EventBus(events, clock).tell("Job Succeeded")

    assert len(events.entries) == 4
    assert clock.now() == pytest.approx(START_OF_TIME + 0.2 + 1 + 3)


def test_an_event_that_was_taken_is_not_put_again() -> None:
    events, clock = Events(REFUSED, TAKEN), VirtualClock()

    EventBus(events, clock).tell("Job Succeeded")

    assert len(events.entries) == 2
    assert clock.now() == pytest.approx(START_OF_TIME + 0.2)


def test_an_event_that_is_refused_four_times_is_an_error_that_says_why() -> None:
    events = Events(REFUSED, REFUSED, REFUSED, REFUSED)

    with pytest.raises(EventRefused, match="'Job Succeeded': ThrottlingException: slower"):
        EventBus(events, VirtualClock()).tell("Job Succeeded")
