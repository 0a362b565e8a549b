"""A local cloud lives in one folder, and whoever holds the folder's lock is alive.

The lock belongs to the process and goes with it, however it ends. So a folder whose lock can be had is what a killed
cloud left behind, and may be swept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "rekognition-batch-cloud-"
YOUNG = 10  # seconds in which a folder may exist without its owner having got to the lock


class InUseError(Exception):
    """Another process holds the folder."""


def fresh() -> Path:
    """A path, not yet made, for a cloud that nobody will look for by name."""
    return Path(tempfile.gettempdir()).resolve() / f"{PREFIX}{secrets.token_hex(5)}"


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """Hold the folder, empty at first; it is gone afterwards."""
    descriptor = _lock(folder)
    if descriptor is None:
        raise InUseError(f"{folder} is in use.")
    try:
        _empty(folder)
        yield folder
    finally:
        _remove(folder)
        os.close(descriptor)


def alive(folder: Path) -> bool:
    """Whether somebody holds the folder."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        # Shared, so that two who ask don't take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def owner(folder: Path) -> int | None:
    """The process that holds the folder, if any does."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "lock").read_text()) if alive(folder) else None
    return None


def sweep() -> None:
    """Remove what killed clouds of this user have left in the temporary folder."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            status = folder.stat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > YOUNG:
                clear(folder)


def clear(folder: Path) -> None:
    """Remove what a killed cloud has left in this very folder; nothing if it lives."""
    if folder.exists():
        with contextlib.suppress(InUseError), owned(folder):
            pass


def _lock(folder: Path) -> int | None:
    refusals = 0
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # its last owner has just removed the folder
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            refusals += 1
            if refusals == 5:  # whoever only asks holds it for an instant
                return None
            time.sleep(0.05)
            continue
        with contextlib.suppress(FileNotFoundError):
            if (folder / "lock").stat().st_ino == os.fstat(descriptor).st_ino:
                os.truncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        os.close(descriptor)  # locked, but already removed by its last owner


def _empty(folder: Path) -> None:
    # A process that has just been killed may have been in the middle of writing a file: try again.
    for _ in range(20):
        entries = [entry for entry in folder.iterdir() if entry.name != "lock"]
        if not entries:
            return
        for entry in entries:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        time.sleep(0.01)


def _remove(folder: Path) -> None:
    """By its owner only. The lock goes last, so nobody takes the folder for free while it is being emptied."""
    with contextlib.suppress(OSError):
        _empty(folder)
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()  # not if it has a new owner by now
