"""Open a page without putting its address into the browser's arguments, which every user of the machine can read."""

from __future__ import annotations

import os
import webbrowser
from typing import TYPE_CHECKING

from cli.pages import html

if TYPE_CHECKING:
    from pathlib import Path


def open_privately(address: str, folder: Path) -> bool:
    """Open `address` in the browser, through a file that only this user can read; returns whether there is a browser.

    Args:
        address: what to open; it may hold a secret.
        folder: for the file; no other user may be able to enter it.

    Raises:
        OSError: the file can't be written; also if something of its name is there already.
    """
    page = folder / "open.html"
    with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">\n'
            f'<meta http-equiv="refresh" content="0; url={html.escape(address)}"><title>Videos</title>\n'
            f'<p><a href="{html.escape(address)}">Videos</a></p></html>\n'
        )
    return webbrowser.open(page.as_uri())
