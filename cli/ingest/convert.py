"""Copies that Rekognition can read, of videos that it can't: made on this machine, before they are uploaded.

The conversion itself is `localcloud.mediaconvert.convert`, which the local cloud's MediaConvert uses too: what this
option makes and what the setting `convert` makes in the local cloud is the same video.
"""

import errno
import hashlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from cli.core.errors import WrongUse
from cli.core.stack import Stack
from cli.ingest.estimate import header_of
from cli.ingest.upload import Item, Skipped, distinct
from lambdas.aws.videos import LARGEST_VIDEO, NOT_FOUND
from lambdas.model.video_header import LONGEST, VideoHeader, length

LONG_SIDE, SHORT_SIDE = 1920, 1080  # pixels, at most; as MediaConvert's copies have
FROM = "converted-from"  # metadata of a copy: MD5 of the file it was made of


class NotConverted(Exception):
    """A video can't be converted; the message says why."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that is uploaded as a converted copy.

    Attributes:
        item: the file, under the copy's key.
        was: its codec or container.
    """

    item: Item
    was: str


@dataclass(frozen=True, slots=True)
class Made:
    """A copy that was made.

    Attributes:
        item: the copy's file.
        seconds: how long the video is; 0 if unknown.
    """

    item: Item
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with each file."""

    as_they_are: list[Item]
    copies: list[Copy]
    skipped: list[Skipped]


def plan_copies(items: Iterable[Item], stack: Stack, *, convert: bool) -> Plan:
    """Sort files by what their headers say.

    Args:
        items: files to upload, with their keys.
        stack: where to; one with the setting ``convert`` takes more as it is.
        convert: whether to make copies of those that Rekognition can't read; otherwise these are skipped.

    Raises:
        WrongUse: two files would get the same key, or the stack takes no .mp4.
    """
    plan = Plan([], [], [])
    for item in items:
        try:
            with item.path.open("rb") as file:
                header = header_of(file, item.size)
        except OSError as error:
            plan.skipped.append(Skipped(item.path, f"it can't be read ({error.strerror})"))
            continue
        _place(item, header, stack, plan, convert=convert)
    renamed = {*(copy.item.key for copy in plan.copies), *(item.key for item in plan.as_they_are)} - {
        item.key for item in items
    }
    if renamed and ".mp4" not in stack.extensions:
        raise WrongUse(
            f"Converted copies are MP4, and this stack accepts {' and '.join(stack.extensions)} files only.",
            stack.target.deploy("-c", f"video_extensions={' '.join([*stack.extensions, '.mp4'])}"),
        )
    distinct([*plan.as_they_are, *(copy.item for copy in plan.copies)])
    return plan


def _place(item: Item, header: VideoHeader | None, stack: Stack, plan: Plan, *, convert: bool) -> None:
    trouble = header.trouble if header else ""
    helps = bool(header and header.convertible)
    accepted = item.key.lower().endswith(stack.extensions)
    too_large = item.size > LARGEST_VIDEO
    as_mp4 = replace(item, key=str(PurePosixPath(item.key).with_suffix(".mp4")))
    if accepted and not too_large and (not trouble or (helps and not convert and stack.converts)):
        plan.as_they_are.append(item)
    elif trouble and not helps:
        plan.skipped.append(Skipped(item.path, trouble))
    elif not convert:
        plan.skipped.append(Skipped(item.path, f"{trouble} (or let upload do that: --convert)"))
    elif header and not trouble and not too_large:  # an MP4 by another name, such as .m4v
        plan.as_they_are.append(as_mp4)
    else:
        was = header.codec or header.container if header else PurePosixPath(item.key).suffix.removeprefix(".").lower()
        plan.copies.append(Copy(as_mp4, was))


def copy_is_there(stack: Stack, copy: Copy, analyses: str | None) -> bool:
    """Whether the bucket has a copy of this very file under the copy's key, with the same choice of analyses."""
    try:
        metadata = stack.client("s3").head_object(Bucket=stack.videos, Key=copy.item.key)["Metadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_FOUND:
            return False
        raise
    same_choice = metadata.get("analyses") == analyses
    return bool(FROM in metadata and same_choice and metadata[FROM] == md5_of(copy.item.path))


def md5_of(path: Path) -> str:
    """MD5 of a file's content, to recognise it by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def converted(copy: Copy, progress: Callable[[float, float], None]) -> Iterator[Made]:
    """The copy as a file, for the length of the block; it is removed afterwards, also after an interruption.

    Args:
        progress: called with the fraction that is done, and how many times as fast as the video plays it goes.

    Raises:
        NotConverted: because of the video, or of the disk.
    """
    from localcloud.mediaconvert.convert import CannotConvert, Wanted, convert, size_within, upright

    with _interruptible(), tempfile.TemporaryDirectory(prefix="rekognition-batch-") as folder:
        target = Path(folder) / "copy.mp4"
        started = time.monotonic()
        try:
            picture = upright(copy.item.path)

            def say(done: float) -> None:
                progress(done, done * picture.seconds / max(time.monotonic() - started, 0.001))

            if picture.seconds > LONGEST:
                raise NotConverted(f"it is {length(picture.seconds)} long; Rekognition takes up to 6 hours")
            size = size_within(picture, LONG_SIDE, SHORT_SIDE)
            convert(copy.item.path, target, Wanted(size=size, fit="stretch", sound=True), say)
            bytes_made = target.stat().st_size
        except CannotConvert as error:
            raise NotConverted(error.reason) from error
        except OSError as error:
            raise NotConverted(_of_system(error, folder)) from error
        if bytes_made > LARGEST_VIDEO:
            raise NotConverted("its copy is larger than 10 GB, which Rekognition does not take")
        yield Made(Item(target, copy.item.key, bytes_made), picture.seconds)


def _of_system(error: OSError, folder: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free / 1e6
        return f"no room for its copy ({free:,.0f} MB free in {Path(folder).parent}); set TMPDIR to a folder with more"
    return f"its copy can't be made ({error.strerror})"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let the signals that end a process do so as Ctrl-C does: files are removed first."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for number in before:
            signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
