"""What Rekognition charges for a minute of stored video. What the stack itself costs is thousandths of that."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "bench/prices.json"


def per_minute(analyses: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Dollars a minute of each of `analyses`, given as ``{"segment-detection": {"SegmentTypes": ["SHOT"]}}``."""
    analysis, segments = _prices()
    return {
        name: segments * len(parameters.get("SegmentTypes", ("SHOT",))) if name == "segment-detection" else analysis
        for name, parameters in analyses.items()
    }


def as_of() -> str:
    """Which prices these are, for the line under a sum."""
    known = _file()
    return (
        f"list prices in {known.get('region', 'us-east-1')}, {known.get('dated', '2026-11-23')}; check before relying"
    )


def _prices() -> tuple[float, float]:
    prices = _file().get("prices", {})
    return _usd(prices, "rekognition_video_minute", 0.10), _usd(prices, "rekognition_segment_minute", 0.05)


def _usd(prices: Mapping[str, Any], name: str, otherwise: float) -> float:
    return float(prices[name]["usd"]) / float(prices[name]["per"]) if name in prices else otherwise


def _file() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return known
