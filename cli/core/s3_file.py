"""An S3 object as a seekable file: each read fetches only the byte ranges it needs."""

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

BLOCK = 256 * 1024  # bytes per request; most headers fit in one, and a request takes about 20 ms
MOST_KEPT = 16 * 1024 * 1024  # bytes in memory


class RangedFile(io.RawIOBase):
    """A seekable file of `size` bytes that fetches the blocks which are read.

    Args:
        fetch: returns the bytes from a first to a last position, inclusive.
        block: bytes per fetch.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes], block: int = BLOCK) -> None:
        self.size = size
        self._fetch = fetch
        self._block_size = block
        self._at = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.fetched = 0  # bytes fetched so far; tests check it

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The position of the next read, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position of the next read; fetches nothing."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        end = self.size if size < 0 else min(self._at + size, self.size)
        parts = []
        while self._at < end:
            number, begin = divmod(self._at, self._block_size)
            part = self._block(number)[begin : begin + end - self._at]
            if not part:
                raise EOFError("the file is shorter than it was said to be")
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Read into `buffer`; returns the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            begin, end = number * self._block_size, min((number + 1) * self._block_size, self.size) - 1
            self._blocks[number] = self._fetch(begin, end)
            self.fetched += end - begin + 1
            if len(self._blocks) * self._block_size > MOST_KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


class S3File(RangedFile):
    """An S3 object as a seekable file.

    Args:
        s3: a client.
        bucket: the object's bucket.
        key: the object's key.
        etag: of the expected content; if the object is replaced meanwhile, reads fail instead of mixing two contents.
    """

    def __init__(self, s3: Any, bucket: str, key: str, size: int | None = None, etag: str | None = None) -> None:
        place = {"Bucket": bucket, "Key": key}
        if size is None or etag is None:
            head = s3.head_object(**place)
            size, etag = head["ContentLength"], head["ETag"]

        def fetch(first: int, last: int) -> bytes:
            body: bytes = s3.get_object(**place, Range=f"bytes={first}-{last}", IfMatch=etag)["Body"].read()
            return body

        super().__init__(size, fetch)
