"""The machine that generates histories, and what it may do in each step."""

import io
import json
import random
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lambdas import wiring
from lambdas.aws import multipart as streams, rekognition as rekognition_module
from lambdas.aws.telemetry import logger
from lambdas.model import analyses
from lambdas.model.analyses import CATALOGUE
from rekognition_local import Faults, Simulated
from rekognition_local.engines import Planned, Report, Work
from rekognition_local.faults import Script
from tests.fake_aws import eventbridge_event, s3_event, s3_record
from tests.fast_fake import dynamodb
from tests.fast_fake.rekognition import CALLER
from tests.fast_fake.world import StandInWorld, standin_world
from tests.histories.promises import CONSERVING, ENDS, FINAL, OUR_TOPIC, QUIET, Broken, Truth, Upload, Watch, hold
from tests.histories.settings import FACES, NONSENSE, PARAMETERS, TEXT, Choices
from tests.histories.trouble import (
    ARCHIVED,
    BAD,
    DISABLED_KEY,
    OWN_KEY,
    RIGHTS,
    AtOnce,
    BrokenWithin,
    Burst,
    Crash,
    HandlersClock,
    Invocation,
    Plan,
    Readable,
    Trouble,
)

KEYS = ("a.mp4", "a.mp4", "b c+d.mp4", "é.mp4", "x/a.mp4", "y/a.mp4")
CONTENTS = (b"1", b"1", b"22", b"22", b"333", b"4444", b"")
# By size of the content: what its job takes (seconds) and finds. Pages hold 10 rows here, and parts 6,000 bytes.
SECONDS = {0: 1.0, 1: 1.0, 2: 45.0, 3: 400.0, 4: 5.0}
DETECTIONS = {0: 0, 1: 0, 2: 7, 3: 45, 4: 120}
PAGE_ROWS, PART = 10, 6000

# How a video is uploaded: what its uploader asks for (in metadata, or in a tag), how it is encrypted, what is wrong.
PLAIN: dict[str, Any] = {}
KINDS: tuple[dict[str, Any], ...] = (
    *[PLAIN] * 9,
    {"kms": True},
    {"words": f"{TEXT} {FACES}"},
    {"words": TEXT},
    {"words": "none"},
    {"words": NONSENSE},
    {"words": TEXT, "by_tag": True},
    {"priority": "backfill"},
    {"priority": "backfill"},
    {"bad": OWN_KEY, "kms": True},
    {"bad": DISABLED_KEY, "kms": True},
    {"bad": ARCHIVED},
)

SETTINGS = (
    Choices(),
    Choices(uploads="both"),
    Choices((FACES, TEXT), uploads="metadata"),
    Choices((TEXT,), allowed=(TEXT,)),
    Choices((TEXT,), allowed=(FACES,), uploads="both"),
    Choices(cap=1),
    Choices((FACES, TEXT), cap=2),
    Choices(share_by="prefix:1"),
    Choices((FACES, TEXT), uploads="both", share_by="prefix:1", cap=2),
    Choices(minutes=1.0),
    Choices((FACES, TEXT), minutes=4.0, share_by="prefix:1"),
)

MEANWHILE = ("tick", "uploads", "slot", "finished", "upload", "again", "delete", "rights", "settings", "pause")
WRITES = ("PutObject", "UpdateItem", "Transact", "Complete")
OPERATIONS = ("", "", "Start", "Start", "HeadObject", "PutEvents", *WRITES, "Get", "Send")

# Drawn beforehand, from the simple to the rare: a history draws one of them, which is most of what generating costs.
_dice = random.Random(8)


# Moments that chance alone would seldom hit.
AIMED = (
    # A job is over before its start is on record.
    Plan(1, "meanwhile after", "Start", meanwhile="finished", choice=-1, seconds=2.0),
    # A video is uploaded again while its job is being rejected.
    Plan(1, "meanwhile", "PutEvents", meanwhile="again"),
    Plan(1, "in part", "Send"),
    Plan(1, "in part", "PutEvents"),
    # Another invocation claims what was just found.
    Plan(1, "meanwhile after", "Query", meanwhile="tick"),
    Plan(1, "meanwhile", "Transact", meanwhile="tick"),
    # A collector is so slow that another one takes over.
    Plan(3, "meanwhile", "Get", meanwhile="finished", choice=-1, seconds=100.0),
)

# While a collector writes a long video's results (in 37 calls, or 54 with checkpoints), another one is told of the same
# end. It takes its turn at once; or near the end, when the lease is over; or the first has little time left, or dies.
COLLECTING = (
    *(Plan(number, "meanwhile", meanwhile="finished") for number in range(1, 37, 3)),
    *(Plan(number, "meanwhile", meanwhile="finished", seconds=100.0) for number in range(22, 46)),
    *(Plan(number, "meanwhile", seconds=240.0) for number in range(4, 34, 3)),
    *(Plan(number, "crash after") for number in range(3, 45, 4)),
)


def _plan() -> Plan:
    somewhere = _dice.randint(1, _dice.choice((10, 40)))
    on = _dice.choice(OPERATIONS)
    what = _dice.random()
    if what < 0.45:
        kind: Any = _dice.choice(("crash before", "crash after", "error before", "error after"))
        return Plan(somewhere, kind, on, code=_dice.choice(("down", "down", "denied", "slow", "invalid")))
    if what < 0.8:
        kind = _dice.choice(("meanwhile", "meanwhile", "meanwhile after"))
        seconds = _dice.choice((0.0, 3.0, 6.0, 100.0))
        return Plan(somewhere, kind, on, "", _dice.choice(MEANWHILE), _dice.randint(0, 30), seconds)
    return _dice.choice(AIMED)


@dataclass(frozen=True, slots=True)
class Given:
    """What a history begins with.

    Attributes:
        call_seconds: that each call takes.
        page_seconds: that each page of results takes.
        skew: seconds that the collecting function's clock is ahead.
        may_crowd: whether there may be many uploads at once.
    """

    choices: Choices = SETTINGS[0]
    max_running: int = 1
    page_seconds: float = 0.1
    call_seconds: float = 0.02
    skew: float = 0.0
    versioning: bool = False
    may_crowd: bool = False
    faults: Mapping[str, float] = field(default_factory=dict)


CHANCES = ("fail_passing", "fail_lasting", "notify_dropped", "notify_late", "notify_twice")


def _given() -> Given:
    return Given(
        _dice.choice((*SETTINGS[:1] * 4, *SETTINGS)),
        _dice.choice((1, 2, 3, 25)),
        _dice.choice((0.1, 12.0)),
        _dice.choice((0.02, 0.02, 0.7)),
        _dice.choice((0.0, 0.0, -4.0, 4.0)),
        _dice.random() < 0.5,
        _dice.random() < 0.1,
        {"seed": _dice.randint(0, 1000), **{name: _dice.choice((0.0, 0.0, 0.3)) for name in CHANCES}},
    )


_plans: list[Plan | None] = [None] * 800 + [_plan() for _ in range(1600)]
_dice.shuffle(_plans)
plans = st.sampled_from([None, *_plans])
beginnings = st.sampled_from([Given(), *[_given() for _ in range(1500)]])
ways = st.sampled_from([(1, False), (1, True), (1, False), (1, True), (2, False), (2, True)])
some = st.integers(0, 5)


class Remembering(Simulated):
    """What it found once it does not look for again."""

    _found: ClassVar[dict[str, Planned | None]] = {}

    def begin(self, work: Work, report: Report) -> Planned | None:
        found = json.dumps((work.analysis.name, work.size, work.parameters), sort_keys=True)
        if found not in self._found:
            self._found[found] = super().begin(work, report)
        return self._found[found]


class Histories(RuleBasedStateMachine):
    """One history. Ends with a drain: troubles off, everything delivered, until all is at rest."""

    # What the world does not do to the handlers (yet). A bucket that stops keeping versions: the same content uploaded
    # then has no version, and its job stays with the former one.
    spared: frozenset[str] = frozenset({"suspended"})
    on_the_standin = True  # whose indexes lag, whose writes are watched, and whose S3 has conflicts and KMS keys

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.broken = True  # until there is something to end well

    @initialize(given=beginnings)
    def begin(self, given: Given) -> None:
        """A world of its own for each history."""
        faults = Faults.off(max_running=given.max_running, **given.faults)
        logger.setLevel("CRITICAL")
        self._stack.callback(logger.setLevel, "INFO")
        self._stack.enter_context(redirect_stdout(io.StringIO()))  # metrics
        self._stack.enter_context(patch.object(logger, "exception", self._logged))
        self._stack.enter_context(patch.object(logger, "error", self._remembered))
        self._stack.enter_context(patch.object(rekognition_module, "ThreadPoolExecutor", AtOnce))
        self._stack.enter_context(patch.object(rekognition_module, "PAGE_ROWS", PAGE_ROWS))
        self._stack.enter_context(patch.object(streams, "PART", PART))
        self._stack.enter_context(patch.object(dynamodb, "_size", lambda _: 0))  # no meter: it takes time
        engine = Remembering(seconds=_seconds, detections=_detections)
        self.trouble: Trouble = Trouble(None, self._meanwhile, given.page_seconds, given.call_seconds)
        self.truth = Truth(epochs=[given.choices])
        self.world = self._world(engine, faults)
        self.trouble.clock = self.world.clock
        clock = HandlersClock(self.world.clock, self.trouble.running)
        self._stack.enter_context(patch.object(wiring, "clock", lambda: clock))
        self.world.rekognition.objects = Readable(self.world.rekognition.objects, self.trouble.revoked)
        self.watch = Watch(self.world, self.truth, self.trouble)
        self.watch.most_slots = given.max_running
        self.trouble.observe = self.watch.before_a_call
        self.trouble.refuse_event = self._refuse_event
        if self.on_the_standin:
            self.watch.sees_writes = True
            self.world.watch_writes(self.watch.written)
        self.skew = 0.0 if "skew" in self.spared else given.skew  # of the collecting function's clock
        self.versioning = False
        if given.versioning:
            self._version(True)
        self.may_crowd = given.may_crowd
        self.paused = self.waited = False
        self.uploads: list[tuple[dict[str, Any], bool]] = []  # S3's records, in the uploads queue; by EventBridge?
        self.slots: list[str] = []  # notifications on their way to the starting function
        self.finished: list[str] = []  # in the finished queue
        self.heard: set[str] = set()  # notifications that the starting function was told of
        self.broken = False

    def _world(self, engine: Any, faults: Faults) -> StandInWorld:
        return self._stack.enter_context(
            standin_world(engine, faults, wrap=self.trouble.wrap, **self.truth.choices.environment)
        )

    # what people do

    @rule(
        key=st.sampled_from(KEYS),
        content=st.sampled_from(CONTENTS),
        kind=st.sampled_from(KINDS),
        way=ways,
    )
    def upload(
        self, key: str, content: bytes, kind: dict[str, Any] = PLAIN, way: tuple[int, bool] = (1, False)
    ) -> None:
        """A new video, the same again, or another under the same key."""
        if kind.get("bad") in self.spared:
            kind = PLAIN
        words, by_tag, bad = kind.get("words"), kind.get("by_tag", False), kind.get("bad")
        labels = ({BAD: bad} if bad else {}) | ({"analyses": words} if words and not by_tag else {})
        labels |= {"priority": kind["priority"]} if "priority" in kind else {}
        more = ({"Tagging": f"analyses={words}"} if by_tag else {}) | (
            {"ServerSideEncryption": "aws:kms"} if kind.get("kms") and self.on_the_standin else {}
        )
        answer = self.world.s3.put_object(Bucket="videos", Key=key, Body=content, Metadata=labels, **more)
        self.world.sequence += 1
        version = answer.get("VersionId") if self.versioning else None
        done = Upload(
            key,
            answer["ETag"].strip('"'),
            len(content),
            self.world.sequence,
            len(self.truth.epochs) - 1,
            version,
            words,
            by_tag,
            bad,
        )
        self.truth.uploaded(done)
        record = s3_record("videos", key, answer["ETag"], len(content), done.sequence, version)
        copies, by_eventbridge = way
        self.uploads += [(record, by_eventbridge)] * copies

    @rule(key=st.sampled_from(KEYS), plan=st.sampled_from(AIMED))
    def race(self, key: str, plan: Plan) -> None:
        """A short video is uploaded, and heard of at once; something happens at a bad moment."""
        self.upload(key, b"1")
        self.hear(len(self.uploads) - 1, 1, False, plan)

    @precondition(lambda self: self.truth.uploads)
    @rule(at=some, plan=plans)
    def again(self, at: int, plan: Plan | None) -> None:
        """A video is uploaded once more as it was, though another may have been there since."""
        was = self.truth.uploads[at % len(self.truth.uploads)]
        body = next(content for content in CONTENTS if len(content) == was.size)
        self.upload(was.key, body, {"words": was.words, "by_tag": was.by_tag, "bad": was.bad, "kms": bool(was.bad)})
        self.hear(len(self.uploads) - 1, 1, False, plan)

    @rule(key=st.sampled_from(KEYS), version=st.booleans())
    def delete(self, key: str, version: bool = False) -> None:
        """The video goes: where the bucket keeps versions, behind a marker, or its newest version for good."""
        if not self.truth.of_key(key):
            return
        newest = self.truth.standing.pop(key, None)
        if version and newest and newest.version:
            self.world.s3.delete_object(Bucket="videos", Key=key, VersionId=newest.version)
            del self.truth.versions[key, newest.version]
        else:
            self.world.s3.delete_object(Bucket="videos", Key=key)

    @precondition(lambda self: self.may_crowd)
    @rule(number=st.sampled_from((12, 20)), odd=st.sampled_from(("", "gone", "bad")))
    def crowd(self, number: int, odd: str) -> None:
        """Many small videos at once; all but one are deleted before their turn, or can't be read."""
        self.may_crowd = False
        for n in range(number):
            self.upload(f"crowd/{n}.mp4", b"1", {"bad": OWN_KEY} if odd == "bad" and n < number - 1 else PLAIN)
        if odd == "gone":
            for n in range(1, number):
                self.delete(f"crowd/{n}.mp4")
        for _ in range(0, len(self.uploads), 10):  # those that fail come again
            self.hear(0, 10, False)
        self.tick()

    @rule(key=st.sampled_from(KEYS))
    def regret(self, key: str) -> None:
        """A video is deleted before its turn, and uploaded again at the moment in which its job is rejected."""
        self.upload(key, b"1")
        self.delete(key, version=True)
        self.hear(len(self.uploads) - 1, 1, False, Plan(1, "meanwhile", "PutEvents", meanwhile="again"))

    @rule(key=st.sampled_from(KEYS), plan=st.sampled_from((None, Plan(1, "in part", "Send"))))
    def put_back(self, key: str, plan: Plan | None) -> None:
        """A video is analysed, replaced by another that is analysed too, and then put back."""
        for content in (b"1", b"22"):
            self.upload(key, content)
            self._settle()
        self.upload(key, b"1")
        self.hear(len(self.uploads) - 1, 1, False, plan)

    @rule(key=st.sampled_from(KEYS), plan=st.sampled_from(COLLECTING), then=st.sampled_from(("", "days", "lost")))
    def interrupt(self, key: str, plan: Plan, then: str) -> None:
        """A long video is analysed, and something happens while its results are collected. And then its page tokens
        expire, or its notifications have failed too often."""
        self.upload(key, b"4444")
        upload = self.truth.uploads[-1]
        self.hear(len(self.uploads) - 1, 1, False)
        self.time(10.0)
        tags = {upload.job_id(name) for name in PARAMETERS}
        message = next((each for each in self.finished if json.loads(each).get("JobTag") in tags), None)
        if message is None:
            return
        self.finished.insert(0, message)
        self.hear_of_an_end(self.finished.index(message, 1), False, 270.0, plan)
        if then == "days" and self.finished and not self.waited:
            self.days(2)
        elif then == "lost":
            self.finished = [each for each in self.finished if json.loads(each).get("JobTag") not in tags]

    # what operators do, and others in the account

    @rule(key=st.sampled_from(KEYS))
    def ask_in_vain(self, key: str) -> None:
        """An uploader asks for what the settings use and don't let uploaders choose."""
        self.redeploy(SETTINGS[4])
        self.upload(key, b"1", {"words": TEXT})
        self.hear(len(self.uploads) - 1, 1, False)

    @rule(choices=st.sampled_from(SETTINGS))
    def redeploy(self, choices: Choices) -> None:
        """Other settings."""
        if "settings" in self.spared:
            return
        if choices != self.truth.choices:
            if not self.truth.choices.cap:
                self.truth.capped_at = self.world.clock.now()
            self.truth.epochs.append(choices)
            self.world.redeploy(**choices.environment)

    @rule(right=st.sampled_from(RIGHTS))
    def revoke(self, right: str) -> None:
        """A right is taken away."""
        if right in self.spared:
            return
        self.trouble.revoked.add(right)

    @precondition(lambda self: self.trouble.revoked)
    @rule()
    def restore(self) -> None:
        """All rights are given back."""
        self.trouble.revoked.clear()

    @rule(most=st.sampled_from((1, 2, 3, 25)))
    def quota(self, most: int) -> None:
        """Rekognition's quota changes."""
        self.watch.most_slots = max(self.watch.most_slots, most)
        self.world.rekognition.set_faults({"max_running": most})

    @precondition(lambda self: self.truth.standing)
    @rule(at=some, analysis=st.sampled_from((FACES, TEXT)), attempt=st.sampled_from((0, 1, 1, 2)))
    def another_stack(self, at: int, analysis: str, attempt: int) -> None:
        """A second stack of this account takes a slot: with a token of its own, or with one that is ours too, as it
        names jobs as we do."""
        keys = sorted(self.truth.standing)
        upload = self.truth.standing[keys[at % len(keys)]]
        if not upload.size or upload.bad or "another stack" in self.spared:
            return
        tag = upload.job_id(analysis)
        request = {
            "Video": {"S3Object": {"Bucket": "videos", "Name": upload.key}},
            "ClientRequestToken": analyses.attempt_token(tag, attempt) if attempt else f"other-{self.world.sequence}",
            "NotificationChannel": {"SNSTopicArn": OUR_TOPIC + "-of-the-other", "RoleArn": "arn:aws:iam::1:role/other"},
            "JobTag": tag,
            **{name: value for name, value in PARAMETERS[analysis].items() if name in CATALOGUE[analysis].start},
        }
        target = f"RekognitionService.{CATALOGUE[analysis].start_operation}"
        self.world.rekognition.handle(target, json.dumps(request).encode(), CALLER)

    # what AWS delivers

    @precondition(lambda self: self.uploads)
    @rule(at=some, batch=st.integers(1, 3), again=st.booleans(), plan=plans)
    def hear(self, at: int, batch: int, again: bool, plan: Plan | None = None) -> None:
        """A batch of uploads, in any order, perhaps once more later."""
        at %= len(self.uploads)
        taken, self.uploads = self.uploads[at : at + batch], self.uploads[:at] + self.uploads[at + batch :]
        events = [eventbridge_event(record) if by_eventbridge else s3_event(record) for record, by_eventbridge in taken]
        answer, invocation = self._invoke(lambda: self.world.hear_events(*events), plan, 60)
        failed = (
            range(len(taken)) if answer is None else [int(f["itemIdentifier"]) for f in answer["batchItemFailures"]]
        )
        self.uploads += taken if again else [taken[number] for number in failed]
        if answer is not None:
            hold(
                QUIET, not failed or invocation.explained, f"sent back {taken}: {invocation.error!r}, {invocation.met}"
            )

    @precondition(lambda self: self.slots)
    @rule(at=some, again=st.booleans(), plan=plans)
    def hear_of_a_slot(self, at: int, again: bool, plan: Plan | None = None) -> None:
        """A notification to the starting function. If that fails, Lambda would repeat it; the tick heals it too."""
        message = self.slots.pop(at % len(self.slots))
        before = self.watch.may_start() if plan is None and self._calm() and not self.paused else 0
        _, invocation = self._invoke(lambda: self.world.slot_free(message), plan, 60)
        if before and not invocation.met and not invocation.full and message not in self.heard:
            hold(CONSERVING, self.watch.may_start() < before, f"a slot is free, and none of {before} was started")
        self.heard.add(message)
        if again:
            self.slots.append(message)

    @precondition(lambda self: self.finished)
    @rule(at=some, again=st.booleans(), seconds=st.sampled_from((40.0, 75.0, 300.0)), plan=plans)
    def hear_of_an_end(self, at: int, again: bool, seconds: float, plan: Plan | None = None) -> None:
        """A message to the collecting function, which may have little time."""
        message = self.finished.pop(at % len(self.finished))
        answer, invocation = self._invoke(lambda: self.world.collect(message, seconds), plan, seconds, self.skew)
        failed = answer is None or answer["batchItemFailures"]
        if again or failed:
            self.finished.append(message)
        if answer is not None:
            hold(
                QUIET,
                not failed or invocation.explained,
                f"sent back {message}: {invocation.error!r}, {invocation.met}",
            )
            if not invocation.met and plan is None:
                self.watch.after_a_clean_collection(message)

    @precondition(lambda self: self.slots or self.finished)
    @rule(at=some)
    def lose(self, at: int) -> None:
        """A notification never arrives. (SQS loses none of our own messages.)"""
        messages = self.slots or self.finished
        if "JobId" in json.loads(messages[at % len(messages)]):
            messages.pop(at % len(messages))

    @rule(plan=plans)
    def tick(self, plan: Plan | None = None) -> None:
        """The minute is over."""
        calm = plan is None and not self.paused and self._calm()
        due = self.watch.due() if calm else frozenset()
        _, invocation = self._invoke(self.world.tick, plan, 60)
        if calm:
            self.watch.after_a_calm_tick(due, full=invocation.full)

    def _calm(self) -> bool:
        rekognition, trouble = self.world.rekognition, self.trouble
        lagging = self.on_the_standin and (self.world.table.lagging or self.world.buckets.conflicts)
        slow = trouble.call_seconds > 0.1  # one tick is too short for all
        return not (
            lagging
            or slow
            or rekognition.faults.outage
            or len(rekognition._script)
            or trouble.revoked
            or trouble.bursts
            or trouble.partial
            or self.world.events_to_refuse
        )

    # what goes wrong

    @rule(what=st.sampled_from(("pause", "outage", "lag", "versions")), on=st.booleans())
    def switch(self, what: str, on: bool) -> None:
        """Starting is paused; Rekognition is down; the table's indexes stay behind. Or no longer. The videos' bucket
        keeps versions from now on, or no new ones."""
        if what == "pause":
            self._pause(on)
        elif what == "outage":
            self.world.rekognition.set_faults({"outage": on})
        elif what == "versions":
            self._version(on)
        elif self.on_the_standin:
            self.world.table.lagging = on

    @rule(
        operation=st.sampled_from(("StartFaceDetection", "GetFaceDetection")),
        code=st.sampled_from(("ThrottlingException", "InternalServerError", "ProvisionedThroughputExceededException")),
        times=st.sampled_from((1, 1, 2, 9)),
        carried_out=st.booleans(),
    )
    def refuse(self, operation: str, code: str, times: int, carried_out: bool) -> None:
        """The next calls of Rekognition end in an error, though perhaps they were carried out."""
        self.world.rekognition.inject(operation, code, times=times, carried_out=carried_out)

    @rule(
        where=st.sampled_from(
            (
                ("rekognition", "Start"),
                ("rekognition", "Start"),
                ("rekognition", "Get"),
                ("s3", "HeadObject"),
                ("s3", ""),
                ("dynamodb", ""),
                ("sqs", ""),
                ("events", ""),
            )
        ),
        code=st.sampled_from(("denied", "invalid", "slow", "down")),
        times=st.sampled_from((1, 1, 2, 4)),
    )
    def burst(self, where: tuple[str, str], code: str, times: int) -> None:
        """The next calls of a service are refused."""
        if code in self.spared or where[0] in self.spared:
            return
        self.trouble.bursts.append(Burst(*where, code, times))

    @rule(what=st.sampled_from(("events", "messages", "conflicts")), times=st.sampled_from((1, 1, 2, 6)))
    def half(self, what: str, times: int) -> None:
        """Entries of PutEvents and messages of a batch fail, though the call succeeds; writes meet a 409."""
        if what in self.spared:
            return
        if what == "events":
            self.world.events_to_refuse = times
        elif what == "messages":
            self.trouble.partial = times
        elif self.on_the_standin:
            self.world.buckets.conflicts = times

    @precondition(lambda self: any(job["state"] == "WAITING" for job in self.world.jobs()))
    @rule(then=st.sampled_from(("delete", "again", "replace", "nothing")), at=some)
    def lose_a_start(self, then: str, at: int) -> None:
        """A start is carried out and its answer lost; and then its video goes, or comes again."""
        waiting = [job for job in self.world.jobs() if job["state"] == "WAITING"]
        for name in PARAMETERS:
            self.world.rekognition.inject(CATALOGUE[name].start_operation, "InternalServerError", carried_out=True)
        self.tick()
        upload = next((u for u in self.truth.uploads if u.key == waiting[at % len(waiting)]["key"]), None)
        if upload is None or then == "nothing":
            return
        if then == "delete":
            self.delete(upload.key, version=True)
        else:
            self.upload(upload.key, b"1" * upload.size if then == "again" else b"333")
            self.hear(len(self.uploads) - 1, 1, False)

    @rule(seconds=st.sampled_from((1.0, 10.0, 61.0, 61.0, 130.0, 600.0, 3700.0)))
    def time(self, seconds: float) -> None:
        """Time passes, without a tick."""
        self.world.pass_time(seconds)
        self._collect_messages()

    @precondition(lambda self: self.finished and not self.waited)
    @rule(days=st.sampled_from((1, 2, 8)))
    def days(self, days: int) -> None:
        """Days pass in which nothing is delivered but the tick. Once in a history: it is the longest step."""
        self.waited = True
        if self.on_the_standin:
            self.world.table.lagging = False  # an index is behind by moments
        for _ in range(12 * days):
            self.world.pass_time(7201.0)
            self._collect_messages()
            self.tick()

    def _refuse_event(self) -> None:
        self.world.events_to_refuse += 1

    def _version(self, on: bool) -> None:
        if self.versioning != on and ("versions" if on else "suspended") not in self.spared:
            self.versioning = on
            status = {"Status": "Enabled" if on else "Suspended"}
            self.world.s3.put_bucket_versioning(Bucket="videos", VersioningConfiguration=status)

    def _pause(self, paused: bool) -> None:
        """The operator's switch. (A CLI's rights are its own.)"""
        if paused != self.paused:
            revoked, bursts = set(self.trouble.revoked), self.trouble.bursts
            self.trouble.revoked.clear()
            self.trouble.bursts = []
            self.paused = paused
            self._invoke(lambda: wiring.jobs().pause(paused), None, 60)
            self.trouble.revoked.update(revoked)
            self.trouble.bursts = bursts

    # how it is done

    def _invoke(
        self, work: Callable[[], Any], plan: Plan | None, seconds: float, skew: float = 0.0
    ) -> tuple[Any, Invocation]:
        """Run a function; its answer (None if it died), and how it went."""
        running, deadline = self.trouble.running, self.world.clock.now() + seconds
        owner = f"invocation-{self.world.invocations + 1}"
        if plan and plan.code in self.spared:
            plan = None
        invocation = Invocation(plan, deadline, self.truth.choices, owner, skew, paused=self.paused)
        running.append(invocation)
        try:
            return work(), invocation
        except Crash as crash:
            invocation.met.append(("lambda", "", str(crash)))
            hold(QUIET, plan or invocation.met[1:] or seconds != 60, f"{crash}, and for no reason")
            return None, invocation
        except BrokenWithin as within:
            if len(running) > 1:
                raise
            raise within.broken from within
        except AssertionError:
            raise
        except Exception as error:
            if not invocation.explained:
                raise Broken(QUIET, f"{error!r}, and met {invocation.met}") from error
            return None, invocation
        finally:
            if invocation.met or plan:
                self.watch.calm_ticks = 0
            running.pop()
            self._collect_messages()

    def _logged(self, *_: Any, **__: Any) -> None:
        """A handler logs an error and goes on."""
        error, invocation = sys.exc_info()[1], self.trouble.running[-1]
        if not invocation.explained:
            raise BrokenWithin(Broken(QUIET, f"logged {error!r}, and met {invocation.met}"))

    def _remembered(self, *_: Any, exc_info: BaseException | None = None, **__: Any) -> None:
        """A handler reports an error: for the evidence."""
        self.trouble.running[-1].error = exc_info

    def _meanwhile(self, plan: Plan) -> None:
        """Others get in between two calls, perhaps after a while."""
        self.world.pass_time(plan.seconds)
        self._collect_messages()
        match plan.meanwhile:
            case "tick":
                self._invoke(self.world.tick, None, 60)
            case "uploads" if self.uploads:
                self.hear(plan.choice, 1, False)
            case "slot" if self.slots:
                self.hear_of_a_slot(plan.choice, True)
            case "finished" if self.finished:
                self.hear_of_an_end(plan.choice, True, 75.0)
            case "upload":
                self.upload(KEYS[plan.choice % len(KEYS)], CONTENTS[plan.choice % len(CONTENTS)])
                self.hear(len(self.uploads) - 1, 1, False)
            case "again":
                uploads = [n for n, each in enumerate(self.truth.uploads) if each.key == self.trouble.last_key]
                if uploads:
                    self.again(uploads[-1], None)
            case "delete":
                self.delete(KEYS[plan.choice % len(KEYS)], plan.choice % 2 == 0)
            case "rights" if self.trouble.revoked:
                self.restore()
            case "rights":
                self.revoke(RIGHTS[plan.choice % len(RIGHTS)])
            case "settings":
                self.redeploy(SETTINGS[plan.choice % len(SETTINGS)])
            case "pause":
                self._pause(not self.paused)

    def _collect_messages(self) -> None:
        """Put what is on its way where it can be delivered from, in any order."""
        self.world.rekognition.run_due()
        while self.world.notifications:
            notification = self.world.notifications.pop(0)
            if notification.topic_arn == OUR_TOPIC:
                self.slots.append(notification.message)
                self.finished.append(notification.message)
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
        self.trouble.revoked.clear()
        self.trouble.bursts.clear()
        self.trouble.partial = self.world.events_to_refuse = 0
        if self.on_the_standin:
            self.world.table.lagging = False
            self.world.buckets.conflicts = 0
        self._pause(False)
        # A month's budget keeps jobs waiting until the month turns, which no history lives to see: it is lifted.
        self.redeploy(replace(self.truth.choices, minutes=0.0))
        if self.trouble.suspected:
            # A success shows that what was met before was not the account's.
            self.upload("good.mp4", b"1")
            if self.truth.choices.uploads != "none":
                self.upload("good too.mp4", b"1", {"words": " ".join(self.truth.choices.allowed)})
        for minute in range(400):
            self._deliver_all()
            # For ten minutes as the clock has it, then faster: the longest a job is put off is an hour.
            self.world.pass_time(60 if minute < 10 else 400)
            self._collect_messages()
            self.tick()
            self._deliver_all()
            if all(job["state"] in FINAL for job in self.world.jobs()):
                return
            self.watch.after_a_step()
        raise Broken(ENDS, self.world.jobs())

    def _settle(self) -> None:
        """Uploads are delivered, a minute passes, and notifications are delivered: each once."""
        for _ in range(-(-len(self.uploads) // 3)):
            self.hear(0, 3, False)
        self.time(61.0)
        for _ in range(len(self.slots)):
            self.hear_of_a_slot(0, False)
        for _ in range(len(self.finished)):
            self.hear_of_an_end(0, False, 300.0)

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
