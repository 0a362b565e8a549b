"""make histories: many generated histories, on every core, with their progress.

    python -m tests.histories --histories 10000

Ends with status 1 at the first broken promise, and prints the shortest history that breaks it.
"""

import argparse
import multiprocessing
import os
import sys
import traceback
from multiprocessing.queues import Queue
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

STEPS = 30  # a history has at most, before its drain
CHUNK = 250  # histories that a process does before it takes the next seed


def profile(histories: int, *, shrink: bool = True) -> settings:
    """How the machine is run."""
    return settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
    )


def work(first_seed: int, seeds: int, stride: int, told: "Queue[Any]") -> None:
    """Run chunks of histories, a seed each; tell of every history, and of a broken promise."""
    from tests.histories.machine import Histories

    class Counted(Histories):
        def teardown(self) -> None:
            super().teardown()
            told.put(1)

    Counted.__name__ = Counted.__qualname__ = "Histories"
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    for number in range(first_seed, seeds, stride):
        try:
            run_state_machine_as_test(seed(number)(Counted), settings=profile(CHUNK))
        except BaseException:
            told.put(f"seed {number}\n{traceback.format_exc()}")
            return
    told.put(None)


def main() -> int:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk (%(default)s)")
    options = parser.parse_args()
    chunks = -(-options.histories // CHUNK)
    workers = min(os.cpu_count() or 1, chunks)
    told: Queue[Any] = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=work, args=(options.seed + n, options.seed + chunks, workers, told), daemon=True)
        for n in range(workers)
    ]
    for process in processes:
        process.start()
    columns = (TextColumn("histories"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    done = 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=chunks * CHUNK)
        while done < workers:
            news = told.get()
            if news is None:
                done += 1
            elif isinstance(news, str):
                bar.stop()
                print(news, file=sys.stderr)
                return 1
            else:
                bar.advance(task, news)
        ran = int(bar.tasks[0].completed)
    print(f"{ran:,} histories, every promise held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
