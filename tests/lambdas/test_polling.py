"""What a tick does about jobs of which nothing was heard: ask, or release a claim that came to nothing."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from lambdas.logic.polling import FIRST_POLL, LONGEST_POLL, Poller
from lambdas.model.events import ask_again
from lambdas.model.job import Job
from tests.lambdas.test_job_table import LEASE, Desk


class Queue:
    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def send(self, bodies: Iterable[str]) -> None:
        self.sent.append(list(bodies))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def queue() -> Queue:
    return Queue()


def poll(desk: Desk, queue: Queue, starts: int = 10**6) -> int:
    """How many claims were released by a poller that has time for so many jobs."""
    times = iter(range(starts))
    return Poller(desk.jobs, queue, desk.clock).poll_silent_jobs(lambda: next(times, None) is not None)


def test_a_running_job_is_asked_about_once_it_is_overdue(desk: Desk, queue: Queue) -> None:
    job = desk.running()
    desk.clock.seconds += 119
    assert (poll(desk, queue), queue.sent) == (0, [])

    desk.clock.seconds += 1
    assert poll(desk, queue) == 0

    assert queue.sent == [[ask_again(job.job_id, "overdue")]]
    assert desk.get(job).polls == 1


def test_it_is_asked_about_less_and_less_often(desk: Desk, queue: Queue) -> None:
    job, waits = desk.running(), []
    for _ in range(14):
        desk.clock.seconds += LONGEST_POLL
        poll(desk, queue)
        waits.append(desk.get(job).due_at)
        assert desk.get(job).due_at == desk.at(min(FIRST_POLL * 2 ** len(waits), LONGEST_POLL))

    assert (FIRST_POLL, LONGEST_POLL) == (120, 600)
    assert len(queue.sent) == 14


def test_a_job_whose_collector_died_is_asked_about_when_its_lease_is_over(desk: Desk, queue: Queue) -> None:
    job = desk.collecting()
    desk.clock.seconds += LEASE

    poll(desk, queue)

    assert queue.sent == [[ask_again(job.job_id, "overdue")]]


def test_messages_go_ten_a_call(desk: Desk, queue: Queue) -> None:
    for number in range(23):
        desk.running(key=str(number))
    desk.clock.seconds += 1000

    poll(desk, queue)

    assert [len(bodies) for bodies in queue.sent] == [10, 10, 3]


def test_no_more_is_begun_when_time_is_over_and_what_was_begun_is_sent(desk: Desk, queue: Queue) -> None:
    for number in range(5):
        desk.running(key=str(number))
    desk.clock.seconds += 1000

    poll(desk, queue, starts=3)

    assert [len(bodies) for bodies in queue.sent] == [3]


def test_a_claim_whose_function_never_came_back_is_released_and_may_have_started(desk: Desk, queue: Queue) -> None:
    jobs = [desk.claimed(key=key) for key in "ab"]
    desk.clock.seconds += 121

    assert poll(desk, queue) == 2

    assert queue.sent == []
    assert [(desk.get(job).state, desk.get(job).maybe_started) for job in jobs] == [("WAITING", True)] * 2
    assert poll(desk, queue) == 0


def test_a_poller_counts_each_time_anew(desk: Desk, queue: Queue) -> None:
    poller = Poller(desk.jobs, queue, desk.clock)
    counts = []
    for _ in range(2):
        desk.claimed(key=str(desk.clock.seconds))
        desk.clock.seconds += 121
        counts.append(poller.poll_silent_jobs(lambda: True))

    assert counts == [1, 1]


@pytest.mark.parametrize("changes", [None, {"state": "WAITING"}, {"due_at": "2100-01-01T00:00:00.000Z"}])
def test_what_an_index_that_trails_still_lists_is_left(
    desk: Desk, queue: Queue, changes: dict[str, Any] | None
) -> None:
    job = desk.running()
    desk.clock.seconds += 1000
    now: Job | None = None if changes is None else replace(desk.get(job), **changes)
    patched: Any = desk.jobs
    patched.get = lambda _: now
    patched.note_poll = lambda *_, **__: True

    assert poll(desk, queue) == 0

    assert queue.sent == []


def test_what_is_due_this_very_moment_is_asked_about(desk: Desk, queue: Queue) -> None:
    job = desk.running()
    patched: Any = desk.jobs
    patched.get = lambda _: replace(job, due_at=desk.now)
    desk.clock.seconds += 1000
    patched.note_poll = lambda *_, **__: True

    poll(desk, queue)

    assert len(queue.sent) == 1


def test_what_another_tick_asks_about_is_not_asked_about_twice(desk: Desk, queue: Queue) -> None:
    desk.running()
    desk.clock.seconds += 1000
    patched: Any = desk.jobs
    patched.note_poll = lambda *_, **__: False

    poll(desk, queue)

    assert queue.sent == []
