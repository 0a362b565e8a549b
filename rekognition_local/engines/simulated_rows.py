"""What the simulated engine says of videos: rows of each analysis, by their index, never all at once.

What was sampled repeats after a cycle of a minute or so, apart from its time. Filters and thresholds of the Start call
narrow what occurs and how sure it is; how many rows there are is the engine's setting, whatever the filters. The
celebrities are invented, and so are the faces that are found in a collection that is empty.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from rekognition_local.catalogue import FACE_MODEL_VERSION
from rekognition_local.engines import MadeRows, Rows
from rekognition_local.engines.taxonomy import labels
from rekognition_local.engines.timecode import stretch
from rekognition_local.filters import LabelFilter, SegmentFilter, TextFilter

#: Rekognition samples two frames a second, and at six hours at most.
MOST_SAMPLES = 6 * 3600 * 2
SAMPLE_MILLIS = 500
#: Faces repeat after so many. A prime, so that faces of one sample never look alike.
KINDS = 997
#: Samples after which everything else repeats, and for how many a scene stays as it is.
CYCLE, SCENE = 120, 8
RATE = Fraction(30)
MOST_FRAMES = 6 * 3600 * 30

Parameters = Mapping[str, Any]
Body = dict[str, Any]
"""A row without its Timestamp."""


@dataclass(frozen=True, slots=True)
class Film:
    """A job's rows, the length of the video they are of, and further members of the Get reply."""

    rows: Rows
    millis: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Rows that repeat: the *tails* of their texts after the time, the sample each belongs to, and samples in all."""

    tails: Sequence[bytes]
    samples: Sequence[int]
    length: int

    def film(self, count: int) -> Film:
        """*count* rows of it. What would be longer than six hours is denser instead."""
        if not self.tails:
            return Film((), max(1, count) * SAMPLE_MILLIS)
        last = self._sample(count - 1) if count else 0
        denser = math.ceil((last + 1) / MOST_SAMPLES)

        def row(i: int) -> bytes:
            millis = self._sample(i) // denser * SAMPLE_MILLIS
            return b'{"Timestamp":%d,%s' % (millis, self.tails[i % len(self.tails)])

        return Film(MadeRows(count, row), (last // denser + 1) * SAMPLE_MILLIS)

    def _sample(self, i: int) -> int:
        rounds, place = divmod(i, len(self.tails))
        return rounds * self.length + self.samples[place]


def cycle(see: Callable[[int], Sequence[Body]], length: int = CYCLE) -> Cycle:
    """The cycle of what *see* says of each sample. Samples of which it says nothing are skipped."""
    bodies = [(sample, body) for sample in range(length) for body in see(sample)]
    tails = [json.dumps(body, separators=(",", ":"))[1:].encode() for _, body in bodies]
    return Cycle(tails, [sample for sample, _ in bodies], length)


def _between(least: float, i: int) -> float:
    """A confidence of *least* or more: 97 different ones."""
    return round(least + (100 - least) * (0.3 + 0.7 * (i * 37 % 97) / 97), 4)


def _box(i: int, width: float = 0.12, height: float = 0.2) -> dict[str, float]:
    """A BoundingBox somewhere in the picture, another one for every *i* below 101."""
    left, top = (i * 29 % 101) / 101 * (1 - width), (i * 47 % 101) / 101 * (1 - height)
    return {"Width": round(width, 6), "Height": round(height, 6), "Left": round(left, 6), "Top": round(top, 6)}


# Faces.


def faces(count: int, parameters: Parameters) -> Film:
    return _faces(parameters.get("FaceAttributes", "DEFAULT") == "ALL").film(count)


@functools.cache
def _faces(everything: bool) -> Cycle:
    return cycle(lambda i: [{"Face": face(i, everything)}], KINDS)


def face(i: int, everything: bool) -> dict[str, Any]:
    """One FaceDetail, different for every *i* below KINDS."""
    left, top = round(0.05 + 0.7 * i / KINDS, 6), round(0.1 + 0.5 * (i * 31 % KINDS) / KINDS, 6)
    width, height = round(0.08 + 0.1 * (i * 7 % 101) / 101, 6), round(0.12 + 0.15 * (i * 7 % 101) / 101, 6)

    def point(kind: str, x: float, y: float) -> dict[str, Any]:
        return {"Type": kind, "X": round(left + x * width, 6), "Y": round(top + y * height, 6)}

    detail: dict[str, Any] = {
        "BoundingBox": {"Width": width, "Height": height, "Left": left, "Top": top},
        "Landmarks": [point(*where) for where in _FIVE_POINTS],
        "Pose": {"Roll": round(i % 41 - 20.5, 4), "Yaw": round(i % 61 - 30.5, 4), "Pitch": round(i % 31 - 15.5, 4)},
        "Quality": {"Brightness": round(40 + i % 50 + 0.125, 4), "Sharpness": round(30 + i % 65 + 0.25, 4)},
        "Confidence": round(90 + i % 100 / 10.01, 4),
    }
    if everything:
        for n, name in enumerate(_TRAITS):
            detail[name] = {"Value": (i + n) % 3 == 0, "Confidence": round(60 + (i + n) % 40 + 0.5, 4)}
        detail["AgeRange"] = {"Low": 20 + i % 30, "High": 28 + i % 30}
        detail["Gender"] = {"Value": "Female" if i % 2 else "Male", "Confidence": round(70 + i % 30 + 0.5, 4)}
        detail["Emotions"] = [
            {"Type": emotion, "Confidence": round(100 / 2 ** (n + 1), 4)} for n, emotion in enumerate(_EMOTIONS)
        ]
        detail["Landmarks"] += [
            point(kind, 0.1 + 0.8 * (n % 5) / 4, 0.2 + 0.6 * (n // 5) / 4) for n, kind in enumerate(_MORE_POINTS)
        ]
    return detail


_FIVE_POINTS = (
    ("eyeLeft", 0.3, 0.4),
    ("eyeRight", 0.7, 0.4),
    ("mouthLeft", 0.35, 0.75),
    ("mouthRight", 0.65, 0.75),
    ("nose", 0.5, 0.58),
)
_MORE_POINTS = (
    *("leftEyeBrowLeft", "leftEyeBrowRight", "leftEyeBrowUp", "rightEyeBrowLeft", "rightEyeBrowRight"),
    *("rightEyeBrowUp", "leftEyeLeft", "leftEyeRight", "leftEyeUp", "leftEyeDown", "rightEyeLeft", "rightEyeRight"),
    *("rightEyeUp", "rightEyeDown", "noseLeft", "noseRight", "mouthUp", "mouthDown", "leftPupil", "rightPupil"),
    *("upperJawlineLeft", "midJawlineLeft", "chinBottom", "midJawlineRight", "upperJawlineRight"),
)
_TRAITS = ("Smile", "Eyeglasses", "Sunglasses", "Beard", "Mustache", "EyesOpen", "MouthOpen")
_EMOTIONS = ("HAPPY", "CALM", "SURPRISED", "CONFUSED", "SAD", "ANGRY", "DISGUSTED", "FEAR")


# Labels.

#: What is seen in a scene, and how often.
_SCENES: tuple[dict[str, int], ...] = (
    {"Person": 2, "Car": 3, "Traffic Light": 1},
    {"Person": 1, "Dog": 1, "Bench": 1},
    {"Bicycle": 2, "Person": 2, "Backpack": 1},
    {"Dining Table": 1, "Cup": 2, "Laptop": 1, "Person": 1},
    {"Cat": 1, "Couch": 1},
    {"Bus": 1, "Truck": 1, "Car": 4},
    {"Horse": 2, "Person": 1},
    {"Pizza": 1, "Wine Glass": 2, "Person": 4},
    {"Airplane": 1},
    {"Television": 1, "Couch": 1, "Potted Plant": 1},
    {"Surfboard": 1, "Person": 1},
    {"Mobile Phone": 1, "Person": 1, "Handbag": 1},
    {"Boat": 2, "Bird": 3},
    {"Motorcycle": 1, "Person": 1},
    {"Book": 5, "Chair": 1, "Clock": 1},
)


def found_labels(count: int, parameters: Parameters) -> Film:
    wanted = LabelFilter.of(parameters)

    def see(sample: int) -> list[Body]:
        found = {}
        for kind, (name, many) in enumerate(_SCENES[sample // SCENE].items()):
            instances = [
                {
                    "BoundingBox": _box(sample // SCENE + 13 * kind + 31 * n),
                    "Confidence": _between(50, sample + kind + n),
                }
                for n in range(many)
            ]
            found[name] = (_between(wanted.min_confidence, sample + kind), instances)
        return [{"Label": label} for label in labels(found, wanted)]

    return cycle(see).film(count)


# Moderation: labels of AWS's moderation taxonomy, with all that is above them.

_MODERATED: tuple[tuple[tuple[str, str, int], ...], ...] = (
    (("Alcohol", "", 1), ("Alcoholic Beverages", "Alcohol", 2)),
    (("Alcohol", "", 1), ("Alcohol Use", "Alcohol", 2), ("Drinking", "Alcohol Use", 3)),
    (("Gambling", "", 1),),
    (("Violence", "", 1), ("Weapons", "Violence", 2)),
    (("Rude Gestures", "", 1),),
)


def moderated(count: int, parameters: Parameters) -> Film:
    least = parameters.get("MinConfidence", 50)

    def see(sample: int) -> list[Body]:
        scene = sample // SCENE
        kinds = [{"Name": "Animated", "Confidence": _between(80, scene)}] if scene % 3 == 0 else []
        return [
            {
                "ModerationLabel": {
                    "Confidence": _between(least, sample),
                    "Name": name,
                    "ParentName": parent,
                    "TaxonomyLevel": level,
                },
                "ContentTypes": kinds,
            }
            for name, parent, level in sorted(_MODERATED[scene % len(_MODERATED)])
        ]

    return cycle(see).film(count)


# Text.

_SIGNS = (
    ("EXIT",),
    ("MAIN STREET 12", "No parking"),
    ("SALE 50% OFF",),
    ("Welcome to", "Grand Hotel"),
    ("12:45",),
    ("Breaking news", "Live from the harbour"),
    ("TAXI",),
)


def text(count: int, parameters: Parameters) -> Film:
    wanted = TextFilter.of(parameters)
    return cycle(lambda sample: _signs(sample, wanted)).film(count)


def _signs(sample: int, wanted: TextFilter) -> list[Body]:
    """Lines first, then their words, as the service numbers them."""
    scene = sample // SCENE
    lines: list[Body] = []
    words: list[Body] = []
    for at, line in enumerate(_SIGNS[scene % len(_SIGNS)]):
        confidence, left, top = _between(wanted.min_confidence, sample + at), 0.1, 0.15 + 0.3 * at + 0.01 * scene
        shown = []
        for word in line.split():
            box = {"Width": 0.02 * len(word), "Height": 0.06, "Left": round(left, 6), "Top": round(top, 6)}
            left += 0.02 * (len(word) + 1)
            if wanted.admits(box, confidence):
                shown.append(_text(word, "WORD", confidence, box) | {"ParentId": len(lines)})
        if shown:
            whole = {"Width": round(left - 0.12, 6), "Height": 0.06, "Left": 0.1, "Top": round(top, 6)}
            lines.append(_text(line, "LINE", confidence, whole))
            words += shown
    return [{"TextDetection": found | {"Id": number}} for number, found in enumerate(lines + words)]


def _text(content: str, kind: str, confidence: float, box: Mapping[str, float]) -> Body:
    left, top, right, bottom = box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    polygon = [{"X": round(x, 6), "Y": round(y, 6)} for x, y in corners]
    return {
        "DetectedText": content,
        "Type": kind,
        "Confidence": confidence,
        "Geometry": {"BoundingBox": dict(box), "Polygon": polygon},
    }


# Celebrities: invented people.

_CELEBRITIES = (
    ("1AbcLocal01", "Ada Example", "Female"),
    ("2BcdLocal02", "Ben Sample", "Male"),
    ("3CdeLocal03", "Cleo Placeholder", "Nonbinary"),
)


def celebrities(count: int, _: Parameters) -> Film:
    def see(sample: int) -> list[Body]:
        scene = sample // SCENE
        found = [scene % 3] if scene % 2 else [scene % 3, (scene + 1) % 3]
        return [{"Celebrity": _celebrity(who, sample)} for who in found]

    return cycle(see).film(count)


def _celebrity(who: int, sample: int) -> Body:
    identity, name, gender = _CELEBRITIES[who]
    return {
        "Urls": [f"www.example.com/{name.split()[0].lower()}"] if who < 2 else [],
        "Name": name,
        "Id": identity,
        "Confidence": _between(80, sample + who),
        "BoundingBox": _box(sample + 31 * who, 0.2, 0.6),
        "Face": face(sample + 331 * who, everything=False),
        "KnownGender": {"Type": gender},
    }


# People, and who of them is in a collection: one who is, one who is like two of its faces, and one who is not.


def persons(count: int, parameters: Parameters) -> Film:
    known = [entry["Face"] for entry in parameters.get("CollectionFaces", ())] or _INVENTED
    least = parameters.get("FaceMatchThreshold", 80)

    def see(sample: int) -> list[Body]:
        scene = sample // SCENE
        return [_person(who, sample, known, least) for who in ([0, 1, 2] if scene % 2 else [scene // 2 % 3])]

    return cycle(see).film(count)


def _person(who: int, sample: int, known: Sequence[Mapping[str, Any]], least: float) -> Body:
    detail = face(sample + 331 * who, everything=False)
    body: Body = {"Person": {"Index": who, "BoundingBox": detail["BoundingBox"], "Face": detail}}
    if who < 2:
        faces = [known[(who + n) % len(known)] for n in range(min(who + 1, len(known)))]
        similar = sorted((_between(least, sample + n) for n in range(len(faces))), reverse=True)
        body["FaceMatches"] = [
            {"Similarity": similarity, "Face": matched} for similarity, matched in zip(similar, faces, strict=True)
        ]
    return body


_INVENTED: Sequence[Mapping[str, Any]] = [
    {
        "FaceId": f"00000000-0000-4000-8000-00000000000{n}",
        "BoundingBox": _box(n),
        "ImageId": f"00000000-0000-4000-8000-0000000000a{n}",
        "ExternalImageId": f"simulated-{n}",
        "Confidence": _between(90, n),
        "IndexFacesModelVersion": FACE_MODEL_VERSION,
    }
    for n in range(3)
]


# Segments: shots one after the other from the beginning to the end, and black between some of them.

SHOT_FRAMES = 120
CUE_EVERY = 5


def segments(count: int, parameters: Parameters) -> Film:
    wanted = SegmentFilter.of(parameters)
    cues = (count // CUE_EVERY if wanted.shots else count) if wanted.cues else 0
    shots = count - cues
    whole = max(shots, cues * CUE_EVERY, 1)
    frames = max(2, min(SHOT_FRAMES, MOST_FRAMES // whole))

    def begin(shot: int) -> int:
        return shot * frames + (shot * 37 % max(1, frames // 2) if 0 < shot < whole else 0)

    def row(i: int) -> bytes:
        if i < cues:
            shot = (i + 1) * CUE_EVERY - 1
            last = begin(shot + 1) - 1
            found = {"Type": "TECHNICAL_CUE", **_frames(max(begin(shot), last - 23 - i % 7), last)}
            cue: Body = {"Type": "BlackFrames", "Confidence": _between(wanted.min_cue_confidence, i)}
            found["TechnicalCueSegment"] = cue
        else:
            shot = i - cues
            found = {"Type": "SHOT", **_frames(begin(shot), begin(shot + 1) - 1)}
            found["ShotSegment"] = {"Index": shot, "Confidence": _between(wanted.min_shot_confidence, shot)}
        return json.dumps(found, separators=(",", ":")).encode()

    millis = math.floor(1000 * whole * frames / RATE)
    sound = {"Codec": "aac", "DurationMillis": millis, "SampleRate": 48000, "NumberOfChannels": 2}
    return Film(MadeRows(count, row), millis, {"AudioMetadata": [sound]})


def _frames(first: int, last: int) -> Body:
    return stretch(first, last, first / RATE, last / RATE, RATE)


#: What a simulated job of each analysis yields.
ROWS: dict[str, Callable[[int, Parameters], Film]] = {
    "face-detection": faces,
    "label-detection": found_labels,
    "content-moderation": moderated,
    "text-detection": text,
    "celebrity-recognition": celebrities,
    "face-search": persons,
    "segment-detection": segments,
}
