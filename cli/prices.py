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
    """When these prices were looked up, and where they hold."""
    known = _file()
    return f"{known.get('region', 'us-east-1')}, list prices of {known.get('as_of', '2026-07')}"


def _prices() -> tuple[float, float]:
    rekognition = _file().get("rekognition", {})
    return float(rekognition.get("minute", 0.10)), float(rekognition.get("segment_minute", 0.05))


def _file() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return known
