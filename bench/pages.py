"""make bench-report: how soon a report of 100,000 detections is there, and whether it stutters, in real Chromium.

Beside it, the same rows as what one would otherwise write in an afternoon: a page with one large table. Every figure is
the median of rounds in fresh browser contexts, both sides in turn.
"""

import html
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench import report
from cli.pages import detections
from cli.pages.report import write_report
from tests.browser import DESK, FLAGS, browser_path
from tests.cli.pages import documents

ROUNDS = 7
DETECTIONS = 100_000

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
DRAWN = "performance.getEntriesByName('drawn')[0]?.startTime"
# From a change of the filter to the picture that shows it.
FILTERED = """() => new Promise((done) => {
    const query = document.getElementById("query");
    const began = performance.now();
    query.value = "label 7";
    query.dispatchEvent(new Event("input"));
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""
# Milliseconds between pictures while something scrolls from top to bottom in two seconds.
SCROLLED = """(id) => new Promise((done) => {
    const box = id ? document.getElementById(id) : document.scrollingElement;
    const gaps = [];
    const began = performance.now();
    let last = began;
    const step = (now) => {
        gaps.push(now - last);
        last = now;
        box.scrollTop = ((now - began) / 2000) * box.scrollHeight;
        if (now - began < 2000) requestAnimationFrame(step); else done(gaps.slice(1));
    };
    requestAnimationFrame(step);
})"""
PLAYED = """() => new Promise((done) => {
    document.getElementById("play").click();
    const gaps = [];
    let last = performance.now();
    const began = last;
    const step = (now) => {
        gaps.push(now - last);
        last = now;
        if (now - began < 2000) requestAnimationFrame(step); else done(gaps.slice(1));
    };
    requestAnimationFrame(step);
})"""


def plain_table(path: Path, found: Sequence[detections.Detection]) -> None:
    """The same rows, one element each."""
    rows = "".join(
        f"<tr><td>{one.millis / 1000:.2f}</td><td>{html.escape(one.name)}</td><td>{one.confidence:.1f} %</td>"
        f"<td>{html.escape(one.detail)}</td></tr>\n"
        for one in found
    )
    path.write_text(f"<!doctype html><meta charset=utf-8><title>film</title><table>{rows}</table>")


def opened(browser: Browser, path: Path) -> Page:
    page = browser.new_context(**DESK).new_page()
    page.goto(path.as_uri())
    return page


def wait(page: Page, expression: str) -> float:
    """What an expression gives, once it gives something."""
    while True:
        if (value := page.evaluate(expression)) is not None:
            return float(value)
        time.sleep(0.01)


def slowest(gaps: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(gaps, n=20)[-1]


def ours(browser: Browser, path: Path) -> dict[str, float]:
    page = opened(browser, path)
    figures = {"first_frame_ms": wait(page, DRAWN), "first_paint_ms": wait(page, PAINT)}
    playing, scrolling = page.evaluate(PLAYED), page.evaluate(SCROLLED, "table")
    figures |= {"playing_ms": statistics.median(playing), "playing_p95_ms": slowest(playing)}
    figures |= {"scroll_ms": statistics.median(scrolling), "scroll_p95_ms": slowest(scrolling)}
    figures["filter_ms"] = page.evaluate(FILTERED)
    figures["elements"] = page.evaluate("document.getElementsByTagName('*').length")
    page.context.close()
    return figures


def theirs(browser: Browser, path: Path) -> dict[str, float]:
    page = opened(browser, path)
    figures = {"first_paint_ms": wait(page, PAINT)}
    # All of it, laid out: what one waits for before one can scroll anywhere.
    figures["first_frame_ms"] = page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    )
    scrolling = page.evaluate(SCROLLED, "")
    figures |= {"scroll_ms": statistics.median(scrolling), "scroll_p95_ms": slowest(scrolling)}
    figures["elements"] = page.evaluate("document.getElementsByTagName('*').length")
    page.context.close()
    return figures


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]}


def main() -> int:
    made = documents.many(DETECTIONS)
    found = detections.read(made)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, report.progress() as progress:
        page, table = Path(folder, "report.html"), Path(folder, "table.html")
        began = time.perf_counter()
        write_report(page, "film.mp4", made)
        build = time.perf_counter() - began
        plain_table(table, found)
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        mine, other = [], []
        for _ in progress.track(range(ROUNDS), description="rounds"):
            mine.append(ours(browser, page))
            other.append(theirs(browser, table))
        version = browser.version
        browser.close()
        figures = medians(mine) | {"build_s": round(build, 2), "file_mb": round(page.stat().st_size / 1e6, 2)}
        figures_other = medians(other) | {"file_mb": round(table.stat().st_size / 1e6, 2)}
    names = [*dict.fromkeys([*figures, *figures_other])]
    report.show(
        f"A report of {DETECTIONS:,} detections",
        ["", "report", "one large table"],
        [[name, figures.get(name), figures_other.get(name)] for name in names],
    )
    report.save(
        "report",
        ours={"detections": DETECTIONS, **figures},
        baselines={"one_large_table": figures_other},
        targets=[report.Target("first_frame_ms", 1000), report.Target("scroll_p95_ms", 50)],
        rounds=ROUNDS,
        browser=f"Chromium {version}",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
