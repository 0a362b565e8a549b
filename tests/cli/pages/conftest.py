"""A report of the clip, opened from disk in a real browser."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.pages.report import Facts, write_report
from tests.browser import Tab, chromium, tab
from tests.cli.pages.documents import CLIP, all_seven

__all__ = ["chromium", "tab"]  # fixtures


@pytest.fixture
def report(tab: Callable[..., Tab], tmp_path: Path) -> Callable[..., Tab]:
    """A function that writes a report of the clip and opens it from disk."""

    def open_(
        documents: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        key: str = "ads/two-portraits.mp4",
        facts: Facts | None = None,
        video: bool = True,
        ready: bool = True,
        **options: Any,
    ) -> Tab:
        clip = shutil.copy(CLIP, tmp_path / "a clip, 100 % #1.mp4")
        file = write_report(
            tmp_path / "report.html",
            key,
            all_seven() if documents is None else documents,
            file=Path(clip) if video else None,
            facts=facts,
        )
        opened = tab(**options)
        opened.page.goto(file.as_uri())
        if video and ready:
            opened.until("video.readyState >= 2")
        return opened

    return open_
