"""A video's results in formats for other programs."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from unicodedata import category

from cli.core import terminal
from cli.core.errors import NotThere, WrongUse
from cli.core.stack import Stack
from cli.results import captions, result_lookup
from cli.results.edl import NoSegments, edl
from lambdas.model.analyses import CATALOGUE
from lambdas.model.job import Job

TABLES = ("csv", "parquet")
FORMATS = (*TABLES, "vtt", "srt", "edl")


# Signs that make a spreadsheet read a cell as a formula, including the full-width ones of East Asian input.
SIGNS = frozenset("=+-@＝＋－＠﹦﹢﹣﹫⁺⁻⁼₊₋₌−")
# Characters that may separate cells, depending on the spreadsheet's settings and locale.
SEPARATORS = frozenset(",;|\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"')


def write_csv(rows: Iterable[dict[str, Any]], file: IO[str]) -> int:
    """Write rows as CSV, with lists as JSON; returns the number of rows. Keeps all rows in memory, as a later row may
    have more columns.

    Text from a video can't begin a formula: where a sign of SIGNS would begin a cell, a ``'`` is put before it; in
    JSON the sign is escaped, which keeps the value.
    """
    kept = list(rows)
    columns = dict.fromkeys(name for row in kept for name in row)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(row.get(name, "")) for name in columns] for row in kept)
    return len(kept)


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        # The cell begins with a bracket; only the strings inside come from uploaders or Rekognition.
        return _STRING.sub(
            lambda text: f'"{_no_formula(text[1], lambda sign: f"\\u{ord(sign):04x}")}"',
            json.dumps(value, ensure_ascii=False),
        )
    return _no_formula(value, lambda sign: f"'{sign}") if isinstance(value, str) else value


def _no_formula(text: str, guard: Callable[[str], str]) -> str:
    """`text` with `guard` applied to the signs that would begin a cell: at the start or after a separator, also behind
    blanks, quotes and invisible characters."""
    if SIGNS.isdisjoint(text):
        return text
    begins, made = True, []
    for mark in text:
        made.append(guard(mark) if begins and mark in SIGNS else mark)
        begins = mark in SEPARATORS or (begins and (mark in "'\"" or mark.isspace() or category(mark) in ("Cc", "Cf")))
    return "".join(made)


def write_parquet(stack: Stack, job: Job, path: Path, scratch: Path) -> None:
    """Write rows as Parquet, with the types of their JSON."""
    import duckdb

    lines = scratch / "rows.jsonl.gz"
    with lines.open("wb") as file:
        for block in result_lookup.body(stack, job.rows_key).iter_chunks(1 << 20):
            file.write(block)
    with duckdb.connect() as database:
        database.execute("SET enable_progress_bar = false")
        source = database.read_json(
            str(lines), format="newline_delimited", compression="gzip", maximum_object_size=1 << 24
        )
        source.write_parquet(str(path), compression="zstd")


def captions_of(stack: Stack, video: str, analysis: str | None) -> list[captions.Caption]:
    """A video's captions, from the named analysis or from the first of captions.SAYS that it has.

    Raises:
        NotThere, WrongUse: captions can't be made from these analyses.
    """
    if analysis and analysis not in captions.SAYS:
        raise WrongUse(f"Captions can't be made from {analysis}, only from: {', '.join(captions.SAYS)}.")
    key, jobs = result_lookup.done(stack, video, analysis)
    for name in captions.SAYS:
        for job in jobs:
            if job.analysis == name:
                found = result_lookup.document(stack, job).get(CATALOGUE[name].detections) or []
                if lost := sum(captions.when(seen) is None for seen in found):
                    terminal.info(f"{terminal.many(lost, 'detection')} without a usable time skipped.")
                return captions.captions(name, found)
    raise _needs(stack, key, "Captions", captions.SAYS)


def timeline_of(stack: Stack, video: str) -> Iterator[str]:
    """A video's shots as an edit decision list.

    Raises:
        NotThere: the video has no segment detection, or that found nothing.
    """
    key, jobs = result_lookup.done(stack, video)
    for job in jobs:
        if job.analysis == "segment-detection":
            try:
                yield from edl(key, result_lookup.document(stack, job))
            except NoSegments as nothing:
                raise NotThere(f"{key}: {nothing}.") from None
            return
    raise _needs(stack, key, "An editing timeline", ("segment-detection",))


def _needs(stack: Stack, key: str, what: str, analyses: Iterable[str]) -> NotThere:
    names = list(analyses)
    return NotThere(
        f"{what} can be made from {' or '.join(names)}, and {key} has no such results.",
        stack.target.command("upload", "FILE", "--analyses", "segment-detection" if len(names) == 1 else names[0]),
    )
