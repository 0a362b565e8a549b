"""Documentation that can be wrong is a test that is missing: commands, links and numbers in it are held to the code."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from lambdas.logic import collector as collecting, polling, results, scheduler
from lambdas.model import blocking, prices

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE))

    assert named <= targets


def test_every_file_and_module_that_contributors_are_told_of_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()

    files = set(re.findall(r"(?:`|\s)((?:[\w.]+/)+[\w.]*|\w+\.(?:py|md|toml))(?=[`\s])", text))
    modules = {name.replace(".", "/") + ".py" for name in re.findall(r"python -m (tests[\w.]+)", text)}

    assert len(files) > 20
    assert [
        name for name in sorted(files | modules) if not name.startswith(".venv") and not (ROOT / name).exists()
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_linked_is_there(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_numbers_of_the_architecture_page_are_the_codes() -> None:
    text = re.sub(r"\s+", " ", (ROOT / "docs/architecture.md").read_text())

    assert f"up to {collecting.MOST_ATTEMPTS} attempts" in text
    assert f"less than {collecting.HAND_OVER // 1000} s of the function's time" in text
    assert f"A lease of {collecting.LEASE:.0f} s" in text
    assert f"after {scheduler.MOST_START_ERRORS} times REJECTED" in text
    assert (polling.FIRST_POLL, polling.LONGEST_POLL) == (120, 600), "two minutes ... every ten"
    assert "two minutes after its start, then after four, … then every ten" in text
    assert (blocking.VIDEOS_IN_A_ROW, blocking.MOST_IN_A_ROW) == (3, 192), "three videos ... up to 192"
    assert "Three different videos in a row" in text
    assert "6, 12, … 192" in text
    assert scheduler.UNCOLLECTED_FOR == 3600, "for an hour"
    assert f"{scheduler.SOME_UNCOLLECTED} jobs for more than an hour" in text
    assert f"{scheduler.MANY_UNCOLLECTED:,} in any case" in text


def test_the_results_page_names_the_places_the_code_uses() -> None:
    text = (ROOT / "docs/results.md").read_text()

    assert results.result_key("clip.mp4", "face-detection") == "results/clip.mp4/face-detection.json"
    assert "`results/<video key>/<analysis>.json`" in text
    assert results.result_key("k" * 1024, "face-detection").split("/")[1] in text


# Each text that names a price, and how it says it.
PRICES = [
    ("README.md", "rekognition_video_minute", 1, "about ${:.2f} per minute of video for each analysis"),
    ("README.md", "rekognition_segment_minute", 1, "for segments ${:.2f} for each type"),
    ("README.md", "kms_key_month", 1, "KMS key of your own (${:.0f} a month)"),
    ("README.md", "athena_tb", 1, "Athena asks about ${:.0f} per 1,000"),
    ("stacks/settings.py", "kms_key_month", 1, "KMS key of your own (${:.0f} a month)"),
    ("stacks/settings.py", "athena_tb", 1, "Athena asks about ${:.0f} per 1,000"),
    ("cli/results/commands.py", "athena_tb", 1, "Athena runs it (about ${:.0f} per TB read)"),
    ("cli/operate/commands.py", "rekognition_video_minute", 7 / 60, "about ${:.2f} an analysis"),
]


@pytest.mark.parametrize(("path", "name", "number", "said"), PRICES)
def test_the_prices_that_texts_name_are_those_of_the_one_file(path: str, name: str, number: float, said: str) -> None:
    text = re.sub(r"\s+", " ", (ROOT / path).read_text())

    assert said.format(prices.usd(name, number)) in text


def test_no_price_is_written_into_the_code() -> None:
    modules = [*(ROOT / "cli").rglob("*.py"), ROOT / "bench/cost.py"]

    hard_coded = [path.name for path in modules if re.search(r"\b0\.(05|10)\b(?!\d)", path.read_text())]

    assert hard_coded == []


def test_the_map_of_the_architecture_page_shows_every_folder_and_no_other() -> None:
    page = (ROOT / "docs/architecture.md").read_text().split("## Where things are")[1]
    mapped = set(re.findall(r"^([a-z_]+(?:/[a-z_]+)?)/ ", page, re.MULTILINE))

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    folders = {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}
    rooms = {"/".join(path.split("/")[:2]) for path in tracked if re.match(r"(lambdas|cli)/[a-z]+/", path)}
    assert mapped == folders | rooms


def test_the_contract_of_imports_is_the_one_the_architecture_page_shows() -> None:
    page = re.sub(r"\s+", " ", (ROOT / "docs/architecture.md").read_text())
    inside, between, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert "handlers → " + " → ".join(f"`{layer}`" for layer in inside["layers"][1:]) in page
    assert " → ".join(f"`{layer}`" for layer in between["layers"]) in page


def test_every_test_that_the_guarantees_name_is_there() -> None:
    page = (ROOT / "docs/limits-and-guarantees.md").read_text()
    named = set(re.findall(r"`(test_\w+|Test\w+)`", page))
    code = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert {name for name in named if f"def {name}(" not in code and f"class {name}" not in code} == set()
