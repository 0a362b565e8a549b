"""What phones record, through the deployed stack with the setting convert on: MediaConvert makes a copy, and the
results fit the picture as it is seen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localcloud.cloud import LocalCloud
from tests.e2e.conftest import Deployed
from tests.rekognition_local import videos

CONTEXT = {
    "convert": "mediaconvert",
    "video_extensions": ".mp4 .mov .mkv",
    "analyses": '{"face-detection": {}, "segment-detection": {"SegmentTypes": ["SHOT"]}}',
}
HEVC = {"codec": "libx265", "options": {"x265-params": "log-level=none"}}


@pytest.fixture(scope="module")
def converting() -> Iterator[Deployed]:
    """A cloud whose stack converts."""
    with LocalCloud(context=CONTEXT) as cloud:
        yield Deployed(cloud, cloud.outputs)


@pytest.fixture(scope="module")
def upright() -> list[np.ndarray]:
    """A second of a face."""
    return [videos.portrait(640, 360)] * 30


def faces(converting: Deployed, key: str) -> list[dict[str, Any]]:
    [job] = [job for job in converting.ended(key, 2) if job["analysis"] == "face-detection"]
    assert job["state"] == "SUCCEEDED", job["reason"]
    found: list[dict[str, Any]] = converting.result(job["result_key"])["Faces"]
    return found


def first_box(found: list[dict[str, Any]]) -> list[float]:
    box = found[0]["Face"]["BoundingBox"]
    return [box[side] for side in ("Left", "Top", "Width", "Height")]


def test_hevc_that_lies_on_its_side_is_analysed_upright_and_once_converted(
    converting: Deployed, upright: list[np.ndarray], folder: Path
) -> None:
    lying = [np.rot90(picture, -1) for picture in upright]
    phone = videos.write(folder / "lying.mov", lying, **HEVC, rotation=90)
    seen = videos.write(folder / "seen.mp4", upright)

    converting.drop("phone.mov", phone)
    converting.drop("seen.mp4", seen)

    assert first_box(faces(converting, "phone.mov")) == pytest.approx(
        first_box(faces(converting, "seen.mp4")), abs=0.02
    )
    jobs = converting.jobs("phone.mov")
    assert [job["state"] for job in jobs] == ["SUCCEEDED", "SUCCEEDED"], jobs
    assert len({job["source_key"] for job in jobs}) == 1
    conversions = converting.cloud.client("mediaconvert").list_jobs()["Jobs"]
    assert [job["Settings"]["Inputs"][0]["FileInput"] for job in conversions].count(
        f"s3://{converting.videos}/phone.mov"
    ) == 1


def test_its_results_name_the_original_and_its_times(
    converting: Deployed, upright: list[np.ndarray], folder: Path
) -> None:
    cave = videos.write(folder / "cave.mkv", upright, **HEVC)

    converting.drop("deep/cave ü.mkv", cave)

    found = faces(converting, "deep/cave ü.mkv")
    [document] = {
        job["result_key"] for job in converting.jobs("deep/cave ü.mkv") if job["analysis"] == "face-detection"
    }
    assert document == "results/deep/cave ü.mkv/face-detection.json"
    assert converting.result(document)["VideoMetadata"]["Codec"] == "h264"
    assert [one["Timestamp"] for one in found][:2] == pytest.approx([0, 500], abs=40)


def test_what_mediaconvert_can_not_read_fails_with_its_words(
    converting: Deployed, upright: list[np.ndarray], folder: Path
) -> None:
    whole = videos.write(folder / "whole.mkv", upright, **HEVC).read_bytes()
    broken = folder / "broken.mkv"
    broken.write_bytes(whole[:200] + bytes(len(whole) - 200))

    converting.drop("broken.mkv", broken)

    jobs = converting.ended("broken.mkv", 2)
    assert {job["state"] for job in jobs} == {"FAILED"}
    assert all(job["reason"].startswith("MediaConvert could not convert it: ") for job in jobs)
