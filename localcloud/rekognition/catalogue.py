"""The analyses of stored video this endpoint offers, a row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Analysis:
    """One pair of operations.

    ``rows`` is the member of the Get reply that holds the list. Rows stand in the order the engine gives them, by time.
    ``metadata_is_list``: VideoMetadata is a list of one (segments), not an object.
    ``constants`` are members every reply carries whatever the job's state, such as the model's version.
    """

    name: str
    start: str
    get: str
    rows: str
    metadata_is_list: bool = False
    constants: tuple[tuple[str, str], ...] = ()


ANALYSES = (Analysis("face-detection", "StartFaceDetection", "GetFaceDetection", rows="Faces"),)

BY_START = {analysis.start: analysis for analysis in ANALYSES}
BY_GET = {analysis.get: analysis for analysis in ANALYSES}
BY_NAME = {analysis.name: analysis for analysis in ANALYSES}
OPERATIONS = (*BY_START, *BY_GET)
