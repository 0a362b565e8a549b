"""Requests that no browser sends, as bytes: what RFC 9110 and 9112 call invalid is refused, and ends the connection."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cli.pages import request, server
from cli.pages.server import Site
from tests.cli.pages.fake import FakeBackend

VIDEO = bytes(range(256)) * 40


@pytest.fixture
def backend() -> FakeBackend:
    fake = FakeBackend()
    fake.videos["clip.mp4"] = VIDEO
    return fake


@pytest.fixture
def site(backend: FakeBackend) -> Iterator[Site]:
    with Site(backend) as site:
        yield site


def usual(site: Site) -> str:
    """The header fields with which the page itself asks."""
    return (
        f"Host: 127.0.0.1:{site.port}\r\nOrigin: {site.origin}\r\nSec-Fetch-Site: same-origin\r\n"
        f"Cookie: videos-{site.port}={site.secret}\r\n"
    )


def say(site: Site, content: str | bytes, *, stay: bool = False) -> tuple[list[int], bytes]:
    """Send this, and read until the server closes (or, with `stay`, until it says nothing more): statuses, bytes."""
    received = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=1 if stay else 10) as connection:
        connection.sendall(content if isinstance(content, bytes) else content.encode("latin-1"))
        try:
            while piece := connection.recv(1 << 16):
                received += piece
        except TimeoutError:
            assert stay, "the connection was not closed"
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)], received


def put(site: Site, fields: str, body: str = "") -> str:
    return f"PUT /api/upload?key=new.mp4 HTTP/1.1\r\n{usual(site)}{fields}\r\n{body}"


def get(site: Site, fields: str = "", target: str = "/api/videos", version: str = "HTTP/1.1") -> str:
    return f"GET {target} {version}\r\n{usual(site)}{fields}\r\n"


SMUGGLED = "0123456789GET /api/videos HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 1_0\r\n", 400),
        ("Content-Length: +10\r\n", 400),
        ("Content-Length: 0x0a\r\n", 400),
        ("Content-Length: 10.0\r\n", 400),
        ("Content-Length: 1 0\r\n", 400),
        ("Content-Length: \xb2\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 10, 10\r\n", 400),
        ("Content-Length: 10\r\nContent-Length: 10\r\n", 400),
        ("Content-Length: 10\r\nContent-Length: 20\r\n", 400),
        ("Content-Length: 20\r\ncontent-length: 10\r\n", 400),
        ("Content-Length: 10\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: identity\r\nContent-Length: 10\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("", 411),
        (f"Content-Length: {10 * 1024**3 + 1}\r\n", 413),
        (f"Content-Length: {'9' * 5000}\r\n", 413),
        ("Content-Length: 10\r\nExpect: a miracle\r\n", 417),
    ],
)
def test_a_body_of_unclear_length_is_refused_unread_and_nothing_after_it_is_a_request(
    site: Site, backend: FakeBackend, fields: str, status: int
) -> None:
    statuses, _ = say(site, put(site, fields, SMUGGLED))

    assert statuses == [status]
    assert "new.mp4" not in backend.videos


@pytest.mark.parametrize("fields", ["Content-Length: 44\r\n", "Transfer-Encoding: chunked\r\n"])
def test_a_body_of_a_get_is_not_the_next_request(site: Site, fields: str) -> None:
    statuses, _ = say(site, get(site, fields) + get(site))

    assert statuses == [400 if "Length" in fields else 411]


def test_the_next_request_begins_where_a_body_ends(site: Site, backend: FakeBackend) -> None:
    statuses, _ = say(site, put(site, "Content-Length: 10\r\n", "0123456789") + get(site), stay=True)

    assert statuses == [201, 200]
    assert backend.videos["new.mp4"] == b"0123456789"


def test_what_the_backend_leaves_unread_of_a_body_is_not_the_next_request(
    site: Site, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "upload", lambda *_: None)

    statuses, _ = say(site, put(site, "Content-Length: 10\r\n", SMUGGLED))

    assert statuses == [201]


def test_a_client_that_asks_first_is_told_to_go_on_or_not_to(site: Site, backend: FakeBackend) -> None:
    expecting = "Content-Length: 10\r\nExpect: 100-continue\r\n"

    statuses, _ = say(site, put(site, expecting, "0123456789"), stay=True)
    refused, _ = say(site, put(site, expecting).replace("new.mp4", "notes.txt"))

    assert statuses == [100, 201]
    assert refused == [415]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET  /api/videos HTTP/1.1", 400),
        ("GET /api/videos", 400),
        ("GET /api/videos HTTP/1.1 ", 400),
        (" GET /api/videos HTTP/1.1", 400),
        ("GET /api/videos http/1.1", 400),
        ("GET /api/videos HTTP/1.10", 400),
        ("GET /api/videos HTTP/2.0", 505),
        ("GET /api/videos HTTP/0.9", 505),
        ("G(T /api/videos HTTP/1.1", 400),
        ("GET api/videos HTTP/1.1", 400),
        ("GET /api/v\xefdeos HTTP/1.1", 400),
        ("GET /api/videos\tHTTP/1.1", 400),
        ("GET //evil.example/api/videos HTTP/1.1", 404),
        ("GET http://evil.example/api/videos HTTP/1.1", 421),
        ("GET * HTTP/1.1", 400),
        ("POST /api/videos HTTP/1.1", 501),
        ("GET /" + "x" * 20_000 + " HTTP/1.1", 414),
    ],
)
def test_a_line_that_is_no_request_is_refused(site: Site, line: str, status: int) -> None:
    statuses, _ = say(site, f"{line}\r\n{usual(site)}\r\n")

    assert statuses == [status]


def test_the_whole_address_in_the_request_is_understood(site: Site) -> None:
    statuses, _ = say(site, get(site, target=f"{site.origin}/api/videos"), stay=True)

    assert statuses == [200]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Content-Length : 0\r\n", 400),
        ("X: a\r\n folded: b\r\n", 400),
        ("No colon\r\n", 400),
        (": no name\r\n", 400),
        ("X: a\x00b\r\n", 400),
        ("X: a\rContent-Length: 5\r\n", 400),
        ("X: a\nContent-Length: 5\r\n", 400),
        ("X: a\n", 400),
        ("X\xe9: a\r\n", 400),
        ("Host: 127.0.0.1\r\n", 400),
        ("".join(f"X-{number}: a\r\n" for number in range(200)), 431),
        ("X: " + "a" * 100_000 + "\r\n", 431),
    ],
)
def test_a_header_field_that_is_none_is_refused(site: Site, fields: str, status: int) -> None:
    statuses, _ = say(site, get(site, fields) + get(site))

    assert statuses == [status]


def test_a_second_origin_or_cookie_is_not_overlooked(site: Site) -> None:
    assert say(site, get(site, "Origin: http://evil.example\r\n"))[0] == [400]
    assert say(site, get(site, "Cookie: x=y\r\n"))[0] == [400]


def test_the_connection_of_an_old_client_ends_with_the_answer(site: Site) -> None:
    assert say(site, get(site, version="HTTP/1.0"))[0] == [200]
    assert say(site, get(site, "Connection: foo, Close\r\n"))[0] == [200]


LONG = "9" * 5000


@pytest.mark.parametrize(
    ("wanted", "status", "content_range"),
    [
        ("bytes=5-2", 416, ""),
        (f"bytes={LONG}-", 416, ""),
        (f"bytes={LONG}-{LONG}", 416, ""),
        (f"bytes=10000-{LONG}", 206, "bytes 10000-10239/10240"),
        ("bytes=00-1", 206, "bytes 0-1/10240"),
        ("BYTES=0-1", 206, "bytes 0-1/10240"),
        ("bytes=-", 416, ""),
        ("bytes=", 416, ""),
        ("bytes", 416, ""),
        ("bytes=+1-2", 416, ""),
        ("bytes=1_0-20", 416, ""),
        ("bytes=a-b", 416, ""),
        ("bytes=\xb2-5", 416, ""),
        ("bytes=1-2-3", 416, ""),
        ("bytes=0-1\r\nRange: bytes=5-6", 416, ""),
    ],
)
def test_a_range_that_is_none_is_said_to_be_none(site: Site, wanted: str, status: int, content_range: str) -> None:
    statuses, received = say(site, get(site, f"Range: {wanted}\r\nConnection: close\r\n", "/media?key=clip.mp4"))

    assert statuses == [status]
    assert f"Content-Range: {content_range}\r\n".encode() in received or not content_range


def test_whoever_sends_a_request_bit_by_bit_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    began = time.monotonic()

    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection, suppress(ConnectionError):
        for byte in get(site, "X: " + "a" * 1000 + "\r\n"):
            connection.sendall(byte.encode())
            time.sleep(0.02)

    assert time.monotonic() - began < 3


def test_whoever_says_nothing_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)

    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as connection:
        assert connection.recv(1) == b""


def test_only_so_many_are_served_at_once(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 4)
    with Site(backend) as site:
        idle = [socket.create_connection(("127.0.0.1", site.port), timeout=10) for _ in range(4)]
        with socket.create_connection(("127.0.0.1", site.port), timeout=10) as fifth:
            refused = fifth.recv(1)
        for connection in idle:
            connection.close()
        time.sleep(0.1)

        assert refused == b""
        assert say(site, get(site), stay=True)[0] == [200]


def test_a_head_is_read_no_further_than_to_its_end() -> None:
    class Source:
        content = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody"

        def line(self, most: int) -> bytes:
            line, end, self.content = self.content.partition(b"\n")
            return (line + end)[:most]

    source = Source()

    head = request.read_head(source.line)

    assert (head.method, head.target, head.all("host")) == ("GET", "/", ["x"])
    assert source.content == b"body"
