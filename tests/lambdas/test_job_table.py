"""Each write of the table: what it changes, and what it refuses when the job has moved on meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.aws import job_table, scheduler_record
from lambdas.aws.dynamodb import condition_failed, deserialize
from lambdas.aws.job_table import Jobs
from lambdas.model.blocking import Scope
from lambdas.model.clock import iso
from lambdas.model.events import Upload
from lambdas.model.job import Job, new_job, position
from tests.fake_aws import VirtualClock
from tests.fast_fake.client import refuse
from tests.fast_fake.dynamodb import Table

UPLOAD = Upload("videos", "x.mp4", "e", 7, "2027-01-15T08:00:00.000Z", sequencer="05", version_id="v1")
LEASE = 90.0


class Desk:
    """A table with a clock, and jobs brought into any state."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.client: Any = Table().client()
        self.jobs = Jobs(self.client, "jobs", self.clock)

    @property
    def now(self) -> str:
        return iso(self.clock.now())

    def at(self, seconds: float) -> str:
        return iso(self.clock.now() + seconds)

    def get(self, job: Job) -> Job:
        found = self.jobs.get(job.job_id)
        assert found is not None
        return found

    def waiting(self, key: str = "x.mp4", analysis: str = "face-detection") -> Job:
        job = new_job(replace(UPLOAD, key=key), analysis, {}, self.clock.now())
        assert self.jobs.register(job)
        self.clock.seconds += 1
        return self.get(job)

    def claimed(self, **named: str) -> Job:
        job = self.jobs.claim(self.waiting(**named).job_id)
        assert job is not None
        return job

    def running(self, **named: str) -> Job:
        job = self.claimed(**named)
        self.jobs.started(job, "r", poll_at=self.clock.now() + 120)
        return self.get(job)

    def collecting(self, **named: str) -> Job:
        job = self.jobs.begin_collecting(self.running(**named), "r", "me", self.clock.now() + LEASE)
        assert job is not None
        return job

    def rejected(self, reason: str = "no", **suspected: str) -> Job:
        job = self.claimed()
        assert self.jobs.reject(job, reason, **suspected)
        return self.get(job)

    def attributes(self, job: Job) -> dict[str, Any]:
        answer = self.client.get_item(TableName="jobs", Key={"job_id": {"S": job.job_id}})
        return deserialize(answer["Item"])


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestReading:
    def test_a_job_comes_back_as_it_was_registered_and_is_registered_once(self, desk: Desk) -> None:
        job = replace(
            desk.waiting(),
            job_id="another",
            key="y.mp4",
            parameters={"MinConfidence": 50.5},
            past_rekognition_job_ids=["r"],
            video_metadata={"Fps": 25.0},
            polls=3,
        )

        assert desk.jobs.register(job)
        assert not desk.jobs.register(replace(job, key="z.mp4"))

        assert desk.jobs.get("another") == job
        assert desk.jobs.get("unknown") is None

    def test_what_a_job_does_not_have_is_not_stored(self, desk: Desk) -> None:
        stored = desk.attributes(desk.waiting())

        assert {"reason", "maybe_started", "lease_owner"}.isdisjoint(stored)
        assert stored["video"] == "videos/x.mp4"
        assert stored["parameters"] == "{}"

    def test_jobs_of_a_state_come_in_the_order_in_which_they_are_due(self, desk: Desk) -> None:
        first, second, other = desk.waiting(key="a"), desk.waiting(key="b"), desk.claimed(key="c")

        assert list(desk.jobs.in_state("WAITING")) == [first.job_id, second.job_id]
        assert list(desk.jobs.in_state("RUNNING")) == [other.job_id]

    def test_what_is_due_is_read_up_to_now_from_either_end(self, desk: Desk) -> None:
        jobs = [desk.waiting(key=str(n)) for n in range(50)]
        now = desk.clock.now() - 1  # the last was registered then: it is due
        ids = [job.job_id for job in jobs]

        assert [job_id for job_id, _ in desk.jobs.due("WAITING", now)] == ids
        assert [job_id for job_id, _ in desk.jobs.due("WAITING", now - 1)] == ids[:-1]
        assert [job_id for job_id, _ in desk.jobs.due("WAITING", now, newest_first=True)] == ids[::-1]
        assert [due_at for _, due_at in desk.jobs.due("WAITING", now)] == [job.due_at for job in jobs]
        assert [job_id for job_id, _ in desk.jobs.due("WAITING", now, since=jobs[40].due_at)] == ids[40:]
        assert list(desk.jobs.due("RUNNING", now)) == []

    def test_what_is_due_is_read_for_one_analysis_or_for_all_but_some(self, desk: Desk) -> None:
        names = ("face-detection", "label-detection", "text-detection")
        ids = {name: desk.waiting(analysis=name).job_id for name in names}

        def due(**which: Any) -> list[str]:
            return [job_id for job_id, _ in desk.jobs.due("WAITING", desk.clock.now(), **which)]

        assert due(only="label-detection") == [ids["label-detection"]]
        assert due(but=["text-detection", "face-detection"]) == [ids["label-detection"]]
        assert due(but=["text-detection"]) == [ids["face-detection"], ids["label-detection"]]

    def test_small_pages_are_read_unless_most_may_be_filtered_out(self, desk: Desk) -> None:
        asked: list[dict[str, Any]] = []
        make = desk.client._make_api_call
        desk.client._make_api_call = lambda operation, params: asked.append(params) or make(operation, params)

        list(desk.jobs.due("WAITING", desk.clock.now()))
        list(desk.jobs.due("WAITING", desk.clock.now(), only="face-detection"))
        list(desk.jobs.in_state("WAITING"))

        assert [params.get("Limit") for params in asked] == [20, None, None]

    def test_jobs_of_a_video_come_oldest_first(self, desk: Desk) -> None:
        first, second = desk.waiting(), desk.waiting(analysis="label-detection")
        desk.waiting(key="other.mp4")

        assert desk.jobs.of_video("videos", "x.mp4") == [first, second]

    def test_what_ended_long_ago_and_is_not_collected_is_counted_up_to_a_number(self, desk: Desk) -> None:
        ended = [desk.running(key=str(n)) for n in range(4)]
        desk.running(key="still running")
        for job in ended:
            assert desk.jobs.mark_slot_freed(job.job_id, "r")
        desk.jobs.begin_collecting(desk.get(ended[0]), "r", "me", desk.clock.now() + LEASE)
        now = desk.clock.now()

        assert desk.jobs.uncollected(now + 1, 100) == 4
        assert desk.jobs.uncollected(now + 1, 3) == 3
        assert desk.jobs.uncollected(now, 100) == 0


class TestTheBacklog:
    def test_a_claim_takes_a_waiting_job_once_and_is_stale_after_two_minutes(self, desk: Desk) -> None:
        job = desk.waiting()

        claimed = desk.jobs.claim(job.job_id)

        assert claimed is not None
        assert (claimed.state, claimed.due_at, claimed.state_since) == ("RUNNING", desk.at(120), desk.now)
        assert claimed.position == job.position
        assert desk.jobs.claim(job.job_id) is None

    def test_a_released_job_has_its_position_again(self, desk: Desk) -> None:
        job = desk.claimed()

        desk.jobs.release(job)

        after = desk.get(job)
        assert (after.state, after.due_at, after.maybe_started) == ("WAITING", job.position, False)

    def test_a_stale_claim_may_have_been_started(self, desk: Desk) -> None:
        job = desk.claimed()

        desk.jobs.release_stale(job)

        after = desk.get(job)
        assert (after.state, after.due_at, after.maybe_started) == ("WAITING", job.position, True)

    @pytest.mark.parametrize("maybe_started", [False, True])
    def test_a_job_that_met_trouble_stands_behind_and_counts_it(self, desk: Desk, maybe_started: bool) -> None:
        job = replace(desk.claimed(), start_errors=2)

        desk.jobs.reschedule(job, "no answer", 15, maybe_started=maybe_started)

        after, later = desk.get(job), position(desk.clock.now() + 15, job.job_id)
        assert (after.state, after.due_at, after.position) == ("WAITING", later, later)
        assert (after.reason, after.start_errors, after.maybe_started) == ("no answer", 3, maybe_started)

    @pytest.mark.parametrize(
        "give_back",
        [
            lambda jobs, job: jobs.release(job),
            lambda jobs, job: jobs.release_stale(job),
            lambda jobs, job: jobs.reschedule(job, "no", 1, maybe_started=True),
            lambda jobs, job: jobs.take_newest_version(replace(job, newest_version_id="v9")),
        ],
    )
    def test_a_claim_that_came_to_something_is_not_given_back(
        self, desk: Desk, give_back: Callable[[Jobs, Job], Any]
    ) -> None:
        running, waiting = desk.running(), desk.waiting(key="y.mp4")
        other_attempt = desk.claimed(key="z.mp4")

        give_back(desk.jobs, running)
        give_back(desk.jobs, waiting)
        give_back(desk.jobs, replace(other_attempt, attempt=2))

        assert [desk.get(job) for job in (running, waiting, other_attempt)] == [running, waiting, other_attempt]

    def test_a_claimed_job_can_take_the_newest_version(self, desk: Desk) -> None:
        job = replace(desk.claimed(), newest_version_id="v9")

        newer = desk.jobs.take_newest_version(job)

        assert newer is not None
        assert newer.version_id == desk.get(job).version_id == "v9"

    def test_a_placeholder_is_removed_unless_it_was_uploaded_again(self, desk: Desk) -> None:
        job = desk.claimed()
        desk.jobs.uploaded_again(job.job_id, replace(UPLOAD, sequencer="06"))

        assert not desk.jobs.remove(job)
        assert not desk.jobs.remove(replace(desk.waiting(key="y.mp4"), sequencer="05"))
        assert desk.jobs.remove(desk.get(job))
        assert desk.jobs.get(job.job_id) is None

    @pytest.mark.parametrize("claim", ["kept", "handed back"])
    def test_a_start_is_noted_and_what_was_suspected_forgotten(self, desk: Desk, claim: str) -> None:
        job = desk.rejected(suspected_in="videos")
        desk.jobs.requeue_suspect(job.job_id)
        claimed = desk.jobs.claim(job.job_id)
        assert claimed is not None
        if claim == "handed back":
            desk.jobs.release_stale(claimed)

        desk.jobs.started(claimed, "r", poll_at=desk.clock.now() + 120)

        after = desk.get(job)
        assert (after.state, after.rekognition_job_id, after.due_at) == ("RUNNING", "r", desk.at(120))
        assert (after.reason, after.maybe_started) == (None, False)
        assert (after.suspicions, after.suspected_at, after.suspected_in) == (0, None, None)

    def test_a_start_that_is_known_or_of_another_attempt_or_of_an_ended_job_is_not_noted(self, desk: Desk) -> None:
        running, claimed, ended = desk.running(), desk.claimed(key="y.mp4"), desk.claimed(key="z.mp4")
        desk.jobs.started(running, "another", poll_at=desk.clock.now() + 5)
        desk.jobs.started(replace(claimed, attempt=2), "another", poll_at=desk.clock.now() + 5)
        desk.jobs.reject(ended, "no")
        before = desk.get(ended)
        desk.jobs.started(ended, "another", poll_at=desk.clock.now() + 5)

        assert [desk.get(running), desk.get(claimed), desk.get(ended)] == [running, claimed, before]

    def test_a_question_is_noted_by_one_invocation(self, desk: Desk) -> None:
        job = desk.running()

        assert desk.jobs.note_poll(job, next_poll_at=desk.clock.now() + 240)
        assert not desk.jobs.note_poll(job, next_poll_at=desk.clock.now() + 240)

        after = desk.get(job)
        assert (after.due_at, after.polls, after.state) == (desk.at(240), 1, "RUNNING")
        assert not desk.jobs.note_poll(replace(after, state="COLLECTING"), next_poll_at=0)

    def test_a_slot_comes_free_once_an_attempt(self, desk: Desk) -> None:
        job = desk.running()

        assert desk.jobs.mark_slot_freed(job.job_id, "r")
        assert not desk.jobs.mark_slot_freed(job.job_id, "r")
        assert desk.jobs.mark_slot_freed(job.job_id, "another")
        assert not desk.jobs.mark_slot_freed("unknown", "r")

        assert (desk.get(job).slot_freed_by, desk.get(job).slot_freed_at) == ("another", desk.now)


class TestUploadedAgain:
    NEWER = replace(UPLOAD, sequencer="06", version_id="v2", uploaded_at="2027-01-16T08:00:00.000Z")

    @pytest.mark.parametrize("sequencer", ["04", "05"])
    def test_old_news_change_nothing(self, desk: Desk, sequencer: str) -> None:
        waiting, old = desk.waiting(), replace(self.NEWER, sequencer=sequencer)

        assert desk.jobs.uploaded_again(waiting.job_id, old) is None
        assert desk.get(waiting) == waiting

    def test_a_newer_upload_is_noted(self, desk: Desk) -> None:
        job = desk.waiting()

        after = desk.jobs.uploaded_again(job.job_id, self.NEWER)

        assert after == replace(job, sequencer="06", newest_version_id="v2")
        assert desk.attributes(job)["uploaded_again_at"] == self.NEWER.uploaded_at

    def test_a_rejected_job_is_put_last_in_the_backlog_with_nothing_held_against_it(self, desk: Desk) -> None:
        job = desk.rejected(suspected_in="videos")
        desk.clock.seconds += 60

        assert desk.jobs.uploaded_again(job.job_id, self.NEWER) is None
        assert desk.jobs.requeue_rejected(job, replace(self.NEWER, sequencer="05")) is None
        after = desk.jobs.requeue_rejected(job, self.NEWER)

        last = position(desk.clock.now(), job.job_id)
        assert after is not None
        assert (after.state, after.due_at, after.position) == ("WAITING", last, last)
        assert (after.reason, after.start_errors, after.suspicions, after.suspected_in) == (None, 0, 0, None)
        assert (after.sequencer, after.newest_version_id) == ("06", "v2")

    def test_the_trouble_that_a_rejected_job_met_before_counts_no_more(self, desk: Desk) -> None:
        job = desk.claimed()
        desk.jobs.reschedule(job, "no answer", 0, maybe_started=False)
        desk.jobs.reject(desk.get(job), "no")

        after = desk.jobs.requeue_rejected(desk.get(job), self.NEWER)

        assert after is not None
        assert after.start_errors == 0

    def test_what_is_not_rejected_is_not_put_back(self, desk: Desk) -> None:
        job = desk.running()

        assert desk.jobs.requeue_rejected(job, self.NEWER) is None
        assert desk.get(job) == job


class TestWhatTheSchedulerKnows:
    def test_it_is_in_items_whose_ids_no_job_has_and_whose_names_stay(self) -> None:
        assert (scheduler_record.SCHEDULER, job_table.SLOTS) == ("#scheduler", "#slots")

    def test_a_refusal_is_known_until_nobody_waits(self, desk: Desk) -> None:
        assert desk.jobs.scheduler() == {}
        desk.jobs.note_limit_reached()
        assert desk.jobs.scheduler()["refused_at"] == desk.now
        desk.jobs.note_limit_cleared()
        assert "refused_at" not in desk.jobs.scheduler()

    def test_starting_is_switched_off_and_on(self, desk: Desk) -> None:
        desk.jobs.pause(True)
        assert (desk.jobs.scheduler()["paused"], desk.jobs.scheduler()["paused_at"]) == (True, desk.now)
        desk.jobs.pause(False)
        assert {"paused", "paused_at"}.isdisjoint(desk.jobs.scheduler())

    def test_that_collecting_works_is_noted_once_a_minute(self, desk: Desk) -> None:
        noted = []
        for seconds in (0, 59, 1, 60):
            desk.clock.seconds += seconds
            desk.jobs.note_collected()
            noted.append(desk.jobs.scheduler()["collected_at"] == desk.now)

        assert noted == [True, False, True, True]

    def test_scopes_are_changed_on_what_the_table_knows_now(self, desk: Desk) -> None:
        faster = Jobs(desk.client, "jobs", desk.clock)
        seen: list[list[str]] = []

        def decide(known: Any) -> Any:
            seen.append(sorted(known))
            if len(seen) == 1:
                faster.note_scopes(lambda before: {**before, "videos": Scope().block("no", desk.clock.now())})
            return {**known, "results": Scope().block("late", desk.clock.now())}

        after = desk.jobs.note_scopes(decide)

        assert seen == [[], ["videos"]]
        assert sorted(after) == ["results", "videos"]
        assert desk.jobs.scheduler()["scopes_version"] == 2
        assert desk.jobs.note_scopes(lambda known: known) == after

    def test_scopes_are_not_written_where_nothing_changes_and_go_where_none_is_left(self, desk: Desk) -> None:
        assert desk.jobs.note_scopes(lambda known: known) == {}
        assert desk.jobs.scheduler() == {}
        desk.jobs.note_scopes(lambda _: {"videos": Scope().block("no", desk.clock.now())})
        desk.jobs.note_scopes(lambda _: {})

        assert "scopes" not in desk.jobs.scheduler()
        assert desk.jobs.scheduler()["scopes_version"] == 2

    def test_as_many_hold_a_slot_as_may_and_who_runs_no_more_is_overlooked(self, desk: Desk) -> None:
        one, two, three = (desk.claimed(key=key) for key in "abc")

        assert desk.jobs.take_slot(one, 2)
        assert desk.jobs.take_slot(two, 2)
        assert desk.jobs.take_slot(two, 2)  # it has one
        assert not desk.jobs.take_slot(three, 2)
        desk.jobs.release(one)
        assert desk.jobs.take_slot(three, 2)
        assert not desk.jobs.take_slot(one, 2)

    def test_a_job_that_rekognition_is_done_with_holds_no_slot(self, desk: Desk) -> None:
        one, two = desk.running(key="a"), desk.claimed(key="b")
        assert desk.jobs.take_slot(one, 1)
        desk.jobs.mark_slot_freed(one.job_id, "of an earlier attempt")
        assert not desk.jobs.take_slot(two, 1)
        desk.jobs.mark_slot_freed(one.job_id, "r")

        assert desk.jobs.take_slot(two, 1)

    @pytest.mark.parametrize(("most", "taken"), [(1, False), (2, True)])
    @pytest.mark.parametrize("before", [0, 1])
    def test_a_slot_that_another_invocation_took_meanwhile_counts(
        self, desk: Desk, most: int, taken: bool, before: int
    ) -> None:
        jobs = [desk.claimed(key=str(n)) for n in range(3 + before)]
        for job in jobs[3:]:
            desk.jobs.take_slot(job, most + before)
        patched: Any = desk.jobs
        faster, read = Jobs(desk.client, "jobs", desk.clock), desk.jobs._get_item

        def late(item_id: str) -> Any:
            item = read(item_id)
            patched._get_item = read
            assert faster.take_slot(jobs[0], most + before)
            return item

        patched._get_item = late

        assert desk.jobs.take_slot(jobs[1], most + before) is taken
        assert len(read(job_table.SLOTS)["holders"]) == 1 + taken + before


class TestCollecting:
    def test_a_finished_job_is_taken_by_one_collector_at_a_time(self, desk: Desk) -> None:
        job = desk.running()
        until = desk.clock.now() + LEASE

        taken = desk.jobs.begin_collecting(job, "r2", "me", until)

        assert taken is not None
        assert (taken.state, taken.due_at, taken.state_since) == ("COLLECTING", iso(until), desk.now)
        assert (taken.rekognition_job_id, taken.lease_owner, taken.lease_until) == ("r2", "me", iso(until))
        assert desk.jobs.begin_collecting(job, "r2", "other", until) is None
        assert desk.jobs.begin_collecting(taken, "r2", "other", until) is None
        assert desk.jobs.begin_collecting(taken, "r2", "me", until) is not None

    def test_a_lease_that_ran_out_is_taken_over_without_beginning_the_state_again(self, desk: Desk) -> None:
        job = desk.collecting()
        desk.clock.seconds += LEASE
        assert desk.jobs.begin_collecting(job, "r", "other", desk.clock.now() + LEASE) is None
        desk.clock.seconds += 0.001

        taken = desk.jobs.begin_collecting(job, "r", "other", desk.clock.now() + LEASE)

        assert taken is not None
        assert (taken.lease_owner, taken.due_at, taken.state_since) == ("other", desk.at(LEASE), job.state_since)

    def test_a_job_of_another_attempt_is_not_taken(self, desk: Desk) -> None:
        assert desk.jobs.begin_collecting(replace(desk.running(), attempt=2), "r", "me", 0) is None

    def test_a_checkpoint_renews_the_lease(self, desk: Desk) -> None:
        job = desk.collecting()
        until = desk.clock.now() + 500

        assert desk.jobs.checkpoint(job, "page 7", until)

        after = desk.get(job)
        assert (after.checkpoint, after.lease_until, after.due_at) == ("page 7", iso(until), iso(until))

    def test_a_lease_is_renewed(self, desk: Desk) -> None:
        job = desk.collecting()
        until = desk.clock.now() + 500

        assert desk.jobs.renew_lease(job, until)

        assert (desk.get(job).lease_until, desk.get(job).due_at) == (iso(until), iso(until))

    def test_a_collector_that_stops_gives_up_its_lease(self, desk: Desk) -> None:
        job = desk.collecting()
        poll_at = desk.clock.now() + 33

        assert desk.jobs.stop_collecting(job, "page 7", poll_at, "x" * 1001)

        after = desk.get(job)
        assert (after.checkpoint, after.lease_until, after.due_at) == ("page 7", None, iso(poll_at))
        assert (after.state, after.reason) == ("COLLECTING", "x" * 1000)
        assert desk.jobs.begin_collecting(after, "r", "other", poll_at) is not None

    def test_a_collector_that_stops_for_no_reason_keeps_the_last_and_may_drop_the_checkpoint(self, desk: Desk) -> None:
        job = desk.collecting()
        desk.jobs.trouble(job.job_id, "slow")
        desk.jobs.checkpoint(job, "page 7", desk.clock.now())

        assert desk.jobs.stop_collecting(job, None, desk.clock.now())

        assert (desk.get(job).reason, desk.get(job).checkpoint) == ("slow", None)

    def test_a_job_that_succeeded_says_where_its_results_are_and_no_more(self, desk: Desk) -> None:
        job = desk.collecting()
        desk.jobs.trouble(job.job_id, "slow")
        desk.jobs.checkpoint(job, "page 7", desk.clock.now())
        desk.jobs.note_poll(desk.get(job), desk.clock.now())

        assert desk.jobs.succeed(job, result_key="results/x", detections=3, video_metadata={"Fps": 29.97})

        after = desk.get(job)
        assert (after.state, after.state_since, after.due_at) == ("SUCCEEDED", desk.now, desk.now)
        assert (after.result_key, after.detections, after.video_metadata) == ("results/x", 3, {"Fps": 29.97})
        assert (after.reason, after.checkpoint, after.lease_owner, after.lease_until, after.polls) == (
            None,
            None,
            None,
            None,
            0,
        )

    @pytest.mark.parametrize(
        "write",
        [
            lambda jobs, job: jobs.checkpoint(job, "page 7", 0),
            lambda jobs, job: jobs.renew_lease(job, 0),
            lambda jobs, job: jobs.stop_collecting(job, None, 0),
            lambda jobs, job: jobs.succeed(job),
        ],
    )
    def test_without_its_lease_a_collector_writes_nothing(self, desk: Desk, write: Callable[[Jobs, Job], bool]) -> None:
        job = desk.collecting()
        claimed = replace(desk.claimed(key="y.mp4"), lease_owner="me")

        assert not write(desk.jobs, replace(job, lease_owner="other"))
        assert not write(desk.jobs, replace(job, attempt=2))
        assert not write(desk.jobs, claimed)

        assert desk.get(job) == job

    def test_trouble_is_noted_while_a_job_runs_or_is_collected(self, desk: Desk) -> None:
        running, collecting, waiting = desk.running(key="a"), desk.collecting(key="b"), desk.waiting(key="c")

        desk.jobs.trouble(running.job_id, "x" * 1001, poll_at=desk.clock.now() + 7)
        desk.jobs.trouble(collecting.job_id, "slow")
        desk.jobs.trouble(waiting.job_id, "slow")

        assert desk.get(running) == replace(running, reason="x" * 1000, due_at=desk.at(7))
        assert desk.get(collecting) == replace(collecting, reason="slow")
        assert desk.get(waiting) == waiting


class TestEnds:
    @pytest.mark.parametrize("state", ["waiting", "claimed"])
    def test_a_job_that_cost_nothing_is_rejected(self, desk: Desk, state: str) -> None:
        job = getattr(desk, state)()

        assert desk.jobs.reject(job, "x" * 1001)

        after = desk.get(job)
        assert (after.state, after.reason, after.state_since) == ("REJECTED", "x" * 1000, desk.now)
        assert (after.suspicions, after.suspected_at, after.suspected_in) == (0, None, None)

    def test_a_suspect_is_counted_and_put_back_where_it_was(self, desk: Desk) -> None:
        first = desk.rejected(suspected_in="videos")
        rejected_at = desk.now
        assert (first.suspicions, first.suspected_at, first.suspected_in) == (1, rejected_at, "videos")

        assert desk.jobs.requeue_suspect(first.job_id)
        back = desk.get(first)
        assert (back.state, back.due_at, back.suspicions) == ("WAITING", first.position, 1)
        assert not desk.jobs.requeue_suspect(first.job_id)

        assert desk.jobs.reject(back, "no", suspected_in="videos")
        assert desk.get(first).suspicions == 2

    def test_what_was_rejected_for_good_is_no_suspect(self, desk: Desk) -> None:
        job = desk.rejected()

        assert not desk.jobs.requeue_suspect(job.job_id)
        assert not desk.jobs.requeue_suspect("unknown")
        assert desk.get(job) == job

    def test_a_suspect_that_was_rejected_anew_meanwhile_is_left(self, desk: Desk) -> None:
        job = desk.rejected(suspected_in="videos")
        patched: Any = desk.jobs
        patched.get = lambda _: replace(job, suspected_at=desk.at(-5))

        assert not desk.jobs.requeue_suspect(job.job_id)

    @pytest.mark.parametrize("changes", [{"attempt": 2}, {"sequencer": "04"}, {"state": "WAITING"}])
    def test_a_job_that_moved_on_is_not_rejected(self, desk: Desk, changes: dict[str, Any]) -> None:
        job = desk.claimed()

        assert not desk.jobs.reject(replace(job, **changes), "no")
        assert desk.get(job) == job

    def test_a_job_that_is_collected_or_has_ended_is_not_rejected(self, desk: Desk) -> None:
        job = desk.collecting()

        assert not desk.jobs.reject(job, "no")
        assert desk.get(job) == job

    @pytest.mark.parametrize("state", ["waiting", "running", "collecting"])
    def test_a_job_that_rekognition_could_not_do_fails(self, desk: Desk, state: str) -> None:
        job = getattr(desk, state)()

        assert desk.jobs.fail(job, "broken")
        assert not desk.jobs.fail(desk.get(job), "again")

        after = desk.get(job)
        assert (after.state, after.reason, after.state_since) == ("FAILED", "broken", desk.now)
        assert (after.checkpoint, after.lease_owner, after.lease_until, after.polls) == (None, None, None, 0)

    @pytest.mark.parametrize("state", ["waiting", "running", "collecting"])
    def test_another_attempt_has_another_token_and_stands_behind(self, desk: Desk, state: str) -> None:
        job = getattr(desk, state)()
        desk.jobs.uploaded_again(job.job_id, replace(UPLOAD, sequencer="06", version_id="v2"))

        assert desk.jobs.try_again(desk.get(job), "forgotten", 60)

        after, later = desk.get(job), position(desk.clock.now() + 60, job.job_id)
        assert (after.state, after.due_at, after.position, after.reason) == ("WAITING", later, later, "forgotten")
        assert (after.attempt, after.version_id, after.maybe_started) == (2, "v2", False)
        assert (after.rekognition_job_id, after.lease_owner, after.lease_until) == (None, None, None)
        assert list(after.past_rekognition_job_ids) == ([] if state == "waiting" else ["r"])

    def test_what_succeeded_may_be_bought_again_and_keeps_the_ids_of_before(self, desk: Desk) -> None:
        job = desk.collecting()
        desk.jobs.succeed(job)
        desk.jobs.try_again(desk.get(job), "asked for", 0)
        again = desk.jobs.claim(job.job_id)
        assert again is not None
        desk.jobs.started(again, "r2", poll_at=0)

        assert desk.jobs.try_again(desk.get(job), "asked for", 0)

        assert list(desk.get(job).past_rekognition_job_ids) == ["r", "r2"]
        assert desk.get(job).version_id == "v1"

    def test_what_ended_or_moved_on_gets_no_other_attempt(self, desk: Desk) -> None:
        rejected, running = desk.rejected(), desk.running(key="y.mp4")

        assert not desk.jobs.try_again(rejected, "no", 0)
        assert not desk.jobs.try_again(replace(running, attempt=2), "no", 0)
        assert not desk.jobs.try_again(replace(running, state="COLLECTING"), "no", 0)
        assert not desk.jobs.fail(replace(running, attempt=2), "no")

        assert [desk.get(rejected), desk.get(running)] == [rejected, running]


@pytest.mark.parametrize("operation", ["update_item", "put_item", "delete_item"])
def test_what_else_dynamodb_refuses_is_an_error_as_it_is(desk: Desk, operation: str) -> None:
    job = desk.claimed()
    calls: dict[str, Callable[[], Any]] = {
        "update_item": lambda: desk.jobs.release(job),
        "put_item": lambda: desk.jobs.register(job),
        "delete_item": lambda: desk.jobs.remove(job),
    }
    desk.client._make_api_call = lambda name, _: refuse("ValidationException", name)

    with pytest.raises(ClientError, match="ValidationException") as raised:
        calls[operation]()

    assert not condition_failed(raised.value)


def test_every_page_of_an_index_is_read_and_no_more_than_is_needed(desk: Desk) -> None:
    pages = [
        {"Items": [{"job_id": {"S": "1"}}], "LastEvaluatedKey": {"job_id": {"S": "1"}}},
        {"Items": [{"job_id": {"S": "2"}}], "LastEvaluatedKey": {"job_id": {"S": "2"}}},
        {"Items": [{"job_id": {"S": "3"}}]},
    ]
    asked: list[dict[str, Any]] = []
    desk.client._make_api_call = lambda _, params: asked.append(dict(params)) or pages[len(asked) - 1]

    found = desk.jobs.in_state("WAITING")
    first = next(found)
    assert (first, len(asked)) == ("1", 1)

    assert list(found) == ["2", "3"]
    assert [params.get("ExclusiveStartKey") for params in asked] == [
        None,
        {"job_id": {"S": "1"}},
        {"job_id": {"S": "2"}},
    ]
    assert {(params["TableName"], params["IndexName"]) for params in asked} == {("jobs", "ByState")}


def test_a_job_is_read_consistently(desk: Desk) -> None:
    asked: list[dict[str, Any]] = []
    desk.client._make_api_call = lambda _, params: asked.append(params) or {}

    assert desk.jobs.get("unknown") is None

    assert asked == [{"TableName": "jobs", "Key": {"job_id": {"S": "unknown"}}, "ConsistentRead": True}]


def test_numbers_come_back_as_numbers_of_python(desk: Desk) -> None:
    job = replace(desk.waiting(), job_id="another", start_errors=1, suspicions=2, polls=3, detections=4)
    desk.jobs.register(job)

    found = desk.get(job)

    numbers = (found.size, found.attempt, found.start_errors, found.suspicions, found.polls, found.detections)
    assert [type(number) for number in numbers] == [int] * 6


def test_another_attempt_is_not_held_to_have_started_or_ended(desk: Desk) -> None:
    job = desk.claimed()
    desk.jobs.release_stale(job)
    desk.jobs.mark_slot_freed(job.job_id, "r")

    desk.jobs.try_again(desk.get(job), "forgotten", 0)

    assert (desk.get(job).maybe_started, desk.get(job).slot_freed_at) == (False, None)


def test_each_write_names_the_table_and_asks_for_what_became_of_the_item(desk: Desk) -> None:
    job = desk.claimed()
    asked: list[tuple[str, dict[str, Any]]] = []
    make = desk.client._make_api_call
    desk.client._make_api_call = lambda operation, params: asked.append((operation, params)) or make(operation, params)

    desk.jobs.register(replace(job, job_id="another"))
    desk.jobs.note_limit_cleared()
    desk.jobs.remove(job)

    assert [(operation, params["TableName"]) for operation, params in asked] == [
        ("PutItem", "jobs"),
        ("UpdateItem", "jobs"),
        ("DeleteItem", "jobs"),
    ]
    assert asked[1][1]["ReturnValues"] == "ALL_NEW"
    assert asked[1][1]["UpdateExpression"].strip() == "REMOVE #refused_at"


class TestConverting:
    """Jobs that wait for a converted copy of their video."""

    def test_a_claimed_job_waits_for_a_copy_and_comes_back_to_its_position(self, desk: Desk) -> None:
        job = desk.claimed()

        waits = desk.jobs.convert(job, "its codec is hevc")
        assert waits is not None
        assert (waits.state, waits.conversions, waits.due_at, waits.reason) == (
            "CONVERTING",
            1,
            desk.now,
            "its codec is hevc",
        )
        begun = desk.jobs.note_conversion(waits, 1, "mc-1", look_at=desk.clock.now() + 120)
        assert begun is not None
        back = desk.jobs.converted(begun, "converted/x/1.mp4")

        assert back is not None
        assert (back.state, back.position, back.due_at) == ("WAITING", job.position, job.position)
        assert (back.source_key, back.attempt, back.reason) == ("converted/x/1.mp4", 1, None)

    def test_a_job_that_another_invocation_has_started_is_not_taken_from_it(self, desk: Desk) -> None:
        job = desk.claimed()
        desk.jobs.started(job, "r", poll_at=desk.clock.now() + 120)

        assert desk.jobs.convert(job, "its codec is hevc") is None

        assert desk.get(job).state == "RUNNING"

    def test_a_job_that_rekognition_could_not_read_gets_another_attempt(self, desk: Desk) -> None:
        waits = desk.jobs.convert(desk.running(), "Unsupported codec/format.")

        assert waits is not None
        assert (waits.attempt, waits.rekognition_job_id, waits.past_rekognition_job_ids) == (2, None, ["r"])

    def test_so_does_one_whose_start_may_have_been_accepted(self, desk: Desk) -> None:
        job = desk.claimed()
        desk.jobs.release_stale(job)
        again = desk.jobs.claim(job.job_id)
        assert again is not None

        waits = desk.jobs.convert(again, "its codec is hevc")

        assert waits is not None
        assert (waits.attempt, waits.maybe_started) == (2, False)

    def test_another_conversion_has_another_number_and_what_is_said_of_the_former_is_refused(self, desk: Desk) -> None:
        waits = desk.jobs.convert(desk.claimed(), "its codec is hevc")
        assert waits is not None

        again = desk.jobs.convert_again(waits, "internal error", 60, failed=True)

        assert again is not None
        assert (again.conversions, again.conversion_id, again.start_errors) == (2, None, 1)
        assert again.due_at == desk.at(60)
        assert desk.jobs.note_conversion(waits, 1, "mc-1", look_at=0) is None
        assert desk.jobs.converted(waits, "converted/x/1.mp4") is None
        assert desk.jobs.look_later(waits, "throttled", look_at=0) is None

    def test_it_can_end_as_rejected_or_failed(self, desk: Desk) -> None:
        first = desk.jobs.convert(desk.claimed(), "its codec is hevc")
        second = desk.jobs.convert(desk.claimed(key="y.mp4"), "its codec is hevc")
        assert first is not None
        assert second is not None

        assert desk.jobs.reject(first, "the object was replaced")
        assert desk.jobs.fail(second, "no video in it")

        assert (desk.get(first).state, desk.get(second).state) == ("REJECTED", "FAILED")
