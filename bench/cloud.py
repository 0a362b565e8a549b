"""AWS between the handlers, as far as time and money go: queues that invoke functions, latencies, and a meter.

Latencies are medians of lognormal draws (sigma 0.3), of the order that these services show from Lambda in one region.
They are assumptions, the same for ours and for the baselines.
"""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from bench.simulator import Simulation

# Seconds, by service and operation, or by service alone.
LATENCY: Mapping[str, float] = {
    "dynamodb": 0.007,
    "s3.HeadObject": 0.020,
    "s3": 0.045,
    "sqs": 0.010,
    "events": 0.015,
    "rekognition.Start": 0.250,
    "rekognition.Get": 0.120,
}
SPREAD = 0.3
COLD_START = 0.9  # seconds; imports and clients, on half a gigabyte
HANDLER = 0.003  # seconds of an invocation that are no call's: Lambda's own and Python's
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
SNS_DELAY = 0.15  # seconds from Rekognition's message to the functions
QUEUE_DELAY = 0.05  # seconds from a message's sending until a poller has it
S3_EVENT_DELAY = 1.0  # seconds from an upload to its event


@dataclass
class Meter:
    """What was called and what ran."""

    calls: Counter[str] = field(default_factory=Counter)  # "dynamodb.UpdateItem"
    conflicts: int = 0  # writes of the table that met a transaction
    invocations: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # of functions, as billed

    @property
    def table_calls(self) -> int:
        """Reads and writes of the table."""
        return sum(number for name, number in self.calls.items() if name.startswith("dynamodb."))

    @property
    def start_calls(self) -> int:
        """Calls of Rekognition's Start, whatever it said."""
        return sum(number for name, number in self.calls.items() if name.startswith("rekognition.Start"))

    @property
    def get_calls(self) -> int:
        """Calls of Rekognition's Get, whatever it said."""
        return sum(number for name, number in self.calls.items() if name.startswith("rekognition.Get"))


class Platform:
    """Runs functions, and gives their calls a latency and a place on the meter."""

    def __init__(self, simulation: Simulation, seed: int) -> None:
        self.simulation = simulation
        self.meter = Meter()
        self._dice = random.Random(seed)
        self._warm: Counter[str] = Counter()
        self._in_transactions: set[str] = set()

    def lasting(self, median: float) -> float:
        """A draw around that median, in seconds."""
        return median * self._dice.lognormvariate(0, SPREAD)

    def wrap(self, service: str, client: Any) -> Any:
        """Let every call of `client` take its time and count."""
        call = client._make_api_call

        def timed(operation: str, params: dict[str, Any]) -> Any:
            if service == "dynamodb" and operation in WRITES:
                return self._written(operation, params, call)
            self.called(service, operation)
            return call(operation, params)

        client._make_api_call = timed
        return client

    def _written(self, operation: str, params: dict[str, Any], call: Callable[..., Any]) -> Any:
        """Write to the table, unless one of the items is in a transaction that is under way: then DynamoDB refuses the
        later write (Developer Guide, "Transaction conflict handling in DynamoDB"). A transaction is taken to be under
        way from its call to its answer, which is more than it really is."""
        writes = [each["Update"] for each in params.get("TransactItems", ())] or [params]
        items = [(write.get("Key") or write["Item"])["job_id"]["S"] for write in writes]
        met = [item in self._in_transactions for item in items]
        held = set(items) if operation == "TransactWriteItems" and not any(met) else set()
        self._in_transactions |= held
        try:
            self.called("dynamodb", operation)
            if any(met):
                self.meter.conflicts += 1
                raise _conflict(operation, met)
            return call(operation, params)
        finally:
            self._in_transactions -= held

    def called(self, service: str, operation: str) -> None:
        """Count a call, and let it take its time."""
        self.meter.calls[f"{service}.{operation}"] += 1
        kind = "Start" if operation.startswith("Start") else "Get" if operation.startswith("Get") else operation
        self.simulation.sleep(self.lasting(LATENCY.get(f"{service}.{kind}", 0) or LATENCY[service]))

    def invoke(self, function: str, work: Callable[[], Any]) -> Any:
        """Run a function to its end, in an execution environment that is warm if one is free."""
        began = self.simulation.now()
        self.meter.invocations[function] += 1
        if self._warm[function]:
            self._warm[function] -= 1
        else:
            self.simulation.sleep(COLD_START)
        self.simulation.sleep(HANDLER)
        answer = work()
        self.meter.seconds[function] += self.simulation.now() - began
        self._warm[function] += 1
        return answer


def _conflict(operation: str, met: list[bool]) -> ClientError:
    name = "TransactionCanceledException" if operation == "TransactWriteItems" else "TransactionConflictException"
    answer: Any = {
        "Error": {"Code": name, "Message": "Transaction is ongoing for the item"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        "CancellationReasons": [{"Code": "TransactionConflict" if each else "None"} for each in met],
    }
    return ClientError(answer, operation)


class Poller:
    """A queue and its event source mapping: hands batches to a function, so many at once."""

    def __init__(
        self, platform: Platform, name: str, handle: Callable[[list[str]], Any], *, batch: int, concurrency: int
    ) -> None:
        self._platform = platform
        self._name = name
        self._handle = handle
        self._batch = batch
        self._free = concurrency
        self._messages: deque[str] = deque()

    def send(self, body: str, delay: float = 0.0) -> None:
        """A message arrives after `delay` seconds."""
        arrives = self._platform.simulation.now() + delay + self._platform.lasting(QUEUE_DELAY)
        self._platform.simulation.at(arrives, lambda: self._arrived(body))

    def _arrived(self, body: str) -> None:
        self._messages.append(body)
        self._pull()

    def _pull(self) -> None:
        while self._free and self._messages:
            batch = [self._messages.popleft() for _ in range(min(self._batch, len(self._messages)))]
            self._free -= 1
            self._platform.meter.calls[f"sqs-by-lambda.{self._name}.ReceiveMessage"] += 1
            self._platform.meter.calls[f"sqs-by-lambda.{self._name}.DeleteMessageBatch"] += 1
            self._platform.simulation.spawn(self._platform.simulation.now(), lambda batch=batch: self._run(batch))  # type: ignore[misc]

    def _run(self, batch: list[str]) -> None:
        self._handle(batch)
        self._free += 1
        self._pull()
