"""A results bucket in which others can write, against the folder that rows are copied to."""

import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from queries.laptop import UnsafeFolder, mirror, run

GOOD = f"rows/analysis=label-detection/date=2026-11-22/{'a' * 64}.jsonl.gz"
JOB = f"jobs/analysis=label-detection/{'a' * 64}.json"
JOBS = "SELECT count(*) FROM jobs"

TRAVERSALS = [
    "rows/analysis=label-detection/../../.etags.json",
    "rows/analysis=label-detection/../../../outside.txt",
    "rows/analysis=label-detection//etc/outside.txt",
    f"rows/analysis=label-detection/date=2026-11-22/../{'b' * 64}.jsonl.gz",
    f"jobs/analysis=../../{'b' * 64}.json",
    "jobs/analysis=label-detection/../../../outside.txt",
]
OTHERS = [
    "rows/analysis=label-detection/date=2026-11-22/",  # what a console's "Create folder" makes
    "jobs/",
    "rows/analysis=label-detection/date=2026-11-22/*.jsonl.gz",
    "rows/analysis=label-detection/date=2026-11-22/[a-f].jsonl.gz",
    f"rows/analysis=label-detection/date=2026-11-22/{'B' * 64}.jsonl.gz",
    f"rows/analysis=label-detection/date=2026-11-22/{'b' * 63}.jsonl.gz",
    f"rows/analysis=label-detection/date=2026-11-22/{'b' * 64}.jsonl.gz\n",
    f"rows/analysis=label-detection/date=٢٠٢٦-11-22/{'b' * 64}.jsonl.gz",
    f"rows/analysis=label-detection/date=2026-11-22/{'b' * 64}.jsonl.gz/{'b' * 64}.jsonl.gz",
    f"jobs/analysis=no-such-analysis/{'b' * 64}.json",
    "jobs/analysis=label-detection/.etags.json",
]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterable[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="results")
        yield client


def put(s3: Any, key: str, *lines: dict[str, Any]) -> None:
    s3.put_object(Bucket="results", Key=key, Body="\n".join(map(json.dumps, lines)).encode())


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("key", [*TRAVERSALS, *OTHERS])
def test_a_key_that_the_collector_does_not_write_is_counted_and_left_there(s3: Any, tmp_path: Path, key: str) -> None:
    put(s3, JOB, {"job_id": "a"})
    put(s3, key, {"job_id": "b"})
    folder = tmp_path / "one/two/three"

    brought = mirror(s3, "results", folder)

    assert (brought.files, brought.ignored) == (1, 1)
    assert files(tmp_path) == {f"one/two/three/{JOB}", "one/two/three/.etags.json"}
    assert run(JOBS, folder).rows == [(1,)]


def test_a_planted_index_deletes_nothing_but_rows(s3: Any, tmp_path: Path) -> None:
    precious = tmp_path / "home/authorized_keys"
    precious.parent.mkdir()
    precious.write_text("ssh-ed25519 ...")
    folder = tmp_path / "cache"
    folder.mkdir()
    names = [str(precious), "rows/../../home/authorized_keys", f"jobs/{precious}", "jobs/../../home/authorized_keys"]
    (folder / ".etags.json").write_text(json.dumps(dict.fromkeys(names, "etag")))

    mirror(s3, "results", folder)

    assert precious.read_text() == "ssh-ed25519 ..."


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"jobs/x": null}', "[" * 100_000, "\x00", "1" * 5000])
def test_an_index_that_is_none_is_written_anew(s3: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / ".etags.json").write_text(text)
    put(s3, JOB, {"job_id": "a"})

    first, second = mirror(s3, "results", tmp_path), mirror(s3, "results", tmp_path)

    assert (first.files, second.files) == (1, 0)


def test_what_the_bucket_has_no_more_goes_though_no_index_names_it(s3: Any, tmp_path: Path) -> None:
    put(s3, JOB, {"job_id": "a"})
    mirror(s3, "results", tmp_path)
    (tmp_path / ".etags.json").unlink()
    s3.delete_object(Bucket="results", Key=JOB)

    assert mirror(s3, "results", tmp_path).dropped == 1
    assert run(JOBS, tmp_path).rows == [(0,)]


@pytest.mark.parametrize("link", ["rows", "rows/analysis=label-detection", str(Path(GOOD).parent)])
def test_a_link_out_of_the_folder_is_neither_written_through_nor_read(s3: Any, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    planted = outside / Path(GOOD).relative_to(link)
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text("mine")
    folder = tmp_path / "cache"
    (folder / link).parent.mkdir(parents=True)
    (folder / link).symlink_to(outside)
    put(s3, GOOD, {"job_id": "a"})

    with pytest.raises(UnsafeFolder, match="symbolic link"):
        mirror(s3, "results", folder)

    assert planted.read_text() == "mine"
    assert run("SELECT count(*) FROM label_detection", folder).rows == [(0,)]


@pytest.mark.parametrize("name", [GOOD, ".etags.json"])
def test_a_link_in_place_of_a_file_is_replaced_not_followed(s3: Any, tmp_path: Path, name: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "cache"
    outside.write_text("mine")
    (folder / name).parent.mkdir(parents=True)
    (folder / name).symlink_to(outside)
    put(s3, GOOD, {"job_id": "a"})

    assert run("SELECT count(*) FROM label_detection", folder).rows == [(0,)]
    mirror(s3, "results", folder)

    assert outside.read_text() == "mine"
    assert not (folder / name).is_symlink()


def test_a_folder_named_like_a_pattern_holds_its_own_rows_only(s3: Any, tmp_path: Path) -> None:
    put(s3, JOB, {"job_id": "a"})
    for name in ("[ab]*?", "a", "abc"):
        mirror(s3, "results", tmp_path / name)

    assert run(JOBS, tmp_path / "[ab]*?").rows == [(1,)]


def test_nobody_else_may_look_into_the_folder(s3: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    put(s3, GOOD, {"job_id": "a"})

    mirror(s3, "results", folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.rglob("*") if path.is_file()} == {0}
