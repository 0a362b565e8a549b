"""SQS and EventBridge, as far as the handlers send to them."""

from collections.abc import Callable
from typing import Any

from tests.fast_fake.client import Client, Params


class SentMessages:
    """One SQS queue, in order, each message received once."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def client(self) -> Client:
        """A client of the queue."""
        return Client(
            {
                "SendMessageBatch": self.send_message_batch,
                "ReceiveMessage": self.receive_message,
                "DeleteMessage": lambda _: {},
            }
        )

    def send_message_batch(self, params: Params) -> dict[str, Any]:
        self.bodies += [entry["MessageBody"] for entry in params["Entries"]]
        return {"Successful": [{"Id": entry["Id"]} for entry in params["Entries"]]}

    def receive_message(self, params: Params) -> dict[str, Any]:
        most = params.get("MaxNumberOfMessages", 1)
        taken, self.bodies = self.bodies[:most], self.bodies[most:]
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in taken]} if taken else {}


def bus(take: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> Client:
    """A client of EventBridge's default bus; `take` is handed the entries and gives PutEvents' answer."""
    return Client({"PutEvents": lambda params: take(params["Entries"])})
