"""`make demo`: a run of it, what it refuses, and that it can be interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from demo import pictures, run as demo
from demo.pictures import Moment
from localcloud.supervisor import CHECKOUT


@pytest.fixture
def output(tmp_path, monkeypatch):
    path = tmp_path / "demo-output"
    monkeypatch.setattr(demo, "OUTPUT", path)
    return path


def face(left=0.4, top=0.3, width=0.2, height=0.4, confidence=93.21):
    box = {"Left": left, "Top": top, "Width": width, "Height": height}
    return {"BoundingBox": box, "Confidence": confidence}


def test_the_clips_faces_are_found_drawn_and_told(output, capfd):
    assert demo.run(None) == 0

    result = json.loads((output / "face-detection.json").read_text())
    counts = {moment.millis: len(moment.faces) for moment in pictures.moments(result["Faces"])}
    assert [counts.get(millis) for millis in (967, 2969, 4971, 5972)] == [1, 2, None, 1]
    drawn = sorted((output / "moments").iterdir())
    assert len(drawn) == len(counts)
    with Image.open(drawn[0]) as picture, Image.open(output / "contact-sheet.png") as sheet:
        assert picture.size == (640, 360)
        assert sheet.width == 1600
    told = capfd.readouterr()
    assert [line.split()[-5] if "–" in line else "" for line in told.out.splitlines()[2:5]] == ["1", "2", "1"]
    assert "contact-sheet.png" in told.out
    assert "two-portraits.mp4" in (output / "report.html").read_text()
    assert "Look for faces: done" in told.err


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing.mp4", None, "there is no such file"),
        ("notes.txt", b"text", "only .mp4 and .mov are taken"),
        ("text.mp4", b"text", "is no video"),
        ("empty.MOV", b"", "is no video"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line_before_anything_starts(tmp_path, capsys, name, content, why):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    assert demo.run(path) == 2

    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1


def test_a_folder_is_refused(tmp_path, capsys):
    assert demo.run(tmp_path) == 2
    assert "is not a file" in capsys.readouterr().err


def test_a_failed_job_tells_its_reason(tmp_path, output, capfd):
    cut = tmp_path / "cut off, with spaces.mp4"
    content = demo.CLIP.read_bytes()
    cut.write_bytes(content[: len(content) // 2])

    assert demo.run(cut) == 1

    assert "FAILED: Unsupported codec/format." in capfd.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("stage", ["Start the cloud ...", "Deploy ..."])
def test_an_interrupted_demo_leaves_nothing(tmp_path, stage):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=CHECKOUT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert any(line.startswith(stage) for line in process.stderr)

    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=20)[1]

    assert process.returncode == 128 + signal.SIGINT
    assert told.endswith("Interrupted.\n")
    assert list(temporary.iterdir()) == []
    listing = subprocess.run(["ps", "-axwwo", "command="], capture_output=True, text=True, check=True).stdout
    assert str(temporary) not in listing


def test_a_sheet_shows_everybody_and_then_what_is_far_from_that():
    alone = [Moment(500 * number, [face()]) for number in range(100)]
    together = [Moment(50_000 + 500 * number, [face(), face()]) for number in range(3)]
    found = [*alone, *together]

    shown = pictures.representative(found, 12)

    assert len(shown) == 12
    assert {len(moment.faces) for moment in shown} == {1, 2}
    gaps = [later.millis - earlier.millis for earlier, later in pairwise(shown)]
    assert max(gaps) < 12_000


def test_of_many_scenes_a_sheet_shows_some_of_the_whole_video():
    found = [Moment(10_000 * number, [face()]) for number in range(1000)]

    shown = pictures.representative(found, 24)

    assert len(shown) == 24
    assert (shown[0], shown[-1]) == (found[0], found[-1])


@pytest.mark.parametrize("size", [(640, 360), (202, 360), (16, 16)])
def test_frames_and_tags_stay_in_the_picture(size):
    everywhere = [face(-0.1, -0.1, 0.3, 0.3), face(0.9, 0.9, 0.3, 0.3), face(0, 0, 1, 1), face(0.5, 0.5, 0.001, 0.001)]
    plain = Image.new("RGB", size, (200, 30, 30))

    framed = pictures.framed(plain, Moment(0, everywhere))

    assert framed.size == size
    assert framed.tobytes() != plain.tobytes()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 13, 24])
@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
@pytest.mark.parametrize("title", ["clip.mp4", "日本語.mp4", "x" * 1000 + ".mp4"])
def test_a_sheet_of_any_video_can_be_looked_at(count, size, title):
    cells = [(Moment(500 * number, [face()]), Image.new("RGB", size)) for number in range(count)]

    sheet = pictures.contact_sheet(title, "", cells)

    assert sheet.width == 1600
    assert sheet.height < 3000


def test_the_demo_knows_the_same_extensions_as_the_stack():
    from stacks.settings import Settings

    context = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
    assert tuple(demo.taken_for_videos()) == Settings.from_context(context).video_extensions


def test_only_what_an_earlier_demo_left_is_removed(output):
    output.mkdir()
    for name in ("mine.txt", "contact-sheet.png"):
        (output / name).touch()

    demo.forget_last_time()

    assert [path.name for path in Path(output).iterdir()] == ["mine.txt"]
