"""Sending to SQS, against a client that takes what SQS takes: ten messages a call, each with an id of its own."""

from typing import Any

import pytest

from lambdas.aws.queue import Queue, QueueRefused


class Sqs:
    def __init__(self, refused: int = 0) -> None:
        self.sent: list[tuple[str, list[str]]] = []
        self.refused = refused

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        self.sent.append((QueueUrl, [entry["MessageBody"] for entry in Entries]))
        return {"Failed": [{"Id": "0", "Code": "InternalError"}] * self.refused} if self.refused else {"Successful": []}


def test_messages_are_sent_to_the_queue_ten_a_call_in_order() -> None:
    sqs = Sqs()

    Queue(sqs, "the queue").send(str(number) for number in range(23))

    assert [len(bodies) for _, bodies in sqs.sent] == [10, 10, 3]
    assert [body for _, bodies in sqs.sent for body in bodies] == [str(number) for number in range(23)]
    assert {url for url, _ in sqs.sent} == {"the queue"}


def test_a_message_that_sqs_does_not_take_is_an_error() -> None:
    with pytest.raises(QueueRefused, match="2 of 3 messages"):
        Queue(Sqs(refused=2), "the queue").send("abc")
