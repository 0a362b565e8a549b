"""After a video was replaced, every command tells of the newest upload's jobs only, as the page does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.core.stack import Stack
from cli.pages.server import summary
from cli.results.result_lookup import newest_upload
from cli.status.overview import overview
from tests.cli.conftest import Said
from tests.fake_aws import World

Typed = Callable[..., Said]


@pytest.fixture
def replaced(aws: World) -> World:
    """A video that had labels and faces, and was replaced by one that has faces alone."""
    aws.drop("anna.mp4", b"the old video", analyses="face-detection,label-detection")
    aws.settle()
    aws.pass_time(60)
    aws.drop("anna.mp4", b"the new video", analyses="face-detection")
    aws.settle()
    return aws


def test_the_old_videos_labels_are_not_downloaded_with_the_new_ones_results(
    replaced: World, typed: Typed, tmp_path: Path
) -> None:
    said = typed("results", "anna.mp4", "-o", str(tmp_path))

    assert said.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"face-detection.json", "face-detection.jsonl.gz"}


def test_the_old_videos_labels_are_not_drawn_on_the_new_one(replaced: World, typed: Typed, tmp_path: Path) -> None:
    page = tmp_path / "anna.html"

    said = typed("report", "anna.mp4", "-o", str(page), "--no-open", "--no-keep")

    assert said.code == 0
    assert "face-detection" in page.read_text()
    assert "label-detection" not in page.read_text().partition('"jobs":')[2].partition("]")[0]


def test_the_old_videos_labels_are_no_captions_of_the_new_one(replaced: World, typed: Typed) -> None:
    said = typed("export", "anna.mp4", "--format", "vtt", "-o", "-")

    assert (said.code, said.out) == (3, "")
    assert "anna.mp4 has no such results" in said.err


def test_status_tells_which_jobs_are_of_a_replaced_upload(replaced: World, typed: Typed) -> None:
    lines = typed("status", "anna.mp4").out.splitlines()[1:]
    told = {job["job_id"]: job["replaced"] for job in typed("status", "anna.mp4", "--json").json["jobs"]}

    assert [("replaced" in line) for line in sorted(lines, key=lambda line: "replaced" in line)] == [False, True, True]
    assert sorted(told.values()) == [False, True, True]


def test_a_failure_of_a_replaced_upload_is_not_told_to_scripts(aws: World, stack: Stack, typed: Typed) -> None:
    aws.drop("anna.mp4", b"broken")
    stack.table.fail(stack.table.of_video("videos", "anna.mp4")[0], "Unsupported codec/format.")
    aws.pass_time(1)
    aws.drop("anna.mp4", b"mended")

    assert typed("status", "anna.mp4").code == 0


def test_all_of_them_follow_one_rule(replaced: World, stack: Stack) -> None:
    jobs = stack.table.of_video("videos", "anna.mp4")
    seen = overview(stack, replaced.clock.now())

    current = {job.job_id for job in newest_upload(jobs)}

    assert current == {one.job.job_id for one in seen.statuses if not one.replaced}
    [video] = summary(seen, None, "", "")["videos"]
    assert [job["analysis"] for job in video["jobs"]] == ["face-detection"]


def test_going_back_to_the_old_content_brings_its_results_back(replaced: World, typed: Typed, tmp_path: Path) -> None:
    replaced.drop("anna.mp4", b"the old video", analyses="face-detection,label-detection")
    replaced.settle()

    typed("results", "anna.mp4", "-o", str(tmp_path), "--no-rows")

    assert {path.name for path in tmp_path.iterdir()} == {"face-detection.json", "label-detection.json"}
