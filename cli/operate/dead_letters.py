"""Dead letters: show the messages that the functions failed on, and send them back to their queues.

Waiting jobs are in the table, so a dead-letter queue holds only messages with a fault behind them. Once the fault is
fixed (a deploy, a permission), the messages can be sent back. Both functions are idempotent, so it does no harm if this
is interrupted after sending a message and before deleting it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.core.stack import Stack
from lambdas.model.clock import iso
from lambdas.model.errors import MalformedEvent
from lambdas.model.events import NotOurs, finished_in, uploads_in

LOOK = 20  # seconds: visibility timeout for reading a message
WORK = 60  # seconds: the same for sending one back

# name: outputs of the queue, its dead-letter queue, and the log group of its reader
QUEUES = {
    "uploads": ("UploadsQueue", "UploadsDeadLetterQueue", "StartLogs"),
    "finished": ("FinishedQueue", "FinishedDeadLetterQueue", "CollectLogs"),
}


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    queue: str  # uploads or finished
    message_id: str
    body: str
    receipt: str
    sent_at: str
    about: str  # its video or job
    why: str  # the likely reason

    @property
    def as_json(self) -> dict[str, str]:
        """For ``--json``."""
        return {name: getattr(self, name) for name in ("queue", "message_id", "sent_at", "about", "why", "body")}


def depths(stack: Stack) -> dict[str, int]:
    """The approximate number of messages in each queue: ``uploads``, ``uploads dead``, ``finished``, ``finished
    dead``."""
    found = {}
    for name, (queue, dead, _) in QUEUES.items():
        for label, output in ((name, queue), (f"{name} dead", dead)):
            attributes = stack.client("sqs").get_queue_attributes(
                QueueUrl=stack.output(output),
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            found[label] = sum(int(number) for number in attributes.values())
    return found


def look(stack: Stack, most: int = 100) -> list[Letter]:
    """Up to `most` dead letters per queue, which stay in the queue (and are invisible to other readers for a
    moment)."""
    sqs, found = stack.client("sqs"), []
    for name, (_, dead, _) in QUEUES.items():
        url = stack.output(dead)
        here = [_letter(stack, name, message) for message in _receive(sqs, url, LOOK, most)]
        for letter in here:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)
        found += here
    return found


def send_back(stack: Stack, on_each: Callable[[Letter], None] = lambda _: None) -> int:
    """Send every dead letter back to its queue; returns their number."""
    sqs, count = stack.client("sqs"), 0
    for name, (queue, dead, _) in QUEUES.items():
        for message in _receive(sqs, stack.output(dead), WORK, None):
            sqs.send_message(QueueUrl=stack.output(queue), MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=stack.output(dead), ReceiptHandle=message["ReceiptHandle"])
            count += 1
            on_each(_letter(stack, name, message))
    return count


def _receive(sqs: Any, url: str, visibility: int, most: int | None) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    while most is None or len(seen) < most:
        messages = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=visibility,
            WaitTimeSeconds=1,  # asks all of SQS's servers, where a short poll may miss some
            AttributeNames=["SentTimestamp"],
        ).get("Messages", [])
        new = [message for message in messages if message["MessageId"] not in seen]
        if not new:
            return
        seen.update(message["MessageId"] for message in new)
        yield from new


def _letter(stack: Stack, name: str, message: dict[str, Any]) -> Letter:
    about, why = (_upload if name == "uploads" else _finished)(stack, message["Body"])
    sent = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
    return Letter(
        queue=name,
        message_id=message["MessageId"],
        body=message["Body"],
        receipt=message["ReceiptHandle"],
        sent_at=iso(sent) if sent else iso(datetime.now(UTC).timestamp()),
        about=about,
        why=why or f"the function failed on it each time; its log says why: {_log(stack, name)}",
    )


def _upload(stack: Stack, body: str) -> tuple[str, str]:
    try:
        uploads = uploads_in(body)
    except MalformedEvent as error:
        return "not an S3 event", _short(error)
    if not uploads:
        return "announces no upload", ""
    about = f"upload of {uploads[0].key}" + (f" and {len(uploads) - 1} more" if len(uploads) > 1 else "")
    jobs = stack.table.of_video(uploads[0].bucket, uploads[0].key)
    known = any(job.etag == uploads[0].etag for job in jobs)
    return about, "the table has a job for it by now; sending it back does no harm" if known else ""


def _finished(stack: Stack, body: str) -> tuple[str, str]:
    try:
        finished = finished_in(body)
    except MalformedEvent as error:
        return "not a notification of Rekognition's", _short(error)
    if isinstance(finished, NotOurs):
        return f"Rekognition job {finished.rekognition_job_id[:12]}…", "not a job of this stack"
    job = stack.table.get(finished.job_id)
    if job is None:
        return f"job {finished.job_id[:12]}…", "the table has no such job"
    ended = job.state in ("SUCCEEDED", "FAILED", "REJECTED")
    return f"{job.analysis} of {job.key}", f"the job is {job.state} by now" if ended else ""


def _short(error: Exception, most: int = 160) -> str:
    text = str(error)
    return text if len(text) <= most else f"{text[:most]}…"


def _log(stack: Stack, name: str) -> str:
    group = stack.outputs.get(QUEUES[name][2], "")
    return f"aws logs tail {group} --since 1d" if group else "see CloudWatch Logs"
