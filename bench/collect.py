"""make bench-collect: bringing six hours of results home, beside the loop a user would write.

Both read the same pages over HTTP from one process and write to one sink in the same process; measured is the client's
process alone. The plain loop keeps all pages in a list, dumps it once, builds the same rows, and puts both.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import report
from bench.start import ENVIRONMENT, ROOT

SIZES = (10_000, 100_000, 1_000_000)


@contextmanager
def services(folder: Path, detections: int) -> Iterator[dict[str, str]]:
    """Rekognition with that many detections in its one job, and the sink; gives the environment that leads there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.collect_services", str(folder), str(detections)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **ENVIRONMENT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        rekognition, sink = json.loads(process.stdout.readline())
        yield {
            "PATH": os.environ["PATH"],
            **({"PLAIN_LEVEL": os.environ["PLAIN_LEVEL"]} if "PLAIN_LEVEL" in os.environ else {}),
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL": sink,
            "AWS_ENDPOINT_URL_REKOGNITION": rekognition,
        }
    finally:
        process.kill()
        process.wait()


def measure(side: str, environment: dict[str, str]) -> dict[str, Any]:
    """One side's figures."""
    command = [sys.executable, "-m", "bench.collect_sides", side]
    answer = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def same_rows(folder: Path) -> bool:
    """Whether both sides wrote equal rows in equal order (the job's id is the same: equal uploads)."""
    (ours,) = (path for path in folder.iterdir() if path.name.startswith("results%2Frows"))
    with gzip.open(ours) as one, gzip.open(folder / "results%2Fplain.jsonl.gz") as other:
        return all(
            a is not None and b is not None and json.loads(a) == json.loads(b) for a, b in zip_longest(one, other)
        )


def main() -> None:
    """Measure, show, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="DETECTIONS")
    sizes = parser.parse_args().sizes
    found: dict[int, dict[str, Any]] = {}
    with report.progress() as bar:
        task = bar.add_task("sides", total=4 * len(sizes))
        for size in sizes:
            found[size] = {}
            with TemporaryDirectory() as name:
                for side in ("bare", "ours", "plain"):
                    with services(Path(name), size) as environment:
                        bar.update(task, description=f"{side}, {size:,} detections")
                        found[size][side] = measure(side, environment)
                        bar.advance(task)
                bar.update(task, description=f"comparing {size:,} rows")
                found[size]["same"] = same_rows(Path(name))
                bar.advance(task)
    by_size = {size: {side: _figures(sides, side) for side in ("ours", "plain")} for size, sides in found.items()}
    report.show(
        "Collecting results",
        ["detections", "peak MB over runtime", "plain loop", "CPU µs per row", "plain loop", "CPU ratio", "same rows"],
        [
            (
                f"{size:,}",
                *(sides[side]["peak_rss_over_runtime_mb"] for side in ("ours", "plain")),
                *(sides[side]["cpu_us_per_row"] for side in ("ours", "plain")),
                sides["ours"]["cpu_ratio_to_plain_loop"],
                "yes" if found[size]["same"] else "NO",
            )
            for size, sides in by_size.items()
        ],
    )
    largest = by_size[max(sizes)]
    report.save(
        "collect",
        ours={**largest["ours"], "same_rows": all(sides["same"] for sides in found.values())},
        baselines={"plain_loop": largest["plain"]},
        targets=[report.Target("peak_rss_over_runtime_mb", 128), report.Target("cpu_ratio_to_plain_loop", 0.3333)],
        by_size={str(size): sides for size, sides in by_size.items()},
    )


def _figures(sides: dict[str, Any], side: str) -> dict[str, Any]:
    bare, plain, mine = sides["bare"], sides["plain"], sides[side]
    cpu = mine["cpu_seconds"] - bare["cpu_seconds"]
    return {
        "rows": mine["rows"],
        "peak_rss_over_runtime_mb": round(mine["peak_rss_mb"] - bare["peak_rss_mb"], 1),
        "cpu_ratio_to_plain_loop": round(cpu / (plain["cpu_seconds"] - bare["cpu_seconds"]), 3),
        "cpu_us_per_row": round(1e6 * cpu / mine["rows"], 1),
        "wall_seconds": round(mine["wall_seconds"], 1),
    }


if __name__ == "__main__":
    main()
