"""Videos that the stack converts first, as the command shows, prices, checks and deletes them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cli.core.stack import Stack
from cli.operate import doctor
from cli.pages.server import summary
from cli.status.overview import why_stuck
from lambdas.model.blocking import CONVERSION, Scope
from lambdas.model.clock import iso
from tests.cli.conftest import Said
from tests.fake_aws import CONVERT, World, world
from tests.lambdas.test_conversion import phone

Typed = Callable[..., Said]


@pytest.fixture
def aws() -> Iterator[World]:
    """A world that converts."""
    with world(**CONVERT) as here:
        yield here


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """A stack that converts."""
    stack.outputs = {**stack.outputs, "Convert": "mediaconvert"}
    return stack


def test_a_job_that_is_converted_first_is_shown_and_counted(aws: World, stack: Stack, typed: Typed) -> None:
    stack.local = True  # there, Service Quotas is not asked
    aws.drop("phone.mov", phone())

    shown = typed("status", "phone.mov")
    [job] = typed("status", "--state", "converting", "--json").json["jobs"]
    quota = typed("quota", "--json").json

    assert "CONVERTING" in shown.out
    assert "being converted" in shown.out
    assert job["conversion_id"] == aws.job("phone.mov")["conversion_id"]
    assert quota["converting"] == 1


def test_the_page_counts_it_too(aws: World, stack: Stack) -> None:
    from cli.status.overview import overview

    aws.drop("phone.mov", phone())

    found = summary(overview(stack, aws.clock.now()), "", "", None)

    assert found["backlog"]["converting"] == 1
    assert found["counts"] == {"CONVERTING": 1}


def test_its_price_is_that_of_one_conversion_however_many_analyses(aws: World, typed: Typed) -> None:
    aws.redeploy(ANALYSES='{"face-detection": {}, "label-detection": {}}')
    aws.drop("phone.mov", phone())
    aws.settle()

    jobs = typed("status", "--json").json["jobs"]

    assert sorted(job["usd"] / job["minutes"] for job in jobs) == pytest.approx([0.1, 0.115])


def test_an_estimate_has_the_conversion_in_it(stack: Stack, typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "phone.mov").write_bytes(phone())

    said = typed("estimate", str(tmp_path / "phone.mov"))
    [one] = typed("estimate", str(tmp_path / "phone.mov"), "--json").json

    minutes = one["seconds"] / 60
    assert one["usd"] == pytest.approx({"face-detection": 0.1 * minutes, "conversion": 0.015 * minutes})
    assert (said.code, one["trouble"]) == (0, "")
    assert "1 video converted first, as the setting convert is on." in said.err


def test_a_backfill_s_cost_has_it_too(aws: World, stack: Stack) -> None:
    from cli.ingest.backfill import cost, missing

    aws.upload("old/phone.mov", phone())

    found = cost(stack, missing(stack, "old/"))

    assert found.refused == 0
    assert found.dollars == pytest.approx(0.115 * found.minutes)


def test_a_video_is_not_deleted_while_its_copy_is_being_made(aws: World, typed: Typed) -> None:
    aws.drop("phone.mov", phone())

    said = typed("delete", "phone.mov", "--yes")

    assert said.code != 0
    assert "is being converted right now, so its copy would appear after a deletion" in said.err
    assert aws.job("phone.mov")["state"] == "CONVERTING"


def test_its_copies_are_deleted_with_it(aws: World, typed: Typed) -> None:
    aws.drop("phone.mov", phone())
    aws.settle()
    assert any(key.startswith("converted/") for key in aws.results())

    assert typed("delete", "phone.mov", "--yes").code == 0

    assert aws.results() == []


def test_a_failed_conversion_can_be_retried(aws: World, typed: Typed) -> None:
    aws.mediaconvert.fails_with = [(1010, "no parser found")]
    aws.drop("phone.mov", phone())
    aws.settle()
    assert aws.job("phone.mov")["state"] == "FAILED"

    assert typed("retry", "phone.mov").code == 0
    aws.settle()

    assert aws.job("phone.mov")["state"] == "SUCCEEDED"


def test_what_can_not_begin_looks_stuck_unless_a_block_says_why(aws: World, stack: Stack) -> None:
    from cli.status.overview import arrange

    aws.mediaconvert.refuse("CreateJob", "TooManyRequestsException", times=9)
    aws.drop("phone.mov", phone())
    jobs, later = list(stack.table.everything()), aws.clock.now() + 1000
    blocked = {"scopes": {CONVERSION: Scope().block("denied", aws.clock.now()).as_item()}}

    assert why_stuck(jobs[0], {}, later).startswith("its conversion has not begun: its codec is hevc")
    [status] = arrange(jobs, blocked, later).statuses
    assert (status.stuck, status.blocked) == ("", True)


def refuse(code: str) -> Callable[..., Any]:
    def call(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "so it is"}}, "ListJobs")

    return call


def no_endpoint(**_: Any) -> Any:
    raise EndpointConnectionError(endpoint_url="https://mediaconvert.xx-north-9.amazonaws.com")


@pytest.mark.parametrize(
    ("answer", "verdict", "text"),
    [
        (lambda **_: {"Jobs": []}, "fine", "it answers"),
        (refuse("AccessDeniedException"), "unknown", "these credentials may not list its jobs"),
        (refuse("ConflictException"), "wrong", "it does not answer (ConflictException: so it is)"),
        (no_endpoint, "wrong", "us-east-1 has no endpoint of MediaConvert"),
    ],
)
def test_doctor_says_whether_mediaconvert_answers(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any], verdict: str, text: str
) -> None:
    monkeypatch.setattr(stack.client("mediaconvert"), "list_jobs", answer)

    [found] = doctor.converting(stack)

    assert (found.verdict, found.subject) == (verdict, "MediaConvert")
    assert text in found.text


def test_doctor_says_nothing_of_mediaconvert_where_the_setting_is_off(stack: Stack) -> None:
    stack.outputs = {**stack.outputs, "Convert": "off"}

    assert list(doctor.converting(stack)) == []


def test_a_block_of_conversions_is_told_with_what_to_type(aws: World, typed: Typed) -> None:
    aws.mediaconvert.refuse("CreateJob", "AccessDeniedException", times=9)
    aws.drop("phone.mov", phone())
    aws.tick()

    said = typed("status")

    since = iso(aws.clock.now())[:16].replace("T", " ")
    assert f"Converting is blocked since {since} UTC: MediaConvert create_job: AccessDeniedException" in said.err
    assert "What to fix: rekognition-batch doctor" in said.err
