"""What others have chosen (keys, texts, messages, errors) does nothing to the operator's terminal."""

import ast
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from rich.text import Text

from cli.app import app, run
from cli.core import filenames, options, terminal
from cli.core.errors import CliError
from cli.core.stack import Stack
from tests.cli.conftest import Said
from tests.fake_aws import World

Typed = Callable[..., Said]
CLI = Path(terminal.__file__).parent
# Escape sequences by ESC and by C1, a bell, DEL, overrides of direction, a line separator, what is of no width.
EVIL = "\x1b]0;owned\x07\x9b31m\x7f\x85\u202egpj\u2066\u2028\u200b\ufeff"
BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class Tty(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def on_screen(patch: pytest.MonkeyPatch) -> Tty:
    """From now on standard output and error are a terminal. (Not a fixture: pytest changes them after its setup.)"""
    found = Tty()
    patch.setattr(sys, "stdout", found)
    patch.setattr(sys, "stderr", found)
    patch.setenv("TERM", "dumb")
    return found


def shown(screen: Tty) -> str:
    """What is on the screen, without the colours that rich puts there."""
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


WAYS: dict[str, Callable[[str], object]] = {
    "a sentence": terminal.info,
    "a line": terminal.line,
    "an error": lambda text: terminal.line(text, err=True),
    "a path": lambda text: terminal.path(Path(text)),
    "JSON": lambda text: terminal.data({text: [text]}),
    "a table": lambda text: terminal.print_table((text,), [(text,)]),
    "a table for programs": lambda text: terminal.tabbed((text,), [(text,)]),
    "a mark": lambda text: terminal.beside(Text(text), Text(text)),
    "a text of rich's": lambda text: terminal.stdout().print(Text(text)),
    "markup of rich's": lambda text: terminal.stdout().print(text),
    "a text file": lambda text: terminal.text_file().write(text),
    "bytes": lambda text: terminal.copy([text.encode()[:5], text.encode()[5:]]),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_nothing_on_a_terminal_moves_its_cursor_or_turns_its_text_round(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    screen = on_screen(monkeypatch)
    WAYS[way](f"a{EVIL}b")

    assert "b" in shown(screen)
    assert not BAD.search(shown(screen))


def test_a_question_is_harmless_too(monkeypatch: pytest.MonkeyPatch) -> None:
    on_screen(monkeypatch)
    monkeypatch.setattr(sys, "stdin", Tty())
    asked: list[str] = []
    monkeypatch.setattr(click, "confirm", lambda question, **_: bool(asked.append(question)) or True)

    terminal.confirm(f"Delete {EVIL}?", yes=False)

    assert not BAD.search(asked[0])


def test_bars_are_harmless_too(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress() as bars:
        bars.add_task(EVIL, total=1)
        bars.refresh()

    assert "owned" in screen.getvalue()
    assert not re.search("\x1b\\]|[\x07\x7f-\x9f\u202e]", screen.getvalue())


@pytest.mark.parametrize(
    "error",
    [CliError(f"no {EVIL}", f"try {EVIL}\nor {EVIL}"), click.UsageError(f"no {EVIL}"), click.FileError(EVIL, EVIL)],
)
def test_an_error_is_harmless(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    screen = on_screen(monkeypatch)

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(app, "main", fail)

    assert run([]) != 0
    assert "owned" in shown(screen)
    assert not BAD.search(shown(screen))


def test_the_traceback_of_a_bug_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    terminal.show_bug(ValueError, ValueError(EVIL), None)

    assert "ValueError" in shown(screen)
    assert not BAD.search(shown(screen))


def test_json_is_the_same_value_on_a_terminal_and_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    value = {EVIL: "é日本\U0001f469\u200d\U0001f680 \ud83d \n\t"}

    terminal.data(value)

    out = capfd.readouterr().out
    assert json.loads(out) == value
    assert "é日本" in out
    assert not BAD.search(out)


def test_a_pipe_gets_paths_texts_and_bytes_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    terminal.path(Path(EVIL))
    terminal.text_file().write(EVIL)
    sys.stdout.flush()
    terminal.copy([b"\x1b\xff", b"\x00"])

    assert capfdbinary.readouterr().out == f"{EVIL}\n{EVIL}".encode() + b"\x1b\xff\x00"


def test_a_name_with_a_line_break_makes_no_second_line(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.line("a.mp4\nuploaded: b.mp4")
    terminal.tabbed(("video",), [("a\tb\nc",)])

    assert len(capfd.readouterr().out.splitlines()) == 3


def test_characters_of_every_language_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    text = "Ünïcödé 日本語 עברית العربية हिन्दी ไทย 🎬"

    terminal.line(text)

    assert text in shown(screen)


def test_only_one_module_writes_to_the_terminal() -> None:
    for path in CLI.rglob("*.py"):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            word = ast.unparse(node) if isinstance(node, (ast.Attribute, ast.Name)) else ""
            assert word not in ("click.echo", "click.secho", "print", "sys.stdout", "sys.stderr"), (
                f"{path.name}:{node.lineno} writes past terminal.printable"  # type: ignore[attr-defined]
            )


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (f"a/{EVIL}.mp4", "_]0;owned__31m___gpj____.mp4"),
        ("-rf.mp4", "_rf.mp4"),
        ("../../.bashrc", "bashrc"),
        ("a/..", "video"),
        ("/", "video"),
        ("\ud83d.mp4", "_.mp4"),
        ("日本語.mp4", "日本語.mp4"),
    ],
)
def test_a_file_named_after_a_key_can_be_listed_and_passed_on(key: str, name: str) -> None:
    assert filenames.file_name(key) == name


@pytest.fixture
def letters(aws: World, stack: Stack) -> None:
    """A dead letter that announces a video of an evil name."""
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-22T10:00:00.000Z",
        "s3": {
            "bucket": {"name": "videos"},
            "object": {"key": "evil%1B%5D0%3Bowned%07%C2%9B31m.mp4", "size": 1, "eTag": "e", "sequencer": "1"},
        },
    }
    aws.sqs.send_message(QueueUrl=stack.output("UploadsDeadLetterQueue"), MessageBody=json.dumps({"Records": [record]}))


@pytest.mark.parametrize("words", [["redrive", "--dry-run"], ["redrive", "--dry-run", "--json"], ["redrive"]])
def test_a_dead_letter_is_shown_harmless(letters: None, typed: Typed, words: list[str]) -> None:
    said = typed(*words)

    assert "evil" in said.out
    assert not BAD.search(said.out + said.err)


def test_a_shell_is_offered_no_key_that_it_would_run(aws: World, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("v/fine.mp4", "v/$(touch owned).mp4", "v/a b.mp4", "v/`id`.mp4", f"v/{EVIL}.mp4", "v/a\nb.mp4"):
        aws.s3.put_object(Bucket="videos", Key=key, Body=b"x")
    context = click.Context(app)

    def offered(shell: str) -> list[str]:
        monkeypatch.setenv("_REKOGNITION_BATCH_COMPLETE", f"{shell}_complete")
        return options.complete_video(context, click.Argument(["video"]), "v/")

    assert offered("bash") == ["v/fine.mp4"]
    assert offered("zsh") == ["v/$(touch owned).mp4", "v/`id`.mp4", "v/a b.mp4", "v/fine.mp4"]


def test_a_document_on_a_terminal_is_harmless_and_in_a_pipe_exact(
    aws: World, stack: Stack, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.drop("a.mp4")
    aws.settle()
    place = aws.job("a.mp4")["result_key"]
    aws.s3.put_object(Bucket="results", Key=place, Body=b'{"Faces": "' + EVIL.encode() + b'\xff"}')
    command = ("results", "a.mp4", "--stdout")

    capfdbinary.readouterr()
    assert run(command) == 0
    piped = capfdbinary.readouterr().out
    screen = on_screen(monkeypatch)
    assert run(command) == 0

    assert piped == b'{"Faces": "' + EVIL.encode() + b'\xff"}'
    assert "owned" in shown(screen)
    assert not BAD.search(shown(screen))
