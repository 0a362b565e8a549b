"""The engines on real frames: shots, black, text, known faces, labels, moderation. With tolerances, never exact."""

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import boto3
import cv2
import numpy as np
import pytest

from rekognition_local import AnyObject, RekognitionVideo, attach
from rekognition_local.catalogue import BY_NAME
from rekognition_local.convert.onnx_file import Graph
from rekognition_local.engines import NotAnImage, Outcome, Source, Work, models
from rekognition_local.engines.analysis_pass import EXTRAS, AnalysisTask, analyze_video
from rekognition_local.engines.labels import Labels
from rekognition_local.engines.models import COCO_SSD, OPEN_NSFW, SFACE, Model, ModelMissing, install_command
from rekognition_local.engines.moderation import Moderation
from rekognition_local.engines.onnx_session import OnnxSession
from rekognition_local.engines.real import InProcess, Workers
from rekognition_local.engines.search import faces_in, similarity
from rekognition_local.engines.taxonomy import ANCESTORS, COCO, THINGS, labels
from rekognition_local.engines.timecode import smpte
from rekognition_local.filters import LabelFilter, TextFilter, shared_area
from tests.rekognition_local import videos
from tests.rekognition_local.endpoint_process import Endpoint

BOTH = {"SegmentTypes": ["TECHNICAL_CUE", "SHOT"]}

INSTALLED = {
    "text": importlib.util.find_spec("rapidocr") is not None,
    "search": SFACE.path_or_none() is not None,
    "labels": COCO_SSD.path_or_none() is not None,
    "moderation": OPEN_NSFW.path_or_none() is not None,
}


def needs(extra: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not INSTALLED[extra], reason=f"the extra {extra} is not installed: {install_command(extra)}"
    )


def look(path: Path, analysis: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of one video."""
    with path.open("rb") as file:
        outcome = analyze_video(file, [AnalysisTask("job", analysis, parameters or {})], lambda _done: None)["job"]
    assert outcome.failure is None, outcome.failure
    return [json.loads(row) for row in outcome.rows]


# Shots and black frames. The clip is cut after 60, 120 and 150 of its 210 frames, and black from 120 on.


def spans(rows: list[dict[str, Any]], kind: str) -> list[tuple[int, int]]:
    return [(row["StartFrameNumber"], row["EndFrameNumber"]) for row in rows if row["Type"] == kind]


def test_shots_begin_and_end_at_the_frame_of_the_cut() -> None:
    rows = look(videos.CLIP, "segment-detection", BOTH)

    shots = [row for row in rows if row["Type"] == "SHOT"]
    assert spans(rows, "SHOT") == [(0, 59), (60, 119), (120, 149), (150, 209)]
    assert [shot["StartTimestampMillis"] for shot in shots] == [0, 2002, 4004, 5005]
    assert [shot["ShotSegment"]["Index"] for shot in shots] == [0, 1, 2, 3]
    assert all(65 <= shot["ShotSegment"]["Confidence"] <= 100 for shot in shots)


def test_black_is_a_cue_and_stands_before_the_shots() -> None:
    cue, *shots = look(videos.CLIP, "segment-detection", BOTH)

    assert (cue["Type"], cue["TechnicalCueSegment"]["Type"]) == ("TECHNICAL_CUE", "BlackFrames")
    assert (cue["StartFrameNumber"], cue["EndFrameNumber"]) == (120, 149)
    assert cue["TechnicalCueSegment"]["Confidence"] > 99
    assert (cue["StartTimecodeSMPTE"], cue["EndTimecodeSMPTE"]) == ("00:00:04;00", "00:00:04;29")
    assert {shot["Type"] for shot in shots} == {"SHOT"}


def test_black_ends_with_the_file_and_a_single_black_frame_is_none(tmp_path: Path) -> None:
    rows = look(videos.flashes(tmp_path), "segment-detection", BOTH)

    assert spans(rows, "TECHNICAL_CUE") == [(51, 75)]
    assert rows[0]["EndTimecodeSMPTE"] == "00:00:03:00"


def test_only_the_segments_asked_for_are_looked_for() -> None:
    assert {row["Type"] for row in look(videos.CLIP, "segment-detection", {"SegmentTypes": ["SHOT"]})} == {"SHOT"}
    assert {row["Type"] for row in look(videos.CLIP, "segment-detection", {"SegmentTypes": ["TECHNICAL_CUE"]})} == {
        "TECHNICAL_CUE"
    }


def test_unsure_shots_can_be_left_out_and_keep_their_index() -> None:
    everything = look(videos.CLIP, "segment-detection", {"SegmentTypes": ["SHOT"]})
    least = min(row["ShotSegment"]["Confidence"] for row in everything) + 0.001
    filters = {"ShotFilter": {"MinSegmentConfidence": least}}

    sure = look(videos.CLIP, "segment-detection", {"SegmentTypes": ["SHOT"], "Filters": filters})

    assert [row["ShotSegment"]["Index"] for row in sure] == [0, 2, 3]


@pytest.mark.parametrize(
    ("black", "found"),
    [
        ({}, False),
        ({"MinCoveragePercentage": 80}, True),
        ({"MinCoveragePercentage": 80, "MaxPixelThreshold": 0}, False),
    ],
)
def test_what_counts_as_black_can_be_set(tmp_path: Path, black: dict[str, float], found: bool) -> None:
    picture = np.full((180, 320, 3), 20, np.uint8)
    picture[:, :32] = 200  # a tenth of it is bright
    path = videos.write(tmp_path / "dark.mp4", (picture for _ in range(30)))
    filters = {"TechnicalCueFilter": {"BlackFrame": black}}

    rows = look(path, "segment-detection", {"SegmentTypes": ["TECHNICAL_CUE"], "Filters": filters})

    assert bool(rows) is found
    assert all(88 < row["TechnicalCueSegment"]["Confidence"] < 92 for row in rows)


def test_a_video_of_one_frame_is_one_shot(tmp_path: Path) -> None:
    path = videos.write(tmp_path / "v.mp4", videos.scenery(64, 36, 1))

    assert spans(look(path, "segment-detection", BOTH), "SHOT") == [(0, 0)]


def test_segments_of_a_varying_rate_are_told_by_the_frames_own_times(tmp_path: Path) -> None:
    path = videos.at_times(tmp_path, [0, 100, 450, 490, 700, 1400])

    (shot,) = look(path, "segment-detection", {"SegmentTypes": ["SHOT"]})

    assert (shot["EndFrameNumber"], shot["EndTimestampMillis"]) == (5, 1400)


def test_sound_tracks_are_described(tmp_path: Path) -> None:
    with videos.with_sound(tmp_path).open("rb") as file:
        outcome = analyze_video(file, [AnalysisTask("job", "segment-detection", BOTH)], lambda _done: None)["job"]

    (sound,) = outcome.extra["AudioMetadata"]
    assert (sound["Codec"], sound["SampleRate"], sound["NumberOfChannels"]) == ("aac", 44100, 1)
    assert sound["DurationMillis"] == pytest.approx(1000, abs=100)


@pytest.mark.parametrize(
    ("frame", "rate", "timecode"),
    [
        # The first three are of the service's published answers.
        (299, Fraction(30000, 1001), "00:00:09;29"),
        (449, Fraction(30000, 1001), "00:00:14;29"),
        (697, Fraction(24), "00:00:29:01"),
        (1799, Fraction(30000, 1001), "00:00:59;29"),
        (1800, Fraction(30000, 1001), "00:01:00;02"),
        (17982, Fraction(30000, 1001), "00:10:00;00"),
        (107892, Fraction(30000, 1001), "01:00:00;00"),
        (3600, Fraction(60000, 1001), "00:01:00;04"),
        (24, Fraction(24000, 1001), "00:00:01:00"),
        (90000, Fraction(25), "01:00:00:00"),
    ],
)
def test_timecode_stays_with_the_clock(frame: int, rate: Fraction, timecode: str) -> None:
    assert smpte(frame, rate) == timecode


# Text.


@pytest.fixture(scope="module")
def captions(videos_folder: Path) -> Path:
    return videos.captioned(videos_folder)


def read(rows: list[dict[str, Any]], kind: str = "LINE") -> dict[int, list[str]]:
    """What is read at each moment."""
    found: dict[int, list[str]] = {}
    for row in rows:
        if row["TextDetection"]["Type"] == kind:
            found.setdefault(row["Timestamp"], []).append(row["TextDetection"]["DetectedText"])
    return found


@needs("text")
def test_captions_are_read_while_they_are_shown(captions: Path) -> None:
    rows = look(captions, "text-detection")

    below = "Ferry leaves at 12:45"
    assert read(rows) == {
        **{millis: ["HARBOUR NEWS", below] for millis in (0, 500, 1000, 1500)},
        **{millis: ["GOOD NIGHT", below] for millis in (2000, 2500)},
    }
    assert read(rows, "WORD")[2000] == ["GOOD", "NIGHT", *below.split()]
    box = rows[0]["TextDetection"]["Geometry"]["BoundingBox"]
    assert (box["Left"], box["Top"]) == pytest.approx((60 / 640, 65 / 360), abs=0.03)


@needs("text")
def test_text_can_be_asked_for_by_size_and_place(videos_folder: Path) -> None:
    still = videos.captioned(videos_folder, frames=1)

    def words(**filters: Any) -> list[str]:
        return read(look(still, "text-detection", {"Filters": filters}), "WORD").get(0, [])

    lower_half = {"BoundingBox": {"Left": 0, "Top": 0.5, "Width": 1, "Height": 0.5}}
    triangle = {"Polygon": [{"X": 0, "Y": 0}, {"X": 0.4, "Y": 0}, {"X": 0, "Y": 0.6}]}

    assert words(WordFilter={"MinBoundingBoxHeight": 0.08}) == ["HARBOUR", "NEWS"]
    assert words(RegionsOfInterest=[lower_half]) == ["Ferry", "leaves", "at", "12:45"]
    assert words(RegionsOfInterest=[triangle]) == ["HARBOUR"]
    assert words(RegionsOfInterest=[triangle, lower_half]) == ["HARBOUR", "Ferry", "leaves", "at", "12:45"]


@needs("text")
def test_black_holds_no_text_and_people_hardly_any() -> None:
    words = read(look(videos.CLIP, "text-detection"), "WORD")

    assert not {4471, 4971} & set(words)
    assert sum(len(word) for found in words.values() for word in found) <= 4


def test_a_word_is_in_a_region_when_more_than_half_of_it_is() -> None:
    word = {"Left": 0.4, "Top": 0.1, "Width": 0.2, "Height": 0.1}

    def admits(width: float, **words: float) -> bool:
        region = {"BoundingBox": {"Left": 0, "Top": 0, "Width": width, "Height": 1}}
        filters = {"RegionsOfInterest": [region], "WordFilter": words}
        return TextFilter.of({"Filters": filters}).admits(word, 90)

    assert admits(0.51)
    assert not admits(0.49)
    assert not admits(1, MinConfidence=91)
    assert not admits(1, MinBoundingBoxWidth=0.3)
    assert TextFilter.of({}).admits(word, 80)
    assert not TextFilter.of({}).admits(word, 79)


def test_the_area_shared_with_a_polygon_is_exact() -> None:
    box = {"Left": 0, "Top": 0, "Width": 1, "Height": 1}

    assert shared_area([(0, 0), (2, 0), (0, 2)], box) == pytest.approx(1)
    assert shared_area([(0, 0), (1, 0), (0, 1)], box) == pytest.approx(0.5)
    assert shared_area([(0, 0), (0, 2), (2, 0)], box) == pytest.approx(1)  # the other way round
    assert shared_area([(2, 2), (3, 2), (3, 3)], box) == 0
    assert shared_area([(-1, 0.25), (2, 0.25), (2, 0.75), (-1, 0.75)], box) == pytest.approx(0.5)


# Known faces: Eileen Collins from 0 to 4 s, Grace Hopper from 2 to 4 s and from 5 s on.


def indexed() -> dict[str, Any]:
    """What a collection holds once the clip's first frame is in it."""
    (face,) = faces_in(png(videos.portrait(640, 360)))
    return {"Face": {"FaceId": "collins"}, "Vector": face.vector}


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


@needs("search")
def test_a_known_person_is_found_in_the_seconds_she_is_seen() -> None:
    rows = look(videos.CLIP, "face-search", {"CollectionFaces": [indexed()]})

    hers = [row["Timestamp"] for row in rows if "FaceMatches" in row]
    others = [row["Timestamp"] for row in rows if "FaceMatches" not in row]
    assert hers == [0, 467, 967, 1468, 1968, 2469, 2969, 3470, 3970]
    assert others == [2469, 2969, 3470, 3970, 5472, 5972, 6473, 6973]
    assert all(row["FaceMatches"][0]["Similarity"] > 90 for row in rows if "FaceMatches" in row)


@needs("search")
def test_a_person_keeps_an_index_over_a_cut() -> None:
    rows = look(videos.CLIP, "face-search")

    who = {row["Timestamp"]: [] for row in rows}
    for row in rows:
        who[row["Timestamp"]].append(row["Person"]["Index"])
    assert [who[millis] for millis in (0, 1968, 2469, 3970, 5472, 6973)] == [[0], [0], [0, 1], [0, 1], [1], [1]]
    assert not any("FaceMatches" in row for row in rows)
    assert all(set(row["Person"]) == {"Index", "Face"} for row in rows)


@needs("search")
def test_a_threshold_that_no_face_reaches_matches_none() -> None:
    rows = look(videos.CLIP, "face-search", {"CollectionFaces": [indexed()], "FaceMatchThreshold": 99.999})

    assert [row["Timestamp"] for row in rows if "FaceMatches" in row] in ([], [0])


@needs("search")
def test_a_picture_is_indexed_face_by_face() -> None:
    (face,) = faces_in(png(videos.portrait(1280, 720)))

    assert set(face.detail) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert len(face.vector) == 128
    assert faces_in(png(next(iter(videos.scenery(640, 360, 1))))) == []


@needs("search")
def test_a_collection_is_searched_by_a_picture_and_by_a_face() -> None:
    """A face, the same one smaller, and none."""
    client = attach(boto3.client("rekognition"), RekognitionVideo(engine=InProcess(AnyObject()), objects=AnyObject()))
    client.create_collection(CollectionId="people")
    large, small = (png(videos.portrait(*size)) for size in ((1280, 720), (480, 270)))

    def index(picture: bytes, name: str) -> str:
        records = client.index_faces(CollectionId="people", Image={"Bytes": picture}, ExternalImageId=name)
        return str(records["FaceRecords"][0]["Face"]["FaceId"])

    ids = [index(large, "large"), index(small, "small")]
    by_picture = client.search_faces_by_image(CollectionId="people", Image={"Bytes": large})["FaceMatches"]
    by_face = client.search_faces(CollectionId="people", FaceId=ids[0])["FaceMatches"]

    assert [match["Face"]["ExternalImageId"] for match in by_picture] == ["large", "small"]
    assert by_picture[0]["Similarity"] == pytest.approx(100)
    assert [match["Face"]["FaceId"] for match in by_face] == [ids[1]]
    with pytest.raises(client.exceptions.InvalidParameterException, match="There are no faces in the image"):
        client.search_faces_by_image(
            CollectionId="people", Image={"Bytes": png(next(iter(videos.scenery(640, 360, 1))))}
        )


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n and no more", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        faces_in(content)


def test_similarity_grows_with_the_cosine_and_is_80_where_the_model_says_same() -> None:
    values = [similarity(cosine / 100) for cosine in range(-100, 101)]

    assert values == sorted(values)
    assert (values[0], similarity(0.363), values[-1]) == (0, 80, 100)


# Labels.


@needs("labels")
def test_people_are_found_and_counted() -> None:
    rows = look(videos.CLIP, "label-detection")

    people = {row["Timestamp"]: row["Label"]["Instances"] for row in rows if row["Label"]["Name"] == "Person"}
    assert [len(people[millis]) for millis in (0, 1968, 2969, 3970, 5472)] == [1, 1, 2, 2, 1]
    assert not {4471, 4971} & set(people)
    label = rows[0]["Label"]
    assert label["Aliases"] == [{"Name": "Human"}]
    assert label["Confidence"] == max(instance["Confidence"] for instance in label["Instances"])
    for instances in people.values():
        for box in (instance["BoundingBox"] for instance in instances):
            assert min(box.values()) >= 0
            assert max(box["Left"] + box["Width"], box["Top"] + box["Height"]) <= 1 + 1e-5


@needs("labels")
def test_labels_below_the_confidence_asked_for_are_left_out() -> None:
    assert look(videos.CLIP, "label-detection", {"MinConfidence": 99}) == []
    assert look(videos.CLIP, "label-detection", {"Settings": {"GeneralLabels": {"LabelExclusionFilters": ["Person"]}}}) == []  # fmt: skip # noqa: E501


@needs("labels")
@pytest.mark.skipif(not INSTALLED["text"], reason="onnxruntime comes with the extra text")
def test_both_runtimes_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    picture: Any = cv2.cvtColor(videos.portrait(640, 360), cv2.COLOR_RGB2BGR)
    found = Labels({}).find(picture)
    monkeypatch.setattr("rekognition_local.engines.onnx_session._session", lambda _: None)

    slowly = Labels({}).find(picture)

    assert [thing[0] for thing in slowly] == [thing[0] for thing in found]
    for one, other in zip(found, slowly, strict=True):
        assert other[1] == pytest.approx(one[1], abs=1e-3)
        assert other[2] == pytest.approx(one[2], abs=1e-3)


def test_the_taxonomy_is_whole() -> None:
    assert len(COCO) == 80
    for thing in THINGS.values():
        for name in thing.parents:
            assert set(ANCESTORS[name].parents) <= set(thing.parents), (thing.name, name)


def test_an_ancestor_is_as_sure_as_its_surest_descendant() -> None:
    found = {"Car": (60.0, [{"Confidence": 60.0}]), "Bus": (90.0, [{"Confidence": 90.0}])}

    seen = labels(found, LabelFilter.of({}))

    assert [(label["Name"], label["Confidence"]) for label in seen] == [
        ("Bus", 90),
        ("Car", 60),
        ("Transportation", 90),
        ("Vehicle", 90),
    ]
    assert [len(label["Instances"]) for label in seen] == [1, 1, 0, 0]
    assert [label["Name"] for label in labels(found, LabelFilter.of({"MinConfidence": 70}))] == [
        "Bus",
        "Transportation",
        "Vehicle",
    ]


def test_an_onnx_file_of_ours_computes_what_it_says(tmp_path: Path) -> None:
    graph = Graph("tiny")
    weights = graph.constant("w", np.full((1, 3, 1, 1), 2, np.float32))
    bounds = [graph.constant(f"b{bound}", np.array(bound, np.float32)) for bound in (0, 6)]
    picture = graph.input("x", (1, 3, 4, 4))
    graph.node("Conv", [picture, weights], "y", kernel_shape=[1, 1], strides=[2, 2], group=1, auto_pad="SAME_UPPER")
    graph.node("Clip", ["y", *bounds], "z")
    graph.output("z", (1, 1, 2, 2))
    (tmp_path / "tiny.onnx").write_bytes(graph.file())

    (result,) = OnnxSession(tmp_path / "tiny.onnx", ["z"]).run(np.full((1, 3, 4, 4), 0.5, np.float32))

    assert result.tolist() == [[[[3.0, 3.0], [3.0, 3.0]]]]


# Moderation: a stub says what the model would, for no test holds what it detects.


@needs("moderation")
def test_a_score_above_the_confidence_asked_for_is_the_one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moderation, "score", lambda _self, picture: 0.9 if picture.mean() < 30 else 0.3)

    rows = look(videos.CLIP, "content-moderation", {"MinConfidence": 60})

    label = {"Confidence": 90.0, "Name": "Explicit", "ParentName": "", "TaxonomyLevel": 1}
    assert rows == [{"Timestamp": millis, "ModerationLabel": label, "ContentTypes": []} for millis in (4471, 4971)]


@needs("moderation")
def test_portraits_are_harmless() -> None:
    assert look(videos.CLIP, "content-moderation") == []
    assert max(row["ModerationLabel"]["Confidence"] for row in look(videos.CLIP, "content-moderation", {"MinConfidence": 0})) < 20  # fmt: skip # noqa: E501


# What isn't installed, and what isn't there at all.


@pytest.mark.parametrize("analysis", sorted(EXTRAS))
def test_a_missing_extra_fails_the_job_and_names_the_command(monkeypatch: pytest.MonkeyPatch, analysis: str) -> None:
    def nowhere(model: Model) -> Path:
        raise ModelMissing(f"The model {model.name} is not installed.")

    monkeypatch.setattr(models, "_checked", nowhere)
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    tasks = [AnalysisTask("job", analysis, {}), AnalysisTask("shots", "segment-detection", BOTH)]
    with videos.CLIP.open("rb") as file:
        outcomes = analyze_video(file, tasks, lambda _done: None)

    assert f"{install_command(EXTRAS[analysis])} does that" in (outcomes["job"].failure or "")
    assert len(outcomes["shots"].rows) == 5


def test_the_command_that_installs_an_extra_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [install_command(extra) for extra in ("text", "labels")]
    monkeypatch.setattr(models, "INSTALL_COMMAND", "make extras EXTRAS={extra}")

    assert own == ["pip install 'rekognition-local[text]'", "python -m rekognition_local.convert.coco_ssd"]
    assert install_command("text") == "make extras EXTRAS=text"


def test_celebrities_have_no_engine_and_the_job_says_so() -> None:
    with videos.CLIP.open("rb") as file:
        outcome = analyze_video(file, [AnalysisTask("job", "celebrity-recognition", {})], lambda _done: None)["job"]

    assert outcome.failure == "There is no local engine for celebrity-recognition."


def test_one_decode_feeds_what_looks_at_samples_and_what_looks_at_every_frame() -> None:
    tasks = [AnalysisTask("faces", "face-detection", {}), AnalysisTask("shots", "segment-detection", BOTH)]
    with videos.CLIP.open("rb") as file:
        outcomes = analyze_video(file, tasks, lambda _done: None)

    assert (len(outcomes["faces"].rows), len(outcomes["shots"].rows)) == (17, 5)


def test_analyses_that_are_started_one_after_the_other_share_a_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[str]] = []

    def note(workers: Workers, _process: object, batch: Any) -> bool:
        batches.append([work.job_id for work, _ in batch])
        workers._finish(batch, {work.job_id: Outcome() for work, _ in batch})
        return True

    class Idle:
        def poll(self) -> None: ...

    monkeypatch.setattr(Workers, "_spawn", lambda _: Idle())
    monkeypatch.setattr(Workers, "_forget", lambda *_: None)
    monkeypatch.setattr(Workers, "_work", note)
    workers, ended = Workers(count=2), threading.Semaphore(0)

    for job, name in (("faces", "a.mp4"), ("other", "b.mp4"), ("shots", "a.mp4"), ("text", "a.mp4")):
        workers.begin(Work(job, BY_NAME["face-detection"], {}, Source("videos", name)), lambda *_: ended.release())
        time.sleep(0.05)
    assert all(ended.acquire(timeout=5) for _ in range(4))
    workers.close()

    assert sorted(batches) == [["faces", "shots", "text"], ["other"]]


def test_the_endpoint_answers_segments_from_its_workers(real: Endpoint, aws: Callable[[str], Any], bucket: str) -> None:
    aws("s3").upload_file(str(videos.CLIP), bucket, "shots.mp4")
    client = real.client()
    clip = {"S3Object": {"Bucket": bucket, "Name": "shots.mp4"}}
    job = client.start_segment_detection(Video=clip, **BOTH)["JobId"]
    faces = client.start_face_detection(Video=clip)["JobId"]

    while (answer := client.get_segment_detection(JobId=job))["JobStatus"] == "IN_PROGRESS":
        time.sleep(0.05)
    while (seen := client.get_face_detection(JobId=faces))["JobStatus"] == "IN_PROGRESS":
        time.sleep(0.05)

    assert [segment["Type"] for segment in answer["Segments"]] == ["TECHNICAL_CUE", *["SHOT"] * 4]
    assert answer["VideoMetadata"][0]["FrameWidth"] == 640
    assert answer["AudioMetadata"] == []
    assert len(seen["Faces"]) == 17


@needs("search")
def test_the_endpoint_indexes_a_face_and_finds_it(real: Endpoint, aws: Callable[[str], Any], bucket: str) -> None:
    aws("s3").upload_file(str(videos.CLIP), bucket, "search.mp4")
    client = real.client()
    client.create_collection(CollectionId="astronauts")
    picture = {"Bytes": png(videos.portrait(640, 360))}
    (record,) = client.index_faces(CollectionId="astronauts", Image=picture, ExternalImageId="collins")["FaceRecords"]
    clip = {"S3Object": {"Bucket": bucket, "Name": "search.mp4"}}
    job = client.start_face_search(Video=clip, CollectionId="astronauts")["JobId"]

    while (answer := client.get_face_search(JobId=job, SortBy="INDEX"))["JobStatus"] == "IN_PROGRESS":
        time.sleep(0.05)

    matches = [row["FaceMatches"][0]["Face"] for row in answer["Persons"] if "FaceMatches" in row]
    assert len(matches) == 9
    assert {face["FaceId"] for face in matches} == {record["Face"]["FaceId"]}
    assert matches[0]["ExternalImageId"] == "collins"
    with pytest.raises(client.exceptions.InvalidImageFormatException):
        client.index_faces(CollectionId="astronauts", Image={"Bytes": b"not a picture"})
