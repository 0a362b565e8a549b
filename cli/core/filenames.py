"""Where files go on this machine: a key may hold what no file's name can."""

import re
from pathlib import Path

from cli.core.errors import CliError


def file_name(key: str) -> str:
    """A file's name that people recognise the key by, whatever the key holds: no folder, no control character, no
    option of a program.
    """
    last = "".join(mark if mark.isprintable() else "_" for mark in key.rstrip("/").rsplit("/", 1)[-1])
    name = re.sub(r'^-|[/\\:*?"<>|]', "_", last.strip(". "))
    while len(name.encode()) > 200:
        name = name[:-1]
    return name or "video"


def stem(key: str) -> str:
    """The same without the extension."""
    return Path(file_name(key)).stem or "video"


def make(folder: Path) -> Path:
    """The folder, made if need be.

    Raises:
        CliError: it can't be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"{folder} can't be made: {error.strerror}.", "name another: --output FOLDER") from None
    return folder
