"""Rows turned back into the items they were made of: the proof that nothing gets lost on the way."""

from collections.abc import Callable, Mapping
from typing import Any

from lambdas.logic import rows

Row = Mapping[str, Any]
Item = dict[str, Any]


def rebuild(analysis: str, row: Row) -> Item:
    """The item of Rekognition's answer that `row` was made of."""
    return _REBUILD[analysis](row)


def _given(row: Row, names: rows.Names) -> Item:
    return {member: row[column] for member, column in names if row.get(column) is not None}


def _nonempty(**members: Any) -> Item:
    """Those members that are there. An object without members was not."""
    return {name: value for name, value in members.items() if value is not None and value != {}}


def _each(row: Row, column: str, names: rows.Names) -> list[Item] | None:
    return None if row.get(column) is None else [_given(one, names) for one in row[column]]


def _named(row: Row, column: str) -> list[Item] | None:
    return None if row.get(column) is None else [{"Name": name} for name in row[column]]


def _details(row: Row) -> Item:
    return _nonempty(
        Pose=_given(row, (("Roll", "roll"), ("Yaw", "yaw"), ("Pitch", "pitch"))),
        Quality=_given(row, (("Brightness", "brightness"), ("Sharpness", "sharpness"))),
        Landmarks=_each(row, "landmarks", (("Type", "type"), ("X", "x"), ("Y", "y"))),
        AgeRange=_given(row, (("Low", "age_low"), ("High", "age_high"))),
        Emotions=_each(row, "emotions", (("Type", "type"), ("Confidence", "confidence"))),
        EyeDirection=_given(
            row, (("Yaw", "eye_yaw"), ("Pitch", "eye_pitch"), ("Confidence", "eye_direction_confidence"))
        ),
        **{
            member: _given(row, (("Value", column), ("Confidence", f"{column}_confidence")))
            for member, column in rows._FACE_ATTRIBUTES
        },
    )


def _face(row: Row) -> Item:
    face = _nonempty(BoundingBox=_given(row, rows._BOX), Confidence=row.get("confidence"))
    return {"Timestamp": row["timestamp_ms"], "Face": {**face, **_details(row)}}


def _somebodys_face(row: Row) -> Item:
    face = _nonempty(BoundingBox=_given(row, rows._FACE_BOX), Confidence=row.get("face_confidence"))
    return {**face, **_details(row)}


def _label(row: Row) -> Item:
    instances = None
    if row.get("instances") is not None:
        instances = [
            _nonempty(
                BoundingBox=_given(instance, rows._BOX),
                Confidence=instance.get("confidence"),
                DominantColors=_each(instance, "dominant_colors", rows._COLOR),
            )
            for instance in row["instances"]
        ]
    label = _nonempty(
        Name=row.get("label"),
        Confidence=row.get("confidence"),
        Instances=instances,
        Parents=_named(row, "parents"),
        Aliases=_named(row, "aliases"),
        Categories=_named(row, "categories"),
    )
    return {**_given(row, rows._MOMENT), "Label": label}


def _moderation(row: Row) -> Item:
    return {
        **_given(row, rows._MOMENT),
        "ModerationLabel": _given(row, rows._MODERATION),
        **_nonempty(ContentTypes=_each(row, "content_types", rows._CONTENT_TYPE)),
    }


def _text(row: Row) -> Item:
    geometry = _nonempty(BoundingBox=_given(row, rows._BOX), Polygon=_each(row, "polygon", rows._POINT))
    return {**_given(row, rows._MOMENT), "TextDetection": {**_given(row, rows._TEXT), **_nonempty(Geometry=geometry)}}


def _celebrity(row: Row) -> Item:
    celebrity = _nonempty(
        KnownGender=_given(row, (("Type", "known_gender"),)),
        BoundingBox=_given(row, rows._BOX),
        Face=_somebodys_face(row),
    )
    return {**_given(row, rows._MOMENT), "Celebrity": {**_given(row, rows._CELEBRITY), **celebrity}}


def _person(row: Row) -> Item:
    person = _nonempty(Index=row.get("person_index"), BoundingBox=_given(row, rows._BOX), Face=_somebodys_face(row))
    matches = None
    if row.get("matches") is not None:
        matches = [
            _nonempty(
                Similarity=match.get("similarity"),
                Face={**_given(match, rows._MATCH), **_nonempty(BoundingBox=_given(match, rows._BOX))},
            )
            for match in row["matches"]
        ]
    return {**_given(row, rows._MOMENT), "Person": person, **_nonempty(FaceMatches=matches)}


def _segment(row: Row) -> Item:
    shot = _given(row, (("Index", "shot_index"), ("Confidence", "confidence")))
    cue = _given(row, (("Type", "cue_type"), ("Confidence", "confidence")))
    kind = {"ShotSegment": shot} if row["type"] == "SHOT" else {"TechnicalCueSegment": cue}
    return {**_given(row, rows._SEGMENT), **kind}


_REBUILD: Mapping[str, Callable[[Row], Item]] = {
    "face-detection": _face,
    "label-detection": _label,
    "content-moderation": _moderation,
    "text-detection": _text,
    "celebrity-recognition": _celebrity,
    "face-search": _person,
    "segment-detection": _segment,
}
