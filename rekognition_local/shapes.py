"""Requests checked against the service's own description, the one botocore ships.

botocore checks presence, types and *minimum* lengths and values before it sends; patterns, enums and maxima reach the
server unchecked, so they are checked here, as is all the rest for callers who aren't botocore.

A member of the wrong JSON type is a ``SerializationException``. A broken constraint is an
``InvalidParameterException``, the code the Developer Guide documents; its text has the form AWS services give it
("1 validation error detected: Value '...' at '...' failed to satisfy constraint: ...").
Members the operation doesn't have are ignored, as services of this protocol do, and don't count as parameters.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable
from typing import Any

import botocore.loaders
import botocore.model

from rekognition_local.errors import ServiceError

Parameters = dict[str, Any]


@functools.cache
def service_model() -> botocore.model.ServiceModel:
    """Rekognition as botocore describes it: 75 operations and their shapes."""
    description = botocore.loaders.create_loader().load_service_model("rekognition", "service-2")
    return botocore.model.ServiceModel(description, "rekognition")


def parse(operation: str, body: bytes) -> Parameters:
    """The parameters in *body* (JSON, UTF-8; empty means none): only members the operation has, ``null`` left out.

    Raises ServiceError (SerializationException, InvalidParameterException).
    """
    try:
        value = json.loads(body or b"{}", parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise ServiceError("SerializationException", "The request body is not JSON.") from None
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        return {}
    broken: list[str] = []
    parameters: Parameters = _check(shape, value, "", broken)
    if broken:
        errors = "error" if len(broken) == 1 else "errors"
        raise ServiceError(
            "InvalidParameterException", f"{len(broken)} validation {errors} detected: {'; '.join(broken)}"
        )
    return parameters


def _no_such_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _check(shape: Any, value: Any, path: str, broken: list[str]) -> Any:
    """*value* with what *shape* doesn't know left out; what it breaks is appended to *broken*."""
    checker = _CHECKERS.get(shape.type_name)
    if checker is None:  # timestamps: no request has them
        return value
    return checker(shape, value, path, broken)


def _structure(shape: Any, value: Any, path: str, broken: list[str]) -> Parameters:
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "a structure")
    broken += [
        f"Value null at '{_member(path, name)}' failed to satisfy constraint: Member must not be null"
        for name in shape.required_members
        if value.get(name) is None
    ]
    return {
        name: _check(member, value[name], _member(path, name), broken)
        for name, member in shape.members.items()
        if value.get(name) is not None
    }


def _list(shape: Any, value: Any, path: str, broken: list[str]) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(value, path, "a list")
    _check_bounds(shape, len(value), value, path, broken, "length ")
    return [_check(shape.member, item, f"{path}.{i}.member", broken) for i, item in enumerate(value, 1)]


def _string(shape: Any, value: Any, path: str, broken: list[str]) -> str:
    if not isinstance(value, str):
        raise _wrong_type(value, path, "a string")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise _wrong_type(value, path, "text")  # half a surrogate pair: JSON can say it, UTF-8 can't
    _check_bounds(shape, len(value), value, path, broken, "length ")
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(_JAVA_CLASS.sub(lambda found: _CLASSES[found[1]], pattern), value):
        broken.append(_breach(value, path, f"satisfy regular expression pattern: {pattern}"))
    if shape.enum and value not in shape.enum:
        broken.append(_breach(value, path, f"satisfy enum value set: [{', '.join(shape.enum)}]"))
    return value


#: Patterns are written for Java; Python's re lacks these classes.
_JAVA_CLASS = re.compile(r"\\p\{([LNZ])\}")
_CLASSES = {"L": r"\w", "N": r"\d", "Z": r"\s"}


def _number(shape: Any, value: Any, path: str, broken: list[str]) -> int | float:
    whole = shape.type_name in {"integer", "long"}
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise _wrong_type(value, path, "a whole number" if whole else "a number")
    _check_bounds(shape, value, value, path, broken, "value ")
    return value


def _boolean(_: Any, value: Any, path: str, __: list[str]) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(value, path, "true or false")
    return value


def _blob(shape: Any, value: Any, path: str, broken: list[str]) -> bytes:
    """Bytes, which JSON carries as base64."""
    try:
        content = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise _wrong_type(value, path, "base64") from None
    _check_bounds(shape, len(content), f"({len(content)} bytes)", path, broken, "length ")
    return content


def _map(shape: Any, value: Any, path: str, broken: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "a map")
    _check_bounds(shape, len(value), value, path, broken, "length ")
    return {
        _check(shape.key, key, f"{path}.key", broken): _check(shape.value, item, f"{path}.value", broken)
        for key, item in value.items()
    }


_CHECKERS: dict[str, Callable[[Any, Any, str, list[str]], Any]] = {
    "structure": _structure,
    "list": _list,
    "string": _string,
    "integer": _number,
    "long": _number,
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "blob": _blob,
    "map": _map,
}


def _check_bounds(shape: Any, measure: float, value: Any, path: str, broken: list[str], what: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and measure < least:
        broken.append(_breach(value, path, f"have {what}greater than or equal to {least}"))
    if most is not None and measure > most:
        broken.append(_breach(value, path, f"have {what}less than or equal to {most}"))


def _breach(value: Any, path: str, must: str) -> str:
    shown = value if isinstance(value, str) else json.dumps(value)
    return f"Value '{shown[:100]}' at '{path}' failed to satisfy constraint: Member must {must}"


def _wrong_type(value: Any, path: str, wanted: str) -> ServiceError:
    where = f"at '{path}' " if path else ""
    return ServiceError("SerializationException", f"{json.dumps(value)[:100]} {where}is not {wanted}.")


def _member(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]  # AWS's messages spell members this way
    return f"{path}.{name}" if path else name
