"""The price of videos: minutes, from their headers, times the analyses' price per minute."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.core.errors import NotThere
from cli.core.s3_file import S3File
from cli.ingest.video_header import Header, read as read_header
from lambdas.aws.videos import NOT_FOUND
from lambdas.model import prices

AT_ONCE = 16  # headers read at the same time


@dataclass(frozen=True, slots=True)
class Estimate:
    """A video, its header, and its price: zero if Rekognition refuses it (failed jobs are free)."""

    name: str
    header: Header
    dollars: Mapping[str, float]  # by analysis

    @property
    def total(self) -> float:
        """Dollars for all analyses."""
        return sum(self.dollars.values())

    @property
    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"video": self.name, **asdict(self.header), "usd": dict(self.dollars), "usd_total": self.total}


def estimate(name: str, header: Header, analyses: Mapping[str, Mapping[str, Any]]) -> Estimate:
    """The price of `analyses` of that video. Partial minutes are not rounded; AWS may round them up."""
    minutes = 0.0 if header.trouble else header.seconds / 60
    return Estimate(name, header, {one: minutes * price for one, price in prices.per_minute(analyses).items()})


def of_file(path: Path) -> Header:
    """A file's header."""
    return read_header(path, path.stat().st_size)


def of_object(s3: Any, bucket: str, key: str, size: int | None = None, etag: str | None = None) -> Header:
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
    return read_header(file, file.size) if file.size else Header(0, "", 0, 0, 0, 0, "it is empty")


def of_objects(s3: Any, bucket: str, objects: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Header]]:
    """The headers of many objects, in S3's order; AT_ONCE are read in parallel."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="header") as pool:

        def one(found: Mapping[str, Any]) -> tuple[str, Header]:
            return found["Key"], of_object(s3, bucket, found["Key"], found["Size"], found["ETag"])

        yield from pool.map(one, objects)
