"""AWS's messages become values at the door, and only there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lambdas.model.errors import MalformedEvent
from lambdas.model.events import (
    Finished,
    NotOurs,
    Upload,
    ask_again,
    finished_in,
    notifications_in,
    trigger_of,
    uploads_in,
)

EVENTS = Path(__file__).parent.parent / "events"


HALF = (
    '{"source": "aws.s3"}',
    '{"source": "aws.s3", "detail-type": "Object Created"}',
    '{"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": 1}}}',
)


def text(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text()


def test_an_upload_has_its_bucket_key_etag_and_size() -> None:
    [upload] = uploads_in(text("s3_upload"))

    assert (upload.bucket, upload.key, upload.size) == ("videos", "clip.mp4", 1024)
    assert upload.etag == "d41d8cd98f00b204e9800998ecf8427e"
    assert upload.version_id is None


def test_keys_are_decoded_once() -> None:
    [upload] = uploads_in(text("s3_upload_with_odd_key"))

    assert upload.key == "in/a b+c&d%e'日本😀//f.mp4"


def test_a_multipart_upload_to_a_versioned_bucket_keeps_its_version() -> None:
    [upload] = uploads_in(text("s3_multipart_upload_to_versioned_bucket"))

    assert upload.etag.endswith("-8")
    assert upload.version_id == "096fKKXTRTtl3on89fVO.nfljtsv6qko"


def test_every_record_counts_and_deletions_do_not() -> None:
    uploads = uploads_in(text("s3_two_uploads_and_a_deletion"))

    assert [upload.key for upload in uploads] == ["one.mp4", "two.mp4"]


def test_sequencers_of_different_length_compare_as_numbers() -> None:
    long, short = uploads_in(text("s3_two_uploads_and_a_deletion"))

    assert long.sequencer > short.sequencer


def test_s3s_test_event_announces_nothing() -> None:
    assert uploads_in(text("s3_test_event")) == []


def test_awss_example_of_an_event_by_eventbridge_is_an_upload() -> None:
    [upload] = uploads_in(text("eventbridge_object_created"))

    assert upload == Upload(
        bucket="amzn-s3-demo-bucket1",
        key="example-key",
        etag="b1946ac92492d2347c6235b4d2611184",
        size=5,
        uploaded_at="2021-11-12T00:00:00.000Z",
        sequencer="0000000000000000617F08299329D189",
        version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
    )


def test_eventbridges_keys_are_plain_and_stay_so() -> None:
    [upload] = uploads_in(text("eventbridge_object_created_with_odd_key"))

    assert upload.key == "in/a b+c&d%e'日本😀//f%2B.mp4"
    assert upload.version_id is None


def test_an_upload_is_the_same_whichever_way_it_is_announced() -> None:
    notified: dict[str, Any] = json.loads(text("s3_multipart_upload_to_versioned_bucket"))
    event: dict[str, Any] = json.loads(text("eventbridge_object_created"))
    thing = notified["Records"][0]["s3"]["object"]
    event["detail"]["bucket"]["name"] = "videos"
    event["detail"]["object"] = {
        "key": thing["key"],
        "size": thing["size"],
        "etag": thing["eTag"],
        "version-id": thing["versionId"],
        "sequencer": thing["sequencer"].lower(),
    }

    [one], [other] = uploads_in(json.dumps(notified)), uploads_in(json.dumps(event))

    assert replace(one, uploaded_at="") == replace(other, uploaded_at="")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("2026-11-12T00:00:00Z", "2026-11-12T00:00:00.000Z"),
        ("2026-11-12T00:00:00.123Z", "2026-11-12T00:00:00.123Z"),
    ],
)
def test_times_by_eventbridge_compare_as_text_with_those_of_notifications(said: str, means: str) -> None:
    event: dict[str, Any] = {**json.loads(text("eventbridge_object_created")), "time": said}

    [upload] = uploads_in(json.dumps(event))

    assert upload.uploaded_at == means


@pytest.mark.parametrize("name", ["s3_upload", "eventbridge_object_created"])
def test_an_etag_in_quotes_is_the_same_and_a_missing_sequencer_sorts_first(name: str) -> None:
    [plain] = uploads_in(text(name))
    event = json.loads(text(name))
    thing = event["detail"]["object"] if "detail" in event else event["Records"][0]["s3"]["object"]
    for etag in {"eTag", "etag"} & set(thing):
        thing[etag] = f'"{thing[etag]}"'
    del thing["sequencer"]

    [quoted] = uploads_in(json.dumps(event))

    assert quoted == replace(plain, sequencer="0" * 32)
    assert quoted.sequencer < plain.sequencer


@pytest.mark.parametrize("etag", [" 1 ", "X1X"])
@pytest.mark.parametrize("name", ["s3_upload", "eventbridge_object_created"])
def test_an_etag_is_not_trimmed_of_anything_but_quotes(name: str, etag: str) -> None:
    event = json.loads(text(name))
    thing = event["detail"]["object"] if "detail" in event else event["Records"][0]["s3"]["object"]
    thing["etag" if "detail" in event else "eTag"] = etag

    [upload] = uploads_in(json.dumps(event))

    assert upload.etag == etag


def test_what_else_s3_tells_eventbridge_is_no_upload() -> None:
    assert uploads_in(text("eventbridge_object_deleted")) == []


@pytest.mark.parametrize("body", ["", "nonsense", "[]", "{}", '{"Records": [{}]}', '{"Records": 1}', "null", *HALF])
def test_what_is_no_s3_event_is_refused(body: str) -> None:
    with pytest.raises(MalformedEvent):
        uploads_in(body)


@pytest.mark.parametrize("name", ["rekognition_finished", "rekognition_finished_in_sns_envelope"])
def test_a_notification_is_understood_bare_and_enveloped(name: str) -> None:
    assert finished_in(text(name)) == Finished(job_id="b" * 64, rekognition_job_id="a" * 64)


@pytest.mark.parametrize("tag", ["", 7, None])
def test_a_notification_whose_tag_is_no_text_is_somebody_elses(tag: Any) -> None:
    assert finished_in(json.dumps({"JobId": "a", "JobTag": tag})) == NotOurs("a")


def test_a_notification_without_a_tag_is_somebody_elses() -> None:
    assert finished_in(text("rekognition_finished_of_somebody_else")) == NotOurs("a" * 64)


@pytest.mark.parametrize(
    ("body", "why"),
    [('{"job_id": "c"}', "asked"), ('{"job_id": "c", "why": 7}', "7"), ('{"JobId": "r", "JobTag": "c"}', "notified")],
)
def test_a_message_has_a_reason_to_look_at_its_job(body: str, why: str) -> None:
    found = finished_in(body)

    assert isinstance(found, Finished)
    assert (found.job_id, found.why) == ("c", why)


def test_our_own_messages_are_understood() -> None:
    assert finished_in(ask_again("c" * 64, "handed over")) == Finished(job_id="c" * 64, why="handed over")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Type": "Notification"}', '{"JobId": 7}', '{"Message": "{}"}'])
def test_what_is_no_notification_is_refused(body: str) -> None:
    with pytest.raises(MalformedEvent):
        finished_in(body)


def test_an_sns_event_holds_notifications() -> None:
    event: dict[str, Any] = json.loads(text("sns_rekognition_finished"))

    assert list(notifications_in(event)) == [Finished(job_id="b" * 64, rekognition_job_id="a" * 64)]


@pytest.mark.parametrize(
    ("event", "trigger"),
    [
        ({"source": "aws.events"}, "tick"),
        ({"Records": []}, "tick"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "{}"}}]}, "completion"),
        ({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, "uploads"),
    ],
)
def test_what_invokes_the_starting_function_is_told_by_its_records(event: dict[str, Any], trigger: str) -> None:
    assert trigger_of(event) == trigger


def test_what_a_message_does_not_say_is_not_known() -> None:
    upload = Upload("videos", "x.mp4", "e", 7, "2027-01-15T08:00:00.000Z")

    assert (upload.sequencer, upload.version_id) == ("", None)
    assert Finished("b").rekognition_job_id is None
