"""Answers held against botocore's service model: raw JSON, before any SDK has been lenient with it."""

import json
import math
import re
from typing import Any

from rekognition_local import shapes


def check_answer(operation: str, body: bytes) -> dict[str, Any]:
    """The parsed *body* of a good answer. Fails the test for anything the output shape doesn't allow."""
    value = json.loads(body)
    problems = list(_problems(shapes.service_model().operation_model(operation).output_shape, value, operation))
    assert not problems, problems[:5]
    return value


def check_error(operation: str, body: bytes) -> dict[str, Any]:
    """The parsed *body* of an error: the four members the guide shows, and a code the operation declares."""
    value = json.loads(body)
    assert set(value) == {"__type", "Code", "Message", "Logref"}
    assert value["__type"] == value["Code"]
    declared = [shape.name for shape in shapes.service_model().operation_model(operation).error_shapes]
    assert value["Code"] in declared
    return value


def _problems(shape: Any, value: Any, path: str):
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no structure"
            return
        yield from (f"{path}: unknown member {name}" for name in value.keys() - shape.members.keys())
        yield from (f"{path}: {name} is missing" for name in shape.required_members if name not in value)
        for name, member in value.items():
            if name in shape.members:
                yield from _problems(shape.members[name], member, f"{path}.{name}")
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        yield from _bounds(shape, len(value), path)
        for i, item in enumerate(value):
            yield from _problems(shape.member, item, f"{path}[{i}]")
    elif kind == "string":
        if not isinstance(value, str):
            yield f"{path}: {value!r} is no string"
            return
        yield from _bounds(shape, len(value), path)
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{path}: {value!r} does not match {pattern}"
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is not one of {shape.enum}"
    elif kind in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{path}: {value!r} is no whole number"
            return
        yield from _bounds(shape, value, path)
    elif kind in ("float", "double", "timestamp"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            yield f"{path}: {value!r} is no number"
            return
        yield from _bounds(shape, value, path)
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{path}: {value!r} is neither true nor false"
    else:
        yield f"{path}: {kind} is not checked here"


def _bounds(shape: Any, measure: float, path: str):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and measure < least:
        yield f"{path}: {measure} is less than {least}"
    if most is not None and measure > most:
        yield f"{path}: {measure} is more than {most}"
