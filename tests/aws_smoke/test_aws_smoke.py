"""`make aws-smoke`, proven here: the whole of it against the local cloud, and what must hold when it goes wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from localcloud.cloud import LocalCloud
from rekognition_local.engines.models import COCO_SSD, OPEN_NSFW
from tools.aws_smoke import __main__ as smoke, clips, cost, report, scenarios
from tools.aws_smoke.account import Account
from tools.aws_smoke.bed import ROOT, Bed, Waits, shape
from tools.aws_smoke.report import Result, Run

#: Analyses whose engine is not installed here: their jobs fail, which expected.json does not expect.
MISSING = tuple(
    name
    for name, there in {
        "label-detection": COCO_SSD.path_or_none(),
        "content-moderation": OPEN_NSFW.path_or_none(),
        "text-detection": importlib.util.find_spec("rapidocr"),
    }.items()
    if not there
)
NO_CLIPS = clips.Clips(b"", b"", b"")


def quiet(_: str) -> None:
    pass


@pytest.fixture
def account(tmp_path: Path):
    with mock_aws():
        yield Account(None, "us-east-1", tmp_path / "made.json")


class SmallBed(Bed):
    """Builds a bucket and a role, and no stack."""

    def build(self) -> None:
        self.account.bucket("smoke-bucket")
        self.put("a.mp4", b"a", "smoke-bucket")
        self.account.role("smoke-role", {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})


def carry_out(account: Account, *chosen: scenarios.Scenario) -> Run:
    run = Run("now", "us-east-1", "moto", "test", "nothing")
    bed = SmallBed(account, "Smoke", NO_CLIPS, Waits(), quiet)
    smoke.carry_out(run, chosen, bed, account)
    return run


def things(account: Account) -> tuple[list[Any], list[Any]]:
    return account.client("s3").list_buckets()["Buckets"], account.client("iam").list_roles()["Roles"]


def scenario(name: str, trouble: BaseException | None = None) -> scenarios.Scenario:
    def run(_: Bed, notes: scenarios.Notes) -> None:
        notes.seen["a thing"] = name
        if trouble:
            raise trouble

    return scenarios.Scenario(name, "?", run)


# Before.


@pytest.mark.parametrize("answer", ["", "no", "y", EOFError])
def test_it_says_what_it_costs_and_does_nothing_without_a_yes(answer, monkeypatch, capsys, tmp_path) -> None:
    def typed(_: str) -> str:
        if answer is EOFError:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", typed)
    with mock_aws():
        status = smoke.main(["--folder", str(tmp_path)])
        found = things(Account(None, "us-east-1", tmp_path / "made.json"))

    said = capsys.readouterr()
    assert (status, found, list(tmp_path.iterdir())) == (2, ([], []), [])
    assert "deploys a second copy of the stack" in said.out
    assert "$" in said.out
    assert "Nothing was done" in said.err


def test_the_price_is_said_for_billed_seconds_and_for_billed_minutes() -> None:
    one = scenarios.Scenario("one", "?", lambda *_: None, [("face-detection", 6, 10), ("segment-detection", 6, 10)])

    least, most = cost.video_dollars([one])

    assert [least, most] == pytest.approx([0.15, 1.5])
    assert "$0.15 if AWS bills seconds, and $1.50 if it bills every started minute" in cost.statement([one])


def test_every_scenario_that_has_videos_analysed_says_how_many() -> None:
    priced = {one.name for one in scenarios.ALL if one.jobs}

    assert {"every-analysis", "burst", "tokens"} <= priced
    assert sum(count for one in scenarios.ALL if one.name == "burst" for _, _, count in one.jobs) == scenarios.BURST


def test_a_scenario_that_does_not_exist_is_named_with_those_that_do(capsys) -> None:
    assert smoke.main(["--only", "bursts"]) == 2
    assert "there is no such scenario; there are every-analysis, tokens" in capsys.readouterr().err


# Whatever happens, everything is removed.


@pytest.mark.parametrize(
    ("trouble", "stopped", "error"),
    [
        (None, None, None),
        (ValueError("a bug"), None, "ValueError: a bug"),
        (KeyboardInterrupt(), "interrupted", None),
        (SystemExit("cdk deploy failed"), "cdk deploy failed", None),
    ],
)
def test_everything_is_removed_whatever_happens(account: Account, trouble, stopped, error) -> None:
    run = carry_out(account, scenario("first", trouble), scenario("second"))

    assert things(account) == ([], [])
    assert run.stopped == stopped
    assert run.left == []
    assert not account.register.exists()
    if error:
        assert [(one.name, one.error) for one in run.results] == [("first", error), ("second", None)]


def test_what_cannot_be_removed_is_listed_and_can_be_removed_later(account: Account, monkeypatch, capsys) -> None:
    refusal = ClientError({"Error": {"Code": "Denied", "Message": "not now"}}, "DeleteBucket")

    def refuse(*_: Any) -> None:
        raise refusal

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules["tools.aws_smoke.account"]._REMOVERS, "bucket", refuse)
        run = carry_out(account, scenario("first"))

    assert run.left == [f"bucket smoke-bucket (us-east-1): {refusal}"]
    assert [one["name"] for one in json.loads(account.register.read_text())] == ["smoke-bucket"]
    assert "smoke-bucket" in report.markdown(run, {})
    assert smoke.main(["--remove", str(account.register)]) == 0
    assert things(account) == ([], [])
    assert not account.register.exists()


def test_a_new_run_waits_until_an_earlier_ones_leftovers_are_removed(account: Account, capsys) -> None:
    account.bucket("left-behind")

    assert smoke.main(["--yes", "--folder", str(account.register.parent)]) == 2
    assert f"REMOVE={account.register}" in capsys.readouterr().err


#: A run whose stack takes for ever, in a process of its own; it says what is left of its bucket.
ENDLESS = """
import sys, time
from moto import mock_aws
from tools.aws_smoke import __main__ as smoke
from tools.aws_smoke.bed import Bed

def build(bed):
    bed.account.bucket("smoke-bucket")
    print("building", file=sys.stderr, flush=True)
    time.sleep(60)

Bed.build = build
with mock_aws():
    status = smoke.main(["--yes", "--folder", sys.argv[1]])
    buckets = smoke.Account(None, "us-east-1", smoke.Path("none")).client("s3").list_buckets()["Buckets"]
    print("status", status, "buckets", buckets)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_and_everything_is_removed(tmp_path: Path, number: signal.Signals) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr
    assert any("building" in line for line in running.stderr)

    running.send_signal(number)
    said, _ = running.communicate(timeout=30)

    assert "status 1 buckets []" in said
    assert "**The run was stopped: interrupted**" in next(tmp_path.glob("*.md")).read_text()
    assert not (tmp_path / "made.json").exists()


# The report.


def test_the_report_shows_differences_answers_and_no_account() -> None:
    seen = {"a role that demands aws:SourceArn": "published", "same": 1, "list": ["a", "c"]}
    local = {"publishing": {"a role that demands aws:SourceArn": "nothing published", "same": 1, "list": ["a", "b"]}}
    run = Run("now", "eu-west-1", "AWS", "v1", "It costs.", [Result("publishing", "Who?", seen, {"start": 1.25})])

    text = report.markdown(run, local)

    assert [one.what for one in report.differences(run.results, local)] == [
        "a role that demands aws:SourceArn",
        "list",
    ]
    assert "**2 differ**" in text
    assert "| publishing | list | only here: c | only locally: b |" in text
    assert "Has a stored-video job an aws:SourceArn? a role that demands aws:SourceArn: published" in text
    assert "it would cost $36" in text
    assert json.loads(run.as_json())["results"][0]["seen"] == seen


def test_values_of_the_day_and_of_the_account_are_left_out(account: Account) -> None:
    bed = SmallBed(account, "Smoke1a2b3c", NO_CLIPS, Waits(), quiet)
    number = bed.number
    text = f"22  open Jobs for User {bed.identity} Maximum limit: 20"

    assert bed.plain({"job": "a" * 64, "arn": f"arn:aws:iam::{number}:role/Smoke1a2b3cX", "text": text}) == {
        "job": "<job>",
        "arn": "arn:aws:iam::<account>:role/<stack>X",
        "text": "<n>  open Jobs for User <caller> Maximum limit: <n>",
    }


def test_a_shape_names_every_member_and_its_kind() -> None:
    assert shape({"Rows": [{"At": 1}, {"On": True}], "None": [], "Text": "x"}) == [
        "None[]: nothing",
        "Rows[].At: number",
        "Rows[].On: true or false",
        "Text: text",
    ]


# All of it, in the local cloud.


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """With few slots, so that a burst fills them."""
    with LocalCloud(endpoint_options=["--max-running", "5"]) as cloud:
        yield cloud


def command(folder: Path, *more: str) -> list[str]:
    quick = ["--patience", "240", "--settle", "0", "--quiet", "8", "--second", "3"]
    return [sys.executable, "-m", "tools.aws_smoke", "--yes", "--folder", str(folder), *quick, *more]


@pytest.mark.parametrize("when", ["Deploy the stack", "Scenario tokens"])
def test_a_run_that_is_interrupted_leaves_nothing(cloud: LocalCloud, tmp_path: Path, when: str) -> None:
    before = everything(cloud)
    env = os.environ | cloud.env
    running = subprocess.Popen(
        command(tmp_path, "--only", "tokens"), cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert running.stderr
    for line in running.stderr:
        if when in line:
            break
    time.sleep(8 if when.startswith("Deploy") else 1)  # in the midst of it

    os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does: to all of the terminal's processes
    said = running.stderr.read()

    assert running.wait() == 1
    assert "It was stopped: interrupted" in said
    assert everything(cloud) == before
    assert not (tmp_path / "made.json").exists()
    assert "**The run was stopped: interrupted**" in next(tmp_path.glob("*.md")).read_text()


@pytest.mark.timeout(900)
def test_all_scenarios_run_in_the_local_cloud_see_what_is_expected_and_leave_nothing(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    before = everything(cloud)
    recording = ["--record"] if os.environ.get("RECORD_SMOKE") else []
    env = os.environ | cloud.env

    done = subprocess.run(command(tmp_path, *recording), cwd=ROOT, env=env, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr + cloud.logs(20)
    assert "second copy of the stack" in done.stdout
    assert everything(cloud) == before
    assert not (tmp_path / "made.json").exists()
    [written] = tmp_path.glob("*.json")
    results = [Result(**one) for one in json.loads(written.read_text())["results"]]
    assert {one.name for one in results} == {one.name for one in scenarios.ALL}
    different = [one for one in report.differences(results, report.expected()) if not one.what.startswith(MISSING)]
    assert different == []
    [burst] = [one for one in results if one.name == "burst"]
    assert burst.seen["jobs"] == {"SUCCEEDED": scenarios.BURST}
    text = written.with_suffix(".md").read_text()
    assert "000000000000" not in text
    assert "Not seen in this run" not in text


def everything(cloud: LocalCloud) -> dict[str, list[str]]:
    """What a run might leave behind."""
    west = cloud.client("s3")
    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    return {
        "buckets": sorted(one["Name"] for one in west.list_buckets()["Buckets"]),
        "roles": sorted(one["RoleName"] for one in cloud.client("iam").list_roles()["Roles"]),
        "topics": sorted(one["TopicArn"] for one in cloud.client("sns").list_topics()["Topics"]),
        "subscriptions": sorted(
            one["SubscriptionArn"] for one in cloud.client("sns").list_subscriptions()["Subscriptions"]
        ),
        "queues": sorted(cloud.client("sqs").list_queues().get("QueueUrls", [])),
        "functions": sorted(one["FunctionName"] for one in cloud.client("lambda").list_functions()["Functions"]),
        "tables": sorted(cloud.client("dynamodb").list_tables()["TableNames"]),
        "stacks": sorted(one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"),
        "logs": sorted(one["logGroupName"] for one in cloud.client("logs").describe_log_groups()["logGroups"]),
    }
