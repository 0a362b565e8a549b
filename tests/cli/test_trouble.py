"""What goes wrong for who types is a sentence, a next command and an exit code; never a traceback."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.app import run
from cli.core.errors import near, understood
from cli.core.stack import Stack
from cli.results.athena import ask
from cli.status.quota import account_limit
from tests.cli.conftest import Said
from tests.fake_aws import World


@pytest.fixture
def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


def test_without_credentials_one_is_told_where_they_come_from(without_credentials: None, capfd: Any) -> None:
    assert run(["status", "--region", "us-east-1"]) == 4

    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("No AWS credentials were found.\n  → aws configure")


def test_without_a_region_one_is_told_how_to_say_it(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert run(["status"]) == 4

    assert "add --region eu-west-1" in capfd.readouterr().err


def test_a_profile_that_is_not_there_is_a_sentence(capfd: Any) -> None:
    assert run(["--profile", "nobody", "status"]) == 4

    assert "The config profile (nobody) could not be found" in capfd.readouterr().err


def test_a_mistyped_command_is_answered_with_the_nearest(capfd: Any) -> None:
    assert run(["staus"]) == 2

    assert "Did you mean 'status'?" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("code", "sentence", "hint"),
    [
        ("ExpiredToken", "sign-in has expired", "aws sso login"),
        ("AccessDenied", "not allowed to call PutObject", "doctor"),
        ("InvalidClientTokenId", "does not accept these credentials", "get-caller-identity"),
        ("SlowDown", "AWS refused PutObject", ""),
    ],
)
def test_what_aws_refuses_is_told_in_a_sentence(code: str, sentence: str, hint: str) -> None:
    trouble = understood(ClientError({"Error": {"Code": code, "Message": "because"}}, "PutObject"))

    assert trouble is not None
    assert trouble.exit_code == 4
    assert sentence in str(trouble)
    assert hint in trouble.hint


def test_a_bug_of_ours_is_not_dressed_up() -> None:
    assert understood(KeyError("oops")) is None


def test_what_was_meant_is_found_by_name_and_by_part() -> None:
    keys = ["2026/interviews/anna.mp4", "2026/interviews/bert.mp4", "holiday.mov"]

    assert near("ana.mp4", keys)[0] == "2026/interviews/anna.mp4"
    assert near("BERT", keys) == ["2026/interviews/bert.mp4"]
    assert near("xyz", keys) == []


# the account's limit


class Quotas:
    """Service Quotas, as it answers an account that has, or has not, a value of its own."""

    class exceptions:
        class NoSuchResourceException(Exception):
            pass

    def __init__(self, own: float | None) -> None:
        self.own = own

    def get_service_quota(self, **_: str) -> Any:
        if self.own is None:
            raise self.exceptions.NoSuchResourceException
        return {"Quota": {"Value": self.own}}

    def get_aws_default_service_quota(self, **_: str) -> Any:
        return {"Quota": {"Value": 20.0}}


@pytest.mark.parametrize(("own", "limit", "source"), [(100.0, 100, "L-A6079699"), (None, 20, "AWS's default")])
def test_the_limit_is_the_accounts_own_or_awss_default(own: float | None, limit: int, source: str) -> None:
    stack = Stack("s", {}, lambda _: Quotas(own), region="us-east-1")

    found, where = account_limit(stack)

    assert found == limit
    assert source in where


# questions


class Athena:
    """Athena, as far as a question goes."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def start_query_execution(self, **request: Any) -> Any:
        self.asked = request
        return {"QueryExecutionId": "1"}

    def get_query_execution(self, **_: Any) -> Any:
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}, "Statistics": {"DataScannedInBytes": 1000}}}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        columns = [{"Name": "video_key", "Type": "varchar"}, {"Name": "n", "Type": "bigint"}]
        rows: list[list[str | None]] = [["video_key", "n"], ["a.mp4", "3"], [None, "0"]]
        data = [{"Data": [{"VarCharValue": cell} if cell else {} for cell in row]} for row in rows]
        yield {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}}}
        yield {"ResultSet": {"Rows": data[1:2], "ResultSetMetadata": {"ColumnInfo": columns}}}


def test_a_saved_query_goes_to_athena_with_its_parameters_as_sql_writes_them() -> None:
    athena = Athena()
    stack = Stack("Rekognition-Batch", {}, lambda _: athena, region="us-east-1")

    answer = ask(stack, "moments-with-label", {"label": "Driver's seat"}, here=False)

    assert athena.asked["ExecutionParameters"][0] == "'Driver''s seat'"
    assert athena.asked["QueryExecutionContext"] == {"Database": "rekognition_batch"}
    assert athena.asked["WorkGroup"] == "Rekognition-Batch"
    assert answer.columns == ["video_key", "n"]
    assert answer.rows == [("a.mp4", 3), (None, 0), ("a.mp4", 3)]


def test_on_this_machine_the_same_question_is_asked_of_the_rows(
    aws: World, stack: Stack, typed: Callable[..., Said]
) -> None:
    stack.local = True
    aws.drop("a.mp4")
    aws.settle()

    said = typed("query", "SELECT video_key, count(*) AS faces FROM face_detection GROUP BY 1", "--json")

    assert said.json == [{"video_key": "a.mp4", "faces": aws.job("a.mp4")["detections"]}]
    assert "did you mean 'moments-with-label'" in typed("query", "moment-with-label").err
    assert typed("query", "SELECT nothing FROM nowhere").code == 1
