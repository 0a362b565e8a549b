"""What --help says is what docs/cli.md says. To write it anew: ``python -m tests.cli.test_help``."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.app import MODULES, app

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = ROOT / "docs/cli.md"
BLOCK = re.compile(r"(?<=```text\n\$ rekognition-batch )(?P<words>[^\n]*--help)\n.*?(?=```)", re.DOTALL)


def said(words: str) -> str:
    """What the program says to ``rekognition-batch <words>``, as a block of the document has it."""
    runner = CliRunner()
    result = runner.invoke(app, words.split(), prog_name="rekognition-batch", terminal_width=80)
    assert result.exit_code == 0, result.output
    return f"{words}\n{result.output.rstrip()}\n"


def test_every_commands_help_stands_in_the_document_as_the_program_says_it() -> None:
    text = DOCUMENT.read_text()

    blocks = {found["words"]: found[0] for found in BLOCK.finditer(text)}

    assert set(blocks) == {"--help", *(f"{name} --help" for name in MODULES)}
    for words, block in blocks.items():
        assert block == said(words), f"docs/cli.md is old: {words}; python -m tests.cli.test_help"


@pytest.mark.parametrize("name", MODULES)
def test_help_shows_what_to_type_and_fits_in_80_columns(name: str) -> None:
    text = said(f"{name} --help")

    assert f"  rekognition-batch {name}" in text
    assert max(map(len, text.splitlines())) <= 80


def options_of(name: str) -> set[str]:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    return {word for parameter in command.params for word in parameter.opts if word.startswith("--")} | {"--help"}


def commands_in(text: str) -> list[list[str]]:
    """The commands of ours that a document shows, in its blocks and between backticks."""
    code = "\n".join(
        [*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"`(rekognition-batch [^`\n]*)`", text)]
    )
    lines = re.findall(r"^ *(?:\$ )?rekognition-batch +([^#|>\n]*)", code, re.MULTILINE)
    return [line.split() for line in lines]


@pytest.mark.parametrize(
    "path", [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_the_commands_that_documents_show_exist(path: Path) -> None:
    for words in commands_in(path.read_text()):
        name = next(word for word in words if not word.startswith("-"))
        assert name in MODULES, f"{path.name}: rekognition-batch {' '.join(words)}"
        for word in words:
            if word.startswith("--") and word not in ("--version",):
                assert word.partition("=")[0] in options_of(name), f"{path.name}: {name} has no {word}"


if __name__ == "__main__":
    DOCUMENT.write_text(BLOCK.sub(lambda found: said(found["words"]), DOCUMENT.read_text()))
