"""File names on this machine for S3 keys, which may hold characters that a file name can't."""

import re
from pathlib import Path

from cli.core.errors import CliError


def file_name(key: str) -> str:
    """A readable file name for any key: without folders, control characters, or a leading dash that a program would
    read as an option.
    """
    last = "".join(mark if mark.isprintable() else "_" for mark in key.rstrip("/").rsplit("/", 1)[-1])
    name = re.sub(r'^-|[/\\:*?"<>|]', "_", last.strip(". "))
    while len(name.encode()) > 200:
        name = name[:-1]
    return name or "video"


def stem(key: str) -> str:
    """As `file_name`, without the extension."""
    return Path(file_name(key)).stem or "video"


def make(folder: Path) -> Path:
    """The folder; creates it if it is missing.

    Raises:
        CliError: the folder can't be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"{folder} can't be created: {error.strerror}.", "choose another: --output FOLDER") from None
    return folder
