"""What is exported can be read by programs that we have not written."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pycmx
import pytest
import srt
import webvtt

from cli.core.stack import Stack
from cli.results.captions import Caption, captions, srt as as_srt, vtt as as_vtt
from cli.results.edl import edl, timecode
from tests.cli.conftest import Said
from tests.fake_aws import World, world

Typed = Callable[..., Said]


def text(at: int, words: str, kind: str = "LINE") -> dict[str, Any]:
    return {"Timestamp": at, "TextDetection": {"DetectedText": words, "Type": kind}}


def label(at: int, name: str, end: int | None = None) -> dict[str, Any]:
    lasting = {"StartTimestampMillis": at, "EndTimestampMillis": end} if end is not None else {}
    return {"Timestamp": at, "Label": {"Name": name}, **lasting}


# captions


def test_what_is_seen_at_moments_in_a_row_is_one_caption() -> None:
    seen = [text(0, "EXIT"), text(500, "EXIT"), text(1000, "EXIT"), text(1000, "EXIT", "WORD"), text(1500, "STOP")]

    found = captions("text-detection", seen)

    assert found == [Caption(0, 1500, ("EXIT",)), Caption(1500, 2000, ("STOP",))]


def test_a_caption_ends_where_nothing_is_seen() -> None:
    found = captions("text-detection", [text(0, "EXIT"), text(3000, "EXIT")])

    assert found == [Caption(0, 500, ("EXIT",)), Caption(3000, 3500, ("EXIT",))]


def test_labels_of_segments_last_as_long_as_these() -> None:
    found = captions("label-detection", [label(0, "Person", 2000), label(1000, "Car", 1500)])

    assert [(one.begin, one.end) for one in found] == [(0, 1000), (1000, 2000), (2000, 2500)]
    assert found[1].lines == ("Person", "Car")


HOSTILE = "<img onerror=x> --> & \u202eevil\n\n2\n00:00:09,000 --> 00:00:10,000"


def test_hostile_text_is_text_in_webvtt() -> None:
    body = "".join(as_vtt(captions("text-detection", [text(0, HOSTILE), text(500, "fine")])))

    read = webvtt.from_string(body)

    assert len(read.captions) == 2
    assert read.captions[0].raw_text.startswith("&lt;img onerror=x&gt; --&gt; &amp;")


def test_hostile_text_is_text_in_subrip() -> None:
    body = "".join(as_srt(captions("text-detection", [text(0, HOSTILE), text(500, "fine")])))

    read = list(srt.parse(body))

    assert [one.index for one in read] == [1, 2]
    assert read[1].content == "fine"
    assert read[0].start.total_seconds() == 0


# editing timelines


def shot(number: int, begin: int, end: int, mark: str = ":") -> dict[str, Any]:
    return {
        "Type": "SHOT",
        "StartFrameNumber": begin,
        "EndFrameNumber": end,
        "DurationFrames": end - begin,
        "StartTimecodeSMPTE": f"00:00:00{mark}00",
        "ShotSegment": {"Index": number, "Confidence": 99.5},
    }


CUE = {
    "Type": "TECHNICAL_CUE",
    "StartFrameNumber": 60,
    "EndFrameNumber": 70,
    "DurationFrames": 10,
    "TechnicalCueSegment": {"Type": "BlackFrames", "Confidence": 88.0},
}


def document(*segments: dict[str, Any], rate: float = 25.0) -> dict[str, Any]:
    return {"VideoMetadata": [{"FrameRate": rate}], "Segments": list(segments)}


def test_shots_are_events_at_their_place_in_the_video_and_cues_are_markers() -> None:
    lines = "\n".join(edl("ads/clip.mp4", document(shot(0, 0, 50), shot(1, 50, 125), CUE)))

    read = pycmx.parse_cmx3600(io.StringIO(lines + "\n"))
    edits = [edit for event in read.events for edit in event.edits]

    assert read.title == "ads/clip.mp4"
    assert [(str(edit.source_in), str(edit.source_out)) for edit in edits] == [
        ("00:00:00:00", "00:00:02:00"),
        ("00:00:02:00", "00:00:05:00"),
    ]
    assert [(edit.record_in, edit.record_out) for edit in edits] == [
        (edit.source_in, edit.source_out) for edit in edits
    ]
    assert edits[0].clip_name == "clip.mp4"
    assert "* LOC: 00:00:02:10 RED     BlackFrames 88.0% until 00:00:02:20" in lines


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (0, "00:00:00;00"),
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),
        (107892, "01:00:00;00"),
    ],
)
def test_drop_frame_timecode_keeps_up_with_the_clock(frame: int, expected: str) -> None:
    assert timecode(frame, 30, drop=True) == expected


def test_drop_frame_is_said_in_the_list() -> None:
    lines = list(edl("a.mp4", document(shot(0, 0, 1800, ";"), rate=29.97)))

    assert lines[1] == "FCM: DROP FRAME"
    assert lines[3].endswith("00:00:00;00 00:01:00;02 00:00:00;00 00:01:00;02")


# whole commands


@pytest.fixture
def aws(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(
        ANALYSES='{"face-detection": {}, "label-detection": {}, "text-detection": {},'
        ' "segment-detection": {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]}}'
    ) as here:
        here.drop("talks/one two.mp4")
        here.settle()
        yield here


def test_rows_come_as_csv_of_each_analysis(aws: World, typed: Typed, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)

    said = typed("export", "talks/one two.mp4", "--format", "csv")

    assert said.code == 0, said.err
    assert "one two.face-detection.csv" in said.out.splitlines()
    with Path("one two.face-detection.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    [job] = [job for job in aws.jobs() if job["analysis"] == "face-detection"]
    assert len(rows) == job["detections"]
    assert {row["video_key"] for row in rows} == {"talks/one two.mp4"}


def test_rows_come_as_parquet_with_their_types(aws: World, typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"

    said = typed("export", "talks/one two.mp4", "--format", "parquet", "--analysis", "face-detection", "-o", str(path))

    assert said.code == 0, said.err
    read = pyarrow.parquet.read_table(path)
    assert str(read.schema.field("timestamp_ms").type) == "int64"
    assert str(read.schema.field("confidence").type) == "double"


def test_captions_and_timelines_go_to_standard_output_too(aws: World, typed: Typed) -> None:
    vtt = typed("export", "talks/one two.mp4", "--format", "vtt", "-o", "-")
    cut = typed("export", "talks/one two.mp4", "--format", "edl", "-o", "-")

    assert webvtt.from_string(vtt.out).captions
    assert list(pycmx.parse_cmx3600(io.StringIO(cut.out)).events)


def test_what_a_video_has_not_had_is_said_with_what_to_type(stack: Stack, typed: Typed) -> None:
    said = typed("export", "talks/one two.mp4", "--format", "vtt", "--analysis", "celebrity-recognition")

    assert said.code == 3
    assert "has no job for celebrity-recognition" in said.err


def test_results_are_downloaded_as_they_are(aws: World, typed: Typed, tmp_path: Path) -> None:
    said = typed("results", "talks/one two.mp4", "-o", str(tmp_path / "here"))

    assert said.code == 0, said.err
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        f"{name}.{form}"
        for name in ("face-detection", "label-detection", "text-detection", "segment-detection")
        for form in ("json", "jsonl.gz")
    }
    document = typed("results", "talks/one two.mp4", "--analysis", "face-detection", "--stdout").json
    assert document["JobStatus"] == "SUCCEEDED"


def test_a_sheet_does_not_take_a_text_for_a_formula() -> None:
    from cli.results.export import write_csv

    file = io.StringIO()
    write_csv([{"text": "=HYPERLINK(1)", "number": -1.5}], file)

    assert file.getvalue() == "text,number\n'=HYPERLINK(1),-1.5\n"
