"""The service over HTTP, on 127.0.0.1 and nowhere else.

    /2017-08-29/...  MediaConvert's own protocol, for any SDK
    GET  /_health    {"status": "ok"}
    GET  /_jobs      every job
    GET  /_faults    the settings of faults.py;  PUT changes those it names

A proxy in front that checks IAM says who calls in X-Mediaconvert-Local-* headers.
"""

from __future__ import annotations

import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from localcloud.mediaconvert.protocol import Response
from localcloud.mediaconvert.service import Caller, MediaConvert

log = logging.getLogger("localcloud.mediaconvert")

MOST_BODY = 1 << 20


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, service: MediaConvert, port: int = 0) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, _: Any, client_address: Any) -> None:
        log.debug("connection of %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "mediaconvert-local"
    sys_version = ""
    wbufsize = -1  # headers and body leave in one piece
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        if body is None:
            return
        parts = urlsplit(self.path)
        if parts.path.startswith("/_"):
            self._send(self._control(parts.path, body))
        else:
            self._send(self.server.service.handle(self.command, parts.path, parts.query, body, caller_of(self.headers)))

    def _control(self, path: str, body: bytes) -> Response:
        """Answer one of the paths that are not MediaConvert's. A web page that a browser shows may not ask them."""
        service = self.server.service
        if self.headers.get("Origin"):
            return _json(403, {"error": "not for web pages"})
        match self.command, path:
            case "GET", "/_health":
                return _json(200, {"status": "ok"})
            case "GET", "/_jobs":
                return _json(200, {"jobs": service.jobs()})
            case "GET", "/_faults":
                return _json(200, service.faults.as_dict())
            case "PUT", "/_faults":
                try:
                    changes = json.loads(body or b"{}")
                    if not isinstance(changes, dict):
                        return _json(400, {"error": "the body is not a JSON object"})
                    return _json(200, service.set_faults(changes).as_dict())
                except ValueError as error:
                    return _json(400, {"error": str(error)})
        return _json(404, {"error": f"{self.command} {path} is none of: /_health, /_jobs, /_faults"})

    def _body(self) -> bytes | None:
        """The request's body, or None after refusing it."""
        try:
            length = int(self.headers.get("Content-Length", 0))
        except ValueError:
            length = -1
        if not 0 <= length <= MOST_BODY or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self._send(_json(413, {"message": "The body is not 1 MB at most."}))
            return None
        return self.rfile.read(length)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in {"Content-Type": "application/json", **response.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def caller_of(headers: Any) -> Caller:
    """Who calls, from the headers of a proxy in front; a direct call is the emulator's account's."""
    may_pass = {"true": True, "false": False}.get(headers.get("X-Mediaconvert-Local-May-Pass-Role", ""))
    return Caller(
        account=headers.get("X-Mediaconvert-Local-Account") or "000000000000",
        region=headers.get("X-Mediaconvert-Local-Region") or "us-east-1",
        arn=headers.get("X-Mediaconvert-Local-Caller") or "",
        may_pass_role=may_pass,
    )


def _json(status: int, value: Any) -> Response:
    return Response(status, json.dumps(value, ensure_ascii=False).encode())
