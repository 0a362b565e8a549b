"""Upload files and folders into the videos bucket: in parts, in parallel, and only what isn't there yet."""

import hashlib
import math
import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli.core.errors import WrongUse
from cli.core.stack import Stack
from lambdas.aws.videos import LARGEST_VIDEO, NOT_FOUND

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MIB = 1024 * 1024
PART = 8 * MIB  # bytes; the part size of boto3 and the AWS CLI, so that their ETags equal ours
PARTS_OF_OTHERS = tuple(n * MIB for n in (8, 5, 10, 15, 16, 25, 32, 50, 64, 100, 128, 256, 512))
LARGE = 32 * MIB  # bytes from which a file gets its own progress bar
LONGEST_KEY = 1024  # bytes
# Extensions of videos in other containers than MP4 and QuickTime, or in MP4 by another name.
CONVERTIBLE = (
    *(".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".wmv", ".asf"),
    *(".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".dv", ".divx"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One file and its key."""

    path: Path
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file that is not uploaded, and why."""

    path: Path
    why: str


def plan(
    paths: Iterable[Path], prefix: str, extensions: tuple[str, ...], others: tuple[str, ...] = ()
) -> tuple[list[Item], list[Skipped]]:
    """The files to upload, each with its key; and those to skip. A folder's name becomes part of its keys:
    ``interviews/`` gives ``interviews/anna.mp4``.

    Args:
        extensions: of files that may be uploaded.
        others: of files that may be converted, of any size.

    Raises:
        WrongUse: a path does not exist, or two files would get the same key.
    """
    items, skipped = [], []
    for path, key in _found(paths):
        if why := _why_not(path, prefix + key, extensions, others):
            skipped.append(Skipped(path, why))
        else:
            items.append(Item(path, prefix + key, path.stat().st_size))
    return distinct(items), skipped


def distinct(items: Iterable[Item]) -> list[Item]:
    """The items without those that are named twice.

    Raises:
        WrongUse: two files have the same key.
    """
    seen: dict[str, Item] = {}
    for item in items:
        other = seen.setdefault(item.key, item).path
        if other.resolve() != item.path.resolve():
            raise WrongUse(f"{other} and {item.path} would both become {item.key!r}.", "give them a --prefix")
    return list(seen.values())


def _found(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        if path.is_dir():
            name = path.name if path.name not in ("", "..") else ""
            for inner in sorted(path.rglob("*")):
                relative = inner.relative_to(path)
                if inner.is_file() and not any(part.startswith(".") for part in relative.parts):
                    yield inner, (Path(name) / relative).as_posix()
        elif path.is_file():
            yield path, path.name
        else:
            raise WrongUse(f"{path}: there is no such file or folder.")


def _why_not(path: Path, key: str, extensions: tuple[str, ...], others: tuple[str, ...]) -> str:
    if not key.lower().endswith((*extensions, *others)):
        or_convert = "; upload --convert makes an MP4 of it" if key.lower().endswith(CONVERTIBLE) else ""
        return f"not a video by its extension ({', '.join(extensions)}){or_convert}"
    try:
        if len(key.encode()) > LONGEST_KEY:
            return "its key would be longer than S3 allows (1,024 bytes)"
    except UnicodeEncodeError:
        return "its name is not UTF-8, and S3's keys are"
    size = path.stat().st_size
    if size == 0:
        return "it is empty"
    if size > LARGEST_VIDEO and not others:
        return "it is larger than 10 GB, which Rekognition does not take"
    return "" if os.access(path, os.R_OK) else "you may not read it"


def is_there(stack: Stack, item: Item, analyses: str | None) -> bool:
    """Whether the bucket has the same content under the item's key, with the same choice of analyses."""
    try:
        head = stack.client("s3").head_object(Bucket=stack.videos, Key=item.key)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_FOUND:
            return False
        raise
    if head["ContentLength"] != item.size or head["Metadata"].get("analyses") != analyses:
        return False
    etag = head["ETag"].strip('"')
    if "kms" in head.get("ServerSideEncryption", ""):
        # With KMS an ETag is not a checksum. Compare as rsync does: same size, and not older than the file.
        return bool(head["LastModified"].timestamp() >= item.path.stat().st_mtime)
    return has_etag(item.path, item.size, etag)


def has_etag(path: Path, size: int, etag: str) -> bool:
    """Whether a file's content has that ETag: MD5 of the whole, or of the parts' MD5s, ``<md5>-<parts>``."""
    _, dash, count = etag.partition("-")
    if not dash:
        return _md5(path) == etag
    parts = int(count)
    fitting = [part for part in PARTS_OF_OTHERS if math.ceil(size / part) == parts]
    smallest = (
        math.ceil(math.ceil(size / parts) / MIB) * MIB
    )  # for tools that derive the part size from the file's size
    return any(_md5_of_parts(path, part) == etag for part in dict.fromkeys([*fitting, smallest]))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _md5_of_parts(path: Path, part: int) -> str:
    digests = []
    with path.open("rb") as file:
        while block := file.read(part):
            digests.append(hashlib.md5(block, usedforsecurity=False).digest())
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(digests)}"


class Bars:
    """One progress bar for all files, and one for each large file in transfer."""

    def __init__(self, bars: "Progress", items: Iterable[Item]) -> None:
        self._bars = bars
        self._items = list(items)
        self._done = 0
        self._all = bars.add_task(self._label(), total=sum(item.size for item in self._items))
        self._own: dict[str, TaskID] = {}
        self._lock = Lock()  # several threads send parts of one file

    def _label(self) -> str:
        return f"{self._done} of {len(self._items)} videos"

    def sent(self, item: Item, size: int) -> None:
        """Add `size` bytes."""
        self._bars.update(self._all, advance=size)
        if item.size >= LARGE:
            with self._lock:
                if item.key not in self._own:
                    self._own[item.key] = self._bars.add_task(f"  {item.path.name[:28]}", total=item.size)
            self._bars.update(self._own[item.key], advance=size)

    def done(self, item: Item) -> None:
        """A file has ended, uploaded or failed."""
        with self._lock:
            self._done += 1
            own = self._own.pop(item.key, None)
        self._bars.update(self._all, description=self._label())
        if own is not None:
            self._bars.remove_task(own)


def send(stack: Stack, items: list[Item], metadata: Mapping[str, str], bars: Bars) -> Iterator[tuple[Item, str]]:
    """Upload the items; yields each with an error message, empty if it succeeded. An interruption leaves no partial
    upload."""
    from boto3.s3.transfer import TransferConfig, create_transfer_manager
    from botocore.config import Config

    client = stack.client("s3", config=Config(max_pool_connections=20))
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=16)
    with create_transfer_manager(client, config) as manager:
        running = []
        for item in items:
            kind = mimetypes.guess_type(item.key)[0] or "video/mp4"
            extra = {"ContentType": kind, "Metadata": dict(metadata)}
            watch: Any = [_Watch(item, bars)]
            running.append((item, manager.upload(str(item.path), stack.videos, item.key, extra, watch)))
        for item, future in running:
            try:
                future.result()
            except (ClientError, OSError) as error:
                yield item, str(error)
            except Exception as error:
                if type(error).__name__ != "S3UploadFailedError":
                    raise
                yield item, str(error)
            else:
                yield item, ""


class _Watch:
    """The transfer manager's callbacks for one file. (It looks these methods up by name.)"""

    def __init__(self, item: Item, bars: Bars) -> None:
        self._item = item
        self._bars = bars

    def on_queued(self, **_: Any) -> None:
        """The transfer has not begun; shows nothing."""

    def on_progress(self, bytes_transferred: int, **_: Any) -> None:
        """Add bytes; a negative number when a part is sent again."""
        self._bars.sent(self._item, bytes_transferred)

    def on_done(self, **_: Any) -> None:
        """The transfer has ended."""
        self._bars.done(self._item)
