"""A file of which only pieces are read, within a budget, and the boxes in it.

Nothing that the file says about sizes is believed beyond its real size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Read = Callable[[int, int], bytes]
"""Returns the bytes at an offset: as many as were asked for, or fewer at the file's end."""

MOST_READS = 12
PIECE = 64 * 1024  # bytes a read; the boxes that matter are close together, so two or three reads do in most files
MOST_BYTES = MOST_READS * PIECE
MOST_BOXES = 20_000  # looked at, so that pieces full of empty boxes take a fraction of a second


class Spent(Exception):
    """The budget of reads or of boxes is used up."""


class Cut(Exception):
    """The file or a box ends in the middle of a field."""


class Pieces:
    """The file, in the pieces that were read."""

    def __init__(self, read: Read, size: int) -> None:
        self.size = size
        self._read = read
        self._pieces: list[tuple[int, bytes]] = []
        self._boxes = 0

    def at(self, offset: int, length: int) -> bytes:
        """The `length` bytes at `offset`, PIECE at the most; fewer at the end of the file.

        Raises:
            Spent: another read would exceed the budget.
        """
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        for start, data in self._pieces:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        if len(self._pieces) == MOST_READS:
            raise Spent
        data = self._read(offset, min(PIECE, self.size - offset))[:PIECE]
        self._pieces.append((offset, data))
        return data[:length]

    def look(self) -> None:
        """Count a box.

        Raises:
            Spent: there were too many.
        """
        self._boxes += 1
        if self._boxes > MOST_BOXES:
            raise Spent

    def boxes(self, start: int, end: int) -> "Iterator[Box]":
        """The boxes between two offsets, one after the other.

        Raises:
            Cut: what is there is no box.
        """
        while start + 8 <= end:
            self.look()
            head = self.at(start, 16)
            size, kind, header = number(head, 0, 4), head[4:8], 8
            if size == 1:
                size, header = number(head, 8, 8), 16
            elif size == 0:
                size = end - start
            if size < header:
                raise Cut
            yield Box(kind, start, start + header, min(start + size, end), whole=start + size <= end)
            start += size

    def inside(self, box: "Box") -> "Iterator[Box]":
        """The boxes in a box."""
        return self.boxes(box.body, box.end)

    def content(self, box: "Box", most: int = 4096) -> bytes:
        """The first `most` bytes of a box's content."""
        return self.at(box.body, min(box.end - box.body, most))


@dataclass(frozen=True, slots=True)
class Box:
    kind: bytes
    start: int
    body: int  # where its content begins
    end: int
    whole: bool  # whether it ends within what it is in


def number(data: bytes, offset: int, width: int, *, signed: bool = False) -> int:
    part = data[offset : offset + width]
    if len(part) < width:
        raise Cut
    return int.from_bytes(part, signed=signed)
