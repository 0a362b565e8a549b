"""Announcing on the event bus: what is said, how often it is tried, and what follows when it is not taken."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lambdas.aws.event_bus import EventBus
from lambdas.model.errors import EventRefused
from lambdas.model.events import Upload
from lambdas.model.job import new_job
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
    assert [entry for entry in events.entries if entry != events.entries[0]] == []
    assert clock.now() - START_OF_TIME == pytest.approx(0.2 + 1 + 3, abs=1e-3)


def test_the_end_of_a_job_is_announced_with_its_video_and_its_outcome() -> None:
    events = Events(TAKEN)
    job = new_job(Upload("videos", "x.mp4", "e", 7, "2027-01-15T08:00:00.000Z"), "face-detection", {}, START_OF_TIME)

    EventBus(events, VirtualClock()).announce(job, "SUCCEEDED", detections=3)

    [entry] = events.entries
    assert entry["DetailType"] == "Job Succeeded"
    assert json.loads(entry["Detail"]) == {
        "job_id": job.job_id,
        "state": "SUCCEEDED",
        "video_bucket": "videos",
        "video_key": "x.mp4",
        "video_etag": "e",
        "analysis": "face-detection",
        "detections": 3,
    }


def test_an_event_that_was_taken_is_not_put_again() -> None:
    events, clock = Events(REFUSED, TAKEN), VirtualClock()

    EventBus(events, clock).tell("Job Succeeded")

    assert len(events.entries) == 2
    assert clock.now() - START_OF_TIME == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (REFUSED, "ThrottlingException: slower"),
        (
            ClientError({"Error": {"Code": "InternalException", "Message": "no"}}, "PutEvents"),
            ".*InternalException.*no",
        ),
    ],
)
def test_an_event_that_is_refused_four_times_is_an_error_that_says_why(refusal: Any, says: str) -> None:
    events = Events(refusal, refusal, refusal, refusal)

    with pytest.raises(EventRefused, match=f"'Job Succeeded': {says}"):
        EventBus(events, VirtualClock()).tell("Job Succeeded")
