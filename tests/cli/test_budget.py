"""budget, prioritize, backfill --priority and resume --over-budget, typed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli.core.stack import Stack
from lambdas.model.budget import BYTES_A_MINUTE
from tests.cli.conftest import Said
from tests.fake_aws import World

Typed = Callable[..., Said]

TWO_MINUTES = b"x" * (2 * BYTES_A_MINUTE)  # as charged: it has no header


@pytest.fixture
def limited(aws: World, stack: Stack) -> World:
    aws.redeploy(MONTHLY_BUDGET_USD="0.3", MONTHLY_MINUTES="0")
    stack.outputs = {**stack.outputs, "Budget": json.dumps({"usd": 0.3, "minutes": 0.0})}
    return aws


@pytest.fixture(autouse=True)
def same_time(aws: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", aws.clock.now)


def states(aws: World) -> dict[str, str]:
    return {job["key"]: job["state"] for job in aws.jobs()}


def test_budget_tells_what_is_spent_reserved_left_and_in_line(limited: World, typed: Typed) -> None:
    for key in ("a/1.mp4", "b/2.mp4", "b/3.mp4"):
        limited.drop(key, TWO_MINUTES)

    said = typed("budget")
    found = typed("budget", "--json").json

    assert said.code == 0
    assert "reserved by jobs at work\t$0.40\t4.0" in said.out
    assert "left\t$0.00\tno limit" in said.out
    assert "for 1 job in line\t$0.20\t2.0" in said.out
    assert "133 % of the month's budget ($0.30) is used." in said.err
    assert "rekognition-batch resume --over-budget" in said.err
    assert (found["month"], found["reserved"]["minutes"], found["jobs_waiting"]) == ("2027-01", 4, 1)


def test_budget_splits_what_was_spent_by_prefix_and_by_analysis(aws: World, typed: Typed) -> None:
    for key in ("a/1.mp4", "a/2.mp4", "3.mp4"):
        aws.drop(key)
    aws.settle(60)

    by_prefix = typed("budget", "--by", "prefix", "--json").json["by"]
    by_analysis = typed("budget", "--json").json["by"]

    assert list(by_prefix) == ["a/", "/"]
    assert by_prefix["a/"]["minutes"] == pytest.approx(2 * by_prefix["/"]["minutes"])
    assert list(by_analysis) == ["face-detection"]
    assert "No budget is set" in typed("budget").err


def test_another_month_has_sums_of_its_own(aws: World, typed: Typed) -> None:
    aws.drop("x.mp4")
    aws.settle(60)

    assert typed("budget", "--month", "2026-12", "--json").json["spent"]["usd"] == 0
    assert typed("budget", "--month", "2027-01", "--json").json["spent"]["usd"] > 0


@pytest.mark.parametrize("wrong", ["2027-13", "2027", "january", "2027-1"])
def test_what_is_no_month_is_refused(stack: Stack, typed: Typed, wrong: str) -> None:
    said = typed("budget", "--month", wrong)

    assert (said.code, said.out) == (2, "")
    assert f"--month {wrong!r} is no month." in said.err


def test_resume_over_budget_lets_this_month_exceed_it(limited: World, typed: Typed) -> None:
    for key in ("1.mp4", "2.mp4", "3.mp4"):
        limited.drop(key, TWO_MINUTES)
    assert states(limited)["3.mp4"] == "WAITING"
    assert "budget of $0.30 is used up" in typed("status").err

    said = typed("resume", "--over-budget")
    limited.tick()

    assert "2027-01 may exceed its budget" in said.err
    assert states(limited)["3.mp4"] == "RUNNING"
    assert "This month may exceed its budget" in typed("budget").err


def test_resume_over_budget_needs_a_budget(stack: Stack, typed: Typed) -> None:
    said = typed("resume", "--over-budget")

    assert said.code == 2
    assert "This stack has no budget." in said.err


def waiting(aws: World, *keys: str) -> None:
    from lambdas import wiring

    wiring.jobs().pause(True)
    for key in keys:
        aws.drop(key, priority="backfill")


def test_prioritize_moves_what_waits_under_a_prefix_and_back(aws: World, stack: Stack, typed: Typed) -> None:
    waiting(aws, "a/1.mp4", "a/2.mp4", "b/1.mp4")

    dry = typed("prioritize", "a/", "--dry-run")
    assert {job["key"]: job["priority"] for job in aws.jobs()}["a/1.mp4"] == "backfill"
    moved = typed("prioritize", "a/")

    assert dry.out.count("would be live") == 2
    assert "2 jobs moved to live." in moved.err
    priorities: dict[str, Any] = {job["key"]: job.get("priority", "live") for job in aws.jobs()}
    assert priorities == {"a/1.mp4": "live", "a/2.mp4": "live", "b/1.mp4": "backfill"}
    assert "1 job moved to backfill." in typed("prioritize", "a/2.mp4", "--to", "backfill").err
    assert "Nothing to move" in typed("prioritize", "b/1.mp4", "--to", "backfill").err


def test_prioritize_of_an_unknown_video_names_the_nearest(aws: World, stack: Stack, typed: Typed) -> None:
    waiting(aws, "holiday.mp4")

    said = typed("prioritize", "hollday.mp4")

    assert said.code == 3
    assert "holiday.mp4" in said.err


def test_backfill_announces_in_the_lower_class_unless_told_otherwise(aws: World, stack: Stack, typed: Typed) -> None:
    from lambdas import wiring

    def announced(*options: str) -> None:
        typed("backfill", "--yes", *options)
        [message] = aws.sqs.receive_message(QueueUrl=stack.output("UploadsQueue"))["Messages"]
        aws.hear_events(json.loads(message["Body"]))
        aws.sqs.delete_message(QueueUrl=stack.output("UploadsQueue"), ReceiptHandle=message["ReceiptHandle"])

    wiring.jobs().pause(True)
    aws.upload("old.mp4", b"a video")
    announced()
    aws.upload("urgent.mp4", b"another")
    announced("--priority", "live")

    assert {job["key"]: job.get("priority", "live") for job in aws.jobs()} == {
        "old.mp4": "backfill",
        "urgent.mp4": "live",
    }


def test_a_message_with_an_unknown_class_is_malformed() -> None:
    from lambdas.model.errors import MalformedEvent
    from lambdas.model.events import uploads_in

    thing = {"key": "x.mp4", "size": 1, "eTag": "e"}
    record = {"eventName": "ObjectCreated:Backfill", "eventTime": "t", "priority": "urgent"}
    body = json.dumps({"Records": [{**record, "s3": {"bucket": {"name": "videos"}, "object": thing}}]})

    with pytest.raises(MalformedEvent, match="priority is 'urgent'; it takes live or backfill"):
        uploads_in(body)


def test_status_tells_the_class_and_the_place_of_what_waits(aws: World, stack: Stack, typed: Typed) -> None:
    waiting(aws, "old.mp4")
    aws.drop("new.mp4")

    said = typed("status")

    assert "number 2 in line (backfill)" in said.out
    assert "number 1 in line," in said.out
    jobs = {job["video"]: job for job in typed("status", "--json").json["jobs"]}
    assert (jobs["old.mp4"]["priority"], jobs["new.mp4"]["priority"], jobs["new.mp4"]["share"]) == (
        "backfill",
        "live",
        "",
    )
