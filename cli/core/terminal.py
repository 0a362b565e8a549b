"""All output of the command: data on stdout, everything else on stderr; tables for people, tabs for pipes.

No other module of the command writes to stdout or stderr (a test checks that), because uploaders and services choose
keys, texts and messages: `printable` removes from them what a terminal would execute.
"""

import codecs
import io
import json
import os
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cli.core.errors import Declined

COLOURS = {
    "WAITING": "yellow",
    "CONVERTING": "cyan",
    "RUNNING": "cyan",
    "COLLECTING": "cyan",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "REJECTED": "red",
}


class _Console(Console):
    """A console on which only rich sets colours and moves the cursor: every text that it draws is `printable`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with printable text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def stdout() -> Console:
    """For data."""
    return _Console(highlight=False)


def stderr() -> Console:
    """For everything else."""
    return _Console(stderr=True, highlight=False)


def info(text: str) -> None:
    """Print a message to stderr."""
    stderr().print(Text(printable(text)), soft_wrap=True)


def line(*cells: object, err: bool = False) -> None:
    """Print one line, with tabs between its cells; a line break in a cell is replaced."""
    click.echo("\t".join(printable(str(cell), keep="") for cell in cells), err=err)


def lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines."""
    click.echo(printable(text), nl=False, err=err)


def path(of: Path) -> None:
    """Print a file's path: into a pipe byte for byte, so that the next program can open it."""
    if sys.stdout.isatty():
        line(of)
    else:
        click.echo(os.fsencode(of))


def data(value: Any) -> None:
    """Print a value as JSON. Unprintable characters are escaped, so the value is the same on a terminal and in a
    pipe."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo("".join(mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in text))


def text_file() -> IO[str]:
    """Standard output as a file for text: in a pipe exact, on a terminal printable."""
    return cast("IO[str]", _Screen()) if sys.stdout.isatty() else sys.stdout


def copy(blocks: Iterable[bytes]) -> None:
    """Write bytes to standard output: into a pipe exactly, on a terminal as printable text."""
    if sys.stdout.isatty():
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for block in blocks:
            _Screen().write(decoder.decode(block))
        _Screen().write(decoder.decode(b"", final=True))
        return
    sys.stdout.flush()
    for block in blocks:
        sys.stdout.buffer.write(block)


class _Screen(io.TextIOBase):
    """A terminal that shows text from untrusted sources."""

    def write(self, text: str) -> int:
        """Write the printable characters, line breaks and tabs of `text`."""
        sys.stdout.write(printable(text, keep="\n\t"))
        return len(text)


def show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, for ``sys.excepthook``; printable, as the message of an exception may hold a key."""
    lines("".join(traceback.format_exception(kind, error, trace)), err=True)


def hang_up() -> None:
    """Stop writing: the reader has closed the pipe."""
    sys.stderr.close()


def print_table(headings: Sequence[str], lines: Iterable[Sequence[Any]], flexible: Collection[str] = ()) -> None:
    """Print a table: in columns on a terminal, as lines with tabs into a pipe.

    Args:
        headings: of the columns.
        lines: rows of cells; each cell is text or a rich Text.
        flexible: headings of the columns that may wrap on a narrow terminal.
    """
    console = stdout()
    if console.is_terminal:
        console.print(table(headings, list(lines), flexible))
    else:
        tabbed(headings, lines)


def tabbed(headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Print a table for programs: lines with tabs."""
    line(*headings)
    for cells in lines:
        line(*(str(cell).replace("\n", " ") for cell in cells))


def table(headings: Sequence[str], lines: Sequence[Sequence[Any]], flexible: Collection[str] = ()) -> Table:
    """The columns that `print_table` prints. Columns that may not wrap keep their width on any terminal."""
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    shown = [[cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in cells] for cells in lines]
    for number, heading in enumerate(headings):
        if heading in flexible:
            result.add_column(heading, overflow="fold", min_width=min(16, _width(shown, number, heading)))
        else:
            result.add_column(heading, no_wrap=True, min_width=_width(shown, number, heading))
    for cells in shown:
        result.add_row(*cells)
    return result


def _width(lines: Sequence[Sequence[Text]], column: int, heading: str) -> int:
    return max([cell_len(heading), *(lines_[column].cell_len for lines_ in lines)])


def beside(mark: Text, text: Text) -> None:
    """Print a mark and a text that wraps beside it; into a pipe, both on one line."""
    console = stdout()
    if not console.is_terminal:
        console.print(Text.assemble(mark, " ", text), soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(mark, text)
    console.print(grid)


def printable(text: str, keep: str = "\n") -> str:
    """`text` without characters that a terminal executes or does not show, all of which a key may hold: escape
    sequences, other control characters (C0, DEL, C1), direction overrides, zero-width characters, unpaired surrogates.

    Args:
        text: from any source.
        keep: control characters to leave in.
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark in keep else "\N{REPLACEMENT CHARACTER}" for mark in text)


def state(name: str) -> Text:
    """A job's state, in its colour."""
    return Text(name, style=COLOURS.get(name, ""))


@contextmanager
def progress(*, transfer: bool = False) -> Iterator[Progress]:
    """Progress bars on stderr; none if stderr is not a terminal."""
    console = stderr()
    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TaskProgressColumn()]
    if transfer:
        columns.append(TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield bars


def confirm(question: str, *, yes: bool) -> None:
    """Ask on the terminal before going on; `yes` answers in advance.

    Raises:
        Declined: the user answered no, or there is no terminal to ask on.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(f"{question} There is no terminal to ask on.", "to confirm, run it again with --yes")
    if not click.confirm(printable(question), default=False, err=True):
        raise Declined("Nothing was done.")


def span(seconds: float) -> str:
    """A duration in one or two words: ``45 s``, ``12 min``, ``3 h 20``, ``5 d``."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02}" if minutes else f"{hours} h"
    return f"{round(hours / 24)} d"


def many(number: int, thing: str) -> str:
    """``1 video``, ``2 videos``."""
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"
