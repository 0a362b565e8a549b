"""`open`: what other users of the machine see of it, and what a browser is let in by."""

import http.client
import os
import pty
import re
import stat
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from cli.pages import opening
from cli.pages.server import Site
from tests.browser import Tab, chromium, tab
from tests.cli.conftest import Said, aws, stack, typed
from tests.cli.pages.fake import FakeBackend

__all__ = ["aws", "chromium", "stack", "tab", "typed"]  # fixtures

Typed = Callable[..., Said]
SECRET = re.compile(r"token=[\w-]{20,}")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(FakeBackend()) as site:
        yield site


def status(address: str) -> int:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    return connection.getresponse().status


class Browser:
    """What the browser is started with, while it could still be seen."""

    def __init__(self, answers: bool) -> None:
        self.answers = answers
        self.argument = ""
        self.content = ""
        self.modes: tuple[int, int] = (0, 0)
        self.statuses: list[int] = []

    def __call__(self, argument: str) -> bool:
        self.argument = argument
        page = Path(unquote(urlsplit(argument).path))
        self.content = page.read_text()
        self.modes = (stat.S_IMODE(page.stat().st_mode), stat.S_IMODE(page.parent.stat().st_mode))
        address = re.findall(r"url=([^\"]+)", self.content)[0]
        self.statuses = [status(address) for _ in range(2)] if self.answers else []
        return self.answers


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at once."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.results.commands._more_addresses", interrupt)


def test_the_browser_is_told_a_file_that_only_its_user_can_read(
    typed: Typed, ended: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", browser := Browser(answers=True))

    said = typed("open")

    assert said.code == 0, said.err
    assert browser.argument.startswith("file:///")
    assert not SECRET.search(browser.argument + said.out + said.err)
    assert browser.modes == (0o600, 0o700)
    assert browser.statuses == [200, 403], "it lets in once"
    assert not Path(unquote(urlsplit(browser.argument).path)).exists(), "it goes with the command"


@pytest.mark.parametrize("words", [["--no-open"], []])
def test_where_no_browser_opens_an_address_is_printed(
    typed: Typed, ended: None, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", Browser(answers=False))

    said = typed("open", *words)

    assert SECRET.search(said.out)
    assert "works once" in said.err


def test_the_file_is_never_one_that_others_have_put_there(site: Site, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("")
    (tmp_path / "open.html").symlink_to(tmp_path / "theirs")

    with pytest.raises(FileExistsError):
        opening.open_privately(site.login_url(), tmp_path)

    assert (tmp_path / "theirs").read_text() == ""


SERVING = """
import sys
from cli.results.commands import _more_addresses
from cli.pages.server import Site
from tests.cli.pages.fake import FakeBackend
with Site(FakeBackend()) as site:
    print("ready", flush=True)
    _more_addresses(site)
"""


def test_enter_prints_another_address() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SERVING]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            os.write(ours, b"\n\n")
            addresses = [process.stdout.readline().decode().strip() for _ in range(2)]

            assert addresses[0] != addresses[1]
            assert [status(address) for address in addresses] == [200, 200]
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)


def test_a_real_browser_gets_from_the_file_to_the_page(
    tab: Callable[..., Tab], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tab()
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.page.goto(address)))

    opening.open_privately(site.login_url(), tmp_path)
    opened.page.wait_for_url(f"{site.origin}/", timeout=10_000)

    opened.until("document.getElementById('videos') !== null")
    assert opened.errors == []
    [cookie] = opened.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
