"""A page in the browser, at an address that is no argument of the browser: every user of a machine can read those."""

from __future__ import annotations

import os
import webbrowser
from typing import TYPE_CHECKING

from cli.pages import html

if TYPE_CHECKING:
    from pathlib import Path


def open_privately(address: str, folder: Path) -> bool:
    """Have the browser open `address` by way of a file that this user alone can read; whether there is a browser.

    Args:
        address: what to open; it may hold a secret.
        folder: where to put the file; one that no other user can enter.

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
