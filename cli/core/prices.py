"""What AWS charges: every price of this project stands in ``prices.json``, with its date and where it is from.

Rekognition's price for a minute of stored video is nearly all of it; what the stack itself costs is thousandths of that
(``make bench-cost``).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("prices.json")


def usd(name: str, number: float = 1) -> float:
    """Dollars for `number` of what `name` names in ``prices.json``."""
    price = known()["prices"][name]
    return number * float(price["usd"]) / float(price["per"])


def per_minute(analyses: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Dollars a minute of each of `analyses`, given as ``{"segment-detection": {"SegmentTypes": ["SHOT"]}}``.

    Segments are charged by the type: shots and technical cues together cost twice what one of them does.
    """
    return {
        name: usd("rekognition_segment_minute", len(parameters.get("SegmentTypes", ("SHOT",))))
        if name == "segment-detection"
        else usd("rekognition_video_minute")
        for name, parameters in analyses.items()
    }


def as_of() -> str:
    """Which prices these are, for the line under a sum."""
    return f"list prices in {known()['region']}, {known()['dated']}; check before relying"


@cache
def known() -> dict[str, Any]:
    """The file: ``dated``, ``region``, ``note``, and ``prices`` by name with ``usd``, ``per``, ``source``."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found
