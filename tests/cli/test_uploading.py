"""Uploading: what goes where, what is left out, what is there already."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.core.errors import WrongUse
from cli.core.stack import Stack
from cli.ingest.upload import MIB, has_etag, plan
from tests.cli.conftest import Said
from tests.fake_aws import World
from tests.rekognition_local import videos

Typed = Callable[..., Said]
EXTENSIONS = (".mp4", ".mov")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("clips/a.mp4", "clips/inner/b.MOV", "clips/notes.txt", "clips/.hidden.mp4", "clips/empty.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "empty" in name else name.encode())
    return tmp_path / "clips"


def test_a_folder_takes_its_name_along_and_leaves_out_what_is_no_video(folder: Path) -> None:
    items, skipped = plan([folder], "2026/", EXTENSIONS)

    assert [item.key for item in items] == ["2026/clips/a.mp4", "2026/clips/inner/b.MOV"]
    assert {one.path.name: one.why for one in skipped} == {
        "notes.txt": "not a video by its extension (.mp4, .mov)",
        "empty.mp4": "it is empty",
    }


def test_two_files_for_one_key_are_refused(folder: Path) -> None:
    (folder / "inner/a.mp4").write_bytes(b"another")

    with pytest.raises(WrongUse, match=r"would both become 'a.mp4'"):
        plan([folder / "a.mp4", folder / "inner/a.mp4"], "", EXTENSIONS)


def test_a_path_that_is_not_there_is_a_sentence(typed: Typed) -> None:
    said = typed("upload", "nowhere.mp4")

    assert (said.code, said.err) == (2, "nowhere.mp4: there is no such file or folder.\n")


@pytest.mark.parametrize("part", [5, 8, 16])
def test_the_etag_of_an_upload_in_parts_is_recognised_whatever_tool_made_it(tmp_path: Path, part: int) -> None:
    path = tmp_path / "a.mp4"
    body = bytes(range(256)) * 4096 * 17
    path.write_bytes(body)
    parts = [body[at : at + part * MIB] for at in range(0, len(body), part * MIB)]
    digests = b"".join(hashlib.md5(one).digest() for one in parts)
    etag = f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"

    assert has_etag(path, len(body), etag)
    assert not has_etag(path, len(body), f"{'0' * 32}-{len(parts)}")


def test_what_is_there_is_not_sent_again_unless_it_is_to_get_other_analyses(
    aws: World, stack: Stack, typed: Typed, folder: Path
) -> None:
    first = typed("upload", str(folder))
    second = typed("upload", str(folder))
    other = typed("upload", str(folder / "a.mp4"), "--prefix", "clips/", "--analyses", "label-detection")

    assert first.out.splitlines() == ["s3://videos/clips/a.mp4", "s3://videos/clips/inner/b.MOV"]
    assert second.out == ""
    assert "2 were there already" in second.err
    assert other.out == "s3://videos/clips/a.mp4\n"
    head = aws.s3.head_object(Bucket="videos", Key="clips/a.mp4")
    assert head["Metadata"] == {"analyses": "label-detection"}
    assert head["ContentType"] == "video/mp4"


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ("lable-detection", "label-detection"),
        ("label-detection:MinConfidence=high", "MinConfidence"),
        ("face-search:CollectionId=staff", "does not let uploaders choose face-search"),
    ],
)
def test_a_choice_of_analyses_that_would_not_do_is_refused_before_anything_is_sent(
    aws: World, typed: Typed, folder: Path, choice: str, sentence: str
) -> None:
    said = typed("upload", str(folder), "--analyses", choice)

    assert said.code == 2
    assert sentence in said.err
    assert not aws.s3.list_objects_v2(Bucket="videos").get("Contents")


def test_backfill_announces_what_has_no_job_and_no_sooner_than_somebody_says_so(
    aws: World, stack: Stack, typed: Typed
) -> None:
    clip = videos.CLIP.read_bytes()
    aws.drop("known.mp4", clip)
    for key in ("old one.mp4", "old/two.mp4", "old/notes.txt"):
        aws.s3.put_object(Bucket="videos", Key=key, Body=clip)

    dry = typed("backfill", "--dry-run", "--json").json
    refused = typed("backfill")

    assert dry["keys"] == ["old one.mp4", "old/two.mp4"]
    assert dry["minutes"] == pytest.approx(2 * 7 / 60, rel=0.01)
    assert dry["usd"] == pytest.approx(dry["minutes"] * 0.1)
    assert refused.code == 5
    assert "--yes" in refused.err

    assert typed("backfill", "--yes").code == 0
    _pump(aws, stack)

    assert {job["key"] for job in aws.jobs()} == {"known.mp4", "old one.mp4", "old/two.mp4"}
    assert "Every video in the bucket has a job" in typed("backfill").err


def test_a_backfilled_upload_is_newer_than_the_known_one_and_older_than_any_to_come(
    aws: World, stack: Stack, typed: Typed
) -> None:
    aws.drop("a.mp4", b"first")
    aws.s3.put_object(Bucket="videos", Key="a.mp4", Body=b"second, whose event was lost")

    typed("backfill", "--yes")
    _pump(aws, stack)
    aws.drop("a.mp4", b"third")

    first, second, third = sorted(aws.jobs(), key=lambda job: job["sequencer"])
    assert (first["size"], second["size"], third["size"]) == (5, 28, 5)


def _pump(aws: World, stack: Stack) -> None:
    """Hand the starting function what is in the uploads queue."""
    import json

    sqs = stack.client("sqs")
    while messages := sqs.receive_message(QueueUrl=stack.output("UploadsQueue"), MaxNumberOfMessages=10).get(
        "Messages"
    ):
        for message in messages:
            body: dict[str, Any] = json.loads(message["Body"])
            aws.hear(*body["Records"])
            sqs.delete_message(QueueUrl=stack.output("UploadsQueue"), ReceiptHandle=message["ReceiptHandle"])


def test_estimate_reads_the_header_and_names_what_rekognition_refuses(
    stack: Stack, typed: Typed, tmp_path: Path
) -> None:
    hevc = videos.hevc(tmp_path)

    fine = typed("estimate", str(videos.CLIP), "--json", "--analyses", "face-detection,label-detection").json
    wrong = typed("estimate", str(hevc))

    assert fine[0]["codec"] == "h264"
    assert fine[0]["seconds"] == pytest.approx(7, abs=0.1)
    assert fine[0]["usd_total"] == pytest.approx(2 * 0.1 * fine[0]["seconds"] / 60)
    assert wrong.code == 1
    assert "its codec is hevc" in wrong.out
    assert "upload --convert makes H.264" in wrong.err


def test_estimate_of_an_object_reads_ranges_and_not_the_object(aws: World, stack: Stack, tmp_path: Path) -> None:
    from cli.core.s3_file import S3File
    from cli.ingest.estimate import _measured

    large = videos.large(tmp_path)
    aws.s3.upload_file(str(large), "videos", "large.mp4")

    file = S3File(aws.s3, "videos", "large.mp4")
    video = _measured(file, file.size)

    assert video.header.codec == "h264"
    assert file.fetched < file.size / 20


def test_a_ranged_file_that_turns_out_shorter_ends_in_an_error() -> None:
    from cli.core.s3_file import RangedFile

    file = RangedFile(10, lambda first, last: b"123456"[first : last + 1], block=4)

    assert file.read(6) == b"123456"
    with pytest.raises(EOFError, match="shorter"):
        file.read()


def test_an_object_that_changes_while_it_is_read_is_not_mixed(aws: World, stack: Stack) -> None:
    from botocore.exceptions import ClientError

    from cli.core.s3_file import BLOCK, S3File

    aws.s3.put_object(Bucket="videos", Key="a.mp4", Body=b"1" * 2 * BLOCK)
    file = S3File(aws.s3, "videos", "a.mp4")
    file.read(10)
    aws.s3.put_object(Bucket="videos", Key="a.mp4", Body=b"2" * 2 * BLOCK)
    file.seek(BLOCK)

    with pytest.raises(ClientError, match="PreconditionFailed"):
        file.read(10)
