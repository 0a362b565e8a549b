"""A web page with all videos, served on this machine only: drop videos, follow their analyses.

    with Site(StackBackend(stack)) as site:
        print(site.login_url())

Access control:

- The server listens on 127.0.0.1 and refuses any Host header but that name and `localhost`, so a web page can't reach
  it by DNS rebinding.
- Every page needs a cookie with a secret of this process. The server gives the cookie for a token that is new and works
  once (`login_url`), so an address that another user has seen is useless.
- The server refuses requests that come from other sites' scripts, forms, frames or images (Origin, Sec-Fetch-Site),
even
  with a cookie.
- `request` parses requests strictly, and the server disconnects a client that sends too slowly.
"""

from __future__ import annotations

import hmac
import io
import json
import secrets
import socket
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qs, quote

from cli.core.s3_file import RangedFile
from cli.pages import detections, html
from cli.pages.backend import OutOfRange
from cli.pages.report import Facts, Link, build_report, stills_of
from cli.pages.request import Head, Refused, read_head
from cli.results.result_lookup import newest_upload
from lambdas.aws.videos import LARGEST_VIDEO
from lambdas.model.job import FINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.pages.backend import Backend, Part
    from cli.status.overview import JobStatus, Overview
    from lambdas.model.job import Job

STYLES = ("base.css", "overview.css")
SCRIPTS = ("base.js", "overview.js")
MOST_SHOWN = 200  # videos sent to the page at once; the search finds the others
SHORTEST_LOOK = 1.0  # seconds between two reads of the table
SHARE = 10  # at most one part in so many of the time is spent reading the table, however large it is
LONGEST_KEY = 1024  # bytes; S3's limit
REPORTS_KEPT = 8
PICTURES_PATIENCE = 6.0  # seconds to spend on a report's pictures; after that it is shown without them
BUFFER = 1024 * 1024
TOKEN_SECONDS = 120.0  # lifetime of a token in an address
HEAD_SECONDS = 10.0  # from the first byte of a request to the end of its head, and from a connection to that byte
ANSWER_SECONDS = 5.0  # for a client to read a refusal while it is still sending
MOST_CONNECTIONS = 64  # at once; a browser opens six
POLL = 0.1  # seconds between checks for a shutdown

# A video's state is the first of these that one of its jobs has: work in progress first, then failures.
ORDER = ("RUNNING", "COLLECTING", "CONVERTING", "WAITING", "FAILED", "REJECTED", "SUCCEEDED")


class BrokenOff(OSError):
    """The client closed the connection during an upload."""


class Exactly(io.RawIOBase):
    """The next `size` bytes of a connection; raises BrokenOff if there are fewer."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source = source
        self.left = size

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to `len(buffer)` bytes; returns 0 only after `size` bytes."""
        wanted = min(len(buffer), self.left)
        if not wanted:
            return 0
        piece = self._source.read(wanted)
        if not piece:
            raise BrokenOff("the upload broke off")
        buffer[: len(piece)] = piece
        self.left -= len(piece)
        return len(piece)


def video_file(backend: Backend, key: str, patience: float) -> RangedFile:
    """A video of the backend as a seekable file; after `patience` seconds, a read raises TimeoutError."""
    until = time.monotonic() + patience

    def fetch(first: int, last: int) -> Part:
        if time.monotonic() > until:
            raise TimeoutError("no more patience")
        part = backend.open_video(key, first, last)
        if part is None:
            raise FileNotFoundError(key)
        return part

    return RangedFile(fetch(0, 0).total, lambda first, last: b"".join(fetch(first, last).pieces), BUFFER)


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of one read of the table."""

    at: float
    took: float
    overview: Overview


class Site:
    """The server; it runs in its own threads within the `with` block."""

    def __init__(self, backend: Backend, host: str = "127.0.0.1", port: int = 0) -> None:
        if host not in ("127.0.0.1", "localhost"):
            raise ValueError(
                f"host is {host!r}; only 127.0.0.1 is accepted, because every client acts with your credentials"
            )
        self.backend = backend
        self.secret = secrets.token_urlsafe(32)  # only in the cookie
        self._tokens: dict[str, float] = {}  # token: when it expires
        self._giving = threading.Lock()
        self._seen: Seen | None = None
        self._looking = threading.Lock()
        self._reports: OrderedDict[str, str] = OrderedDict()
        self._building = threading.Lock()
        site = self

        class Handler(_Handler):
            def setup(self) -> None:
                self.site = site
                super().setup()

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"http://127.0.0.1:{self.port}"

    def login_url(self) -> str:
        """A new address that gives access to the first client that opens it, within TOKEN_SECONDS."""
        token = secrets.token_urlsafe(32)
        with self._giving:
            now = time.monotonic()
            self._tokens = {old: end for old, end in self._tokens.items() if end > now}
            self._tokens[token] = now + TOKEN_SECONDS
        return f"{self.origin}/?token={token}"

    def take(self, token: str) -> bool:
        """Whether that is an unused, unexpired token of `login_url`; marks it as used."""
        with self._giving:
            return self._tokens.pop(token, 0.0) > time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def look(self) -> Overview:
        """All jobs; reads the table again if the last read is old enough for the time it took."""
        with self._looking:
            now = time.monotonic()
            if self._seen is None or now - self._seen.at > max(SHORTEST_LOOK, SHARE * self._seen.took):
                found = self.backend.list_jobs()
                self._seen = Seen(time.monotonic(), time.monotonic() - now, found)
            return self._seen.overview

    def look_again(self) -> None:
        """Make the next `look` read the table, unless a read is slow."""
        with self._looking:
            if self._seen and self._seen.took < SHORTEST_LOOK:
                self._seen = None

    def report(self, key: str) -> str:
        """The page of one video.

        Raises:
            Refused: there is no such video.
        """
        jobs = newest_upload(status.job for status in self.look().statuses if status.job.key == key)
        if not jobs:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no job for a video of that name.")
        known = sha256(json.dumps([[job.job_id, job.state, job.state_since] for job in jobs]).encode()).hexdigest()
        with self._building:
            if known not in self._reports:
                self._reports[known] = self._built(key, jobs)
                while len(self._reports) > REPORTS_KEPT:
                    self._reports.popitem(last=False)
            self._reports.move_to_end(known)
            return self._reports[known]

    def _built(self, key: str, jobs: Sequence[Job]) -> str:
        documents = self.backend.documents(jobs)
        found = detections.read(documents)
        stills = []
        with suppress(Exception):  # results are shown even if the video can't be read
            file = video_file(self.backend, key, PICTURES_PATIENCE)
            stills = stills_of(file, found, documents) if found else []
        link = Link(f"/media?key={quote(key, safe='')}")
        return build_report(key, documents, facts=Facts.of(jobs), video=link, stills=stills, found=found, back="/")


def summary(seen: Overview, slots: int | None, search: str, state: str) -> dict[str, Any]:
    """The page's data: counts, slots and backlog, and the matching videos, newest first."""
    videos: dict[str, list[JobStatus]] = {}
    for status in seen.statuses:
        videos.setdefault(status.job.key, []).append(status)
    entries = []
    counts = dict.fromkeys(ORDER, 0)
    wanted = search.casefold()
    for key, statuses in videos.items():
        jobs = [status for status in statuses if not status.replaced]
        at = min((ORDER.index(status.job.state) for status in jobs), default=len(ORDER) - 1)
        entry_state = ORDER[at]
        if wanted and wanted not in key.casefold():
            continue
        counts[entry_state] += 1
        if not state or entry_state == state:
            entries.append((max(status.job.uploaded_at for status in jobs), key, entry_state, jobs))
    entries.sort(key=lambda entry: entry[0], reverse=True)
    states = [status.job.state for status in seen.statuses]
    return {
        "backlog": {
            "running": states.count("RUNNING"),
            "waiting": states.count("WAITING"),
            "converting": states.count("CONVERTING"),
            "collecting": states.count("COLLECTING"),
            "paused": bool(seen.scheduler.get("paused")),
            "blocked": [block.sentence for block in seen.blocks],
            "refused": seen.scheduler.get("refused_at"),
            "slots": slots,
        },
        "all": len(videos),
        "counts": {name: number for name, number in counts.items() if number},
        "matching": len(entries),
        "videos": [_entry(*entry) for entry in entries[:MOST_SHOWN]],
    }


def _entry(uploaded: str, key: str, state: str, statuses: Sequence[JobStatus]) -> dict[str, Any]:
    return {
        "key": key.encode("utf-8", "replace").decode(),
        "state": state,
        "uploaded": uploaded,
        "size": max(status.job.size for status in statuses),
        "over": all(status.job.state in FINAL for status in statuses),
        "jobs": [
            {
                "analysis": status.job.analysis,
                "state": status.job.state,
                "since": status.job.state_since,
                "reason": status.job.reason,
                "position": status.position,
                "expected": status.expected,
                "stuck": status.stuck,
                "detections": status.job.detections,
            }
            for status in sorted(statuses, key=lambda status: status.job.analysis)
        ],
    }


class _Server(ThreadingHTTPServer):
    """A thread for each connection, and no more than MOST_CONNECTIONS of them."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    site: Site
    head: Head
    protocol_version = "HTTP/1.1"
    server_version = "videos"
    sys_version = ""
    timeout = 120  # seconds without a byte
    rbufsize = BUFFER
    _answered = False

    def log_request(self, *_: Any) -> None:
        """Log nothing: the terminal belongs to the user."""

    # requests

    def handle_one_request(self) -> None:
        """Read a request and answer it. (The standard library's parser accepts many malformed requests.)"""
        self.close_connection, self._said, self.path = True, False, ""
        self.request_version = self.protocol_version
        try:
            self.connection.settimeout(self.timeout if self._answered else HEAD_SECONDS)
            if not self.rfile.peek(1):  # type: ignore[attr-defined]
                return
            self._until = time.monotonic() + HEAD_SECONDS
            self.head = read_head(self._line)
            self.connection.settimeout(self.timeout)
            self.command, self.path, self._answered = self.head.method, self.head.target, True
            self._answer()
        except Refused as refused:
            self._refuse(refused.status, str(refused))
        except (ConnectionError, TimeoutError, BrokenOff):
            self.close_connection = True  # the client has gone
        except Exception as error:  # the page shows AWS's message
            self._refuse(HTTPStatus.BAD_GATEWAY, f"{type(error).__name__}: {error}")

    def _line(self, most: int) -> bytes:
        """One line of the head; it must arrive within HEAD_SECONDS."""
        found = b""
        while len(found) < most and not found.endswith(b"\n"):
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the request came too slowly")
            self.connection.settimeout(left)
            ready = self.rfile.peek(1)[: most - len(found)]  # type: ignore[attr-defined]  # at most one read
            if not ready:
                break
            found += self.rfile.read(ready.find(b"\n") + 1 or len(ready))
        return found

    def _answer(self) -> None:
        length = self.head.body_length()
        if self.command not in ("GET", "PUT"):
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "This server supports GET and PUT only.")
        if self.command == "GET" and length:
            raise Refused(HTTPStatus.BAD_REQUEST, "A GET request must not have a body.")
        path, query = self._address()
        self.close_connection = self.head.closing
        if path == "/" and self.command == "GET" and "token" in query:
            self._let_in(query["token"])
            return
        self._check_origin()
        self._check_cookie()
        if self.command == "GET":
            self._get(path, query)
        else:
            self._put(path, query, length)

    def _address(self) -> tuple[str, dict[str, str]]:
        """The path and the query; the Host header must name this server."""
        names = {f"127.0.0.1:{self.site.port}", f"localhost:{self.site.port}"}
        target, called = self.path, [self.head.one("host")]
        if target[:7].lower() == "http://":
            authority, slash, rest = target[7:].partition("/")
            target, called = slash + rest, [*called, authority]
        if called[0] is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "The header field Host is missing.")
        if not names.issuperset(called):
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "Unexpected Host header.")
        if not target.startswith("/"):
            raise Refused(HTTPStatus.BAD_REQUEST, "The path must begin with a slash.")
        path, _, query = target.partition("?")
        return path, {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}

    # access control

    def _check_origin(self) -> None:
        origin = self.head.one("origin")
        if origin is not None and origin != f"http://{self.head.one('host')}":
            raise Refused(HTTPStatus.FORBIDDEN, "Requests from other pages are refused.")
        if self.head.one("sec-fetch-site") not in (None, "none", "same-origin"):
            raise Refused(HTTPStatus.FORBIDDEN, "Requests from other pages are refused.")
        if self.command != "GET" and origin is None:
            raise Refused(HTTPStatus.FORBIDDEN, "Only the page itself may send this request.")

    @property
    def _cookie_name(self) -> str:
        # Cookies are not separated by port, so each server has its own cookie name.
        return f"videos-{self.site.port}"

    def _let_in(self, token: str) -> None:
        """Give a cookie for a token, without a check of the origin: the token alone is the proof."""
        if not self.site.take(token):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "This address was used before or has expired. Press Enter in the terminal of the server for a new one.",
            )
        cookie = f"{self._cookie_name}={self.site.secret}; HttpOnly; SameSite=Strict; Path=/"
        # A page and not a redirect: a browser that comes from a file or another site does not send a SameSite=Strict
        # cookie on redirects. The requests that follow this page come from the site itself.
        policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
        self._send(HTTPStatus.OK, LET_IN, "text/html; charset=utf-8", {"Set-Cookie": cookie} | policy)

    def _check_cookie(self) -> None:
        for part in (self.head.one("cookie") or "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie_name and hmac.compare_digest(value.encode(), self.site.secret.encode()):
                return
        raise Refused(HTTPStatus.FORBIDDEN, "Open the address that the server printed in its terminal.")

    # resources

    def _get(self, path: str, query: dict[str, str]) -> None:
        if path == "/":
            self._page(overview_page(self.site.backend))
        elif path == "/api/videos":
            found = summary(self.site.look(), self.site.backend.slots, query.get("search", ""), query.get("state", ""))
            self._json(HTTPStatus.OK, found)
        elif path == "/video":
            self._page(self.site.report(query.get("key", "")))
        elif path == "/media":
            self._media(query.get("key", ""))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _put(self, path: str, query: dict[str, str], length: int | None) -> None:
        if path != "/api/upload":
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        key = query.get("key", "")
        check_key(key, self.site.backend.extensions)
        if length is None:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing.")
        if length > LARGEST_VIDEO:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Rekognition accepts videos of up to 10 GB.")
        going_on = self.head.expects_go_on
        if "replace" not in query and self.site.backend.exists(key):
            raise Refused(HTTPStatus.CONFLICT, "A video of that name exists already.")
        if going_on:
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        stream = Exactly(cast("IO[bytes]", self.rfile), length)
        self.site.backend.upload(key, cast("IO[bytes]", io.BufferedReader(stream, BUFFER)), length)
        if stream.left:
            self.close_connection = True  # the rest of the body must not be read as a request
        self.site.look_again()
        self._json(HTTPStatus.CREATED, {"key": key})

    def _media(self, key: str) -> None:
        ranged = self.head.byte_range()
        first, last = ranged or (0, None)
        try:
            part = self.site.backend.open_video(key, first, last)
        except OutOfRange:
            raise Refused(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The range begins after the end of the video."
            ) from None
        if part is None:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such video.")
        headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
        if ranged:
            headers["Content-Range"] = f"bytes {part.first}-{part.last}/{part.total}"
        status = HTTPStatus.PARTIAL_CONTENT if ranged else HTTPStatus.OK
        # Always served as a video, never as a page. (Browsers detect a .mov by its content.)
        self._head(status, "video/mp4", part.last - part.first + 1, headers)
        sent = 0
        for piece in part.pieces:
            self.wfile.write(piece)
            sent += len(piece)
        if sent != part.last - part.first + 1:
            self.close_connection = True

    # responses

    def _page(self, page: str) -> None:
        self._send(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")

    def _json(self, status: HTTPStatus, value: Any) -> None:
        self._send(status, json.dumps(value, separators=(",", ":")).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True  # there may be an unread body
        if self._said:
            return
        with suppress(OSError):
            if self.path.startswith("/api/"):
                self._json(status, {"error": text})
            else:
                self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")
            # Let the client read the answer before its unread data makes the kernel reset the connection.
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1)
            until = time.monotonic() + ANSWER_SECONDS
            for _ in range(64):
                if not self.connection.recv(BUFFER) or time.monotonic() > until:
                    break

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, len(body), headers or {})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, length: int, headers: dict[str, str]) -> None:
        self._said = True
        self.send_response(status)
        fixed = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            # The pages contain their own policy; this is for other responses, and for directives that need a header.
            "Content-Security-Policy": "frame-ancestors 'none'"
            if kind.startswith("text/html")
            else "default-src 'none'; sandbox",
        }
        for name, value in (fixed | headers).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def check_key(key: str, extensions: Sequence[str]) -> None:
    """Check the key of an upload.

    Raises:
        Refused: it is too long, or not a video's.
    """
    if not key or len(key.encode("utf-8", "replace")) > LONGEST_KEY:
        raise Refused(HTTPStatus.BAD_REQUEST, f"A name must have 1 to {LONGEST_KEY} bytes.")
    if PurePosixPath(key).suffix.lower() not in extensions:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Only {' and '.join(extensions)} files are accepted.")


LET_IN = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/"><title>Videos</title>
<p><a href="/">Videos</a></p></html>
"""


def overview_page(backend: Backend) -> str:
    """The HTML of the overview, which loads its data from /api/videos."""
    return html.page(
        html.source("overview.html"),
        title=f"Videos – {backend.name}",
        style=html.source(*STYLES),
        script=html.source(*SCRIPTS),
        policy={"connect-src": "'self'", "img-src": "data:"},
        data=html.data({"name": backend.name, "extensions": list(backend.extensions)}),
    )
