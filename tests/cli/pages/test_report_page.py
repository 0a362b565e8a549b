"""The report as a person uses it, in a real browser, opened from disk."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from cli.pages.report import Facts, JobFact, build_report
from tests.browser import PHONE, Tab
from tests.cli.pages import documents

Open = Callable[..., Tab]


def now(tab: Tab) -> float:
    return float(tab.page.evaluate("video.currentTime"))


def drawn(tab: Tab, part: tuple[float, float, float, float] = (0, 0, 1, 1)) -> int:
    """How many pixels of that part of the overlay are painted."""
    return int(
        tab.page.evaluate(
            """([left, top, width, height]) => {
                const canvas = document.getElementById("overlay");
                const [w, h] = [canvas.width, canvas.height];
                const { data } = canvas.getContext("2d").getImageData(left * w, top * h, width * w, height * h);
                let painted = 0;
                for (let i = 3; i < data.length; i += 4) painted += data[i] > 40;
                return painted;
            }""",
            list(part),
        )
    )


def first_row(tab: Tab) -> str:
    """The name in the first row that is of this moment."""
    expect(tab.page.locator("#tbody .tr.current:visible").first).to_be_visible()
    return str(
        tab.page.evaluate(
            """() => {
                const top = document.querySelector(".thead").getBoundingClientRect().bottom;
                const lines = [...document.querySelectorAll("#tbody .tr.current:not([hidden])")]
                    .map((line) => [line.getBoundingClientRect().top, line.innerText])
                    .filter(([y]) => y >= top - 1).sort((a, b) => a[0] - b[0]);
                return lines[0][1];
            }"""
        )
    )


def test_it_plays_and_the_boxes_come_and_go_with_the_video(report: Open) -> None:
    tab = report({"face-detection": documents.faces()})
    assert drawn(tab) > 0

    tab.page.get_by_role("button", name="Play", exact=True).click()
    tab.until("video.currentTime > 0.4")
    tab.page.get_by_role("button", name="Pause", exact=True).click()
    assert now(tab) > 0.4

    tab.page.keyboard.press("End")
    tab.page.get_by_role("button", name="Previous moment").click()
    tab.page.locator("#seek").fill("5200")  # no face then
    tab.until("!video.seeking")
    tab.page.wait_for_timeout(100)
    assert drawn(tab) == 0
    assert tab.errors == []


def test_boxes_are_where_the_picture_is_also_beside_bars(report: Open) -> None:
    tab = report({"face-detection": documents.faces()})
    # A stage of another shape than the video: the picture has bars above and below.
    tab.page.evaluate("""() => {
        const stage = document.getElementById("stage");
        stage.style.aspectRatio = "1"; stage.style.maxHeight = "none";
        stage.style.width = "600px"; stage.style.height = "600px";
    }""")
    tab.page.wait_for_timeout(200)

    # 16:9 in a square: the picture is the middle 0.5625; the box's middle row is at 0.13 + 0.41 / 2 of it.
    top = (1 - 0.5625) / 2
    middle = top + 0.5625 * (0.13 + 0.205)
    assert drawn(tab, (0.40, middle - 0.02, 0.03, 0.04)) > 0  # its left side
    assert drawn(tab, (0.57, middle - 0.02, 0.03, 0.04)) > 0  # its right side
    assert drawn(tab, (0, 0, 1, top - 0.01)) == 0  # nothing on the bars
    assert drawn(tab, (0, 1 - top + 0.01, 1, top - 0.02)) == 0


def test_a_click_on_the_timeline_jumps_and_dragging_scrubs(report: Open) -> None:
    tab = report()
    area = tab.page.locator("#ruler").bounding_box()
    assert area

    tab.page.mouse.click(area["x"] + area["width"] / 2, area["y"] + 10)
    tab.until("Math.abs(video.currentTime - 3.5) < 0.1")

    tab.page.mouse.move(area["x"] + area["width"] * 0.5, area["y"] + 10)
    tab.page.mouse.down()
    tab.page.mouse.move(area["x"] + area["width"] * 0.9, area["y"] + 10, steps=5)
    tab.page.mouse.up()
    tab.until("Math.abs(video.currentTime - 6.3) < 0.1")
    tab.page.mouse.move(area["x"] + area["width"] * 0.2, area["y"] + 10)
    assert now(tab) == pytest.approx(6.3, abs=0.1)


def test_a_row_of_the_table_jumps_to_its_moment(report: Open) -> None:
    tab = report()

    tab.page.locator("#tbody").get_by_role("button", name="0:00.46").first.click()

    tab.until("Math.abs(video.currentTime - 0.468) < 0.01")


def test_a_lanes_name_and_a_tile_and_a_picture_jump(report: Open) -> None:
    tab = report()

    tab.page.locator("#lanes").get_by_role("button", name="Smoking").click()
    tab.until("Math.abs(video.currentTime - 1.969) < 0.01")

    tab.page.get_by_role("button", name="faces at once").click()
    tab.until("Math.abs(video.currentTime - 2.470) < 0.01")

    tab.page.locator("#stills button").last.click()
    tab.until("video.currentTime > 5.9")


def test_the_table_follows_the_video_until_one_scrolls_by_hand(report: Open) -> None:
    tab = report()
    follow = tab.page.get_by_role("button", name="Follow")
    tab.page.locator("#seek").fill("3000")
    expect(tab.page.locator("#tbody .tr.current:visible").first).to_be_visible()
    assert "0:02.96" in first_row(tab)

    tab.page.locator("#table").hover()
    tab.page.mouse.wheel(0, -5000)
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(tab.page.locator("#tbody").get_by_role("button", name="0:00.00").first).to_be_visible()

    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "true")
    assert "0:02.96" in first_row(tab)


def test_filtering_by_name_narrows_boxes_lanes_and_table(report: Open) -> None:
    tab = report()

    tab.page.keyboard.press("/")
    tab.page.keyboard.type("SMOK")

    expect(tab.page.locator("#rows-count")).to_have_text("2 of 80")
    assert tab.page.locator("#tbody .tr:visible .what-cell bdi").all_inner_texts() == ["Smoking", "Smoking"]
    expect(tab.page.locator("#lanes .track")).to_have_count(1)

    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#rows-count")).to_have_text("80")


def test_filtering_by_confidence_and_analysis(report: Open) -> None:
    tab = report()

    tab.page.get_by_label("Confidence from").fill("95")
    expect(tab.page.locator("#least-said")).to_have_text("95 %")
    expect(tab.page.locator("#lanes")).not_to_contain_text("Hat")

    chip = tab.page.get_by_role("group", name="Analyses").get_by_role("button", name="Labels")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "false")
    expect(tab.page.locator("#lanes")).not_to_contain_text("Person")

    tab.page.get_by_label("Filter by name").fill("nothing is called so")
    expect(tab.page.locator("#nothing")).to_have_text("Nothing passes the filter.")
    tab.page.wait_for_timeout(100)
    assert drawn(tab) == 0


def test_all_of_it_works_from_the_keyboard(report: Open) -> None:
    tab = report({"face-detection": documents.faces()})
    press = tab.page.keyboard.press

    press("j")
    tab.until("Math.abs(video.currentTime - 0.468) < 0.005")
    press("j")
    tab.until("Math.abs(video.currentTime - 0.968) < 0.005")
    press("k")
    tab.until("Math.abs(video.currentTime - 0.468) < 0.005")
    press("ArrowRight")
    tab.until("Math.abs(video.currentTime - 5.469) < 0.01")
    press("Shift+ArrowLeft")
    tab.until("Math.abs(video.currentTime - 4.47) < 0.01")
    press("Home")
    tab.until("video.currentTime === 0")
    press(" ")
    tab.until("!video.paused")
    press(" ")
    tab.until("video.paused")
    press("b")
    tab.page.wait_for_timeout(60)
    assert drawn(tab) == 0
    press("t")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
    press("+")
    expect(tab.page.locator("#window")).to_contain_text("–")
    press("0")
    expect(tab.page.locator("#window")).to_have_text("")
    press("?")
    expect(tab.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    press("Escape")
    expect(tab.page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    assert tab.errors == []


def test_everything_can_be_reached_by_tab_and_the_focus_is_seen(report: Open) -> None:
    tab = report()
    seen = set()

    for _ in range(80):
        tab.page.keyboard.press("Tab")
        name, outline = tab.page.evaluate(
            "((it) => [it.id || it.className, getComputedStyle(it).outlineStyle])(document.activeElement)"
        )
        seen.add(name)
        assert outline != "none" or not name, name  # after the last comes the browser itself

    assert {"query", "least", "play", "seek", "follow", "table", "zoom-in", "theme"} <= seen


def test_all_lanes_are_shown_when_asked_for(report: Open) -> None:
    tab = report()
    expect(tab.page.locator("#lanes").get_by_role("button", name="Tie")).to_have_count(0)

    tab.page.get_by_role("button", name="Show all 7 labels").click()

    expect(tab.page.locator("#lanes").get_by_role("button", name="Tie")).to_be_visible()
    expect(tab.page.get_by_role("button", name="Show fewer")).to_be_focused()


def test_without_a_video_the_boxes_move_on_a_dark_stage(report: Open) -> None:
    tab = report({"face-detection": documents.faces()}, video=False)
    expect(tab.page.locator("#stage-note")).to_contain_text("not part of this page")
    assert drawn(tab) > 0

    tab.page.keyboard.press(" ")
    tab.until("Number(seek.value) > 300")
    tab.page.keyboard.press(" ")

    assert tab.errors == []


def test_a_video_that_is_not_there_is_said_and_can_be_chosen(report: Open, tmp_path: Any) -> None:
    tab = report(ready=False)
    (tmp_path / "a clip, 100 % #1.mp4").unlink()
    tab.page.reload()
    expect(tab.page.locator("#stage-note")).to_contain_text("can’t be played from here")
    tab.page.keyboard.press("j")

    tab.page.locator("#stage-note input").set_input_files(documents.CLIP)

    tab.until("video.readyState >= 2")
    expect(tab.page.locator("#stage-note")).to_be_hidden()


def test_what_failed_is_said_with_its_reason(report: Open) -> None:
    jobs = [JobFact("label-detection", "FAILED", "Unsupported codec/format."), JobFact("text-detection", "WAITING")]

    tab = report({"face-detection": documents.faces()}, facts=Facts(jobs=jobs))

    expect(tab.page.locator("#notes")).to_contain_text("Labels failed: Unsupported codec/format.")
    expect(tab.page.locator("#notes")).to_contain_text("Text waits in line")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [{}, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_wrong(report: Open, scheme: str, window: dict[str, Any]) -> None:
    facts = Facts("videos", 89_706, "2026-11-22T10:00:00Z", [JobFact("label-detection", "FAILED", "No.")])
    tab = report(color_scheme=scheme, facts=facts, **window)
    tab.page.keyboard.press("j")
    assert tab.axe() == []

    tab.page.locator(".all").click()
    tab.page.get_by_label("Filter by name").fill("person")
    assert tab.axe() == []

    tab.page.locator("#help-button").click()
    assert tab.axe() == []


@pytest.mark.parametrize("window", [{}, PHONE], ids=["desk", "phone"])
def test_it_fits_its_window(report: Open, window: dict[str, Any]) -> None:
    tab = report(**window)

    assert not tab.overflows()


@pytest.mark.parametrize("window", [{}, PHONE], ids=["desk", "phone"])
def test_hostile_names_are_shown_as_text_and_break_nothing(report: Open, window: dict[str, Any]) -> None:
    key = "videos/" + "".join(documents.HOSTILE.values()) + ".mp4"
    facts = Facts(jobs=[JobFact("label-detection", "FAILED", documents.HOSTILE["markup"])])
    tab = report(documents.hostile(), key=key, facts=facts, **window)
    title = tab.page.title()
    for button in tab.page.locator(".all").all():
        button.click()
    for _ in range(4):
        tab.page.keyboard.press("j")
    tab.page.get_by_label("Filter by name").fill("onerror=")

    expect(tab.page.locator("#key")).to_contain_text("<img src=x onerror=")
    expect(tab.page.locator("#lanes").get_by_text("<img src=x").first).to_be_visible()
    assert tab.page.locator("main img[src=x], header img").count() == 0
    assert tab.page.title() == title != "owned"
    assert not tab.overflows()
    assert tab.errors == []
    assert tab.axe() == []


def test_a_hundred_thousand_detections_can_be_filtered_and_scrolled(report: Open) -> None:
    tab = report(documents.many(100_000), video=False)
    expect(tab.page.locator("#rows-count")).to_have_text("100,000")

    tab.page.locator("#table").evaluate("(table) => { table.scrollTop = table.scrollHeight; }")
    expect(tab.page.locator('#tbody [aria-rowindex="100001"]')).to_be_visible()
    assert tab.page.locator("#tbody .tr").count() < 80

    tab.page.get_by_label("Filter by name").fill("label 7")
    expect(tab.page.locator("#rows-count")).to_contain_text("of 100,000")
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#rows-count")).to_have_text("100,000")
    assert tab.errors == []


def test_it_moves_no_more_than_asked(report: Open) -> None:
    tab = report({"face-detection": documents.faces()}, reduced_motion="reduce")
    tab.page.locator("#seek").fill("2700")
    tab.page.wait_for_timeout(100)

    assert drawn(tab) > 0
    assert tab.errors == []


def test_it_can_be_opened_at_a_moment(tab: Open, tmp_path: Any) -> None:
    file = tmp_path / "page.html"
    file.write_text(build_report("clip.mp4", documents.all_seven()))
    opened = tab()

    opened.page.goto(file.as_uri() + "#t=3.5")

    expect(opened.page.locator("#now")).to_have_text("0:03.5")


def test_on_paper_there_is_no_control(report: Open) -> None:
    tab = report()

    tab.page.emulate_media(media="print")

    expect(tab.page.locator("#tiles")).to_be_visible()
    expect(tab.page.locator("#lanes")).to_be_visible()
    expect(tab.page.locator("#play")).to_be_hidden()
    expect(tab.page.locator(".filters")).to_be_hidden()
