"""The account's fault is not the video's: what can't be started now waits, is probed, and goes on when it can."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.aws import scheduler_record
from lambdas.aws.event_bus import EventBus
from lambdas.model import blocking
from lambdas.model.clock import iso
from lambdas.model.errors import EventRefused
from rekognition_local import Faults, Simulated
from tests.fake_aws import World, world as moto_world
from tests.fast_fake.world import standin_world
from tests.lambdas.test_start_analysis import die_after

# What S3 answers HeadObject with (no body: a status for a code), and GetObject of the same object.
ANSWERS = {
    "forbidden": ((403, "403", ""), (403, "AccessDenied", "Access Denied")),
    "a disabled key": ((400, "400", ""), (400, "KMS.DisabledException", "the key is disabled")),
    "sse-c": (
        (400, "400", ""),
        (400, "InvalidRequest", "The object was stored using a form of Server Side Encryption."),
    ),
    "broken": ((500, "500", ""), (500, "InternalError", "We encountered an internal error.")),
}


@contextmanager
def s3_refuses(answer: str, keys: Callable[[str], bool] = lambda key: True) -> Iterator[None]:
    """Let S3 refuse to give these videos out."""
    from lambdas import wiring

    s3 = wiring.client("s3", wiring.QUICK)
    carry_out = s3._make_api_call

    def call(operation: str, params: dict[str, Any]) -> Any:
        if operation in ("HeadObject", "GetObject") and params["Bucket"] == "videos" and keys(params["Key"]):
            status, code, message = ANSWERS[answer][operation == "GetObject"]
            details: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(details, operation)
        return carry_out(operation, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "_make_api_call", call)
        yield


@pytest.fixture
def world() -> Iterator[World]:
    """A world in which jobs take a second; in memory, for there are many of them."""
    with standin_world() as here:
        yield here


@pytest.fixture
def on_moto() -> Iterator[World]:
    """The same with S3's versions and storage classes."""
    with moto_world() as here:
        yield here


def states(world: World) -> list[str]:
    return [job["state"] for job in world.jobs()]


def blocked(world: World) -> dict[str, Any]:
    from lambdas import wiring

    return {name: scope for name, scope in blocking.scopes_in(wiring.jobs().scheduler()).items() if scope.blocked}


def told(world: World, what: str) -> list[dict[str, Any]]:
    return [event["Detail"] for event in world.announcements if event["DetailType"] == what]


def test_a_right_that_is_taken_away_blocks_starting_and_ends_no_job(world: World) -> None:
    world.rekognition.inject("StartFaceDetection", "AccessDeniedException", times=1000)

    for number in range(30):
        world.drop(f"{number}.mp4")
    for _ in range(5):
        world.pass_time(60)
        world.tick()

    assert states(world) == ["WAITING"] * 30
    assert list(blocked(world)) == ["face-detection"]
    assert told(world, "Starting Blocked")[0]["scope"] == "face-detection"
    assert len(told(world, "Starting Blocked")) == 1
    assert world.calls["StartFaceDetection"] == {"AccessDeniedException": 1 + 5}, "one call, then one probe a minute"


def test_the_first_success_opens_what_was_blocked(world: World) -> None:
    world.rekognition.inject("StartFaceDetection", "AccessDeniedException", times=1)
    for number in range(10):
        world.drop(f"{number}.mp4")
    assert blocked(world)

    world.tick()

    assert states(world) == ["RUNNING"] * 10
    assert blocked(world) == {}
    [event] = told(world, "Starting Unblocked")
    assert event["scope"] == "face-detection"
    assert event["reason"].startswith("AccessDeniedException")


@pytest.mark.parametrize("answer", ["forbidden", "a disabled key"])
def test_a_fault_that_meets_several_videos_in_a_row_is_the_accounts(world: World, answer: str) -> None:
    with s3_refuses(answer):
        for number in range(20):
            world.drop(f"{number}.mp4")
        world.tick()
        assert set(states(world)) == {"WAITING"}
        assert list(blocked(world)) == ["videos"]

    world.settle()

    assert states(world) == ["SUCCEEDED"] * 20
    assert told(world, "Starting Unblocked")


@pytest.mark.parametrize("code", ["InvalidParameterException", "InvalidS3ObjectException", "ResourceNotFoundException"])
def test_a_broken_role_or_topic_rejects_nothing_in_the_end(world: World, code: str) -> None:
    world.rekognition.inject("StartFaceDetection", code, times=12)

    for number in range(8):
        world.drop(f"{number}.mp4")
    assert set(states(world)) == {"WAITING"}
    world.settle(60)

    assert states(world) == ["SUCCEEDED"] * 8


def test_one_forbidden_video_among_good_ones_is_rejected_at_once_and_said_once(world: World) -> None:
    with s3_refuses("forbidden", lambda key: key == "bad.mp4"):
        world.drop("a.mp4")
        world.drop("bad.mp4")
        assert world.job("bad.mp4")["state"] == "REJECTED"
        world.drop("b.mp4")
        world.drop("c.mp4")
        world.settle()

        assert world.job("bad.mp4")["state"] == "REJECTED"
        assert "Access Denied" in world.job("bad.mp4")["reason"]
        assert [world.job(f"{key}.mp4")["state"] for key in "abc"] == ["SUCCEEDED"] * 3
        assert len(told(world, "Job Rejected")) == 1

        world.drop("d.mp4")
        world.settle()
        assert "suspected_at" not in world.job("bad.mp4"), "it is not put back again at the next success"
        assert world.job("bad.mp4")["state"] == "REJECTED"


def test_what_was_rejected_in_a_short_fault_of_the_account_is_done_after_all(world: World) -> None:
    with s3_refuses("forbidden"):
        world.drop("a.mp4")
        world.drop("b.mp4")
        assert states(world) == ["REJECTED"] * 2

    world.drop("c.mp4")
    world.settle()

    assert states(world) == ["SUCCEEDED"] * 3


def test_a_run_of_forbidden_videos_delays_the_good_ones_by_minutes_only(world: World) -> None:
    world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
    with s3_refuses("forbidden", lambda key: key.startswith("private/")):
        world.drop("first.mp4")  # "no slot": the others wait
        for number in range(40):
            world.clock.seconds += 0.1
            world.hear(world.upload(f"private/{number:02}.mp4"))
        for number in range(10):
            world.clock.seconds += 0.1
            world.hear(world.upload(f"public/{number}.mp4"))

        for _ in range(15):
            world.pass_time(60)
            world.deliver()
            world.tick()
        good = {job["state"] for job in world.jobs() if not job["key"].startswith("private/")}
        assert good <= {"RUNNING", "SUCCEEDED"}
        world.settle(60)

        assert {job["state"] for job in world.jobs() if job["key"].startswith("private/")} == {"REJECTED"}


def test_what_one_analysis_may_not_does_not_stop_the_others() -> None:
    both = '{"face-detection": {}, "label-detection": {}}'
    with standin_world(ANALYSES=both) as world:
        world.rekognition.inject("StartLabelDetection", "AccessDeniedException", times=1000)

        for number in range(5):
            world.drop(f"{number}.mp4")
        world.pass_time(60)
        world.tick()

        by_analysis = {job["analysis"]: set() for job in world.jobs()}
        for job in world.jobs():
            by_analysis[job["analysis"]].add(job["state"])
        assert by_analysis == {"face-detection": {"RUNNING"}, "label-detection": {"WAITING"}}
        assert list(blocked(world)) == ["label-detection"]


@pytest.mark.parametrize("call", range(1, 16))
def test_nothing_stays_rejected_though_the_function_dies_at_any_call_while_it_finds_out(
    world: World, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
    for number in range(5):
        world.drop(f"{number}.mp4")

    with s3_refuses("forbidden"), monkeypatch.context() as dying, suppress(KeyboardInterrupt):
        die_after(dying, call)
        world.tick()
    with s3_refuses("forbidden"):
        for _ in range(4):
            world.pass_time(60)
            world.tick()
    world.settle()

    assert states(world) == ["SUCCEEDED"] * 5


def test_a_bus_that_fails_does_not_hide_the_block(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.rekognition.inject("StartFaceDetection", "AccessDeniedException", times=3)
    with monkeypatch.context() as broken:
        broken.setattr(EventBus, "tell", refusing(EventRefused("not now")))
        world.drop("clip.mp4")
        assert blocked(world)

    world.tick()

    assert len(told(world, "Starting Blocked")) == 1


def refusing(error: Exception) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    return refuse


class TestAnUploadersChoiceThatCannotBeRead:
    @pytest.mark.parametrize("answer", ["forbidden", "broken"])
    def test_is_read_later_and_then_obeyed(self, world: World, answer: str) -> None:
        with s3_refuses(answer):
            assert world.drop("clip.mp4", analyses="label-detection") == {"batchItemFailures": []}
            assert states(world) in (["WAITING"], ["REJECTED"])
        world.drop("other.mp4")

        world.settle()

        done = {(job["key"], job["analysis"]): job["state"] for job in world.jobs()}
        assert done == {
            ("clip.mp4", "label-detection"): "SUCCEEDED",
            ("other.mp4", "face-detection"): "SUCCEEDED",
        }

    def test_becomes_a_rejected_job_that_says_why_where_the_object_can_be_read_by_nobody(self, world: World) -> None:
        with s3_refuses("sse-c"):
            assert world.drop("clip.mp4") == {"batchItemFailures": []}

        assert world.job("clip.mp4")["state"] == "REJECTED"
        assert "Server Side Encryption" in world.job("clip.mp4")["reason"]

    def test_keeps_its_position(self, world: World) -> None:
        with s3_refuses("broken"):
            world.drop("first.mp4")
        world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
        world.clock.seconds += 60
        world.drop("second.mp4")
        world.rekognition.set_faults({"max_running": 1})

        world.tick()

        assert world.job("first.mp4")["state"] == "RUNNING"

    @pytest.mark.parametrize("call", range(1, 8))
    def test_is_read_though_the_function_dies_at_any_call(
        self, world: World, monkeypatch: pytest.MonkeyPatch, call: int
    ) -> None:
        with s3_refuses("broken"):
            world.drop("clip.mp4", analyses="label-detection")

        with monkeypatch.context() as dying, suppress(KeyboardInterrupt):
            die_after(dying, call)
            world.tick()
        world.settle()

        assert [(job["analysis"], job["state"]) for job in world.jobs()] == [("label-detection", "SUCCEEDED")]

    def test_is_refused_later_while_the_refusal_can_not_be_announced(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(EventBus, "tell", refusing(EventRefused("not now")))
            assert world.drop("clip.mp4", analyses="nonsense") == {"batchItemFailures": []}
            assert states(world) == ["WAITING"]
        world.pass_time(20)

        world.tick()

        assert states(world) == ["REJECTED"]
        assert "nonsense" in world.job("clip.mp4")["reason"]
        assert len(told(world, "Job Rejected")) == 1


class TestSettingsThatChange:
    def wait(self, world: World, key: str = "clip.mp4", **metadata: str) -> None:
        world.rekognition.inject("StartLabelDetection", "LimitExceededException", times=1)
        world.drop(key, analyses="label-detection")
        assert states(world) == ["WAITING"]

    def test_a_waiting_job_that_is_no_longer_allowed_is_rejected_with_that_sentence(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.wait(world)

        deploy(monkeypatch, ALLOWED_ANALYSES="face-detection")
        world.tick()

        assert states(world) == ["REJECTED"]
        assert "the settings no longer allow label-detection" in world.job("clip.mp4")["reason"]
        assert "AccessDenied" not in world.job("clip.mp4")["reason"]

    def test_a_waiting_job_of_a_former_bucket_is_rejected_with_that_sentence(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.wait(world)

        deploy(monkeypatch, VIDEOS_BUCKET="other")
        world.tick()

        assert states(world) == ["REJECTED"]
        assert "takes videos from other now" in world.job("clip.mp4")["reason"]

    def test_an_analysis_that_is_no_longer_allowed_is_no_longer_blocked(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.rekognition.inject("StartLabelDetection", "AccessDeniedException", times=1)
        world.drop("clip.mp4", analyses="label-detection")
        assert list(blocked(world)) == ["label-detection"]

        deploy(monkeypatch, ALLOWED_ANALYSES="face-detection")
        world.tick()

        assert blocked(world) == {}
        assert states(world) == ["REJECTED"]

    def test_what_runs_is_collected_whatever_the_settings_say_now(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.drop("clip.mp4", analyses="label-detection")

        deploy(monkeypatch, ALLOWED_ANALYSES="face-detection", VIDEOS_BUCKET="other", UPLOAD_CHOICE="none")
        world.settle()

        assert states(world) == ["SUCCEEDED"]

    def test_a_search_in_a_collection_that_the_settings_no_longer_name_is_rejected(self) -> None:
        search = '{"face-search": {"CollectionId": "%s"}}'
        with standin_world(ANALYSES=search % "guests", UPLOAD_CHOICE="none") as world:
            world.rekognition.inject("StartFaceSearch", "LimitExceededException", times=1)
            world.drop("clip.mp4")
            assert states(world) == ["WAITING"]

            world.redeploy(ANALYSES=search % "staff")
            world.tick()

            assert states(world) == ["REJECTED"]
            assert "the settings no longer allow face-search" in world.job("clip.mp4")["reason"]

    def test_searches_in_a_deleted_collection_wait_until_it_is_there_again(self) -> None:
        search = '{"face-search": {"CollectionId": "guests"}}'
        with standin_world(ANALYSES=search, UPLOAD_CHOICE="none") as world:
            world.rekognition.inject("StartFaceSearch", "ResourceNotFoundException", times=6)

            for number in range(5):
                world.drop(f"{number}.mp4")
            assert set(states(world)) == {"WAITING"}
            assert list(blocked(world)) == ["face-search"]


def deploy(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """New settings, and new execution environments."""
    from lambdas import wiring

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for part in (wiring.settings, wiring.enqueuer, wiring.scheduler, wiring.collector):
        part.cache_clear()


class TestTroubleOfSomeObjects:
    def test_two_hundred_odd_objects_do_not_keep_a_good_one_waiting(self, world: World) -> None:
        self.line_up(world, "odd/", 200)

        with s3_refuses("sse-c", lambda key: key.startswith("odd/")):
            world.tick()

        assert world.job("good.mp4")["state"] == "RUNNING"
        assert states(world).count("REJECTED") == 200

    def test_nor_do_objects_on_which_s3_breaks(self, world: World) -> None:
        self.line_up(world, "odd/", 50)

        with s3_refuses("broken", lambda key: key.startswith("odd/")):
            world.tick()

        assert world.job("good.mp4")["state"] == "RUNNING"

    def test_a_service_that_is_down_is_not_asked_on_and_on(self, world: World) -> None:
        self.line_up(world, "fine/", 50)
        world.rekognition.set_faults({"outage": True})

        world.tick()

        assert sum(world.calls["StartFaceDetection"].values()) <= 1 + 4
        assert set(states(world)) == {"WAITING"}

    @pytest.mark.parametrize(
        ("restore", "state"),
        [("", "REJECTED"), ('ongoing-request="true"', "REJECTED"), ('ongoing-request="false"', "RUNNING")],
    )
    def test_an_archived_object_is_rejected_before_its_start_unless_it_is_restored(
        self, world: World, monkeypatch: pytest.MonkeyPatch, restore: str, state: str
    ) -> None:
        from lambdas import wiring

        s3 = wiring.client("s3", wiring.QUICK)
        carry_out = s3._make_api_call
        archived = {"StorageClass": "GLACIER", **({"Restore": restore} if restore else {})}
        monkeypatch.setattr(
            s3,
            "_make_api_call",
            lambda operation, params: carry_out(operation, params) | (archived if operation == "HeadObject" else {}),
        )

        world.drop("old.mp4")

        assert world.job("old.mp4")["state"] == state
        assert ("archived (GLACIER): restore it" in world.job("old.mp4").get("reason", "")) == (state == "REJECTED")

    @staticmethod
    def line_up(world: World, prefix: str, count: int) -> None:
        world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
        world.drop("zero.mp4")
        for number in range(count):
            world.hear(world.upload(f"{prefix}{number:03}.mp4"))
            world.clock.seconds += 0.01
        world.hear(world.upload("good.mp4"))
        world.clock.seconds += 1


class TestVersions:
    @pytest.fixture
    def versioned(self, on_moto: World) -> World:
        on_moto.s3.put_bucket_versioning(Bucket="videos", VersioningConfiguration={"Status": "Enabled"})
        return on_moto

    def upload(self, world: World) -> tuple[dict[str, Any], str]:
        record = world.upload("clip.mp4")
        version = world.s3.head_object(Bucket="videos", Key="clip.mp4")["VersionId"]
        record["s3"]["object"]["versionId"] = version
        return record, version

    def test_the_same_bytes_uploaded_again_while_a_start_is_uncertain_are_not_billed_twice(
        self, versioned: World
    ) -> None:
        first, _ = self.upload(versioned)
        versioned.rekognition.inject("StartFaceDetection", "InternalServerError", times=1, carried_out=True)
        versioned.hear(first)

        again, _ = self.upload(versioned)
        versioned.hear(again)
        versioned.settle()

        assert states(versioned) == ["SUCCEEDED"]
        assert versioned.rekognition.stats()["accepted"] == 1
        assert "IdempotentParameterMismatchException" not in versioned.calls["StartFaceDetection"]

    def test_where_the_first_version_is_gone_the_newest_is_analysed_in_the_same_attempt(self, versioned: World) -> None:
        first, version = self.upload(versioned)
        versioned.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
        versioned.hear(first)
        again, newest = self.upload(versioned)
        versioned.hear(again)
        versioned.s3.delete_object(Bucket="videos", Key="clip.mp4", VersionId=version)

        versioned.settle()

        assert states(versioned) == ["SUCCEEDED"]
        assert versioned.job("clip.mp4")["attempt"] == 1
        [job] = versioned.rekognition._jobs.values()
        assert job.source.version == newest

    def test_a_token_that_may_stand_for_a_gone_version_is_not_used_for_another(self, versioned: World) -> None:
        first, version = self.upload(versioned)
        versioned.rekognition.inject("StartFaceDetection", "InternalServerError", times=1)
        versioned.hear(first)
        again, _ = self.upload(versioned)
        versioned.hear(again)
        versioned.s3.delete_object(Bucket="videos", Key="clip.mp4", VersionId=version)

        versioned.settle()

        assert states(versioned) == ["SUCCEEDED"]
        assert versioned.job("clip.mp4")["attempt"] == 2
        assert "IdempotentParameterMismatchException" not in versioned.calls["StartFaceDetection"]


@contextmanager
def slow_calls(world: World, seconds: float) -> Iterator[None]:
    """Let each call of the table take so long."""
    from lambdas import wiring

    table = wiring.client("dynamodb")
    carry_out = table._make_api_call

    def call(operation: str, params: dict[str, Any]) -> Any:
        world.clock.seconds += seconds
        return carry_out(operation, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_make_api_call", call)
        yield


class TestDeadlines:
    def test_a_batch_of_uploads_on_many_free_slots_is_started_within_the_functions_time(self) -> None:
        with standin_world(Simulated(seconds=600.0), Faults.off(max_running=1000)) as world:
            world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
            world.drop("zero.mp4")
            world.clock.seconds += 200
            records = [world.upload(f"{number}.mp4") for number in range(80)]

            with slow_calls(world, 0.3):
                began = world.clock.now()
                world.hear(*records)
                took = world.clock.now() - began

            assert took < 60
            assert states(world).count("RUNNING") > 10
            world.tick()
            assert set(states(world)) == {"RUNNING"}

    def test_a_tick_over_thousands_of_silent_jobs_starts_and_asks_within_its_time(self) -> None:
        with standin_world(Simulated(seconds=1.0), Faults.off(max_running=1000)) as world:
            for number in range(300):
                world.drop(f"{number}.mp4")
            world.notifications.clear()
            world.pass_time(200)
            world.notifications.clear()
            world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
            world.drop("waits.mp4")

            with slow_calls(world, 0.15):
                began = world.clock.now()
                world.tick()
                took = world.clock.now() - began

            assert took < 60
            assert world.job("waits.mp4")["state"] == "RUNNING"
            sent = len(world.messages())
            assert 50 < sent < 300
            world.tick()
            assert len(world.messages()) == 300 - sent


class TestResultsThatAreNotCollected:
    def finish(self, world: World, count: int, prefix: str = "done") -> None:
        """Jobs that end and are not collected: the collecting function is broken."""
        for number in range(count):
            world.drop(f"{prefix}{number}.mp4")
        world.pass_time(2)
        while world.notifications:
            world.slot_free(world.notifications.pop(0).message)

    def test_block_starting_until_they_are(self, world: World) -> None:
        self.finish(world, 12)
        world.pass_time(3700)
        world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
        world.drop("next.mp4")

        world.tick()

        assert world.job("next.mp4")["state"] == "WAITING"
        assert list(blocked(world)) == ["results"]
        assert "12 jobs have waited for more than an hour to be collected" in blocked(world)["results"].reason
        world.settle()
        assert world.job("next.mp4")["state"] == "SUCCEEDED"
        assert [event["scope"] for event in told(world, "Starting Unblocked")] == ["results"]

    def test_are_not_those_of_an_attempt_that_failed_and_runs_again(self) -> None:
        with standin_world(Simulated(seconds=7200.0), Faults.off(max_running=50)) as world:
            for number in range(12):
                world.drop(f"{number}.mp4")
            from lambdas import wiring

            for job in world.jobs():
                wiring.jobs().mark_slot_freed(job["job_id"], job["rekognition_job_id"])
                wiring.jobs().try_again(wiring.jobs().get(job["job_id"]), "internal", 0)
            world.tick()
            assert set(states(world)) == {"RUNNING"}
            world.pass_time(3700)

            world.tick()

            assert blocked(world) == {}

    def test_block_nothing_while_others_are_collected(self, world: World) -> None:
        from lambdas import wiring

        self.finish(world, 12)
        world.pass_time(3700)
        wiring.jobs()._update(scheduler_record.SCHEDULER, {"collected_at": iso(world.clock.now())})
        world.rekognition.inject("StartFaceDetection", "LimitExceededException", times=1)
        world.drop("next.mp4")

        world.tick()

        assert world.job("next.mp4")["state"] == "RUNNING"
