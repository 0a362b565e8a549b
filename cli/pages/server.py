"""A page for all of it, on this machine only: drop videos, see what becomes of them.

    with Site(StackBackend(stack)) as site:
        print(site.login_url())

Who may ask:

- It listens on 127.0.0.1, and answers only if it is called by that name (or `localhost`): a foreign name that points
  here is refused, so no web page can reach it by rebinding its own.
- Everything needs a cookie, which holds a secret of this start. The server gives it for a token that it has made a
  moment ago and takes once (`login_url`), so an address that others have seen lets nobody in.
- What another page's scripts, forms, frames or pictures ask for is refused (Origin, Sec-Fetch-Site), cookie or not.
- Requests are read strictly (see `request`), and a client that sends one too slowly is cut off.
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
SHORTEST_LOOK = 1.0  # seconds between two looks at the table
SHARE = 10  # of the time at most one part in so many is spent on looking, however large the table
LONGEST_KEY = 1024  # bytes; S3's limit
REPORTS_KEPT = 8
PICTURES_PATIENCE = 6.0  # seconds; a report without pictures now is better than one with them later
BUFFER = 1024 * 1024
TOKEN_SECONDS = 120.0  # to open an address that lets its reader in; then it takes another one
HEAD_SECONDS = 10.0  # from the first byte of a request to the end of its head, and from a connection to that byte
ANSWER_SECONDS = 5.0  # for a client to read a refusal while it still sends what is refused
MOST_CONNECTIONS = 64  # at once; a browser opens six
POLL = 0.1  # seconds within which the server ends when it is told to

# Which state a video is in, of those its jobs are in: work in progress first, then what went wrong.
ORDER = ("RUNNING", "COLLECTING", "WAITING", "FAILED", "REJECTED", "SUCCEEDED")


class BrokenOff(OSError):
    """Whoever sends stopped in the middle."""


class Exactly(io.RawIOBase):
    """The next `size` bytes of a connection; an error, not an end, if there are fewer."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source = source
        self.left = size

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """At most as much as fits; 0 only at the end of what was announced."""
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
    """A video of the backend to read and seek in for `patience` seconds; after that a read raises TimeoutError."""
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
    """What was seen at one look at the table."""

    at: float
    took: float
    overview: Overview


class Site:
    """The server, running in threads of its own while the block lasts."""

    def __init__(self, backend: Backend, host: str = "127.0.0.1", port: int = 0) -> None:
        if host not in ("127.0.0.1", "localhost"):
            raise ValueError(f"host is {host!r}; this is for 127.0.0.1 alone, as whoever reaches it acts as you")
        self.backend = backend
        self.secret = secrets.token_urlsafe(32)  # in the cookie, and nowhere else
        self._tokens: dict[str, float] = {}  # each with the moment when it ends
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
        """The port it got."""
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        """What its pages' scripts are known by."""
        return f"http://127.0.0.1:{self.port}"

    def login_url(self) -> str:
        """An address that lets in whoever opens it first, within TOKEN_SECONDS."""
        token = secrets.token_urlsafe(32)
        with self._giving:
            now = time.monotonic()
            self._tokens = {old: end for old, end in self._tokens.items() if end > now}
            self._tokens[token] = now + TOKEN_SECONDS
        return f"{self.origin}/?token={token}"

    def take(self, token: str) -> bool:
        """Whether that is a token of `login_url`, neither used nor too old. From now on it is used."""
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
        """What there is; looked up anew when the last look is old enough for what it cost."""
        with self._looking:
            now = time.monotonic()
            if self._seen is None or now - self._seen.at > max(SHORTEST_LOOK, SHARE * self._seen.took):
                found = self.backend.list_jobs()
                self._seen = Seen(time.monotonic(), time.monotonic() - now, found)
            return self._seen.overview

    def look_again(self) -> None:
        """Have the next look be a new one, unless looking is expensive."""
        with self._looking:
            if self._seen and self._seen.took < SHORTEST_LOOK:
                self._seen = None

    def report(self, key: str) -> str:
        """The page of one video.

        Raises:
            Refused: nobody knows it.
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
        with suppress(Exception):  # no trouble with the video is a reason to show nothing of its results
            file = video_file(self.backend, key, PICTURES_PATIENCE)
            stills = stills_of(file, found, documents) if found else []
        link = Link(f"/media?key={quote(key, safe='')}")
        return build_report(key, documents, facts=Facts.of(jobs), video=link, stills=stills, found=found, back="/")


def summary(seen: Overview, slots: int | None, search: str, state: str) -> dict[str, Any]:
    """What the page shows: counts, slots and backlog, and the videos that match, newest first."""
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
        """The terminal is the user's; nothing is logged to it."""

    # what they ask

    def handle_one_request(self) -> None:
        """Read a request and answer it. (The library's own reading takes a good deal for a request that is none.)"""
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
            self.close_connection = True  # they have gone
        except Exception as error:  # whatever AWS says is for the page to show
            self._refuse(HTTPStatus.BAD_GATEWAY, f"{type(error).__name__}: {error}")

    def _line(self, most: int) -> bytes:
        """A line of the head, however it comes, before HEAD_SECONDS are over."""
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
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "Only GET and PUT are understood.")
        if self.command == "GET" and length:
            raise Refused(HTTPStatus.BAD_REQUEST, "A GET has no body here.")
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
        """The path and the query, asked of this server by its own name."""
        names = {f"127.0.0.1:{self.site.port}", f"localhost:{self.site.port}"}
        target, called = self.path, [self.head.one("host")]
        if target[:7].lower() == "http://":
            authority, slash, rest = target[7:].partition("/")
            target, called = slash + rest, [*called, authority]
        if called[0] is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "The header field Host is missing.")
        if not names.issuperset(called):
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "This server is not called so.")
        if not target.startswith("/"):
            raise Refused(HTTPStatus.BAD_REQUEST, "A path begins with a slash.")
        path, _, query = target.partition("?")
        return path, {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}

    # who may ask

    def _check_origin(self) -> None:
        origin = self.head.one("origin")
        if origin is not None and origin != f"http://{self.head.one('host')}":
            raise Refused(HTTPStatus.FORBIDDEN, "Another page may not ask.")
        if self.head.one("sec-fetch-site") not in (None, "none", "same-origin"):
            raise Refused(HTTPStatus.FORBIDDEN, "Another page may not ask.")
        if self.command != "GET" and origin is None:
            raise Refused(HTTPStatus.FORBIDDEN, "Only the page itself may ask for that.")

    @property
    def _cookie_name(self) -> str:
        # Cookies know no ports; two of these servers must not take each other's.
        return f"videos-{self.site.port}"

    def _let_in(self, token: str) -> None:
        """A cookie for a token. Whatever page the address was opened from: who has the token, may."""
        if not self.site.take(token):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "This address has been used, or is too old. Where the server was started, press Enter for another.",
            )
        cookie = f"{self._cookie_name}={self.site.secret}; HttpOnly; SameSite=Strict; Path=/"
        # A page and not a redirect: a browser that came from a file, or from another site, keeps a SameSite=Strict
        # cookie back all along the redirects. From this page on it is the site itself that asks.
        policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
        self._send(HTTPStatus.OK, LET_IN, "text/html; charset=utf-8", {"Set-Cookie": cookie} | policy)

    def _check_cookie(self) -> None:
        for part in (self.head.one("cookie") or "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie_name and hmac.compare_digest(value.encode(), self.site.secret.encode()):
                return
        raise Refused(HTTPStatus.FORBIDDEN, "Open the address that was printed when this was started.")

    # what they get

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
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "How long is it?")
        if length > LARGEST_VIDEO:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Rekognition takes videos of 10 GB at most.")
        going_on = self.head.expects_go_on
        if "replace" not in query and self.site.backend.exists(key):
            raise Refused(HTTPStatus.CONFLICT, "There is a video of that name already.")
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
            raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "It is not that long.") from None
        if part is None:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such video.")
        headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
        if ranged:
            headers["Content-Range"] = f"bytes {part.first}-{part.last}/{part.total}"
        status = HTTPStatus.PARTIAL_CONTENT if ranged else HTTPStatus.OK
        # Whatever it is, it is a video here and never a page. (Browsers play a .mov as what it is.)
        self._head(status, "video/mp4", part.last - part.first + 1, headers)
        sent = 0
        for piece in part.pieces:
            self.wfile.write(piece)
            sent += len(piece)
        if sent != part.last - part.first + 1:
            self.close_connection = True

    # how it is sent

    def _page(self, page: str) -> None:
        self._send(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")

    def _json(self, status: HTTPStatus, value: Any) -> None:
        self._send(status, json.dumps(value, separators=(",", ":")).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True  # there may be a body nobody has read
        if self._said:
            return
        with suppress(OSError):
            if self.path.startswith("/api/"):
                self._json(status, {"error": text})
            else:
                self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")
            # Let them read the answer before the unread rest of what they send makes the kernel reset the connection.
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
            # The pages bring their own policy; this is for everything else, and for what only a header can say.
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
    """Whether a video may be put there.

    Raises:
        Refused: no.
    """
    if not key or len(key.encode("utf-8", "replace")) > LONGEST_KEY:
        raise Refused(HTTPStatus.BAD_REQUEST, f"A name has 1 to {LONGEST_KEY} bytes.")
    if PurePosixPath(key).suffix.lower() not in extensions:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Only {' and '.join(extensions)} are taken for videos.")


LET_IN = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/"><title>Videos</title>
<p><a href="/">Videos</a></p></html>
"""


def overview_page(backend: Backend) -> str:
    """The overview's HTML; what it shows it asks for."""
    return html.page(
        html.source("overview.html"),
        title=f"Videos – {backend.name}",
        style=html.source(*STYLES),
        script=html.source(*SCRIPTS),
        policy={"connect-src": "'self'", "img-src": "data:"},
        data=html.data({"name": backend.name, "extensions": list(backend.extensions)}),
    )
