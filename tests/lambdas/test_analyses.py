"""The catalogue, the choice, and the ids that make everything idempotent."""

import re

import boto3
import pytest
from botocore.model import ServiceModel

from lambdas.analyses import CATALOGUE, WrongAnalysis, attempt_token, chosen, job_id

COMMON = {"Video", "ClientRequestToken", "NotificationChannel", "JobTag"}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return boto3.client("rekognition", region_name="us-east-1").meta.service_model


@pytest.mark.parametrize("analysis", CATALOGUE.values(), ids=list(CATALOGUE))
def test_each_row_is_what_the_service_model_says(analysis, model: ServiceModel) -> None:
    start = model.operation_model(analysis.start_operation).input_shape
    get = model.operation_model(analysis.get_operation).output_shape

    assert set(start.members) - COMMON == set(analysis.start)
    assert get.members[analysis.detections].type_name == "list"
    for name, parameter in analysis.start.items():
        assert set(parameter.words) == set(start.members[name].enum)


def test_a_choice_gets_its_defaults() -> None:
    assert chosen({"face-detection": {}}) == {"face-detection": {"FaceAttributes": "DEFAULT"}}


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({}, "choose from face-detection"),
        ({"face-detect": {}}, "did you mean 'face-detection'"),
        ({"face-detection": {"FaceAttribute": "ALL"}}, "did you mean 'FaceAttributes'"),
        ({"face-detection": {"FaceAttributes": "SOME"}}, "'SOME'; it takes DEFAULT or ALL"),
        ({"face-detection": "ALL"}, "parameters are an object"),
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


def test_parts_of_an_id_do_not_run_together() -> None:
    assert job_id("a", "bc", "d", "e", {}) != job_id("ab", "c", "d", "e", {})


def test_each_attempt_has_a_token_of_its_own() -> None:
    tokens = {attempt_token(job, attempt) for job in ("a" * 64, "b" * 64) for attempt in (1, 2)}

    assert len(tokens) == 4
    assert all(re.fullmatch("[a-zA-Z0-9-_]{1,64}", token) for token in tokens)
