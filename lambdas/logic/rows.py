"""Rows: one flat record per detection, with the video's columns beside it; and one per job that succeeded.

``columns.py`` types and documents every column. A change that would break a reader of rows (a column renamed, removed,
or given another meaning) raises ``SCHEMA``. Members that Rekognition left out are null or left out, so that the item
can be rebuilt from its row.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lambdas.model.page import fractions_as_text

if TYPE_CHECKING:
    from lambdas.model.job import Job
    from lambdas.model.page import Page

SCHEMA = 1

Row = dict[str, Any]
Item = Mapping[str, Any]


_encode = json.JSONEncoder(separators=(",", ":")).encode


def lines(job: "Job", detections: Iterable[Item]) -> Iterator[str]:
    """The rows of some of a job's `detections`, in their order, each as a line of JSON."""
    flatten = _FLATTEN[job.analysis]
    video = _encode(_video(job)).removesuffix("}")  # equal in every row, so written once
    for detection in detections:
        yield f"{video},{_encode(flatten(detection))[1:]}\n"


def of_page(job: "Job", page: "Page") -> str:
    """The rows of one page of a job's detections, as lines of JSON."""
    if not fractions_as_text(job):
        return "".join(lines(job, page.detections))
    return _plain_faces(job, page) or "".join(lines(job, json.loads(page.text)))


_PLAIN_FACE = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}


def _plain_faces(job: "Job", page: "Page") -> str | None:
    """What ``lines`` makes of faces that have just what FaceAttributes=DEFAULT promises; None if one has not.

    Columns, order and values are those of ``_face``; a test compares.
    """
    if "null" in page.text or "\\" in page.text:  # only values that are written as they were read
        return None
    video = _encode(_video(job)).removesuffix("}")
    made = []
    try:
        for detection in page.detections:
            face = detection["Face"]
            if face.keys() != _PLAIN_FACE:
                return None
            box, pose, quality = face["BoundingBox"], face["Pose"], face["Quality"]
            marks = ",".join(
                [f'{{"type":"{mark["Type"]}","x":{mark["X"]},"y":{mark["Y"]}}}' for mark in face["Landmarks"]]
            )
            made.append(
                f'{video},"timestamp_ms":{detection["Timestamp"]},"confidence":{face["Confidence"]},'
                f'"box_left":{box["Left"]},"box_top":{box["Top"]},'
                f'"box_width":{box["Width"]},"box_height":{box["Height"]},'
                f'"roll":{pose["Roll"]},"yaw":{pose["Yaw"]},"pitch":{pose["Pitch"]},'
                f'"brightness":{quality["Brightness"]},"sharpness":{quality["Sharpness"]},'
                f'"landmarks":[{marks}]}}\n'
            )
    except KeyError:
        return None
    return "".join(made)


def job_line(job: "Job", answer: Item, *, detections: int, result_key: str, rows_key: str, superseded: bool) -> str:
    """The row of a job that succeeded, as a line of JSON; `answer` is Get's, without the detections."""
    video = video_metadata(answer)
    row: Row = {
        **_video(job),
        "sequencer": job.sequencer,
        "superseded": superseded,
        "parameters": json.dumps(job.parameters, sort_keys=True),
        "detections": detections,
        "size": job.size,
        "result_key": result_key,
        "rows_key": rows_key,
    }
    _take(row, video, _VIDEO)
    for member in ("LabelModelVersion", "ModerationModelVersion", "TextModelVersion"):
        if member in answer:
            row["model_version"] = answer[member]
    return _encode(row) + "\n"


def video_metadata(answer: Item) -> dict[str, Any]:
    """Get's VideoMetadata. GetSegmentDetection alone returns a list, always of one."""
    found = answer.get("VideoMetadata") or {}
    return dict(found[0] if isinstance(found, list) else found)


def _video(job: "Job") -> Row:
    return {
        "schema": SCHEMA,
        "job_id": job.job_id,
        "video_bucket": job.bucket,
        "video_key": job.key,
        "video_etag": job.etag,
        "uploaded_at": job.uploaded_at,
    }


# Rekognition's name, the column's name.
Names = tuple[tuple[str, str], ...]

_VIDEO: Names = (
    ("DurationMillis", "video_duration_ms"),
    ("FrameRate", "frame_rate"),
    ("FrameWidth", "frame_width"),
    ("FrameHeight", "frame_height"),
    ("Codec", "codec"),
)
_MOMENT: Names = (
    ("Timestamp", "timestamp_ms"),
    ("StartTimestampMillis", "start_ms"),
    ("EndTimestampMillis", "end_ms"),
    ("DurationMillis", "duration_ms"),
)
_BOX: Names = (("Left", "box_left"), ("Top", "box_top"), ("Width", "box_width"), ("Height", "box_height"))
_FACE_BOX: Names = tuple((member, f"face_{column}") for member, column in _BOX)
_COLOR: Names = (
    ("Red", "red"),
    ("Green", "green"),
    ("Blue", "blue"),
    ("HexCode", "hex_code"),
    ("CSSColor", "css_color"),
    ("SimplifiedColor", "simplified_color"),
    ("PixelPercent", "pixel_percent"),
)
_MODERATION: Names = (
    ("Name", "label"),
    ("ParentName", "parent_label"),
    ("TaxonomyLevel", "taxonomy_level"),
    ("Confidence", "confidence"),
)
_CONTENT_TYPE: Names = (("Name", "name"), ("Confidence", "confidence"))
_TEXT: Names = (
    ("DetectedText", "text"),
    ("Type", "type"),
    ("Id", "text_id"),
    ("ParentId", "parent_id"),
    ("Confidence", "confidence"),
)
_POINT: Names = (("X", "x"), ("Y", "y"))
_CELEBRITY: Names = (("Name", "name"), ("Id", "celebrity_id"), ("Confidence", "confidence"), ("Urls", "urls"))
_MATCH: Names = (
    ("FaceId", "face_id"),
    ("ExternalImageId", "external_image_id"),
    ("ImageId", "image_id"),
    ("UserId", "user_id"),
    ("Confidence", "confidence"),
    ("IndexFacesModelVersion", "index_faces_model_version"),
)
_SEGMENT: Names = (
    ("Type", "type"),
    ("StartTimestampMillis", "start_ms"),
    ("EndTimestampMillis", "end_ms"),
    ("DurationMillis", "duration_ms"),
    ("StartFrameNumber", "start_frame"),
    ("EndFrameNumber", "end_frame"),
    ("DurationFrames", "duration_frames"),
    ("StartTimecodeSMPTE", "start_timecode"),
    ("EndTimecodeSMPTE", "end_timecode"),
    ("DurationSMPTE", "duration_timecode"),
)


def _take(row: Row, item: Item, names: Names) -> None:
    for member, column in names:
        if member in item:
            row[column] = item[member]


def _taken(item: Item, names: Names) -> Row:
    row: Row = {}
    _take(row, item, names)
    return row


def _face(detection: Item) -> Row:
    face = detection["Face"]
    row: Row = {"timestamp_ms": detection["Timestamp"], "confidence": face.get("Confidence")}
    box = face.get("BoundingBox") or {}
    row["box_left"], row["box_top"] = box.get("Left"), box.get("Top")
    row["box_width"], row["box_height"] = box.get("Width"), box.get("Height")
    _details(row, face)
    return row


def _details(row: Row, face: Item) -> None:
    """A face's columns beside its box and confidence."""
    pose, quality = face.get("Pose") or {}, face.get("Quality") or {}
    row["roll"], row["yaw"], row["pitch"] = pose.get("Roll"), pose.get("Yaw"), pose.get("Pitch")
    row["brightness"], row["sharpness"] = quality.get("Brightness"), quality.get("Sharpness")
    if "Landmarks" in face:
        row["landmarks"] = [{"type": mark["Type"], "x": mark["X"], "y": mark["Y"]} for mark in face["Landmarks"]]
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


def _face_of_somebody(row: Row, face: Item) -> None:
    """A face beside something else that has a box and a confidence."""
    _take(row, face, (("Confidence", "face_confidence"),))
    _take(row, face.get("BoundingBox") or {}, _FACE_BOX)
    _details(row, face)


def _label(detection: Item) -> Row:
    label = detection["Label"]
    row = _taken(detection, _MOMENT)
    _take(row, label, (("Name", "label"), ("Confidence", "confidence")))
    row["instance_count"] = len(label.get("Instances") or ())
    if "Instances" in label:
        row["instances"] = [_instance(instance) for instance in label["Instances"]]
    for member, column in (("Parents", "parents"), ("Aliases", "aliases"), ("Categories", "categories")):
        if member in label:
            row[column] = [one["Name"] for one in label[member]]
    return row


def _instance(instance: Item) -> Row:
    found = _taken(instance.get("BoundingBox") or {}, _BOX)
    _take(found, instance, (("Confidence", "confidence"),))
    if "DominantColors" in instance:
        found["dominant_colors"] = [_taken(color, _COLOR) for color in instance["DominantColors"]]
    return found


def _moderation(detection: Item) -> Row:
    row = _taken(detection, _MOMENT)
    _take(row, detection["ModerationLabel"], _MODERATION)
    if "ContentTypes" in detection:
        row["content_types"] = [_taken(one, _CONTENT_TYPE) for one in detection["ContentTypes"]]
    return row


def _text(detection: Item) -> Row:
    text = detection["TextDetection"]
    row = _taken(detection, _MOMENT)
    _take(row, text, _TEXT)
    geometry = text.get("Geometry") or {}
    _take(row, geometry.get("BoundingBox") or {}, _BOX)
    if "Polygon" in geometry:
        row["polygon"] = [_taken(point, _POINT) for point in geometry["Polygon"]]
    return row


def _celebrity(detection: Item) -> Row:
    celebrity = detection["Celebrity"]
    row = _taken(detection, _MOMENT)
    _take(row, celebrity, _CELEBRITY)
    _take(row, celebrity.get("KnownGender") or {}, (("Type", "known_gender"),))
    _take(row, celebrity.get("BoundingBox") or {}, _BOX)
    if "Face" in celebrity:
        _face_of_somebody(row, celebrity["Face"])
    return row


def _person(detection: Item) -> Row:
    person = detection["Person"]
    row = _taken(detection, _MOMENT)
    _take(row, person, (("Index", "person_index"),))
    _take(row, person.get("BoundingBox") or {}, _BOX)
    if "Face" in person:
        _face_of_somebody(row, person["Face"])
    if "FaceMatches" in detection:
        row["matches"] = matches = [_match(match) for match in detection["FaceMatches"]]
        if matches:
            best = max(matches, key=lambda match: match.get("similarity") or 0)
            for column in ("similarity", "face_id", "external_image_id", "user_id"):
                row[f"match_{column}"] = best.get(column)
    return row


def _match(match: Item) -> Row:
    found = _taken(match, (("Similarity", "similarity"),))
    face = match.get("Face") or {}
    _take(found, face, _MATCH)
    _take(found, face.get("BoundingBox") or {}, _BOX)
    return found


def _segment(detection: Item) -> Row:
    row = _taken(detection, _SEGMENT)
    if "ShotSegment" in detection:
        _take(row, detection["ShotSegment"], (("Index", "shot_index"), ("Confidence", "confidence")))
    if "TechnicalCueSegment" in detection:
        _take(row, detection["TechnicalCueSegment"], (("Type", "cue_type"), ("Confidence", "confidence")))
    return row


_FLATTEN: Mapping[str, Callable[[Item], Row]] = {
    "face-detection": _face,
    "label-detection": _label,
    "content-moderation": _moderation,
    "text-detection": _text,
    "celebrity-recognition": _celebrity,
    "face-search": _person,
    "segment-detection": _segment,
}
