"""A video's results in the form that other programs read."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from cli import captions, finding
from cli.edl import NoSegments, edl
from cli.errors import NotThere, WrongUse
from cli.stack import Stack
from lambdas.analyses import CATALOGUE
from lambdas.jobs import Job

TABLES = ("csv", "parquet")
FORMATS = (*TABLES, "vtt", "srt", "edl")


def write_csv(rows: Iterable[dict[str, Any]], file: IO[str]) -> int:
    """Rows as CSV, for a sheet; lists as JSON. Read twice: columns may come late. How many there were."""
    kept = list(rows)
    columns = dict.fromkeys(name for row in kept for name in row)
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in kept:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return len(kept)


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    # A sheet takes a text that begins so for a formula; whoever shows a text to a camera must not run one.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def write_parquet(stack: Stack, job: Job, path: Path, scratch: Path) -> None:
    """Rows as Parquet, with the types that their JSON has."""
    import duckdb

    lines = scratch / "rows.jsonl.gz"
    with lines.open("wb") as file:
        for block in finding.body(stack, job.rows_key).iter_chunks(1 << 20):
            file.write(block)
    with duckdb.connect() as database:
        database.execute("SET enable_progress_bar = false")
        source = database.read_json(
            str(lines), format="newline_delimited", compression="gzip", maximum_object_size=1 << 24
        )
        source.write_parquet(str(path), compression="zstd")


def captions_of(stack: Stack, video: str, analysis: str | None) -> list[captions.Caption]:
    """What a video's captions are made of: the analysis that is named, or the one that says most.

    Raises:
        NotThere, WrongUse: there is none that captions can be made of.
    """
    if analysis and analysis not in captions.SAYS:
        raise WrongUse(f"No captions can be made of {analysis}; of these they can: {', '.join(captions.SAYS)}.")
    key, jobs = finding.done(stack, video, analysis)
    for name in captions.SAYS:
        for job in jobs:
            if job.analysis == name:
                return captions.captions(name, finding.document(stack, job)[CATALOGUE[name].detections])
    raise _needs(stack, key, "Captions", captions.SAYS)


def timeline_of(stack: Stack, video: str) -> Iterator[str]:
    """A video's shots as an edit decision list.

    Raises:
        NotThere: it has had no segment detection, or that found nothing.
    """
    key, jobs = finding.done(stack, video)
    for job in jobs:
        if job.analysis == "segment-detection":
            try:
                yield from edl(key, finding.document(stack, job))
            except NoSegments as nothing:
                raise NotThere(f"{key}: {nothing}.") from None
            return
    raise _needs(stack, key, "An editing timeline", ("segment-detection",))


def _needs(stack: Stack, key: str, what: str, analyses: Iterable[str]) -> NotThere:
    names = list(analyses)
    return NotThere(
        f"{what} can be made of {' or '.join(names)}, which {key} has not had.",
        stack.where.command("upload", "FILE", "--analyses", "segment-detection" if len(names) == 1 else names[0]),
    )
