"""What the scheduler has stopped starting is told wherever one looks: what, since when, why, and what to type."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cli.core.stack import Stack
from cli.pages.server import summary
from cli.status.blocked import Block, blocks
from cli.status.overview import arrange
from lambdas.model.blocking import Scope
from lambdas.model.clock import iso
from tests.cli.conftest import Said
from tests.fake_aws import START_OF_TIME, World

Typed = Callable[..., Said]
DENIED = "this stack may not read the object (AccessDenied: Access Denied)"


def item(**scopes: Scope) -> dict[str, Any]:
    """The scheduler's item with these scopes."""
    return {"scopes": {name.replace("_", "-"): scope.as_item() for name, scope in scopes.items()}}


def blocked(reason: str = DENIED) -> Scope:
    return Scope().block(reason, START_OF_TIME)


@pytest.fixture
def scheduler_says(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], None]:
    """Have the table's item say that."""

    def say(known: Mapping[str, Any]) -> None:
        monkeypatch.setattr(stack.table, "scheduler", lambda: known)

    return say


def test_only_what_is_blocked_is_told_and_what_stops_most_comes_first() -> None:
    suspected = Scope().met_by("job", "video", "reason", START_OF_TIME)

    found = blocks(item(text_detection=blocked(), face_detection=suspected, videos=blocked()))

    assert [one.scope for one in found] == ["videos", "text-detection"]
    assert blocks({}) == []


@pytest.mark.parametrize(
    ("scope", "sentence"),
    [
        ("videos", f"Starting is blocked since 2027-01-15 08:00 UTC: {DENIED}. No job is lost"),
        ("text-detection", "Starting text-detection is blocked since 2027-01-15 08:00 UTC: "),
        ("unknown", "Reading which analyses uploaders ask for is blocked since 2027-01-15 08:00 UTC: "),
        ("conversion", f"Converting is blocked since 2027-01-15 08:00 UTC: {DENIED}. No job is lost"),
        ("results", "Starting is held since 2027-01-15 08:00 UTC because results are not being collected: "),
    ],
)
def test_each_is_one_sentence_of_what_since_when_and_why(scope: str, sentence: str) -> None:
    assert Block(scope, iso(START_OF_TIME), DENIED).sentence.startswith(sentence)


def test_status_tells_people_and_programs_what_is_blocked(aws: World, typed: Typed, scheduler_says: Any) -> None:
    typed("pause")
    aws.drop("anna.mp4")
    scheduler_says(item(videos=blocked()))

    said = typed("status")
    told = typed("status", "--json").json

    assert "number 1 in line, blocked" in said.out
    assert f"Starting is blocked since 2027-01-15 08:00 UTC: {DENIED}" in said.err
    assert "What to fix: rekognition-batch doctor" in said.err
    assert told["blocked"] == [{"scope": "videos", "since": iso(START_OF_TIME), "reason": DENIED}]
    assert told["jobs"][0]["blocked"] is True


def test_a_block_of_one_analysis_holds_no_other(aws: World, stack: Stack, typed: Typed) -> None:
    typed("pause")
    aws.drop("anna.mp4", analyses="face-detection,text-detection")
    jobs = stack.table.of_video("videos", "anna.mp4")

    seen = arrange(jobs, item(text_detection=blocked()), aws.clock.now() + 86400)

    assert {one.job.analysis: (one.blocked, bool(one.stuck)) for one in seen.statuses} == {
        "face-detection": (False, True),
        "text-detection": (True, False),
    }


def test_quota_says_why_free_slots_are_not_used(stack: Stack, typed: Typed, scheduler_says: Any) -> None:
    stack.local = True
    scheduler_says(item(results=blocked("the results of 12 jobs have waited for more than an hour to be collected")))

    said = typed("quota")

    assert "blocked" in said.out
    assert "because results are not being collected: the results of 12 jobs" in said.err
    assert typed("quota", "--json").json["blocked"][0]["scope"] == "results"


@pytest.mark.parametrize(("scope", "fix"), [("videos", "--revert-drift"), ("results", "aws logs tail /collect")])
def test_doctor_names_the_command(stack: Stack, scheduler_says: Any, scope: str, fix: str) -> None:
    from cli.operate import doctor

    stack.outputs = {**stack.outputs, "CollectLogs": "/collect"}
    scheduler_says(item(**{scope: blocked()}))

    found = {one.subject: one for one in doctor.backlog(stack)}["starting"]

    assert found.verdict == "wrong"
    assert fix in found.fix


def test_the_page_gets_the_sentences(stack: Stack) -> None:
    seen = arrange([], item(videos=blocked()), START_OF_TIME)

    assert summary(seen, None, "", "")["backlog"]["blocked"] == [one.sentence for one in seen.blocks]
