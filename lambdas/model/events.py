"""Parses AWS's messages into values; no other module reads ``["Records"][0]``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_plus

from lambdas.model.errors import MalformedEvent
from lambdas.model.shares import BACKFILL, PRIORITIES, Priority


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of one object, as S3 announced it."""

    bucket: str
    key: str  # decoded: S3 sends "a b+c.mp4" as "a+b%2Bc.mp4"
    etag: str
    size: int  # bytes
    uploaded_at: str  # ISO 8601, UTC
    # Orders events of one key, and of one key only. S3 sends hexadecimal text of varying length; padded here so that
    # text compares as the number does (Amazon S3 User Guide, "Event message structure").
    sequencer: str = ""
    version_id: str | None = None
    priority: Priority | None = None  # of an announcement by the command backfill


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that may have finished: from Rekognition's notification, or from our own message."""

    job_id: str  # ours; Rekognition carries it as JobTag
    rekognition_job_id: str | None = None  # None: the message is our own
    why: str = "notified"


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A notification of a job that another program started with the same topic."""

    rekognition_job_id: str


SEQUENCER_WIDTH = 32
BACKFILLED = "ObjectCreated:Backfill"  # the name of the event that the command backfill sends

Trigger = Literal["tick", "completion", "uploads", "conversion"]


def trigger_of(event: Mapping[str, Any]) -> Trigger:
    """The source of an invocation of the starting function: EventBridge's schedule, SNS, the uploads queue, or
    MediaConvert's event."""
    if event.get("source") == "aws.mediaconvert":
        return "conversion"
    records = event.get("Records")
    if not records:
        return "tick"
    return "completion" if "Sns" in records[0] else "uploads"


def uploads_in(body: str) -> list[Upload]:
    """The uploads that one message of the uploads queue announces: all its records, keys decoded.

    Takes S3's event notification, and the event of the same that S3 sends to EventBridge. S3's own test message (sent
    when notifications are switched on) announces none.

    Raises:
        MalformedEvent: the body is neither.
    """
    event = _json(body)
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        if event.get("source") == "aws.s3":
            return [_from_eventbridge(event)] if event["detail-type"] == "Object Created" else []
        return [_upload(record) for record in event["Records"] if record["eventName"].startswith("ObjectCreated:")]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MalformedEvent(f"not an S3 event notification ({type(error).__name__}: {error}): {body[:500]}") from error


def _upload(record: Mapping[str, Any]) -> Upload:
    thing = record["s3"]["object"]
    return Upload(
        bucket=record["s3"]["bucket"]["name"],
        key=unquote_plus(thing["key"]),
        etag=thing["eTag"].strip('"'),
        size=int(thing["size"]),
        uploaded_at=record["eventTime"],
        sequencer=_sequencer(thing),
        version_id=thing.get("versionId") or None,
        priority=_priority(record),
    )


def _priority(record: Mapping[str, Any]) -> Priority | None:
    """The class that an announcement by the command backfill asks for; S3's own ask for none."""
    if record.get("eventName") != BACKFILLED:
        return None
    priority: Priority = record.get("priority", BACKFILL)
    if priority not in PRIORITIES:
        raise ValueError(f"priority is {priority!r}; it takes {' or '.join(PRIORITIES)}")
    return priority


def _from_eventbridge(event: Mapping[str, Any]) -> Upload:
    """Amazon S3 User Guide, "EventBridge event message structure". There, the key is not URL-encoded."""
    thing = event["detail"]["object"]
    return Upload(
        bucket=event["detail"]["bucket"]["name"],
        key=thing["key"],
        etag=thing["etag"].strip('"'),
        size=int(thing["size"]),
        # EventBridge sends whole seconds, notifications thousandths: one form, so that text sorts like time.
        uploaded_at=event["time"] if "." in event["time"] else event["time"].replace("Z", ".000Z"),
        sequencer=_sequencer(thing),
        version_id=thing.get("version-id") or None,
    )


def _sequencer(thing: Mapping[str, Any]) -> str:
    return str(thing.get("sequencer", "")).upper().zfill(SEQUENCER_WIDTH)


def finished_in(body: str) -> Finished | NotOurs:
    """The job that one message of the finished queue is about.

    Takes Rekognition's notification, bare or in SNS's envelope, and our own messages (``ask_again``).

    Raises:
        MalformedEvent: the body is none of these.
    """
    message = _json(body)
    if message.get("Type") == "Notification":  # SNS's envelope, when raw delivery is off
        message = _json(message.get("Message"))
    if isinstance(message.get("job_id"), str):
        return Finished(job_id=message["job_id"], why=str(message.get("why", "asked")))
    return _notification(message)


def ask_again(job_id: str, why: str) -> str:
    """The message that tells the collecting function to check a job; ``finished_in`` reads it."""
    return json.dumps({"job_id": job_id, "why": why})


def notifications_in(event: Mapping[str, Any]) -> Iterator[Finished | NotOurs]:
    """The notifications of an SNS event, one a record.

    Raises:
        MalformedEvent: a record holds no notification of Rekognition's.
    """
    for record in event["Records"]:
        yield _notification(_json(record["Sns"]["Message"]))


def conversion_in(event: Mapping[str, Any]) -> str:
    """MediaConvert's id of the conversion that an event of it is about.

    Raises:
        MalformedEvent: it names none.
    """
    try:
        return str(event["detail"]["jobId"])
    except (KeyError, TypeError) as error:
        raise MalformedEvent(f"an event of MediaConvert without jobId: {json.dumps(event)[:500]}") from error


def _notification(message: Mapping[str, Any]) -> Finished | NotOurs:
    # JobTag is left out, not empty, when none was given at Start (captured 2017-2019).
    rekognition_job_id = message.get("JobId")
    if not isinstance(rekognition_job_id, str) or not rekognition_job_id:
        raise MalformedEvent(f"a notification without JobId: {json.dumps(message)[:500]}")
    tag = message.get("JobTag")
    if not isinstance(tag, str) or not tag:
        return NotOurs(rekognition_job_id)
    return Finished(job_id=tag, rekognition_job_id=rekognition_job_id)


def _json(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise MalformedEvent(f"not JSON ({error}): {str(text)[:500]}") from error
    if not isinstance(value, dict):
        raise MalformedEvent(f"not a JSON object: {str(text)[:500]}")
    return value
