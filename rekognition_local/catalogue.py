"""The analyses of stored video this endpoint offers, a row each, and what else it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What stands where AWS names the version of a model: there is no telling these results for AWS's.
MODEL_VERSION = "local-1"
#: The same where the service model wants digits and dots.
FACE_MODEL_VERSION = "0.1"

DEFAULT_AGGREGATE = "TIMESTAMPS"


@dataclass(frozen=True, slots=True)
class Analysis:
    """One pair of operations.

    ``rows`` is the member of the Get reply that holds the list. Engines give rows in the order of ``sort_by``'s first
    word (by time where there is none).
    ``item`` is the member of a row that holds what was found; None where that is the row itself.
    ``sort_by`` and ``by_segments`` say what the Get call can be asked for: its SortBy words, the default first, and
    whether it has AggregateBy.
    ``metadata_is_list``: VideoMetadata is a list of one (segments), not an object.
    ``constants`` are members every reply carries whatever the job's state, such as the model's version.
    """

    name: str
    start: str
    get: str
    rows: str
    item: str | None = None
    sort_by: tuple[str, ...] = ()
    by_segments: bool = False
    metadata_is_list: bool = False
    constants: Mapping[str, str] = field(default_factory=dict)

    def asked(self, parameters: Mapping[str, Any]) -> Asked:
        """How a Get call wants the rows. Members the operation doesn't have count for nothing."""
        return Asked(
            parameters.get("SortBy", self.sort_by[0]) if self.sort_by else "",
            parameters.get("AggregateBy", DEFAULT_AGGREGATE) if self.by_segments else "",
        )

    def about(self, started: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Members of the Get reply that follow from what was asked, at Start and now."""
        about: dict[str, Any] = dict(self.constants)
        if self.by_segments:
            about["GetRequestMetadata"] = {"SortBy": asked.sort_by, "AggregateBy": asked.aggregate_by}
        if "SegmentTypes" in started:
            kinds = dict.fromkeys(started["SegmentTypes"])
            about["SelectedSegmentTypes"] = [{"Type": kind, "ModelVersion": MODEL_VERSION} for kind in kinds]
        return about


@dataclass(frozen=True, slots=True)
class Asked:
    """An order and an aggregation of a job's rows; empty where the operation knows none."""

    sort_by: str = ""
    aggregate_by: str = ""

    @property
    def name(self) -> str:
        return f"{self.sort_by}/{self.aggregate_by}"


ANALYSES = (
    Analysis("face-detection", "StartFaceDetection", "GetFaceDetection", rows="Faces", item="Face"),
    Analysis(
        "label-detection",
        "StartLabelDetection",
        "GetLabelDetection",
        rows="Labels",
        item="Label",
        sort_by=("TIMESTAMP", "NAME"),
        by_segments=True,
        constants={"LabelModelVersion": MODEL_VERSION},
    ),
    Analysis(
        "content-moderation",
        "StartContentModeration",
        "GetContentModeration",
        rows="ModerationLabels",
        item="ModerationLabel",
        sort_by=("TIMESTAMP", "NAME"),
        by_segments=True,
        constants={"ModerationModelVersion": MODEL_VERSION},
    ),
    Analysis(
        "text-detection",
        "StartTextDetection",
        "GetTextDetection",
        rows="TextDetections",
        item="TextDetection",
        constants={"TextModelVersion": MODEL_VERSION},
    ),
    Analysis(
        "celebrity-recognition",
        "StartCelebrityRecognition",
        "GetCelebrityRecognition",
        rows="Celebrities",
        item="Celebrity",
        sort_by=("TIMESTAMP", "ID"),
    ),
    Analysis(
        "face-search",
        "StartFaceSearch",
        "GetFaceSearch",
        rows="Persons",
        item="Person",
        sort_by=("TIMESTAMP", "INDEX"),
    ),
    Analysis(
        "segment-detection",
        "StartSegmentDetection",
        "GetSegmentDetection",
        rows="Segments",
        metadata_is_list=True,
    ),
)

BY_START = {analysis.start: analysis for analysis in ANALYSES}
BY_GET = {analysis.get: analysis for analysis in ANALYSES}
BY_NAME = {analysis.name: analysis for analysis in ANALYSES}
#: Face collections: answered at once, nothing to do with jobs.
COLLECTIONS = (
    "CreateCollection",
    "DeleteCollection",
    "DescribeCollection",
    "ListCollections",
    "IndexFaces",
    "ListFaces",
    "DeleteFaces",
    "SearchFaces",
    "SearchFacesByImage",
)
OPERATIONS = (*BY_START, *BY_GET, *COLLECTIONS)
