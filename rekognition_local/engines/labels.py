"""Labels: COCO-SSD (SSDLite on MobileNetV2) finds 80 kinds of things.

Its input is 300×300 pixels whatever the source: good at what fills a tenth of the picture or more, blind to small
things (cars down a street). AWS knows some 2,700 labels, also of scenes and activities; this knows things.

Not AWS's values: ``Confidence`` is the score × 100 and tends to be lower; 50, the default MinConfidence, suits it. A
label is as sure as its surest instance. Names, ancestors and categories are taxonomy.py's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.engines.models import COCO_ANCHORS, COCO_SSD
from rekognition_local.engines.onnx_session import OnnxSession, Values
from rekognition_local.engines.taxonomy import COCO, labels
from rekognition_local.filters import LabelFilter
from rekognition_local.video import Picture, Sample

SIDE = 300  # pixels
#: Below this the model sees things everywhere; a MinConfidence below it finds no more.
LEAST_SCORE = 0.2
#: Boxes of one class that share more than this of their common area are one thing.
MOST_OVERLAP = 0.5
#: The model's offsets are in these parts of a box's size, and of its logarithm.
CENTER_SCALE, SIZE_SCALE = 0.1, 0.2

Box = tuple[float, float, float, float]
"""left, top, width, height: ratios of the picture, as a BoundingBox has them."""


class Labels(Analyzer):
    """The analyzer for label-detection."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Raises ModelMissing."""
        cv2.setNumThreads(1)
        self._wanted = LabelFilter.of(parameters)
        self._session = OnnxSession(COCO_SSD.path(), ["Squeeze", "Postprocessor/convert_scores"])
        self._anchors = np.fromfile(COCO_ANCHORS.path(), "<f4").reshape(-1, 4)

    def see(self, sample: Sample) -> list[dict[str, Any]]:
        """The labels of one sampled frame, by name."""
        instances: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for kind, score, box in self.find(sample.picture()):
            confidence = round(score * 100, 4)
            if confidence >= self._wanted.min_confidence:
                instances[COCO[kind].name].append({"BoundingBox": _bounding_box(box), "Confidence": confidence})
        found = {name: (max(one["Confidence"] for one in those), those) for name, those in instances.items()}
        return [{"Timestamp": sample.millis, "Label": label} for label in labels(found, self._wanted)]

    def find(self, picture: Picture) -> list[tuple[int, float, Box]]:
        """Class, score 0..1 and box of each thing, the surest first."""
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        encoded, scores = self._session.run(cv2.dnn.blobFromImage(small, 2 / 255, swapRB=True) - np.float32(1))
        boxes, scores = self._decoded(encoded[0]), scores[0]
        found = []
        for kind in COCO:
            sure = np.flatnonzero(scores[:, kind] > LEAST_SCORE)
            if sure.size:
                kept = cv2.dnn.NMSBoxes(boxes[sure].tolist(), scores[sure, kind].tolist(), LEAST_SCORE, MOST_OVERLAP)
                found += [
                    (kind, float(scores[at, kind]), _box(boxes[at])) for at in sure[np.asarray(kept, int).ravel()]
                ]
        return sorted(found, key=lambda thing: -thing[1])

    def _decoded(self, encoded: Values) -> Values:
        """Offsets from the anchors (y, x, height, width) as boxes (left, top, width, height)."""
        size = self._anchors[:, 2:] - self._anchors[:, :2]
        center = self._anchors[:, :2] + size / 2 + encoded[:, :2] * CENTER_SCALE * size
        size = size * np.exp(encoded[:, 2:] * SIZE_SCALE)
        corner = center - size / 2
        return np.column_stack([corner[:, 1], corner[:, 0], size[:, 1], size[:, 0]]).astype(np.float32)


def _box(values: Values) -> Box:
    left, top, width, height = (float(value) for value in values)
    return left, top, width, height


def _bounding_box(box: Box) -> dict[str, float]:
    """Within the picture: the model guesses beyond its edges what it can't see there."""
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(1.0, box[0] + box[2]), min(1.0, box[1] + box[3])
    return {
        "Width": round(right - left, 6),
        "Height": round(bottom - top, 6),
        "Left": round(left, 6),
        "Top": round(top, 6),
    }
