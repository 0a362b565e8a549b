"""The machine that generates histories, and what it may do in each step."""

import io
import sys
from contextlib import ExitStack, redirect_stdout
from typing import Any
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lambdas.aws import multipart as streams, rekognition as rekognition_module
from lambdas.aws.queue import QueueRefused
from lambdas.aws.telemetry import logger
from rekognition_local import Faults, Simulated
from rekognition_local.engines import Work
from rekognition_local.faults import Script
from tests.fake_aws import s3_record
from tests.fast_fake.world import StandInWorld, standin_world
from tests.histories.promises import ENDS, QUIET, Broken, Truth, Upload, Watch, hold
from tests.histories.trouble import AtOnce, Crash, Plan, Trouble

KEYS = ("a.mp4", "a.mp4", "b.mp4")
CONTENTS = (b"1", b"1", b"22", b"22", b"333", b"4444", b"")
# By size of the content: what its job takes (seconds) and finds. Pages hold 10 rows here, and parts 6,000 bytes.
SECONDS = {0: 1.0, 1: 1.0, 2: 45.0, 3: 400.0, 4: 5.0}
DETECTIONS = {0: 0, 1: 0, 2: 7, 3: 45, 4: 120}
PAGE_ROWS, PART = 10, 6000

MEANWHILE = ("tick", "uploads", "slot", "finished", "upload")

_somewhere = st.one_of(st.integers(1, 10), st.integers(1, 40))
plans = st.one_of(
    st.none(),
    st.builds(Plan, at=_somewhere, kind=st.sampled_from(("crash before", "crash after"))),
    st.builds(Plan, at=_somewhere, kind=st.sampled_from(("error before", "error after"))),
    st.builds(
        Plan,
        at=_somewhere,
        kind=st.just("meanwhile"),
        meanwhile=st.sampled_from(MEANWHILE),
        choice=st.integers(0, 30),
    ),
)
some = st.integers(0, 5)
chances = st.sampled_from((0.0, 0.0, 0.3))


class Histories(RuleBasedStateMachine):
    """One history. Ends with a drain: troubles off, everything delivered, until all is at rest."""

    can_lag = True  # whether the table's indexes can be told to stay behind

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.broken = True  # until there is something to end well

    @initialize(
        max_running=st.integers(1, 3),
        cap=st.sampled_from((0, 0, 0, 1)),
        page_seconds=st.sampled_from((0.1, 12.0)),
        seed=st.integers(0, 1000),
        passing=chances,
        lasting=chances,
        dropped=chances,
        late=chances,
        twice=chances,
    )
    def begin(self, max_running: int, cap: int, page_seconds: float, seed: int, **chance: float) -> None:
        """A world of its own for each history."""
        faults = Faults.off(
            max_running=max_running,
            seed=seed,
            fail_passing=chance["passing"],
            fail_lasting=chance["lasting"],
            notify_dropped=chance["dropped"],
            notify_late=chance["late"],
            notify_twice=chance["twice"],
        )
        logger.setLevel("CRITICAL")
        self._stack.callback(logger.setLevel, "INFO")
        self._stack.enter_context(redirect_stdout(io.StringIO()))  # metrics
        self._stack.enter_context(patch.object(rekognition_module, "ThreadPoolExecutor", AtOnce))
        self._stack.enter_context(patch.object(rekognition_module, "PAGE_ROWS", PAGE_ROWS))
        self._stack.enter_context(patch.object(streams, "PART", PART))
        engine = Simulated(seconds=_seconds, detections=_detections)
        self.trouble: Trouble = Trouble(None, self._meanwhile, page_seconds)  # type: ignore[arg-type]
        self.world = self._world(engine, faults, cap)
        self.trouble.clock = self.world.clock
        self.truth = Truth()
        self.watch = Watch(self.world, self.truth, cap)
        self.paused = False
        self.uploads: list[dict[str, Any]] = []  # S3's records, in the uploads queue
        self.slots: list[str] = []  # notifications on their way to the starting function
        self.finished: list[str] = []  # in the finished queue
        self.broken = False

    def _world(self, engine: Any, faults: Faults, cap: int) -> StandInWorld:
        return self._stack.enter_context(
            standin_world(engine, faults, wrap=self.trouble.wrap, MAX_RUNNING_JOBS=str(cap))
        )

    # what people do

    @rule(key=st.sampled_from(KEYS), content=st.sampled_from(CONTENTS), copies=st.sampled_from((1, 1, 2)))
    def upload(self, key: str, content: bytes, copies: int) -> None:
        """A new video, the same again, or another under the same key."""
        etag = self.world.s3.put_object(Bucket="videos", Key=key, Body=content)["ETag"]
        self.world.sequence += 1
        done = Upload(key, etag.strip('"'), len(content), self.world.sequence)
        self.truth.uploads.append(done)
        self.truth.standing[key] = done
        self.uploads += [s3_record("videos", key, etag, len(content), done.sequence)] * copies

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        """The video goes."""
        self.world.s3.delete_object(Bucket="videos", Key=key)
        self.truth.standing.pop(key, None)

    # what AWS delivers

    @precondition(lambda self: self.uploads)
    @rule(at=some, batch=st.integers(1, 3), again=st.booleans(), plan=plans)
    def hear(self, at: int, batch: int, again: bool, plan: Plan | None = None) -> None:
        """A batch of uploads, in any order, perhaps once more later."""
        at %= len(self.uploads)
        taken, self.uploads = self.uploads[at : at + batch], self.uploads[:at] + self.uploads[at + batch :]
        answer = self._invoke(lambda: self.world.hear(*taken), plan, 60)
        failed = (
            range(len(taken)) if answer is None else [int(f["itemIdentifier"]) for f in answer["batchItemFailures"]]
        )
        self.uploads += taken if again else [taken[number] for number in failed]
        if plan is None:
            hold(QUIET, not failed, f"sent back {taken}")

    @precondition(lambda self: self.slots)
    @rule(at=some, again=st.booleans(), plan=plans)
    def hear_of_a_slot(self, at: int, again: bool, plan: Plan | None = None) -> None:
        """A notification to the starting function. If that fails, Lambda would repeat it; the tick heals it too."""
        message = self.slots.pop(at % len(self.slots))
        self._invoke(lambda: self.world.slot_free(message), plan, 60)
        if again:
            self.slots.append(message)

    @precondition(lambda self: self.finished)
    @rule(at=some, again=st.booleans(), seconds=st.sampled_from((40.0, 75.0, 300.0)), plan=plans)
    def hear_of_an_end(self, at: int, again: bool, seconds: float, plan: Plan | None = None) -> None:
        """A message to the collecting function, which may have little time."""
        message = self.finished.pop(at % len(self.finished))
        answer = self._invoke(lambda: self.world.collect(message, seconds), plan, seconds)
        if again or answer is None or answer["batchItemFailures"]:
            self.finished.append(message)

    @precondition(lambda self: self.slots or self.finished)
    @rule(at=some)
    def lose(self, at: int) -> None:
        """A message never arrives."""
        messages = self.slots or self.finished
        messages.pop(at % len(messages))

    @rule(plan=plans)
    def tick(self, plan: Plan | None = None) -> None:
        """The minute is over."""
        calm = self._calm(plan)
        self._invoke(self.world.tick, plan, 60)
        if calm:
            self.watch.after_a_calm_tick(self.paused)

    def _calm(self, plan: Plan | None) -> bool:
        faults = self.world.rekognition.faults
        return (
            plan is None
            and not (self.can_lag and self.world.table.lagging)
            and not faults.outage
            and not len(self.world.rekognition._script)
        )

    # what goes wrong

    @rule(what=st.sampled_from(("pause", "outage", "lag")), on=st.booleans())
    def switch(self, what: str, on: bool) -> None:
        """Starting is paused; Rekognition is down; the table's indexes stay behind. Or no longer."""
        if what == "pause":
            self._pause(on)
        elif what == "outage":
            self.world.rekognition.set_faults({"outage": on})
        elif self.can_lag:
            self.world.table.lagging = on

    @rule(
        operation=st.sampled_from(("StartFaceDetection", "GetFaceDetection")),
        code=st.sampled_from(("ThrottlingException", "InternalServerError", "ProvisionedThroughputExceededException")),
        times=st.sampled_from((1, 1, 2, 9)),
        carried_out=st.booleans(),
    )
    def refuse(self, operation: str, code: str, times: int, carried_out: bool) -> None:
        """The next calls of Rekognition end in an error, though perhaps they were carried out."""
        if carried_out:
            self.watch.cap_may_slip = True  # a start whose answer was lost runs, and nobody can know
        self.world.rekognition.inject(operation, code, times=times, carried_out=carried_out)

    @rule(seconds=st.sampled_from((1.0, 10.0, 61.0, 61.0, 130.0, 600.0, 3700.0)))
    def time(self, seconds: float) -> None:
        """Time passes, without a tick."""
        self.world.pass_time(seconds)
        self._collect_messages()

    @precondition(lambda self: self.finished)
    @rule(days=st.sampled_from((1, 2, 8)))
    def days(self, days: int) -> None:
        """Days pass in which nothing is delivered but the tick."""
        if self.can_lag:
            self.world.table.lagging = False  # an index is behind by moments
        for _ in range(12 * days):
            self.world.pass_time(7201.0)
            self._collect_messages()
            self.tick()

    def _pause(self, paused: bool) -> None:
        """The operator's switch."""
        from lambdas import wiring

        if paused != self.paused:
            self.paused = paused
            self._invoke(lambda: wiring.jobs().pause(paused), None, 60)

    # how it is done

    def _invoke(self, work: Any, plan: Plan | None, seconds: float) -> Any:
        """Run a function; None if it died."""
        from tests.histories.trouble import Invocation

        if plan and plan.kind != "meanwhile":
            self.watch.cap_may_slip = True
        self.trouble.running.append(Invocation(plan, self.world.clock.now() + seconds))
        try:
            answer = work()
        except Crash:
            self.watch.cap_may_slip = True
            return None
        except (ClientError, BotoCoreError, QueueRefused) as error:
            hold(QUIET, self._troubled(), repr(error))
            return None
        except Broken:
            raise
        except Exception as error:
            raise Broken(QUIET, repr(error)) from error
        finally:
            self.trouble.running.pop()
            self._collect_messages()
        return answer

    def _troubled(self) -> bool:
        return any(invocation.plan for invocation in self.trouble.running)

    def _meanwhile(self, plan: Plan) -> None:
        """Somebody else gets in between two calls, perhaps after a while: a long one for a call, not for a network."""
        self.world.pass_time(3.0 * (plan.choice % 3))
        self._collect_messages()
        if plan.meanwhile == "tick":
            self._invoke(self.world.tick, None, 60)
        elif plan.meanwhile == "uploads" and self.uploads:
            self.hear(plan.choice, 1, False)
        elif plan.meanwhile == "slot" and self.slots:
            self.hear_of_a_slot(plan.choice, True)
        elif plan.meanwhile == "finished" and self.finished:
            self.hear_of_an_end(plan.choice, True, 75.0)
        elif plan.meanwhile == "upload":
            self.upload(KEYS[plan.choice % len(KEYS)], CONTENTS[plan.choice % len(CONTENTS)], 1)
            self.hear(len(self.uploads) - 1, 1, False)

    def _collect_messages(self) -> None:
        """Put what is on its way where it can be delivered from, in any order."""
        self.world.rekognition.run_due()
        while self.world.notifications:
            message = self.world.notifications.pop(0).message
            self.slots.append(message)
            self.finished.append(message)
        self.finished += self.world.messages()

    @invariant()
    def promises_hold(self) -> None:
        """After every step."""
        if not self.broken:
            self.broken = True
            self.watch.after_a_step()
            self.broken = False

    def teardown(self) -> None:
        """The troubles end, everything arrives, and all must come to rest."""
        try:
            if not self.broken and sys.exc_info()[0] is None:
                self._drain()
                self.watch.after_a_step()
                self.watch.at_the_end()
        finally:
            self._stack.close()

    def _drain(self) -> None:
        self.world.rekognition._script = Script()
        self.world.rekognition.set_faults({"outage": False})
        if self.can_lag:
            self.world.table.lagging = False
        self._pause(False)
        for minute in range(400):
            self._deliver_all()
            # For ten minutes as the clock has it, then faster: the longest anybody waits is an hour.
            self.world.pass_time(60 if minute < 10 else 400)
            self._collect_messages()
            self.tick()
            self._deliver_all()
            if all(job["state"] in ("SUCCEEDED", "FAILED", "REJECTED") for job in self.world.jobs()):
                return
            self.watch.after_a_step()
        raise Broken(ENDS, self.world.jobs())

    def _deliver_all(self) -> None:
        for _ in range(5000):
            if self.uploads:
                self.hear(0, 3, False)
            elif self.slots:
                self.hear_of_a_slot(0, False)
            elif self.finished:
                self.hear_of_an_end(0, False, 300.0)
            else:
                return
        raise Broken(ENDS, f"messages without end: {self.finished[:3]}")


def _seconds(work: Work) -> float:
    return SECONDS[work.size]


def _detections(work: Work) -> int:
    return DETECTIONS[work.size]
