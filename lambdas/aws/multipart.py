"""Writes an S3 object in parts, with memory for one part, so that another invocation can continue where this one
stopped.

S3 requires parts of at least 5 MiB (except the last) and keeps them. The bytes after the last part, the tail, are saved
as an object of their own at a checkpoint.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 8 * 1024 * 1024  # bytes; S3 takes 10,000 parts, so 80 GB


class PreconditionFailed(Exception):
    """The object under the key is not the one that was to be replaced."""


class UploadGone(Exception):
    """The multipart upload can't be completed: begin another, with all its parts."""


@dataclass(frozen=True, slots=True)
class Target:
    """An object's address, content type and metadata."""

    bucket: str
    key: str
    content_type: str
    metadata: Mapping[str, str]


class ObjectStream:
    """An object being written. Nothing appears under its key until ``finish``.

    Args:
        s3: the client.
        target: the object's address and metadata.
        upload_id: the multipart upload to continue, if there is one.
        parts: etags of its parts so far, in order. They travel with the checkpoint: should another invocation upload
            a part of its own over one of these, S3 refuses to complete instead of mixing two writings.
        tail: the bytes after these parts, not yet uploaded.
    """

    def __init__(
        self,
        s3: "S3Client",
        target: Target,
        *,
        upload_id: str | None = None,
        parts: Sequence[str] = (),
        tail: bytes = b"",
    ) -> None:
        self._s3 = s3
        self.target = target
        self._upload_id = upload_id
        self._parts = list(parts)
        self._tail = bytearray(tail)

    @property
    def begun(self) -> bool:
        """Whether S3 has a part already; then the key can't change any more."""
        return self._upload_id is not None

    def write(self, data: bytes) -> None:
        """Add `data` at the end.

        Raises:
            UploadGone: the upload was finished or aborted by another invocation, or by a rule of the bucket.
        """
        self._tail += data
        while len(self._tail) >= PART:
            self._upload_part(bytes(memoryview(self._tail)[:PART]))
            del self._tail[:PART]

    def _upload_part(self, data: bytes) -> None:
        place = {"Bucket": self.target.bucket, "Key": self.target.key}
        if self._upload_id is None:
            self._upload_id = self._s3.create_multipart_upload(**place, **self._labels)["UploadId"]  # type: ignore[arg-type]
        # A part uploaded again replaces itself, so the remains of a crashed invocation do no harm.
        number = len(self._parts) + 1
        try:
            part = self._s3.upload_part(**place, UploadId=self._upload_id, PartNumber=number, Body=data)  # type: ignore[arg-type]
        except ClientError as error:
            if _code(error) == "NoSuchUpload":
                raise UploadGone(self.target.key) from error
            raise
        self._parts.append(part["ETag"])

    def state(self) -> dict[str, Any]:
        """The state that another invocation needs, beside the tail, to continue."""
        return {"upload_id": self._upload_id, "parts": list(self._parts)}

    @property
    def tail(self) -> bytes:
        """The bytes that are not yet uploaded."""
        return bytes(self._tail)

    def finish(self, **condition: str) -> None:
        """Complete the object. `condition` is S3's: ``IfMatch`` (an etag) or ``IfNoneMatch`` (``"*"``).

        After PreconditionFailed it may be called again with another condition; the upload is still there.

        Raises:
            PreconditionFailed: the condition does not hold.
            UploadGone: another invocation finished or aborted the upload or replaced a part, or S3 answered 409.
        """
        place = {"Bucket": self.target.bucket, "Key": self.target.key}
        try:
            if self._upload_id is None:
                self._s3.put_object(**place, Body=bytes(self._tail), **self._labels, **condition)  # type: ignore[arg-type]
                return
            if self._tail:
                self._upload_part(bytes(self._tail))
                self._tail.clear()
            parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(self._parts, 1)]
            complete: Any = self._s3.complete_multipart_upload  # its stub can't take a condition by name
            complete(**place, UploadId=self._upload_id, MultipartUpload={"Parts": parts}, **condition)
        except ClientError as error:
            code = _code(error)
            # Amazon S3 API Reference on 409: after PutObject "retry the upload", after CompleteMultipartUpload
            # "re-initiate the multipart upload with CreateMultipartUpload and re-upload each part".
            again = code in ("ConditionalRequestConflict", "409")
            if code in ("NoSuchUpload", "InvalidPart") or (again and self.begun):
                raise UploadGone(f"{code}: {self.target.key}") from error
            # NoSuchKey: the object for If-Match was deleted.
            if again or code in ("PreconditionFailed", "412", "NoSuchKey"):
                raise PreconditionFailed(self.target.key) from error
            raise

    def abandon(self) -> None:
        """Abort the upload. (Otherwise a lifecycle rule of the bucket aborts it after a while.)"""
        if self._upload_id is not None:
            try:
                self._s3.abort_multipart_upload(
                    Bucket=self.target.bucket, Key=self.target.key, UploadId=self._upload_id
                )
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise
            self._upload_id, self._parts = None, []
        self._tail.clear()

    @property
    def _labels(self) -> dict[str, Any]:
        return {"ContentType": self.target.content_type, "Metadata": dict(self.target.metadata)}


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


# RFC 1952: magic, deflate, no flags, no time (so that equal rows are equal bytes), no extra flags, system unknown
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class GzipStream:
    """A gzip file over an ObjectStream, in one member, which another invocation can continue.

    zlib's full flush ends a block at a byte and forgets the window, so a new compressor can take over there; only the
    checksum and the length travel.
    """

    def __init__(self, stream: ObjectStream, *, checksum: int = 0, length: int = 0, started: bool = False) -> None:
        self.stream = stream
        self._checksum = checksum
        self._length = length
        # For these rows, level 1 takes a third of the time of level 6, and files are a quarter larger.
        self._compressor = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
        if not started:
            stream.write(_GZIP_HEADER)

    def write(self, data: bytes) -> None:
        """Add `data` at the end."""
        self._checksum = zlib.crc32(data, self._checksum)
        self._length += len(data)
        self.stream.write(self._compressor.compress(data))

    def state(self) -> dict[str, Any]:
        """The state that another invocation needs, beside the stream's tail, to continue. Read the tail after this."""
        self.stream.write(self._compressor.flush(zlib.Z_FULL_FLUSH))
        return {"checksum": self._checksum, "length": self._length, **self.stream.state()}

    def finish(self) -> None:
        """Complete the file."""
        trailer = self._checksum.to_bytes(4, "little") + (self._length % 2**32).to_bytes(4, "little")
        self.stream.write(self._compressor.flush(zlib.Z_FINISH) + trailer)
        self.stream.finish()
