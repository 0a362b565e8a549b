"""Face search: SFace tells faces apart; a collection keeps what it made of its faces, a video's are compared with it.

Faces are found as engines/faces.py finds them, at 640 px along the longer side; a face costs another 35 ms on one core.
On 26 crops of 15 people (tilted, dark, blurred), every pair of one person was alike enough, and of 293 pairs of two
people one was: a smoke test, not a benchmark, and no ground for decisions about people.

Not AWS's values:

- ``Similarity`` is the cosine of two faces' vectors, on a scale of ours: 0 at 0, 80 (AWS's default threshold) at 0.363,
  which the model's authors give as theirs, and 100 at 1, straight in between.
- ``Person.Index`` follows a face by its vector and its place from sample to sample, and by its vector alone over cuts.
- ``Person.BoundingBox`` would be the body's, and nothing here finds bodies: it is left out.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rekognition_local.engines import FacesInImage, FoundFace, NotAnImage, matches
from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.engines.faces import Face, Faces
from rekognition_local.engines.models import SFACE
from rekognition_local.video import Picture, Sample

#: Cosine from which on two faces are one person's, and the Similarity that is.
SAME, SAME_SIMILARITY = 0.363, 80.0
#: A face in the same place half a second later may turn away so far and still be the same person's.
SAME_IF_THERE = 0.2
LEAST_OVERLAP = 0.3  # share of two boxes' common area, for the same place
LONGEST_GAP = 1100  # milliseconds: a sample may be missed
IMAGE_SIDE = 640  # pixels of a picture for a collection, along its longer side, at most
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")

Vector = NDArray[np.float32]
"""128 numbers, of length 1."""


def similarity(cosine: float) -> float:
    """0..100."""
    if cosine >= SAME:
        value = SAME_SIMILARITY + (100 - SAME_SIMILARITY) * (cosine - SAME) / (1 - SAME)
    else:
        value = SAME_SIMILARITY * max(0.0, cosine) / SAME
    return round(min(100.0, value), 4)


class Comparer:
    """Finds faces and makes vectors of them."""

    def __init__(self) -> None:
        """Raises ModelMissing."""
        self._sface = cv2.FaceRecognizerSF.create(str(SFACE.path()), "")
        self.faces = Faces({})

    def vector(self, picture: Picture, face: Face) -> Vector:
        row = np.array([*face.box, *face.points.ravel(), face.score], np.float32)
        values = self._sface.feature(self._sface.alignCrop(picture, row)).ravel()
        result: Vector = values / np.linalg.norm(values)
        return result


@dataclass(slots=True)
class Track:
    """A person seen before: the face's vector, box and time of the last sample."""

    index: int
    vector: Vector
    box: tuple[float, float, float, float]
    millis: int


class Search(Analyzer):
    """The analyzer for face-search."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Raises ModelMissing."""
        self._comparer = Comparer()
        self._least = parameters.get("FaceMatchThreshold", SAME_SIMILARITY)
        known: Sequence[Mapping[str, Any]] = parameters.get("CollectionFaces", ())
        self._known = [entry["Face"] for entry in known]
        self._vectors = np.array([entry["Vector"] for entry in known], np.float32)
        self._tracks: list[Track] = []

    def see(self, sample: Sample) -> list[dict[str, Any]]:
        """The people of one sampled frame, by their index."""
        picture = sample.picture()
        found = self._comparer.faces.find(picture)
        vectors = [self._comparer.vector(picture, face) for face in found]
        rows = []
        for index, face, vector in zip(self._indexes(found, vectors, sample.millis), found, vectors, strict=True):
            person = {"Index": index, "Face": self._comparer.faces.detail(picture, face)}
            matches = self._matches(vector)
            rows.append({"Timestamp": sample.millis, "Person": person} | ({"FaceMatches": matches} if matches else {}))
        return sorted(rows, key=lambda row: row["Person"]["Index"])

    def _matches(self, vector: Vector) -> list[dict[str, Any]]:
        """The faces of the collection that are like this one, the likest first."""
        return matches(self._known, alike(vector, self._vectors), self._least)

    def _indexes(self, found: Sequence[Face], vectors: Sequence[Vector], millis: int) -> list[int]:
        """Who each face is: the most similar pairs of a face and a person seen before, then new people."""
        pairs = sorted(
            ((float(track.vector @ vector), at, track) for track in self._tracks for at, vector in enumerate(vectors)),
            key=lambda pair: -pair[0],
        )
        who: dict[int, Track] = {}
        for cosine, at, track in pairs:
            there = millis - track.millis <= LONGEST_GAP and _overlap(track.box, found[at].box) >= LEAST_OVERLAP
            if cosine >= (SAME_IF_THERE if there else SAME) and at not in who and track not in who.values():
                who[at] = track
        for at, face in enumerate(found):
            if at not in who:
                who[at] = Track(len(self._tracks), vectors[at], face.box, millis)
                self._tracks.append(who[at])
            track = who[at]
            track.vector, track.box, track.millis = vectors[at], face.box, millis
        return [who[at].index for at in range(len(found))]


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """What two boxes share, of what they cover together: 0..1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    covered = one[2] * one[3] + other[2] * other[3] - shared
    return shared / covered if covered else 0.0


def alike(vector: Sequence[float] | Vector, others: Sequence[Sequence[float]] | NDArray[np.float32]) -> list[float]:
    """The Similarity (0..100) of a face's vector with each of others'."""
    if len(others) == 0:
        return []
    cosines = np.asarray(others, np.float32) @ np.asarray(vector, np.float32)
    return [similarity(float(cosine)) for cosine in cosines]


_one_at_a_time = threading.Lock()  # OpenCV's models keep what they work on


@functools.cache
def _comparer() -> Comparer:
    return Comparer()


def faces_in(image: bytes) -> FacesInImage:
    """The faces in a PNG or JPEG. Raises NotAnImage, ModelMissing."""
    if not image.startswith(MAGIC):
        raise NotAnImage
    picture: Any = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise NotAnImage
    scale = IMAGE_SIDE / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    with _one_at_a_time:
        comparer = _comparer()
        return [
            FoundFace(comparer.faces.detail(picture, face), comparer.vector(picture, face).tolist())
            for face in comparer.faces.find(picture)
        ]
