"""A real browser, as tools/browser finds it, driven by Playwright. It reaches this machine only."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / "node_modules/axe-core/axe.min.js"
FLAGS = [
    "--no-sandbox",  # as root, as CI runs it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: Mapping[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESK: Mapping[str, Any] = {"viewport": {"width": 1440, "height": 900}}


def browser_path() -> str:
    """Path of an installed browser; where there is none, the test fails and says what to type."""
    found = subprocess.run([ROOT / "tools/browser"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="module")  # while it runs, nothing else in this process can have an event loop
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """A page in a window of its own, and everything in it that went wrong."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Dialog) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def until(self, condition: str, patience: float = 10.0) -> None:
        """Wait until a condition holds; elements go by their ids. (Playwright's own way is eval: refused.)"""
        deadline = time.monotonic() + patience
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def axe(self) -> list[str]:
        """What axe finds wrong with the page as it is now."""
        # Not by a script element: the page's policy refuses it, as it should.
        self.page.evaluate(AXE.read_text() + "; 0")
        found = self.page.evaluate("axe.run({resultTypes: ['violations']}).then((result) => result.violations)")
        return [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """A function that opens an empty tab: ``tab()``, ``tab(color_scheme="dark")``, ``tab(**PHONE)``."""
    contexts: list[BrowserContext] = []

    def open_(**options: Any) -> Tab:
        contexts.append(chromium.new_context(**{**DESK, **options}))
        contexts[-1].set_default_timeout(10_000)
        return Tab(contexts[-1])

    yield open_
    for context in contexts:
        context.close()
