"""The catalogue of analyses: one row each. Data only, so that the stacks can read it at synth without AWS's libraries.

Names, members and bounds are those of Amazon Rekognition's service model (2016-06-27).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambdas.model.parameter_types import ListOf, Number, OneOf, Structure, Text, Value, WrongAnalysis, nearest


@dataclass(frozen=True, slots=True)
class Analysis:
    """One operation pair of Rekognition Video.

    Attributes:
        name: as in settings, metadata and file names.
        operation: the pair's common name: ``FaceDetection`` for StartFaceDetection and GetFaceDetection.
        detections: the member of Get's response that holds the list.
        start: the parameters of the Start call, beyond those that every pair has.
        get: the parameters of the Get call, beyond those that every pair has. They decide the form of the
            results, so they belong to the job: all pages of a job are requested with the same ones.
        required: parameters that must be given.
        defaults: Rekognition's own. They are filled in, so that a job with an explicit default is the same job.
        example: values for the required parameters, for error messages.
    """

    name: str
    operation: str
    detections: str
    start: Mapping[str, Value] = field(default_factory=dict)
    get: Mapping[str, Value] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def start_operation(self) -> str:
        """The API's name of the call that starts a job, which is also its IAM action."""
        return f"Start{self.operation}"

    @property
    def get_operation(self) -> str:
        """The API's name of the call that reads a job's results, which is also its IAM action."""
        return f"Get{self.operation}"

    @property
    def takes(self) -> Mapping[str, Value]:
        """All its parameters, those of Start and those of Get."""
        return {**self.start, **self.get}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a job: `given` over the defaults, in the one form that equal values share.

        Raises:
            WrongAnalysis: a parameter is unknown or missing, or Rekognition does not accept its value.
        """
        takes = self.takes
        for name in given:
            if name not in takes:
                raise WrongAnalysis(f"{self.name} has no parameter {name!r}{nearest(str(name), takes)}")
        for name in sorted(self.required - set(given)):
            raise WrongAnalysis(
                f"{self.name} needs {name}: {takes[name].takes}; like {json.dumps({self.name: self.example})}"
            )
        return {
            **self.defaults,
            **{name: takes[name].read(f"{self.name}: {name}", value) for name, value in given.items()},
        }


_PERCENT = Number(0, 100)
_FRACTION = Number(0, 1)
_AGGREGATE = OneOf(("TIMESTAMPS", "SEGMENTS"))
_BY_NAME = OneOf(("NAME", "TIMESTAMP"))
_BOX = Structure(dict.fromkeys(("Width", "Height", "Left", "Top"), Number()))
_LABELS = ListOf(
    Text(0, 50, "[A-Za-z0-9àâèçñó'-_(). ]*", "a label's or category's name: letters, digits, spaces and ' - _ ( ) ."),
    0,
    100,
)

CATALOGUE: Mapping[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        Analysis(
            name="face-detection",
            operation="FaceDetection",
            detections="Faces",
            start={"FaceAttributes": OneOf(("DEFAULT", "ALL"))},
            defaults={"FaceAttributes": "DEFAULT"},
        ),
        Analysis(
            name="label-detection",
            operation="LabelDetection",
            detections="Labels",
            start={
                "MinConfidence": _PERCENT,
                "Features": ListOf(OneOf(("GENERAL_LABELS",)), 0, 1),
                "Settings": Structure(
                    {
                        "GeneralLabels": Structure(
                            {
                                "LabelInclusionFilters": _LABELS,
                                "LabelExclusionFilters": _LABELS,
                                "LabelCategoryInclusionFilters": _LABELS,
                                "LabelCategoryExclusionFilters": _LABELS,
                            }
                        )
                    }
                ),
            },
            get={"SortBy": _BY_NAME, "AggregateBy": _AGGREGATE},
            defaults={"MinConfidence": 50, "SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"},
        ),
        Analysis(
            name="content-moderation",
            operation="ContentModeration",
            detections="ModerationLabels",
            start={"MinConfidence": _PERCENT},
            get={"SortBy": _BY_NAME, "AggregateBy": _AGGREGATE},
            defaults={"MinConfidence": 50, "SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"},
        ),
        Analysis(
            name="text-detection",
            operation="TextDetection",
            detections="TextDetections",
            start={
                "Filters": Structure(
                    {
                        "WordFilter": Structure(
                            {
                                "MinConfidence": _PERCENT,
                                "MinBoundingBoxHeight": _FRACTION,
                                "MinBoundingBoxWidth": _FRACTION,
                            }
                        ),
                        "RegionsOfInterest": ListOf(
                            Structure(
                                {"BoundingBox": _BOX, "Polygon": ListOf(Structure({"X": Number(), "Y": Number()}))}
                            ),
                            0,
                            10,
                        ),
                    }
                )
            },
        ),
        Analysis(
            name="celebrity-recognition",
            operation="CelebrityRecognition",
            detections="Celebrities",
            get={"SortBy": OneOf(("ID", "TIMESTAMP"))},
            defaults={"SortBy": "TIMESTAMP"},
        ),
        Analysis(
            name="face-search",
            operation="FaceSearch",
            detections="Persons",
            start={
                "FaceMatchThreshold": _PERCENT,
                "CollectionId": Text(1, 255, r"[a-zA-Z0-9_.\-]+", "a collection's id: letters, digits and _ . -"),
            },
            get={"SortBy": OneOf(("INDEX", "TIMESTAMP"))},
            required=frozenset({"CollectionId"}),
            defaults={"FaceMatchThreshold": 80, "SortBy": "TIMESTAMP"},
            example={"CollectionId": "staff"},
        ),
        Analysis(
            name="segment-detection",
            operation="SegmentDetection",
            detections="Segments",
            start={
                "Filters": Structure(
                    {
                        "TechnicalCueFilter": Structure(
                            {
                                "MinSegmentConfidence": Number(50, 100),
                                "BlackFrame": Structure(
                                    {"MaxPixelThreshold": _FRACTION, "MinCoveragePercentage": _PERCENT}
                                ),
                            }
                        ),
                        "ShotFilter": Structure({"MinSegmentConfidence": Number(50, 100)}),
                    }
                ),
                "SegmentTypes": ListOf(OneOf(("TECHNICAL_CUE", "SHOT")), 1),
            },
            required=frozenset({"SegmentTypes"}),
            example={"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]},
        ),
    )
}

# People pathing: still in the service model, but discontinued on 2025-10-31.
DEAD = frozenset({"PersonTracking"})


def analysis_named(name: str) -> Analysis:
    """The catalogue's row of that name.

    Raises:
        WrongAnalysis: there is none.
    """
    if name not in CATALOGUE:
        raise WrongAnalysis(f"there is no analysis {name!r}{nearest(name, CATALOGUE)}")
    return CATALOGUE[name]


def chosen(choice: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A choice of analyses, ``{"face-detection": {"FaceAttributes": "ALL"}}``, checked and with defaults filled in. An
    empty one is a choice too.

    Raises:
        WrongAnalysis: the choice names something that Rekognition doesn't have.
    """
    for name, given in choice.items():
        if not isinstance(given, Mapping):
            raise WrongAnalysis(f'{name}: parameters are an object like {{"FaceAttributes": "ALL"}}, not {given!r}')
    return {name: analysis_named(name).parameters(given) for name, given in choice.items()}


def canonical(parameters: Mapping[str, Any]) -> str:
    """`parameters` as JSON in canonical form: equal parameters give equal text."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


def job_id(bucket: str, key: str, etag: str, analysis: str, parameters: Mapping[str, Any]) -> str:
    """The id of the job that does `analysis` with `parameters` on one content of one key: 64 hexadecimal characters.

    However often an upload is announced, it is the same job. So is the same content uploaded again, where S3 gives it
    the same etag (docs/limits-and-guarantees.md says where). A version id is not part of it: in a versioned bucket the
    same bytes uploaded again would get another one. Nor is S3's CRC, which is easily forged (docs/decisions).
    """
    return _digest([bucket, key, etag, analysis, canonical(parameters)])


def attempt_token(job: str, attempt: int) -> str:
    """The ClientRequestToken of a job's nth attempt (1, 2, ...): with it, Rekognition runs that attempt at most once.

    Tokens take letters, digits, ``-`` and ``_``, 64 at most, and live 7 days.
    """
    return _digest([job, attempt])


def _digest(parts: list[Any]) -> str:
    # A JSON list, so that different lists of parts never give the same text.
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
