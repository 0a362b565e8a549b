"""Content moderation: Yahoo's open_nsfw, one coarse score.

It says how likely a picture is pornographic, and nothing else: one label of AWS's taxonomy, ``Explicit``, at its first
level. Nudity that isn't explicit, violence, drugs, gambling, gestures and hate symbols are not found, and ContentTypes
(animated, illustrated, ...) not told. How well it finds what it is for was not tested: no test holds such material.
Harmless pictures score 0 to 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.engines.models import OPEN_NSFW
from rekognition_local.engines.onnx_session import OnnxSession
from rekognition_local.video import Picture, Sample

LABEL = "Explicit"
#: The model was trained on the middle 224 pixels of pictures of 256×256 that had been JPEGs, less these means (BGR).
WHOLE, MIDDLE = 256, 224
MEAN = (104, 117, 123)


class Moderation(Analyzer):
    """The analyzer for content-moderation."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Raises ModelMissing."""
        cv2.setNumThreads(1)
        self._least = parameters.get("MinConfidence", 50)
        self._session = OnnxSession(OPEN_NSFW.path(), ["4195"])

    def see(self, sample: Sample) -> list[dict[str, Any]]:
        confidence = round(self.score(sample.picture()) * 100, 4)
        if confidence < self._least:
            return []
        label = {"Confidence": confidence, "Name": LABEL, "ParentName": "", "TaxonomyLevel": 1}
        return [{"Timestamp": sample.millis, "ModerationLabel": label, "ContentTypes": []}]

    def score(self, picture: Picture) -> float:
        """How likely it is, 0..1."""
        small = cv2.resize(picture, (WHOLE, WHOLE), interpolation=cv2.INTER_LINEAR)
        _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])
        edge = (WHOLE - MIDDLE) // 2
        whole: Any = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        middle = whole[edge : edge + MIDDLE, edge : edge + MIDDLE]
        (scores,) = self._session.run((middle - np.array(MEAN, np.float32))[None].astype(np.float32))
        return float(scores[0, 1])
