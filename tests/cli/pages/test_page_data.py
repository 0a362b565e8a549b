"""What gets into a report, without a browser."""

import base64
import json
import re
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cli.pages import detections, html
from cli.pages.detections import INDEX, KINDS
from cli.pages.report import Facts, JobFact, Link, build_report, local_file, tiles, write_report
from cli.pages.stills import key_moments, pictures
from tests.cli.pages import documents


def content(page: str) -> Any:
    """The data of a page, as its script reads it."""
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def column(packed: list[str]) -> list[int]:
    code = {"u8": "B", "u16": "H", "u32": "I", "i16": "h"}[packed[0]]
    return array(code, base64.b64decode(packed[1])).tolist()


def policy(page: str) -> dict[str, str]:
    [found] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = [rule.strip().partition(" ") for rule in found.replace("&#x27;", "'").split(";")]
    return {name: value for name, _, value in rules}


@pytest.mark.parametrize("analysis", INDEX)
def test_each_analysis_alone_makes_a_page_with_all_its_rows(analysis: str) -> None:
    document = documents.all_seven()[analysis]

    rows = content(build_report("clip.mp4", {analysis: document}))["rows"]

    expected = [
        row
        for row in document[KINDS[INDEX[analysis]].rows]
        if (row.get("TextDetection") or {}).get("Type") != "WORD"  # their lines are there
    ]
    assert rows["count"] == len(expected) > 0
    assert set(column(rows["kind"])) == {INDEX[analysis]}


def test_a_page_without_any_result_is_a_page() -> None:
    page = content(build_report("clip.mp4", {}, facts=Facts(jobs=[JobFact("face-detection", "WAITING")])))

    assert page["rows"]["count"] == 0
    assert page["tiles"] == []
    assert page["jobs"] == [{"analysis": "face-detection", "state": "WAITING", "reason": None}]


def test_rows_are_in_order_of_time_and_say_what_the_documents_say() -> None:
    rows = content(
        build_report("clip.mp4", {"face-detection": documents.faces(), "label-detection": documents.labels()})
    )["rows"]
    at, names = column(rows["at"]), [rows["strings"][name] for name in column(rows["name"])]

    assert at == sorted(at)
    assert names[:2] == ["Face", "Person"]
    assert column(rows["confidence"])[:2] == [9900, 9910]
    assert column(rows["corners"])[:4] == [4100, 1300, 1700, 4100]
    assert rows["strings"][column(rows["detail"])[0]] == "30–40 years, male, calm"


def test_aggregated_labels_last_from_their_beginning_to_their_end() -> None:
    label = {"Label": {"Name": "Car", "Confidence": 90.0}, "StartTimestampMillis": 500, "EndTimestampMillis": 3000}
    document = documents.document("Labels", [{"Timestamp": 500, **label}])

    [found] = detections.read({"label-detection": document})

    assert (found.millis, found.end, found.name) == (500, 3000, "Car")


def test_people_found_in_no_collection_are_unknown_faces() -> None:
    document = documents.document(
        "Persons", [{"Timestamp": 0, "Person": {"Index": 4, "Face": documents.face(0.1, 0.1)}}]
    )

    [found] = detections.read({"face-search": document})

    assert (found.name, found.confidence, found.detail) == ("Unknown face", 99.0, "person 4")


def test_boxes_that_reach_out_of_the_picture_stay_as_they_are() -> None:
    document = documents.document("Faces", [{"Timestamp": 0, "Face": documents.face(-0.095, 0.9, 0.2, 0.3)}])

    rows = content(build_report("clip.mp4", {"face-detection": document}))["rows"]

    assert column(rows["corners"]) == [-950, 9000, 2000, 3000]


def test_segments_metadata_is_a_list_and_is_read_all_the_same() -> None:
    page = content(build_report("clip.mp4", {"segment-detection": documents.segments()}))

    assert (page["video"]["duration"], page["video"]["width"]) == (7007, 640)


def test_members_that_are_missing_are_no_reason_to_show_nothing() -> None:
    documents = {kind.analysis: {kind.rows: [{"Timestamp": 1}, {}]} for kind in KINDS}

    assert content(build_report("clip.mp4", documents))["rows"]["count"] >= 12


def test_tiles_say_what_was_found() -> None:
    given = documents.all_seven()

    said = {tile["what"]: tile for tile in tiles(detections.read(given), given, documents.DURATION)}

    assert said["faces at once"]["value"] == 2
    assert said["faces at once"]["at"] == 2469
    assert said["words"]["value"] == 3
    assert said["flagged moments"]["value"] == 2
    assert said["labels"]["note"] == "Person, Portrait, Suit"
    assert said["known face"]["note"] == "grandfather"
    assert said["shots"]["note"] == "1.7 s on average; Black frames"


def test_key_moments_show_everybody_and_stay_apart() -> None:
    found = detections.read(documents.all_seven())

    moments = key_moments(found, documents.DURATION)

    assert {"2 faces", "Ada Example", "Smoking"} <= {why for moment in moments for why in moment.why} | {"Smoking"}
    times = [moment.millis for moment in moments]
    assert times == sorted(times)
    assert all(later - earlier >= 1000 for earlier, later in pairwise(times))


def test_there_are_at_most_a_dozen_pictures_and_black_ones_are_left_out() -> None:
    found = detections.read(documents.all_seven())

    stills = pictures(documents.CLIP, key_moments(found, documents.DURATION))

    assert 4 <= len(stills) <= 12
    assert all(still.jpeg.startswith(b"\xff\xd8") and still.width == 400 for still in stills)
    assert not any(4100 < still.millis < 5800 for still in stills)  # nothing is seen then
    assert sum(len(still.jpeg) for still in stills) < 250_000


def test_a_file_that_is_no_video_has_no_pictures_and_a_page_all_the_same(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")

    page = write_report(tmp_path / "page.html", "broken.mp4", documents.all_seven(), file=broken)

    assert content(page.read_text())["stills"] == []


def test_nothing_in_a_key_or_a_text_can_end_the_data_or_start_a_script() -> None:
    plain = build_report("clip.mp4", documents.all_seven())

    page = build_report("".join(documents.HOSTILE.values()), documents.hostile())

    for mark in ("<script", "</script", "<img", "<!--"):
        assert page.count(mark) == plain.count(mark), mark
    assert "\u2028" not in page[page.index('id="data"') :]
    assert content(page)["key"] == "".join(documents.HOSTILE.values()).encode("utf-8", "replace").decode()


def test_only_the_pages_own_script_and_style_may_run() -> None:
    page = build_report("clip.mp4", {})
    rules = policy(page)

    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    [script] = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == html.digest(script)
    assert rules["style-src"] == html.digest(style)
    assert "connect-src" not in rules


@pytest.mark.parametrize(
    ("video", "sources"),
    [
        (None, "blob:"),
        (Link("./clip.mp4"), "blob: 'self' file:"),
        (
            Link("https://b.s3.eu-west-1.amazonaws.com/k?X-Amz-Signature=1"),
            "blob: https://b.s3.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_the_video_may_come_from_where_it_was_said_and_from_nowhere_else(video: Link | None, sources: str) -> None:
    assert policy(build_report("clip.mp4", {}, video=video))["media-src"] == sources


@pytest.mark.parametrize(
    ("video", "url"),
    [
        ("a b.mp4", "./a%20b.mp4"),
        ("javascript:x.mp4", "./javascript%3Ax.mp4"),
        ("sub/#1?.mp4", "./sub/%231%3F.mp4"),
        ("../up.mp4", "../up.mp4"),
    ],
)
def test_a_local_video_is_linked_relatively_whatever_its_name(video: str, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "reports"

    assert local_file(folder / video, folder / "page.html").url == url


def test_a_hundred_thousand_detections_are_a_few_megabytes() -> None:
    page = build_report("film.mp4", documents.many(100_000))

    assert content(page)["rows"]["count"] == 100_000
    assert len(page) < 6_000_000


def test_landmarks_are_left_out_where_they_would_double_the_file() -> None:
    many = content(build_report("film.mp4", documents.many(101_000)))["rows"]
    few = content(build_report("film.mp4", documents.many(5_000)))["rows"]

    assert column(many["landmarks"]) == []
    assert len(column(few["landmarks"])) == 1000 * 10
