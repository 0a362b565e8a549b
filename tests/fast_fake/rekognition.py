"""A client of the in-process Rekognition endpoint without botocore in between: its retries in virtual time."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from rekognition_local import RekognitionVideo
from rekognition_local.service import Caller
from tests.fast_fake.client import Client, Params, refuse

CALLER = Caller(account="123456789012", region="us-east-1", arn="arn:aws:iam::123456789012:user/local")

# What botocore's standard mode repeats: these codes, and any 500, 502, 503, 504.
REPEATED = {"ThrottlingException", "ProvisionedThroughputExceededException", "TooManyRequestsException"}


class RekognitionClient(Client):
    """Calls `service` up to `attempts` times, pausing as botocore does but without its dice.

    Args:
        service: the endpoint.
        attempts: how often a call that may succeed later is made, in all.
        sleep: what passes time between two attempts.
    """

    def __init__(self, service: RekognitionVideo, attempts: int, sleep: Callable[[float], None]) -> None:
        super().__init__({})
        self._service = service
        self._attempts = attempts
        self._sleep = sleep
        self._parsers: dict[str, Callable[..., None]] = {}
        self.meta = SimpleNamespace(events=SimpleNamespace(register=self._register))

    def _register(self, _: str, parser: Callable[..., None], unique_id: str) -> None:
        self._parsers[unique_id] = parser

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        operation = "".join(word.capitalize() for word in name.split("_"))
        return lambda **params: self._make_api_call(operation, params)

    def _make_api_call(self, operation: str, params: Params) -> dict[str, Any]:
        body = json.dumps(params).encode()
        for attempt in range(1, self._attempts + 1):
            answer = self._service.handle(f"RekognitionService.{operation}", body, CALLER)
            if answer.status == 200:
                return self._parsed(answer.status, answer.body)
            error = json.loads(answer.body)
            if attempt == self._attempts or not (error["Code"] in REPEATED or answer.status >= 500):
                refuse(error["Code"], operation, answer.status, error["Message"])
            self._sleep(min(0.5 * 2 ** (attempt - 1), 20.0))  # botocore's: up to 2 ** n seconds, 20 at most
        raise AssertionError("unreachable")

    def _parsed(self, status: int, body: bytes) -> dict[str, Any]:
        response, custom = {"status_code": status, "body": body}, cast(dict[str, Any], {})
        for parser in self._parsers.values():
            parser(response_dict=response, customized_response_dict=custom)
        return {**json.loads(response["body"]), **custom}
