"""A choice of analyses, as people type it; the words are those of ``lambdas.model.routing``."""

from cli.core import terminal
from cli.core.errors import NoCloud, WrongUse
from cli.core.stack import Stack, Target, find
from lambdas.model.analyses import CATALOGUE
from lambdas.model.parameter_types import WrongAnalysis
from lambdas.model.routing import Choice, understood

DEFAULT: Choice = {"face-detection": {}}
EXTENSIONS = (".mp4", ".mov")


def parsed(text: str) -> Choice:
    """The choice that `text` means, checked and with defaults.

    Raises:
        WrongUse: there is no such analysis, or a parameter won't do.
    """
    try:
        return understood(text)
    except WrongAnalysis as error:
        raise WrongUse(f"--analyses {text!r}: {error}.", f"analyses are {', '.join(CATALOGUE)}") from None


def for_upload(stack: Stack, text: str) -> str:
    """`text` as an object carries it, in its metadata, to the stack.

    Raises:
        WrongUse: as `parsed`, or this stack does not let uploaders choose that.
    """
    rules = stack.rules
    if rules.uploads not in ("metadata", "both"):
        raise WrongUse(
            "This stack does not let uploaders choose by metadata (setting upload_choice).",
            stack.target.deploy("-c", "upload_choice=both"),
        )
    for name in parsed(text):
        if name not in rules.allowed:
            raise WrongUse(
                f"This stack does not let uploaders choose {name}; of these it does: {', '.join(rules.allowed)}.",
                stack.target.deploy("-c", f"allowed_analyses={' '.join([*rules.allowed, name])}"),
            )
    if not text.isascii():
        raise WrongUse(f"--analyses {text!r}: an object's metadata takes ASCII only.")
    return text.strip()


def of_stack(target: Target) -> Choice:
    """What the stack does with a video; with no stack at hand, what one does that is deployed as it comes."""
    try:
        return find(target).rules.analyses
    except NoCloud as trouble:
        terminal.info(f"{trouble} So this is for {' and '.join(DEFAULT)}.")
        return DEFAULT


def extensions() -> tuple[str, ...]:
    """What is taken for a video where no stack says otherwise."""
    return EXTENSIONS
