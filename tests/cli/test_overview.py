"""Places in line, expectations, and what looks stuck: decisions over plain values."""

from dataclasses import replace

import pytest

from cli.status.overview import JobStatus, arrange, seconds_per_minute, why_stuck
from lambdas.model.clock import iso
from lambdas.model.events import Upload
from lambdas.model.job import Job, State, new_job, position
from lambdas.model.video_header import VideoHeader

NOW = 1_800_000_000.0


def job(name: str, state: State, since: float = 0.0) -> Job:
    """A job in that state since so many seconds."""
    upload = Upload("videos", name, "etag", 1, iso(NOW - since), "1")
    made = new_job(upload, "face-detection", {}, NOW - since)
    return replace(made, state=state, state_since=iso(NOW - since), position=position(NOW - since, made.job_id))


def finished(*ago: float) -> list[Job]:
    return [job(f"done{number}.mp4", "SUCCEEDED", since) for number, since in enumerate(ago)]


def test_who_waits_longest_is_first_in_line_and_is_done_after_those_who_run() -> None:
    jobs = [*finished(10, 20, 30, 40, 50), job("b", "WAITING", 5), job("a", "WAITING", 9), job("r", "RUNNING", 15)]

    seen = {one.job.key: one for one in arrange(jobs, {}, NOW).statuses}

    assert (seen["a"].position, seen["b"].position, seen["r"].position) == (1, 2, None)
    assert [seen[key].expected for key in "rab"] == [NOW + 10, NOW + 20, NOW + 30]


def long(job: Job, minutes: float) -> Job:
    """The same job of a video of that length."""
    return replace(job, header=VideoHeader("mp4", "h264", 60 * minutes))


def test_a_short_video_behind_a_long_one_is_done_after_the_minutes_of_both() -> None:
    jobs = [long(one, 2) for one in finished(10, 20, 30, 40, 50)]  # two minutes of video in ten seconds
    jobs += [long(job("a", "WAITING", 9), 60), long(job("b", "WAITING", 5), 1)]

    seen = {one.job.key: one for one in arrange(jobs, {}, NOW).statuses}

    assert [seen[key].expected for key in "ab"] == [NOW + 300, NOW + 305]


def test_a_video_of_unknown_length_counts_as_the_mean_of_the_others() -> None:
    jobs = [long(one, 2) for one in finished(10, 20, 30, 40, 50)]
    jobs += [long(job("a", "WAITING", 9), 8), job("b", "WAITING", 5)]

    seen = {one.job.key: one for one in arrange(jobs, {}, NOW).statuses}

    assert [seen[key].expected for key in "ab"] == [NOW + 40, NOW + 55]


def test_places_in_line_are_those_of_classes_and_shares() -> None:
    jobs = [job(f"a/{number}", "WAITING", 100 - number) for number in range(4)]
    jobs += [replace(job("old", "WAITING", 500), priority="backfill")]
    jobs = [long(replace(one, share="a/"), 1) if one.key.startswith("a/") else one for one in jobs]
    jobs += [long(replace(job(f"b/{number}", "WAITING", 50 - number), share="b/"), 1) for number in range(2)]

    seen = {one.job.key: one.position for one in arrange(jobs, {}, NOW, {"a/": 2}).statuses}

    assert sorted(seen, key=lambda key: seen[key] or 0) == ["a/0", "b/0", "a/1", "a/2", "b/1", "a/3", "old"]


@pytest.mark.parametrize(
    ("seen", "usd"),
    [
        (long(job("a", "WAITING"), 3), 0.3),
        (replace(long(job("a", "WAITING"), 3), analysis="unknown"), None),
        (job("a", "WAITING"), None),
        (replace(job("a", "WAITING"), header=VideoHeader("")), None),
        (long(job("a", "REJECTED"), 3), 0),
        (replace(long(job("a", "SUCCEEDED"), 3), video_metadata={"DurationMillis": 120_000}), 0.2),
        (
            replace(
                long(job("a", "RUNNING"), 3),
                analysis="segment-detection",
                parameters={"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]},
            ),
            0.3,
        ),
    ],
)
def test_a_job_has_its_list_price_where_the_length_is_known(seen: Job, usd: float | None) -> None:
    status = JobStatus(seen, None, None, "")

    assert status.usd == (None if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("ago", "what"),
    [((10, 20, 30, 40), "too few"), ((4000, 4010, 4020, 4030, 4040), "too old"), ((400, 410, 420, 430, 440), "quiet")],
)
def test_where_completions_say_nothing_of_now_nobody_knows_the_end(ago: tuple[float, ...], what: str) -> None:
    assert seconds_per_minute(finished(*ago), NOW) is None, what


def test_a_time_in_which_nobody_waited_does_not_slow_the_pace() -> None:
    assert seconds_per_minute(finished(10, 20, 30, 2030, 2040, 2050), NOW) == pytest.approx(10)


def test_while_paused_nothing_is_expected_and_nothing_waiting_is_stuck() -> None:
    seen = arrange([*finished(10, 20, 30, 40, 50), job("a", "WAITING", 9000)], {"paused": True}, NOW)

    [waiting] = seen.in_states(["WAITING"]).statuses
    assert (waiting.expected, waiting.stuck) == (None, "")


@pytest.mark.parametrize(
    ("stuck", "why"),
    [
        (job("a", "RUNNING", 400), "neither started nor released"),
        (replace(job("a", "RUNNING", 4000), rekognition_job_id="x", polls=8), "no completion"),
        (replace(job("a", "COLLECTING", 4000), lease_until=iso(NOW - 1000)), "its collector stopped"),
        (job("a", "WAITING", 1000), "does the tick run"),
        (replace(job("a", "WAITING"), start_errors=3, reason="InternalServerError"), "3 starts failed"),
    ],
)
def test_a_stuck_job_says_why(stuck: Job, why: str) -> None:
    assert why in why_stuck(stuck, {}, NOW)


@pytest.mark.parametrize(
    "fine",
    [
        job("a", "RUNNING", 60),
        replace(job("a", "RUNNING", 4000), rekognition_job_id="x", polls=2),
        replace(job("a", "COLLECTING", 4000), lease_until=iso(NOW + 50)),
        job("a", "WAITING", 60),
    ],
)
def test_a_job_that_only_takes_its_time_is_not_stuck(fine: Job) -> None:
    assert why_stuck(fine, {}, NOW) == ""


def test_a_job_in_a_full_line_is_not_stuck_however_long_it_waits() -> None:
    assert why_stuck(job("a", "WAITING", 90_000), {"refused_at": iso(NOW - 30)}, NOW) == ""
