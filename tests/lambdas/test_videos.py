"""Whose fault an answer of S3's about a video is: the object's, the account's, or the service's."""

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lambdas.aws.videos import LARGEST_VIDEO, Videos, wrong_size
from lambdas.model.errors import AccountFault, CannotStart, Gone, ServiceTrouble

ETAG = "0123"


def job(**changes: Any) -> Any:
    return SimpleNamespace(
        **{"bucket": "videos", "key": "x.mp4", "version_id": None, "etag": ETAG, "size": 7, **changes}
    )


def refusal(code: str, status: int | None = 400, message: str = "no") -> ClientError:
    known = {} if status is None else {"ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError({"Error": {"Code": code, "Message": message}, **known}, "HeadObject")


class S3:
    """S3, which answers HeadObject with `head` and GetObject with `get`, each a value or an error."""

    def __init__(self, head: Any = None, get: Any = None) -> None:
        self._head, self._get = head, get
        self.asked: list[dict[str, Any]] = []
        self.body = io.BytesIO(b"a")
        self.get_object_tagging: Callable[..., Any] = self.get_object

    def head_object(self, **named: Any) -> Any:
        return self._answer(self._head or {}, named)

    def get_object(self, **named: Any) -> Any:
        return self._answer(self._get or {"Body": self.body}, named)

    def _answer(self, answer: Any, named: dict[str, Any]) -> Any:
        self.asked.append(named)
        if isinstance(answer, Exception):
            raise answer
        return {"ETag": f'"{ETAG}"', **answer}


def test_a_video_that_is_there_as_it_was_uploaded_can_be_started() -> None:
    s3 = S3()

    Videos(s3).check(job())

    assert s3.asked == [{"Bucket": "videos", "Key": "x.mp4"}]


def test_an_etag_is_compared_without_its_quotes_only() -> None:
    Videos(S3({"ETag": '"X1X"'})).check(job(etag="X1X"))


def test_the_version_that_was_uploaded_is_asked_for() -> None:
    s3 = S3()

    Videos(s3).check(job(version_id="v1"))

    assert s3.asked == [{"Bucket": "videos", "Key": "x.mp4", "VersionId": "v1"}]


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (0, "the object is empty"),
        (1, None),
        (LARGEST_VIDEO, None),
        (LARGEST_VIDEO + 1, "the object has 10737418241 bytes; Rekognition takes videos of up to 10 GB"),
    ],
)
def test_rekognition_takes_videos_of_up_to_10_gb(size: int, says: str | None) -> None:
    assert wrong_size(size) == says


def test_a_video_of_a_wrong_size_is_not_started() -> None:
    with pytest.raises(CannotStart, match="the object is empty"):
        Videos(S3()).check(job(size=0))


def test_other_content_under_the_key_is_gone() -> None:
    with pytest.raises(Gone, match="replaced"):
        Videos(S3()).check(job(etag="4567"))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ({"StorageClass": "GLACIER"}, r"archived \(GLACIER\)"),
        ({"StorageClass": "DEEP_ARCHIVE"}, r"archived \(DEEP_ARCHIVE\)"),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, r"archived \(GLACIER\)"),
        (
            {"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"},
            r"archived \(ARCHIVE_ACCESS\)",
        ),
    ],
)
def test_an_archived_video_is_not_started(head: dict[str, str], says: str) -> None:
    with pytest.raises(CannotStart, match=says):
        Videos(S3(head)).check(job())


@pytest.mark.parametrize(
    "head",
    [
        {"StorageClass": "STANDARD_IA"},
        {"StorageClass": "GLACIER_IR"},  # read at once
        {"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"'},
        {
            "StorageClass": "INTELLIGENT_TIERING",
            "ArchiveStatus": "ARCHIVE_ACCESS",
            "Restore": 'ongoing-request="false"',
        },
    ],
)
def test_a_video_that_can_be_read_all_the_same_is_started(head: dict[str, str]) -> None:
    Videos(S3(head)).check(job())


@pytest.mark.parametrize(
    ("head", "get", "fault"),
    [
        (refusal("404", 404), None, Gone),
        (refusal("NoSuchVersion", 404), None, Gone),
        (refusal("405", 405), None, Gone),
        (refusal("NoSuchBucket", 404), None, Gone),
        (refusal("Odd", 404), None, Gone),
        (refusal("InternalError", 500), None, ServiceTrouble),
        (refusal("Odd", 599), None, ServiceTrouble),
        (refusal("SlowDown", 503), None, ServiceTrouble),
        (refusal("RequestTimeout", 400), refusal("RequestTimeout", 400), ServiceTrouble),
        (refusal("Odd", 429), None, ServiceTrouble),
        (refusal("429", None), None, ServiceTrouble),
        (refusal("ExpiredToken", 400), refusal("ExpiredToken", 400), ServiceTrouble),
        (refusal("403", 403), refusal("AccessDenied", 403), AccountFault),
        (refusal("403", 403), refusal("AccessDenied", None), AccountFault),
        (refusal("400", 400), refusal("KMS.DisabledException", 400), AccountFault),
        (refusal("403", 403), refusal("InvalidObjectState", 403), CannotStart),
        (refusal("400", 400), refusal("InvalidRequest", 400), CannotStart),
        (refusal("400", None), refusal("InvalidRequest", None), CannotStart),
        (refusal("403", 403), refusal("NoSuchKey", 404), Gone),
        (refusal("403", 403), EndpointConnectionError(endpoint_url="https://s3"), ServiceTrouble),
        (refusal("403", 403), None, ServiceTrouble),  # given out all the same
        (EndpointConnectionError(endpoint_url="https://s3"), None, ServiceTrouble),
    ],
)
def test_whose_fault_it_is(head: Any, get: Any, fault: type[Exception]) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # its type is what is looked at
        Videos(S3(head, get)).check(job())

    assert type(raised.value) is fault


@pytest.mark.parametrize("code", ["AccessDenied", "KMS.AccessDeniedException"])
def test_a_right_that_is_missing_may_be_every_videos(code: str) -> None:
    with pytest.raises(AccountFault, match=code) as raised:
        Videos(S3(refusal("403", 403), refusal(code, 403))).check(job())

    assert raised.value.scope == "videos"
    assert not raised.value.certain


def test_what_a_refusal_of_the_headers_means_is_asked_with_one_byte_of_the_same_version() -> None:
    s3 = S3(refusal("403", 403))

    with pytest.raises(ServiceTrouble):
        Videos(s3).check(job(version_id="v1"))

    assert s3.asked[1] == {"Bucket": "videos", "Key": "x.mp4", "VersionId": "v1", "Range": "bytes=0-0"}
    assert s3.body.closed


def test_what_other_calls_say_is_taken_as_it_is() -> None:
    s3: Any = S3()
    s3.get_object_tagging = lambda **named: s3._answer(refusal("AccessDenied", 403), named)

    with pytest.raises(AccountFault, match="AccessDenied"):
        Videos(s3).ask("get_object_tagging", "videos", "x.mp4", None)

    assert len(s3.asked) == 1


@pytest.mark.parametrize(
    ("code", "status", "fault"),
    [
        *(
            (code, 400, Gone)
            for code in ("404", "405", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed")
        ),
        *((code, 400, ServiceTrouble) for code in ("429", "RequestTimeout", "SlowDown", "ExpiredToken")),
        *((code, 400, ServiceTrouble) for code in ("InvalidToken", "RequestTimeTooSkewed")),
        ("403", None, AccountFault),
        ("InvalidRequest", None, CannotStart),
    ],
)
def test_a_code_counts_whatever_its_status(code: str, status: int | None, fault: type[Exception]) -> None:
    s3 = S3()
    s3.get_object_tagging = lambda **named: s3._answer(refusal(code, status), named)

    with pytest.raises(fault) as raised:
        Videos(s3).ask("get_object_tagging", "videos", "x.mp4", None)

    assert type(raised.value) is fault


@pytest.mark.parametrize(
    ("head", "get", "says"),
    [
        (refusal("SlowDown", 503), None, "S3 head_object: SlowDown no"),
        (ClientError({"Error": {"Code": "SlowDown"}}, "HeadObject"), None, "S3 get_object: SlowDown"),
        (refusal("400", 400), refusal("SlowDown", 503), "S3 get_object: SlowDown no"),
        (
            refusal("403", 403),
            EndpointConnectionError(endpoint_url="https://s3"),
            'S3 get_object: Could not connect to the endpoint URL: "https://s3"',
        ),
    ],
)
def test_trouble_says_which_call_met_what(head: Exception, get: Exception | None, says: str) -> None:
    with pytest.raises(ServiceTrouble) as raised:
        Videos(S3(head, get or head)).check(job())

    assert str(raised.value) == says
