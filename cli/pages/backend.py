"""The data behind the overview page, and its source in a deployed stack."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from cli.results.result_lookup import parsed
from cli.status.overview import Overview, overview
from cli.status.quota import account_limit
from lambdas.aws.videos import NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cli.core.stack import Stack
    from cli.pages.detections import Document
    from lambdas.model.job import Job

PIECE = 256 * 1024  # bytes per piece of a video


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a video: bytes `first` to `last` (inclusive) of `total`."""

    first: int
    last: int
    total: int
    pieces: Iterable[bytes]


class Backend(Protocol):
    """The source of videos and results. All methods must be thread-safe."""

    @property
    def name(self) -> str:
        """Its name, for the page's head."""

    @property
    def extensions(self) -> Sequence[str]:
        """The extensions of videos: ``(".mp4", ".mov")``."""

    @property
    def slots(self) -> int | None:
        """How many jobs the account may run at a time; None if unknown."""

    def list_jobs(self) -> Overview:
        """All jobs, and the scheduler's item."""

    def exists(self, key: str) -> bool:
        """Whether there is a video of that key."""

    def upload(self, key: str, stream: IO[bytes], size: int) -> None:
        """Store `size` bytes of `stream` as a video; nothing is stored if the stream breaks off."""

    def open_video(self, key: str, first: int = 0, last: int | None = None) -> Part | None:
        """Bytes of a video from `first` on; None if there is no such video.

        Raises:
            OutOfRange: it ends before `first`.
        """

    def documents(self, jobs: Sequence[Job]) -> dict[str, Document]:
        """The documents of the jobs that have one, by analysis."""


class OutOfRange(OSError):
    """The range begins after the end of the video."""


class StackBackend:
    """A stack on AWS or in the local cloud, through the user's own credentials; its buckets stay private."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._s3 = stack.client("s3")  # clients are thread-safe, creating them is not

    @property
    def name(self) -> str:
        """The stack's name and region."""
        return f"{self._stack.name} · {'local cloud' if self._stack.local else self._stack.region}"

    @property
    def extensions(self) -> Sequence[str]:
        """From the stack's output."""
        return self._stack.extensions

    @cached_property
    def slots(self) -> int | None:
        """The account's limit, requested once."""
        return account_limit(self._stack)[0]

    def list_jobs(self) -> Overview:
        """Read the whole table."""
        return overview(self._stack, time.time())

    def exists(self, key: str) -> bool:
        """Ask S3."""
        try:
            self._s3.head_object(Bucket=self._stack.videos, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                return False
            raise
        return True

    def upload(self, key: str, stream: IO[bytes], size: int) -> None:  # noqa: ARG002
        """Upload, in parts if it is large; boto3 aborts an upload that breaks off."""
        self._s3.upload_fileobj(stream, self._stack.videos, key)

    def open_video(self, key: str, first: int = 0, last: int | None = None) -> Part | None:
        """Read a range from S3 and yield it in pieces."""
        wanted = f"bytes={first}-{'' if last is None else last}"
        try:
            answer = self._s3.get_object(Bucket=self._stack.videos, Key=key, Range=wanted)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in NOT_FOUND:
                return None
            if code == "InvalidRange":
                raise OutOfRange from None
            raise
        length = int(answer["ContentLength"])
        _, _, total = answer.get("ContentRange", "").partition("/")
        return Part(first, first + length - 1, int(total or length), _pieces(answer["Body"]))

    def documents(self, jobs: Sequence[Job]) -> dict[str, Document]:
        """Read from the results bucket."""
        found: dict[str, Document] = {}
        for job in jobs:
            if job.state == "SUCCEEDED" and job.result_key:
                try:
                    answer = self._s3.get_object(Bucket=self._stack.results, Key=job.result_key)
                except ClientError as error:
                    if error.response["Error"]["Code"] not in NOT_FOUND:
                        raise
                else:
                    address = f"s3://{self._stack.results}/{job.result_key}"
                    found[job.analysis] = parsed(answer["Body"].read(), address)
        return found


def _pieces(body: Any) -> Iterator[bytes]:
    """The body in pieces; closes the connection when the reader stops."""
    try:
        yield from body.iter_chunks(PIECE)
    finally:
        body.close()
