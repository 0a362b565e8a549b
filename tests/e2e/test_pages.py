"""The overview on the deployed stack: a video is dropped in a real browser, really analysed, and its page plays it."""

import io
from collections.abc import Callable

from playwright.sync_api import expect

from cli.core.stack import Stack
from cli.pages.backend import StackBackend
from cli.pages.server import Site
from tests.browser import Tab, chromium, tab
from tests.cli.pages.test_overview_page import drop
from tests.e2e.conftest import Deployed
from tests.rekognition_local import videos

__all__ = ["chromium", "tab"]  # fixtures

KEY = "pages/two portraits é+1.mp4"


def stack(deployed: Deployed) -> Stack:
    return Stack("RekognitionBatch", deployed.outputs, deployed.cloud.client, region="us-east-1", local=True)


def test_a_dropped_video_comes_out_as_a_page_that_plays(deployed: Deployed, tab: Callable[..., Tab]) -> None:
    with Site(StackBackend(stack(deployed))) as site:
        opened = tab()
        opened.page.goto(site.login_url())
        opened.page.get_by_label("into the folder").fill("pages")
        drop(opened, "two portraits é+1.mp4", videos.CLIP.read_bytes())

        link = opened.page.get_by_role("link", name=KEY)
        expect(link).to_be_visible(timeout=120_000)
        expect(opened.page.locator("#videos > li", has_text=KEY)).to_contain_text("17 found")
        link.click()
        opened.until("video.readyState >= 2", 30)
        opened.page.keyboard.press("j")
        opened.until("Math.abs(video.currentTime - 0.468) < 0.005")

        expect(opened.page.locator("#tiles")).to_contain_text("faces at once")
        assert opened.page.locator("#stills li").count() >= 3
        assert opened.errors == []


def test_a_large_upload_goes_through_in_parts_whole(deployed: Deployed) -> None:
    content = videos.CLIP.read_bytes()
    padded = content + b"\0" * (20_000_000 - len(content))
    backend = StackBackend(stack(deployed))
    backend.upload("pages/large.mp4", io.BytesIO(padded), len(padded))

    part = backend.open_video("pages/large.mp4", 100, 299)
    assert part is not None
    assert (part.first, part.last, part.total) == (100, 299, 20_000_000)
    assert b"".join(part.pieces) == padded[100:300]
    assert backend.open_video("pages/gone.mp4") is None
    assert not backend.exists("pages/gone.mp4")
