"""The price of videos: minutes, from their headers, times the analyses' price per minute."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from cli.core.errors import NotThere
from cli.core.s3_file import S3File
from lambdas.aws.videos import NOT_FOUND, wrong_size
from lambdas.model import prices
from lambdas.model.video_header import VideoHeader, read_header

AT_ONCE = 16  # headers read at the same time


@dataclass(frozen=True, slots=True)
class Measured:
    """A video's size and its header; the header has no container where it can't be made out."""

    header: VideoHeader
    size: int

    @property
    def trouble(self) -> str:
        """Why Rekognition refuses it, or why its header doesn't tell its price; empty if neither is so."""
        if why := wrong_size(self.size) or self.header.trouble:
            return why
        if not self.header.container:
            return "it is not a video by its header (is the file cut off?)"
        if self.header.video is None:
            return "its index is missing (is the file cut off?)"
        return "" if self.header.seconds else "its header does not say how long it is"

    @property
    def refused(self) -> bool:
        """Whether Rekognition certainly refuses it."""
        return bool(wrong_size(self.size) or self.header.trouble)

    @property
    def convertible(self) -> bool:
        """Whether a stack with the setting ``convert`` makes a copy of it that Rekognition reads, and its price is
        known."""
        return self.header.convertible and not wrong_size(self.size) and bool(self.header.seconds)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A video, what is known of it, and its price: zero if Rekognition refuses it (failed jobs are free)."""

    name: str
    video: Measured
    dollars: Mapping[str, float]  # by analysis; ``conversion`` if it is converted first
    trouble: str  # why it is not analysed, or its price is not known

    @property
    def total(self) -> float:
        """Dollars for all of it."""
        return sum(self.dollars.values())

    @property
    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        known = {**asdict(self.video.header), "size": self.video.size, "trouble": self.trouble}
        return {"video": self.name, **known, "usd": dict(self.dollars), "usd_total": self.total}


def estimate(
    name: str, video: Measured, analyses: Mapping[str, Mapping[str, Any]], *, converts: bool = False
) -> Estimate:
    """The price of `analyses` of that video. Partial minutes are not rounded; AWS may round them up. `converts`: the
    stack converts what Rekognition can't read."""
    converted = converts and video.convertible
    trouble = "" if converted else video.trouble
    minutes = 0.0 if trouble else video.header.minutes
    dollars = {one: minutes * price for one, price in prices.per_minute(analyses).items()}
    if converted and analyses:
        dollars["conversion"] = prices.conversion(minutes)
    return Estimate(name, video, dollars, trouble)


def of_file(path: Path) -> Measured:
    """A file's header."""
    with path.open("rb") as file:
        return _measured(file, path.stat().st_size)


def of_object(s3: Any, bucket: str, key: str, size: int | None = None, etag: str | None = None) -> Measured:
    """An object's header, read by byte range.

    Raises:
        NotThere: there is no such object, or these credentials may not read it.
    """
    try:
        file = S3File(s3, bucket, key, size, etag)
    except ClientError as error:
        if error.response["Error"]["Code"] in {*NOT_FOUND, "403", "AccessDenied"}:
            raise NotThere(f"s3://{bucket}/{key} does not exist, or you may not read it.") from None
        raise
    return _measured(file, file.size)


def _measured(file: "BinaryIO | S3File", size: int) -> Measured:
    return Measured(header_of(file, size) or VideoHeader(""), size)


def header_of(file: "BinaryIO | S3File", size: int) -> VideoHeader | None:
    """The header of an open file of `size` bytes; None if it is none that is known."""

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    return read_header(read, size)


def of_objects(s3: Any, bucket: str, objects: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Measured]]:
    """The headers of many objects, in S3's order; AT_ONCE are read in parallel."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="header") as pool:

        def one(found: Mapping[str, Any]) -> tuple[str, Measured]:
            return found["Key"], of_object(s3, bucket, found["Key"], found["Size"], found["ETag"])

        yield from pool.map(one, objects)
