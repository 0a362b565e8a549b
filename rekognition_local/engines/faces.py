"""Faces: YuNet finds them, MediaPipe's FaceMesh says which way they look.

YuNet works on 640 px along the longer side whatever the source: 4 to 10 times cheaper than full size, and large faces
get better. The smallest face it finds is then about 28 px of a 720p frame, 42 px of a 1080p one (AWS's own minimum is
40 px in 1080p). A face costs 15-20 ms on one core, its pose another 10-14 ms.

Not AWS's values, and not meant to look like them:

- ``Confidence`` is YuNet's score × 100: 60 (the threshold) to about 95, where AWS shows 99.9.
- ``Quality.Brightness`` is the mean luma of the face, 0..100; ``Sharpness`` the variance of its Laplacian at 96 px,
  scaled so that a crisp portrait comes out near 100. Both scales are ours.
- ``Pose``: signs as in AWS's published samples. Roll above 0 is a head turned clockwise in the picture, Yaw above 0
  one that looks to the picture's right, Pitch above 0 one that looks up (for Pitch the samples are thin evidence).
  Without FaceMesh's file, Roll comes from the line between the eyes and Yaw and Pitch are 0.
- With ``FaceAttributes=ALL`` there is one attribute more, ``MouthOpen``, from the lips' gap, and that only with
  FaceMesh. Age, gender, emotions, glasses, beards, smiles and open eyes are left out: nothing here measures them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.engines.models import FACE_MESH, YUNET
from rekognition_local.video import Picture, Sample

THRESHOLD = 0.6  # for recall; 0.8 spares cartoons, and starts to cut real faces

# Points of the mesh, by the side of the picture they are on when the face is upright.
EYE_LEFT, EYE_RIGHT, FOREHEAD, CHIN = 33, 263, 10, 152
LIP_UPPER, LIP_LOWER, MOUTH_LEFT, MOUTH_RIGHT = 13, 14, 61, 291
MESH_SIDE = 192  # pixels, the model's input
MESH_PASSES = 3  # each crop is turned by what the pass before it found ...
MESH_SETTLED = math.radians(1)  # ... until that is so little; two passes at least
MESH_CONFIDENCE = 0.0  # logit of the model's own "there is a face here"
#: What the mesh shows for people who look straight ahead (the two portraits of the demo clip): taken off the pitch.
LEVEL_PITCH = -10.0
#: Gap of the lips over the width of the mouth: 0.62 shouting, 0.13-0.36 smiling with teeth, 0.02-0.07 shut.
MOUTH_OPEN = 0.10


@dataclass(frozen=True, slots=True)
class Face:
    """One face in pixels of the picture: box (x, y, width, height), five points, score 0..1."""

    box: tuple[float, float, float, float]
    points: NDArray[np.float32]  # 5 × 2: left eye, right eye, nose, left and right mouth corner, as seen
    score: float


class Faces(Analyzer):
    """The analyzer for face-detection."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Raises ModelMissing."""
        cv2.setNumThreads(1)  # jobs run beside each other, a process each
        self._everything = parameters.get("FaceAttributes", "DEFAULT") == "ALL"
        self._yunet = cv2.FaceDetectorYN.create(str(YUNET.path()), "", (640, 640), THRESHOLD)
        mesh = FACE_MESH.path_or_none()
        self._mesh: Any = cv2.dnn.readNetFromTFLite(str(mesh)) if mesh else None

    def see(self, sample: Sample) -> list[dict[str, Any]]:
        """The rows of one sampled frame, the face furthest left first."""
        picture = sample.picture()
        found = sorted(self.find(picture), key=lambda face: face.box[0])
        return [{"Timestamp": sample.millis, "Face": self.detail(picture, face)} for face in found]

    def find(self, picture: Picture) -> list[Face]:
        height, width = picture.shape[:2]
        self._yunet.setInputSize((width, height))
        _, rows = self._yunet.detect(picture)
        if rows is None:
            return []
        return [
            Face((float(row[0]), float(row[1]), float(row[2]), float(row[3])), row[4:14].reshape(5, 2), float(row[14]))
            for row in rows
        ]

    def detail(self, picture: Picture, face: Face) -> dict[str, Any]:
        """A FaceDetail."""
        height, width = picture.shape[:2]
        x, y, w, h = face.box
        names = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
        points = {
            name: {"Type": name, "X": _ratio(px, width), "Y": _ratio(py, height)}
            for name, (px, py) in zip(names, face.points.tolist(), strict=True)
        }
        mesh = self.mesh(picture, face)
        detail: dict[str, Any] = {
            # May reach out of the picture (below 0, above 1), as AWS's does.
            "BoundingBox": {
                "Width": _ratio(w, width),
                "Height": _ratio(h, height),
                "Left": _ratio(x, width),
                "Top": _ratio(y, height),
            },
            "Landmarks": [points[name] for name in ("eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose")],
            "Pose": _pose(mesh) if mesh is not None else {"Roll": _degrees(_roll(face)), "Yaw": 0.0, "Pitch": 0.0},
            "Quality": _quality(picture, face),
            "Confidence": round(min(1.0, face.score) * 100, 4),
        }
        if self._everything and mesh is not None:
            detail["MouthOpen"] = _mouth_open(mesh)
        return detail

    def mesh(self, picture: Picture, face: Face) -> NDArray[np.float64] | None:
        """468 points (x, y, z) in the picture's pixels, or None where there is no FaceMesh, or no face to it."""
        if self._mesh is None:
            return None
        x, y, w, h = face.box
        center, side, roll = np.array([x + w / 2, y + h / 2]), 1.5 * max(w, h), _roll(face)
        points: NDArray[np.float64] | None = None
        for number in range(MESH_PASSES):
            found = self._mesh_once(picture, center, side, roll)
            if found is None:
                return points
            points = found
            flat = points[:, :2]
            eyes = flat[EYE_RIGHT] - flat[EYE_LEFT]
            turned, roll = roll, math.atan2(eyes[1], eyes[0])
            if number and abs(roll - turned) < MESH_SETTLED:
                break
            low, high = flat.min(0), flat.max(0)
            center, side = (low + high) / 2, 1.5 * float((high - low).max())
        return points

    def _mesh_once(
        self, picture: Picture, center: NDArray[np.float64], side: float, roll: float
    ) -> NDArray[np.float64] | None:
        """One pass over the square of *side* px around *center*, turned upright by *roll* (radians)."""
        scale = side / MESH_SIDE
        cos, sin = math.cos(roll) * scale, math.sin(roll) * scale
        # From the crop to the picture; z grows with the crop and has no other unit.
        half = MESH_SIDE / 2
        out = np.array(
            [
                [cos, -sin, center[0] - cos * half + sin * half],
                [sin, cos, center[1] - sin * half - cos * half],
            ]
        )
        crop = cv2.warpAffine(picture, out, (MESH_SIDE, MESH_SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        mesh = self._mesh
        mesh.setInput(cv2.dnn.blobFromImage(crop, 1 / 255, swapRB=True))
        outputs = mesh.forward(mesh.getUnconnectedOutLayersNames())
        flat = max(outputs, key=np.size).reshape(-1, 3).astype(np.float64)
        if float(min(outputs, key=np.size).ravel()[0]) < MESH_CONFIDENCE:
            return None
        return np.column_stack([flat[:, :2] @ out[:, :2].T + out[:, 2], flat[:, 2] * scale])


def _roll(face: Face) -> float:
    left, right = face.points[0], face.points[1]
    return math.atan2(float(right[1] - left[1]), float(right[0] - left[0]))


def _pose(mesh: NDArray[np.float64]) -> dict[str, float]:
    """Angles of the head from the line between the eyes and the line from forehead to chin."""
    across = mesh[EYE_RIGHT] - mesh[EYE_LEFT]
    down = mesh[CHIN] - mesh[FOREHEAD]
    across /= np.linalg.norm(across)
    down -= across * float(down @ across)
    down /= np.linalg.norm(down)
    ahead = np.cross(across, down)  # into the picture; the mesh's z grows away from the camera
    return {
        "Roll": _degrees(math.atan2(across[1], across[0])),
        "Yaw": _degrees(math.atan2(-ahead[0], ahead[2])),
        "Pitch": round(_degrees(math.asin(max(-1.0, min(1.0, float(ahead[1]))))) - LEVEL_PITCH, 4),
    }


def _mouth_open(mesh: NDArray[np.float64]) -> dict[str, Any]:
    """Confidence grows with the distance from the threshold: 50 at it, 100 far from it."""
    gap = float(
        np.linalg.norm(mesh[LIP_LOWER] - mesh[LIP_UPPER]) / np.linalg.norm(mesh[MOUTH_RIGHT] - mesh[MOUTH_LEFT])
    )
    certainty = min(1.0, abs(gap - MOUTH_OPEN) / MOUTH_OPEN)
    return {"Value": gap > MOUTH_OPEN, "Confidence": round(50 + 50 * certainty, 4)}


def _quality(picture: Picture, face: Face) -> dict[str, float]:
    height, width = picture.shape[:2]
    x, y, w, h = (round(v) for v in face.box)
    crop = picture[max(0, y) : min(height, y + h), max(0, x) : min(width, x + w)]
    if not crop.size:
        return {"Brightness": 0.0, "Sharpness": 0.0}
    gray = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(gray, (96, 96), interpolation=cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(small, cv2.CV_64F).var()) / 10
    return {"Brightness": round(float(gray.mean()) / 2.55, 4), "Sharpness": round(min(100.0, sharpness), 4)}


def _ratio(pixels: float, of: int) -> float:
    return round(pixels / of, 6)


def _degrees(radians: float) -> float:
    return round(math.degrees(radians), 4)
