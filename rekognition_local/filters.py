"""What a Start call wants left out: thresholds, names, places.

Engines apply these to what they see, so a filtered job has fewer rows, as on AWS, and not rows that Get hides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Box = Mapping[str, float]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """StartLabelDetection's MinConfidence (50 by default) and Settings.GeneralLabels."""

    min_confidence: float
    only: frozenset[str]
    only_categories: frozenset[str]
    never: frozenset[str]
    never_categories: frozenset[str]

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> LabelFilter:
        settings = parameters.get("Settings", {}).get("GeneralLabels", {})

        def names(member: str) -> frozenset[str]:
            return frozenset(settings.get(member, ()))

        return cls(
            min_confidence=parameters.get("MinConfidence", 50),
            only=names("LabelInclusionFilters"),
            only_categories=names("LabelCategoryInclusionFilters"),
            never=names("LabelExclusionFilters"),
            never_categories=names("LabelCategoryExclusionFilters"),
        )

    def admits(self, name: str, categories: Sequence[str]) -> bool:
        """Whether a label of this name is wanted. Names are AWS's, letter by letter; aliases don't count."""
        if name in self.never or self.never_categories.intersection(categories):
            return False
        if not self.only and not self.only_categories:
            return True
        return name in self.only or bool(self.only_categories.intersection(categories))


@dataclass(frozen=True, slots=True)
class TextFilter:
    """StartTextDetection's Filters. Without any, words below 80 are left out all the same, as the reference says."""

    min_confidence: float
    min_height: float
    min_width: float
    regions: Sequence[Points]

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> TextFilter:
        filters = parameters.get("Filters", {})
        words = filters.get("WordFilter", {})
        return cls(
            min_confidence=words.get("MinConfidence", 80),
            min_height=words.get("MinBoundingBoxHeight", 0),
            min_width=words.get("MinBoundingBoxWidth", 0),
            regions=[_region(region) for region in filters.get("RegionsOfInterest", ())],
        )

    def admits(self, box: Box, confidence: float) -> bool:
        """Whether a word with this BoundingBox is wanted."""
        large_enough = box["Height"] >= self.min_height and box["Width"] >= self.min_width
        return confidence >= self.min_confidence and large_enough and self._in_a_region(box)

    def _in_a_region(self, box: Box) -> bool:
        """ "A word is included in the region if it is more than half in that region" (API reference)."""
        half = box["Width"] * box["Height"] / 2
        return not self.regions or any(shared_area(region, box) > half for region in self.regions)


@dataclass(frozen=True, slots=True)
class SegmentFilter:
    """StartSegmentDetection's SegmentTypes and Filters, with the reference's defaults."""

    shots: bool
    cues: bool
    min_shot_confidence: float
    min_cue_confidence: float
    max_pixel_threshold: float
    min_coverage: float  # per cent

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> SegmentFilter:
        filters = parameters.get("Filters", {})
        cue = filters.get("TechnicalCueFilter", {})
        black = cue.get("BlackFrame", {})
        return cls(
            shots="SHOT" in parameters["SegmentTypes"],
            cues="TECHNICAL_CUE" in parameters["SegmentTypes"],
            min_shot_confidence=filters.get("ShotFilter", {}).get("MinSegmentConfidence", 50),
            min_cue_confidence=cue.get("MinSegmentConfidence", 50),
            max_pixel_threshold=black.get("MaxPixelThreshold", 0.2),
            min_coverage=black.get("MinCoveragePercentage", 99),
        )


def _region(region: Mapping[str, Any]) -> Points:
    """The corners of a RegionOfInterest: of its polygon, else of its box."""
    if region.get("Polygon"):
        return [(point.get("X", 0.0), point.get("Y", 0.0)) for point in region["Polygon"]]
    box = region.get("BoundingBox", {})
    left, top = box.get("Left", 0.0), box.get("Top", 0.0)
    right, bottom = left + box.get("Width", 0.0), top + box.get("Height", 0.0)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def shared_area(polygon: Points, box: Box) -> float:
    """The area of *polygon* inside *box*: the polygon clipped at each of the box's sides (Sutherland and Hodgman)."""
    left, top = box["Left"], box["Top"]
    sides = ((0, left, 1), (0, left + box["Width"], -1), (1, top, 1), (1, top + box["Height"], -1))
    points = list(polygon)
    for axis, limit, sign in sides:
        clipped: list[tuple[float, float]] = []
        for one, next_one in zip(points, points[1:] + points[:1], strict=True):
            here, there = sign * (one[axis] - limit), sign * (next_one[axis] - limit)
            if here >= 0:
                clipped.append(one)
            if here * there < 0:
                t = here / (here - there)
                clipped.append((one[0] + t * (next_one[0] - one[0]), one[1] + t * (next_one[1] - one[1])))
        points = clipped
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairs)) / 2
