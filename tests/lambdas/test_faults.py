"""What becomes of a claimed job with a fault, of the scope it is in, and who is told of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from lambdas.logic.faults import Faults
from lambdas.model.blocking import OWN_FAULT_AFTER, Scope, scopes_in
from lambdas.model.errors import AccountFault, EventRefused
from lambdas.model.job import Job
from tests.lambdas.test_enqueue import NEWER, Office

ONE_VIDEOS = AccountFault("videos", "Forbidden")  # perhaps
THE_ACCOUNTS = AccountFault("videos", "AccessDenied", certain=True)


class Watch(Office):
    """The table, the enqueuer, and a bus that takes what is told, but for the events and the scopes in `unheard`."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.unheard: set[str | None] = set()

    def tell(self, what: str, **detail: Any) -> None:
        if {what, detail.get("scope")} & self.unheard:
            raise EventRefused("not now")
        self.told.append((what, detail))

    def faults(self) -> Faults:
        """The faults, as a new invocation reads them."""
        return Faults(self.jobs, self, self.clock, self.enqueuer, self.jobs.scheduler())

    def know(self, **scopes: Scope) -> None:
        self.jobs.note_scopes(lambda _: scopes)

    def scopes(self) -> Mapping[str, Scope]:
        return scopes_in(self.jobs.scheduler())

    def suspect(self, key: str) -> Job:
        """A job that was rejected as one of the scope ``videos``."""
        job = self.claimed(key=key)
        self.faults().blame(job, ONE_VIDEOS)
        assert self.get(job).state == "REJECTED"
        return self.get(job)

    def suspected_often(self, times: int) -> Job:
        """A claimed job that was rejected as a suspect so many times before, always while others succeeded."""
        job = self.claimed()
        for _ in range(times):
            self.faults().blame(job, ONE_VIDEOS)
            self.clock.seconds += 1
            self.faults().clear("videos")
            claimed = self.jobs.claim(job.job_id)
            assert claimed is not None
            job = claimed
        return job


@pytest.fixture
def watch() -> Watch:
    return Watch()


class TestAFaultOfTheAccount:
    def test_blocks_its_scope_at_once_is_announced_and_keeps_the_jobs_position(self, watch: Watch) -> None:
        job, now = watch.claimed(), watch.now

        watch.faults().blame(job, THE_ACCOUNTS)

        assert (watch.get(job).state, watch.get(job).due_at) == ("WAITING", job.position)
        assert watch.told == [("Starting Blocked", {"scope": "videos", "since": now, "reason": "AccessDenied"})]
        assert watch.scopes()["videos"].told

    def test_is_logged_as_an_error(self, watch: Watch, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
        watch.faults().blame(watch.claimed(), THE_ACCOUNTS)

        [line] = [line for line in log_lines() if line["level"] == "ERROR"]
        assert (line["scope"], line["reason"]) == ("videos", "AccessDenied")

    def test_is_never_held_against_a_job_that_had_faults_of_its_own(self, watch: Watch) -> None:
        job = watch.suspected_often(OWN_FAULT_AFTER)

        watch.faults().blame(job, THE_ACCOUNTS)

        assert watch.get(job).state == "WAITING"
        assert watch.faults().blocked == {"videos"}

    def test_puts_the_suspects_of_its_scope_back(self, watch: Watch) -> None:
        suspect = watch.suspect("a.mp4")

        watch.faults().blame(watch.claimed(), THE_ACCOUNTS)

        assert watch.get(suspect).state == "WAITING"


class TestAFaultThatMayBeTheVideosOwn:
    def test_is_the_videos_after_the_second_time_that_others_succeeded_meanwhile(self, watch: Watch) -> None:
        job = watch.suspected_often(OWN_FAULT_AFTER)

        watch.faults().blame(job, ONE_VIDEOS)

        assert (watch.get(job).state, watch.get(job).suspected_in) == ("REJECTED", None)
        assert watch.scopes()["videos"].suspects == ()

    def test_is_not_before(self, watch: Watch) -> None:
        job = watch.suspected_often(OWN_FAULT_AFTER - 1)

        watch.faults().blame(job, ONE_VIDEOS)

        assert (watch.get(job).state, watch.get(job).suspected_in) == ("REJECTED", "videos")
        assert watch.scopes()["videos"].suspects == (job.job_id,)

    def test_is_not_where_nothing_has_succeeded_since(self, watch: Watch) -> None:
        job = watch.suspected_often(OWN_FAULT_AFTER)
        watch.know(videos=Scope())

        watch.faults().blame(job, ONE_VIDEOS)

        assert watch.get(job).suspected_in == "videos"

    def test_leaves_a_job_waiting_that_was_uploaded_again_in_this_moment(self, watch: Watch) -> None:
        job = watch.claimed()
        watch.jobs.uploaded_again(job.job_id, NEWER)

        watch.faults().blame(job, ONE_VIDEOS)

        assert watch.get(job).state == "WAITING"

    def test_rejects_nothing_where_another_invocation_blocked_the_scope_in_this_moment(self, watch: Watch) -> None:
        job, faults = watch.claimed(), watch.faults()
        reject = watch.enqueuer.reject

        def meanwhile(*arguments: Any, **named: Any) -> bool:
            # The other requeues the scope's suspects now, and this one is not REJECTED yet.
            watch.faults().blame(watch.claimed(key="y.mp4"), THE_ACCOUNTS)
            return reject(*arguments, **named)

        patched: Any = watch.enqueuer
        patched.reject = meanwhile
        faults.blame(job, ONE_VIDEOS)

        assert watch.get(job).state == "WAITING"

    def test_is_noted_for_this_invocation(self, watch: Watch) -> None:
        faults = watch.faults()
        assert faults.met == 0

        for key in ("a.mp4", "b.mp4"):
            faults.blame(watch.claimed(key=key), ONE_VIDEOS)

        assert faults.met == 2


class TestAFaultOfConverting:
    FAULT = AccountFault("conversion", "AccessDenied", certain=True)

    def converting(self, watch: Watch, key: str = "x.mp4") -> Job:
        job = watch.jobs.convert(watch.claimed(key=key), "its codec is hevc")
        assert job is not None
        return job

    def test_blocks_converting_and_no_start(self, watch: Watch) -> None:
        job = self.converting(watch)
        faults = watch.faults()
        assert not faults.conversion_blocked

        faults.blame(job, self.FAULT)

        assert (faults.conversion_blocked, set(faults.blocked)) == (True, set())
        assert watch.get(job).state == "CONVERTING"
        assert [event["scope"] for _, event in watch.told] == ["conversion"]

    def test_that_may_be_the_videos_own_rejects_nothing_where_converting_was_blocked_in_this_moment(
        self, watch: Watch
    ) -> None:
        job, faults = self.converting(watch), watch.faults()
        reject = watch.enqueuer.reject

        def meanwhile(*arguments: Any, **named: Any) -> bool:
            watch.faults().blame(self.converting(watch, "y.mp4"), self.FAULT)
            return reject(*arguments, **named)

        patched: Any = watch.enqueuer
        patched.reject = meanwhile
        faults.blame(job, AccountFault("conversion", "Forbidden"))

        assert watch.get(job).state == "WAITING"

    def test_leaves_suspects_that_go_back_once_converting_is_blocked(self, watch: Watch) -> None:
        job = self.converting(watch)
        watch.faults().blame(job, AccountFault("conversion", "Forbidden"))
        assert watch.get(job).state == "REJECTED"
        watch.jobs.note_scopes(lambda known: {"conversion": known["conversion"].block("no", watch.clock.now())})

        watch.faults().requeue_suspects()

        assert watch.get(job).state == "WAITING"


class TestBlockingForAnotherReason:
    def test_is_announced_and_logged_as_an_error(
        self, watch: Watch, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        watch.faults().block("results", "they wait")

        [(what, event)] = watch.told
        assert (what, event["scope"], event["reason"]) == ("Starting Blocked", "results", "they wait")
        assert [line["scope"] for line in log_lines() if line["level"] == "ERROR"] == ["results"]
        assert watch.faults().blocked == {"results"}

    def test_keeps_what_is_known_of_the_scope_and_of_others(self, watch: Watch) -> None:
        watch.know(results=Scope(tolerance=12, suspects=("one",)), videos=Scope(suspects=("other",)))

        watch.faults().block("results", "they wait")

        assert (watch.scopes()["results"].tolerance, watch.scopes()["videos"].suspects) == (12, ("other",))


class TestASuccess:
    def test_opens_its_scopes_only_and_says_so(self, watch: Watch) -> None:
        watch.know(videos=Scope().block("no", 0), results=Scope().block("no", 0))

        watch.faults().clear("videos", "face-detection")

        assert watch.faults().blocked == {"results"}
        assert watch.told == [
            ("Starting Unblocked", {"scope": "videos", "since": "1970-01-01T00:00:00.000Z", "reason": "no"})
        ]

    def test_puts_the_suspects_of_a_scope_back_that_is_not_blocked_without_an_announcement(self, watch: Watch) -> None:
        suspect = watch.suspect("a.mp4")

        watch.faults().clear("videos")

        assert watch.get(suspect).state == "WAITING"
        assert watch.told == []

    def test_tells_nothing_of_a_scope_that_another_invocation_opened_first(self, watch: Watch) -> None:
        watch.know(videos=Scope().block("no", 0))
        faults, note = watch.faults(), watch.jobs.note_scopes

        def beaten(decide: Callable[[Mapping[str, Scope]], Mapping[str, Scope]]) -> Mapping[str, Scope]:
            def meanwhile(known: Mapping[str, Scope]) -> Mapping[str, Scope]:
                decided = decide(known)
                note(lambda _: {})
                return decided

            return note(meanwhile)

        patched: Any = watch.jobs
        patched.note_scopes = beaten
        faults.clear("videos")

        assert watch.told == []


class TestWhatAnInvocationThatDiedLeft:
    def test_suspects_of_a_blocked_scope_go_back(self, watch: Watch) -> None:
        suspect = watch.suspect("a.mp4")
        watch.jobs.note_scopes(lambda known: {"videos": known["videos"].block("no", watch.clock.now())})

        watch.faults().requeue_suspects()

        assert watch.get(suspect).state == "WAITING"

    def test_suspects_of_a_scope_that_is_not_blocked_stay_rejected(self, watch: Watch) -> None:
        suspect = watch.suspect("a.mp4")

        watch.faults().requeue_suspects()

        assert watch.get(suspect).state == "REJECTED"

    def test_a_block_is_announced_until_the_bus_takes_it_and_then_no_more(self, watch: Watch) -> None:
        watch.know(videos=Scope().block("no", 0), results=Scope().block("late", 0))
        watch.unheard = {"videos"}
        watch.faults().announce()
        assert [event["scope"] for _, event in watch.told] == ["results"]

        watch.unheard = set()
        watch.faults().announce()
        watch.faults().announce()

        assert [event["scope"] for _, event in watch.told] == ["results", "videos"]

    def test_a_block_that_another_invocation_ended_while_it_was_announced_is_over(self, watch: Watch) -> None:
        watch.know(videos=Scope().block("no", watch.clock.now()))
        faults = watch.faults()
        watch.know(videos=replace(Scope(), suspects=("one",)))

        faults.announce()

        assert watch.scopes()["videos"] == Scope(suspects=("one",))
