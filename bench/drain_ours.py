"""The drain, ours: the real handlers, on the stand-in for AWS, in virtual time."""

import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from logging import StreamHandler
from typing import Any
from unittest.mock import patch

from bench.cloud import S3_EVENT_DELAY, SNS_DELAY, Meter, Platform, Poller
from bench.load import DOUBLED, LOST, SEED, Quotas, Video
from bench.simulator import Executor, Simulation
from lambdas.model.events import BACKFILLED
from rekognition_local import Faults, RekognitionVideo, Simulated
from rekognition_local.aws import Notification
from tests.fake_aws import START_OF_TIME, s3_record, sqs_record
from tests.fast_fake.world import StandInWorld, standin_world

DETECTIONS = 30  # of each video; collecting many is another bench
TICK = 60.0  # seconds
DEFAULT_QUOTAS = Quotas()
FINAL = ("SUCCEEDED", "FAILED", "REJECTED")
EXPECTED = {"good": "SUCCEEDED", "gone": "REJECTED", "broken": "FAILED"}


def faults(quotas: Quotas) -> Faults:
    """A Rekognition with these quotas, that loses and doubles notifications."""
    return Faults(
        seed=SEED,
        max_running=quotas.slots,
        start_per_second=quotas.starts,
        get_per_second=quotas.gets,
        notify_dropped=LOST,
        notify_twice=DOUBLED,
        fail_lasting_keys="*broken/*",
    )


@dataclass(frozen=True, slots=True)
class Run:
    """A job that Rekognition accepted; times are seconds after the first drop."""

    key: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Drained:
    """What a run came to."""

    lost: int  # videos without the end they should have
    billed_twice: int  # videos that Rekognition accepted more than once
    seconds: float  # from the drop to the last job's end
    oldest_wait: float  # seconds from the drop to the last accepted start
    runs: list[Run]  # as they were started
    meter: Meter
    units: dict[str, float]  # of the table, as billed
    log_bytes: int

    @property
    def order(self) -> list[str]:
        """The keys, as they were started."""
        return [run.key for run in self.runs]


class CountedText(io.StringIO):
    """Text that is only counted."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def write(self, text: str) -> int:
        self.bytes += len(text)
        return len(text)


@contextmanager
def counted_logs() -> Iterator[CountedText]:
    """What the functions log goes nowhere and is counted."""
    from lambdas.aws.telemetry import logger

    text = CountedText()
    streams = [(handler, handler.stream) for handler in logger.handlers if isinstance(handler, StreamHandler)]
    for handler, _ in streams:
        handler.stream = text
    with redirect_stdout(text):
        yield text
    for handler, stream in streams:
        handler.stream = stream


class AtOnce:
    """Stands for the executor that fetches pages ahead: threads of their own have no place in virtual time."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "AtOnce":
        """Do it now."""
        self._result = call(*arguments)
        return self

    def result(self) -> Any:
        """What came of it."""
        return self._result


class Drain:
    """One run."""

    def __init__(self, load: list[Video], simulation: Simulation, platform: Platform, world: StandInWorld) -> None:
        self.load = load
        self.simulation = simulation
        self.platform = platform
        self.world = world
        self._next_end = float("inf")
        self.uploads = Poller(platform, "uploads", self._on_uploads, batch=10, concurrency=5)
        self.finished = Poller(platform, "finished", self._on_finished, batch=1, concurrency=6)
        world.rekognition.publish = self._published

    def run(self, progress: Callable[[int], None]) -> None:
        """Drop everything and let time pass until every job has ended."""
        for number, video in enumerate(self.load):
            etag = self.world.s3.put_object(
                Bucket="videos", Key=video.key, Body=video.head, Metadata={"simulate-seconds": str(video.seconds)}
            )["ETag"]
            if video.kind == "gone":
                self.world.s3.delete_object(Bucket="videos", Key=video.key)
            record = s3_record("videos", video.key, etag, video.size, number)
            if video.announced:
                record |= {"eventName": BACKFILLED, "priority": video.announced}
            delay = video.at + self.platform.lasting(S3_EVENT_DELAY)
            self.uploads.send(json.dumps({"Records": [record]}), delay)
        self.simulation.at(self.simulation.start + TICK / 2, self._tick)
        seen = 0

        def done() -> bool:
            nonlocal seen
            ended = self.world.table.in_state(*FINAL)
            if ended != seen:
                progress(ended - seen)
                seen = ended
            return ended == len(self.load)

        self.simulation.run(done)

    def _invoke(self, function: str, event: dict[str, Any], seconds: float) -> None:
        from lambdas import collect_results, start_analysis

        handler = {"start": start_analysis.handler, "collect": collect_results.handler}[function]
        answer = self.platform.invoke(function, lambda: self.world.invoke(handler, event, seconds))
        if answer and answer["batchItemFailures"]:
            raise AssertionError(f"{function} sent messages back: {answer}")
        sent, self.world.queue.bodies = self.world.queue.bodies, []
        for body in sent:
            self.finished.send(body)
        self._keep_time()

    def _on_uploads(self, batch: list[str]) -> None:
        self._invoke("start", {"Records": [sqs_record(str(n), body) for n, body in enumerate(batch)]}, 60)

    def _on_finished(self, batch: list[str]) -> None:
        self._invoke("collect", {"Records": [sqs_record("0", batch[0])]}, 300)

    def _tick(self) -> None:
        self.simulation.spawn(self.simulation.now(), lambda: self._invoke("start", {"source": "aws.events"}, 60))
        self.simulation.at(self.simulation.now() + TICK, self._tick)

    def _published(self, notification: Notification) -> None:
        event = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": notification.message}}]}
        self.platform.meter.calls["sns.Publish"] += 1
        arrives = self.simulation.now() + self.platform.lasting(SNS_DELAY)
        self.simulation.spawn(arrives, lambda: self._invoke("start", event, 60))
        self.finished.send(notification.message, self.platform.lasting(SNS_DELAY))

    def _keep_time(self) -> None:
        """Have Rekognition's next end, or message, happen when it is due."""
        due = self.world.rekognition.due()
        if due is not None and due < self._next_end:
            self._next_end = due
            self.simulation.at(due, self._due)

    def _due(self) -> None:
        self._next_end = float("inf")
        self.world.rekognition.run_due()
        self._keep_time()

    def result(self, log_bytes: int) -> Drained:
        """What it came to."""
        runs = runs_of(self.world.rekognition, self.simulation.start)
        accepted = Counter(run.key for run in runs)
        ended = {job["key"]: job for job in self.world.jobs()}
        return Drained(
            lost=sum(not self._as_it_should(video, ended.get(video.key)) for video in self.load),
            billed_twice=sum(number > 1 for number in accepted.values()),
            seconds=self.simulation.now() - self.simulation.start,
            oldest_wait=longest_wait(self.load, runs),
            runs=runs,
            meter=self.platform.meter,
            units=self.world.table.units,
            log_bytes=log_bytes,
        )

    def _as_it_should(self, video: Video, job: dict[str, Any] | None) -> bool:
        if job is None or job["state"] != EXPECTED[video.kind]:
            return False
        return video.kind != "good" or len(self.world.result(job["result_key"])["Faces"]) == DETECTIONS


def runs_of(rekognition: RekognitionVideo, began: float) -> list[Run]:
    """What Rekognition has accepted."""
    return [Run(job["Name"], job["Started"] - began, (job["Ended"] or began) - began) for job in rekognition.jobs()]


def longest_wait(load: list[Video], runs: list[Run]) -> float:
    """Seconds from a video's drop to its first accepted start, at most."""
    first: dict[str, float] = {}
    for run in runs:
        first.setdefault(run.key, run.started)
    return max(first[video.key] - video.at for video in load if video.key in first)


def drain(
    load: list[Video],
    progress: Callable[[int], None],
    quotas: Quotas = DEFAULT_QUOTAS,
    weights: Mapping[str, float] | None = None,
) -> Drained:
    """Run `load` to its end. With `weights`, each first folder is a share."""
    random.seed(SEED)  # the functions' own pauses
    settings = {"SHARE_BY": "prefix:1", "SHARE_WEIGHTS": json.dumps(weights)} if weights else {}
    simulation = Simulation(START_OF_TIME)
    platform = Platform(simulation, SEED)
    with (
        counted_logs() as logs,
        patch("lambdas.aws.rekognition.ThreadPoolExecutor", AtOnce),
        patch("lambdas.aws.headers.ThreadPoolExecutor", lambda *_, **__: Executor(simulation)),
        standin_world(
            Simulated(detections=DETECTIONS), faults(quotas), wrap=platform.wrap, clock=simulation, **settings
        ) as world,
    ):
        run = Drain(load, simulation, platform, world)
        run.run(progress)
        return run.result(logs.bytes)
