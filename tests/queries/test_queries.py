"""Every saved query, over rows that the real collector made, against what plain Python finds in the documents."""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

from queries.columns import TABLES
from queries.laptop import mirror, run
from queries.saved import WrongQuery, saved, saved_query
from tests.fake_aws import World, world as make_world

SEVERAL = (
    "face-detection label-detection content-moderation text-detection celebrity-recognition "
    "segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE face-search:CollectionId=staff"
)
# How many detections each analysis finds in a video: some show what others don't, and one shows nothing.
VIDEOS = {"long.mp4": 400, "in/short one.mp4": 30, "tiny.mp4": 3, "empty.mp4": 0}
EVERYTHING = ",".join(table.name.replace("_", "-") for table in TABLES if table.name != "jobs")
EACH = pytest.mark.parametrize("name", list(saved()))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Videos, each with seven analyses collected; one was uploaded twice, and one asked for segments of labels."""
    from lambdas import wiring

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        with make_world(ALLOWED_ANALYSES=EVERYTHING) as here:
            wiring.client("rekognition", wiring.PATIENT).create_collection(CollectionId="staff")
            for key, detections in (("tiny.mp4", 200), *VIDEOS.items()):  # tiny.mp4 is uploaded twice
                here.drop(
                    key, f"{key} {detections}".encode(), **{"analyses": SEVERAL, "simulate-detections": str(detections)}
                )
                here.settle()
            here.drop("again.mp4", b"again", **{"analyses": SEVERAL, "simulate-detections": "50"})
            here.settle()
            here.drop("again.mp4", b"again, without anything", **{"analyses": SEVERAL, "simulate-detections": "0"})
            here.settle()
            here.drop(
                "segments.mp4", **{"analyses": "label-detection:AggregateBy=SEGMENTS", "simulate-detections": "40"}
            )
            here.settle()
            assert {job["state"] for job in here.jobs()} == {"SUCCEEDED"}
            yield here


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results bucket's rows, on this machine, under a path with a blank and a quote in it."""
    here = tmp_path_factory.mktemp("it's here")
    mirror(world.s3, "results", here)
    return here


def documents(world: World, analysis: str, member: str) -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
    """Key, document and detections of each video's newest upload."""
    for place in world.results():
        if place.startswith("results/") and place.endswith(f"/{analysis}.json"):
            document = world.result(place)
            yield place.removeprefix("results/").removesuffix(f"/{analysis}.json"), document, document[member]


def moments_with_label(world: World, label: str, confidence: float) -> set[Any]:
    return {
        (
            key,
            item["Timestamp"] / 1000,
            label,
            round(item["Label"]["Confidence"], 1),
            len(item["Label"].get("Instances", [])),
        )
        for key, _, items in documents(world, "label-detection", "Labels")
        for item in items
        if item["Label"]["Name"] == label and item["Label"]["Confidence"] >= confidence
    }


def videos_without_label(world: World, label: str, confidence: float) -> set[Any]:
    return {
        (key, document["VideoMetadata"]["DurationMillis"] / 1000, len(items))
        for key, document, items in documents(world, "label-detection", "Labels")
        if not any(i["Label"]["Name"] == label and i["Label"]["Confidence"] >= confidence for i in items)
    }


def label_on_screen(world: World, step_ms: int, label: str, confidence: float) -> set[Any]:
    found = set()
    for key, _, items in documents(world, "label-detection", "Labels"):
        shown = [i for i in items if i["Label"]["Name"] == label and i["Label"]["Confidence"] >= confidence]
        if shown:
            seconds = sum(i.get("DurationMillis", step_ms) for i in shown) / 1000
            last = max(i.get("EndTimestampMillis", i["Timestamp"]) for i in shown)
            found.add((key, seconds, min(i["Timestamp"] for i in shown) / 1000, last / 1000))
    return found


def labels_in_videos(world: World, confidence: float) -> set[Any]:
    seen: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for key, _, items in documents(world, "label-detection", "Labels"):
        for item in items:
            if item["Label"]["Confidence"] >= confidence:
                seen[item["Label"]["Name"]].append((item["Label"]["Confidence"], key))
    return {
        (label, len({key for _, key in moments}), len(moments), round(max(moments)[0], 1))
        for label, moments in seen.items()
    }


def moderation_lately(world: World, days: int, confidence: float) -> set[Any]:
    return {
        (key, UPLOADED, i["Timestamp"] / 1000, label["Name"], label["ParentName"], round(label["Confidence"], 1))
        for key, _, items in documents(world, "content-moderation", "ModerationLabels")
        for i in items
        if (label := i["ModerationLabel"])["Confidence"] >= confidence
        and (datetime.now(UTC).date() - datetime.fromisoformat(UPLOADED).date()).days <= days
    }


UPLOADED = "2026-11-22T23:57:20.123Z"  # as tests/fake_aws.py says of every upload
LONG_AGO = (datetime.now(UTC).date() - datetime.fromisoformat(UPLOADED).date()).days + 10


def text_containing(world: World, words: str, confidence: float) -> set[Any]:
    return {
        (key, i["Timestamp"] / 1000, t["DetectedText"], round(t["Confidence"], 1))
        for key, _, items in documents(world, "text-detection", "TextDetections")
        for i in items
        if (t := i["TextDetection"])["Type"] == "LINE"
        and words.lower() in t["DetectedText"].lower()
        and t["Confidence"] >= confidence
    }


def faces_at_once(world: World, confidence: float, faces: int) -> set[Any]:
    found = set()
    for key, _, items in documents(world, "face-detection", "Faces"):
        count: dict[int, int] = defaultdict(int)
        for item in items:
            count[item["Timestamp"]] += item["Face"]["Confidence"] >= confidence
        many = [at for at, how_many in count.items() if how_many >= faces]
        if many:
            found.add((key, len(many), min(many) / 1000, max(count.values())))
    return found


def shots_per_video(world: World) -> set[Any]:
    found = set()
    for key, _, items in documents(world, "segment-detection", "Segments"):
        lengths = [i["DurationMillis"] for i in items if i["Type"] == "SHOT"]
        black = [i["DurationMillis"] for i in items if i.get("TechnicalCueSegment", {}).get("Type") == "BlackFrames"]
        if items:
            each = round(sum(lengths) / len(lengths) / 1000, 2) if lengths else None
            found.add((key, len(lengths), each, max(lengths, default=None) and max(lengths) / 1000, sum(black) / 1000))
    return found


def celebrity_on_screen(world: World, step_ms: int, confidence: float) -> set[Any]:
    at: dict[tuple[str, str], set[int]] = defaultdict(set)
    for key, _, items in documents(world, "celebrity-recognition", "Celebrities"):
        for item in items:
            if item["Celebrity"]["Confidence"] >= confidence:
                at[item["Celebrity"]["Name"], key].add(item["Timestamp"])
    return {(name, key, len(times) * step_ms / 1000, min(times) / 1000) for (name, key), times in at.items()}


def person_moments(world: World, name: str, similarity: float) -> set[Any]:
    found = set()
    for key, _, items in documents(world, "face-search", "Persons"):
        for item in items:
            matches = item.get("FaceMatches") or []
            best = max(matches, key=lambda match: match["Similarity"], default=None)
            if best and best["Face"].get("ExternalImageId") == name and best["Similarity"] >= similarity:
                index = item["Person"]["Index"]
                found.add((key, item["Timestamp"] / 1000, index, round(best["Similarity"], 1)))
    return found


def analysed_videos(world: World) -> set[Any]:
    members = {
        "face-detection": "Faces",
        "label-detection": "Labels",
        "content-moderation": "ModerationLabels",
        "text-detection": "TextDetections",
        "celebrity-recognition": "Celebrities",
        "segment-detection": "Segments",
        "face-search": "Persons",
    }
    return {
        (key, analysis, len(items))
        for analysis, member in members.items()
        for key, _, items in documents(world, analysis, member)
    }


def a_person(world: World) -> str:
    """A name that the simulated collection has somewhere."""
    for _, _, items in documents(world, "face-search", "Persons"):
        for item in items:
            for match in item.get("FaceMatches", []):
                if name := match["Face"].get("ExternalImageId"):
                    return str(name)
    return "nobody"


# Query, its parameters, and the same in Python. Columns beyond what Python says are left out of the comparison.
EXPECTED: dict[str, tuple[dict[str, Any], Callable[..., set[Any]]]] = {
    "moments-with-label": ({"label": "Bicycle", "confidence": 60}, moments_with_label),
    "videos-without-label": ({"label": "Bicycle", "confidence": 50}, videos_without_label),
    "label-on-screen": ({"step_ms": 500, "label": "Person", "confidence": 60}, label_on_screen),
    "labels-in-videos": ({"confidence": 80}, labels_in_videos),
    "moderation-lately": ({"days": LONG_AGO, "confidence": 80}, moderation_lately),
    "text-containing": ({"words": "e", "confidence": 50}, text_containing),
    "faces-at-once": ({"confidence": 92, "faces": 1}, faces_at_once),
    "shots-per-video": ({}, shots_per_video),
    "celebrity-on-screen": ({"step_ms": 500, "confidence": 60}, celebrity_on_screen),
    "person-moments": ({"name": "", "similarity": 80}, person_moments),
    "analysed-videos": ({}, analysed_videos),
}


def shortened(rows: list[tuple[Any, ...]], like: set[Any]) -> set[Any]:
    length = len(next(iter(like)))
    return {row[:length] for row in rows}


@EACH
def test_a_saved_query_answers_what_python_finds_in_the_documents(name: str, world: World, folder: Path) -> None:
    parameters, expect = EXPECTED[name]
    if name == "person-moments":
        parameters = {**parameters, "name": a_person(world)}

    answer = run(name, folder, parameters)

    expected = expect(world, **parameters)
    assert expected, "a test that expects nothing shows nothing"
    assert shortened(answer.rows, expected) == expected
    assert len(answer.rows) == len(expected)


@EACH
def test_a_saved_query_is_trinos_sql_and_means_the_same_there(name: str, world: World, folder: Path) -> None:
    """As far as this machine can tell: it parses as theirs, and translated from theirs it answers the same."""
    query = saved_query(name)
    [parsed] = sqlglot.parse(query.sql, read="trino")
    assert sqlglot.parse_one(query.sql, read="athena") == parsed
    parameters, _ = EXPECTED[name]

    [translated] = sqlglot.transpile(query.sql, read="trino", write="duckdb")

    assert run(translated, folder, query.values(parameters)).rows == run(name, folder, parameters).rows


@EACH
def test_a_saved_query_says_what_it_is_and_has_a_value_for_each_parameter(name: str, folder: Path) -> None:
    query = saved_query(name)

    assert query.title
    assert query.answers.endswith(".")
    assert query.sql.count("?") == len(query.parameters)
    assert query.tables
    run(name, folder)  # with defaults


@EACH
def test_a_saved_query_over_nothing_answers_nothing(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path).rows == []


def test_a_replaced_video_is_not_counted_twice_and_one_replaced_by_nothing_not_at_all(
    world: World, folder: Path
) -> None:
    rows = run("SELECT video_key, count(DISTINCT job_id) FROM label_detection GROUP BY 1", folder).rows
    seen = {row[0] for row in run("moments-with-label", folder, {"label": "Person", "confidence": 0}).rows}
    without = {row[0] for row in run("videos-without-label", folder, {"label": "Person", "confidence": 0}).rows}

    assert dict(rows)["tiny.mp4"] == 2, "rows of both uploads are there"
    assert "again.mp4" in dict(rows)
    assert "again.mp4" not in seen
    assert "again.mp4" in without


def test_several_faces_at_once_are_found_where_they_are(tmp_path: Path) -> None:
    row = {"job_id": "j", "video_bucket": "b", "video_key": "k", "confidence": 99.0}
    job = {"job_id": "j", "video_bucket": "b", "video_key": "k", "sequencer": "1", "superseded": False}
    for path, lines in {
        f"jobs/analysis=face-detection/{'0' * 64}.json": [job],
        f"rows/analysis=face-detection/date=2026-11-22/{'0' * 64}.jsonl.gz": [
            {**row, "timestamp_ms": at} for at in (0, 500, 500, 500)
        ],
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        body = "\n".join(map(json.dumps, lines)).encode()
        (tmp_path / path).write_bytes(gzip.compress(body) if path.endswith(".gz") else body)

    assert run("faces-at-once", tmp_path, {"faces": 3}).rows == [("k", 1, 0.5, 3)]
    assert run("faces-at-once", tmp_path, {"faces": 4}).rows == []


def test_every_column_of_every_table_can_be_asked_for(folder: Path) -> None:
    for table in TABLES:
        names = [column.name for column in (*table.columns, table.partition)]
        answer = run(f"SELECT * FROM {table.name}", folder)
        assert answer.columns == names
        assert len(answer.rows) > 0
        partition = {row[-1] for row in answer.rows}
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d|[a-z-]+", value) for value in partition)


@pytest.mark.parametrize(
    ("query", "parameters", "says"),
    [
        ("moments", {}, "there is no saved query 'moments'"),
        ("moments-with-labels", {}, "did you mean 'moments-with-label'?"),
        ("moments-with-label", {"labels": "x"}, "moments-with-label has no parameter 'labels'; did you mean 'label'?"),
        ("moments-with-label", {"confidence": "high"}, "confidence is 'high'; it takes a double"),
        ("moments-with-label", ["Bicycle"], "takes its parameters by name: label, confidence"),
        ("SELECT nonsense FROM jobs", {}, "nonsense"),
        ("SELEKT 1", {}, "SELEKT"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_would_do(
    query: str, parameters: Any, says: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongQuery, match=re.escape(says)):
        run(query, tmp_path, parameters)


def test_a_mirror_brings_only_what_is_new_and_drops_what_is_gone(world: World, tmp_path: Path) -> None:
    first = mirror(world.s3, "results", tmp_path, ["jobs"])
    again = mirror(world.s3, "results", tmp_path, ["jobs"])
    (tmp_path / "jobs/analysis=face-detection").rename(tmp_path / "elsewhere")
    third = mirror(world.s3, "results", tmp_path, ["jobs"])
    other = mirror(world.s3, "empty", tmp_path, ["jobs"]) if world.s3.create_bucket(Bucket="empty") else None

    assert first.files == len(world.jobs())
    assert (again.files, again.dropped) == (0, 0)
    assert third.files == len(list((tmp_path / "elsewhere").iterdir()))
    assert other
    assert other.dropped == first.files
    assert not list((tmp_path / "rows").rglob("*")) if (tmp_path / "rows").exists() else True


def test_queries_need_no_network() -> None:
    with duckdb.connect(":memory:") as database:
        database.execute("SELECT 1 WHERE 'json' IN (SELECT extension_name FROM duckdb_extensions() WHERE installed)")
        assert database.fetchall() == [(1,)]
