"""Writes ONNX files: as much of the format as one feed-forward model needs, and none of the onnx package (60 MB).

Field numbers are those of onnx.proto (ONNX 1.x). The same graph gives the same bytes on every machine.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 13
FLOAT, INT64 = 1, 7  # TensorProto.DataType
ELEMENT = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}

Attribute = float | int | str | Sequence[int]


@dataclass(slots=True)
class Graph:
    """A model in the making. Every method appends an operation; the caller names its result."""

    name: str
    _nodes: list[bytes] = field(default_factory=list)
    _constants: list[bytes] = field(default_factory=list)
    _inputs: list[bytes] = field(default_factory=list)
    _outputs: list[bytes] = field(default_factory=list)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        tensor = [_integer(1, size) for size in value.shape]
        tensor += [_integer(2, ELEMENT[value.dtype]), _text(8, name)]
        tensor += [_bytes(9, np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes())]
        self._constants.append(b"".join(tensor))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        node = [_text(1, name) for name in inputs] + [_text(2, output), _text(3, output), _text(4, kind)]
        node += [_bytes(5, _attribute(name, value)) for name, value in sorted(attributes.items())]
        self._nodes.append(b"".join(node))
        return output

    def input(self, name: str, shape: Sequence[int]) -> str:
        self._inputs.append(_value_info(name, shape))
        return name

    def output(self, name: str, shape: Sequence[int]) -> None:
        self._outputs.append(_value_info(name, shape))

    def file(self) -> bytes:
        """The whole file: a ModelProto."""
        parts: Mapping[int, Sequence[bytes]] = {
            1: self._nodes,
            2: [self.name.encode()],
            5: self._constants,
            11: self._inputs,
            12: self._outputs,
        }
        graph = b"".join(_bytes(number, part) for number, several in parts.items() for part in several)
        opset = _text(1, "") + _integer(2, OPSET)
        return _integer(1, IR_VERSION) + _text(2, "rekognition-batch") + _bytes(7, graph) + _bytes(8, opset)


def _attribute(name: str, value: Attribute) -> bytes:
    """An AttributeProto; field 20 is its type."""
    head = _text(1, name)
    if isinstance(value, float):
        return head + _key(2, 5) + struct.pack("<f", value) + _integer(20, 1)
    if isinstance(value, int):
        return head + _integer(3, value) + _integer(20, 2)
    if isinstance(value, str):
        return head + _text(4, value) + _integer(20, 3)
    return head + b"".join(_integer(8, item) for item in value) + _integer(20, 7)


def _value_info(name: str, shape: Sequence[int]) -> bytes:
    dimensions = b"".join(_bytes(1, _integer(1, size)) for size in shape)
    tensor = _integer(1, FLOAT) + _bytes(2, dimensions)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


# Protocol buffers' wire format: a key (field number and kind), then a varint, four bytes, or a length and bytes.


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _integer(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, 2) + _varint(len(value)) + value


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as 64 bits
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
