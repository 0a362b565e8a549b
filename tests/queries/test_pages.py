"""The pages on rows, choosing and searching say what the code does."""

import re

import pytest

from lambdas.model.routing import understood
from stacks.settings import Settings
from tests.queries.pages import DOCS, MADE, page, settings_example


@pytest.mark.parametrize("name", list(MADE))
def test_what_is_made_of_a_page_is_up_to_date(name: str) -> None:
    """If not: python -m tests.queries.pages"""
    assert (DOCS / name).read_text() == page(name)


def test_the_settings_shown_are_settings() -> None:
    assert set(settings_example()) <= set(Settings.__dataclass_fields__)


def test_the_choices_shown_are_choices() -> None:
    text = (DOCS / "choosing.md").read_text()
    shown = re.findall(r"analyses=(?:'([^']+)'|([^'\s]+))", text)

    assert len(shown) >= 3
    for quoted, bare in shown:
        understood(quoted or bare)
