"""make bench-drain: 1,000 and 10,000 videos at once on 20 slots, in virtual time; ours beside two other designs.

Ours is the real handler code on a stand-in for AWS that ``tests/histories`` holds equal to moto; Rekognition is the
local endpoint with its quotas. Assumed latencies are in ``bench/cloud.py``, the load in ``bench/load.py``.
"""

import argparse
from collections.abc import Callable
from typing import Any

from bench import report
from bench.drain_baselines import BASELINES
from bench.drain_ours import Drained, drain
from bench.load import DISTRIBUTION, DOUBLED, LOST, POISON, SLOTS, Video, perfect_fifo, videos, work

SIZES = (1_000, 10_000)
DESIGNS: dict[str, Callable[[list[Video], Callable[[int], None]], Drained]] = {"ours": drain, **BASELINES}
FIGURES = ("lost", "billed_twice", "drain_ratio", "starts_per_job", "table_calls_per_job", "oldest_wait_s")


def figures(load: list[Video], found: Drained) -> dict[str, Any]:
    """A run's figures under their plain names."""
    return {
        "lost": found.lost,
        "billed_twice": found.billed_twice,
        # What was lost took no slot: a design that loses nearly everything is soon done, so it has no ratio.
        "drain_ratio": round(found.seconds / (work(load) / SLOTS), 4) if found.lost < len(load) / 100 else None,
        "starts_per_job": round(found.meter.start_calls / len(load), 4),
        "table_calls_per_job": round(found.meter.table_calls / len(load), 2),
        "oldest_wait_s": round(found.oldest_wait),
        "drain_s": round(found.seconds),
    }


def usage(load: list[Video], found: Drained) -> dict[str, Any]:
    """What a run used, for bench/cost.py."""
    return {
        "jobs": len(load),
        "drain_s": found.seconds,
        "calls": dict(sorted(found.meter.calls.items())),
        "invocations": dict(found.meter.invocations),
        "function_seconds": {name: round(seconds, 1) for name, seconds in found.meter.seconds.items()},
        "table_units": dict(found.units),
        "log_bytes": found.log_bytes,
        "video_seconds": round(work(load)),
    }


def main() -> None:
    """Run, show, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="VIDEOS")
    sizes = parser.parse_args().sizes
    by_size: dict[int, dict[str, Any]] = {}
    used: dict[int, dict[str, Any]] = {}
    with report.progress() as bar:
        for size in sizes:
            load = videos(size)
            by_size[size] = {"ideal_s": round(work(load) / SLOTS)}
            for name, run in DESIGNS.items():
                task = bar.add_task(f"{name}, {size:,} videos", total=size)
                found = run(load, lambda ended, task=task: bar.advance(task, ended))  # type: ignore[misc]
                bar.remove_task(task)
                by_size[size][name] = figures(load, found)
                if name == "ours":
                    used[size] = usage(load, found)
                    by_size[size]["perfect_line_s"] = round(perfect_fifo(load, found.order))
    report.show(
        f"{' and '.join(f'{size:,}' for size in sizes)} videos at once, {SLOTS} slots",
        ["", *(figure.replace("_", " ") for figure in FIGURES)],
        [
            (f"{name.replace('_', ' ')}, {size:,}", *(each[name][figure] for figure in FIGURES))
            for size, each in by_size.items()
            for name in DESIGNS
        ],
    )
    for size, each in by_size.items():
        print(
            f"{size:,}: work ÷ slots {each['ideal_s']:,} s; the same order of starts without any delay "
            f"{each['perfect_line_s']:,} s; ours {each['ours']['drain_s']:,} s"
        )
    least, most = by_size[min(sizes)]["ours"], by_size[max(sizes)]["ours"]
    ours = {**most, "cost_growth": round(most["table_calls_per_job"] / least["table_calls_per_job"], 4)}
    report.save(
        "drain",
        ours=ours,
        baselines={name: by_size[max(sizes)][name] for name in BASELINES},
        targets=[
            report.Target("lost", 0),
            report.Target("billed_twice", 0),
            report.Target("drain_ratio", 1.03),
            report.Target("starts_per_job", 1.10),
            report.Target("cost_growth", 1.05),
        ],
        by_size={str(size): each for size, each in by_size.items()},
        usage={str(size): each for size, each in used.items()},
        load={
            "processing_seconds": DISTRIBUTION,
            "poison": POISON,
            "notifications_lost": LOST,
            "notifications_doubled": DOUBLED,
            "slots": SLOTS,
            "rates_per_second": {"start": 5, "get": 5},
        },
    )


if __name__ == "__main__":
    main()
