"""A choice of analyses as typed on the command line; ``lambdas.model.routing`` defines the syntax."""

from cli.core import stack as stacks, terminal
from cli.core.errors import NoCloud, WrongUse
from cli.core.stack import Stack, Target
from lambdas.model.analyses import CATALOGUE
from lambdas.model.parameter_types import WrongAnalysis
from lambdas.model.routing import Choice, understood

DEFAULT: Choice = {"face-detection": {}}
EXTENSIONS = (".mp4", ".mov")


def parsed(text: str) -> Choice:
    """Parse and check a choice; missing parameters get their defaults.

    Raises:
        WrongUse: there is no such analysis, or a parameter is invalid.
    """
    try:
        return understood(text)
    except WrongAnalysis as error:
        raise WrongUse(f"--analyses {text!r}: {error}.", f"analyses are {', '.join(CATALOGUE)}") from None


def for_upload(stack: Stack, text: str) -> str:
    """`text` in the form of an object's metadata.

    Raises:
        WrongUse: as `parsed`, or the stack does not let uploaders choose that.
    """
    let_choose(stack)
    rules = stack.rules
    for name in parsed(text):
        if name not in rules.allowed:
            raise WrongUse(
                f"This stack does not let uploaders choose {name}; it lets them choose: {', '.join(rules.allowed)}.",
                stack.target.deploy("-c", f"allowed_analyses={' '.join([*rules.allowed, name])}"),
            )
    if not text.isascii():
        raise WrongUse(f"--analyses {text!r}: an object's metadata takes ASCII only.")
    return text.strip()


def let_choose(stack: Stack) -> None:
    """Check that uploaders may choose by metadata.

    Raises:
        WrongUse: they may not.
    """
    if stack.rules.uploads not in ("metadata", "both"):
        raise WrongUse(
            "This stack does not let uploaders choose by metadata (setting upload_choice).",
            stack.target.deploy("-c", "upload_choice=both"),
        )


def of_stack(target: Target) -> tuple[Choice, bool]:
    """The stack's analyses, and whether it converts what Rekognition can't read; if the stack is unavailable, those of
    a stack with default settings."""
    try:
        stack = stacks.find(target)
    except NoCloud as trouble:
        terminal.info(f"{trouble} This is for {' and '.join(DEFAULT)}, the default.")
        return DEFAULT, False
    return stack.rules.analyses, stack.converts


def extensions() -> tuple[str, ...]:
    """The extensions of videos by default."""
    return EXTENSIONS
