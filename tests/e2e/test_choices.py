"""Several analyses of one upload, chosen wherever one can choose, through the deployed stack to an answer."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from localcloud.cloud import LocalCloud
from queries.laptop import mirror, run
from tests.e2e.conftest import Deployed
from tests.rekognition_local import videos

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
ROUTES = '[{"prefix": "ads/", "analyses": {"content-moderation": {"MinConfidence": 70}, "text-detection": {}}}]'
THREE = "label-detection:MinConfidence=60 segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE face-detection"


@pytest.fixture(scope="module")
def chosen() -> Iterator[Deployed]:
    """A cloud with a route, and simulated results: here it counts which they are, not what they say."""
    with LocalCloud(context={"routes": ROUTES}, endpoint_options=("--engine", "simulated")) as cloud:
        here = Deployed(cloud, cloud.outputs)
        for key, options in {
            "three.mp4": {"Metadata": {"analyses": THREE}},
            "ads/one.mp4": {},
            "tagged.mp4": {"Tagging": "analyses=celebrity-recognition"},
            "wrong.mp4": {"Metadata": {"analyses": "face-search:CollectionId=staff"}},
        }.items():
            here.s3.put_object(Bucket=here.videos, Key=key, Body=videos.CLIP.read_bytes(), **options)
        yield here


def by_analysis(chosen: Deployed, key: str, how_many: int) -> dict[str, dict[str, Any]]:
    return {job["analysis"]: job for job in chosen.ended(key, how_many)}


def test_three_analyses_by_metadata_are_three_documents_and_three_files_of_rows(chosen: Deployed) -> None:
    jobs = by_analysis(chosen, "three.mp4", 3)

    assert set(jobs) == {"label-detection", "segment-detection", "face-detection"}
    for name, job in jobs.items():
        assert job["state"] == "SUCCEEDED", job["reason"]
        assert chosen.result(f"results/three.mp4/{name}.json")["JobStatus"] == "SUCCEEDED"
        body = chosen.s3.get_object(Bucket=chosen.results, Key=job["rows_key"])["Body"].read()
        rows = [json.loads(line) for line in gzip.decompress(body).splitlines()]
        assert len(rows) == job["detections"] > 0
        schema = Draft202012Validator(json.loads((SCHEMAS / f"rows/{name}.json").read_text()))
        for row in rows:
            schema.validate(row)


def test_a_route_decides_by_prefix(chosen: Deployed) -> None:
    jobs = by_analysis(chosen, "ads/one.mp4", 2)

    assert {name: job["state"] for name, job in jobs.items()} == {
        "content-moderation": "SUCCEEDED",
        "text-detection": "SUCCEEDED",
    }


def test_a_tag_decides(chosen: Deployed) -> None:
    [job] = chosen.ended("tagged.mp4")

    assert (job["analysis"], job["state"]) == ("celebrity-recognition", "SUCCEEDED")


def test_what_is_not_allowed_is_rejected_with_what_is(chosen: Deployed) -> None:
    [job] = chosen.ended("wrong.mp4")

    assert job["state"] == "REJECTED"
    assert "face-search is not allowed (allowed here: face-detection, label-detection" in job["reason"]


def test_asking_later_for_one_more_analysis_starts_only_that(chosen: Deployed) -> None:
    before = by_analysis(chosen, "three.mp4", 3)

    chosen.s3.copy_object(
        Bucket=chosen.videos,
        Key="three.mp4",
        CopySource={"Bucket": chosen.videos, "Key": "three.mp4"},
        Metadata={"analyses": f"{THREE} text-detection"},
        MetadataDirective="REPLACE",
    )
    after = by_analysis(chosen, "three.mp4", 4)

    assert set(after) - set(before) == {"text-detection"}
    assert all(chosen.starts(job["job_id"]) == 1 for job in after.values())


def test_rows_answer_questions_on_this_machine(chosen: Deployed, tmp_path: Path) -> None:
    by_analysis(chosen, "three.mp4", 3)
    by_analysis(chosen, "ads/one.mp4", 2)

    mirror(chosen.s3, chosen.results, tmp_path)

    analysed = {row[:2] for row in run("analysed-videos", tmp_path).rows}
    assert {("three.mp4", "label-detection"), ("ads/one.mp4", "text-detection")} <= analysed
    assert run("labels-in-videos", tmp_path, {"confidence": 0}).rows
