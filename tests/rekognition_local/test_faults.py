"""A Rekognition that says no: every limit and every fault, in process and in virtual time."""

import re
from collections import Counter

import pytest

from rekognition_local import Faults
from rekognition_local.errors import KNOWN
from tests.rekognition_local.service_harness import CHANNEL, ServiceHarness, video

START = {"Video": video()}


def outcomes(harness: ServiceHarness, calls: int, operation: str = "GetFaceDetection", every: float = 1.0) -> list[str]:
    """ "ok" or the error code of so many calls, a second apart."""
    job = harness.start() if operation.startswith("Get") else ""
    codes = []
    for _ in range(calls):
        harness.wait(every)
        codes.append(harness.code(operation, {"JobId": job} if job else START))
    return codes


# Limits, at AWS's defaults.


def test_the_twenty_first_job_is_refused_in_awss_words() -> None:
    harness = ServiceHarness(faults=Faults(start_per_second=None))
    for _ in range(20):
        harness.start()

    refusal = harness.refusal("StartFaceDetection", START)

    assert refusal == (
        "LimitExceededException",
        "20 open Jobs for User arn:aws:iam::123456789012:user/me Maximum limit: 20",
    )


def test_a_finished_job_frees_its_slot_at_the_moment_it_ends() -> None:
    harness = ServiceHarness(seconds=10, faults=Faults.off(max_running=1))
    harness.start()

    harness.now += 9.999
    before = harness.code("StartFaceDetection", START)
    harness.now += 0.001
    after = harness.code("StartFaceDetection", START)

    assert (before, after) == ("LimitExceededException", "ok")
    assert harness.service.stats()["most_running"] == 1


def test_slots_are_counted_per_account_and_region() -> None:
    harness = ServiceHarness(faults=Faults.off(max_running=1))
    harness.start()

    assert harness.code("StartFaceDetection", START, account="210987654321") == "ok"
    assert harness.code("StartFaceDetection", START, region="eu-west-1") == "ok"
    assert harness.code("StartFaceDetection", START) == "LimitExceededException"


@pytest.mark.parametrize(("operation", "rate"), [("StartFaceDetection", 5), ("GetFaceDetection", 20)])
def test_calls_above_the_rate_are_refused_until_a_second_has_passed(operation: str, rate: int) -> None:
    harness = ServiceHarness(faults=Faults(max_running=1000))
    parameters = START if operation.startswith("Start") else {"JobId": "0" * 64}

    first = [harness.code(operation, parameters) for _ in range(rate + 1)]
    harness.wait(1)
    second = [harness.code(operation, parameters) for _ in range(rate + 1)]

    for codes in (first, second):
        assert codes.count("ProvisionedThroughputExceededException") == 1
        assert codes[-1] == "ProvisionedThroughputExceededException"


def test_a_rate_below_one_is_one_in_so_many_seconds() -> None:
    harness = ServiceHarness(faults=Faults.off(start_per_second=0.5))

    codes = outcomes(harness, 4, "StartFaceDetection")

    assert codes == ["ok", "ProvisionedThroughputExceededException"] * 2


def test_a_sudden_ramp_is_throttled_and_a_slow_one_is_not() -> None:
    harness = ServiceHarness(faults=Faults.off(ramp=3))
    sudden = [harness.code("StartFaceDetection", START) for _ in range(5)]

    slow = ServiceHarness(faults=Faults.off(ramp=3))
    codes = []
    for second in range(1, 6):
        codes += [slow.code("StartFaceDetection", START) for _ in range(3 * second)]
        slow.wait(1)

    assert sudden == ["ok"] * 3 + ["ThrottlingException"] * 2
    assert set(codes) == {"ok"}


def test_lives_of_tokens_and_results_can_be_shortened() -> None:
    harness = ServiceHarness(
        detections=1500, faults=Faults.off(page_token_seconds=5, result_seconds=20, request_token_seconds=3)
    )
    first = harness.start(ClientRequestToken="once")
    harness.wait(4)
    second = harness.start(ClientRequestToken="once")
    harness.wait(6)
    token = harness.get(first)["NextToken"]
    harness.wait(6)

    stale = harness.code("GetFaceDetection", {"JobId": first, "NextToken": token})
    harness.wait(15)

    assert first != second
    assert stale == "InvalidPaginationTokenException"
    assert harness.code("GetFaceDetection", {"JobId": first}) == "ResourceNotFoundException"


# Calls that fail by chance.


@pytest.mark.parametrize(
    ("setting", "code", "status"),
    [
        ("throttled", "ThrottlingException", 400),
        ("unavailable", "ThrottlingException", 500),
        ("internal_errors", "InternalServerError", 500),
        ("lost_answers", "InternalServerError", 500),
    ],
)
def test_a_fraction_of_calls_is_refused(setting: str, code: str, status: int) -> None:
    harness = ServiceHarness(faults=Faults.off(**{setting: 0.3}, error_operations="GetFaceDetection"))

    codes = Counter(outcomes(harness, 400))
    job = harness.start()
    harness.service.set_faults({setting: 1.0})

    assert set(codes) == {"ok", code}
    assert 90 <= codes[code] <= 150
    assert harness.call("GetFaceDetection", {"JobId": job})[0] == status


def test_a_lost_answer_has_started_its_job() -> None:
    harness = ServiceHarness(faults=Faults.off(lost_answers=1.0))

    code = harness.code("StartFaceDetection", START | {"ClientRequestToken": "once"})
    harness.service.set_faults({"lost_answers": 0.0})

    assert code == "InternalServerError"
    assert harness.start(ClientRequestToken="once") == harness.service.jobs()[0]["JobId"]
    assert harness.service.stats()["accepted"] == 1


def test_errors_can_be_kept_to_one_operation() -> None:
    harness = ServiceHarness(faults=Faults.off(internal_errors=1.0, error_operations="StartFaceDetection"))

    codes = [harness.code("StartFaceDetection", START), harness.code("GetFaceDetection", {"JobId": "x"})]

    assert codes == ["InternalServerError", "ResourceNotFoundException"]


def test_an_outage_answers_nothing_and_ends() -> None:
    harness = ServiceHarness()
    job = harness.start()
    harness.service.set_faults({"outage": True})

    during = [harness.call("GetFaceDetection", {"JobId": job})[0], harness.call("StartFaceDetection", START)[0]]
    harness.service.set_faults({"outage": False})

    assert during == [503, 503]
    assert harness.get(job)["JobStatus"] == "IN_PROGRESS"


def test_slow_answers_tell_the_server_how_long_to_wait() -> None:
    harness = ServiceHarness(faults=Faults.off(slow_seconds=2.5, slow=0.5))

    delays = Counter(harness.service.handle("RekognitionService.GetFaceDetection", b"{}").delay for _ in range(200))

    assert set(delays) == {0.0, 2.5}
    assert 70 <= delays[2.5] <= 130


def test_the_same_seed_is_the_same_history() -> None:
    def history(seed: int) -> tuple[list[str], list[str]]:
        chances = {"internal_errors": 0.2, "throttled": 0.1, "fail_passing": 0.3, "notify_dropped": 0.3}
        harness = ServiceHarness(seconds=1, faults=Faults.off(seed=seed, **chances))
        codes = [harness.code("StartFaceDetection", {"Video": video(f"{i}.mp4")}) for i in range(100)]
        harness.wait(1)
        return codes, [job["State"] for job in harness.service.jobs()]

    assert history(7) == history(7)
    assert history(7) != history(8)


# Jobs that fail.


def test_a_fraction_of_jobs_fails_for_a_passing_reason_and_succeeds_when_tried_again() -> None:
    harness = ServiceHarness(seconds=1, faults=Faults.off(fail_passing=0.3))
    first = [harness.start(f"{i}.mp4") for i in range(200)]
    harness.wait(1)
    failed = [i for i, job in enumerate(first) if harness.get(job)["JobStatus"] == "FAILED"]
    again = [harness.start(f"{i}.mp4") for i in failed]
    harness.wait(1)

    assert 40 <= len(failed) <= 80
    assert harness.get(first[failed[0]])["StatusMessage"] == "Internal server error"
    assert any(harness.get(job)["JobStatus"] == "SUCCEEDED" for job in again)


def test_a_fraction_of_objects_fails_for_good() -> None:
    harness = ServiceHarness(seconds=1, faults=Faults.off(fail_lasting=0.3))
    first = [harness.start(f"{i}.mp4") for i in range(200)]
    second = [harness.start(f"{i}.mp4") for i in range(200)]
    harness.wait(1)

    def states(jobs: list[str]) -> list[str]:
        return [harness.get(job).get("StatusMessage", "fine") for job in jobs]

    assert states(first) == states(second)
    assert 40 <= states(first).count("Unsupported codec/format.") <= 80


def test_keys_that_match_fail_so_often_or_always() -> None:
    harness = ServiceHarness(
        seconds=1,
        faults=Faults.off(fail_passing_keys="in/*", fail_passing_times=2, fail_lasting_keys="*poison*"),
    )

    def states(name: str) -> list[str]:
        jobs = [harness.start(name) for _ in range(3)]
        harness.wait(1)
        return [harness.get(job)["JobStatus"] for job in jobs]

    assert states("in/a.mp4") == ["FAILED", "FAILED", "SUCCEEDED"]
    assert states("poison.mp4") == ["FAILED"] * 3
    assert states("a.mp4") == ["SUCCEEDED"] * 3


# Messages that go astray.


def sent(harness: ServiceHarness, jobs: int) -> list[int]:
    """How many messages have gone out 0, 5, 60 and 100 seconds after the end of so many jobs."""
    for i in range(jobs):
        harness.start(f"{i}.mp4", NotificationChannel=CHANNEL)
    counts = []
    for seconds in (10, 5, 55, 40):
        harness.wait(seconds)
        counts.append(len(harness.sent))
    return counts


def test_messages_are_dropped_doubled_and_delayed_as_asked() -> None:
    assert sent(ServiceHarness(), 50) == [50, 50, 50, 50]
    assert sent(ServiceHarness(faults=Faults.off(notify_dropped=1.0)), 50) == [0, 0, 0, 0]
    assert sent(ServiceHarness(faults=Faults.off(notify_twice=1.0)), 50) == [50, 100, 100, 100]
    assert sent(ServiceHarness(faults=Faults.off(notify_late=1.0)), 50) == [0, 0, 50, 50]
    assert sent(ServiceHarness(faults=Faults.off(notify_late=1.0, notify_late_seconds=5)), 50) == [0, 50, 50, 50]


def test_a_message_that_is_dropped_leaves_its_results() -> None:
    harness = ServiceHarness(faults=Faults.off(notify_dropped=0.5))
    sent(harness, 100)

    notifications = harness.service.stats()["notifications"]

    assert notifications["dropped"] + notifications["published"] == 100
    assert 30 <= notifications["dropped"] <= 70
    assert harness.service.stats()["ended"] == {"SUCCEEDED": 100}


def test_a_doubled_message_is_the_same_message() -> None:
    harness = ServiceHarness(faults=Faults.off(notify_twice=1.0))
    sent(harness, 1)

    assert harness.sent[0] == harness.sent[1]


# Scripted refusals.


def test_scripted_errors_come_when_and_as_often_as_told() -> None:
    harness = ServiceHarness()
    harness.service.inject("StartFaceDetection", "ThrottlingException", times=2, after=1)

    codes = [harness.code("StartFaceDetection", START) for _ in range(5)]

    assert codes == ["ok", "ThrottlingException", "ThrottlingException", "ok", "ok"]


def test_a_scripted_error_can_lose_the_answer_alone() -> None:
    harness = ServiceHarness()
    harness.service.inject("StartFaceDetection", "InternalServerError", carried_out=True)

    code = harness.code("StartFaceDetection", START | {"ClientRequestToken": "once"})

    assert code == "InternalServerError"
    assert harness.start(ClientRequestToken="once") == harness.service.jobs()[0]["JobId"]


@pytest.mark.parametrize("code", sorted(KNOWN))
def test_every_error_can_be_scripted(code: str) -> None:
    harness = ServiceHarness()
    harness.service.inject("*", code, status=418)

    status, value = harness.call("GetFaceDetection", {"JobId": "x"})

    assert (status, value["Code"]) == (418, code)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("StartFaceDetektion", "ThrottlingException"), "did you mean 'StartFaceDetection'?"),
        (("StartFaceDetection", "ThrotlingException"), "did you mean 'ThrottlingException'?"),
        (("StartFaceDetection", "ThrottlingException", 0), "times=0"),
        (("StartFaceDetection", "ThrottlingException", 1, -1), "after=-1"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused(wrong: tuple, says: str) -> None:
    harness = ServiceHarness()

    with pytest.raises(ValueError, match=re.escape(says)):
        harness.service.inject(*wrong)


# Settings.


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("seed", 1.5),
        ("max_running", -1),
        ("max_running", True),
        ("start_per_second", "five"),
        ("ramp", 0.5),
        ("throttled", 1.1),
        ("throttled", -0.1),
        ("throttled", float("nan")),
        ("slow_seconds", -1),
        ("slow_seconds", float("inf")),
        ("outage", 1),
        ("fail_lasting_keys", None),
        ("error_operations", "StartFaceDetection,Nope"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name_and_value(setting: str, value: object) -> None:
    harness = ServiceHarness()
    before = harness.service.faults

    with pytest.raises(ValueError, match=f"^{setting}={value!r}: "):
        harness.service.set_faults({"seed": 3, setting: value})

    assert harness.service.faults == before


def test_an_unknown_setting_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ValueError, match=re.escape("unknown fault 'notify_droped'; did you mean 'notify_dropped'?")):
        Faults().changed({"notify_droped": 0.5})


def test_unasked_nothing_is_wrong_but_awss_quotas() -> None:
    faults = Faults()

    assert (faults.max_running, faults.start_per_second, faults.get_per_second) == (20, 5, 20)
    assert (faults.page_token_seconds, faults.result_seconds) == (86_400, 604_800)
    chances = {name: value for name, value in faults.as_dict().items() if isinstance(value, float) and value < 1}
    assert set(chances) >= {"throttled", "internal_errors", "lost_answers", "fail_passing", "notify_dropped"}
    assert not any(chances.values())
