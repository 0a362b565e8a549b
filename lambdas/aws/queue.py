"""Sending to an SQS queue."""

from collections.abc import Iterable
from itertools import batched
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class QueueRefused(RuntimeError):
    """SQS refused a message of a batch."""


class Queue:
    """One SQS queue, to send to."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, bodies: Iterable[str]) -> None:
        """Send each of `bodies` as a message.

        Raises:
            QueueRefused: SQS refused some of them.
        """
        for batch in batched(bodies, 10):
            answer = self._sqs.send_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)],
            )
            if answer.get("Failed"):
                raise QueueRefused(f"{len(answer['Failed'])} of {len(batch)} messages: {answer['Failed'][0]}")
