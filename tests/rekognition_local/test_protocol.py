"""What the endpoint answers, in process and in virtual time. Every answer is checked against botocore's model."""

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rekognition_local import AnyObject, Caller, RekognitionVideo, S3Objects, Simulated, attach
from rekognition_local.aws import Stored, Unreadable
from rekognition_local.engines import Outcome, Source
from rekognition_local.service import MOST_BYTES
from tests.rekognition_local.service_harness import BUCKET, CHANNEL, KEY, ServiceHarness, video

DAY = 86_400


@pytest.fixture
def harness() -> ServiceHarness:
    return ServiceHarness()


# A job's life.


def test_a_job_is_in_progress_then_succeeds_with_its_rows(harness: ServiceHarness) -> None:
    job = harness.start(JobTag="tag-1")

    before = harness.get(job)
    harness.wait(10)
    after = harness.get(job)

    assert (before["JobStatus"], before["Faces"]) == ("IN_PROGRESS", [])
    assert not {"VideoMetadata", "NextToken"} & set(before)
    assert (after["JobStatus"], len(after["Faces"])) == ("SUCCEEDED", 3)
    assert after["VideoMetadata"]["Format"] == "QuickTime / MOV"
    assert (after["JobId"], after["JobTag"], after["Video"]) == (job, "tag-1", video())


def test_a_job_id_is_64_lowercase_hex_characters(harness: ServiceHarness) -> None:
    ids = {harness.start() for _ in range(50)}

    assert len(ids) == 50
    assert all(len(job) == 64 and set(job) <= set("0123456789abcdef") for job in ids)


def test_rows_hold_what_the_attributes_asked_for(harness: ServiceHarness) -> None:
    few, all_of_it = harness.start(), harness.start(FaceAttributes="ALL")

    harness.wait(10)
    default, everything = harness.get(few)["Faces"][0]["Face"], harness.get(all_of_it)["Faces"][0]["Face"]

    assert set(default) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert {mark["Type"] for mark in default["Landmarks"]} == {"eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"}
    assert set(everything) > set(default)
    assert not {"FaceOccluded", "EyeDirection"} & set(everything)


def test_a_failed_job_says_why_and_shows_no_rows() -> None:
    harness = ServiceHarness(engine=Simulated(seconds=1, failure="Unsupported codec/format."))
    job = harness.start(NotificationChannel=CHANNEL)

    harness.wait(1)
    answer = harness.get(job)

    assert (answer["JobStatus"], answer["StatusMessage"]) == ("FAILED", "Unsupported codec/format.")
    assert answer["Faces"] == []
    assert "VideoMetadata" not in answer
    assert harness.messages()[0]["Status"] == "FAILED"


def test_an_object_can_say_how_long_its_job_takes_and_what_it_yields() -> None:
    wishes = {"long.mp4": {"simulate-seconds": "300", "simulate-detections": "7"}, "bad.mp4": {"simulate-fail": "no"}}
    harness = ServiceHarness(seconds=1, objects=AnyObject(wishes))
    long, bad, usual = harness.start("long.mp4"), harness.start("bad.mp4"), harness.start("usual.mp4")

    harness.wait(1)
    early = [harness.get(job)["JobStatus"] for job in (long, bad, usual)]
    harness.wait(299)

    assert early == ["IN_PROGRESS", "FAILED", "SUCCEEDED"]
    assert len(harness.get(long)["Faces"]) == 7


def test_metadata_that_is_no_number_fails_the_job_and_says_so() -> None:
    harness = ServiceHarness(objects=AnyObject({"odd.mp4": {"simulate-seconds": "soon"}}))

    job = harness.start("odd.mp4")

    assert "simulate-seconds: 'soon'" in harness.get(job)["StatusMessage"]


def test_results_are_gone_after_seven_days(harness: ServiceHarness) -> None:
    job = harness.start()
    harness.wait(10)

    harness.wait(7 * DAY)
    last = harness.get(job)["JobStatus"]
    harness.wait(1)

    assert last == "SUCCEEDED"
    assert harness.refusal("GetFaceDetection", {"JobId": job})[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("job_id", ["nosuchjob", "0" * 64])
def test_an_unknown_job_is_not_found(harness: ServiceHarness, job_id: str) -> None:
    assert harness.refusal("GetFaceDetection", {"JobId": job_id})[0] == "ResourceNotFoundException"


def test_a_job_of_another_account_is_not_found(harness: ServiceHarness) -> None:
    job = harness.start()

    code, _ = harness.refusal("GetFaceDetection", {"JobId": job}, account="210987654321")

    assert code == "ResourceNotFoundException"


# Pages.


def test_pages_hold_every_row_once_and_in_order() -> None:
    harness = ServiceHarness(detections=2500)
    job = harness.start()
    harness.wait(10)

    pages = []
    token: str | None = ""
    while True:
        page = harness.get(job, NextToken=token)
        pages.append(page)
        token = page.get("NextToken")
        if token is None:
            break

    rows = [row for page in pages for row in page["Faces"]]
    assert [len(page["Faces"]) for page in pages] == [1000, 1000, 500]
    assert [row["Timestamp"] for row in rows] == [500 * i for i in range(2500)]
    assert all("VideoMetadata" in page for page in pages)
    assert all(len(page["NextToken"]) <= 255 for page in pages[:-1])
    assert "NextToken" not in pages[-1]


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (999, 999), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_holds_what_is_asked_for_and_a_thousand_at_most(asked: int, given: int) -> None:
    harness = ServiceHarness(detections=1500)
    job = harness.start()
    harness.wait(10)

    assert len(harness.get(job, MaxResults=asked)["Faces"]) == given


@pytest.mark.parametrize(("rows", "more"), [(1000, False), (1001, True), (0, False)])
def test_the_last_page_has_no_token_even_when_it_is_full(rows: int, more: bool) -> None:
    harness = ServiceHarness(detections=rows)
    job = harness.start()
    harness.wait(10)

    page = harness.get(job)

    assert (len(page["Faces"]), "NextToken" in page) == (min(rows, 1000), more)


def test_a_page_token_lives_24_hours() -> None:
    harness = ServiceHarness(detections=1500)
    job = harness.start()
    harness.wait(10)
    token = harness.get(job)["NextToken"]

    harness.wait(DAY)
    in_time = harness.get(job, NextToken=token)
    harness.wait(1)

    assert len(in_time["Faces"]) == 500
    refused = harness.refusal("GetFaceDetection", {"JobId": job, "NextToken": token})
    assert refused == ("InvalidPaginationTokenException", "Invalid Pagination Token")


def test_foreign_and_garbled_page_tokens_are_refused() -> None:
    harness = ServiceHarness(detections=1500)
    one, other = harness.start(), harness.start()
    harness.wait(10)
    token = harness.get(one)["NextToken"]
    flipped = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]

    for job, wrong in [(other, token), (one, flipped), (one, token[:-4]), (one, "x"), (one, "日本"), (one, "A" * 76)]:
        code, _ = harness.refusal("GetFaceDetection", {"JobId": job, "NextToken": wrong})
        assert code == "InvalidPaginationTokenException", wrong


def test_a_million_detections_are_made_when_they_are_asked_for() -> None:
    harness = ServiceHarness(detections=1_000_000)
    job = harness.start()
    harness.wait(10)

    first = harness.get(job)

    assert len(first["Faces"]) == 1000
    assert first["VideoMetadata"]["DurationMillis"] <= 6 * 3600 * 1000
    samples = [row["Timestamp"] for row in first["Faces"]]
    assert samples == sorted(samples)
    assert len({json.dumps(row) for row in first["Faces"]}) == 1000


# Tokens, tags and slots.


def test_the_same_token_is_the_same_job(harness: ServiceHarness) -> None:
    parameters: dict[str, Any] = {"ClientRequestToken": "once", "JobTag": "t", "NotificationChannel": CHANNEL}

    first = harness.start(**parameters)
    again = harness.start(**parameters)
    harness.wait(10)
    after_its_end = harness.start(**parameters)
    harness.wait(100)

    assert first == again == after_its_end
    assert len(harness.sent) == 1
    assert harness.service.stats()["accepted_by_token"] == {"once": 1}


@pytest.mark.parametrize(
    "changed",
    [{"JobTag": "other"}, {"FaceAttributes": "ALL"}, {"Video": video("other.mp4")}, {"NotificationChannel": CHANNEL}],
)
def test_other_parameters_under_the_same_token_are_refused(harness: ServiceHarness, changed: dict) -> None:
    parameters = {"Video": video(), "ClientRequestToken": "once", "JobTag": "t"}
    harness.call("StartFaceDetection", parameters)

    code, message = harness.refusal("StartFaceDetection", parameters | changed)

    assert code == "IdempotentParameterMismatchException"
    assert message == "The ClientRequestToken: once you have supplied is already in use."


def test_a_token_can_be_used_again_after_seven_days(harness: ServiceHarness) -> None:
    first = harness.start(ClientRequestToken="once")

    harness.wait(7 * DAY)
    still = harness.start(ClientRequestToken="once")
    harness.wait(1)
    new = harness.start(ClientRequestToken="once")

    assert still == first != new


def test_a_token_belongs_to_one_account(harness: ServiceHarness) -> None:
    mine = harness.start(ClientRequestToken="once")

    _, theirs = harness.call(
        "StartFaceDetection", {"Video": video(), "ClientRequestToken": "once"}, account="210987654321"
    )

    assert theirs["JobId"] != mine


def test_a_repeated_token_is_answered_when_every_slot_is_taken(harness: ServiceHarness) -> None:
    harness.service.set_faults({"max_running": 1})
    job = harness.start(ClientRequestToken="once")

    assert harness.refusal("StartFaceDetection", {"Video": video("other.mp4")})[0] == "LimitExceededException"
    assert harness.start(ClientRequestToken="once") == job


def test_a_refused_start_leaves_its_token_free(harness: ServiceHarness) -> None:
    harness.service.set_faults({"max_running": 0})
    refused = harness.code("StartFaceDetection", {"Video": video(), "ClientRequestToken": "once"})
    harness.service.set_faults({"max_running": 1})

    accepted = harness.code("StartFaceDetection", {"Video": video(), "ClientRequestToken": "once", "JobTag": "changed"})

    assert (refused, accepted) == ("LimitExceededException", "ok")


# What is announced.


def test_the_end_of_a_job_is_announced_once_in_the_captured_form(harness: ServiceHarness) -> None:
    job = harness.start(NotificationChannel=CHANNEL, JobTag="tag1")

    harness.wait(9.999)
    early = len(harness.sent)
    harness.wait(0.5)
    harness.wait(1000)

    assert early == 0
    assert [notification.message for notification in harness.sent] == [
        f'{{"JobId":"{job}","Status":"SUCCEEDED","API":"StartFaceDetection","JobTag":"tag1","Timestamp":1000010000,'
        f'"Video":{{"S3ObjectName":"in/clip 1.mp4","S3Bucket":"videos"}}}}'
    ]
    assert (harness.sent[0].topic_arn, harness.sent[0].role_arn) == (CHANNEL["SNSTopicArn"], CHANNEL["RoleArn"])


def test_a_job_without_a_tag_is_announced_without_one(harness: ServiceHarness) -> None:
    harness.start(NotificationChannel=CHANNEL)

    harness.wait(10)

    assert "JobTag" not in harness.messages()[0]


def test_a_job_without_a_channel_sends_no_message(harness: ServiceHarness) -> None:
    harness.start()

    harness.wait(10)

    assert harness.sent == []


def test_keys_travel_plain(harness: ServiceHarness) -> None:
    key = "a b+c%20&'\"/日本語 😀//x.mp4"
    job = harness.start(key, NotificationChannel=CHANNEL)

    harness.wait(10)

    assert harness.messages()[0]["Video"]["S3ObjectName"] == key
    assert harness.get(job)["Video"]["S3Object"]["Name"] == key


def test_a_publisher_that_fails_takes_nothing_along(harness: ServiceHarness) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("no such topic")

    harness.service.publish = refuse
    job = harness.start(NotificationChannel=CHANNEL)

    harness.wait(10)

    assert harness.get(job)["JobStatus"] == "SUCCEEDED"
    assert harness.service.stats()["notifications"]["failed"] == 1


def test_due_says_when_something_will_happen(harness: ServiceHarness) -> None:
    nothing = harness.service.due()
    harness.start(NotificationChannel=CHANNEL)
    end = harness.service.due()
    harness.now += 10
    harness.get(harness.service.jobs()[0]["JobId"])  # the job's end shows, and its message still waits
    message = harness.service.due()
    harness.service.run_due()

    assert (nothing, end, message, harness.service.due()) == (None, 1_000_010.0, 1_000_010.0, None)


# What is refused.


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"Video": {}},
        {"Video": {"S3Object": {}}},
        {"Video": {"S3Object": {"Bucket": BUCKET}}},
        {"Video": {"S3Object": {"Name": KEY}}},
        {"Video": video(bucket="ab")},
        {"Video": video(bucket="with space")},
        {"Video": video(bucket="b" * 256)},
        {"Video": video("")},
        {"Video": video("k" * 1025)},
        {"Video": video(), "ClientRequestToken": "a/b"},
        {"Video": video(), "ClientRequestToken": "a" * 65},
        {"Video": video(), "ClientRequestToken": ""},
        {"Video": video(), "ClientRequestToken": "with-newline\n"},
        {"Video": video(), "JobTag": "with space"},
        {"Video": video(), "JobTag": "t" * 1025},
        {"Video": video(), "FaceAttributes": "SOME"},
        {"Video": video(), "NotificationChannel": {}},
        {"Video": video(), "NotificationChannel": CHANNEL | {"SNSTopicArn": "arn:aws-us-gov:sns:us-gov-west-1:1:t"}},
        {"Video": video(), "NotificationChannel": CHANNEL | {"RoleArn": "role"}},
        {"Video": {"S3Object": {"Bucket": BUCKET, "Name": KEY, "Version": ""}}},
    ],
)
def test_a_start_out_of_bounds_is_an_invalid_parameter(harness: ServiceHarness, parameters: dict) -> None:
    code, message = harness.refusal("StartFaceDetection", parameters)

    assert code == "InvalidParameterException"
    assert message
    assert harness.service.jobs() == []


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"JobId": ""},
        {"JobId": "j" * 65},
        {"JobId": "a.b"},
        {"JobId": "a", "MaxResults": 0},
        {"JobId": "a", "MaxResults": -5},
        {"JobId": "a", "NextToken": "t" * 256},
    ],
)
def test_a_get_out_of_bounds_is_an_invalid_parameter(harness: ServiceHarness, parameters: dict) -> None:
    assert harness.refusal("GetFaceDetection", parameters)[0] == "InvalidParameterException"


def test_a_refusal_names_the_value_and_what_it_should_be(harness: ServiceHarness) -> None:
    _, message = harness.refusal("StartFaceDetection", {"Video": video(), "JobTag": "a b"})

    assert message == (
        "1 validation error detected: Value 'a b' at 'jobTag' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-:+=\/]+"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"Video": "v"}',
        b'{"Video": {"S3Object": {"Bucket": 5, "Name": "x"}}}',
        b'{"Video": {"S3Object": {"Bucket": "videos", "Name": "\\ud800"}}}',
        b'{"Video": {"S3Object": {"Bucket": "videos", "Name": true}}}',
    ],
)
def test_a_body_of_the_wrong_types_cannot_be_read(harness: ServiceHarness, body: bytes) -> None:
    status, value = harness.call("StartFaceDetection", body)

    assert (status, value["Code"]) == (400, "SerializationException")


def test_members_the_operation_does_not_have_are_ignored(harness: ServiceHarness) -> None:
    job = harness.start(SortBy="TIMESTAMP", ClientRequestToken="once")

    assert harness.start(ClientRequestToken="once") == job


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("RekognitionService.DetectFaces", "AccessDeniedException"),
        ("RekognitionService.StartPersonTracking", "AccessDeniedException"),
        ("RekognitionService.StartFaceDetektion", "UnknownOperationException"),
        ("", "UnknownOperationException"),
    ],
)
def test_an_operation_that_is_not_offered_is_refused_by_name(harness: ServiceHarness, target: str, code: str) -> None:
    response = harness.service.handle(target, b"{}", Caller())

    assert (response.status, json.loads(response.body)["Code"]) == (400, code)


@pytest.mark.parametrize("operation", ["DetectFaces", "StartPersonTracking", "StartMediaAnalysisJob", "CompareFaces"])
def test_what_is_not_offered_is_refused_with_a_code_of_the_model_and_a_list_of_what_is(
    harness: ServiceHarness, operation: str
) -> None:
    code, message = harness.refusal(operation, {})

    assert code == "AccessDeniedException"
    assert f"does not offer {operation}. It offers StartFaceDetection," in message
    assert message.endswith(", SearchFacesByImage.")


# Regions.


@pytest.mark.parametrize(
    ("operation", "region", "says"),
    [
        ("StartFaceDetection", "ca-central-1", "does not offer StartFaceDetection in ca-central-1"),
        ("GetFaceDetection", "il-central-1", "does not offer GetFaceDetection in il-central-1"),
        ("StartFaceDetection", "eu-west-3", "rekognition.eu-west-3.amazonaws.com does not resolve"),
        ("CreateCollection", "eu-north-1", "Face collections are offered in"),
        ("StartCelebrityRecognition", "us-gov-west-1", "does not offer StartCelebrityRecognition in us-gov-west-1"),
    ],
)
def test_a_region_offers_what_aws_offers_there(harness: ServiceHarness, operation: str, region: str, says: str) -> None:
    parameters = {"Video": video(), "JobId": "0" * 64, "CollectionId": "people"}

    code, message = harness.refusal(operation, parameters, region=region)

    assert code == "AccessDeniedException"
    assert says in message


def test_a_region_with_collections_and_without_video_has_collections(harness: ServiceHarness) -> None:
    assert harness.call("CreateCollection", {"CollectionId": "people"}, region="ca-central-1")[0] == 200
    assert harness.call("StartFaceDetection", {"Video": video()}, region="eu-west-1")[0] == 200


# The object.


class Shelf:
    """One object of any size, in a bucket of any region."""

    def __init__(self, size: int = 1, region: str = "") -> None:
        self.stored = Stored(size, region=region)

    def head(self, source: Source) -> Stored:
        if source.name != KEY:
            raise Unreadable
        return self.stored


@pytest.mark.parametrize(("bucket_region", "code"), [("us-east-1", "ok"), ("eu-west-1", "InvalidS3ObjectException")])
def test_a_video_must_lie_in_a_bucket_of_the_calls_region(bucket_region: str, code: str) -> None:
    harness = ServiceHarness(objects=Shelf(region=bucket_region))

    assert harness.code("StartFaceDetection", {"Video": video()}) == code
    assert harness.code("StartFaceDetection", {"Video": video()}, region="eu-central-1") == "InvalidS3ObjectException"


def test_an_object_that_is_not_there_is_refused_at_once() -> None:
    code, message = ServiceHarness(objects=Shelf()).refusal("StartFaceDetection", {"Video": video("gone.mp4")})

    assert code == "InvalidS3ObjectException"
    assert message == ("Unable to get object metadata from S3. Check object key, region and/or access permissions.")


def test_a_caller_who_may_not_read_the_object_is_told_the_same(harness: ServiceHarness) -> None:
    gone = ServiceHarness(objects=Shelf()).refusal("StartFaceDetection", {"Video": video("gone.mp4")})

    assert harness.refusal("StartFaceDetection", {"Video": video()}, may_read=False) == gone


def test_a_caller_who_may_not_pass_the_role_is_denied(harness: ServiceHarness) -> None:
    parameters = {"Video": video(), "NotificationChannel": CHANNEL}

    code, message = harness.refusal("StartFaceDetection", parameters, may_pass_role=False)

    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: iam:PassRole on resource: {CHANNEL['RoleArn']}" in message
    assert harness.code("StartFaceDetection", {"Video": video()}, may_pass_role=False) == "ok"


def test_more_than_ten_gigabytes_are_too_large() -> None:
    largest, larger = ServiceHarness(objects=Shelf(MOST_BYTES)), ServiceHarness(objects=Shelf(MOST_BYTES + 1))

    code, message = larger.refusal("StartFaceDetection", {"Video": video()})

    assert largest.code("StartFaceDetection", {"Video": video()}) == "ok"
    assert code == "VideoTooLargeException"
    assert str(MOST_BYTES + 1) in message


# Beside moto.


def test_a_boto3_client_is_answered_in_process_beside_moto() -> None:
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"video", Metadata={"simulate-seconds": "0"})
        client = attach(boto3.client("rekognition"), RekognitionVideo(engine=Simulated(), objects=S3Objects(s3)))

        job = client.start_face_detection(Video=video())["JobId"]
        answer = client.get_face_detection(JobId=job)

        assert (answer["JobStatus"], len(answer["Faces"])) == ("SUCCEEDED", 10)
        with pytest.raises(client.exceptions.InvalidS3ObjectException):
            client.start_face_detection(Video=video("gone.mp4"))
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_face_detection(JobId="gone")


def test_an_engine_that_reports_later_ends_the_job_when_it_does() -> None:
    class Later:
        def begin(self, work, report) -> None:
            self.end = lambda: report(work.job_id, Outcome(rows=[b'{"Timestamp":0,"Face":{}}']))

        def progress(self, job_id: str) -> float:
            return 0.25

        def close(self) -> None: ...

    engine = Later()
    harness = ServiceHarness(engine=engine)
    job = harness.start(NotificationChannel=CHANNEL)

    before, progress = harness.get(job)["JobStatus"], harness.service.jobs()[0]["Progress"]
    engine.end()
    engine.end()
    harness.wait(0)

    assert (before, progress) == ("IN_PROGRESS", 0.25)
    assert len(harness.get(job)["Faces"]) == len(harness.sent) == 1
