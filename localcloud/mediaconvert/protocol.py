"""MediaConvert's REST protocol as botocore's model of the service describes it: paths, requests, answers, errors."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.loaders
import botocore.model

#: What is offered; the model has more.
OPERATIONS = ("CreateJob", "GetJob", "ListJobs", "CancelJob", "DescribeEndpoints")

#: Errors that every service may answer and no model lists (Common Errors), and their statuses.
COMMON = {"AccessDeniedException": 403, "SubscriptionRequiredException": 403, "UnknownOperationException": 404}


class ServiceError(Exception):
    """An answer that is an error; *code* is what SDKs read."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        return status_of(self.code)


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@functools.cache
def service_model() -> botocore.model.ServiceModel:
    description = botocore.loaders.create_loader().load_service_model("mediaconvert", "service-2")
    return botocore.model.ServiceModel(description, "mediaconvert")


def error_codes() -> list[str]:
    """Every error that an operation may answer."""
    listed = {shape.name for name in OPERATIONS for shape in service_model().operation_model(name).error_shapes}
    return sorted(listed | set(COMMON))


def status_of(code: str) -> int:
    return COMMON.get(code) or int(service_model().shape_for(code).metadata["error"]["httpStatusCode"])


def operation_of(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The operation that a request names, and what its path holds. Raises ServiceError."""
    for name in OPERATIONS:
        http = service_model().operation_model(name).http
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", http["requestUri"])
        if method == http["method"] and (found := re.fullmatch(pattern, path)):
            return name, {member: unquote(value) for member, value in found.groupdict().items()}
    raise ServiceError(
        "UnknownOperationException",
        f"{method} {path} is not offered by the local MediaConvert. It offers: {', '.join(OPERATIONS)}.",
    )


def parameters_of(operation: str, in_path: dict[str, str], query: str, body: bytes) -> dict[str, Any]:
    """The request's members by their names in the model, checked. Raises ServiceError (BadRequestException)."""
    try:
        sent = json.loads(body or b"{}", parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise ServiceError("BadRequestException", "The request body is not JSON.") from None
    if not isinstance(sent, dict):
        raise ServiceError("BadRequestException", "The request body is not a JSON object.")
    shape: Any = service_model().operation_model(operation).input_shape
    elsewhere = {"uri": in_path, "querystring": dict(parse_qsl(query, keep_blank_values=True))}
    whole = dict(sent)
    for member in shape.members.values():
        serialization = member.serialization
        source = elsewhere.get(serialization.get("location", ""))
        if source is not None and serialization["name"] in source:
            value = source[serialization["name"]]
            whole[serialization["name"]] = int(value) if member.type_name == "integer" and _whole(value) else value
    broken: list[str] = []
    found = _checked(shape, whole, "", broken)
    if broken:
        raise ServiceError("BadRequestException", " | ".join(broken))
    parameters: dict[str, Any] = found
    return parameters


def answer(operation: str, members: dict[str, Any]) -> Response:
    """A success: *members* by their names in the model."""
    model = service_model().operation_model(operation)
    content = _serialized(model.output_shape, members)
    return Response(int(model.http.get("responseCode", 200)), json.dumps(content, ensure_ascii=False).encode())


def refusal(error: ServiceError) -> Response:
    body = json.dumps({"message": error.message}, ensure_ascii=False).encode()
    return Response(error.status, body, {"x-amzn-ErrorType": error.code})


def _whole(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,18}", text))


def _no_such_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _key(name: str, shape: Any) -> str:
    return str(shape.serialization.get("name", name))


def _checked(shape: Any, value: Any, path: str, broken: list[str]) -> Any:
    """*value* by the model's names; what breaks the model is appended to *broken*. Unknown members are left out, as
    services of this protocol do."""
    match shape.type_name, value:
        case "structure", dict():
            broken += [
                f"{path}/{_key(name, shape.members[name])}: Required field is missing"
                for name in shape.required_members
                if value.get(_key(name, shape.members[name])) is None
            ]
            return {
                name: _checked(member, value[key], f"{path}/{key}", broken)
                for name, member in shape.members.items()
                if value.get(key := _key(name, member)) is not None
            }
        case "list", list():
            return [_checked(shape.member, item, f"{path}/{number}", broken) for number, item in enumerate(value)]
        case "map", dict():
            return {key: _checked(shape.value, item, f"{path}/{key}", broken) for key, item in value.items()}
        case "string", str():
            _check_text(shape, value, path, broken)
            return value
        case "boolean", bool():
            return value
        case (("integer" | "long"), int()) if not isinstance(value, bool):
            _check_range(shape, value, f"{path}: {value}", broken)
            return value
        case (("float" | "double"), (int() | float())) if not isinstance(value, bool):
            _check_range(shape, value, f"{path}: {value}", broken)
            return value
        case "timestamp", _:
            return value
    broken.append(f"{path or '/'}: {json.dumps(value)[:80]} is not of type {shape.type_name}")
    return value


def _check_text(shape: Any, value: str, path: str, broken: list[str]) -> None:
    shown = f"{path}: {value[:80]!r}"
    if shape.enum and value not in shape.enum:
        broken.append(f"{shown} is not one of: {', '.join(shape.enum)}")
    _check_range(shape, len(value), f"{shown}: length {len(value)}", broken)
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(pattern, value):
        broken.append(f"{shown} does not match the pattern {pattern}")


def _check_range(shape: Any, measure: float, shown: str, broken: list[str]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and measure < least:
        broken.append(f"{shown} is less than {least}")
    if most is not None and measure > most:
        broken.append(f"{shown} is more than {most}")


def _serialized(shape: Any, value: Any) -> Any:
    match shape.type_name, value:
        case "structure", dict():
            return {
                _key(name, shape.members[name]): _serialized(shape.members[name], item)
                for name, item in value.items()
                if item is not None
            }
        case "list", (list() | tuple()):
            return [_serialized(shape.member, item) for item in value]
        case "map", dict():
            return {key: _serialized(shape.value, item) for key, item in value.items()}
    return value
