"""The overview as a person uses it, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from cli.pages.server import Site
from lambdas.model.blocking import Scope
from tests.browser import PHONE, Tab
from tests.cli.pages import documents
from tests.cli.pages.fake import FakeBackend

Open = Callable[..., Tab]

# What a browser does when files are dropped on a page; Playwright has no word for it.
DROP = """([name, content, folder]) => {
    const transfer = new DataTransfer();
    const raw = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([raw], name, { type: "video/mp4" }));
    const target = document.getElementById("drop");
    for (const type of ["dragenter", "dragover", "drop"]) {
        target.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
}"""


def drop(tab: Tab, name: str, content: bytes) -> None:
    import base64

    tab.page.evaluate(DROP, [name, base64.b64encode(content).decode(), ""])


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def overview(tab: Open, backend: FakeBackend) -> Iterator[Open]:
    """A function that opens the overview of the backend."""
    with Site(backend) as site:

        def open_(**options: Any) -> Tab:
            opened = tab(**options)
            opened.page.goto(site.login_url())
            expect(opened.page.locator("#videos > li").first).to_be_visible()
            return opened

        yield open_


def everything(backend: FakeBackend) -> None:
    """A video in each state, and several analyses of one."""
    backend.videos["ads/two-portraits.mp4"] = documents.CLIP.read_bytes()
    for analysis in ("face-detection", "label-detection", "text-detection"):
        backend.job("ads/two-portraits.mp4", "SUCCEEDED", analysis, detections=16)
    backend.job("interviews/anna.mov", "RUNNING")
    backend.job("interviews/anna.mov", "WAITING", "label-detection")
    backend.job("broken.mp4", "FAILED", reason="Unsupported codec/format.")
    backend.job("empty.mp4", "REJECTED", reason="The object is empty.")
    backend.job("archive/1987/spring.mp4", "WAITING")
    backend.job("archive/1987/summer.mp4", "COLLECTING")
    backend.results = documents.all_seven()


def test_a_dropped_video_is_seen_to_the_end_and_its_page_opens(overview: Open, backend: FakeBackend) -> None:
    backend.results = {"face-detection": documents.faces()}
    tab = overview()
    expect(tab.page.locator("#videos")).to_contain_text("Nothing here yet")

    drop(tab, "two-portraits.mp4", documents.CLIP.read_bytes())

    row = tab.page.locator("#videos > li", has_text="two-portraits.mp4")
    expect(row).to_contain_text("number 1 in line")
    assert backend.videos["two-portraits.mp4"] == documents.CLIP.read_bytes()
    backend.move("two-portraits.mp4", "RUNNING")
    expect(row).to_contain_text("running")
    expect(tab.page.locator("#line")).to_contain_text("1 of 20 slots in use")
    backend.move("two-portraits.mp4", "SUCCEEDED", detections=16, result_key="results/x")
    expect(row).to_contain_text("16 found")
    expect(tab.page.locator("#news")).to_have_text("two-portraits.mp4: done")

    row.get_by_role("link", name="two-portraits.mp4").click()
    tab.until("video.readyState >= 2")
    expect(tab.page.locator("#key")).to_have_text("two-portraits.mp4")
    assert tab.page.locator("#stills li").count() >= 3
    tab.page.get_by_role("button", name="Play", exact=True).click()
    tab.until("video.currentTime > 0.2")
    tab.page.get_by_role("link", name="All videos").click()
    expect(row).to_be_visible()
    assert tab.errors == []


def test_the_upload_shows_how_far_it_is(overview: Open, backend: FakeBackend) -> None:
    backend.gate.clear()
    tab = overview()

    drop(tab, "long.mp4", b"x" * 3_000_000)

    item = tab.page.locator("#uploads li", has_text="long.mp4")
    expect(item.get_by_role("progressbar")).to_be_visible()
    expect(item).to_contain_text("is being stored")
    backend.gate.set()
    expect(item).to_contain_text("is there")


def test_files_may_be_chosen_and_put_into_a_folder(overview: Open, backend: FakeBackend, tmp_path: Path) -> None:
    for name in ("one.mp4", "two.MOV", "notes.txt"):
        (tmp_path / name).write_bytes(b"video")
    tab = overview()
    tab.page.get_by_label("into the folder").fill("/ads/2026/")

    tab.page.get_by_label("choose files").set_input_files([tmp_path / n for n in ("one.mp4", "two.MOV", "notes.txt")])

    expect(tab.page.locator("#videos")).to_contain_text("ads/2026/two.MOV")
    assert set(backend.videos) == {"ads/2026/one.mp4", "ads/2026/two.MOV"}
    expect(tab.page.locator("#uploads")).to_contain_text("not a video: only .mp4 and .mov files are accepted")
    tab.page.get_by_role("button", name="Dismiss").click()
    expect(tab.page.locator("#uploads li", has_text="notes.txt")).to_have_count(0)


def test_what_is_there_already_is_replaced_only_if_one_says_so(overview: Open, backend: FakeBackend) -> None:
    backend.videos["clip.mp4"] = b"first"
    tab = overview()
    drop(tab, "clip.mp4", b"second")
    expect(tab.page.locator("#uploads")).to_contain_text("A video of that name exists already.")
    assert backend.videos["clip.mp4"] == b"first"

    tab.page.get_by_role("button", name="Replace it").click()

    expect(tab.page.locator("#uploads")).to_contain_text("is there")
    assert backend.videos["clip.mp4"] == b"second"


def test_states_reasons_and_the_line_are_shown(overview: Open, backend: FakeBackend) -> None:
    everything(backend)
    tab = overview()

    expect(tab.page.locator("#videos")).to_contain_text("failed: Unsupported codec/format.")
    expect(tab.page.locator("#videos")).to_contain_text("refused: The object is empty.")
    expect(tab.page.locator("#line")).to_have_text("1 of 20 slots in use · 2 in line · 1 collecting")
    assert tab.page.locator("#slots .used").count() == 1
    expect(tab.page.get_by_role("link")).to_have_count(2)  # past the skip link, only what has results


def test_a_block_is_told_in_its_own_words_and_goes_when_it_is_over(overview: Open, backend: FakeBackend) -> None:
    backend.job("waits.mp4")
    reason = "this stack may not read the object (AccessDenied: <b>Access</b> Denied)"
    backend.scheduler = {"scopes": {"videos": Scope().block(reason, 1_800_000_000.0).as_item()}}
    tab = overview()

    alert = tab.page.locator("#blocked")
    expect(alert).to_contain_text(f"Starting is blocked since 2027-01-15 08:00 UTC: {reason}")
    expect(alert).to_contain_text("rekognition-batch doctor")
    expect(tab.page.locator("#line")).to_contain_text("starting is blocked")

    backend.scheduler = {}

    expect(alert).to_be_hidden(timeout=15_000)


def test_searching_and_filtering_by_state(overview: Open, backend: FakeBackend) -> None:
    everything(backend)
    tab = overview()

    tab.page.keyboard.press("/")
    tab.page.keyboard.type("1987")
    expect(tab.page.locator("#videos > li")).to_have_count(2)
    tab.page.get_by_role("button", name="in line").click()
    expect(tab.page.locator("#videos > li")).to_have_count(1)
    tab.page.get_by_label("Search by name").fill("no such video")
    expect(tab.page.locator("#videos")).to_have_text("No video matches.")


def test_it_says_so_when_the_server_has_gone_or_aws_refuses(tab: Open, backend: FakeBackend) -> None:
    with Site(backend) as site:
        opened = tab()
        opened.page.goto(site.login_url())
        expect(opened.page.locator("#videos")).to_contain_text("Nothing here yet")
        backend.trouble = RuntimeError("ExpiredToken")
        expect(opened.page.get_by_role("alert")).to_contain_text("ExpiredToken", timeout=15_000)
    expect(opened.page.get_by_role("alert")).to_contain_text("The server has stopped", timeout=15_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [{}, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_wrong(overview: Open, backend: FakeBackend, scheme: str, window: dict[str, Any]) -> None:
    everything(backend)
    tab = overview(color_scheme=scheme, **window)
    drop(tab, "notes.txt", b"x")
    drop(tab, "ads/two-portraits.mp4", b"x")
    tab.page.wait_for_timeout(200)

    assert tab.axe() == []
    assert not tab.overflows()


@pytest.mark.parametrize("window", [{}, PHONE], ids=["desk", "phone"])
def test_hostile_names_are_shown_as_text_and_break_nothing(
    overview: Open, backend: FakeBackend, window: dict[str, Any]
) -> None:
    backend.results = documents.hostile()
    for name in documents.HOSTILE.values():
        key = f"{name}/clip.mp4".encode("utf-8", "replace").decode()
        backend.videos[key] = documents.CLIP.read_bytes()
        backend.job(key, "SUCCEEDED", detections=1)
        backend.job(f"failed {key}", "FAILED", reason=name.encode("utf-8", "replace").decode())
    tab = overview(**window)
    drop(tab, documents.HOSTILE["markup"].replace("/", "") + ".mp4", b"x")

    expect(tab.page.locator("#videos")).to_contain_text("<img src=x onerror=")
    expect(tab.page.locator("#videos")).to_contain_text("<img src=x onerror=\"document.title='owned'\">.mp4")
    assert tab.page.locator("main img").count() == 0
    assert tab.page.title() != "owned"
    assert not tab.overflows()
    assert tab.axe() == []

    tab.page.get_by_role("link", name="</script><script>").first.click()
    expect(tab.page.locator("#key")).to_contain_text("</script><script>")
    tab.until("video.readyState >= 2")
    assert tab.page.title() != "owned"
    assert tab.errors == []


def test_another_page_in_the_same_browser_can_do_nothing_here(overview: Open, backend: FakeBackend) -> None:
    everything(backend)
    tab = overview()
    here = tab.page.url.rstrip("/")
    other = tab.context.new_page()
    # A page of another site, in the browser that has the cookie.
    other.route("http://evil.test/**", lambda route: route.fulfill(body="<p>evil", content_type="text/html"))
    other.goto("http://evil.test/")

    said = other.evaluate(
        """async (here) => {
            const tried = {};
            const put = { method: "PUT", body: "x", credentials: "include", mode: "no-cors" };
            for (const [name, path, options] of [
                ["read", "/api/videos", { credentials: "include" }],
                ["write", "/api/upload?key=evil.mp4", { ...put, method: "POST" }],
                ["put", "/api/upload?key=evil.mp4", { ...put, mode: "cors" }],
            ]) tried[name] = await fetch(here + path, options).then((answer) => answer.type, () => "refused");
            tried.picture = await new Promise((done) => {
                const video = document.createElement("video");
                video.onloadeddata = () => done("seen");
                video.onerror = () => done("refused");
                video.src = here + "/media?key=ads%2Ftwo-portraits.mp4";
            });
            return tried;
        }""",
        here,
    )

    assert said["read"] == said["put"] == said["picture"] == "refused"
    assert "evil.mp4" not in backend.videos
