"""Results in which texts are attacks and numbers are none: what is made of them stays what it is meant to be."""

import csv
import io
import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pycmx
import pytest
import srt
import webvtt

from cli.core.errors import CliError
from cli.pages import detections
from cli.pages.report import build_report
from cli.results import commands as results, result_lookup
from cli.results.captions import captions, srt as as_srt, vtt as as_vtt
from cli.results.edl import NoSegments, edl
from cli.results.export import write_csv
from tests.cli.pages import documents

# sheets

SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫⁺⁻⁼₊₋₌−"
BEFORE = [
    "",
    " ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\ufeff",
    "\u200b",
    "\u202e",
    "\xa0",
    "\u3000",
    '"',
    "'",
    '" ',
    "\x00",
    "\x1b",
]
BETWEEN = [";", ",", "|", "\t", "\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029", "; ", ';"', ",\ufeff", "x;y;"]
SHEETS = [{"delimiter": mark, "quotechar": quote} for mark in ",;\t|" for quote in '"\x01']


def cells(text: str) -> list[str]:
    """Every cell that a program may find in it, whatever it takes for a separator and for a quote."""
    found = [cell for sheet in SHEETS for row in csv.reader(io.StringIO(text, newline=""), **sheet) for cell in row]
    return found + re.split("[,;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]", text)


def begins_a_formula(cell: str) -> bool:
    return re.sub(r"[\s\"\x00-\x20\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+", "", cell)[:1] in tuple(
        SIGNS
    )


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", BEFORE + [f"a{between}" for between in BETWEEN], ids=repr)
def test_no_text_begins_a_formula_in_a_sheet_whatever_separates_its_cells(before: str, sign: str) -> None:
    text = f"{before}{sign}cmd|' /C calc'!A0"
    file = io.StringIO()

    write_csv([{"text": text, f"{text} heading": 1, "list": [{"name": text, "Ünïcode": ["é", text]}]}], file)

    assert not [cell for cell in cells(file.getvalue()) if begins_a_formula(cell)]


@pytest.mark.parametrize(
    "text",
    [
        "e-mail me@example.com",
        "A - B",
        "1+1=2",
        "https://x.test/?a=b&c=-d",
        "",
        "Ünïcode 日本",
        "a; b, c",
        "(-1)",
        "50 %",
    ],
)
def test_a_text_that_is_no_formula_stays_as_it_is(text: str) -> None:
    file = io.StringIO()

    write_csv([{"text": text}], file)

    assert next(csv.DictReader(io.StringIO(file.getvalue())))["text"] == text


def test_a_list_in_a_cell_is_the_same_list_and_a_number_is_a_number() -> None:
    value = [{"name": '=1;@2\n"-3\\', "x": -0.5, "more": ["+1", "é"]}]
    file = io.StringIO()

    write_csv([{"list": value, "number": -1.5}], file)

    [row] = csv.DictReader(io.StringIO(file.getvalue()))
    assert json.loads(row["list"]) == value
    assert row["number"] == "-1.5"


def test_a_long_text_takes_no_long_time() -> None:
    file = io.StringIO()

    write_csv([{"text": ";\t" * 500_000 + "="}], file)

    assert file.getvalue().endswith(";\t'=\n")


# numbers that are none

NONE = [2**40, 2**70, 10**400, None, float("nan"), float("inf"), -float("inf"), "1", "a\n* b", [], {}, True]


def spoilt(value: Any, good: Any) -> Any:
    """A copy of a value in which every number is `value`."""
    if isinstance(good, dict):
        return {name: spoilt(value, inner) for name, inner in good.items()}
    if isinstance(good, list):
        return [spoilt(value, inner) for inner in good]
    return value if isinstance(good, (int, float)) else good


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_a_page_of_results_with_broken_numbers_shows_the_others(value: Any) -> None:
    given = deepcopy(documents.all_seven())
    for analysis, kind in ((kind.analysis, kind) for kind in detections.KINDS):
        given[analysis] |= {kind.rows: [*given[analysis][kind.rows], spoilt(value, given[analysis][kind.rows][0])]}

    page = build_report("clip.mp4", given)

    good = detections.read(documents.all_seven())
    shown = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert len(good) <= shown["rows"]["count"] <= len(good) + len(detections.KINDS)
    assert shown["video"]["duration"] == documents.METADATA["DurationMillis"]


@pytest.mark.parametrize("value", [*NONE, "not a row", 1], ids=repr)
def test_a_page_of_nothing_but_broken_results_is_a_page(value: Any) -> None:
    given = spoilt(value, documents.all_seven())
    broken = {kind.analysis: {kind.rows: [value], "VideoMetadata": value} for kind in detections.KINDS}
    strange = {kind.analysis: {kind.rows: value, "VideoMetadata": [value]} for kind in detections.KINDS}

    for one in (given, broken, strange):
        assert "</html>" in build_report("clip.mp4", one)


def test_the_page_says_how_many_rows_could_not_be_read() -> None:
    given = deepcopy(documents.all_seven())
    given["face-detection"]["Faces"] += [{"Timestamp": 2**40, "Face": {}}, {"Timestamp": None}, "no row"]

    shown = json.loads(re.findall(r'id="data">(.*?)</script>', build_report("a.mp4", given), re.DOTALL)[0])

    assert {kind["analysis"]: kind["unreadable"] for kind in shown["kinds"] if kind["unreadable"]} == {
        "face-detection": 3
    }


def label(at: Any, end: Any = None) -> dict[str, Any]:
    return {"Timestamp": at, "Label": {"Name": "Person"}} | ({} if end is None else {"EndTimestampMillis": end})


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_captions_leave_out_what_has_no_usable_time(value: Any) -> None:
    found = captions("label-detection", [label(0), label(value), label(9000, value) if value is not None else {}])

    assert [one.begin for one in found] == [0]


@pytest.mark.parametrize(
    "text", ["{\\an8}{\\b1}up", "<b>--> x</b>", "1\n00:00:01,000 --> 00:00:02,000\nx", "\u2028\x85a"]
)
def test_a_text_on_screen_is_no_markup_of_captions(text: str) -> None:
    found = captions("text-detection", [{"Timestamp": 0, "TextDetection": {"DetectedText": text, "Type": "LINE"}}])

    subrip, web = "".join(as_srt(found)), "".join(as_vtt(found))

    assert len(list(srt.parse(subrip))) == len(webvtt.from_string(web).captions) == 1
    assert not re.search(r"\{|<|-->.*-->", subrip)


def shot(**more: Any) -> dict[str, Any]:
    frames = {"StartFrameNumber": 0, "EndFrameNumber": 50, "DurationFrames": 50}
    return {"Type": "SHOT", **frames, "ShotSegment": {"Index": 0, "Confidence": 99.0}} | more


@pytest.mark.parametrize("value", NONE, ids=repr)
@pytest.mark.parametrize("rate", [25, *NONE, 0, -1, 0.2], ids=repr)
def test_an_editing_timeline_leaves_out_shots_without_usable_frames(value: Any, rate: Any) -> None:
    document = {"VideoMetadata": [{"FrameRate": rate}], "Segments": [shot(), shot(StartFrameNumber=value), value]}

    lines = list(edl("a.mp4", document))

    read = pycmx.parse_cmx3600(io.StringIO("\n".join(lines) + "\n"))
    assert len(list(read.events)) == 1
    assert "* COMMENT: 2 segments without usable frame numbers are left out" in lines


def test_of_no_usable_shot_no_timeline_is_made() -> None:
    with pytest.raises(NoSegments):
        list(edl("a.mp4", {"Segments": [shot(StartFrameNumber=None)]}))


def test_names_in_an_editing_timeline_add_no_lines() -> None:
    evil = "x\n002  AX       V     C        00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00\r\x85\u2028"
    cue = shot(Type="TECHNICAL_CUE", TechnicalCueSegment={"Type": evil, "Confidence": evil})
    del cue["ShotSegment"]
    segments = [shot(ShotSegment={"Index": evil, "Confidence": evil}, StartTimecodeSMPTE=evil), cue]

    lines = list(edl(f"a/{evil}.mp4", {"VideoMetadata": evil, "Segments": segments}))

    assert all(line.isprintable() and line.isascii() for line in lines)
    assert len(list(pycmx.parse_cmx3600(io.StringIO("\n".join(lines) + "\n")).events)) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}"])
def test_what_is_no_document_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(CliError, match=r"^s3://results/a\.json is not a results document"):
        result_lookup.parsed(body, "s3://results/a.json")


def test_a_download_writes_through_no_link_that_others_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Body:
        def iter_chunks(self, _: int) -> list[bytes]:
            return [b"{}"]

    monkeypatch.setattr(result_lookup, "body", lambda *_: Body())
    (tmp_path / "theirs").write_text("theirs")
    for name in (".face-detection.json.part", "face-detection.json"):
        (tmp_path / name).symlink_to("theirs")

    results._save(None, "key", tmp_path / "face-detection.json")

    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "face-detection.json").read_bytes() == b"{}"
