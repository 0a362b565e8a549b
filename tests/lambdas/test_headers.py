"""A video's header is read once, by a few byte ranges, and what Rekognition can't read takes no slot."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from lambdas.aws.headers import read_ahead
from lambdas.aws.videos import HEADER_TIME, Videos
from lambdas.model.events import Upload
from lambdas.model.pieces import MOST_READS
from lambdas.model.video_header import VideoHeader
from rekognition_local import Simulated
from tests.fake_aws import s3_event, sqs_record
from tests.fast_fake.world import StandInWorld, standin_world
from tests.rekognition_local import videos

ETAG = "0123"
STATUS = {"AccessDenied": 403, "SlowDown": 503, "PreconditionFailed": 412, "InvalidRange": 416, "NoSuchKey": 404}


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video in HEVC."""
    return videos.hevc(tmp_path_factory.mktemp("phone")).read_bytes()


@pytest.fixture
def world() -> Iterator[StandInWorld]:
    with standin_world(Simulated()) as world:
        yield world


@contextmanager
def ranges(refusal: str = "") -> Iterator[list[str]]:
    """Which ranges of videos are read meanwhile. S3 answers them with `refusal`, if one is given."""
    from lambdas import wiring

    read: list[str] = []
    s3 = wiring.client("s3", wiring.QUICK)
    carry_out = s3._make_api_call

    def call(operation: str, params: dict[str, Any]) -> Any:
        if operation == "GetObject" and "Range" in params:
            read.append(params["Range"])
            if refusal:
                error: Any = {"Error": {"Code": refusal}, "ResponseMetadata": {"HTTPStatusCode": STATUS[refusal]}}
                raise ClientError(error, operation)
        return carry_out(operation, params)

    with patch.object(s3, "_make_api_call", call):
        yield read


class TestAnUpload:
    def test_that_rekognition_can_not_read_is_rejected_without_a_start(self, world: StandInWorld, phone: bytes) -> None:
        world.drop("phone.mov", phone)

        job = world.job("phone.mov")
        assert job["state"] == "REJECTED"
        assert job["reason"].startswith("its codec is hevc; Rekognition reads H.264. Convert it")
        assert "StartFaceDetection" not in world.calls
        [event] = [event for event in world.announcements if event["DetailType"] == "Job Rejected"]
        assert event["Detail"]["reason"] == job["reason"]

    def test_has_its_header_in_its_record(self, world: StandInWorld) -> None:
        world.drop("clip.mp4", videos.CLIP.read_bytes())

        header = VideoHeader.from_item(json.loads(world.job("clip.mp4")["header"]))
        assert (header.container, header.codec, header.width, header.height) == ("mp4", "h264", 640, 360)

    def test_is_read_once_however_many_analyses_it_gets(self, world: StandInWorld) -> None:
        world.redeploy(ANALYSES='{"face-detection": {}, "label-detection": {}, "text-detection": {}}')

        with ranges() as read:
            world.drop("clip.mp4", videos.CLIP.read_bytes())

        assert len(world.jobs()) == 3
        assert 1 <= len(read) <= 3
        assert len(set(read)) == len(read)

    def test_of_a_few_bytes_is_not_read_at_all(self, world: StandInWorld) -> None:
        with ranges() as read:
            world.drop("tiny.mp4", b"1")

        assert read == []
        assert world.job("tiny.mp4")["state"] == "RUNNING"

    def test_that_is_no_video_is_left_to_rekognition(self, world: StandInWorld) -> None:
        world.drop("text.mp4", b"This is not a video.\n" * 100)

        assert world.job("text.mp4")["state"] == "RUNNING"
        assert json.loads(world.job("text.mp4")["header"]) == {"container": "", "video": None}

    def test_is_not_read_when_time_runs_short(self, world: StandInWorld, phone: bytes) -> None:
        from lambdas import start_analysis

        record = sqs_record("1", json.dumps(s3_event(world.upload("phone.mov", phone))))
        with ranges() as read:
            world.invoke(start_analysis.handler, {"Records": [record]}, start_analysis.FOR_HEADERS / 1000 - 25)

        assert read == []
        assert world.job("phone.mov")["state"] == "WAITING"

    @pytest.mark.parametrize("refusal", STATUS)
    def test_whose_header_s3_refuses_is_in_the_backlog_all_the_same(
        self, world: StandInWorld, phone: bytes, refusal: str
    ) -> None:
        with ranges(refusal) as read:
            world.drop("phone.mov", phone)

        assert read
        assert world.job("phone.mov")["state"] == "RUNNING"
        assert "header" not in world.job("phone.mov")


class TestABatch:
    def test_is_read_several_at_once(self) -> None:
        both = Barrier(2)

        def read(upload: Upload) -> VideoHeader:
            both.wait(timeout=20)  # for the other one
            return VideoHeader(upload.key)

        uploads = [Upload("videos", key, ETAG, 100, "2026-11-24T00:00:00.000Z") for key in ("a", "b")]
        with read_ahead(uploads, read) as header_of:
            assert [header_of(upload) for upload in uploads] == [VideoHeader("a"), VideoHeader("b")]

    def test_of_one_is_read_when_it_is_wanted(self) -> None:
        wanted: list[Upload] = []
        upload = Upload("videos", "a", ETAG, 100, "2026-11-24T00:00:00.000Z")
        with read_ahead([upload], lambda upload: wanted.append(upload)) as header_of:
            assert wanted == []
            header_of(upload)

        assert wanted == [upload]

    def test_of_videos_and_others_and_of_malformed_messages_is_enqueued(
        self, world: StandInWorld, phone: bytes
    ) -> None:
        clip = videos.CLIP.read_bytes()
        events = [s3_event(world.upload(f"{number}.mp4", clip)) for number in range(12)]
        events += [s3_event(world.upload("phone.mov", phone)), s3_event(world.upload("notes.txt", clip))]

        with ranges() as read:
            answer = world.hear_events(*events, {"Records": [{"eventName": "ObjectCreated:Put"}]})

        states = [job["state"] for job in world.jobs()]
        assert (states.count("RUNNING"), states.count("REJECTED"), len(states)) == (12, 1, 13)
        assert all(json.loads(job["header"])["codec"] in ("h264", "hevc") for job in world.jobs())
        assert len(read) == 13  # one range each
        assert len(answer["batchItemFailures"]) == 1


class TestAClaim:
    def without_header(self, world: StandInWorld, body: bytes, **changes: Any) -> None:
        """A job from before headers were read, in the backlog."""
        from lambdas import start_analysis, wiring

        wiring.jobs().pause(True)
        with patch.object(start_analysis, "FOR_HEADERS", 60_001):
            world.drop("phone.mov", body)
        wiring.jobs().pause(False)
        if changes:
            wiring.jobs()._update(world.job("phone.mov")["job_id"], changes)

    def test_reads_the_header_of_a_job_that_has_none(self, world: StandInWorld, phone: bytes) -> None:
        self.without_header(world, phone)

        world.tick()

        job = world.job("phone.mov")
        assert job["state"] == "REJECTED"
        assert json.loads(job["header"])["codec"] == "hevc"
        assert "StartFaceDetection" not in world.calls

    def test_takes_no_slot_for_what_is_rejected(self, phone: bytes) -> None:
        with standin_world(Simulated(), MAX_RUNNING_JOBS="1") as world:
            self.without_header(world, phone)
            world.tick()

            assert world.job("phone.mov")["state"] == "REJECTED"
            assert "#slots" not in world.table.items

    def test_reads_it_once_however_often_there_is_no_slot(self, phone: bytes) -> None:
        with standin_world(Simulated(seconds=300.0), MAX_RUNNING_JOBS="1") as world:
            world.drop("first.mp4")
            self.without_header(world, videos.CLIP.read_bytes())
            with ranges() as read:
                world.tick()
                once = len(read)
                world.tick()

            assert world.job("phone.mov")["state"] == "WAITING"
            assert once == len(read) > 0

    def test_of_a_converted_video_does_not_ask_what_the_original_was(self, world: StandInWorld, phone: bytes) -> None:
        from lambdas import wiring

        self.without_header(world, phone, source_key="converted/phone.mp4")
        job = wiring.jobs().get(world.job("phone.mov")["job_id"])
        assert job

        assert wiring.scheduler()._check_header(job) == job

    def test_of_a_video_that_was_replaced_says_so(self, world: StandInWorld, phone: bytes) -> None:
        self.without_header(world, phone)
        world.s3.put_object(Bucket="videos", Key="phone.mov", Body=b"another video, and not in HEVC")

        world.tick()

        assert world.job("phone.mov")["reason"] == "the object was replaced before its analysis could start"


class S3:
    """S3 with one object; answers each range with `answer` where it is given."""

    def __init__(self, content: bytes, **answer: Any) -> None:
        self.content, self.answer = content, answer
        self.asked: list[dict[str, Any]] = []

    def get_object(self, **asked: Any) -> Any:
        import io

        self.asked.append(asked)
        first, last = map(int, asked["Range"].removeprefix("bytes=").split("-"))
        part = self.content[first : last + 1]
        return {
            "Body": io.BytesIO(part),
            "ContentRange": f"bytes {first}-{first + len(part) - 1}/{len(self.content)}",
            **self.answer,
        }


def job(content: bytes, **changes: Any) -> Any:
    from types import SimpleNamespace

    named = {"bucket": "videos", "key": "x.mp4", "version_id": None, "etag": ETAG, "size": len(content)}
    return SimpleNamespace(**(named | changes))


class TestReading:
    def test_asks_for_the_content_that_was_uploaded(self) -> None:
        content = videos.CLIP.read_bytes()
        s3: Any = S3(content)

        Videos(s3).header(job(content, version_id="v1"))

        assert 1 <= len(s3.asked) <= 3
        for asked in s3.asked:
            assert {**asked, "Range": ""} == {
                "Bucket": "videos", "Key": "x.mp4", "VersionId": "v1", "IfMatch": f'"{ETAG}"', "Range": "",
            }  # fmt: skip

    def test_does_not_take_the_whole_object_for_a_range(self) -> None:
        content = videos.CLIP.read_bytes()
        s3: Any = S3(content, ContentRange="")

        assert Videos(s3).header(job(content)) is None

    def test_ends_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import time

        now = [0.0]
        s3: Any = S3((8).to_bytes(4) + b"free" + (65600).to_bytes(4) + b"skip" * 100_000)
        get = s3.get_object
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def slowly(**asked: Any) -> Any:
            now[0] += HEADER_TIME * 0.6
            return get(**asked)

        s3.get_object = slowly
        box = (70_000).to_bytes(4) + b"free" + bytes(69_992)
        s3.content = box * 10

        assert Videos(s3).header(job(s3.content)) is None
        assert len(s3.asked) == 2 < MOST_READS
