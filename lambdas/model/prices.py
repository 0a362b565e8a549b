"""AWS's prices. Every price in this project is in ``prices.json``, with its date and source.

Nearly all of the cost is Rekognition's price per minute of stored video; the stack itself costs a few thousandths of
that (``make bench-cost``).
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("prices.json")


def usd(name: str, number: float = 1) -> float:
    """Dollars for `number` units of the price `name` in ``prices.json``."""
    price = known()["prices"][name]
    return number * float(price["usd"]) / float(price["per"])


def per_minute(analyses: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Dollars per minute for each of `analyses`, given as ``{"segment-detection": {"SegmentTypes": ["SHOT"]}}``.

    Rekognition charges segments per type: shots and technical cues together cost twice as much as either.
    """
    return {
        name: usd("rekognition_segment_minute", len(parameters.get("SegmentTypes", ("SHOT",))))
        if name == "segment-detection"
        else usd("rekognition_video_minute")
        for name, parameters in analyses.items()
    }


def conversion(minutes: float) -> float:
    """Dollars for converting so many minutes of video."""
    return usd("mediaconvert_minute", minutes)


def as_of() -> str:
    """Region and date of the prices, to print under a sum."""
    return f"list prices in {known()['region']}, {known()['dated']}; check before relying"


@cache
def known() -> dict[str, Any]:
    """The file: ``dated``, ``region``, ``note``, and ``prices`` by name with ``usd``, ``per``, ``source``."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found
