"""The head of a request, read strictly by RFC 9110 and RFC 9112.

Where two readers could take a request for two different ones (where it ends, what belongs to its body), no browser
sends it and a smuggler might. It is refused, and the connection ends with the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_LINE = (
    16 * 1024
)  # bytes; a key in an address has up to 3 KB, and browsers send cookies of other local pages as well
MOST_FIELDS = 100
FAR = 10**15  # bytes; larger than any S3 object

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])[.]([0-9])\r\n")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)\r\n")
_SPAN = re.compile(r"([0-9]+)-([0-9]*)")
_SUFFIX = re.compile(r"-[0-9]+")


class Refused(Exception):
    """A refused request: a status, and a sentence for the client."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request line, and header fields by their names in lower case."""

    method: str
    target: str
    minor: int  # of the version HTTP/1.x
    fields: Sequence[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of every field of that name."""
        return [value for given, value in self.fields if given == name]

    def one(self, name: str) -> str | None:
        """The value of a field that may occur once; None if it is missing.

        Raises:
            Refused: it is there twice.
        """
        values = self.all(name)
        if len(values) > 1:
            raise Refused(HTTPStatus.BAD_REQUEST, f"The header field {name} occurs {len(values)} times.")
        return values[0] if values else None

    @property
    def closing(self) -> bool:
        """Whether the connection ends with the answer."""
        options = [word.strip().lower() for value in self.all("connection") for word in value.split(",")]
        return self.minor == 0 or "close" in options

    @property
    def expects_go_on(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends the body.

        Raises:
            Refused: it expects something else.
        """
        expected = self.one("expect")
        if expected is None or self.minor == 0:
            return False
        if expected.lower() != "100-continue":
            raise Refused(HTTPStatus.EXPECTATION_FAILED, "The only supported expectation is 100-continue.")
        return True

    def body_length(self) -> int | None:
        """The length of the body in bytes; None if there is none.

        Raises:
            Refused: that is not said in one clear way: 400, or by a transfer coding: 411, 501.
        """
        codings, lengths = self.all("transfer-encoding"), self.all("content-length")
        if codings and (lengths or self.minor == 0):
            raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length and Transfer-Encoding exclude each other.")
        if codings:
            if [coding.strip().lower() for coding in codings] != ["chunked"]:
                raise Refused(HTTPStatus.NOT_IMPLEMENTED, "This Transfer-Encoding is not supported.")
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "A request with a body needs a Content-Length.")
        if not lengths:
            return None
        if len(lengths) > 1 or not re.fullmatch("[0-9]+", lengths[0]):
            raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length must be one number in the digits 0 to 9.")
        return _number(lengths[0])

    def byte_range(self) -> tuple[int, int | None] | None:
        """The one range asked for: first byte, last byte or None for the end. None: send the whole.

        The whole is what RFC 9110 allows for any range; here several ranges, and the last n bytes, get it.

        Raises:
            Refused: 416, it is no range.
        """
        values = self.all("range")
        unit, equals, spans = values[0].partition("=") if values else ("", "", "")
        if not values or (equals and unit.lower() != "bytes"):
            return None
        found = [
            _SPAN.fullmatch(span.strip(" \t")) or _SUFFIX.fullmatch(span.strip(" \t")) for span in spans.split(",")
        ]
        ends = [(_number(one[1]), _number(one[2]) if one[2] else FAR) for one in found if one and one.re is _SPAN]
        if len(values) > 1 or None in found or any(first > last or first >= FAR for first, last in ends):
            raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The range is invalid.")
        if len(found) > 1 or not ends:
            return None
        [(first, last)] = ends
        return first, None if last >= FAR else last


def _number(digits: str) -> int:
    """The number in these digits, at most FAR; Python converts no more than 4,300 digits."""
    digits = digits.lstrip("0") or "0"
    return min(int(digits), FAR) if len(digits) < 20 else FAR


def read_head(line: Callable[[int], bytes]) -> Head:
    """Read a head.

    Args:
        line: reads a line with its end, of so many bytes at most; fewer without an end if the connection ends.

    Raises:
        Refused: it is malformed, too long, or of another major version.
        ConnectionError: the connection ended before the head did.
    """
    first = _line(line, HTTPStatus.REQUEST_URI_TOO_LONG)
    if first == b"\r\n":  # RFC 9112, 2.2: one empty line may precede a request
        first = _line(line, HTTPStatus.REQUEST_URI_TOO_LONG)
    asked = _REQUEST_LINE.fullmatch(first)
    if not asked:
        raise Refused(HTTPStatus.BAD_REQUEST, "The request line is malformed.")
    method, target, major, minor = (part.decode("ascii") for part in asked.groups())
    if major != "1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This server supports HTTP/1.1.")
    fields: list[tuple[str, str]] = []
    while (text := _line(line, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)) != b"\r\n":
        field = _FIELD.fullmatch(text)
        if not field:
            raise Refused(HTTPStatus.BAD_REQUEST, "A header field is malformed.")
        if len(fields) == MOST_FIELDS:
            raise Refused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"A request may have up to {MOST_FIELDS} header fields."
            )
        fields.append((field[1].decode("ascii").lower(), field[2].decode("latin-1").strip(" \t")))
    return Head(method, target, int(minor), fields)


def _line(line: Callable[[int], bytes], too_long: HTTPStatus) -> bytes:
    found = line(LONGEST_LINE)
    if not found.endswith(b"\n"):
        if len(found) >= LONGEST_LINE:
            raise Refused(too_long, f"A line of the head may have up to {LONGEST_LINE} bytes.")
        raise ConnectionError("the request broke off")
    return found
