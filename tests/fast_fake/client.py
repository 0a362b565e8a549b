"""What looks like a boto3 client to the handlers: methods by their Python names, errors as botocore raises them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

from botocore.exceptions import ClientError

Params = dict[str, Any]
Operation = Callable[[Params], dict[str, Any]]


def refuse(code: str, operation: str, status: int = 400, message: str = "") -> NoReturn:
    """Raise what botocore raises for a service's error."""
    raise ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        operation,
    )


class Client:
    """A client of a stand-in; every call goes through ``_make_api_call``, as in botocore, so it can be wrapped."""

    def __init__(self, operations: dict[str, Operation]) -> None:
        self._operations = operations

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        operation = "".join(word.capitalize() for word in name.split("_"))
        if operation not in self._operations:
            raise AttributeError(f"the stand-in has no {operation}")
        return partial(self._call, operation)

    def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return self._make_api_call(operation, params)

    def _make_api_call(self, operation: str, params: Params) -> dict[str, Any]:
        return self._operations[operation](params)

    def get_paginator(self, name: str) -> "Paginator":
        """A paginator over calls whose answer fits one page here."""
        return Paginator(getattr(self, name))


class Paginator:
    """One page."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def paginate(self, **params: Any) -> Iterator[dict[str, Any]]:
        """The one page."""
        yield self._call(**params)
