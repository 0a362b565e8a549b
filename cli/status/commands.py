"""The commands under "What happens": status, quota, budget."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, get_args

import click
from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.core import terminal
from cli.core.errors import WrongUse
from cli.core.options import complete_video, with_stack
from cli.core.stack import Stack
from cli.core.terminal import many, span
from cli.operate.dead_letters import depths
from cli.status.blocked import Block
from cli.status.budget import read as read_budget
from cli.status.overview import EXACT, JobStatus, Overview, overview, when
from cli.status.quota import CONCURRENT_JOBS, Quota, read_quota
from lambdas.model import prices
from lambdas.model.job import State
from lambdas.model.shares import LIVE

STATES: tuple[str, ...] = get_args(State)
HEADINGS = ("video", "analysis", "state", "for", "what")
LOOK_AGAIN = 2.0  # seconds, with --watch
BAR = 40  # characters
MOST_SHOWN = 200  # jobs in a terminal; --json and pipes get all


@click.command(short_help="Every video's jobs: state, since when, why, place in line.")
@click.argument("video", required=False, shell_complete=complete_video)
@click.option("--state", "states", multiple=True, type=click.Choice(STATES, case_sensitive=False), help="Only these.")
@click.option("--stuck", is_flag=True, help="Only jobs that look stuck, and why.")
@click.option("--watch", is_flag=True, help="Keep showing them until every job has ended, or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_stack
def status(stack: Stack, video: str | None, states: tuple[str, ...], stuck: bool, watch: bool, as_json: bool) -> int:
    """Show every video's jobs, or VIDEO's: state, since when, why, place in line and when it may be done.

    \b
    rekognition-batch status
    rekognition-batch status interviews/anna.mp4 --watch
    rekognition-batch status --state failed --state rejected
    rekognition-batch status --stuck
    rekognition-batch status --json | jq '.jobs[] | select(.state == "FAILED")'

    With VIDEO or --stuck, the exit code is 1 if a job FAILED, was REJECTED or looks stuck.
    """
    if watch and as_json:
        raise WrongUse("--watch is for people and --json for programs; choose one.")
    key = stack.key(video) if video else None

    def look() -> Overview:
        seen = overview(stack, time.time())
        seen = seen.of(key) if key else seen
        seen = seen.in_states(state.upper() for state in states) if states else seen
        return seen.stuck() if stuck else seen

    seen = look()
    if key and not seen.statuses and not states and not stuck:
        _not_a_job_yet(stack, key, watch)
    if watch:
        seen = _watch(look)
    elif as_json:
        terminal.data(_as_json(stack, seen))
    else:
        _show(stack, seen)
    bad = any(
        (status.job.state in ("FAILED", "REJECTED") and not status.replaced) or status.stuck for status in seen.statuses
    )
    return 1 if bad and (key or stuck) else 0


def _not_a_job_yet(stack: Stack, key: str, watch: bool) -> None:
    """Explain why a video in the bucket has no job (yet).

    Raises:
        NotThere: the video is not in the bucket either.
    """
    if key not in stack.keys(key):
        raise stack.unknown(key)
    if not key.lower().endswith(stack.extensions):
        terminal.info(
            f"{key} is in the bucket, but its extension is not one of a video ({', '.join(stack.extensions)})."
        )
        return
    terminal.info(f"{key} is in the bucket and has no job yet.")
    if not watch:
        terminal.info(f"If it still has none in a minute: {stack.target.command('backfill', '--prefix', key)}")


def _as_json(stack: Stack, seen: Overview) -> dict[str, Any]:
    return {
        "stack": stack.name,
        "paused": bool(seen.scheduler.get("paused")),
        "blocked": [block.as_json for block in seen.blocks],
        "counts": seen.counts,
        "queues": {name.replace(" ", "_"): depth for name, depth in depths(stack).items()},
        "jobs": [status.as_json for status in seen.statuses],
    }


def _show(stack: Stack, seen: Overview) -> None:
    statuses = seen.statuses
    if terminal.stdout().is_terminal and len(statuses) > MOST_SHOWN:
        terminal.info(f"The newest {MOST_SHOWN} of {len(statuses):,} jobs; all of them with --json or through a pipe.")
        statuses = statuses[:MOST_SHOWN]
    if statuses and terminal.stdout().is_terminal:
        terminal.stdout().print(_by_video(statuses, seen))
    elif statuses:
        terminal.tabbed(HEADINGS, [_cells(status, seen) for status in statuses])
    terminal.info(_summary(seen))
    for line in _lengths(seen):
        terminal.info(line)
    waits = depths(stack)
    if arriving := waits["uploads"]:
        terminal.info(f"{many(arriving, 'upload')} in the uploads queue, not yet in the table.")
    if dead := waits["uploads dead"] + waits["finished dead"]:
        terminal.info(f"{many(dead, 'dead letter')}: {stack.target.command('redrive', '--dry-run')}")
    if seen.scheduler.get("paused"):
        terminal.info(f"Starting is paused, for {_paused(seen)}: {stack.target.command('resume')}")
    _say_blocked(stack, seen.blocks)


def _say_blocked(stack: Stack, blocks: Sequence[Block]) -> None:
    for block in blocks:
        terminal.info(block.sentence)
    if blocks:
        terminal.info(f"What to fix: {stack.target.command('doctor')}")


def _summary(seen: Overview) -> str:
    if not seen.statuses:
        return "No jobs."
    return ", ".join(f"{number:,} {state}" for state, number in seen.counts.items())


def _lengths(seen: Overview) -> Iterator[str]:
    """What the header says of the one video that is shown, or else how much video waits; and the price."""
    jobs = [status.job for status in seen.statuses]
    if len({job.key for job in jobs}) == 1:
        header = next((job.header for job in jobs if job.header and job.header.container), None)
        if header:
            yield f"The video: {header.words}."
        shown, what = seen.statuses, "Its analyses"
    else:
        shown = [status for status in seen.statuses if status.job.state in ("WAITING", "CONVERTING")]
        what = "In line"
    priced = [status for status in shown if status.usd]  # failed and rejected jobs cost nothing
    if priced:
        minutes, usd = sum(status.minutes or 0 for status in priced), sum(status.usd or 0 for status in priced)
        unknown = sum(status.usd is None for status in shown)
        others = f", and {many(unknown, 'job')} of unknown length" if unknown else ""
        yield f"{what}: {minutes:,.1f} minutes, ${usd:,.2f}{others} ({prices.as_of()})."


def _watch(look: Any) -> Overview:
    """Show the jobs until all have ended, as many as fit; the last state stays on the screen."""
    console = terminal.stdout()
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            seen: Overview = look()
            # Jobs that have not ended come first: a screen has few lines.
            order = sorted(seen.statuses, key=lambda one: STATES.index(one.job.state) if not _ended(one) else 9)
            caption = Text("\n".join([_summary(seen), *(terminal.printable(block.sentence) for block in seen.blocks)]))
            live.update(Group(_by_video(order[: max(3, (console.height - 3) // 2)], seen), caption), refresh=True)
            if seen.statuses and seen.over:
                return seen
            time.sleep(LOOK_AGAIN)


def _by_video(statuses: Sequence[JobStatus], seen: Overview) -> Table:
    """Each video's name on a line of its own, whole; under it its jobs."""
    lines: list[tuple[Any, ...]] = []
    names: dict[int, Text] = {}
    before = None
    for status in statuses:
        video, *cells = _cells(status, seen)
        if status.job.key != before:
            names[len(lines)] = video
            before = status.job.key
        lines.append(tuple(cells))
    # The name is a row across all columns, which rich has not: so the jobs' columns get their widths first.
    shown = terminal.table(HEADINGS[1:], lines, ("what",))
    grid = Table.grid()
    for number, line in enumerate(lines):
        if number in names:
            grid.add_row(names[number])
        row = Table.grid(padding=(0, 2, 0, 0))
        for column in shown.columns:
            row.add_column(no_wrap=column.no_wrap, min_width=column.min_width, overflow=column.overflow)
        row.add_row(*(cell if isinstance(cell, Text) else Text(terminal.printable(str(cell))) for cell in line))
        grid.add_row(Padding(row, (0, 0, 0, 2)))
    return grid


def _paused(seen: Overview) -> str:
    since = seen.scheduler.get("paused_at")
    return span(seen.now - when(since)) if since else "some time"


def _ended(status: JobStatus) -> bool:
    return status.job.state in ("SUCCEEDED", "FAILED", "REJECTED")


def _cells(status: JobStatus, seen: Overview) -> tuple[Any, ...]:
    job = status.job
    video = Text(terminal.printable(job.key), style="bold", overflow="fold")
    return (
        video,
        job.analysis,
        terminal.state(job.state),
        span(seen.now - when(job.state_since)),
        _what(status, seen),
    )


def _what(status: JobStatus, seen: Overview) -> str:
    """A job's reason, its place in line, or the number of detections."""
    if status.replaced:
        return f"{_of_job(status, seen)} (of an upload that was replaced)"
    return _of_job(status, seen)


def _of_job(status: JobStatus, seen: Overview) -> str:
    job = status.job
    if status.stuck:
        return f"stuck? {status.stuck}"
    if job.state == "SUCCEEDED":
        return many(job.detections or 0, "detection")
    if job.state in ("FAILED", "REJECTED"):
        return job.reason or "no reason was given"
    words = [_place(status) if status.position else ""]
    if job.state == "CONVERTING":
        words.append("being converted" if job.conversion_id else "to be converted")
    if job.state == "WAITING" and seen.scheduler.get("paused"):
        words.append("paused")
    elif status.blocked:
        words.append("blocked")
    elif job.state in ("WAITING", "RUNNING"):
        words.append(f"done in about {span(status.expected - seen.now)}" if status.expected else "end unknown")
    words.append(job.reason or "")
    return ", ".join(filter(None, words))


def _place(status: JobStatus) -> str:
    about = "about " if status.position and status.position > EXACT else ""
    lower = f" ({status.job.priority})" if status.job.priority != LIVE else ""
    return f"{about}number {status.position:,} in line{lower}"


@click.command(short_help="Slots in use, jobs in line, and the account's limit.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_stack
def quota(stack: Stack, as_json: bool) -> None:
    """Show how many video jobs run, how many wait, and how many may run at the same time in this account and region.

    \b
    rekognition-batch quota

    All analyses share the slots, with all other users of Rekognition Video in the account.
    """
    found = read_quota(stack)
    if as_json:
        terminal.data(asdict(found))
        return
    limit = f"{found.limit}" if found.limit is not None else "unknown"
    terminal.print_table(
        ("what", "how many", ""),
        [
            ("slots in use by this stack", found.running, "RUNNING jobs"),
            ("the account's slots", limit, found.limit_from),
            ("in line", found.waiting, _why_in_line(found)),
            ("being converted", found.converting, "before they come into line, no slot in use"),
            ("being collected", found.collecting, "done at Rekognition, no slot in use"),
        ],
        flexible=("",),
    )
    _say_blocked(stack, found.blocked)
    if found.refused_at and found.waiting:
        terminal.info(f"The service last said that no slot is free at {found.refused_at[:19].replace('T', ' ')} UTC.")
    if found.waiting > 100 and found.limit and found.running >= found.limit:
        terminal.info(
            f"AWS's pages disagree on whether AWS raises the limit; ask in Service Quotas ({CONCURRENT_JOBS})."
        )


def _why_in_line(found: Quota) -> str:
    if found.paused:
        return "paused"
    return "blocked" if found.blocked else "WAITING jobs"


@click.command(short_help="What this month's analyses cost, and what is left.")
@click.option("--by", type=click.Choice(["analysis", "prefix"]), default="analysis", help="What the sums are split by.")
@click.option("--month", metavar="YYYY-MM", help="Another month than this one (UTC).")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_stack
def budget(stack: Stack, by: str, month: str | None, as_json: bool) -> None:
    """Show what this month's analyses cost: spent, reserved by jobs at work, left of the budget, and what the jobs in
    line will cost.

    \b
    rekognition-batch budget
    rekognition-batch budget --by prefix --month 2026-10

    These are list prices of what this stack started. The settings monthly_budget_usd and monthly_minutes cap them.
    """
    if month and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise WrongUse(f"--month {month!r} is no month.", "it takes a year and a month, such as 2026-10")
    found = read_budget(stack, by, time.time(), month)
    if as_json:
        terminal.data(found.as_json)
        return
    terminal.print_table((found.month, "dollars", "minutes"), found.rows)
    if found.limits and terminal.stdout().is_terminal:
        terminal.stdout().print(ProgressBar(total=100, completed=min(100.0, found.percent), width=BAR))
    if found.by:
        terminal.print_table(
            (f"spent by {by}", "dollars", "minutes"), [(name, *one.cells) for name, one in found.by.items()]
        )
    for sentence in found.sentences(stack.target):
        terminal.info(sentence)
