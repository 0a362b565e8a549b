"""The only module that talks to MediaConvert; it turns every answer into a value or an error.

Facts are those of the AWS Elemental MediaConvert User Guide ("Error codes", "Events with COMPLETE status") and of its
API Reference ("Idempotency", "jobs").
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.model.blocking import CONVERSION
from lambdas.model.conversion import NUMBER, OWNER, UPLOAD, Conversion, copies_prefix, job_settings, upload_digest
from lambdas.model.errors import AccountFault, JobForgotten, ServiceTrouble, SlowDown

if TYPE_CHECKING:
    from lambdas.model.job import Job
    from lambdas.model.video_header import VideoHeader

# Seconds. Within a minute of a successful CreateJob, the same token gets the same job, and after it a second one, which
# is billed. Less a margin for clocks and the call's own time.
TOKEN_LIVES = 40.0

# Seconds for which a listing of the newest jobs is used again. What was begun since is younger than TOKEN_LIVES, so
# beginning it again gives the same job.
LISTING_HOLDS = 20.0
PAGES_LISTED = 50  # of 20 jobs each, at most

# The call itself is refused, for any video: rights, the role, a service that the account or region has not.
_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "ForbiddenException",
    "ConflictException",
    "NotFoundException",  # CreateJob: the queue
    "OptInRequired",
    "ServiceQuotaExceededException",
    "SubscriptionRequiredException",
    "UnrecognizedClientException",
}
_TOO_FAST = {"ThrottlingException", "TooManyRequestsException"}
_WRONG = {"BadRequestException", "ValidationException"}


class MediaConvert:
    """Begins conversions and looks at them.

    Args:
        client: makes a boto3 client of MediaConvert, that makes one attempt a call (the tick tries again). It is called
            when the first video has to be converted: the model of this API takes a while to read.
        results_bucket: where the copies go.
        role_arn: the role with which MediaConvert reads videos and writes copies.
    """

    def __init__(self, client: Callable[[], Any], *, results_bucket: str, role_arn: str) -> None:
        self._client = client
        self._results_bucket = results_bucket
        self._role_arn = role_arn
        self._listed_at = self._listed_since = float("inf")
        self._listed: dict[tuple[str, int], Conversion] = {}

    def begin(self, job: "Job", header: "VideoHeader | None", number: int) -> str:
        """Begin the conversion of that number of a job's upload; MediaConvert's id of it.

        Called again within TOKEN_LIVES, whatever analysis `job` is: the same conversion.

        Raises:
            SlowDown, AccountFault, ServiceTrouble
        """
        settings = job_settings(
            f"s3://{job.bucket}/{job.key}",
            f"s3://{self._results_bucket}/{copies_prefix(self._results_bucket, job)}{number}",
            header,
        )
        metadata = {
            OWNER: self._results_bucket,
            UPLOAD: upload_digest(self._results_bucket, job),
            NUMBER: str(number),
        }
        request = {"Role": self._role_arn, "Settings": settings, "UserMetadata": metadata}
        # Of all that is asked for, as a token must not stand for two different calls.
        token = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        answer = self._call("create_job", ClientRequestToken=token, **request)
        return str(answer["Job"]["Id"])

    def get(self, conversion_id: str) -> Conversion:
        """A conversion as it is now.

        Raises:
            JobForgotten: MediaConvert doesn't know it.
            SlowDown, AccountFault, ServiceTrouble
        """
        return self._conversion(self._call("get_job", Id=conversion_id)["Job"])

    def find(self, job: "Job", number: int, since: float, now: float) -> str | None:
        """The id of the conversion of that number of a job's upload, begun at `since` or later; None if there is none.
        For after a crash, or an answer that was lost: it looks through the newest of the account's jobs.

        Raises:
            SlowDown, AccountFault, ServiceTrouble
        """
        if not (0 <= now - self._listed_at <= LISTING_HOLDS and self._listed_since <= since):
            self._listed = self._newest(since)
            self._listed_at, self._listed_since = now, since
        found = self._listed.get((upload_digest(self._results_bucket, job), number))
        return found.conversion_id if found and found.created_at >= since else None

    def _newest(self, since: float) -> dict[tuple[str, int], Conversion]:
        """This stack's conversions begun at that time or later, by upload and number."""
        found: dict[tuple[str, int], Conversion] = {}
        page: Mapping[str, Any] = {}
        for _ in range(PAGES_LISTED):
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
            page = self._call("list_jobs", MaxResults=20, Order="DESCENDING", **more)
            for one in map(self._conversion, page["Jobs"]):
                if one.created_at < since:
                    return found
                if one.upload:
                    found.setdefault((one.upload, one.number), one)  # the newest
            if not page.get("NextToken"):
                break
        return found

    def _conversion(self, job: Mapping[str, Any]) -> Conversion:
        metadata = job.get("UserMetadata", {})
        inputs = job.get("Settings", {}).get("Inputs") or [{}]
        bucket, _, key = str(inputs[0].get("FileInput", "")).removeprefix("s3://").partition("/")
        ours = metadata.get(OWNER) == self._results_bucket
        number = str(metadata.get(NUMBER, ""))
        created = job.get("CreatedAt")
        return Conversion(
            conversion_id=str(job["Id"]),
            status=job["Status"],
            bucket=bucket,
            key=key,
            upload=str(metadata.get(UPLOAD, "")) if ours else "",
            number=int(number) if ours and number.isdecimal() else 0,
            code=int(job.get("ErrorCode") or 0),
            message=str(job.get("ErrorMessage") or ""),
            created_at=created.timestamp() if isinstance(created, datetime) else 0.0,
        )

    def _call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._client(), operation)(**request)
        except ClientError as error:
            _raise(operation, error)
        except BotoCoreError as error:
            raise ServiceTrouble(f"MediaConvert {operation}: {error}") from error
        return answer


def _raise(operation: str, error: ClientError) -> NoReturn:
    details: Mapping[str, Any] = error.response["Error"]
    code = details["Code"]
    text = f"MediaConvert {operation}: {code}: {details.get('Message', '')}"
    if operation == "get_job" and code == "NotFoundException":
        raise JobForgotten(text) from error
    if code in _TOO_FAST:
        raise SlowDown(text) from error
    if code in _REFUSED:
        raise AccountFault(CONVERSION, text, certain=True) from error
    if code in _WRONG:
        # The requests of two videos differ in address and size alone. Its words don't tell whose fault it is, as they
        # name the video; that shows when others meet the same (blocking.py).
        raise AccountFault(CONVERSION, text) from error
    raise ServiceTrouble(text) from error
