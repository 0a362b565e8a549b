"""How things are said: data on stdout, everything else on stderr; tables for people, tabs for pipes.

Nothing else of the command writes to stdout or stderr (a test looks), because keys, texts and messages are chosen by
others: here `printable` takes out of them what a terminal would obey.
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
    "RUNNING": "cyan",
    "COLLECTING": "cyan",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "REJECTED": "red",
}


class _Console(Console):
    """A console of which colours and cursor are rich's alone: every text that it draws is `printable`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def stdout() -> Console:
    """For data."""
    return _Console(highlight=False)


def stderr() -> Console:
    """For everything else."""
    return _Console(stderr=True, highlight=False)


def info(text: str) -> None:
    """A word to who looks on."""
    stderr().print(Text(printable(text)), soft_wrap=True)


def line(*cells: object, err: bool = False) -> None:
    """One line, with tabs between its cells; a line break in a cell makes no second line."""
    click.echo("\t".join(printable(str(cell), keep="") for cell in cells), err=err)


def lines(text: str, *, err: bool = False) -> None:
    """A text of several lines."""
    click.echo(printable(text), nl=False, err=err)


def path(of: Path) -> None:
    """A file's path: in a pipe exactly as it is, for the next program to open."""
    if sys.stdout.isatty():
        line(of)
    else:
        click.echo(os.fsencode(of))


def data(value: Any) -> None:
    """A value, as JSON. What is not printable is escaped, so it is the same value on a terminal and in a pipe."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo("".join(mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in text))


def text_file() -> IO[str]:
    """Standard output as a file for text: in a pipe exact, on a terminal printable."""
    return cast("IO[str]", _Screen()) if sys.stdout.isatty() else sys.stdout


def copy(blocks: Iterable[bytes]) -> None:
    """Bytes to standard output: in a pipe exact, on a terminal as printable text."""
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
    """A terminal to write text to that others have made."""

    def write(self, text: str) -> int:
        """Its printable characters, line breaks and tabs."""
        sys.stdout.write(printable(text, keep="\n\t"))
        return len(text)


def show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback, for ``sys.excepthook``: the message of an exception may hold a key."""
    lines("".join(traceback.format_exception(kind, error, trace)), err=True)


def hang_up() -> None:
    """Say nothing more: the reader of the pipe has seen enough."""
    sys.stderr.close()


def print_table(headings: Sequence[str], lines: Iterable[Sequence[Any]], flexible: Collection[str] = ()) -> None:
    """A table: for people in columns, for a pipe in lines with tabs.

    Args:
        headings: of the columns.
        lines: the cells; text, or rich's.
        flexible: the headings of the columns that may be broken, if the terminal is narrow.
    """
    console = stdout()
    if console.is_terminal:
        console.print(table(headings, list(lines), flexible))
    else:
        tabbed(headings, lines)


def tabbed(headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """A table for programs."""
    line(*headings)
    for cells in lines:
        line(*(str(cell).replace("\n", " ") for cell in cells))


def table(headings: Sequence[str], lines: Sequence[Sequence[Any]], flexible: Collection[str] = ()) -> Table:
    """The columns that `print_table` prints. What may not be broken keeps its width, whatever the terminal's."""
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
    """A mark, and a text that is broken beside it, not under it; in one line where a program reads."""
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
    """`text` without what a terminal obeys or does not show, which a key may hold: escape sequences, other control
    characters (C0, DEL, C1), overrides of the direction, characters of no width, halves of pairs.

    Args:
        text: of any origin.
        keep: control characters that may stay.
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark in keep else "\N{REPLACEMENT CHARACTER}" for mark in text)


def state(name: str) -> Text:
    """A job's state, in its colour."""
    return Text(name, style=COLOURS.get(name, ""))


@contextmanager
def progress(*, transfer: bool = False) -> Iterator[Progress]:
    """Bars on stderr; nothing where nobody looks."""
    console = stderr()
    columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TaskProgressColumn()]
    if transfer:
        columns.append(TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield bars


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if somebody says so.

    Raises:
        Declined: they said no, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(f"{question} Nobody is there to be asked.", "the same again with --yes")
    if not click.confirm(printable(question), default=False, err=True):
        raise Declined("Nothing was done.")


def span(seconds: float) -> str:
    """A length of time in one or two words: ``45 s``, ``12 min``, ``3 h 20``, ``5 d``."""
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
