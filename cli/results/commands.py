"""The commands under "Results out": results, export, report, query; and open."""

import secrets
import signal
import sys
import tempfile
import threading
import webbrowser
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
from rich.text import Text

from cli.core import filenames, terminal
from cli.core.errors import CliError, WrongUse
from cli.core.options import complete_query, video_argument, with_stack, with_target
from cli.core.stack import Stack
from cli.core.terminal import many
from cli.results import captions, result_lookup
from cli.results.export import FORMATS, TABLES, captions_of, timeline_of, write_csv, write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.core.stack import Target
    from cli.pages.server import Site
    from lambdas.model.job import Job

ANALYSIS = click.option("--analysis", metavar="NAME", help="Only this analysis.")


@click.command(short_help="Download a video's results.")
@video_argument
@ANALYSIS
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FOLDER", help="Target folder [default: VIDEO.results]."
)
@click.option("--no-rows", is_flag=True, help="Only the documents, without the rows.")
@click.option(
    "--stdout", is_flag=True, help="Write the document to standard output; if there are several, add --analysis."
)
@with_stack
def results(stack: Stack, video: str, analysis: str | None, output: Path | None, no_rows: bool, stdout: bool) -> None:
    """Download the results of VIDEO: a document for each analysis, and its rows.

    \b
    rekognition-batch results interviews/anna.mp4
    rekognition-batch results anna.mp4 --stdout | jq '.Faces | length'

    A document has the form of Rekognition's own Get response, with all pages in one; rows are one flat record per
    detection.
    """
    key, jobs = result_lookup.done(stack, video, analysis)
    if stdout:
        if len(jobs) > 1:
            names = ", ".join(job.analysis for job in jobs)
            raise WrongUse(f"{key} has several results: {names}.", f"--analysis {jobs[0].analysis}")
        terminal.copy(result_lookup.body(stack, jobs[0].result_key).iter_chunks(1 << 16))
        return
    folder = filenames.make(output or Path(f"{filenames.file_name(key)}.results"))
    for job in jobs:
        _save(stack, job.result_key, folder / f"{job.analysis}.json")
        if not no_rows:
            _save(stack, job.rows_key, folder / f"{job.analysis}.jsonl.gz")


def _save(stack: Stack, key: str | None, path: Path) -> None:
    """Download an object; the file appears only when it is complete."""
    # A new file with an unpredictable name, so that other users can't prepare a file or a link under it.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            for block in result_lookup.body(stack, key).iter_chunks(1 << 20):
                file.write(block)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    terminal.path(path)


@click.command(short_help="Results as a table, as captions, or as an editing timeline.")
@video_argument
@click.option("--format", "form", required=True, type=click.Choice(FORMATS), help="The format; see above.")
@ANALYSIS
@click.option("--output", "-o", metavar="FILE", help="Target file; - is standard output [default: the video's name].")
@with_stack
def export(stack: Stack, video: str, form: str, analysis: str | None, output: str | None) -> None:
    """Write VIDEO's results in a format for other programs.

    \b
    csv, parquet  rows, one per detection: for spreadsheets, pandas, DuckDB
    vtt, srt      captions: text on screen, labels, celebrities
    edl           an editing timeline (CMX 3600): shots and technical cues

    \b
    rekognition-batch export anna.mp4 --format csv
    rekognition-batch export anna.mp4 --format vtt --analysis label-detection
    rekognition-batch export anna.mp4 --format edl -o - | head
    """
    if form in TABLES:
        _export_rows(stack, video, form, analysis, output)
    elif form == "edl":
        if analysis not in (None, "segment-detection"):
            raise WrongUse("An editing timeline is made from segment-detection only.")
        lines = timeline_of(stack, video)
        first = next(lines)  # before the file is created: there may be nothing to write
        with _file(stack, video, form, output) as file:
            file.writelines(f"{line}\n" for line in (first, *lines))
    else:
        found = captions_of(stack, video, analysis)
        with _file(stack, video, form, output) as file:
            file.writelines(captions.vtt(found) if form == "vtt" else captions.srt(found))
        terminal.info(f"{many(len(found), 'caption')}.")


@contextmanager
def _file(stack: Stack, video: str, form: str, output: str | None) -> "Iterator[IO[str]]":
    if output == "-":
        yield terminal.text_file()
        return
    path = Path(output or f"{filenames.stem(stack.key(video))}.{form}")
    filenames.make(path.parent)
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file
    terminal.path(path)


def _export_rows(stack: Stack, video: str, form: str, analysis: str | None, output: str | None) -> None:
    key, jobs = result_lookup.done(stack, video, analysis)
    if output and len(jobs) > 1:
        names = ", ".join(job.analysis for job in jobs)
        raise WrongUse(f"{key} has several results, and each needs a file of its own: {names}.", "add --analysis NAME")
    if output == "-" and form == "parquet":
        raise WrongUse("Parquet is binary and needs a file.", f"--output {filenames.stem(key)}.parquet")
    for job in jobs:
        if output == "-":
            write_csv(result_lookup.rows(stack, job), terminal.text_file())
            continue
        path = Path(output or f"{filenames.stem(key)}.{job.analysis}.{form}")
        filenames.make(path.parent)
        _write_table(stack, job, form, path)
        terminal.path(path)


def _write_table(stack: Stack, job: "Job", form: str, path: Path) -> None:
    if not job.detections:
        raise CliError(f"{job.analysis} found nothing in {job.key}, so there are no rows.")
    if form == "csv":
        with path.open(
            "w", encoding="utf-8-sig", newline=""
        ) as file:  # with a byte order mark, by which Excel recognises UTF-8
            write_csv(result_lookup.rows(stack, job), file)
        return
    with tempfile.TemporaryDirectory() as scratch:
        write_parquet(stack, job, path, Path(scratch))


@click.command(short_help="A page with the video and everything that was found in it.")
@video_argument
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Target file [default: VIDEO.html]."
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Play this copy of the video on your disk.",
)
@click.option("--download", is_flag=True, help="Download the video next to the page, and play that.")
@click.option(
    "--link", metavar="TIME", help="Play it by a link that works for everyone with the page, for TIME: 90m, 12h, 7d."
)
@click.option("--no-keep", is_flag=True, help="Don't also store the page next to the results.")
@click.option("--no-open", is_flag=True, help="Don't open a browser.")
@with_stack
def report(
    stack: Stack,
    video: str,
    output: Path | None,
    file: Path | None,
    download: bool,
    link: str | None,
    no_keep: bool,
    no_open: bool,
) -> None:
    """Write a self-contained page about VIDEO and open it: the video with boxes, a timeline of every analysis, a table,
    pictures of key moments.

    \b
    rekognition-batch report anna.mp4 --file ~/Videos/anna.mp4
    rekognition-batch report anna.mp4 --download
    rekognition-batch report anna.mp4 --link 12h --no-open

    The videos bucket stays private: the page plays a file on your disk, or a link that expires. Without either, it
    shows pictures and asks you for the file.
    """
    from cli.results import report as video_report

    if sum(map(bool, (file, download, link))) > 1:
        raise WrongUse("Choose one of --file, --download and --link.")
    seconds = video_report.seconds(link) if link else None
    key = stack.key(video)
    page = output or Path(f"{filenames.file_name(key)}.html")
    filenames.make(page.parent)
    if download:
        result_lookup.done(stack, video)
        file = video_report.download(stack, key, page.parent / filenames.file_name(key))
    made = video_report.report(stack, video, file)
    page.write_text(made.html(video_report.link(stack, key, page, video_report.Playing(file, seconds))), "utf-8")
    terminal.path(page)
    if not no_keep:
        terminal.info(video_report.keep(stack, made))
    if not no_open:
        webbrowser.open(page.resolve().as_uri())


@click.command(short_help="Query the results with SQL, or run a saved query.")
@click.argument("question", metavar="[SQL|NAME]", required=False, shell_complete=complete_query)
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of the saved query.")
@click.option("--here", is_flag=True, help="Use DuckDB on this machine, over a copy of the rows, instead of Athena.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_target
def query(target: "Target", question: str | None, pairs: tuple[str, ...], here: bool, as_json: bool) -> None:
    """Query the results with SQL, or run a saved query. Without an argument: list the saved queries.

    \b
    rekognition-batch query
    rekognition-batch query moments-with-label --set label=Bicycle
    rekognition-batch query 'SELECT count(*) FROM face_detection' --json

    On AWS, Athena runs it (about $5 per TB read); in the local cloud, and with --here, DuckDB does. The tables are
    listed in docs/rows.md.
    """
    from cli.core.stack import find
    from cli.results import athena

    if question is None:
        _saved_queries()
        return
    values = athena.given(pairs)
    answer = athena.ask(find(target), question, values, here=here)
    if as_json:
        terminal.data([dict(zip(answer.columns, map(_plain, row), strict=True)) for row in answer.rows])
    else:
        terminal.print_table(
            answer.columns, [["" if cell is None else cell for cell in row] for row in answer.rows], answer.columns
        )


def _plain(cell: object) -> object:
    return cell if cell is None or isinstance(cell, (bool, int, float, str, list, dict)) else str(cell)


def _saved_queries() -> None:
    """List the saved queries: as a table for people, one per line for programs."""
    from queries.saved import saved

    rows = [
        (one.name, one.answers, " ".join(f"--set {p.name}={p.default}" for p in one.parameters))
        for one in saved().values()
    ]
    if not terminal.stdout().is_terminal:
        terminal.tabbed(("name", "answers", "parameters"), rows)
        return
    lines = [(name, Text.assemble(answers, *([f"\n{words}"] if words else []))) for name, answers, words in rows]
    terminal.print_table(
        ("name", "what it answers, and its parameters"), lines, ("what it answers, and its parameters",)
    )


@click.command("open", short_help="A page with all videos: drop more, see them finish.")
@click.option("--port", type=int, default=0, help="Port to listen on [default: any free port].")
@click.option("--no-open", is_flag=True, help="Don't open a browser.")
@with_stack
def open_page(stack: Stack, port: int, no_open: bool) -> None:
    """Serve a page on this machine only, until Ctrl-C: drop videos, see their states, the slots and the line, and open
    each video's report.

    \b
    rekognition-batch open
    rekognition-batch open --local --no-open

    It uses your own credentials, and the buckets stay private. The browser opens the page from a file that only you
    can read. With --no-open, the command prints an address instead; it works for one browser, once, within two minutes.
    """
    from cli.pages.backend import StackBackend
    from cli.pages.opening import open_privately
    from cli.pages.server import Site

    with (
        suppress(KeyboardInterrupt),
        Site(StackBackend(stack), port=port) as site,
        tempfile.TemporaryDirectory(prefix="rekognition-batch-") as folder,  # which no other user can enter
    ):
        if not no_open and open_privately(site.login_url(), Path(folder)):
            terminal.line(f"{site.origin}/")
            terminal.info("If no page opens, press Enter for an address to open yourself. Ctrl-C stops the server.")
        else:
            terminal.line(site.login_url())
            terminal.info(
                "This address works once, within two minutes. Press Enter for another one. Ctrl-C stops the server."
            )
        _more_addresses(site)


def _more_addresses(site: "Site") -> None:
    """Print another address each time Enter is pressed, until Ctrl-C."""
    if sys.stdin.isatty():
        # With the signal ignored, a read in the background fails instead of stopping the process.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        with suppress(OSError):
            while sys.stdin.readline():
                terminal.line(site.login_url())
    threading.Event().wait()
