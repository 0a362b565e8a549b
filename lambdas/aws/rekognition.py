"""The only module that talks to Rekognition. It is handed its clients, and turns every answer into a value or an error.

Limits, errors and the life of tokens are those of the Amazon Rekognition Developer Guide ("Guidelines and quotas",
"Error handling", "Calling Amazon Rekognition Video operations").
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.model.analyses import CATALOGUE
from lambdas.model.blocking import VIDEOS
from lambdas.model.errors import (
    AccountFault,
    CannotStart,
    CollectionDenied,
    JobForgotten,
    NoFreeSlot,
    PageTokenExpired,
    ServiceTrouble,
    SlowDown,
    TokenTaken,
)
from lambdas.model.page import Page, fractions_as_text

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

    from lambdas.model.job import Job

PAGE_ROWS = 1000  # the most that Get gives at once

# By code and not by class: Rekognition answers with codes that its model doesn't declare.
_NO_SLOT = {"LimitExceededException"}
_TOO_FAST = {"ThrottlingException", "ProvisionedThroughputExceededException", "TooManyRequestsException"}
# The call itself is refused, for any video.
_DENIED = {
    "AccessDeniedException",
    "OptInRequired",
    "SubscriptionRequiredException",
    "UnrecognizedClientException",
}
# The object can't be read by Rekognition: its key's policy, another region, or the rights of this stack.
_UNREADABLE = {"InvalidS3ObjectException"}
# A parameter is wrong: this job's own, or the topic, role or collection of all jobs.
_WRONG = {"InvalidParameterException", "ValidationException", "ResourceNotFoundException"}
_NEVER = {"VideoTooLargeException"}


class Rekognition:
    """Starts jobs and reads their results.

    Args:
        starter: a client that makes one attempt a call: here a refusal is an answer, and the queue in the table waits
            better than a sleeping function does.
        reader: a client that retries: reading is free, and most of what fails is the rate.
        topic_arn: where Rekognition announces that a job has ended.
        role_arn: the role it does that with.
        results_bucket: where converted copies are.
    """

    def __init__(
        self,
        starter: "RekognitionClient",
        reader: "RekognitionClient",
        *,
        topic_arn: str,
        role_arn: str,
        results_bucket: str,
    ) -> None:
        self._starter = starter
        self._reader = reader
        self._results_bucket = results_bucket
        self._channel = {"SNSTopicArn": topic_arn, "RoleArn": role_arn}
        # A page holds up to 1,000 deep objects, and botocore walks each member by its model in Python: most of the time
        # such a loop takes. So pages are read as the plain JSON they are.
        reader.meta.events.register("before-parse.rekognition", _keep_json, unique_id="rekognition-plain-pages")

    def start(self, job: "Job") -> str:
        """Start the job's current attempt; Rekognition's id of it. The same attempt started twice is one job.

        Raises:
            NoFreeSlot, SlowDown, CannotStart, AccountFault, TokenTaken, ServiceTrouble
        """
        video = {"Bucket": self._results_bucket, "Name": job.source_key} if job.source_key else _original(job)
        if job.analysis not in CATALOGUE:
            raise CannotStart(f"there is no analysis {job.analysis!r}")
        analysis = CATALOGUE[job.analysis]
        start = getattr(self._starter, xform_name(analysis.start_operation))
        try:
            answer = start(
                Video={"S3Object": video},
                ClientRequestToken=job.token,
                NotificationChannel=self._channel,
                JobTag=job.job_id,
                **_of(job.parameters, analysis.start),
            )
        except (ClientError, BotoCoreError) as error:
            _raise_start_error(error, job.analysis)
        return str(answer["JobId"])

    def page(self, job: "Job", rekognition_job_id: str, token: str | None = None) -> Page:
        """One page of a job's results.

        Raises:
            JobForgotten, PageTokenExpired, CollectionDenied, SlowDown, ServiceTrouble
        """
        analysis = CATALOGUE[job.analysis]
        request: dict[str, Any] = {"JobId": rekognition_job_id, "MaxResults": PAGE_ROWS}
        # The same for every page of a job: a page token is valid only for its order.
        request |= _of(job.parameters, analysis.get)
        if token:
            request["NextToken"] = token
        try:
            answer = getattr(self._reader, xform_name(analysis.get_operation))(**request)["Page"]
            values, texts = _members(answer, {analysis.detections} if fractions_as_text(job) else set())
        except (ClientError, BotoCoreError) as error:
            _raise_get_error(error)
        except ValueError as error:
            raise ServiceTrouble(f"{analysis.get_operation}: the answer is no JSON object ({error})") from error
        detections = values.pop(analysis.detections, None) or []
        if job.source_key and "Video" in values:  # results are about the video, and the copy expires
            values["Video"] = {"S3Object": _original(job)}
        return Page(
            status=values["JobStatus"],
            detections=detections,
            text=texts[analysis.detections] if detections else "[]",
            next_token=values.pop("NextToken", None) or None,
            rest=values,
        )

    def pages(
        self, job: "Job", rekognition_job_id: str, first: Page, patiently: Callable[[Callable[[], Page]], Page]
    ) -> Iterator[Page]:
        """`first` and every page after it. The next page is fetched while one is in use.

        Args:
            job: whose results they are.
            rekognition_job_id: Rekognition's id of it.
            first: the page to begin with.
            patiently: calls its argument to fetch a page, again while it is throttled.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="next-page") as ahead:
            page = first
            while page.next_token:
                following = ahead.submit(patiently, partial(self.page, job, rekognition_job_id, page.next_token))
                yield page
                page = following.result()
            yield page


def _original(job: "Job") -> dict[str, str]:
    """The video as an S3Object of Rekognition's."""
    return {"Bucket": job.bucket, "Name": job.key} | ({"Version": job.version_id} if job.version_id else {})


def _of(parameters: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    """Those `parameters` that are among a call's `members`."""
    return {name: value for name, value in parameters.items() if name in members}


def _keep_json(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] == 200:
        customized_response_dict["Page"] = response_dict["body"].decode()
        response_dict["body"] = b"{}"


_value = json.JSONDecoder().raw_decode
_value_as_text = json.JSONDecoder(parse_float=str).raw_decode
_space = r"[ \t\n\r]*"
_name = re.compile(rf'{_space}[{{,]{_space}("(?:[^"\\]|\\.)*"){_space}:{_space}').match
_end = re.compile(rf"{_space}(?:\{{{_space})?\}}{_space}").fullmatch


def _members(text: str, as_text: Set[str] = frozenset()) -> tuple[dict[str, Any], dict[str, str]]:
    """The members of a JSON object: their values, and the text of each value. Fractions in those named in `as_text`
    stay text.

    Raises:
        ValueError: it is none.
    """
    values, texts = {}, {}
    at = 0
    while found := _name(text, at):
        name = json.loads(found[1])
        values[name], at = (_value_as_text if name in as_text else _value)(text, begin := found.end())
        texts[name] = text[begin:at]
    if not _end(text, at):
        raise ValueError(f"something else at character {at}: {text[at : at + 40]!r}")
    return values, texts


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def _text(error: Exception) -> str:
    if not isinstance(error, ClientError):
        return str(error)
    details: Mapping[str, Any] = error.response["Error"]
    return f"{details['Code']}: {details.get('Message', '')}"


def _raise_start_error(error: Exception, analysis: str) -> NoReturn:
    code = _code(error)
    if code in _NO_SLOT:
        raise NoFreeSlot(_text(error)) from error
    if code in _TOO_FAST:
        raise SlowDown(_text(error)) from error
    if code == "IdempotentParameterMismatchException":
        raise TokenTaken(_text(error)) from error
    if code in _DENIED:
        raise AccountFault(analysis, _text(error), certain=True) from error
    if code in _UNREADABLE:
        raise AccountFault(VIDEOS, _text(error)) from error
    if code in _WRONG:
        raise AccountFault(analysis, _text(error)) from error
    if code in _NEVER:
        raise CannotStart(_text(error)) from error
    trouble = ServiceTrouble(_text(error))
    trouble.maybe_started = True
    raise trouble from error


def _raise_get_error(error: Exception) -> NoReturn:
    code = _code(error)
    if code == "ResourceNotFoundException":
        raise JobForgotten(_text(error)) from error
    if code == "InvalidPaginationTokenException":
        raise PageTokenExpired(_text(error)) from error
    if code == "AccessDeniedException":
        raise CollectionDenied(f"the collecting function may not read the results: {_text(error)}") from error
    if code in _TOO_FAST:
        raise SlowDown(_text(error)) from error
    raise ServiceTrouble(_text(error)) from error
