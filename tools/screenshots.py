"""make screenshots: the README's pictures of the two pages, taken anew.

The clip is looked at by the local engines that are installed, as in the local cloud; nothing in the pictures is made up
but the other videos' names in the overview.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from cli.pages.report import Facts, write_report
from cli.pages.server import Site
from lambdas.model.analyses import CATALOGUE
from rekognition_local.engines.analysis_pass import ANALYZERS, AnalysisTask, analyze_video
from tests.browser import DESK, FLAGS, PHONE, browser_path
from tests.cli.pages.fake import FakeBackend

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "localcloud/clip/two-portraits.mp4"
PICTURES = ROOT / "docs/pictures"
LARGEST = 150_000  # bytes
PARAMETERS = {"segment-detection": {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]}}


def looked_at() -> dict[str, dict[str, Any]]:
    """What the installed engines see in the clip, as the results documents have it."""
    names = [name for name in ANALYZERS if name in CATALOGUE and name != "face-search"]  # which wants a collection
    tasks = [AnalysisTask(name, name, {**CATALOGUE[name].defaults, **PARAMETERS.get(name, {})}) for name in names]
    with CLIP.open("rb") as file:
        outcomes = analyze_video(file, tasks, lambda _done: None)
    documents = {}
    for name, outcome in outcomes.items():
        if outcome.failure:
            print(f"{name} is left out: {outcome.failure}", file=sys.stderr)
            continue
        rows = [json.loads(row) for row in outcome.rows]
        documents[name] = {
            "JobStatus": "SUCCEEDED",
            "VideoMetadata": dict(outcome.video),
            CATALOGUE[name].detections: rows,
        } | dict(outcome.extra)
    return documents


def take(page: Page, name: str) -> None:
    """A picture of the window, with a reduced palette."""
    page.wait_for_timeout(400)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = PICTURES / f"{name}.png"
    for colours in (256, 192, 128, 96, 64):
        picture.quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE).save(
            path, optimize=True
        )
        if path.stat().st_size <= LARGEST:
            break
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} KB")


def videos(documents: dict[str, Any]) -> FakeBackend:
    """An afternoon: some videos done, some running, some in line, one that is none."""
    backend = FakeBackend()
    backend.name = "RekognitionBatch · eu-west-1"
    backend.results = documents
    for number in range(6):
        backend.job(f"archive/1987/reel-{number + 1}.mp4", "WAITING", "face-detection")
    for name in ("interviews/anna.mov", "interviews/ben.mov", "ads/spring.mp4"):
        backend.job(name, "RUNNING", "face-detection")
        backend.job(name, "RUNNING", "label-detection")
    backend.job("ads/summer.mp4", "COLLECTING", "label-detection")
    backend.job("phone/IMG_2041.mov", "FAILED", reason="Unsupported codec/format.")
    backend.videos["two-portraits.mp4"] = CLIP.read_bytes()
    for name, document in documents.items():
        found = len(document[CATALOGUE[name].detections])
        backend.job("two-portraits.mp4", "SUCCEEDED", name, detections=found)
    return backend


def main() -> int:
    """Take them all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    documents = looked_at()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clip = Path(shutil.copy(CLIP, folder))
        facts = Facts(size=clip.stat().st_size)
        report = write_report(Path(folder, "report.html"), "two-portraits.mp4", documents, file=clip, facts=facts)
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        desk: dict[str, Any] = {**DESK, "viewport": {"width": 1280, "height": 960}}
        for name, options in (
            ("report-light", desk | {"color_scheme": "light"}),
            ("report-dark", desk | {"color_scheme": "dark"}),
            ("report-phone", {**PHONE, "viewport": {"width": 390, "height": 780}, "device_scale_factor": 1.5}),
        ):
            page = browser.new_context(**options).new_page()
            page.goto(f"{report.as_uri()}#t=3.0")
            page.locator("#video").wait_for(state="visible")
            take(page, name)
        with Site(videos(documents)) as site:
            page = browser.new_context(**desk | {"viewport": {"width": 1180, "height": 860}}).new_page()
            page.goto(site.login_url())
            page.locator("#videos a").wait_for()
            take(page, "overview")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
