"""An object in S3 as a file that is read where somebody looks, by byte range, and never downloaded."""

import io
from collections import OrderedDict
from typing import Any

BLOCK = 256 * 1024  # bytes a request; a header is seldom larger, and a request costs some 20 ms
MOST_BLOCKS = 64  # kept: 16 MB


class S3File(io.RawIOBase):
    """An object to read and seek in.

    Args:
        s3: a client.
        bucket: where it lies.
        key: its key.
        etag: of the content that is meant; if another one takes its place meanwhile, reading fails rather than mixes.
    """

    def __init__(self, s3: Any, bucket: str, key: str, size: int | None = None, etag: str | None = None) -> None:
        self._s3 = s3
        self._place = {"Bucket": bucket, "Key": key}
        if size is None or etag is None:
            head = s3.head_object(**self._place)
            size, etag = head["ContentLength"], head["ETag"]
        self.size: int = size
        self._etag = etag
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.fetched = 0  # bytes, for who wants to know what it cost

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        end = self.size if size < 0 else min(self._at + size, self.size)
        parts = []
        while self._at < end:
            number, begin = divmod(self._at, BLOCK)
            part = self._block(number)[begin : begin + end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """As `read`, into `buffer`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            begin, end = number * BLOCK, min((number + 1) * BLOCK, self.size) - 1
            answer = self._s3.get_object(**self._place, Range=f"bytes={begin}-{end}", IfMatch=self._etag)
            self._blocks[number] = answer["Body"].read()
            self.fetched += end - begin + 1
            if len(self._blocks) > MOST_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]
