"""Videos that Rekognition can't read, from their upload to the results of the converted copy."""

import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lambdas.model.conversion import job_settings, picture
from lambdas.model.video_header import VideoHeader
from rekognition_local import Faults, Simulated
from tests.fake_aws import CONVERT, World, world as make_world
from tests.fast_fake.world import StandInWorld, standin_world
from tests.rekognition_local import videos

HEVC = "its codec is hevc; Rekognition reads H.264."
UNREADABLE = {"simulate-fail": "Unsupported codec/format."}  # what Rekognition says of the object, once it has a slot
TWO = {"ANALYSES": '{"face-detection": {}, "label-detection": {}}'}


@cache
def phone() -> bytes:
    """A short HEVC clip, to be turned upright."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "phone.mov")
        pictures = videos.scenery(320, 180, 5)
        options = {"x265-params": "log-level=none"}
        return videos.write(path, pictures, codec="libx265", options=options, rotation=90).read_bytes()


@pytest.fixture
def world() -> Iterator[StandInWorld]:
    """A world that converts, in a minute and a half."""
    with standin_world(Simulated(seconds=30), **CONVERT) as here:
        yield here


def states(world: World) -> list[str]:
    return [job["state"] for job in world.jobs()]


class TestAVideoThatItsHeaderTells:
    """HEVC is known when it is uploaded."""

    def test_is_converted_and_then_analysed_under_its_own_name(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        job = world.job("phone.mov")
        assert (job["state"], job["conversions"]) == ("CONVERTING", 1)
        assert world.starts == 0

        world.settle()

        job = world.job("phone.mov")
        assert (job["state"], job["attempt"], job["result_key"]) == (
            "SUCCEEDED",
            1,
            "results/phone.mov/face-detection.json",
        )
        assert job["source_key"].startswith("converted/")
        assert world.result(job["result_key"])["Video"]["S3Object"]["Name"] == "phone.mov"
        assert world.mediaconvert.calls.count("CreateJob") == world.starts == 1

    def test_starts_with_the_copy_as_soon_as_the_event_comes(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())

        world.pass_time(95)
        world.deliver()

        job = world.job("phone.mov")
        assert job["state"] == "RUNNING"
        [running] = world.rekognition.jobs()
        assert (running["Bucket"], running["Name"]) == ("results", job["source_key"])

    def test_keeps_its_position_in_the_backlog(self) -> None:
        with standin_world(Simulated(seconds=300), Faults.off(max_running=1), **CONVERT) as world:
            world.drop("running.mp4")
            world.drop("phone.mov", phone())
            world.pass_time(5)
            world.drop("later.mp4")
            world.pass_time(100)
            world.deliver()
            assert world.job("phone.mov")["state"] == "WAITING"

            world.pass_time(200)
            world.deliver()

            assert (world.job("phone.mov")["state"], world.job("later.mp4")["state"]) == ("RUNNING", "WAITING")

    def test_is_converted_at_the_claim_where_its_header_was_not_read_before(self, world: StandInWorld) -> None:
        world.redeploy(CONVERTER_ROLE_ARN="")
        world.keep_versions()
        world.drop("phone.mov", phone())
        assert world.job("phone.mov")["state"] == "REJECTED"
        world.redeploy(**CONVERT)

        world.drop("phone.mov", phone())
        world.settle()

        assert world.job("phone.mov")["state"] == "SUCCEEDED"
        assert world.starts == 1

    def test_is_rejected_with_the_sentence_where_the_setting_is_off(self) -> None:
        with standin_world() as world:
            world.drop("phone.mov", phone())

            job = world.job("phone.mov")
            assert job["state"] == "REJECTED"
            assert job["reason"].startswith(HEVC)
            assert world.mediaconvert.calls == []


class TestAVideoThatRekognitionCouldNotRead:
    """FAILED with "Unsupported codec/format." after it had a slot."""

    def test_is_converted_and_analysed_in_another_attempt(self, world: StandInWorld) -> None:
        world.drop("odd.mp4", b"an odd video", **UNREADABLE)
        world.pass_time(31)
        world.deliver()
        job = world.job("odd.mp4")
        assert (job["state"], job["attempt"], job["reason"]) == ("CONVERTING", 2, "Unsupported codec/format.")

        world.settle()

        job = world.job("odd.mp4")
        assert job["state"] == "SUCCEEDED"
        assert world.starts == 2
        assert [event["DetailType"] for event in world.announcements] == ["Job Succeeded"]

    def test_is_failed_where_the_copy_is_not_read_either(self, world: StandInWorld) -> None:
        world.drop("odd.mp4", b"an odd video", **UNREADABLE)
        world.pass_time(31)
        world.deliver()
        world.tick()
        world.pass_time(95)
        copy = next(key for bucket, key in world.buckets.objects if bucket == "results")
        world.s3.put_object(Bucket="results", Key=copy, Body=b"unreadable too", Metadata=UNREADABLE)

        world.settle()

        job = world.job("odd.mp4")
        assert (job["state"], job["reason"]) == ("FAILED", "Unsupported codec/format.")
        assert world.mediaconvert.calls.count("CreateJob") == 1

    def test_is_failed_as_ever_where_the_setting_is_off(self) -> None:
        with standin_world() as world:
            world.drop("odd.mp4", b"an odd video", **UNREADABLE)
            world.settle()

            assert world.job("odd.mp4")["state"] == "FAILED"

    def test_a_late_word_about_its_first_start_does_not_end_it(self, world: StandInWorld) -> None:
        """The answer of a Start was lost, the setting came on, and the header told meanwhile what it is."""
        world.redeploy(CONVERTER_ROLE_ARN="")
        world.rekognition.inject("StartFaceDetection", "InternalServerError", carried_out=True)
        world.drop("odd.mp4", b"an odd video", **UNREADABLE)
        world.redeploy(**CONVERT)
        world.s3.put_object(Bucket="results", Key="not of interest", Body=b"")
        from lambdas import wiring

        job = wiring.jobs().claim(world.job("odd.mp4")["job_id"])
        assert job is not None
        assert wiring.jobs().convert(job, HEVC)

        world.pass_time(31)
        world.settle()

        assert world.job("odd.mp4")["state"] == "SUCCEEDED"


class TestOneConversion:
    """One for an upload, however many analyses it has and whatever is lost."""

    def test_serves_all_analyses_of_an_upload(self) -> None:
        with standin_world(Simulated(seconds=30), **CONVERT, **TWO) as world:
            world.drop("phone.mov", phone())
            assert states(world) == ["CONVERTING", "CONVERTING"]

            world.settle()

            assert states(world) == ["SUCCEEDED", "SUCCEEDED"]
            assert len(world.mediaconvert.jobs) == 1
            assert len({job["source_key"] for job in world.jobs()}) == 1

    def test_serves_an_analysis_that_asks_for_it_minutes_later(self) -> None:
        """Tokens live for a minute, so the second job must know of the first one's conversion."""
        with standin_world(
            Simulated(seconds=lambda work: 30 if "Face" in work.analysis.name else 300), **CONVERT, **TWO
        ) as world:
            world.mediaconvert.seconds = 600
            world.drop("odd.mp4", b"an odd video", **UNREADABLE)

            world.settle(40)

            assert states(world) == ["SUCCEEDED", "SUCCEEDED"]
            assert len(world.mediaconvert.jobs) == 1

    def test_serves_an_analysis_that_is_asked_for_when_it_is_done(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.settle()

        world.redeploy(ANALYSES='{"label-detection": {}}')
        world.drop("phone.mov", phone())
        world.settle()

        assert states(world) == ["SUCCEEDED", "SUCCEEDED"]
        assert len(world.mediaconvert.jobs) == 1

    def test_is_found_by_the_tick_where_its_event_is_lost(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.pass_time(95)
        world.mediaconvert.events.clear()

        world.pass_time(30)
        world.tick()

        assert world.job("phone.mov")["state"] == "RUNNING"

    def test_is_over_once_though_its_event_comes_twice(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.pass_time(95)
        [event] = world.mediaconvert.events

        world.conversion_over(event)
        world.conversion_over(event)

        assert (world.job("phone.mov")["state"], world.starts) == ("RUNNING", 1)

    @pytest.mark.parametrize("later", [0, 180])
    def test_is_not_begun_twice_though_the_function_dies_before_it_notes_it(
        self, world: StandInWorld, later: float
    ) -> None:
        def die() -> None:
            world.mediaconvert.after_create = lambda: None
            raise KeyboardInterrupt

        world.mediaconvert.seconds = 600
        world.mediaconvert.after_create = die
        with pytest.raises(KeyboardInterrupt):
            world.drop("phone.mov", phone())
        assert "conversion_id" not in world.job("phone.mov")

        world.pass_time(later)
        world.tick()

        assert world.job("phone.mov")["conversion_id"] in world.mediaconvert.jobs
        assert len(world.mediaconvert.jobs) == 1

    def test_is_known_by_its_event_though_its_id_was_never_noted(self, world: StandInWorld) -> None:
        def die() -> None:
            world.mediaconvert.after_create = lambda: None
            raise KeyboardInterrupt

        world.mediaconvert.after_create = die
        with pytest.raises(KeyboardInterrupt):
            world.drop("phone.mov", phone())

        world.pass_time(95)
        world.deliver()

        assert world.job("phone.mov")["state"] == "RUNNING"

    def test_of_another_stack_is_ignored(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        client: Any = world.mediaconvert.client()
        [job] = world.mediaconvert.jobs.values()
        theirs = {**job.request, "ClientRequestToken": "theirs", "UserMetadata": {"rekognition-batch": "another"}}
        client.create_job(**theirs)
        world.pass_time(95)
        [event] = [one for one in world.mediaconvert.events if one["detail"]["jobId"] != job.job_id]

        world.conversion_over(event)

        assert world.job("phone.mov")["state"] == "CONVERTING"

    def test_an_event_without_a_job_is_malformed(self, world: StandInWorld) -> None:
        from lambdas.model.errors import MalformedEvent

        with pytest.raises(MalformedEvent, match="without jobId"):
            world.conversion_over({"source": "aws.mediaconvert", "detail": {}})


class TestAConversionThatFails:
    """With MediaConvert's words, where it is not the account's fault."""

    def test_fails_the_job_with_its_words(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1010, "Unable to open input file: no parser found for container")]
        world.drop("phone.mov", phone())

        world.settle()

        job = world.job("phone.mov")
        assert job["state"] == "FAILED"
        assert job["reason"] == (
            "MediaConvert could not convert it: Unable to open input file: no parser found for container (error 1010)"
        )
        assert [event["DetailType"] for event in world.announcements] == ["Job Failed"]
        assert world.starts == 0

    def test_is_tried_again_where_the_reason_may_pass(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1999, "Unknown error"), (1522, "timed out")]
        world.drop("phone.mov", phone())

        world.settle()

        assert world.job("phone.mov")["state"] == "SUCCEEDED"
        assert world.job("phone.mov")["conversions"] == 3

    def test_but_three_times_only(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1999, "Unknown error")] * 5
        world.drop("phone.mov", phone())

        world.settle(60)

        job = world.job("phone.mov")
        assert job["state"] == "FAILED"
        assert job["reason"].endswith("Unknown error (error 1999); tried 3 times")
        assert len(world.mediaconvert.jobs) == 3

    def test_is_failed_where_somebody_canceled_it(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        [job] = world.mediaconvert.jobs.values()
        job.status = "CANCELED"

        world.pass_time(125)
        world.tick()

        assert (world.job("phone.mov")["state"], world.job("phone.mov")["reason"]) == (
            "FAILED",
            "its conversion was canceled in MediaConvert",
        )

    def test_is_begun_again_where_mediaconvert_has_forgotten_it(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.mediaconvert.jobs.clear()

        world.settle()

        assert world.job("phone.mov")["state"] == "SUCCEEDED"
        assert world.job("phone.mov")["conversions"] == 2

    def test_is_not_over_before_the_bus_has_taken_its_event(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1010, "no parser found")]
        world.events_to_refuse = 4
        world.drop("phone.mov", phone())
        world.pass_time(95)
        world.deliver()
        assert world.job("phone.mov")["state"] == "CONVERTING"

        world.settle()

        assert world.job("phone.mov")["state"] == "FAILED"


class TestTheAccountsFault:
    """Ends no job: converting is blocked, which is told, and what is begun and waits goes on."""

    @pytest.mark.parametrize("code", ["AccessDeniedException", "ForbiddenException", "ConflictException"])
    def test_a_refused_call_blocks_converting_and_nothing_else(self, world: StandInWorld, code: str) -> None:
        world.mediaconvert.refuse("CreateJob", code, times=3)
        world.drop("phone.mov", phone())
        world.tick()
        assert [event["Detail"]["scope"] for event in world.announcements] == ["conversion"]
        assert world.job("phone.mov")["state"] == "CONVERTING"

        world.drop("fine.mp4")
        assert world.job("fine.mp4")["state"] == "RUNNING"
        world.settle(40)

        assert states(world) == ["SUCCEEDED", "SUCCEEDED"]
        assert [event["DetailType"] for event in world.announcements if "Starting" in event["DetailType"]] == [
            "Starting Blocked",
            "Starting Unblocked",
        ]

    def test_is_probed_with_one_job_a_minute(self, world: StandInWorld) -> None:
        world.mediaconvert.refuse("CreateJob", "AccessDeniedException", times=50)
        for number in range(10):
            world.drop(f"{number}.mov", phone() + bytes([number]))
        world.tick()
        world.mediaconvert.calls.clear()

        for _ in range(5):
            world.pass_time(60)
            world.tick()

        assert world.mediaconvert.calls.count("CreateJob") <= 5
        assert states(world) == ["CONVERTING"] * 10

    def test_a_role_that_mediaconvert_can_not_assume_rejects_nothing(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1434, "AssumeRole failed")] * 2
        for name in ("a.mov", "b.mov", "c.mov"):
            world.drop(name, phone() + name.encode())

        world.settle(60)

        assert states(world) == ["SUCCEEDED"] * 3
        assert "Job Rejected" not in [event["DetailType"] for event in world.announcements]

    def test_one_video_that_mediaconvert_may_not_read_is_rejected_and_others_are_converted(
        self, world: StandInWorld
    ) -> None:
        world.mediaconvert.fails_with = [(1401, "Access denied to [s3://videos/locked.mov]")]
        world.drop("locked.mov", phone())
        world.pass_time(95)
        world.deliver()

        job = world.job("locked.mov")
        assert job["state"] == "REJECTED"
        assert "Access denied" in job["reason"]
        world.drop("fine.mov", phone() + b"another")
        world.settle()
        assert world.job("fine.mov")["state"] == "SUCCEEDED"

    def test_three_of_them_are_the_accounts_fault_and_go_back(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1401, "Access denied")] * 3
        for name in ("a.mov", "b.mov", "c.mov"):
            world.drop(name, phone() + name.encode())
        world.pass_time(95)
        world.deliver()
        assert "conversion" in [event["Detail"].get("scope") for event in world.announcements]

        world.settle(60)

        assert states(world) == ["SUCCEEDED"] * 3

    def test_throttling_and_outages_are_waited_for(self, world: StandInWorld) -> None:
        world.mediaconvert.refuse("CreateJob", "TooManyRequestsException", times=2)
        world.mediaconvert.refuse("CreateJob", "InternalServerErrorException", times=2)
        for name in ("a.mov", "b.mov", "c.mov"):
            world.drop(name, phone() + name.encode())

        world.settle(40)

        assert states(world) == ["SUCCEEDED"] * 3
        assert world.announcements[0]["DetailType"] == "Job Succeeded"

    def test_a_request_that_is_refused_for_one_video_is_its_own_whatever_its_name(self, world: StandInWorld) -> None:
        world.mediaconvert.refuse(
            "CreateJob", "BadRequestException", times=2, message="FileInput: s3://videos/role.mov"
        )
        world.drop("role.mov", phone())

        world.tick()

        assert world.job("role.mov")["state"] == "REJECTED"
        assert world.announcements[0]["DetailType"] == "Job Rejected"

    def test_a_request_that_is_refused_for_several_videos_is_the_accounts(self, world: StandInWorld) -> None:
        world.mediaconvert.refuse("CreateJob", "BadRequestException", times=5)
        for name in ("a.mov", "b.mov", "c.mov"):
            world.drop(name, phone() + name.encode())

        world.settle(60)

        assert states(world) == ["SUCCEEDED"] * 3


class TestTheOriginal:
    """What MediaConvert reads must be what the job is about."""

    def test_replaced_before_it_was_converted_is_rejected(self, world: StandInWorld) -> None:
        world.mediaconvert.refuse("CreateJob", "TooManyRequestsException")
        world.drop("phone.mov", phone())
        world.drop("phone.mov", b"another video")

        world.settle()

        newer, older = sorted(world.jobs(), key=lambda job: job["conversions"])
        assert (older["state"], newer["state"]) == ("REJECTED", "SUCCEEDED")
        assert "replaced" in older["reason"]
        assert world.mediaconvert.jobs == {}

    @pytest.mark.parametrize("versions", [False, True])
    def test_replaced_while_it_was_converted_is_never_analysed_as_something_else(
        self, world: StandInWorld, versions: bool
    ) -> None:
        if versions:
            world.keep_versions()
        world.drop("phone.mov", phone())
        world.drop("phone.mov", b"another video")  # before MediaConvert reads it

        world.settle()

        newer, older = sorted(world.jobs(), key=lambda job: job["conversions"])
        assert (older["state"], newer["state"]) == ("REJECTED", "SUCCEEDED")
        assert world.starts == 1

    def test_deleted_while_it_was_converted_is_rejected(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.s3.delete_object(Bucket="videos", Key="phone.mov")

        world.settle()

        assert world.job("phone.mov")["state"] == "REJECTED"
        assert "deleted" in world.job("phone.mov")["reason"]

    def test_deleted_when_its_copy_waits_is_rejected(self) -> None:
        with standin_world(Simulated(seconds=300), Faults.off(max_running=1), **CONVERT) as world:
            world.drop("running.mp4")
            world.drop("phone.mov", phone())
            world.pass_time(95)
            world.deliver()
            world.s3.delete_object(Bucket="videos", Key="phone.mov")

            world.settle()

            assert world.job("phone.mov")["state"] == "REJECTED"


class TestACopyThatIsGone:
    def test_is_made_again_when_its_turn_comes(self) -> None:
        with standin_world(Simulated(seconds=300), Faults.off(max_running=1), **CONVERT) as world:
            world.drop("running.mp4")
            world.drop("phone.mov", phone())
            world.pass_time(95)
            world.deliver()
            world.s3.delete_object(Bucket="results", Key=world.job("phone.mov")["source_key"])

            world.settle(40)

            job = world.job("phone.mov")
            assert (job["state"], job["conversions"]) == ("SUCCEEDED", 2)
            assert job["source_key"].endswith("/2.mp4")

    def test_a_conversion_that_left_none_is_tried_again(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.pass_time(95)
        [(_, copy)] = [place for place in world.buckets.objects if place[0] == "results"]
        world.s3.delete_object(Bucket="results", Key=copy)

        world.settle()

        assert (world.job("phone.mov")["state"], world.job("phone.mov")["conversions"]) == ("SUCCEEDED", 2)


class TestTheSettingSwitchedOff:
    """Nothing is lost, nothing is stranded: what can't go on any more is rejected with a sentence."""

    def test_while_a_job_is_converting(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())

        world.redeploy(CONVERTER_ROLE_ARN="")
        world.pass_time(125)
        world.tick()

        job = world.job("phone.mov")
        assert job["state"] == "REJECTED"
        assert "the setting convert is off now" in job["reason"]

    def test_while_its_copy_waits_for_a_slot(self) -> None:
        with standin_world(Simulated(seconds=300), Faults.off(max_running=1), **CONVERT) as world:
            world.drop("running.mp4")
            world.drop("phone.mov", phone())
            world.pass_time(95)
            world.deliver()

            world.redeploy(CONVERTER_ROLE_ARN="")
            world.settle()

            job = world.job("phone.mov")
            assert job["state"] == "REJECTED"
            assert "the setting convert is off now" in job["reason"]

    def test_an_event_that_comes_after_it_is_ignored(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.pass_time(95)
        world.redeploy(CONVERTER_ROLE_ARN="")

        world.deliver()

        assert world.job("phone.mov")["state"] == "CONVERTING"

    def test_what_was_rejected_for_it_is_done_when_it_is_on_again_and_uploaded_again(self, world: StandInWorld) -> None:
        world.drop("phone.mov", phone())
        world.redeploy(CONVERTER_ROLE_ARN="")
        world.pass_time(125)
        world.tick()

        world.redeploy(**CONVERT)
        world.drop("phone.mov", phone())
        world.settle()

        assert world.job("phone.mov")["state"] == "SUCCEEDED"


class TestManyConversions:
    def test_that_were_throttled_are_looked_for_once_for_all(self, world: StandInWorld) -> None:
        world.mediaconvert.refuse("CreateJob", "TooManyRequestsException")
        for number in range(30):
            world.drop(f"{number}.mov", phone() + bytes([number]))
        world.pass_time(60)
        world.mediaconvert.calls.clear()

        world.tick()

        calls = world.mediaconvert.calls
        assert (calls.count("CreateJob"), calls.count("ListJobs")) == (30, 1)


class TestAnotherConversion:
    def test_is_joined_by_an_analysis_that_knows_of_none(self, world: StandInWorld) -> None:
        world.mediaconvert.fails_with = [(1999, "Unknown error")]
        world.drop("phone.mov", phone())
        world.pass_time(95)
        world.deliver()
        world.pass_time(60)
        world.tick()  # the second conversion runs
        world.redeploy(ANALYSES='{"label-detection": {}}')

        world.drop("phone.mov", phone())
        world.settle()

        assert states(world) == ["SUCCEEDED", "SUCCEEDED"]
        assert len(world.mediaconvert.jobs) == 2

    def test_is_not_the_one_that_another_analysis_still_holds_though_it_failed(self) -> None:
        with standin_world(Simulated(seconds=30), **CONVERT, **TWO) as world:
            world.mediaconvert.fails_with = [(1999, "Unknown error")]
            world.drop("phone.mov", phone())
            world.pass_time(95)
            world.mediaconvert.events.clear()
            from lambdas import wiring

            first, second = (job["job_id"] for job in world.jobs())
            job = wiring.jobs().get(first)
            assert job is not None
            assert wiring.jobs().convert_again(job, "Unknown error", failed=True)  # and the other has not looked yet

            world.tick()

            tries = {job["job_id"]: job["conversion_id"] for job in world.jobs()}
            assert tries[first] != tries[second]
            world.settle()
            assert states(world) == ["SUCCEEDED", "SUCCEEDED"]
            assert len(world.mediaconvert.jobs) == 2


class TestPaused:
    def test_no_conversion_begins_and_what_runs_is_followed(self, world: StandInWorld) -> None:
        from lambdas import wiring

        world.drop("begun.mov", phone())
        wiring.jobs().pause(True)
        world.drop("held.mov", phone() + b"another")
        for _ in range(3):
            world.pass_time(60)
            world.deliver()
            world.tick()
        assert len(world.mediaconvert.jobs) == 1
        assert world.job("begun.mov")["state"] == "WAITING"

        wiring.jobs().pause(False)
        world.settle()

        assert states(world) == ["SUCCEEDED", "SUCCEEDED"]


class TestTheCopy:
    """What is asked of MediaConvert; moto's world checks it against AWS's own model."""

    def test_is_asked_for_in_words_that_mediaconvert_understands(self) -> None:
        with make_world(**CONVERT) as world:
            world.drop("in/phone clip.mov", phone())
            world.settle()

            assert world.job("in/phone clip.mov")["state"] == "SUCCEEDED"
            [job] = world.mediaconvert.jobs.values()
            video = job.request["Settings"]["OutputGroups"][0]["Outputs"][0]["VideoDescription"]
            assert (video["Width"], video["Height"]) == (180, 320)
            assert job.source == ("videos", "in/phone clip.mov")
            assert job.request["Role"] == CONVERT["CONVERTER_ROLE_ARN"]

    @pytest.mark.parametrize(
        ("width", "height", "rotation", "becomes"),
        [
            (1920, 1080, 0, (1920, 1080)),
            (1920, 1080, 90, (1080, 1920)),
            (3840, 2160, 0, (1920, 1080)),
            (3840, 2160, 270, (1080, 1920)),
            (4096, 2160, 0, (1920, 1012)),
            (1080, 1080, 180, (1080, 1080)),
            (641, 361, 0, (640, 360)),
            (320, 20, 0, (320, 32)),
            (0, 0, 0, None),
        ],
    )
    def test_is_upright_and_1080p_at_most(
        self, width: int, height: int, rotation: int, becomes: tuple[int, int] | None
    ) -> None:
        header = VideoHeader("mov", "hevc", 10.0, width, height, rotation)

        assert picture(header) == becomes

    def test_has_the_size_of_the_video_where_that_is_not_known(self) -> None:
        settings = job_settings("s3://videos/x.avi", "s3://results/converted/x/1", None)

        video = settings["OutputGroups"][0]["Outputs"][0]["VideoDescription"]
        assert "Width" not in video
        assert "Height" not in video

    def test_has_the_timing_of_the_video_and_no_sound(self) -> None:
        settings = job_settings("s3://videos/x.avi", "s3://results/converted/x/1", None)

        text = json.dumps(settings)
        assert '"FramerateControl": "INITIALIZE_FROM_SOURCE"' in text
        assert '"Rotate": "AUTO"' in text
        assert "Audio" not in text
