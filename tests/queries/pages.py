"""The parts of the documentation that are made: tables of columns and parameters, and saved queries with what they
answer. ``python -m tests.queries.pages`` writes them; a test compares.
"""

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lambdas.logic.results import job_row_key, rows_key
from lambdas.logic.rows import job_line, lines
from lambdas.model.analyses import CATALOGUE
from lambdas.model.events import Upload
from lambdas.model.job import new_job
from queries.columns import ANALYSIS, DATE, ROWS, TABLES, VIDEO, Column, Table, Type, glue_type
from queries.laptop import run
from queries.saved import saved
from stacks.settings import Settings

DOCS = Path(__file__).parent.parent.parent / "docs"
DAY = "2026-11-22"  # on which the examples were uploaded, and asked about


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table."""
    cells = [[str(cell) for cell in row] for row in ([*head], ["---"] * len([*head]), *rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def rows_page() -> str:
    """docs/rows.md."""
    parts = [
        "# Tables of rows\n\n"
        "One table per analysis, and one of jobs, over the files in the results bucket. A column Rekognition gave\n"
        "no value for is null or left out. Times are ms from the beginning of the video, confidences 0..100, boxes\n"
        "and points fractions of the frame that may reach beyond 0..1. Types are Athena's (DuckDB's are the same);\n"
        "JSON Schemas of the same rows are in [schemas](../schemas). This page is made from `queries/columns.py`.\n",
        "## In every row\n\n" + _columns((*VIDEO, DATE)),
    ]
    parts += [f"## `{_name(t)}`\n\n`{t.prefix}/{t.partition.name}=…/`\n\n{_columns(_own(t))}" for t in TABLES]
    return "\n".join(parts)


def _name(found: Table) -> str:
    return found.name


def _own(found: Table) -> tuple[Column, ...]:
    analysis = found.name.replace("_", "-")
    return ROWS.get(analysis) or (*found.columns[len(VIDEO) :], ANALYSIS)


def _columns(columns: Iterable[Column]) -> str:
    return table(("column", "type", "meaning"), ((f"`{c.name}`", f"`{_type(c.type)}`", c.text) for c in columns))


def _type(kind: Type) -> str:
    return glue_type(kind).replace(",", ", ")


def parameters_table() -> str:
    """Of docs/choosing.md: every parameter of every analysis."""
    return table(
        ("analysis", "parameter", "takes", "default"),
        (
            (
                f"`{analysis.name}`",
                f"`{name}`",
                value.takes,
                "required"
                if name in analysis.required
                else f"`{json.dumps(analysis.defaults[name])}`"
                if name in analysis.defaults
                else "",
            )
            for analysis in CATALOGUE.values()
            for name, value in analysis.takes.items()
        ),
    )


# What the examples are asked about: a few moments of a few videos.


def _label(at: int, name: str, confidence: float, how_many: int = 0) -> dict[str, Any]:
    box = {"Left": 0.1, "Top": 0.2, "Width": 0.3, "Height": 0.4}
    instances = [{"BoundingBox": box, "Confidence": confidence}] * how_many
    return {"Timestamp": at, "Label": {"Name": name, "Confidence": confidence, "Instances": instances}}


def _text(at: int, text: str) -> dict[str, Any]:
    return {"Timestamp": at, "TextDetection": {"DetectedText": text, "Type": "LINE", "Id": 0, "Confidence": 98.6}}


def _shot(index: int, start: int, end: int) -> dict[str, Any]:
    times = {"StartTimestampMillis": start, "EndTimestampMillis": end, "DurationMillis": end - start}
    return {"Type": "SHOT", **times, "ShotSegment": {"Index": index, "Confidence": 99.1}}


def _black(start: int, end: int) -> dict[str, Any]:
    times = {"StartTimestampMillis": start, "EndTimestampMillis": end, "DurationMillis": end - start}
    return {"Type": "TECHNICAL_CUE", **times, "TechnicalCueSegment": {"Type": "BlackFrames", "Confidence": 99.9}}


def _moderation(at: int, name: str, parent: str, confidence: float) -> dict[str, Any]:
    return {"Timestamp": at, "ModerationLabel": {"Name": name, "ParentName": parent, "Confidence": confidence}}


EXAMPLES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("ads/ride.mp4", "label-detection"): [
        *(_label(at, "Bicycle", 91.5 + at / 1000, 2) for at in (1000, 1500, 2000)),
        _label(2000, "Person", 99.2, 1),
        _label(6500, "Bicycle", 62.0, 1),
    ],
    ("ads/ride.mp4", "segment-detection"): [_black(0, 960), _shot(0, 1000, 5960), _shot(1, 6000, 8960)],
    ("ads/ride.mp4", "text-detection"): [_text(500, "NO EXIT"), _text(1000, "Ride on")],
    ("market.mp4", "label-detection"): [_label(0, "Person", 98.0, 3), _label(500, "Car", 88.4, 1)],
    ("market.mp4", "face-detection"): [
        {"Timestamp": at, "Face": {"Confidence": 99.0}} for at in (0, 0, 500, 500, 500, 500, 1000)
    ],
    ("market.mp4", "text-detection"): [_text(4000, "Emergency exit")],
    ("market.mp4", "content-moderation"): [
        _moderation(3500, "Alcohol", "", 93.2),
        _moderation(3500, "Drinking", "Alcohol Use", 84.7),
        _moderation(9000, "Gambling", "", 55.0),
    ],
    ("market.mp4", "celebrity-recognition"): [
        {"Timestamp": at, "Celebrity": {"Name": "Ada Example", "Id": "1Ab", "Confidence": 97.0}} for at in (1000, 1500)
    ],
    ("market.mp4", "face-search"): [
        {
            "Timestamp": 2500,
            "Person": {"Index": 4},
            "FaceMatches": [{"Similarity": 96.4, "Face": {"FaceId": "f", "ExternalImageId": "anna.jpg"}}],
        }
    ],
    ("nothing.mp4", "label-detection"): [],
}


def put_examples(folder: Path) -> None:
    """Write the examples as the results bucket has them, uploaded today."""
    uploaded_at = f"{datetime.now(UTC):%Y-%m-%d}T09:30:00.000Z"
    for (key, name), items in EXAMPLES.items():
        parameters = CATALOGUE[name].parameters(CATALOGUE[name].example)
        job = new_job(Upload("videos", key, "etag", 5_000_000, uploaded_at, "1"), name, parameters, 0)
        about = job_line(
            job,
            {"VideoMetadata": {"DurationMillis": 9000, "FrameWidth": 1920, "FrameHeight": 1080}},
            detections=len(items),
            result_key=f"results/{key}/{name}.json",
            rows_key=rows_key(job),
            superseded=False,
        )
        for place, content in (
            (job_row_key(job), about.encode()),
            (rows_key(job), gzip.compress("".join(lines(job, items)).encode())),
        ):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(content)


def examples() -> str:
    """Of docs/searching.md: every saved query, and what it answers about the examples."""
    parts = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        put_examples(folder)
        for query in saved().values():
            answer = run(query.name, folder)
            said = table(answer.columns, ((("" if cell is None else cell) for cell in row) for row in answer.rows))
            takes = "".join(f"- `{p.name}` (`{p.default!r}`): {p.text}\n" for p in query.parameters)
            parts.append(
                f"### {query.title}\n\n`{query.name}`: {query.answers}\n\n{takes}{'' if not takes else chr(10)}"
                + said.replace(f"{datetime.now(UTC):%Y-%m-%d}", DAY)
            )
    return "\n".join(parts)


def settings_example() -> dict[str, Any]:
    """The settings that docs/choosing.md shows, so that a test can try them."""
    text = (DOCS / "choosing.md").read_text()
    found = json.loads(text.split("```json\n", 1)[1].split("```", 1)[0])
    Settings.from_context(found)
    return dict(found)


MADE = {
    "rows.md": rows_page,
    "choosing.md": parameters_table,
    "searching.md": examples,
}
BEGIN, END = "<!-- made by python -m tests.queries.pages -->\n", "<!-- end -->\n"


def page(name: str) -> str:
    """A page as it should be: its own words, and between the marks what is made."""
    text = (DOCS / name).read_text() if (DOCS / name).exists() else BEGIN + END
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}{MADE[name]()}{END}{rest.split(END, 1)[1]}"


def main() -> None:
    """Write them."""
    for name in MADE:
        (DOCS / name).write_text(page(name))


if __name__ == "__main__":
    main()
