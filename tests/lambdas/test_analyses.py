"""The catalogue, the choice, and the ids that make everything idempotent."""

import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.model import ServiceModel, Shape

from lambdas.model.analyses import CATALOGUE, DEAD, analysis_named, attempt_token, chosen, job_id
from lambdas.model.parameter_types import ListOf, Number, OneOf, Structure, Text, Value, WrongAnalysis

EVERY_START = {"Video", "ClientRequestToken", "NotificationChannel", "JobTag"}
EVERY_GET = {"JobId", "MaxResults", "NextToken"}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return boto3.client("rekognition", region_name="us-east-1").meta.service_model


def differences(value: Value | None, shape: Any, path: str) -> Iterator[str]:
    """Where the catalogue's `value` is not what the model's `shape` says."""
    bounds = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(value, Structure):
        if shape.type_name != "structure":
            yield f"{path}: a {shape.type_name}, not a structure"
        else:
            yield from members(value.members, shape.members, shape.required_members, frozenset(), path)
    elif isinstance(value, ListOf):
        if shape.type_name != "list" or (value.least or None, value.most) != (bounds[0] or None, bounds[1]):
            yield f"{path}: a {shape.type_name} of {bounds}"
        else:
            yield from differences(value.item, shape.member, f"{path}[]")
    elif isinstance(value, OneOf):
        if shape.type_name != "string" or set(value.words) != set(shape.metadata.get("enum", ())):
            yield f"{path}: one of {shape.metadata.get('enum', 'no words')}"
    elif isinstance(value, Number):
        if shape.type_name != "float" or (value.least, value.most) != bounds:
            yield f"{path}: a {shape.type_name} of {bounds}"
    elif isinstance(value, Text):
        if shape.type_name != "string" or (value.least, value.most, value.pattern) != (
            *bounds,
            shape.metadata["pattern"],
        ):
            yield f"{path}: a {shape.type_name} of {bounds}, {shape.metadata.get('pattern')}"
    else:
        yield f"{path}: the catalogue's {value!r} is of no known kind"


def members(ours: Any, theirs: Any, required: Any, ours_required: Any, path: str) -> Iterator[str]:
    for name in sorted(set(ours) ^ set(theirs)):
        yield f"{path}.{name}: {'the model' if name in ours else 'the catalogue'} has none"
    if set(required) != set(ours_required):
        yield f"{path}: requires {required}"
    for name in set(ours) & set(theirs):
        yield from differences(ours[name], theirs[name], f"{path}.{name}")


def without(shape: Any, common: set[str]) -> dict[str, Shape]:
    return {name: member for name, member in shape.members.items() if name not in common}


def of_stored_video(model: ServiceModel) -> set[str]:
    """The pairs of the model that take a video of S3 and a notification channel, by their common names."""
    starts = (name for name in model.operation_names if name.startswith("Start"))
    return {
        name.removeprefix("Start")
        for name in starts
        if set(model.operation_model(name).input_shape.members) >= EVERY_START
    }


def test_the_catalogue_has_every_pair_of_the_service_model(model: ServiceModel) -> None:
    assert {analysis.operation for analysis in CATALOGUE.values()} | DEAD == of_stored_video(model)


@pytest.mark.parametrize("analysis", CATALOGUE.values(), ids=list(CATALOGUE))
def test_each_row_has_every_member_and_bound_of_the_service_model(analysis, model: ServiceModel) -> None:
    start = model.operation_model(analysis.start_operation).input_shape
    get = model.operation_model(analysis.get_operation).input_shape
    required = set(start.required_members) - EVERY_START

    found = [
        *members(analysis.start, without(start, EVERY_START), required, analysis.required, "Start"),
        *members(analysis.get, without(get, EVERY_GET), set(get.required_members) - EVERY_GET, (), "Get"),
    ]

    assert found == []
    assert model.operation_model(analysis.get_operation).output_shape.members[analysis.detections].type_name == "list"


@pytest.mark.parametrize(
    ("catalogue", "says"),
    [
        (Number(0, 99), "MinConfidence: a float of (0, 100)"),
        (OneOf(("LOW",)), "MinConfidence: one of no words"),
        (None, "MinConfidence: the catalogue's None"),
    ],
)
def test_the_walk_notices_what_is_wrong(catalogue, says: str, model: ServiceModel) -> None:
    shape = model.operation_model("StartContentModeration").input_shape.members["MinConfidence"]

    assert [line for line in differences(catalogue, shape, "MinConfidence") if line.startswith(says)]


def test_the_walk_notices_what_is_missing_and_what_is_too_much(model: ServiceModel) -> None:
    shape = model.operation_model("StartFaceSearch").input_shape

    found = list(members({"Speed": Number()}, without(shape, EVERY_START), {"CollectionId"}, set(), "Start"))

    assert "Start.CollectionId: the catalogue has none" in found
    assert "Start.Speed: the model has none" in found
    assert "Start: requires {'CollectionId'}" in found


@pytest.mark.parametrize("analysis", CATALOGUE.values(), ids=list(CATALOGUE))
def test_defaults_and_examples_would_do(analysis) -> None:
    given = analysis.parameters(analysis.example)

    assert analysis.parameters(given) == given
    assert set(given) == set(analysis.defaults) | analysis.required


def test_a_choice_gets_its_defaults() -> None:
    assert chosen({}) == {}
    assert chosen({"face-detection": {}}) == {"face-detection": {"FaceAttributes": "DEFAULT"}}


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"face-detect": {}}, "did you mean 'face-detection'"),
        ({"face-detection": {"FaceAttribute": "ALL"}}, "did you mean 'FaceAttributes'"),
        ({"face-detection": {"FaceAttributes": "SOME"}}, "'SOME'; it takes DEFAULT or ALL"),
        ({"face-detection": "ALL"}, "parameters are an object"),
        ({"segment-detection": {}}, "needs SegmentTypes: a list of at least 1: TECHNICAL_CUE or SHOT; like"),
        ({"segment-detection": {"SegmentTypes": []}}, "is []; it takes a list of at least 1"),
        ({"segment-detection": {"SegmentTypes": ["SHOTS"]}}, "'SHOTS'; it takes TECHNICAL_CUE or SHOT"),
        ({"face-search": {"FaceMatchThreshold": 90}}, "needs CollectionId: 1 to 255 characters of a collection"),
        ({"face-search": {"CollectionId": "our staff"}}, "'our staff'; it takes 1 to 255 characters"),
        ({"label-detection": {"MinConfidence": 101}}, "MinConfidence is 101; it takes a number from 0 to 100"),
        ({"label-detection": {"MinConfidence": True}}, "MinConfidence is True; it takes a number"),
        ({"label-detection": {"MinConfidence": float("nan")}}, "MinConfidence is nan; it takes a number"),
        ({"label-detection": {"Features": ["GENERAL_LABELS"] * 2, "SortBy": "ID"}}, "NAME or TIMESTAMP"),
        ({"label-detection": {"Settings": {"General": {}}}}, "no member 'General'; did you mean 'GeneralLabels'?"),
        (
            {"label-detection": {"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["x" * 51]}}}},
            "label-detection: Settings.GeneralLabels.LabelInclusionFilters is",
        ),
        ({"text-detection": {"Filters": {"WordFilter": {"MinBoundingBoxHeight": 2}}}}, "a number from 0 to 1"),
        ({"text-detection": {"Filters": {"RegionsOfInterest": [{}] * 11}}}, "a list of up to 10"),
        ({"text-detection": {"MinConfidence": 80}}, "text-detection has no parameter 'MinConfidence'"),
        ({"celebrity-recognition": {"SortBy": "NAME"}}, "ID or TIMESTAMP"),
        ({"face-detection": {"SortBy": "TIMESTAMP"}}, "face-detection has no parameter 'SortBy'"),
        ({"person-tracking": {}}, "there is no analysis 'person-tracking'"),
    ],
)
def test_a_wrong_choice_is_refused_with_what_would_do(choice, says: str) -> None:
    with pytest.raises(WrongAnalysis, match=re.escape(says)):
        chosen(choice)


def test_a_job_id_depends_on_content_analysis_and_parameters() -> None:
    usual = ("videos", "a.mp4", "etag", "face-detection", {"FaceAttributes": "ALL"})
    others = [
        ("other", *usual[1:]),
        ("videos", "b.mp4", *usual[2:]),
        ("videos", "a.mp4", "other", *usual[3:]),
        (*usual[:4], {"FaceAttributes": "DEFAULT"}),
    ]

    ids = {job_id(*parts) for parts in [usual, usual, *others]}

    assert len(ids) == 5
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in ids)


def test_the_id_of_a_face_detection_job_is_what_it_always_was() -> None:
    """Paid jobs are known by this id; a change of it would have every video paid for again."""
    [(name, parameters)] = chosen({"face-detection": {}}).items()

    assert job_id("videos", "a.mp4", "etag", name, parameters) == (
        "12b458194d2b02ea6e31d240b83b058efe841462cb1a364e5e6b3043311d9386"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"label-detection": {}}, {"label-detection": {"MinConfidence": 50.0, "SortBy": "TIMESTAMP"}}),
        ({"content-moderation": {"MinConfidence": 80}}, {"content-moderation": {"MinConfidence": 80.0}}),
        (
            {"segment-detection": {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]}},
            {"segment-detection": {"SegmentTypes": ["TECHNICAL_CUE", "SHOT", "SHOT"]}},
        ),
    ],
)
def test_saying_the_same_in_other_words_is_no_other_job(one, other) -> None:
    ids = {job_id("b", "k", "e", *chosen(choice).popitem()) for choice in (one, other)}

    assert len(ids) == 1


def test_no_two_analyses_of_a_video_share_a_token() -> None:
    jobs = [
        job_id("b", "k", "e", name, analysis_named(name).parameters(row.example)) for name, row in CATALOGUE.items()
    ]

    assert len({attempt_token(job, 1) for job in jobs}) == len(CATALOGUE)


def test_parts_of_an_id_do_not_run_together() -> None:
    assert job_id("a", "bc", "d", "e", {}) != job_id("ab", "c", "d", "e", {})


def test_each_attempt_has_a_token_of_its_own() -> None:
    tokens = {attempt_token(job, attempt) for job in ("a" * 64, "b" * 64) for attempt in (1, 2)}

    assert len(tokens) == 4
    assert all(re.fullmatch("[a-zA-Z0-9-_]{1,64}", token) for token in tokens)
