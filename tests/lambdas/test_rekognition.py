"""What is asked of Rekognition and what its answers mean; reading pages as the text they are."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lambdas.aws.rekognition import Rekognition, _members
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

DOCUMENT = {"JobStatus": "SUCCEEDED", "Faces": [{"a": 0.1, "b": '"}],{"'}, {}], 'é"\\': "ü😀", "x": None, "n": -1e-7}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_members_are_what_json_reads_and_the_text_it_read_them_from(indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(DOCUMENT, indent=indent, ensure_ascii=ascii_only)

    values, texts = _members(text)

    assert values == DOCUMENT
    assert {name: json.loads(value) for name, value in texts.items()} == DOCUMENT
    assert all(value in text for value in texts.values())


def test_an_empty_object_has_no_members() -> None:
    assert _members(" { } ") == ({}, {})


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": 1', '{"a": 1,}', '{"a": 1} x', '{"a": [1, 2}', '{"a" 1}', "1", "{1: 2}"]
)
def test_anything_but_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own errors too
        _members(text)


JOB: Any = SimpleNamespace(
    job_id="b" * 64,
    bucket="videos",
    key="x.mp4",
    version_id=None,
    source_key=None,
    token="t" * 64,
    analysis="face-detection",
    parameters={"FaceAttributes": "ALL"},
)
PAGE = {
    "JobStatus": "SUCCEEDED",
    "Faces": [{"Timestamp": 1, "Confidence": 0.10}],
    "NextToken": "2",
    "VideoMetadata": {},
}


class Client:
    """A client that answers each call with the next of `answers`: a value, or an error."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.parsers: dict[tuple[str, str], Any] = {}
        self.meta = SimpleNamespace(events=SimpleNamespace(register=self._register))

    def _register(self, event: str, parser: Any, unique_id: str) -> None:
        self.parsers[event, unique_id] = parser

    def __getattr__(self, operation: str) -> Any:
        return lambda **named: self._answer(operation, named)

    def _answer(self, operation: str, named: dict[str, Any]) -> Any:
        self.asked.append((operation, named))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(code: str, **said: str) -> ClientError:
    return ClientError({"Error": {"Code": code, **said}}, "Start")


def rekognition(starter: Any = None, reader: Any = None) -> Rekognition:
    told = {"topic_arn": "the topic", "role_arn": "the role", "results_bucket": "results"}
    return Rekognition(starter or Client(), reader or Client(), **told)


def page(answer: Any, **changes: Any) -> Any:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return rekognition(reader=Client({"Page": text})).page(SimpleNamespace(**{**vars(JOB), **changes}), "r")


class TestStart:
    def test_says_what_is_to_be_done_once_and_where_to_tell_of_its_end(self) -> None:
        starter = Client({"JobId": "r"})

        assert rekognition(starter).start(JOB) == "r"

        assert starter.asked == [
            (
                "start_face_detection",
                {
                    "Video": {"S3Object": {"Bucket": "videos", "Name": "x.mp4"}},
                    "ClientRequestToken": "t" * 64,
                    "NotificationChannel": {"SNSTopicArn": "the topic", "RoleArn": "the role"},
                    "JobTag": "b" * 64,
                    "FaceAttributes": "ALL",
                },
            )
        ]

    def test_names_the_version_that_was_uploaded(self) -> None:
        starter = Client({"JobId": "r"})

        rekognition(starter).start(SimpleNamespace(**{**vars(JOB), "version_id": "v1"}))

        assert starter.asked[0][1]["Video"] == {"S3Object": {"Bucket": "videos", "Name": "x.mp4", "Version": "v1"}}

    def test_names_the_converted_copy_in_place_of_the_video(self) -> None:
        starter = Client({"JobId": "r"})

        rekognition(starter).start(
            SimpleNamespace(**{**vars(JOB), "version_id": "v1", "source_key": "converted/1.mp4"})
        )

        assert starter.asked[0][1]["Video"] == {"S3Object": {"Bucket": "results", "Name": "converted/1.mp4"}}

    def test_gives_only_what_the_call_takes(self) -> None:
        starter = Client({"JobId": "r"})
        parameters = {"MinConfidence": 50, "SortBy": "TIMESTAMP"}

        rekognition(starter).start(
            SimpleNamespace(**{**vars(JOB), "analysis": "label-detection", "parameters": parameters})
        )

        assert starter.asked[0][1]["MinConfidence"] == 50
        assert "SortBy" not in starter.asked[0][1]

    def test_of_an_analysis_that_does_not_exist_is_never_tried(self) -> None:
        with pytest.raises(CannotStart, match="there is no analysis 'unknown'"):
            rekognition().start(SimpleNamespace(**{**vars(JOB), "analysis": "unknown"}))

    @pytest.mark.parametrize(
        ("code", "means"),
        [
            ("LimitExceededException", NoFreeSlot),
            ("ThrottlingException", SlowDown),
            ("ProvisionedThroughputExceededException", SlowDown),
            ("TooManyRequestsException", SlowDown),
            ("IdempotentParameterMismatchException", TokenTaken),
            ("VideoTooLargeException", CannotStart),
            ("InternalServerError", ServiceTrouble),
            ("NeverHeardOfException", ServiceTrouble),
        ],
    )
    def test_that_is_refused_says_why_and_what_to_do(self, code: str, means: type[Exception]) -> None:
        with pytest.raises(means, match=f"^{code}: no$") as raised:
            rekognition(Client(refusal(code, Message="no"))).start(JOB)

        assert type(raised.value) is means

    @pytest.mark.parametrize(
        ("code", "scope", "certain"),
        [
            ("AccessDeniedException", "face-detection", True),
            ("OptInRequired", "face-detection", True),
            ("SubscriptionRequiredException", "face-detection", True),
            ("UnrecognizedClientException", "face-detection", True),
            ("InvalidS3ObjectException", "videos", False),
            ("InvalidParameterException", "face-detection", False),
            ("ValidationException", "face-detection", False),
            ("ResourceNotFoundException", "face-detection", False),
        ],
    )
    def test_that_the_account_may_not_make_says_whom_that_meets(self, code: str, scope: str, certain: bool) -> None:
        with pytest.raises(AccountFault, match=f"^{code}: $") as raised:
            rekognition(Client(refusal(code))).start(JOB)

        assert (raised.value.scope, raised.value.certain) == (scope, certain)

    @pytest.mark.parametrize(
        "error", [refusal("InternalServerError"), EndpointConnectionError(endpoint_url="https://r")]
    )
    def test_without_an_answer_may_have_been_carried_out(self, error: Exception) -> None:
        with pytest.raises(ServiceTrouble) as raised:
            rekognition(Client(error)).start(JOB)

        assert raised.value.maybe_started


class TestPage:
    def test_is_asked_for_by_id_and_token_as_large_as_it_gets(self) -> None:
        reader = Client({"Page": json.dumps(PAGE)}, {"Page": json.dumps(PAGE)})
        job = SimpleNamespace(
            **{**vars(JOB), "analysis": "label-detection", "parameters": {"SortBy": "NAME", "MinConfidence": 5}}
        )

        rekognition(reader=reader).page(job, "r")
        rekognition(reader=reader).page(job, "r", "2")

        request = {"JobId": "r", "MaxResults": 1000, "SortBy": "NAME"}
        assert reader.asked == [
            ("get_label_detection", request),
            ("get_label_detection", {**request, "NextToken": "2"}),
        ]

    def test_has_the_detections_as_values_and_as_text_and_the_rest_beside_them(self) -> None:
        got = page(PAGE)

        assert (got.status, got.next_token) == ("SUCCEEDED", "2")
        assert got.detections == PAGE["Faces"]
        assert json.loads(got.text) == PAGE["Faces"]
        assert got.rest == {"JobStatus": "SUCCEEDED", "VideoMetadata": {}}

    @pytest.mark.parametrize(
        ("changes", "as_text"),
        [
            ({"parameters": {"FaceAttributes": "DEFAULT"}}, True),
            ({"parameters": {}}, True),
            ({"parameters": {"FaceAttributes": "ALL"}}, False),
            ({"analysis": "celebrity-recognition", "parameters": {}}, False),
        ],
    )
    def test_leaves_fractions_of_plain_faces_as_the_text_they_came_as(
        self, changes: dict[str, Any], as_text: bool
    ) -> None:
        member = "Celebrities" if "analysis" in changes else "Faces"

        got = page(f'{{"JobStatus": "SUCCEEDED", "{member}": [{{"Confidence": 0.10}}]}}', **changes)

        assert got.detections == [{"Confidence": "0.10" if as_text else 0.1}]
        assert got.text == '[{"Confidence": 0.10}]'

    @pytest.mark.parametrize("nothing", [{}, {"Faces": []}, {"Faces": None}, {"NextToken": ""}, {"NextToken": None}])
    def test_may_be_empty_and_the_last(self, nothing: dict[str, Any]) -> None:
        got = page({"JobStatus": "IN_PROGRESS", **nothing})

        assert (got.status, got.detections, got.text, got.next_token) == ("IN_PROGRESS", [], "[]", None)
        assert got.rest == {"JobStatus": "IN_PROGRESS"}

    @pytest.mark.parametrize(
        ("code", "means"),
        [
            ("ResourceNotFoundException", JobForgotten),
            ("InvalidPaginationTokenException", PageTokenExpired),
            ("AccessDeniedException", CollectionDenied),
            ("ThrottlingException", SlowDown),
            ("InternalServerError", ServiceTrouble),
        ],
    )
    def test_that_is_refused_says_why_and_what_to_do(self, code: str, means: type[Exception]) -> None:
        with pytest.raises(means, match=f"{code}: no$") as raised:
            rekognition(reader=Client(refusal(code, Message="no"))).page(JOB, "r")

        assert type(raised.value) is means

    def test_that_does_not_come_is_the_services_trouble(self) -> None:
        with pytest.raises(ServiceTrouble, match="https://r"):
            rekognition(reader=Client(EndpointConnectionError(endpoint_url="https://r"))).page(JOB, "r")

    def test_that_is_no_json_object_is_the_services_trouble(self) -> None:
        with pytest.raises(ServiceTrouble, match="GetFaceDetection: the answer is no JSON object"):
            page("<html>")

    def test_is_read_as_the_text_it_is_and_not_by_botocore(self) -> None:
        reader = Client()
        rekognition(reader=reader)
        [keep] = reader.parsers.values()
        answers = [{"status_code": status, "body": b'{"Faces": []}'} for status in (200, 400)]
        kept: list[dict[str, Any]] = [{}, {}]

        for answer, customized in zip(answers, kept, strict=True):
            keep(response_dict=answer, customized_response_dict=customized, operation_name="GetFaceDetection")

        assert list(reader.parsers) == [("before-parse.rekognition", "rekognition-plain-pages")]
        assert kept == [{"Page": '{"Faces": []}'}, {}]
        assert [answer["body"] for answer in answers] == [b"{}", b'{"Faces": []}']

    def test_after_page_comes_until_there_is_no_more(self) -> None:
        reader = Client(*({"Page": json.dumps({**PAGE, "NextToken": token})} for token in ("3", "4", None)))
        first, patiently = page(PAGE), []

        def fetch(once: Any) -> Any:
            patiently.append(once)
            return once()

        pages = list(rekognition(reader=reader).pages(JOB, "r", first, fetch))

        assert [it.next_token for it in pages] == ["2", "3", "4", None]
        assert [named.get("NextToken") for _, named in reader.asked] == ["2", "3", "4"]
        assert {named["JobId"] for _, named in reader.asked} == {"r"}
        assert len(patiently) == 3

    def test_is_not_followed_where_it_is_the_last(self) -> None:
        reader = Client()
        last = page({**PAGE, "NextToken": None})

        assert list(rekognition(reader=reader).pages(JOB, "r", last, lambda once: once())) == [last]
        assert reader.asked == []
