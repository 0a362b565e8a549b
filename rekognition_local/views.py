"""A job's rows in the order and aggregation a Get call asks for.

AWS documents (API reference, Developer Guide "Detecting labels in a video"): by time, and by name within a moment; or
by NAME, "within each label group the array elements are sorted by detection confidence"; celebrities by ID, persons by
INDEX. With ``AggregateBy=SEGMENTS`` a row is a stretch of time in which a label was seen continuously: its highest
confidence, its start, end and duration, ``Timestamp`` the same as its start, and no instances.

AWS doesn't document what continuous means. Here a label that is missing from one sampled frame was seen continuously,
one that is missing from two was not, and a segment ends with the last frame the label was seen in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rekognition_local.catalogue import Analysis, Asked
from rekognition_local.engines import MadeRows, Rows

Row = Mapping[str, Any]

#: Milliseconds between two sightings of one segment: a sample may be missed at 2 a second, whatever the frame rate's
#: rounding; at one frame a second none.
LONGEST_GAP = 1100


def view(analysis: Analysis, rows: Rows, asked: Asked) -> Rows:
    """*rows* (in the analysis' own order) as *asked*."""
    if asked.aggregate_by == "SEGMENTS":
        merged = segments(map(json.loads, rows), analysis.item or "")
        return [_text(row) for row in sorted(merged, key=_KEYS[analysis.rows, asked.sort_by])]
    if not asked.sort_by or asked.sort_by == analysis.sort_by[0]:
        return rows
    key = _KEYS[analysis.rows, asked.sort_by]
    # Only places are kept, not the rows: those may be made when asked for.
    keys = [key(json.loads(row)) for row in rows]
    places = sorted(range(len(keys)), key=keys.__getitem__)
    return MadeRows(len(places), lambda at: rows[places[at]])


def segments(rows: Iterable[Row], item: str) -> list[dict[str, Any]]:
    """Rows of single moments, in order of time, as stretches of time: what is called *item* without its instances."""
    open_ones: dict[tuple[str, str], dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    for row in rows:
        label, now = row[item], row["Timestamp"]
        identity = (label["Name"], label.get("ParentName", ""))
        segment = open_ones.get(identity)
        if segment is None or now - segment["EndTimestampMillis"] > LONGEST_GAP:
            kept = {name: value for name, value in label.items() if name != "Instances"}
            segment = {name: value for name, value in row.items() if name != item}
            segment |= {item: kept, "StartTimestampMillis": now, "EndTimestampMillis": now, "DurationMillis": 0}
            open_ones[identity] = segment
            found.append(segment)
        segment["EndTimestampMillis"] = now
        segment["DurationMillis"] = now - segment["StartTimestampMillis"]
        segment[item]["Confidence"] = max(segment[item]["Confidence"], label["Confidence"])
    return found


def _by_time(item: str) -> Callable[[Row], Any]:
    return lambda row: (row["Timestamp"], row[item]["Name"])


def _by_name(item: str) -> Callable[[Row], Any]:
    return lambda row: (row[item]["Name"], -row[item]["Confidence"], row["Timestamp"])


_KEYS: dict[tuple[str, str], Callable[[Row], Any]] = {
    ("Labels", "TIMESTAMP"): _by_time("Label"),
    ("Labels", "NAME"): _by_name("Label"),
    ("ModerationLabels", "TIMESTAMP"): _by_time("ModerationLabel"),
    ("ModerationLabels", "NAME"): _by_name("ModerationLabel"),
    ("Celebrities", "ID"): lambda row: (row["Celebrity"]["Id"], row["Timestamp"]),
    ("Persons", "INDEX"): lambda row: (row["Person"]["Index"], row["Timestamp"]),
}


def _text(row: Row) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode()
