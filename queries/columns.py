"""The columns of every table that lands in the results bucket, once: JSON Schemas, Glue's tables, DuckDB's views and
the tables of docs/results.md are all made from here. Data only; the functions don't import it.

A column that Rekognition gave no value for is null or left out. Confidences are 0..100, boxes and points fractions of
the frame that may reach beyond 0..1, times ms from the beginning of the video.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.logic.rows import SCHEMA
from lambdas.model.analyses import CATALOGUE


@dataclass(frozen=True, slots=True)
class Scalar:
    """A simple value, and what it is called elsewhere."""

    json: str
    glue: str
    duckdb: str


@dataclass(frozen=True, slots=True)
class Array:
    """A list."""

    item: "Type"


@dataclass(frozen=True, slots=True)
class Record:
    """An object with named members."""

    members: "Mapping[str, Type]"


Type = Scalar | Array | Record

STRING = Scalar("string", "string", "VARCHAR")
INTEGER = Scalar("integer", "bigint", "BIGINT")
DOUBLE = Scalar("number", "double", "DOUBLE")
BOOLEAN = Scalar("boolean", "boolean", "BOOLEAN")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `always`: every row has a value in it."""

    name: str
    type: Type
    text: str
    always: bool = False


BOX = {"box_left": DOUBLE, "box_top": DOUBLE, "box_width": DOUBLE, "box_height": DOUBLE}


def _box(prefix: str, of: str) -> tuple[Column, ...]:
    return tuple(Column(f"{prefix}{side}", DOUBLE, f"{of}, fraction of the frame") for side in BOX)


VIDEO = (
    Column("schema", INTEGER, f"version of this table: {SCHEMA}", always=True),
    Column("job_id", STRING, "the job, as in the jobs table", always=True),
    Column("video_bucket", STRING, "the upload's bucket", always=True),
    Column("video_key", STRING, "the upload's key", always=True),
    Column("video_etag", STRING, "the upload's content, as S3 tells contents apart", always=True),
    Column("uploaded_at", STRING, "when it was uploaded, ISO 8601, UTC", always=True),
)

_MOMENT = Column("timestamp_ms", INTEGER, "ms from the beginning of the video", always=True)
_SPAN = (
    Column("start_ms", INTEGER, "with `AggregateBy=SEGMENTS`: where the segment begins"),
    Column("end_ms", INTEGER, "where it ends"),
    Column("duration_ms", INTEGER, "how long it is"),
)
_NAMED = Array(Record({"name": STRING, "confidence": DOUBLE}))
_COLOR = {"red": INTEGER, "green": INTEGER, "blue": INTEGER, "hex_code": STRING, "css_color": STRING}


def _flag(name: str, text: str, kind: Scalar = BOOLEAN) -> tuple[Column, ...]:
    return Column(name, kind, text), Column(f"{name}_confidence", DOUBLE, "0..100, that this is so")


_FACE = (
    *(Column(name, DOUBLE, "which way the face looks, degrees, -180..180") for name in ("roll", "yaw", "pitch")),
    *(Column(name, DOUBLE, "of the face's picture, 0..100") for name in ("brightness", "sharpness")),
    Column("landmarks", Array(Record({"type": STRING, "x": DOUBLE, "y": DOUBLE})), "points of the face"),
    *_flag("smile", "whether they smile; this and what follows with `FaceAttributes=ALL` only"),
    *_flag("eyeglasses", "whether they wear glasses, dark ones too"),
    *_flag("sunglasses", "whether they wear dark glasses"),
    *_flag("gender", "`Male` or `Female`: how the face looks, not who it is", STRING),
    *_flag("beard", "whether there is a beard"),
    *_flag("mustache", "whether there is a mustache"),
    *_flag("eyes_open", "whether the eyes are open"),
    *_flag("mouth_open", "whether the mouth is open"),
    *_flag("face_occluded", "whether something covers the face"),
    Column("age_low", INTEGER, "years: they look no younger"),
    Column("age_high", INTEGER, "years: they look no older"),
    Column("emotions", Array(Record({"type": STRING, "confidence": DOUBLE})), "what the face seems to express"),
    *(Column(name, DOUBLE, "where the eyes look, degrees") for name in ("eye_yaw", "eye_pitch")),
    Column("eye_direction_confidence", DOUBLE, "0..100"),
)
_FACE_OF_SOMEBODY = (
    Column("face_confidence", DOUBLE, "0..100, that this is a face"),
    *_box("face_", "the face's box"),
    *_FACE,
)

ROWS: Mapping[str, tuple[Column, ...]] = {
    "face-detection": (
        _MOMENT,
        Column("confidence", DOUBLE, "0..100, that this is a face"),
        *_box("", "the face's box"),
        *_FACE,
    ),
    "label-detection": (
        _MOMENT,
        *_SPAN,
        Column("label", STRING, "what is seen: `Bicycle`"),
        Column("confidence", DOUBLE, "0..100; of a segment, the highest in it"),
        Column("instance_count", INTEGER, "how many of them have a box; 0 for labels without boxes", always=True),
        Column(
            "instances",
            Array(
                Record(
                    {
                        **BOX,
                        "confidence": DOUBLE,
                        "dominant_colors": Array(
                            Record({**_COLOR, "simplified_color": STRING, "pixel_percent": DOUBLE})
                        ),
                    }
                )
            ),
            "each one's box; Rekognition gives no colors for videos",
        ),
        Column("parents", Array(STRING), "what it is a kind of: `Vehicle`"),
        Column("aliases", Array(STRING), "other words for it: `Bike`"),
        Column("categories", Array(STRING), "what it belongs to: `Transport and Logistics`"),
    ),
    "content-moderation": (
        _MOMENT,
        *_SPAN,
        Column("label", STRING, "what is shown: `Weapons`"),
        Column("parent_label", STRING, "what it is a kind of; empty at the top"),
        Column("taxonomy_level", INTEGER, "1 (top) to 3"),
        Column("confidence", DOUBLE, "0..100; of a segment, the highest in it"),
        Column("content_types", _NAMED, "animated, illustrated, …"),
    ),
    "text-detection": (
        _MOMENT,
        Column("text", STRING, "what is written"),
        Column("type", STRING, "`LINE` or `WORD`: each word of a line is a row of its own"),
        Column("text_id", INTEGER, "number of the text within its moment"),
        Column("parent_id", INTEGER, "of a word: its line's number"),
        Column("confidence", DOUBLE, "0..100"),
        *_box("", "the text's box"),
        Column("polygon", Array(Record({"x": DOUBLE, "y": DOUBLE})), "its outline, finer than the box"),
    ),
    "celebrity-recognition": (
        _MOMENT,
        Column("name", STRING, "who it is"),
        Column("celebrity_id", STRING, "Rekognition's id of them"),
        Column("confidence", DOUBLE, "0..100, that it is them"),
        Column("known_gender", STRING, "`Male`, `Female`, `Nonbinary` or `Unlisted`: as is known of them"),
        Column("urls", Array(STRING), "where one can read about them"),
        *_box("", "the body's box"),
        *_FACE_OF_SOMEBODY,
    ),
    "face-search": (
        _MOMENT,
        Column("person_index", INTEGER, "tells people of one video apart"),
        Column("match_similarity", DOUBLE, "0..100, of the best match; null: no match in the collection"),
        Column("match_face_id", STRING, "the best match's face"),
        Column("match_external_image_id", STRING, "what it was called when it was put into the collection"),
        Column("match_user_id", STRING, "the collection's user it belongs to"),
        *_box("", "the person's box"),
        *_FACE_OF_SOMEBODY,
        Column(
            "matches",
            Array(
                Record(
                    {
                        "similarity": DOUBLE,
                        "face_id": STRING,
                        "external_image_id": STRING,
                        "image_id": STRING,
                        "user_id": STRING,
                        "confidence": DOUBLE,
                        "index_faces_model_version": STRING,
                        **BOX,
                    }
                )
            ),
            "every match, in Rekognition's order; boxes are of the collection's pictures",
        ),
    ),
    "segment-detection": (
        Column("type", STRING, "`SHOT` or `TECHNICAL_CUE`", always=True),
        Column("start_ms", INTEGER, "ms from the beginning of the video, rounded down", always=True),
        Column("end_ms", INTEGER, "where it ends", always=True),
        Column("duration_ms", INTEGER, "how long it is"),
        Column("start_frame", INTEGER, "the first frame, counted from 0"),
        Column("end_frame", INTEGER, "the last frame"),
        Column("duration_frames", INTEGER, "how many frames"),
        Column("start_timecode", STRING, "SMPTE, `HH:MM:SS:FF`, `;FF` for drop-frame"),
        Column("end_timecode", STRING, "the same"),
        Column("duration_timecode", STRING, "the same"),
        Column("shot_index", INTEGER, "of a shot: its number, from 0"),
        Column("cue_type", STRING, "of a cue: `BlackFrames`, `EndCredits`, `ColorBars`, …"),
        Column("confidence", DOUBLE, "50..100"),
    ),
}

# One row per job that succeeded: it tells "nothing found" from "not analysed", and which upload is the newest.
JOBS = (
    *VIDEO,
    Column("sequencer", STRING, "orders uploads of one key, as text", always=True),
    Column("superseded", BOOLEAN, "whether a newer upload of the key was done first", always=True),
    Column("parameters", STRING, "the job's parameters, as JSON", always=True),
    Column("detections", INTEGER, "how many rows it has", always=True),
    Column("size", INTEGER, "of the video, bytes", always=True),
    Column("video_duration_ms", INTEGER, "how long the video is"),
    Column("frame_rate", DOUBLE, "frames per second"),
    Column("frame_width", INTEGER, "pixels"),
    Column("frame_height", INTEGER, "pixels"),
    Column("codec", STRING, "`h264`"),
    Column("model_version", STRING, "of Rekognition's model, for the analyses that tell it"),
    Column("result_key", STRING, "the document's key in the results bucket", always=True),
    Column("rows_key", STRING, "the rows' key", always=True),
)

JOBS_TABLE = "jobs"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the results bucket.

    Attributes:
        name: as queries name it.
        prefix: where its files lie.
        columns: what is in the files.
        partition: the column that stands in the path instead, ``<prefix>/<partition>=<value>/``.
    """

    name: str
    prefix: str
    columns: tuple[Column, ...]
    partition: Column


DATE = Column("date", STRING, "day of the upload (UTC), `2026-11-22`; stands in the file's path", always=True)
ANALYSIS = Column("analysis", STRING, "which analysis; stands in the file's path", always=True)


def table_name(analysis: str) -> str:
    """An analysis' table: SQL reads a hyphen as a minus."""
    return analysis.replace("-", "_")


TABLES: tuple[Table, ...] = (
    *(
        Table(table_name(analysis), f"rows/analysis={analysis}", (*VIDEO, *ROWS[analysis]), DATE)
        for analysis in CATALOGUE
    ),
    Table(JOBS_TABLE, "jobs", JOBS, ANALYSIS),
)


def json_schema(name: str, columns: tuple[Column, ...]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a table's rows. A null is a column left out, and the other way round."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}, version {SCHEMA}",
        "type": "object",
        "properties": {
            column.name: {**_json(column.type, nullable=not column.always), "description": column.text}
            for column in columns
        },
        "required": [column.name for column in columns if column.always],
        "additionalProperties": False,
    }


def _json(kind: Type, *, nullable: bool) -> dict[str, Any]:
    if isinstance(kind, Scalar):
        return {"type": [kind.json, "null"] if nullable else kind.json}
    name = "array" if isinstance(kind, Array) else "object"
    found: dict[str, Any] = {"type": [name, "null"] if nullable else name}
    if isinstance(kind, Array):
        return {**found, "items": _json(kind.item, nullable=False)}
    members = {member: _json(inner, nullable=True) for member, inner in kind.members.items()}
    return {**found, "properties": members, "additionalProperties": False}


def glue_type(kind: Type) -> str:
    """The type's name in Glue and Athena's DDL."""
    if isinstance(kind, Scalar):
        return kind.glue
    if isinstance(kind, Array):
        return f"array<{glue_type(kind.item)}>"
    return f"struct<{','.join(f'{name}:{glue_type(inner)}' for name, inner in kind.members.items())}>"


def duckdb_type(kind: Type) -> str:
    """The type's name in DuckDB."""
    if isinstance(kind, Scalar):
        return kind.duckdb
    if isinstance(kind, Array):
        return f"{duckdb_type(kind.item)}[]"
    return f"STRUCT({', '.join(f'{name} {duckdb_type(inner)}' for name, inner in kind.members.items())})"
