"""Objects written piece by piece: what S3's answers to their completion mean."""

import zlib
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.aws import multipart
from lambdas.aws.multipart import GzipStream, ObjectStream, PreconditionFailed, Target, UploadGone
from tests.fast_fake.client import refuse
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
    return buckets.objects[TARGET.bucket, TARGET.key].body or b""


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


def test_an_upload_that_is_gone_can_be_abandoned() -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123456789abc")
    buckets.uploads.clear()
    assert stream.begun

    stream.abandon()

    assert not stream.begun


def test_an_abandoned_object_leaves_nothing_and_can_be_abandoned_twice() -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123456789abc")
    assert len(buckets.uploads) == 1

    stream.abandon()
    stream.abandon()

    assert not buckets.uploads
    assert not stream.tail


class Answering:
    """S3's client, but that some operations answer with an error."""

    def __init__(self, buckets: Buckets, **codes: str) -> None:
        self._client = buckets.client()
        self._codes = codes

    def __getattr__(self, operation: str) -> Any:
        if operation in self._codes:
            return lambda **_: refuse(self._codes[operation], operation)
        return getattr(self._client, operation)


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ("upload_part", b"0123456789"),
        ("complete_multipart_upload", b"0123456789"),
        ("put_object", b"0123"),
        ("abort_multipart_upload", b"0123456789"),
    ],
)
def test_any_other_answer_of_s3_is_an_error_as_it_is(operation: str, text: bytes) -> None:
    s3 = Answering(Buckets(), **{operation: "InternalError"})

    def use() -> None:
        stream = ObjectStream(s3, TARGET)
        stream.write(text)
        stream.abandon() if operation.startswith("abort") else stream.finish()

    with pytest.raises(ClientError, match="InternalError"):
        use()


@pytest.mark.parametrize(
    ("operation", "text", "code", "means"),
    [
        ("put_object", b"0123", "409", PreconditionFailed),
        ("put_object", b"0123", "412", PreconditionFailed),
        ("complete_multipart_upload", b"0123456789", "409", UploadGone),
        ("complete_multipart_upload", b"0123456789", "412", PreconditionFailed),
        ("complete_multipart_upload", b"0123456789", "NoSuchUpload", UploadGone),
        ("complete_multipart_upload", b"0123456789", "InvalidPart", UploadGone),
    ],
)
def test_what_s3s_answers_to_a_completion_mean(operation: str, text: bytes, code: str, means: type[Exception]) -> None:
    stream = ObjectStream(Answering(Buckets(), **{operation: code}), TARGET)
    stream.write(text)

    with pytest.raises(means):
        stream.finish()


@pytest.mark.parametrize("text", [b"0123", b"0123456789abc"])
def test_an_object_has_its_content_type_and_metadata(text: bytes) -> None:
    buckets = Buckets()
    stream = ObjectStream(buckets.client(), replace(TARGET, metadata={"job-id": "1"}))
    stream.write(text)

    stream.finish()

    there = buckets.objects[TARGET.bucket, TARGET.key]
    assert (there.content_type, there.metadata) == ("application/json", {"job-id": "1"})


def test_nothing_of_an_abandoned_object_is_in_the_next() -> None:
    buckets = Buckets()
    stream = written(buckets, b"0123456789abc")

    stream.abandon()
    stream.write(b"ABCDEFGHIJKL")
    stream.finish()

    assert body(buckets) == b"ABCDEFGHIJKL"


def test_an_object_has_begun_once_s3_has_a_part_of_it() -> None:
    stream = ObjectStream(Buckets().client(), TARGET)

    stream.write(b"012345678")
    assert not stream.begun
    stream.write(b"9")

    assert stream.begun
    assert stream.tail == b""


def test_a_gzip_file_can_be_gone_on_with_and_is_one_member() -> None:
    buckets = Buckets()
    first = GzipStream(ObjectStream(buckets.client(), TARGET))
    first.write(b"some rows\n")
    state = first.state()
    gzip_state = {"checksum": state.pop("checksum"), "length": state.pop("length")}

    second = GzipStream(
        ObjectStream(buckets.client(), TARGET, **state, tail=first.stream.tail), **gzip_state, started=True
    )
    second.write(b"and some more\n")
    second.finish()

    file = zlib.decompressobj(wbits=31)
    assert file.decompress(body(buckets)) == b"some rows\nand some more\n"
    assert file.eof
    assert not file.unused_data
    assert body(buckets)[:10] == bytes.fromhex("1f8b08 00 00000000 00 ff")  # no time: equal rows are equal bytes


def test_a_gzip_file_beyond_4_gb_says_its_length_modulo_2_to_the_32() -> None:
    buckets = Buckets()
    file = GzipStream(ObjectStream(buckets.client(), TARGET), length=2**32 + 5, started=True)

    file.write(b"ab")
    file.finish()

    assert body(buckets)[-4:] == (7).to_bytes(4, "little")


def test_a_part_has_8_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    assert multipart.PART == 8 * 1024 * 1024  # S3 takes 5 MiB to 5 GiB, and 10,000 of them
