"""The checks of a video in S3 before a start: whether it still exists, whether this stack may read it, and what its
header says."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.aws.telemetry import logger
from lambdas.model.blocking import VIDEOS
from lambdas.model.errors import AccountFault, AnalysisError, CannotStart, Gone, ServiceTrouble
from lambdas.model.video_header import VideoHeader, read_header

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from lambdas.model.events import Upload
    from lambdas.model.job import Job

LARGEST_VIDEO = 10 * 1024**3  # bytes; Developer Guide, "Guidelines and quotas in Amazon Rekognition"

HEADER_TIME = 5.0  # seconds after which no further piece of a header is asked for; a piece takes about 0.03

# A version that is a delete marker answers 405.
NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "405", "MethodNotAllowed"})
# 4xx by their status, but not about the object: retry.
_PASSING = frozenset({"429", "RequestTimeout", "SlowDown", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"})
# Storage classes whose objects must be restored before they can be read (Amazon S3 User Guide, "Restoring objects").
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def wrong_size(size: int) -> str | None:
    """Why Rekognition refuses an object of `size` bytes; None if it accepts it."""
    if size == 0:
        return "the object is empty"
    if size > LARGEST_VIDEO:
        return f"the object has {size} bytes; Rekognition takes videos of up to 10 GB"
    return None


@dataclass(frozen=True, slots=True)
class Videos:
    """The objects of the videos bucket."""

    s3: "S3Client"

    def check(self, job: "Job") -> None:
        """Check that the object still has the job's content and can be read.

        Rekognition is given a key, not a content: started blindly, it would analyse (and bill) whatever is there now.

        Raises:
            Gone: it was deleted or replaced.
            CannotStart: Rekognition can't take it, and no other video is concerned.
            AccountFault: this stack may not read it: because of the object, or of the account.
            ServiceTrouble: S3 failed to answer.
        """
        # Said when it was enqueued, unless that function died between registering the job and rejecting it.
        if hopeless := wrong_size(job.size):
            raise CannotStart(hopeless)
        head = self.head(job.bucket, job.key, job.version_id)
        if head["ETag"].strip('"') != job.etag:
            raise Gone("the object was replaced before its analysis could start")
        archived = head.get("StorageClass") in _ARCHIVED or "ArchiveStatus" in head
        if archived and 'ongoing-request="false"' not in head.get("Restore", ""):
            raise CannotStart(
                f"the object is archived ({head.get('ArchiveStatus') or head['StorageClass']}): restore it, then retry"
            )

    def header(self, video: "Upload | Job") -> VideoHeader | None:
        """A video's header, read by a few byte ranges; without a container if it can't be made out, which is no fault
        of the video. None if S3 doesn't give the object out now: ``check`` says why."""
        named: dict[str, Any] = {"Bucket": video.bucket, "Key": video.key, "IfMatch": f'"{video.etag}"'}
        if video.version_id:
            named["VersionId"] = video.version_id
        until = time.monotonic() + HEADER_TIME

        def read(offset: int, length: int) -> bytes:
            if time.monotonic() > until:
                raise ServiceTrouble(f"S3 get_object: no header within {HEADER_TIME:.0f} seconds")
            return self._piece(named, offset, length)

        try:
            return read_header(read, video.size) or VideoHeader("")
        except AnalysisError as error:
            about = {"bucket": video.bucket, "key": video.key}  # for threads of their own
            logger.info("can't read the video's header now", extra={"error": str(error), **about})
            return None

    def _piece(self, named: dict[str, Any], offset: int, length: int) -> bytes:
        """A byte range of an object, unless it was replaced.

        Raises:
            Gone, CannotStart, AccountFault, ServiceTrouble: as in ``check``.
        """
        try:
            answer = self.s3.get_object(**named, Range=f"bytes={offset}-{offset + length - 1}")
            with closing(answer["Body"]) as body:
                if not answer.get("ContentRange", "").startswith(f"bytes {offset}-"):
                    raise ServiceTrouble("S3 get_object: another range than was asked for")
                return body.read(length)
        except ClientError as error:
            _raise("get_object", error)
        except BotoCoreError as error:
            raise ServiceTrouble(f"S3 get_object: {error}") from error

    def head(self, bucket: str, key: str, version_id: str | None) -> Mapping[str, Any]:
        """HeadObject's answer.

        Raises:
            Gone, CannotStart, AccountFault, ServiceTrouble: as in ``check``.
        """
        return self.ask("head_object", bucket, key, version_id)

    def ask(self, operation: str, bucket: str, key: str, version_id: str | None) -> Mapping[str, Any]:
        """The answer of one of S3's calls about one object: ``head_object``, ``get_object_tagging``."""
        named: dict[str, Any] = {"Bucket": bucket, "Key": key} | ({"VersionId": version_id} if version_id else {})
        try:
            answer: Mapping[str, Any] = getattr(self.s3, operation)(**named)
        except ClientError as error:
            if operation == "head_object" and _status(error) in (400, 403):
                self._explain(named, error)
            _raise(operation, error)
        except BotoCoreError as error:
            raise ServiceTrouble(f"S3 {operation}: {error}") from error
        return answer

    def _explain(self, named: dict[str, Any], refused: ClientError) -> NoReturn:
        """Raise what S3 means. HeadObject's errors have no body: 400 and 403 don't say whether it is the object's own
        encryption, the key's policy or a right. GetObject of one byte says it."""
        try:
            self.s3.get_object(**named, Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            _raise("get_object", error)
        except BotoCoreError as error:
            raise ServiceTrouble(f"S3 get_object: {error}") from error
        raise ServiceTrouble(f"S3 refused HeadObject ({_status(refused)}), and gives the object out all the same")


def _status(error: ClientError) -> int:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status is None:  # then by its code
        code = error.response["Error"]["Code"]
        status = int(code) if code.isdecimal() else 403 if code == "AccessDenied" else 400
    return int(status)


def _raise(operation: str, error: ClientError) -> NoReturn:
    """Raise whose fault an answer of S3's is. What S3 says with 4xx about one object is that object's, unless it is
    about rights or keys: then it may be the account's."""
    code, status = error.response["Error"]["Code"], _status(error)
    words = error.response["Error"].get("Message", "")
    if code in NOT_FOUND or status == 404:
        raise Gone("the object was deleted before its analysis could start") from error
    if status == 412:
        raise Gone("the object was replaced before its analysis could start") from error
    if status >= 500 or code in _PASSING or str(status) in _PASSING:
        raise ServiceTrouble(f"S3 {operation}: {code} {words}".strip()) from error
    if code == "InvalidObjectState":
        raise CannotStart("the object is archived: restore it, then retry") from error
    if code.startswith("KMS."):
        raise AccountFault(VIDEOS, f"the key that encrypts the object can't be used ({code}: {words})") from error
    if status == 403:
        raise AccountFault(VIDEOS, f"this stack may not read the object ({code}: {words})") from error
    raise CannotStart(f"S3 does not give the object out ({code}: {words})") from error
