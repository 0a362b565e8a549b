"""SQS and EventBridge, as far as the handlers send to them."""

from typing import Any

from tests.standin.client import Client, Params


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


class Announcements:
    """EventBridge's default bus."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def client(self) -> Client:
        """A client of the bus."""
        return Client({"PutEvents": self.put_events})

    def put_events(self, params: Params) -> dict[str, Any]:
        self.entries += params["Entries"]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "event"} for _ in params["Entries"]]}
