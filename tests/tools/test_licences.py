"""Nothing copyleft is installed without a reason that `make licences` shows."""

import json
from pathlib import Path

import pytest

from tests.tools.test_pins import locked
from tools import licences
from tools.licences import Installed, installed, unsaid

ROOT = Path(__file__).resolve().parents[2]


def test_everything_copyleft_is_listed_with_its_reason() -> None:
    packages = installed()

    assert {it.where for it in packages} == {".venv", ".venv-emulator", "node_modules"}
    assert unsaid(packages) == []


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "LGPLv2+", "Mozilla Public License 2.0 (MPL 2.0)", "AGPL-3.0", ""])
def test_a_licence_that_is_copyleft_or_missing_is_noticed(licence: str) -> None:
    package = Installed(".venv", "new", "1", licence)

    assert unsaid([package]) == [package]


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0 OR BSD-3-Clause", "PSF-2.0", "ISC"])
def test_a_permissive_licence_needs_no_reason(licence: str) -> None:
    assert unsaid([Installed(".venv", "new", "1", licence)]) == []


def test_reasons_are_for_what_can_be_installed() -> None:
    node = {
        name.removeprefix("node_modules/") for name in json.loads((ROOT / "package-lock.json").read_text())["packages"]
    }
    python = {pin.split("==")[0] for pin in locked("requirements.lock")}

    assert set(licences.ACCEPTED) <= node | python
