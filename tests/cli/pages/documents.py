"""Results documents of all seven analyses, in the shape of Rekognition's Get responses, made up for the tests' clip."""

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CLIP = ROOT / "localcloud/clip/two-portraits.mp4"
DURATION = 7007
METADATA = {
    "Codec": "h264",
    "DurationMillis": DURATION,
    "Format": "QuickTime / MOV",
    "FrameRate": 29.97003,
    "FrameHeight": 360,
    "FrameWidth": 640,
    "ColorRange": "LIMITED",
}
SAMPLES = [0, 467, 967, 1468, 1968, 2469, 2969, 3470, 3970, 4471, 4971, 5472, 5972, 6473, 6973]

HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='owned'\">",
    "end of script": "</script><script>document.title='owned'</script><!--",
    "quotes": "\"'`${document.title='owned'}",
    "right to left": "\u202eגדול evil\u202c שלום",
    "very long": "x" * 1000,
    "separators": "a\u2028b\u2029c\x00d",
    "template": "{{data}} {{script}}",
    "half a pair": "\ud83d",
    "emoji": "👩‍👩‍👧‍👦 日本語",
    "nothing": "",
}


def box(left: float, top: float, width: float, height: float) -> dict[str, float]:
    return {"Left": left, "Top": top, "Width": width, "Height": height}


def document(rows: str, found: list[Any], **more: Any) -> dict[str, Any]:
    return {"JobStatus": "SUCCEEDED", "VideoMetadata": METADATA, rows: found, "JobId": "0" * 64, **more}


def face(
    left: float, top: float, width: float = 0.17, height: float = 0.41, confidence: float = 99.0
) -> dict[str, Any]:
    points = {"eyeLeft": (0.3, 0.4), "eyeRight": (0.7, 0.4), "nose": (0.5, 0.6), "mouthLeft": (0.35, 0.8)}
    points["mouthRight"] = (0.65, 0.8)
    return {
        "BoundingBox": box(left, top, width, height),
        "Confidence": confidence,
        "Landmarks": [{"Type": n, "X": left + x * width, "Y": top + y * height} for n, (x, y) in points.items()],
        "Pose": {"Roll": 1.0, "Yaw": -3.0, "Pitch": 4.0},
        "Quality": {"Brightness": 80.0, "Sharpness": 90.0},
        "AgeRange": {"Low": 30, "High": 40},
        "Gender": {"Value": "Male", "Confidence": 98.0},
        "Smile": {"Value": False, "Confidence": 90.0},
        "Emotions": [{"Type": "CALM", "Confidence": 90.0}, {"Type": "SAD", "Confidence": 2.0}],
    }


def faces() -> dict[str, Any]:
    """One face, two, none, and one again."""
    found = []
    for millis in SAMPLES:
        if millis < 2000 or millis > 5900:
            found.append({"Timestamp": millis, "Face": face(0.41 if millis < 2000 else 0.4, 0.13)})
        elif millis < 4000:
            found += [
                {"Timestamp": millis, "Face": face(0.17, 0.2, 0.15, 0.36)},
                {"Timestamp": millis, "Face": face(0.66, 0.2, 0.15, 0.36, 91.5)},
            ]
    return document("Faces", found)


def labels() -> dict[str, Any]:
    names = {"Person": 99.1, "Portrait": 95.0, "Suit": 88.0, "Beard": 81.0, "Hat": 64.0, "Painting": 58.0, "Tie": 55.5}
    found = []
    for at, millis in enumerate(SAMPLES):
        for number, (name, confidence) in enumerate(names.items()):
            if (at + number) % (number + 1) or 4000 < millis < 5900:
                continue
            instances = [{"BoundingBox": box(0.3, 0.05, 0.4, 0.95), "Confidence": 98.0}] if name == "Person" else []
            label = {
                "Name": name,
                "Confidence": confidence,
                "Instances": instances,
                "Parents": [{"Name": "Clothing"}] if name in ("Suit", "Hat", "Tie") else [],
                "Categories": [{"Name": "Person Description"}],
            }
            found.append({"Timestamp": millis, "Label": label})
    echo = {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}
    return document("Labels", found, LabelModelVersion="3.0", GetRequestMetadata=echo)


def text(lines: tuple[str, ...] = ("TWO PORTRAITS", "1889")) -> dict[str, Any]:
    found: list[Any] = []
    for millis in SAMPLES[3:9]:
        for at, line in enumerate(lines):
            geometry = {"BoundingBox": box(0.35, 0.72 + 0.1 * at, 0.3, 0.08)}
            what = {"DetectedText": line, "Type": "LINE", "Id": at, "Confidence": 97.5 - at, "Geometry": geometry}
            found.append({"Timestamp": millis, "TextDetection": what})
            for number, word in enumerate(line.split()):
                part = {"Type": "WORD", "DetectedText": word, "Id": 10 * at + number + 5, "ParentId": at}
                found.append({"Timestamp": millis, "TextDetection": what | part})
    return document("TextDetections", found, TextModelVersion="3.0")


def moderation() -> dict[str, Any]:
    def row(millis: int, name: str, parent: str, confidence: float) -> dict[str, Any]:
        label = {"Name": name, "ParentName": parent, "Confidence": confidence, "TaxonomyLevel": 2 if parent else 1}
        return {"Timestamp": millis, "ModerationLabel": label, "ContentTypes": []}

    found = [
        row(millis, *what)
        for millis in SAMPLES[4:6]
        for what in (("Drugs & Tobacco", "", 87.2), ("Smoking", "Drugs & Tobacco Paraphernalia & Use", 87.2))
    ]
    return document("ModerationLabels", found, ModerationModelVersion="7.0")


def celebrities() -> dict[str, Any]:
    found = [
        {
            "Timestamp": millis,
            "Celebrity": {
                "Name": "Ada Example",
                "Id": "3Ir0du6",
                "Urls": ["www.example.org/ada"],
                "Confidence": 96.0,
                "BoundingBox": box(0.3, 0.05, 0.4, 0.95),
                "Face": face(0.41, 0.13),
                "KnownGender": {"Type": "Female"},
            },
        }
        for millis in SAMPLES[:4]
    ]
    return document("Celebrities", found)


def persons() -> dict[str, Any]:
    found: list[Any] = []
    for millis in SAMPLES[4:8]:
        person = {"Index": 0, "BoundingBox": box(0.1, 0.1, 0.3, 0.9), "Face": face(0.17, 0.2, 0.15, 0.36)}
        match = {"Similarity": 93.5, "Face": {"FaceId": "f" * 36, "ExternalImageId": "grandfather"}}
        found.append({"Timestamp": millis, "Person": person, "FaceMatches": [match]})
        found.append({"Timestamp": millis, "Person": {"Index": 1, "Face": face(0.66, 0.2, 0.15, 0.36)}})
    return document("Persons", found)


def segments() -> dict[str, Any]:
    def row(kind: str, begin: int, end: int, **more: Any) -> dict[str, Any]:
        times = {"StartTimestampMillis": begin, "EndTimestampMillis": end, "DurationMillis": end - begin}
        codes = {"StartTimecodeSMPTE": "00:00:00;00", "EndTimecodeSMPTE": "00:00:02;00", "DurationSMPTE": "00:00:02;00"}
        return {"Type": kind, **times, **codes, **more}

    cues = [row("TECHNICAL_CUE", 4000, 5900, TechnicalCueSegment={"Type": "BlackFrames", "Confidence": 99.0})]
    bounds = [(0, 1969), (2002, 3971), (4004, 5939), (5972, 7007)]
    shots = [
        row("SHOT", begin, end, ShotSegment={"Index": at, "Confidence": 99.9 - at})
        for at, (begin, end) in enumerate(bounds)
    ]
    result = document("Segments", cues + shots, SelectedSegmentTypes=[{"Type": "SHOT", "ModelVersion": "2.0"}])
    return result | {"VideoMetadata": [METADATA], "AudioMetadata": []}


@cache
def all_seven() -> dict[str, dict[str, Any]]:
    return {
        "face-detection": faces(),
        "label-detection": labels(),
        "text-detection": text(),
        "content-moderation": moderation(),
        "celebrity-recognition": celebrities(),
        "face-search": persons(),
        "segment-detection": segments(),
    }


def hostile() -> dict[str, dict[str, Any]]:
    """Every name of every analysis is something that has broken a page somewhere."""
    texts = tuple(HOSTILE.values())
    documents = json.loads(json.dumps(all_seven()))
    documents["text-detection"] = text(texts)
    rows = [
        ("label-detection", "Labels", "Label", "Name"),
        ("content-moderation", "ModerationLabels", "ModerationLabel", "Name"),
        ("celebrity-recognition", "Celebrities", "Celebrity", "Name"),
    ]
    for analysis, many, one, name in rows:
        for at, row in enumerate(documents[analysis][many]):
            row[one][name] = texts[at % len(texts)]
    for row in documents["celebrity-recognition"]["Celebrities"]:
        row["Celebrity"]["Urls"] = ["javascript:document.title='owned'", HOSTILE["markup"]]
    for at, row in enumerate(documents["face-search"]["Persons"]):
        for match in row.get("FaceMatches", ()):
            match["Face"]["ExternalImageId"] = texts[at % len(texts)]
    return documents


def many(detections: int = 100_000, seed: int = 7) -> dict[str, dict[str, Any]]:
    """So many detections over six hours: three in four labels, then faces, lines of text and shots."""
    dice = random.Random(seed)
    length = 6 * 3600 * 1000
    about = METADATA | {"DurationMillis": length, "FrameWidth": 1920, "FrameHeight": 1080}
    names = [f"Label {number}" for number in range(400)]
    samples = range(0, length, 500)
    labels_ = []
    for _ in range(detections * 3 // 4):
        name = names[min(399, int(dice.expovariate(0.02)))]
        boxed = (
            [{"BoundingBox": box(dice.random() * 0.7, dice.random() * 0.7, 0.2, 0.3)}] if dice.random() < 0.3 else []
        )
        label = {"Name": name, "Confidence": dice.uniform(50, 100), "Instances": boxed, "Parents": []}
        labels_.append({"Timestamp": dice.choice(samples), "Label": label})
    faces_ = [
        {"Timestamp": dice.choice(samples), "Face": face(dice.random() * 0.8, dice.random() * 0.6)}
        for _ in range(detections // 5)
    ]
    text_ = [
        {
            "Timestamp": dice.choice(samples),
            "TextDetection": {"DetectedText": f"LINE {number}", "Type": "LINE", "Confidence": dice.uniform(80, 100)}
            | {"Geometry": {"BoundingBox": box(0.1, 0.8, 0.5, 0.08)}},
        }
        for number in range(detections - len(labels_) - len(faces_) - 2000)
    ]
    cuts = sorted(dice.sample(range(1000, length, 500), min(1999, detections)))
    shots = [
        {"Type": "SHOT", "StartTimestampMillis": begin, "EndTimestampMillis": end, "ShotSegment": {"Index": at}}
        for at, (begin, end) in enumerate(zip([0, *cuts], [*cuts, length], strict=True))
    ]
    found = {
        "label-detection": document("Labels", sorted(labels_, key=lambda row: row["Timestamp"])),
        "face-detection": document("Faces", sorted(faces_, key=lambda row: row["Timestamp"])),
        "text-detection": document("TextDetections", sorted(text_, key=lambda row: row["Timestamp"])),
        "segment-detection": document("Segments", shots),
    }
    for one in found.values():
        one["VideoMetadata"] = about
    return found
