"""Objects written piece by piece: what S3's answers to their completion mean."""

import pytest

from lambdas.aws import multipart
from lambdas.aws.multipart import ObjectStream, PreconditionFailed, Target, UploadGone
from tests.fast_fake.s3 import Buckets

TARGET = Target("results", "results/clip.mp4/face-detection.json", "application/json", {})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "PART", 10)


def written(buckets: Buckets, text: bytes, **given) -> ObjectStream:
    stream = ObjectStream(buckets.client(), TARGET, **given)
    stream.write(text)
    return stream


def body(buckets: Buckets) -> bytes:
    return buckets.objects[TARGET.bucket, TARGET.key].body


def test_an_object_in_parts_appears_whole() -> None:
    buckets = Buckets()

    written(buckets, b"0123456789abcdefghijXYZ").finish(IfNoneMatch="*")

    assert body(buckets) == b"0123456789abcdefghijXYZ"


def test_another_invocation_goes_on_from_a_checkpoint() -> None:
    buckets = Buckets()
    first = written(buckets, b"0123456789abc")

    second = written(buckets, b"defghij!", **first.state(), tail=first.tail)
    second.finish()

    assert body(buckets) == b"0123456789abcdefghij!"


def test_a_part_that_another_invocation_replaced_is_never_mixed_in() -> None:
    buckets = Buckets()
    late = written(buckets, b"0123456789")
    successor = written(buckets, b"abcdefghij", **late.state())
    late.write(b"ABCDEFGHIJ")

    with pytest.raises(UploadGone):
        successor.finish()

    assert not buckets.objects


def test_a_conflict_while_completing_means_to_begin_the_upload_again() -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123456789abc")
    buckets.conflicts = 1

    with pytest.raises(UploadGone):
        stream.finish(IfNoneMatch="*")


def test_a_conflict_while_putting_a_small_object_means_to_put_it_again() -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123")
    buckets.conflicts = 1

    with pytest.raises(PreconditionFailed):
        stream.finish(IfNoneMatch="*")
    stream.finish(IfNoneMatch="*")

    assert body(buckets) == b"0123"


@pytest.mark.parametrize("text", [b"0123", b"0123456789abc"])
def test_a_condition_that_does_not_hold_leaves_what_is_there_and_another_may_be_tried(text: bytes) -> None:
    buckets = Buckets()
    there = buckets.put_object({"Bucket": TARGET.bucket, "Key": TARGET.key, "Body": b"there"})["ETag"]
    stream = written(buckets, text)

    with pytest.raises(PreconditionFailed):
        stream.finish(IfNoneMatch="*")
    assert body(buckets) == b"there"
    stream.finish(IfMatch=there)

    assert body(buckets) == text


@pytest.mark.parametrize("text", [b"0123", b"0123456789abc"])
def test_what_was_to_be_replaced_may_have_been_deleted(text: bytes) -> None:
    stream = written(Buckets(), text)

    with pytest.raises(PreconditionFailed):
        stream.finish(IfMatch='"of what was there"')


@pytest.mark.parametrize("act", [lambda stream: stream.write(b"0123456789"), lambda stream: stream.finish()])
def test_an_upload_that_a_rule_of_the_bucket_aborted_is_gone(act) -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123456789abc")
    buckets.uploads.clear()

    with pytest.raises(UploadGone):
        act(stream)


def test_an_abandoned_object_leaves_nothing_and_can_be_abandoned_twice() -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123456789abc")

    stream.abandon()
    stream.abandon()

    assert not buckets.uploads
    assert not stream.tail
