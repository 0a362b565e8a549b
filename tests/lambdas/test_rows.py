"""Rows: as their schemas say, and complete enough to make the item again, for all that Rekognition may answer."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.model import ServiceModel
from jsonschema import Draft202012Validator

from lambdas.logic.rows import SCHEMA, _plain_faces, job_line, lines, of_page, video_metadata
from lambdas.model.analyses import CATALOGUE, Analysis
from lambdas.model.events import Upload
from lambdas.model.job import Job, new_job
from lambdas.model.page import Page, fractions_as_text
from queries.columns import JOBS, ROWS, TABLES, VIDEO
from queries.schemas import FOLDER, schemas
from tests.rebuild import rebuild

EACH = pytest.mark.parametrize("analysis", CATALOGUE.values(), ids=list(CATALOGUE))
FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return boto3.client("rekognition", region_name="us-east-1").meta.service_model


def job(analysis: Analysis) -> Job:
    upload = Upload("videos", "日本語/a b.mp4", "etag", 5, "2026-11-22T23:57:20.123Z", "0001")
    return new_job(upload, analysis.name, analysis.parameters(analysis.example), 1_800_000_000.0)


def rows_of(analysis: Analysis, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(job(analysis), items)]


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def everything(shape: Any, number: list[int]) -> Any:
    """A value with every member the model has, each different from the others."""
    number[0] += 1
    if shape.type_name == "structure":
        return {name: everything(member, number) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [everything(shape.member, number) for _ in range(2)]
    if shape.type_name == "string":
        return shape.enum[number[0] % len(shape.enum)] if shape.enum else f"text {number[0]}"
    return {"boolean": number[0] % 2 == 0, "float": number[0] + 0.25}.get(shape.type_name, number[0])


def everything_in(analysis: Analysis, model: ServiceModel) -> list[dict[str, Any]]:
    shape = model.operation_model(analysis.get_operation).output_shape.members[analysis.detections].member
    whole = everything(shape, [0])
    if analysis.name != "segment-detection":
        return [whole]
    # A segment is a shot or a cue; the model can't say so.
    kinds = {"SHOT": "ShotSegment", "TECHNICAL_CUE": "TechnicalCueSegment"}
    return [
        {
            **{name: value for name, value in whole.items() if name not in kinds.values()},
            "Type": kind,
            member: whole[member],
        }
        for kind, member in kinds.items()
    ]


def sample(analysis: Analysis) -> dict[str, Any]:
    """AWS's published answer, from the examples that come with the AWS CLI, or ours in the form of the guide's."""
    snake = re.sub("(?<!^)([A-Z])", r"_\1", analysis.get_operation).lower()
    if (FIXTURES / f"{snake}.json").exists():
        return dict(json.loads((FIXTURES / f"{snake}.json").read_text()))
    text = (files("awscli") / f"examples/rekognition/{snake.replace('_', '-')}.rst").read_text()
    return dict(json.JSONDecoder().raw_decode(text[text.index("{") :])[0])


@EACH
def test_an_item_with_everything_in_it_survives_the_row(analysis: Analysis, model: ServiceModel) -> None:
    items = everything_in(analysis, model)

    rows = rows_of(analysis, items)

    assert [rebuild(analysis.name, row) for row in rows] == items
    assert {name for row in rows for name in row} == {column.name for column in (*VIDEO, *ROWS[analysis.name])}
    for row in rows:
        validator(f"rows/{analysis.name}.json").validate(row)


@EACH
def test_awss_samples_survive_the_row(analysis: Analysis) -> None:
    items = sample(analysis)[analysis.detections]

    rows = rows_of(analysis, items)

    assert [rebuild(analysis.name, row) for row in rows] == items
    for row in rows:
        validator(f"rows/{analysis.name}.json").validate(row)


@pytest.mark.parametrize(
    ("analysis", "item"),
    [
        ("face-detection", {"Timestamp": 0, "Face": {}}),
        ("face-search", {"Timestamp": 0, "Person": {"Index": 3}}),
        ("face-search", {"Timestamp": 0, "Person": {"Index": 3}, "FaceMatches": []}),
        ("label-detection", {"Timestamp": 0, "Label": {"Name": "Bicycle", "Instances": []}}),
        (
            "label-detection",
            {"Timestamp": 5, "StartTimestampMillis": 5, "EndTimestampMillis": 9, "Label": {"Name": "x"}},
        ),
        ("celebrity-recognition", {"Timestamp": 0, "Celebrity": {"Name": "A", "Urls": []}}),
        ("text-detection", {"Timestamp": 0, "TextDetection": {"DetectedText": "", "Type": "LINE", "Id": 0}}),
        ("content-moderation", {"Timestamp": 0, "ModerationLabel": {"Name": "Weapons", "ParentName": ""}}),
    ],
)
def test_what_was_not_said_is_not_made_up(analysis: str, item: dict[str, Any]) -> None:
    [row] = rows_of(CATALOGUE[analysis], [item])

    assert rebuild(analysis, row) == item
    validator(f"rows/{analysis}.json").validate(row)


def test_a_person_nobody_matches_and_one_whom_many_do() -> None:
    matches = [
        {"Similarity": similarity, "Face": {"FaceId": f"face {similarity}"}} for similarity in (81.0, 99.0, 85.0)
    ]
    items = [{"Timestamp": 0, "Person": {"Index": 0}}, {"Timestamp": 0, "Person": {"Index": 1}, "FaceMatches": matches}]

    nobody, somebody = rows_of(CATALOGUE["face-search"], items)

    assert nobody.get("match_face_id") is None
    assert (somebody["match_face_id"], somebody["match_similarity"]) == ("face 99.0", 99.0)


@EACH
def test_the_row_of_a_job_says_what_its_analysis_says_of_the_video(analysis: Analysis) -> None:
    answer = {name: value for name, value in sample(analysis).items() if name != analysis.detections}

    line = job_line(job(analysis), answer, detections=2, result_key="results/x", rows_key="rows/x", superseded=False)

    row = json.loads(line)
    validator("jobs.json").validate(row)
    assert row["frame_rate"] > 20
    assert row["video_duration_ms"] == video_metadata(answer)["DurationMillis"]
    assert set(row) <= {column.name for column in JOBS}


def test_schema_files_are_what_the_columns_say() -> None:
    """If not: python -m queries.schemas"""
    written = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.json")}

    assert written == schemas()


@EACH
def test_a_schema_refuses_what_is_no_row_of_it(analysis: Analysis) -> None:
    [row] = rows_of(analysis, sample(analysis)[analysis.detections][:1])
    check = validator(f"rows/{analysis.name}.json")

    for wrong in ({"schema": "1"}, {"surprise": 1}, {"confidence": "high"}, {"job_id": None}):
        assert not check.is_valid({**row, **wrong})


def test_every_table_has_a_version_and_no_column_twice() -> None:
    assert SCHEMA == 1
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert table.partition.name not in names
        assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)


class TestFacesWrittenFromText:
    """The short way for a million faces gives what the long way gives."""

    JOB = job(CATALOGUE["face-detection"])

    def page(self, text: str) -> Page:
        faces = json.JSONDecoder(parse_float=str).decode(text)
        return Page(status="SUCCEEDED", detections=faces, text=text, rest={}, next_token=None)

    def face(self, **other: Any) -> dict[str, Any]:
        plain = {
            "BoundingBox": {"Width": 0.1, "Height": 1, "Left": -0.5, "Top": 1e-07},
            "Confidence": 99.5,
            "Landmarks": [{"Type": "eyeLeft", "X": 0.25, "Y": 0.5}, {"Type": "nose", "X": 0, "Y": -0.125}],
            "Pose": {"Roll": -1.5, "Yaw": 2.0, "Pitch": 3.25},
            "Quality": {"Brightness": 80.5, "Sharpness": 92.25},
        }
        return {"Timestamp": 500, "Face": {**plain, **other}}

    def both_ways(self, items: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
        text = json.dumps(items)
        short = [json.loads(line) for line in of_page(self.JOB, self.page(text)).splitlines()]
        long = [json.loads(line) for line in lines(self.JOB, items)]
        return short, long

    def test_plain_faces_are_the_same_to_the_last_column_and_in_the_same_order(self) -> None:
        short, long = self.both_ways([self.face(), self.face(Landmarks=[]), self.face(Confidence=100)])

        assert short == long
        assert [list(row) for row in short] == [list(row) for row in long]

    def test_the_short_way_is_taken(self) -> None:
        assert fractions_as_text(self.JOB)
        assert _plain_faces(self.JOB, self.page(json.dumps([self.face()])))

    @pytest.mark.parametrize(
        "other",
        [
            {"Smile": {"Value": True, "Confidence": 50.5}},
            {"Pose": None},
            {"Quality": {"Brightness": 1.5}},
            {"Landmarks": [{"Type": 'a "b" \\', "X": 0.5, "Y": 0.5}]},
            {"BoundingBox": {}},
        ],
        ids=["more", "null", "less", "to be escaped", "empty"],
    )
    def test_anything_else_goes_the_long_way_and_is_no_different(self, other: dict[str, Any]) -> None:
        items = [self.face(), self.face(**other)]

        assert _plain_faces(self.JOB, self.page(json.dumps(items))) is None
        short, long = self.both_ways(items)
        assert short == long
