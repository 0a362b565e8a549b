"""make histories-planted: bugs put into the real code one at a time, and which promise catches each, how soon.

A machine that finds nothing proves nothing until it is seen to find something.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from bench import report
from lambdas.aws import multipart as streams, rekognition as rekognition_module, videos as videos_module
from lambdas.aws.job_table import Jobs
from lambdas.aws.videos import Videos
from lambdas.logic import collector as collecting, results, scheduler as scheduler_module
from lambdas.logic.polling import Poller
from lambdas.model import analyses
from lambdas.model.job import Job
from tests.histories.__main__ import profile
from tests.histories.machine import Histories
from tests.histories.promises import COMPLETE, CONSERVING, ENDS, JUST, NEWEST, NO_WORK, ONE_START, STAYS, Broken

MOST = 3000  # histories until a bug counts as missed


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug to plant, and the promises that may catch it."""

    name: str
    target: Any
    attribute: str
    replacement: Any
    breaks: tuple[str, ...]


def _without_condition(method: Callable[..., Any]) -> Callable[..., Any]:
    """A write of the table without its condition."""

    def unconditional(self: Jobs, *arguments: Any, **named: Any) -> Any:
        update = self._update
        with patch.object(Jobs, "_update", lambda _, item_id, changes, when="", **values: update(item_id, changes)):
            return method(self, *arguments, **named)

    return unconditional


def _out_of_line(self: Jobs, job: Job) -> None:
    """release that takes the place away: WAITING, and in no index."""
    self._update(job.job_id, {**self._state("WAITING"), "due_at": None})


def _token_of_the_moment(self: Job) -> str:
    """A token that is new each time, as uuid4() would be."""
    return analyses._digest([self.job_id, next(_moments)])


_moments = iter(range(10**9))


def _state_without_flush(self: streams.GzipStream) -> dict[str, Any]:
    """A checkpoint that forgets what the compressor still holds."""
    return {"checksum": self._checksum, "length": self._length, **self.stream.state()}


def _resume_at_page_one(original: Callable[..., Any]) -> Callable[..., Any]:
    """Going on at page one, behind what is there."""

    def resume(self: results.Results, job: Job, first: Any) -> Any:
        writing = original(self, job, first)
        if job.checkpoint:
            writing.next_token, writing.pages = None, 0
        return writing

    return resume


def _pages_without_the_last(self: Any, job: Any, rekognition_job_id: str, first: Any, patiently: Any) -> Iterator[Any]:
    """Only as many pages as one sees in a test: the first three."""
    page = first
    for _ in range(2):
        if not page.next_token:
            break
        yield page
        page = self.page(job, rekognition_job_id, page.next_token)
    yield replace(page, next_token=None)


def _tick_that_does_not_ask(self: Poller, enough_time: Any) -> None:
    """Nobody asks after jobs whose notification was lost."""


def _one_start_a_tick(original: Callable[..., Any]) -> Callable[..., Any]:
    """A tick that starts one job instead of starting until refused."""

    def fill(self: scheduler_module.Scheduler, most: int | None, *more: Any) -> Any:
        return original(self, most or 1, *more)

    return fill


def _blind(self: Videos, job: Job) -> None:
    """Start whatever lies under the key now."""


def _whatever_is_told(self: collecting.Collector, job: Job, finished: Any) -> str | None:
    """_which() without a look at what became of the job meanwhile."""
    return finished.rekognition_job_id or job.rekognition_job_id


def _no_token_for_another_attempt(self: Job) -> str:
    """A token that doesn't know of attempts."""
    return analyses.attempt_token(self.job_id, 1)


BUGS = (
    Bug("claim without its condition", Jobs, "claim", _without_condition(Jobs.claim), (ONE_START, STAYS, ENDS)),
    Bug("release drops the job", Jobs, "release", _out_of_line, (ENDS, CONSERVING)),
    Bug("a random token", Job, "token", property(_token_of_the_moment), (ONE_START,)),
    Bug("a token without the attempt", Job, "token", property(_no_token_for_another_attempt), (ENDS, ONE_START)),
    Bug("publish without looking who is there", results, "_newer", lambda holder, job: False, (NEWEST,)),
    Bug("a checkpoint without the compressor's rest", streams.GzipStream, "state", _state_without_flush, (COMPLETE,)),
    Bug(
        "going on begins at page one again",
        results.Results,
        "resume",
        _resume_at_page_one(results.Results.resume),
        (COMPLETE,),
    ),
    Bug("the first three pages only", rekognition_module.Rekognition, "pages", _pages_without_the_last, (COMPLETE,)),
    Bug(
        "nobody asks after lost notifications",
        Poller,
        "poll_silent_jobs",
        _tick_that_does_not_ask,
        (ENDS,),
    ),
    Bug(
        "a tick starts one job",
        scheduler_module.Scheduler,
        "_fill",
        _one_start_a_tick(scheduler_module.Scheduler._fill),
        (CONSERVING,),
    ),
    Bug(
        "started is written unconditionally", Jobs, "started", _without_condition(Jobs.started), (STAYS, ENDS, COMPLETE)
    ),
    Bug("every notification is believed", collecting.Collector, "_which", _whatever_is_told, (STAYS, ONE_START)),
    Bug("the empty are not turned away", videos_module, "wrong_size", lambda size: None, (NO_WORK, JUST)),
)


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The bug is in the code."""
    with patch.object(bug.target, bug.attribute, bug.replacement):
        yield


def hunt(bug: Bug | None, histories: int = MOST) -> tuple[str | None, int]:
    """The promise that the bug breaks first, and in which history; None if it gets through."""
    count = 0

    class Counted(Histories):
        def __init__(self) -> None:
            nonlocal count
            count += 1
            super().__init__()

    try:
        if bug is None:
            run_state_machine_as_test(seed(0)(Counted), settings=profile(histories, shrink=False))
        else:
            with planted(bug):
                run_state_machine_as_test(seed(0)(Counted), settings=profile(histories, shrink=False))
    except Broken as broken:
        return broken.promise, count
    return None, count


def main() -> int:
    """Plant each."""
    found = []
    with report.progress() as bar:
        task = bar.add_task("bugs", total=len(BUGS))
        for bug in BUGS:
            bar.update(task, description=bug.name)
            found.append((bug, *hunt(bug)))
            bar.advance(task)
    report.show(
        "Planted bugs",
        ["bug", "after histories", "promise that broke"],
        [(bug.name, count, promise or "NOT CAUGHT") for bug, promise, count in found],
    )
    caught = sum(promise is not None for _, promise, _ in found)
    document = {bug.name: {"promise": promise, "histories": count} for bug, promise, count in found}
    (report.RESULTS / "planted.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"{caught} of {len(BUGS)} caught")
    return 0 if caught == len(BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
