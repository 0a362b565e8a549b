"""A choice of analyses, as people type it: ``face-detection,label-detection``, or JSON with parameters."""

import json
from typing import Any

from cli import terminal
from cli.errors import NoCloud, WrongUse
from cli.stack import Where, find
from lambdas.analyses import chosen
from lambdas.values import WrongAnalysis

DEFAULT: dict[str, dict[str, Any]] = {"face-detection": {}}
EXTENSIONS = (".mp4", ".mov")


def parsed(text: str) -> dict[str, dict[str, Any]]:
    """The choice that `text` means, checked.

    Raises:
        WrongUse: there is no such analysis, or a parameter won't do.
    """
    try:
        given = json.loads(text) if text.lstrip().startswith("{") else {one: {} for one in _words(text)}
        return chosen(given)
    except (WrongAnalysis, ValueError) as error:
        raise WrongUse(f"--analyses {text!r}: {error}.", "--analyses face-detection,label-detection") from None


def checked(text: str) -> str:
    """`text` in the form in which an object carries it as its metadata ``analyses``.

    Raises:
        WrongUse: as `parsed`.
    """
    parsed(text)
    return text.strip() if text.lstrip().startswith("{") else ",".join(_words(text))


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def of_stack(where: Where) -> dict[str, dict[str, Any]]:
    """What the stack does with a video; with no stack at hand, what one does that is deployed as it comes."""
    try:
        return find(where).analyses
    except NoCloud as trouble:
        terminal.say(f"{trouble} So this is for {' and '.join(DEFAULT)}.")
        return DEFAULT


def extensions() -> tuple[str, ...]:
    """What is taken for a video where no stack says otherwise."""
    return EXTENSIONS
