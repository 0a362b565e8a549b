"""Each local cloud has a folder, and its process holds the folder's lock while it is alive.

The operating system releases the lock when the process ends for any reason. So an unlocked folder is the remains of a
killed cloud, and may be removed.
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
YOUNG = 10  # seconds in which a new folder may not be locked yet


class InUseError(Exception):
    """Another process holds the folder."""


def fresh() -> Path:
    """A new path for an unnamed cloud; the folder is not created yet."""
    return Path(tempfile.gettempdir()).resolve() / f"{PREFIX}{secrets.token_hex(5)}"


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """Create, lock and finally remove the folder."""
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
    """Whether a process holds the folder."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        # A shared lock, so that two callers don't take each other for the owner.
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
    """Remove what a killed cloud has left in this very folder; nothing if the cloud is alive."""
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
            if refusals == 5:  # `alive` in another process holds the lock for an instant
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
    """Remove the folder; only for its owner. The lock is removed last, so no other process takes a half-emptied
    folder."""
    with contextlib.suppress(OSError):
        _empty(folder)
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()  # not if it has a new owner by now
