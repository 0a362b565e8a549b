"""What happens at the border between the handlers and AWS: crashes, errors, and others getting in between.

Every call that a handler makes goes through ``Trouble.call``. A plan names one call by its number, and what befalls it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import ClientError

from tests.fake_aws import VirtualClock

Kind = Literal["crash before", "crash after", "error before", "error after", "meanwhile"]

CALL = 0.02  # seconds that a call takes
ERRORS = {"dynamodb": "InternalServerError", "s3": "InternalError", "sqs": "InternalError", "events": "InternalFailure"}


class Crash(BaseException):
    """The function is gone between one instruction and the next: out of memory, out of time, a broken machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What befalls the call number `at` of an invocation. `meanwhile`: what somebody else does at that moment."""

    at: int
    kind: Kind
    meanwhile: str = ""
    choice: int = 0


@dataclass(slots=True)
class Invocation:
    """One that is under way."""

    plan: Plan | None
    deadline: float
    calls: int = 0


@dataclass
class Trouble:
    """The border."""

    clock: VirtualClock
    meanwhile: Callable[[Plan], None]
    page_seconds: float = 0.0  # that a page takes
    running: list[Invocation] = field(default_factory=list)

    def wrap(self, service: str, client: Any) -> Any:
        """A client whose calls pass here."""
        carry_out = client._make_api_call
        client._make_api_call = lambda operation, params: self.call(
            service, operation, lambda: carry_out(operation, params)
        )
        return client

    def call(self, service: str, operation: str, carry_out: Callable[[], Any]) -> Any:
        """One call of a handler."""
        self.clock.seconds += self.page_seconds if operation.startswith("Get") and service == "rekognition" else CALL
        invocation = self.running[-1]
        invocation.calls += 1
        if self.clock.now() > invocation.deadline:
            raise Crash("out of time")
        plan = invocation.plan if invocation.plan and invocation.plan.at == invocation.calls else None
        if plan is None:
            return carry_out()
        if plan.kind == "meanwhile":
            self.meanwhile(plan)
            return carry_out()
        if plan.kind == "crash before":
            raise Crash(operation)
        if plan.kind == "error before":
            self._fail(service, operation, carry_out)
        answer = carry_out()
        if plan.kind == "crash after":
            raise Crash(operation)
        self._fail(service, operation, lambda: answer)
        return answer

    @staticmethod
    def _fail(service: str, operation: str, carry_out: Callable[[], Any]) -> None:
        """End in the service's own error. (Rekognition's errors are the endpoint's business.)"""
        if service in ERRORS:
            details: Any = {
                "Error": {"Code": ERRORS[service], "Message": ""},
                "ResponseMetadata": {"HTTPStatusCode": 500},
            }
            raise ClientError(details, operation)


class AtOnce:
    """Stands for the executor that fetches pages ahead, so that calls have an order. Its errors come with the result,
    as an executor's do; a crash takes everything with it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._error: Exception | None = None
        self._result: Any = None

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "AtOnce":
        """Do it now, and say later what came of it."""
        ahead = AtOnce()
        try:
            ahead._result = call(*arguments)
        except Exception as error:
            ahead._error = error
        return ahead

    def result(self) -> Any:
        """What came of it."""
        if self._error:
            raise self._error
        return self._result
