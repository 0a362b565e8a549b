"""Keys and texts chosen by others: what they may do to the operator's files. (To the terminal: test_terminal.py)"""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.core.errors import CliError
from cli.core.stack import Stack
from cli.results import athena
from tests.cli.conftest import Said
from tests.fake_aws import World

Typed = Callable[..., Said]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where rows are kept on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/rekognition-batch/results"


def test_a_question_asked_here_says_what_it_left_in_the_bucket(aws: World, typed: Typed, cache: Path) -> None:
    aws.s3.put_object(Bucket="results", Key="jobs/../../../.ssh/authorized_keys", Body=b"ssh-ed25519 ...")

    said = typed("query", "SELECT count(*) AS n FROM jobs", "--here", "--json")

    assert said.json == [{"n": 0}]
    assert "1 object under rows/ and jobs/ in s3://results ignored" in said.err
    assert not list(cache.parent.parent.rglob("authorized_keys"))


def test_a_question_asked_here_refuses_a_folder_with_a_link_in_it(aws: World, typed: Typed, cache: Path) -> None:
    aws.s3.put_object(Bucket="results", Key=f"jobs/analysis=face-detection/{'a' * 64}.json", Body=b"{}")
    (outside := cache.parent.parent / "outside").mkdir(parents=True)
    cache.mkdir(parents=True)
    (cache / "jobs").symlink_to(outside)

    said = typed("query", "SELECT count(*) FROM jobs", "--here")

    assert said.code == 1
    assert "jobs is a symbolic link" in said.err
    assert f"rm -r {cache}" in said.err


@pytest.mark.parametrize("bucket", ["..", "../../.ssh", "/home/me", "a", ""])
def test_a_stack_whose_output_is_no_buckets_name_gets_no_folder(bucket: str) -> None:
    stack = Stack("RekognitionBatch", {"ResultsBucket": bucket}, lambda _: None, region="us-east-1")

    with pytest.raises(CliError, match="not a valid bucket name"):
        athena.forget_cache(stack)
