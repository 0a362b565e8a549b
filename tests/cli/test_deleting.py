"""Deleting a video: every version of everything, and a look afterwards whether it is true."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.core.stack import Stack
from tests.cli.conftest import Said
from tests.fake_aws import World, s3_record

Typed = Callable[..., Said]


def turn_versioning_on(aws: World, bucket: str = "videos") -> None:
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def listed(aws: World, bucket: str, key: str) -> list[tuple[str, str]]:
    """What S3 has of a key: versions, delete markers and unfinished uploads."""
    there = aws.s3.list_object_versions(Bucket=bucket, Prefix=key)
    uploads = aws.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    found = [(one["Key"], one["VersionId"]) for one in [*there.get("Versions", []), *there.get("DeleteMarkers", [])]]
    return found + [(one["Key"], one["UploadId"]) for one in uploads if one["Key"] == key]


def test_the_version_from_before_the_versioning_is_deleted_too(aws: World, typed: Typed) -> None:
    aws.drop("anna.mp4", b"from before")
    turn_versioning_on(aws)
    aws.drop("anna.mp4", b"from after")
    aws.s3.delete_object(Bucket="videos", Key="anna.mp4")
    aws.s3.create_multipart_upload(Bucket="videos", Key="anna.mp4")

    said = typed("delete", "anna.mp4", "--yes")

    assert said.code == 0
    assert listed(aws, "videos", "anna.mp4") == []
    with pytest.raises(ClientError, match="NoSuchVersion"):
        aws.s3.get_object(Bucket="videos", Key="anna.mp4", VersionId="null")
    assert aws.jobs() == []


def test_in_a_bucket_that_never_had_versions_nothing_stays_either(aws: World, typed: Typed) -> None:
    aws.drop("anna.mp4")
    aws.settle()

    said = typed("delete", "anna.mp4", "--yes")

    assert said.code == 0
    assert listed(aws, "videos", "anna.mp4") == listed(aws, "results", "") == []
    assert "version" not in said.out + said.err.partition("Deleted")[0]


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        ({"ObjectLockLegalHoldStatus": "ON"}, "it is under a legal hold"),
        (
            {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=900)},
            "S3 Object Lock keeps it until 20",
        ),
    ],
)
def test_what_a_lock_keeps_is_named_with_the_lock_and_the_records_stay(
    aws: World, stack: Stack, typed: Typed, lock: dict[str, Any], why: str
) -> None:
    aws.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    aws.bucket = stack.outputs["VideosBucket"] = "locked"  # type: ignore[index]
    aws.drop("anna.mp4", b"free")
    etag = aws.s3.put_object(Bucket="locked", Key="anna.mp4", Body=b"kept", **lock)["ETag"]
    aws.hear(s3_record("locked", "anna.mp4", etag, 4, 99))
    aws.s3.delete_object(Bucket="locked", Key="anna.mp4")

    said = typed("delete", "anna.mp4", "--yes")

    assert said.code == 1
    assert why in said.err
    assert "Deleted" not in said.err
    assert len(listed(aws, "locked", "anna.mp4")) == 2, "the locked version, and the marker that hides it"
    with pytest.raises(ClientError, match="NoSuchKey"):
        aws.s3.get_object(Bucket="locked", Key="anna.mp4")
    assert len(aws.jobs()) == 2


def test_an_upload_in_between_is_left_alone_and_reported(
    aws: World, stack: Stack, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_versioning_on(aws)
    aws.drop("anna.mp4")
    abandon = stack.table.delete_record

    def upload_then_forget(job: Any) -> bool:
        aws.upload("anna.mp4", b"another video")
        return abandon(job)

    monkeypatch.setattr(stack.table, "delete_record", upload_then_forget)

    said = typed("delete", "anna.mp4", "--yes")

    assert said.code == 1
    assert "it was uploaded during the deletion" in said.err
    assert "rekognition-batch delete anna.mp4" in said.err
    assert aws.s3.get_object(Bucket="videos", Key="anna.mp4")["Body"].read() == b"another video"


def test_deletion_says_where_names_and_copies_stay(aws: World, typed: Typed) -> None:
    aws.drop("anna.mp4")

    said = typed("delete", "anna.mp4", "--yes")

    for place in ("Dead letters", "14 days", "query --here", "logs"):
        assert place in said.err
