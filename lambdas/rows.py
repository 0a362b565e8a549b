"""Rows: one flat record per detection, with the video's columns beside it. ``docs/results.md`` documents every column.

A change that would break a reader of rows (a column renamed, removed, or given another meaning) raises ``SCHEMA``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambdas.jobs import Job

SCHEMA = 1

Row = dict[str, Any]


_encode = json.JSONEncoder(separators=(",", ":")).encode


def lines(job: "Job", detections: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The rows of some of a job's `detections`, in their order, each as a line of JSON."""
    flatten = _FLATTEN[job.analysis]
    video = _encode(_video(job)).removesuffix("}")  # equal in every row, so written once
    for detection in detections:
        yield f"{video},{_encode(flatten(detection))[1:]}\n"


def _video(job: "Job") -> Row:
    return {
        "schema": SCHEMA,
        "job_id": job.job_id,
        "video_bucket": job.bucket,
        "video_key": job.key,
        "video_etag": job.etag,
        "uploaded_at": job.uploaded_at,
    }


def _face(detection: Mapping[str, Any]) -> Row:
    face = detection["Face"]
    row: Row = {"timestamp_ms": detection["Timestamp"], "confidence": face.get("Confidence")}
    _box(row, face.get("BoundingBox") or {})
    pose, quality = face.get("Pose") or {}, face.get("Quality") or {}
    row["roll"], row["yaw"], row["pitch"] = pose.get("Roll"), pose.get("Yaw"), pose.get("Pitch")
    row["brightness"], row["sharpness"] = quality.get("Brightness"), quality.get("Sharpness")
    row["landmarks"] = [{"type": mark["Type"], "x": mark["X"], "y": mark["Y"]} for mark in face.get("Landmarks") or ()]
    for member, column in _FACE_ATTRIBUTES:
        if member in face:
            row[column] = face[member].get("Value")
            row[f"{column}_confidence"] = face[member].get("Confidence")
    if "AgeRange" in face:
        row["age_low"], row["age_high"] = face["AgeRange"].get("Low"), face["AgeRange"].get("High")
    if "Emotions" in face:
        row["emotions"] = [{"type": mood["Type"], "confidence": mood["Confidence"]} for mood in face["Emotions"]]
    if "EyeDirection" in face:
        row["eye_yaw"], row["eye_pitch"] = face["EyeDirection"].get("Yaw"), face["EyeDirection"].get("Pitch")
        row["eye_direction_confidence"] = face["EyeDirection"].get("Confidence")
    return row


# Each has a Value and a Confidence; all come with FaceAttributes=ALL only.
_FACE_ATTRIBUTES = (
    ("Smile", "smile"),
    ("Eyeglasses", "eyeglasses"),
    ("Sunglasses", "sunglasses"),
    ("Gender", "gender"),
    ("Beard", "beard"),
    ("Mustache", "mustache"),
    ("EyesOpen", "eyes_open"),
    ("MouthOpen", "mouth_open"),
    ("FaceOccluded", "face_occluded"),
)


def _box(row: Row, box: Mapping[str, Any]) -> None:
    row["box_left"], row["box_top"] = box.get("Left"), box.get("Top")
    row["box_width"], row["box_height"] = box.get("Width"), box.get("Height")


_FLATTEN: Mapping[str, Callable[[Mapping[str, Any]], Row]] = {"face-detection": _face}
