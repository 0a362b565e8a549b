"""Results out: as they are, for other programs, as a page, and as answers to questions."""

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

ANALYSIS = click.option("--analysis", metavar="NAME", help="Only this one.")


@click.command(short_help="Download what was found in a video.")
@video_argument
@ANALYSIS
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to [default: VIDEO.results]."
)
@click.option("--no-rows", is_flag=True, help="Only the documents, not the rows.")
@click.option("--stdout", is_flag=True, help="Write the document to standard output; with several, take --analysis.")
@with_stack
def results(stack: Stack, video: str, analysis: str | None, output: Path | None, no_rows: bool, stdout: bool) -> None:
    """Download what was found in VIDEO: a document of each analysis, and its rows.

    \b
    rekognition-batch results interviews/anna.mp4
    rekognition-batch results anna.mp4 --stdout | jq '.Faces | length'

    A document is what Rekognition's own Get call answers, all pages in one; rows are one flat record per detection.
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
    """Write an object to a file, which appears when it is whole."""
    # A new file of a name that others can't foresee, so that it is none of theirs, and no link to one of ours.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            for block in result_lookup.body(stack, key).iter_chunks(1 << 20):
                file.write(block)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    terminal.path(path)


@click.command(short_help="Results for a sheet, as captions, or as an editing timeline.")
@video_argument
@click.option("--format", "form", required=True, type=click.Choice(FORMATS), help="What for; see above.")
@ANALYSIS
@click.option("--output", "-o", metavar="FILE", help="Where to; - is standard output [default: the video's name].")
@with_stack
def export(stack: Stack, video: str, form: str, analysis: str | None, output: str | None) -> None:
    """Write VIDEO's results in a form that other programs read.

    \b
    csv, parquet  rows, one per detection: for a sheet, for pandas and DuckDB
    vtt, srt      captions: texts on screen, labels, celebrities
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
            raise WrongUse("An editing timeline is made of segment-detection alone.")
        lines = timeline_of(stack, video)
        first = next(lines)  # before the file is made: it may be that there is nothing to write
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
        raise WrongUse(f"{key} has several results, and each is a table of its own: {names}.", "take --analysis NAME")
    if output == "-" and form == "parquet":
        raise WrongUse("Parquet is no text; name a file.", f"--output {filenames.stem(key)}.parquet")
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
        with path.open("w", encoding="utf-8-sig", newline="") as file:  # the mark by which Excel knows UTF-8
            write_csv(result_lookup.rows(stack, job), file)
        return
    with tempfile.TemporaryDirectory() as scratch:
        write_parquet(stack, job, path, Path(scratch))


@click.command(short_help="A page to look at: the video, and what was found when.")
@video_argument
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Where to [default: VIDEO.html].")
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The video on this disk.")
@click.option("--download", is_flag=True, help="Put the video beside the page, and play it from there.")
@click.option(
    "--link", metavar="TIME", help="Play it by a link that anybody with the page can use for TIME: 90m, 12h, 7d."
)
@click.option("--no-keep", is_flag=True, help="Don't keep the page next to the results, too.")
@click.option("--no-open", is_flag=True, help="Don't open it in a browser.")
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
    """Write a page about VIDEO, one file that needs nothing else, and open it: boxes at their moments, a timeline of
    every analysis, a table, pictures of key moments.

    \b
    rekognition-batch report anna.mp4 --file ~/Videos/anna.mp4
    rekognition-batch report anna.mp4 --download
    rekognition-batch report anna.mp4 --link 12h --no-open

    The videos bucket stays private: the page plays a file on this disk, or a link that runs out. With neither, it has
    pictures and asks for the file.
    """
    from cli.results import report as video_report

    if sum(map(bool, (file, download, link))) > 1:
        raise WrongUse("Of --file, --download and --link take one.")
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


@click.command(short_help="Ask the results with SQL, or run a saved query.")
@click.argument("question", metavar="[SQL|NAME]", required=False, shell_complete=complete_query)
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of the saved query.")
@click.option("--here", is_flag=True, help="In DuckDB on this machine, over a copy of the rows, instead of Athena.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_target
def query(target: "Target", question: str | None, pairs: tuple[str, ...], here: bool, as_json: bool) -> None:
    """Ask the results with SQL, or run a saved query. Without either: list the saved queries.

    \b
    rekognition-batch query
    rekognition-batch query moments-with-label --set label=Bicycle
    rekognition-batch query 'SELECT count(*) FROM face_detection' --json

    On AWS, Athena runs it (about $5 per TB read); in the local cloud, and with --here, DuckDB does. The tables are
    listed in docs/results.md.
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
    """Their list: for people with what they answer under the name, for programs a line each."""
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


@click.command("open", short_help="All videos on a page: drop more, see them finish.")
@click.option("--port", type=int, default=0, help="On this port [default: any that is free].")
@click.option("--no-open", is_flag=True, help="Don't open it in a browser.")
@with_stack
def open_page(stack: Stack, port: int, no_open: bool) -> None:
    """Serve a page on this machine alone: a place to drop videos, the list of them with their states, slots and line;
    each leads to its report. Until Ctrl-C.

    \b
    rekognition-batch open
    rekognition-batch open --local --no-open

    It works with your own credentials, and the buckets stay private. The browser is given a file that only you can
    read. With --no-open, the command prints an address instead, which lets in one browser, once, within two minutes.
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
            terminal.info("If no page opens: Enter prints an address to open by hand. Ctrl-C ends it.")
        else:
            terminal.line(site.login_url())
            terminal.info("It works once, for two minutes. Enter prints another one. Ctrl-C ends it.")
        _more_addresses(site)


def _more_addresses(site: "Site") -> None:
    """Print another address each time that Enter is pressed; until Ctrl-C."""
    if sys.stdin.isatty():
        # In the background the read then fails, where it would stop the whole process.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        with suppress(OSError):
            while sys.stdin.readline():
                terminal.line(site.login_url())
    threading.Event().wait()
