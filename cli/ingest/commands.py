"""The commands under "Videos in": upload, backfill, estimate."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.filesize import decimal

from cli.core import terminal
from cli.core.errors import CliError, WrongUse
from cli.core.options import with_stack, with_target
from cli.core.stack import Stack, Target
from cli.core.terminal import many
from lambdas.model.shares import BACKFILL, PRIORITIES, Priority

if TYPE_CHECKING:
    from cli.ingest.convert import Copy
    from cli.ingest.estimate import Estimate
    from lambdas.model.routing import Choice

MOST_SKIPPED = 10  # named one by one; the others are counted


@click.command(short_help="Upload files and folders into the videos bucket.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--prefix", default="", metavar="FOLDER/", help="Prefix of every key.")
@click.option("--analyses", metavar="CHOICE", help="Analyses of these videos, instead of the stack's own.")
@click.option("--convert", is_flag=True, help="Convert what Rekognition can't read (HEVC, MKV, ...) first.")
@click.option("--priority", type=click.Choice(PRIORITIES), help="Their class, instead of the stack's choice.")
@click.option("--again", is_flag=True, help="Also upload what is already there.")
@click.option("--dry-run", is_flag=True, help="Only show what would be uploaded, and to where.")
@with_stack
def upload(
    stack: Stack,
    paths: tuple[Path, ...],
    prefix: str,
    analyses: str | None,
    convert: bool,
    priority: str | None,
    again: bool,
    dry_run: bool,
) -> int:
    """Upload files and folders into the videos bucket: in parts, in parallel, and only what isn't there yet.

    \b
    rekognition-batch upload holiday.mp4
    rekognition-batch upload interviews/ --prefix 2026/
    rekognition-batch upload ads/ --analyses label-detection,text-detection
    rekognition-batch upload phone/ --convert

    A folder's name becomes part of the keys: interviews/anna.mp4. Files that are not videos are skipped and named, and
    so are videos that Rekognition can't read. With --convert, this machine makes copies of these first: H.264 in MP4,
    upright, 1080p at most, under their name with .mp4.

    \b
    CHOICE is a list of analyses, with or without parameters, or none:
      face-detection,text-detection
      label-detection:MinConfidence=80
      segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE
    """
    from cli.ingest.choices import for_upload, let_choose
    from cli.ingest.convert import copy_is_there, plan_copies
    from cli.ingest.upload import CONVERTIBLE, is_there, plan

    choice = for_upload(stack, analyses) if analyses else None
    if priority:
        let_choose(stack)
    items, skipped = plan(paths, prefix, stack.extensions, CONVERTIBLE if convert else ())
    planned = plan_copies(items, stack, convert=convert)
    skipped += planned.skipped
    for one in skipped[:MOST_SKIPPED]:
        terminal.info(f"Skipped: {one.path}: {one.why}.")
    if len(skipped) > MOST_SKIPPED:
        terminal.info(f"Skipped: {len(skipped) - MOST_SKIPPED:,} more.")
    found = len(planned.as_they_are) + len(planned.copies)
    if not found:
        raise CliError("There is no video to upload.", f"this stack accepts {' and '.join(stack.extensions)} files")
    new = [item for item in planned.as_they_are if again or not is_there(stack, item, choice)]
    copies = [copy for copy in planned.copies if again or not copy_is_there(stack, copy, choice)]
    sent = len(new) + len(copies)
    if dry_run:
        for item in new:
            terminal.line(item.path, f"s3://{stack.videos}/{item.key}")
        for copy in copies:
            terminal.line(copy.item.path, f"s3://{stack.videos}/{copy.item.key}", f"converted from {copy.was}")
        terminal.info(f"{many(sent, 'video')} would be uploaded, {found - sent} are there already.")
        return 0
    asked = {"analyses": choice, "priority": priority}
    metadata = {name: text for name, text in asked.items() if text}
    failed = _send(stack, new, metadata)
    failed += sum(_send_copy(stack, copy, metadata) for copy in copies)
    there = f", {found - sent} were there already" if found > sent else ""
    terminal.info(f"{many(sent - failed, 'video')} uploaded{there}{f', {failed} failed' if failed else ''}.")
    if sent:
        terminal.info(f"To follow them: {stack.target.command('status', '--watch')}")
    return 1 if failed else 0


def _send(stack: Stack, items: list[Any], metadata: dict[str, str]) -> int:
    from cli.ingest.upload import Bars, send

    failed = 0
    with terminal.progress(transfer=True) as bars:
        for item, trouble in send(stack, items, metadata, Bars(bars, items)):
            if trouble:
                failed += 1
                terminal.info(f"Failed: {item.path}: {trouble}")
            else:
                terminal.line(f"s3://{stack.videos}/{item.key}")
    return failed


def _send_copy(stack: Stack, copy: "Copy", metadata: dict[str, str]) -> int:
    """Convert and upload one video; how many failed: 0 or 1."""
    from cli.ingest.convert import FROM, NotConverted, converted, md5_of

    with ExitStack() as until_sent:
        started = time.monotonic()
        try:
            with terminal.progress(transfer=True) as bars:
                bar = bars.add_task(f"{copy.item.path.name[:28]}", total=1.0)

                def progress(done: float, speed: float) -> None:
                    bars.update(bar, completed=done, description=f"{copy.item.path.name[:28]} {speed:.1f}×")

                made = until_sent.enter_context(converted(copy, progress))
        except NotConverted as why:
            terminal.info(f"Failed: {copy.item.path}: {why}")
            return 1
        took = time.monotonic() - started
        faster = f", {made.seconds / took:.1f} times as fast as it plays" if made.seconds else ""
        terminal.info(f"Converted: {copy.item.path} ({copy.was}) in {terminal.span(took)}{faster}.")
        return _send(stack, [made.item], metadata | {FROM: md5_of(copy.item.path)})


@click.command(short_help="Analyse videos that are already in the bucket.")
@click.option("--prefix", default="", metavar="FOLDER/", help="Only keys with this prefix.")
@click.option(
    "--priority", type=click.Choice(PRIORITIES), default=BACKFILL, help="Their class (default: backfill, after live)."
)
@click.option("--dry-run", is_flag=True, help="Only show how many videos, minutes and dollars.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: as JSON, with the keys.")
@with_stack
def backfill(stack: Stack, prefix: str, priority: Priority, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Analyse the videos in the bucket that have no job, from before the stack or from a time when it was broken.

    \b
    rekognition-batch backfill --dry-run
    rekognition-batch backfill --prefix 2019/ --yes

    They wait behind new uploads, unless --priority says live.

    Videos that have a job are left out, however the job ended (see retry). The price is for the stack's own analyses;
    analyses that an uploader chose in an object's metadata are done as well.
    """
    from cli.ingest.backfill import announce, cost as cost_of, missing

    if as_json and not dry_run:
        raise WrongUse("--json goes with --dry-run.", stack.target.command("backfill", "--dry-run", "--json"))
    found = missing(stack, prefix)
    if not found and not as_json:
        terminal.info("Every video in the bucket has a job.")
        return
    cost = cost_of(stack, found)
    if as_json:
        keys = [thing["Key"] for thing in found]
        terminal.data({"videos": len(found), "minutes": cost.minutes, "usd": cost.dollars, "keys": keys})
        return
    terminal.info(_priced(len(found), cost))
    if dry_run:
        for thing in found:
            terminal.line(thing["Key"])
        return
    terminal.confirm(f"Analyse {'it' if len(found) == 1 else 'them'}?", yes=yes)
    announce(stack, found, priority)
    terminal.info(f"{many(len(found), 'video')} announced: {stack.target.command('status', '--watch')}")


def _priced(videos: int, cost: Any) -> str:
    from lambdas.model import prices

    about = f" (estimated from {cost.measured} of them)" if cost.measured < videos else ""
    refused = f" {many(cost.refused, 'video')} of them can't be read by Rekognition and cost nothing." * bool(
        cost.refused
    )
    return (
        f"{many(videos, 'video')}, {cost.minutes:,.1f} minutes{about}, "
        f"${cost.dollars:,.2f} ({prices.as_of()}).{refused}"
    )


@click.command(short_help="What videos would cost, from their headers.")
@click.argument("paths", metavar="PATH|s3://...", nargs=-1, required=True)
@click.option("--analyses", metavar="CHOICE", help="Instead of the stack's own choice.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_target
def estimate(target: Target, paths: tuple[str, ...], analyses: str | None, as_json: bool) -> int:
    """Show how long videos are, whether Rekognition can read them, and what their analyses cost.

    \b
    rekognition-batch estimate holiday.mp4 interviews/
    rekognition-batch estimate s3://my-videos/2019/ --analyses text-detection

    It reads only the headers: for an object in S3, a few hundred kilobytes by byte range. The exit code is 1 if
    Rekognition refuses one of the videos.
    """
    from cli.ingest import choices
    from lambdas.model import prices

    choice, converts = (choices.parsed(analyses), False) if analyses else choices.of_stack(target)
    found = list(_estimates(target, paths, choice, converts))
    if as_json:
        terminal.data([one.as_json for one in found])
    else:
        terminal.print_table(
            ("video", "length", "codec", "size", "price", "trouble"),
            [_priced_row(one) for one in found],
            ("video", "trouble"),
        )
        each = ", ".join(f"{name} ${price:.2f}" for name, price in prices.per_minute(choice).items())
        minutes = sum(one.video.header.minutes for one in found if not one.trouble)
        total = sum(one.total for one in found)
        if converted := sum("conversion" in one.dollars for one in found):
            each += f", conversion ${prices.conversion(1):.3f}"
            terminal.info(f"{many(converted, 'video')} converted first, as the setting convert is on.")
        terminal.info(f"{many(len(found), 'video')}, {minutes:,.1f} minutes: ${total:,.2f}")
        terminal.info(f"Per minute: {each} ({prices.as_of()}).")
        if any(one.trouble for one in found):
            terminal.info("upload --convert makes H.264 in MP4 of what has another codec or container.")
    return 1 if any(one.trouble for one in found) else 0


def _priced_row(one: "Estimate") -> tuple[str, ...]:
    from lambdas.model.video_header import length

    header = one.video.header
    return (
        one.name,
        length(header.seconds) if header.seconds else "-",
        header.codec or "-",
        decimal(one.video.size),
        f"${one.total:.2f}",
        one.trouble,
    )


def _estimates(target: Target, paths: tuple[str, ...], choice: "Choice", converts: bool) -> Any:
    from cli.ingest import choices
    from cli.ingest.estimate import estimate as estimate_of, of_file
    from cli.ingest.upload import plan

    for path in paths:
        if path.startswith("s3://"):
            yield from _of_s3(target, path, choice)
            continue
        items, skipped = plan([Path(path)], "", choices.extensions())
        if not items:
            why = skipped[0].why if skipped else "it holds no video"
            raise CliError(f"{path}: {why}.")
        for item in items:
            yield estimate_of(str(item.path), of_file(item.path), choice, converts=converts)


def _of_s3(target: Target, address: str, choice: "Choice") -> Any:
    from cli.core.stack import find
    from cli.ingest import choices
    from cli.ingest.estimate import estimate as estimate_of, of_object, of_objects

    bucket, _, key = address.removeprefix("s3://").partition("/")
    stack = find(target)
    s3 = stack.client("s3")
    if key and not key.endswith("/"):
        yield estimate_of(address, of_object(s3, bucket, key), choice, converts=stack.converts)
        return
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    objects = (thing for page in pages for thing in page.get("Contents", []))
    videos = (thing for thing in objects if thing["Key"].lower().endswith(choices.extensions()) and thing["Size"])
    for name, video in of_objects(s3, bucket, videos):
        yield estimate_of(f"s3://{bucket}/{name}", video, choice, converts=stack.converts)
