"""make bench-burst: 200 jobs of 36 pages have ended at once; how soon are their results there, beside the ideal?

Rekognition answers 5 Gets a second (20 in some regions), so collecting can't take less than pages ÷ rate. The real
collecting function, in virtual time; a page holds 10 rows here and a part 80 KB, a hundredth of the real ones, and
reading a page takes what a full one takes.
"""

import argparse
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest.mock import patch

from botocore.config import Config

from bench import report, simulator
from bench.cloud import Platform, Poller
from bench.drain_ours import TICK, counted_logs
from bench.load import SEED
from bench.simulator import Executor, Simulation
from lambdas import wiring
from lambdas.aws import multipart as streams, rekognition
from lambdas.logic.collector import Collector
from lambdas.logic.results import ResultWriter
from rekognition_local import Faults, Simulated
from tests.fake_aws import START_OF_TIME, sqs_record
from tests.fast_fake.client import refuse
from tests.fast_fake.rekognition import CALLER, REPEATED, RekognitionClient
from tests.fast_fake.world import StandInWorld, standin_world

PAGE_ROWS, PART = 10, 80_000
FULL_PAGE = 0.3  # seconds that Get takes for a page of 1,000 faces, 0.7 MB
REFUSED = 0.05  # seconds that a refusal takes
VISIBILITY = 1800.0  # seconds until a message that the function failed on is delivered again
COLLECTORS = 6  # at a time; stacks/rekognition_batch.py says so to Lambda
WRITING = 0.03  # seconds that a page takes to become text, rows, and gzip (make bench-collect, on a gigabyte's share)


@dataclass(frozen=True, slots=True)
class Burst:
    """Jobs that ended at once."""

    jobs: int
    pages: int
    gets_per_second: int

    @property
    def ideal(self) -> float:
        """Seconds that reading alone takes at full rate."""
        return self.jobs * self.pages / self.gets_per_second

    def __str__(self) -> str:
        return f"{self.jobs:,} × {self.pages} pages, {self.gets_per_second} Gets/s"


BURSTS = {
    "ratio": Burst(200, 36, 5),
    "fast_region_ratio": Burst(200, 36, 20),
    "short_videos_ratio": Burst(2_000, 1, 5),
    "long_videos_ratio": Burst(40, 200, 5),
}
# Measured with this bench on the code as it was when ten collectors relied on botocore's retries, and a throttled one
# lost what it had written since its last checkpoint (commit 126a3fd).
BEFORE = {
    "ratio": {"ratio": 6.383, "seconds": 9192, "throttled_per_page": 1.39, "function_seconds": 8483},
    "fast_region_ratio": {"ratio": 1.112, "seconds": 400, "throttled_per_page": 0.32, "function_seconds": 3977},
    "short_videos_ratio": {"ratio": 1.153, "seconds": 461, "throttled_per_page": 1.01, "function_seconds": 4551},
    "long_videos_ratio": {"ratio": 1.716, "seconds": 2745, "throttled_per_page": 0.59, "function_seconds": 8067},
}


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run came to."""

    seconds: float  # from the last job's end to the last result
    throttled: int  # Gets
    function_seconds: float  # of the collecting function, as billed
    sent_back: int  # messages that the function failed on

    def figures(self, burst: Burst) -> dict[str, Any]:
        """Under their plain names."""
        return {
            "ratio": round(self.seconds / burst.ideal, 3),
            "seconds": round(self.seconds),
            "throttled_per_page": round(self.throttled / (burst.jobs * burst.pages), 2),
            "function_seconds": round(self.function_seconds),
            "sent_back": self.sent_back,
        }


class Botocore(RekognitionClient):
    """botocore's standard retries as they are: pauses drawn from 0 to 2 ** n seconds, and a quota for each execution
    environment that repeating uses up (botocore/retries/standard.py)."""

    quotas: ClassVar[dict[int, int]] = defaultdict(lambda: 500)

    def _make_api_call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(params).encode()
        environment = environment_of_caller()
        taken = 0
        for attempt in itertools.count(1):
            answer = self._service.handle(f"RekognitionService.{operation}", body, CALLER)
            if answer.status == 200:
                self.quotas[environment] = min(self.quotas[environment] + (taken or 1), 500)
                return self._parsed(answer.status, answer.body)
            error = json.loads(answer.body)
            repeated = error["Code"] in REPEATED or answer.status >= 500
            if not repeated or attempt == self._attempts or self.quotas[environment] < 5:
                refuse(error["Code"], operation, answer.status, error["Message"])
            taken = 5
            self.quotas[environment] -= taken
            self._sleep(min(random.random() * 2 ** (attempt - 1), 20.0))
        raise AssertionError("unreachable")


class Run:
    """One run."""

    def __init__(self, simulation: Simulation, platform: Platform, world: StandInWorld, collectors: int) -> None:
        self.simulation, self.platform, self.world = simulation, platform, world
        self.finished = Poller(platform, "finished", self._on_finished, batch=1, concurrency=collectors)
        self.sent_back = 0
        answer = world.rekognition.handle

        def timed(*call: Any) -> Any:
            answered = answer(*call)
            simulation.sleep(platform.lasting(FULL_PAGE if answered.status == 200 else REFUSED))
            return answered

        world.rekognition.handle = timed  # type: ignore[method-assign, assignment]

    def run(self, jobs: int, progress: Callable[[int], None]) -> Collected:
        """Let `jobs` jobs end, and collect them."""
        for number in range(jobs):
            self.world.drop(f"{number:04}.mp4")
        self.simulation.sleep(60)
        self.world.rekognition.publish = lambda sent: self.finished.send(sent.message)
        self.world.rekognition.run_due()
        began, seen = self.simulation.now(), 0
        self.simulation.at(began + TICK, self._tick)

        def done() -> bool:
            nonlocal seen
            collected = self.world.table.in_state("SUCCEEDED")
            progress(collected - seen)
            seen = collected
            return collected == jobs

        self.simulation.run(done)
        return Collected(
            seconds=self.simulation.now() - began,
            throttled=sum(n for code, n in self.world.calls["GetFaceDetection"].items() if code != "ok"),
            function_seconds=self.platform.meter.seconds["collect"],
            sent_back=self.sent_back,
        )

    def _invoke(self, function: str, event: dict[str, Any], seconds: float) -> Any:
        from lambdas import collect_results, start_analysis

        handler = {"start": start_analysis.handler, "collect": collect_results.handler}[function]
        with in_environment(function):
            answer = self.platform.invoke(function, lambda: self.world.invoke(handler, event, seconds))
        sent, self.world.queue.bodies = self.world.queue.bodies, []
        for body in sent:
            self.finished.send(body)
        return answer

    def _on_finished(self, batch: list[str]) -> None:
        answer = self._invoke("collect", {"Records": [sqs_record("0", batch[0])]}, 300)
        if answer["batchItemFailures"]:
            self.sent_back += 1
            self.finished.send(batch[0], VISIBILITY)

    def _tick(self) -> None:
        self.simulation.spawn(self.simulation.now(), lambda: self._invoke("start", {"source": "aws.events"}, 60))
        self.simulation.at(self.simulation.now() + TICK, self._tick)


_free: dict[str, list[int]] = defaultdict(list)
_made = itertools.count(1)


@contextmanager
def in_environment(function: str) -> Iterator[None]:
    """Run in a warm execution environment of the function if one is free."""
    number = _free[function].pop() if _free[function] else next(_made)
    worker = simulator.current()
    assert worker is not None
    worker.label = number
    yield
    _free[function].append(number)


def environment_of_caller() -> int:
    """The execution environment in which this is running; 0 before the simulation."""
    worker = simulator.current()
    return worker.label if worker else 0


@contextmanager
def small_pages(simulation: Simulation) -> Iterator[None]:
    """Pages and parts of a hundredth the size, that take their time all the same."""
    add = ResultWriter.add

    def slowly(self: ResultWriter, page: Any) -> None:
        simulation.sleep(WRITING)
        add(self, page)

    with (
        patch.object(rekognition, "PAGE_ROWS", PAGE_ROWS),
        patch.object(streams, "PART", PART),
        patch("tests.fast_fake.world.RekognitionClient", Botocore),
        patch.object(rekognition, "ThreadPoolExecutor", lambda **_: Executor(simulation)),
        patch.object(ResultWriter, "add", slowly),
    ):
        yield


def collect(burst: Burst, collectors: int, progress: Callable[[int], None] = lambda _: None) -> Collected:
    """Collect `burst` with so many collectors at a time."""
    random.seed(SEED)
    Botocore.quotas.clear()
    _free.clear()
    simulation = Simulation(START_OF_TIME)
    platform = Platform(simulation, SEED)
    with (
        counted_logs(),
        small_pages(simulation),
        standin_world(
            Simulated(detections=burst.pages * PAGE_ROWS - 1),
            Faults.off(get_per_second=burst.gets_per_second),
            wrap=lambda service, client: client if service == "rekognition" else platform.wrap(service, client),
            clock=simulation,
        ) as world,
    ):
        return Run(simulation, platform, world, collectors).run(burst.jobs, progress)


@contextmanager
def impatient() -> Iterator[None]:
    """A collector that relies on botocore's retries, eight attempts."""
    retries = Config(retries={"mode": "standard", "total_max_attempts": 8})
    with (
        patch.object(wiring, "PATIENT", retries),
        patch.object(Collector, "_patiently", lambda _, read, milliseconds_left: read()),  # noqa: ARG005
    ):
        yield


def main() -> None:
    """Run, show, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collectors", type=int, default=COLLECTORS, help="at a time (%(default)s)")
    collectors = parser.parse_args().collectors
    ours: dict[str, dict[str, Any]] = {}
    alone: dict[str, dict[str, Any]] = {}
    with report.progress() as bar:
        for name, burst in BURSTS.items():
            task = bar.add_task(str(burst), total=2 * burst.jobs)

            def advance(jobs: int, task: Any = task) -> None:
                bar.advance(task, jobs)

            ours[name] = collect(burst, collectors, advance).figures(burst)
            with impatient():
                alone[name] = collect(burst, 10, advance).figures(burst)
            bar.remove_task(task)
    columns = ("ratio", "seconds", "throttled_per_page", "function_seconds")
    designs = {f"{collectors} collectors": ours, "10, botocore's retries alone": alone, "10, before": BEFORE}
    report.show(
        "Jobs that ended at once, and how long collecting took beside pages ÷ rate",
        ["", *(column.replace("_", " ") for column in columns)],
        [
            (f"{burst}; {design}", *(found[name][column] for column in columns))
            for name, burst in BURSTS.items()
            for design, found in designs.items()
        ],
    )
    report.save(
        "burst",
        ours={name: each["ratio"] for name, each in ours.items()},
        baselines={"ten_with_botocores_retries": {name: each["ratio"] for name, each in alone.items()}},
        targets=[report.Target(name, 1.2) for name in BURSTS],
        collectors=collectors,
        runs={"ours": ours, "ten_with_botocores_retries": alone, "before": BEFORE},
        bursts={name: str(burst) for name, burst in BURSTS.items()},
        assumed={"get_seconds": FULL_PAGE, "refusal_seconds": REFUSED, "writing_seconds": WRITING},
    )


if __name__ == "__main__":
    main()
