"""make bench-drain: videos at once on so many slots, in virtual time.

Ours is the real handler code on a stand-in for AWS that ``tests/histories`` holds equal to moto; Rekognition is the
local endpoint with its quotas. Assumed latencies are in ``bench/cloud.py``, the loads in ``bench/load.py``.

- 1,000 and 10,000 videos on 20 slots; beside two other designs.
- 10,000 on 200 and on 1,000 slots. By itself, an account with 1,000 slots would start 10 jobs a second, so it is
  measured with 50 Starts and Gets a second, and once with 5, where these are the limit.
- Four shares of different weights that all have jobs waiting for a day.
- An urgent clip that is dropped behind 10,000 videos of the class backfill, beside the same clip in their class.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench import report
from bench.drain_baselines import BASELINES
from bench.drain_ours import Drained, Run, drain
from bench.load import (
    DISTRIBUTION,
    DOUBLED,
    LONGEST,
    LOST,
    POISON,
    Quotas,
    Video,
    perfect_fifo,
    shared,
    videos,
    work,
)

SIZES = (1_000, 10_000)
QUOTAS = Quotas()
LARGER = (Quotas(200), Quotas(1_000, starts=50, gets=50), Quotas(1_000))
FIGURES = (
    "lost",
    "billed_twice",
    "drain_ratio",
    "starts_per_job",
    "gets_per_job",
    "table_calls_per_job",
    "oldest_wait_s",
)
TABLE_CALLS_BEFORE = 11.72  # per job, without classes, shares and a budget (commit 38656a9)

DAY = 86_400.0
WEIGHTS = {"s1/": 1.0, "s2/": 1.0, "s3/": 2.0, "s4/": 4.0}
VIDEOS_OF_A_DAY = 17_500  # on 20 slots, and some more: no share may run out of jobs within the day

AFTER = 3_600.0  # seconds after the back catalogue at which the urgent clip is dropped
URGENT = Video("urgent/live.mp4", 60.0, at=AFTER)
SAME_CLASS = Video("urgent/backfill.mp4", 60.0, at=AFTER, announced="backfill")

Progress = Callable[[int], None]


def figures(load: list[Video], found: Drained, quotas: Quotas = QUOTAS) -> dict[str, Any]:
    """A run's figures under their plain names."""
    return {
        "lost": found.lost,
        "billed_twice": found.billed_twice,
        # What was lost took no slot: a design that loses nearly everything is soon done, so it has no ratio.
        "drain_ratio": round(found.seconds / (work(load) / quotas.slots), 4) if found.lost < len(load) / 100 else None,
        "starts_per_job": round(found.meter.start_calls / len(load), 4),
        "gets_per_job": round(found.meter.get_calls / len(load), 4),
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
        "conflicts": found.meter.conflicts,
        "invocations": dict(found.meter.invocations),
        "function_seconds": {name: round(seconds, 1) for name, seconds in found.meter.seconds.items()},
        "table_units": dict(found.units),
        "log_bytes": found.log_bytes,
        "video_seconds": round(work(load)),
    }


def on_larger_quotas(size: int, quotas: Quotas, progress: Progress) -> dict[str, Any]:
    """`size` videos at once on many slots. There, the last long job decides and, with few starts a second, their rate;
    so the time is also given as a multiple of what the same order takes without any delay (``over_perfect``)."""
    load = videos(size)
    found = drain(load, progress, quotas)
    perfect = perfect_fifo(load, found.order, quotas)
    return {
        "slots": quotas.slots,
        "rates_per_second": {"start": quotas.starts, "get": quotas.gets},
        "ideal_s": round(work(load) / quotas.slots),
        "perfect_line_s": round(perfect),
        **figures(load, found, quotas),
        "over_perfect": round(found.seconds / perfect, 4),
        "longest_job_s": max(video.seconds for video in load),
        "table_conflicts_per_job": round(found.meter.conflicts / len(load), 4),
    }


@dataclass(frozen=True, slots=True)
class Share:
    """What a share had of a day."""

    weight: float
    minutes: float  # of video started
    due: float  # of video, by its weight
    longest_wait: float  # seconds between two of its starts, at most, while it had jobs waiting

    def figures(self) -> dict[str, float]:
        """Under their plain names."""
        return {
            "weight": self.weight,
            "minutes": round(self.minutes),
            "off_by": round(self.minutes / self.due - 1, 4),
            "longest_wait_s": round(self.longest_wait),
        }


def shares_of_a_day(load: list[Video], runs: Sequence[Run], day: float) -> dict[str, Share]:
    """What each share had.

    Raises:
        AssertionError: one of them had no jobs waiting at the end.
    """
    seconds = {video.key: video.seconds for video in load}
    starts: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        starts[run.key.partition("/")[0] + "/"].append(run)
    minutes: dict[str, float] = {}
    for share, own in starts.items():
        assert own[-1].started > day, f"{share} ran out of jobs"
        minutes[share] = sum(seconds[run.key] for run in own if run.started <= day) / 60
    per_weight = sum(minutes.values()) / sum(WEIGHTS.values())
    return {
        share: Share(
            weight,
            minutes[share],
            per_weight * weight,
            max(later.started - run.started for run, later in pairwise(starts[share]) if run.started <= day),
        )
        for share, weight in WEIGHTS.items()
    }


def four_shares(count: int, day: float, progress: Progress) -> dict[str, Any]:
    """Four shares whose jobs are all dropped at once, one share after the other."""
    load = shared(WEIGHTS, count)
    found = drain(load, progress, QUOTAS, WEIGHTS)
    shares = shares_of_a_day(load, found.runs, day)
    return {
        "videos": len(load),
        **figures(load, found),
        "shares": {name: share.figures() for name, share in shares.items()},
        "most_off_by": max(abs(share.minutes / share.due - 1) for share in shares.values()),
        # A share is at most one longest video ahead, in proportion to its weight, and the others catch up on all slots.
        "longest_wait_s": max(round(share.longest_wait) for share in shares.values()),
        "documented_wait_s": round(LONGEST / min(WEIGHTS.values()) * sum(WEIGHTS.values()) / QUOTAS.slots),
    }


def urgent_clip(count: int, progress: Progress) -> dict[str, Any]:
    """A clip dropped behind a back catalogue: in the class live, and in the catalogue's own."""
    catalogue = [
        Video(f"archive/{video.key}", video.seconds, video.kind, announced="backfill") for video in videos(count)
    ]
    load = [*catalogue, URGENT, SAME_CLASS]
    found = drain(load, progress)
    started = {run.key: run.started for run in found.runs}
    freed = {
        clip.key: sum(clip.at <= run.ended <= started[clip.key] for run in found.runs) for clip in (URGENT, SAME_CLASS)
    }
    return {
        "videos": len(load),
        **figures(load, found),
        "live": {"wait_s": round(started[URGENT.key] - AFTER, 1), "freed_slots": freed[URGENT.key]},
        "same_class": {"wait_s": round(started[SAME_CLASS.key] - AFTER), "freed_slots": freed[SAME_CLASS.key]},
    }


def show_sizes(by_size: dict[int, dict[str, Any]]) -> None:
    """On 20 slots, beside the other designs."""
    report.show(
        f"{' and '.join(f'{size:,}' for size in by_size)} videos at once, {QUOTAS.slots} slots",
        ["", *(figure.replace("_", " ") for figure in FIGURES)],
        [
            (f"{name.replace('_', ' ')}, {size:,}", *(each[name][figure] for figure in FIGURES))
            for size, each in by_size.items()
            for name in ("ours", *BASELINES)
        ],
    )
    for size, each in by_size.items():
        print(
            f"{size:,}: work ÷ slots {each['ideal_s']:,} s; the same order of starts without any delay "
            f"{each['perfect_line_s']:,} s; ours {each['ours']['drain_s']:,} s"
        )


def show_more(larger: dict[str, Any], shares: dict[str, Any], urgent: dict[str, Any]) -> None:
    """The other scenarios."""
    columns = ("lost", "drain_ratio", "over_perfect", "starts_per_job", "gets_per_job", "table_calls_per_job")
    report.show(
        "On more slots",
        ["slots, Starts and Gets a second", *(column.replace("_", " ") for column in columns)],
        [(name, *(each[column] for column in columns)) for name, each in larger.items()],
    )
    report.show(
        f"Four shares for a day, {shares['table_calls_per_job']} table calls per job",
        ["share", "weight", "minutes", "off by", "longest wait, s"],
        [(name, *share.values()) for name, share in shares["shares"].items()],
    )
    report.show(
        f"A clip dropped behind {urgent['videos'] - 2:,} videos",
        ["", "wait, s", "freed slots"],
        [(name.replace("_", " "), *urgent[name].values()) for name in ("live", "same_class")],
    )


def main() -> None:
    """Run, show, write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="VIDEOS")
    parser.add_argument("--day", type=float, default=DAY, metavar="SECONDS", help="a shorter day, to try things")
    arguments = parser.parse_args()
    sizes, most = arguments.sizes, max(arguments.sizes)
    of_a_day = round(VIDEOS_OF_A_DAY * arguments.day / DAY)
    by_size: dict[int, dict[str, Any]] = {}
    used: dict[int, dict[str, Any]] = {}
    with report.progress() as bar:

        def run(name: str, total: int, scenario: Callable[[Progress], Any]) -> Any:
            task = bar.add_task(f"{name}, {total:,} videos", total=total)
            found = scenario(lambda ended: bar.advance(task, ended))
            bar.remove_task(task)
            return found

        for size in sizes:
            load = videos(size)
            found = run("ours", size, lambda progress, load=load: drain(load, progress))  # type: ignore[misc]
            used[size] = usage(load, found)
            by_size[size] = {
                "ideal_s": round(work(load) / QUOTAS.slots),
                "ours": figures(load, found),
                "perfect_line_s": round(perfect_fifo(load, found.order, QUOTAS)),
            }
            for name, design in BASELINES.items():
                by_size[size][name] = figures(
                    load,
                    run(name, size, lambda progress, load=load, design=design: design(load, progress)),  # type: ignore[misc]
                )
        larger = {
            f"{quotas.slots:,}, {quotas.starts}": run(
                f"{quotas.slots:,} slots",
                most,
                lambda progress, quotas=quotas: on_larger_quotas(most, quotas, progress),  # type: ignore[misc]
            )
            for quotas in LARGER
        }
        shares = run("four shares", of_a_day, lambda progress: four_shares(of_a_day, arguments.day, progress))
        urgent = run("an urgent clip", most, lambda progress: urgent_clip(most, progress))
    show_sizes(by_size)
    show_more(larger, shares, urgent)
    least, ours = by_size[min(sizes)]["ours"], by_size[most]["ours"]
    growth = ours["table_calls_per_job"] / least["table_calls_per_job"]
    report.save(
        "drain",
        ours={
            **ours,
            "cost_growth": round(growth, 4),
            "over_perfect_200": larger["200, 5"]["over_perfect"],
            "over_perfect_1000": larger["1,000, 50"]["over_perfect"],
            "starts_per_job_1000": larger["1,000, 5"]["starts_per_job"],
            "share_off_by": round(shares["most_off_by"], 4),
            "share_wait_of_documented": round(shares["longest_wait_s"] / shares["documented_wait_s"], 4),
            "shares_table_calls_growth": round(shares["table_calls_per_job"] / ours["table_calls_per_job"], 4),
            "urgent_freed_slots": urgent["live"]["freed_slots"],
        },
        baselines={name: by_size[most][name] for name in BASELINES},
        targets=[
            report.Target("lost", 0),
            report.Target("billed_twice", 0),
            report.Target("drain_ratio", 1.03),
            report.Target("starts_per_job", 1.10),
            report.Target("table_calls_per_job", TABLE_CALLS_BEFORE * 1.25),
            report.Target("cost_growth", 1.05),
            report.Target("over_perfect_200", 1.03),
            report.Target("over_perfect_1000", 1.03),
            report.Target("starts_per_job_1000", 2.0),
            report.Target("share_off_by", 0.05),
            report.Target("share_wait_of_documented", 1.0),
            report.Target("shares_table_calls_growth", 1.25),
            report.Target("urgent_freed_slots", 2),
        ],
        by_size={str(size): each for size, each in by_size.items()},
        larger_quotas=larger,
        four_shares=shares,
        urgent_clip=urgent,
        usage={str(size): each for size, each in used.items()},
        load={
            "processing_seconds": DISTRIBUTION,
            "poison": POISON,
            "notifications_lost": LOST,
            "notifications_doubled": DOUBLED,
            "slots": QUOTAS.slots,
            "rates_per_second": {"start": QUOTAS.starts, "get": QUOTAS.gets},
        },
    )


if __name__ == "__main__":
    main()
