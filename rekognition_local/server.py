"""The service over HTTP, on 127.0.0.1 and nowhere else.

    POST /          Rekognition's own protocol, for any SDK
    GET  /_health   {"status": "ok", ...}
    GET  /_stats    counts by operation and outcome, running jobs, accepted starts, messages
    GET  /_jobs     every job, with its progress; ?JobTag=...&State=... narrows it down
    GET  /_faults   the settings of faults.py;  PUT changes those it names
    POST /_inject   {"operation", "error_code", "times", "after", "carried_out", "status"}: scripted refusals

A proxy in front that checks IAM says who calls in X-Rekognition-Local-* headers. A direct call is taken for
the account that its access key names (12 digits), as moto and the emulator read keys, or for 000000000000.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rekognition_local.faults import Injection
from rekognition_local.service import Caller, RekognitionVideo, Response

log = logging.getLogger("rekognition_local")

MOST_BODY = 8 << 20  # an image of 5 MB in base64, and the request around it
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/")


class Server(ThreadingHTTPServer):
    """A thread per connection; connections are kept alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, service: RekognitionVideo, port: int = 0) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, _: Any, client_address: Any) -> None:
        log.debug("connection of %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "rekognition-local"
    sys_version = ""
    wbufsize = -1  # headers and body leave in one piece
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._control(
            {"/_health": self._health, "/_stats": self._stats, "/_jobs": self._jobs, "/_faults": self._faults}
        )

    def do_PUT(self) -> None:
        self._control({"/_faults": self._change_faults})

    def do_POST(self) -> None:
        if urlsplit(self.path).path != "/":
            self._control({"/_inject": self._inject})
            return
        body = self._body()
        if body is None:
            return
        target = self.headers.get("X-Amz-Target", "")
        response = self.server.service.handle(target, body, caller_of(self.headers))
        time.sleep(response.delay)
        self._send(response)

    def _control(self, routes: Mapping[str, Any]) -> None:
        """Answer one of the paths that are not Rekognition's. A web page that a browser shows may not ask them."""
        route = routes.get(urlsplit(self.path).path)
        body = self._body()
        if body is None:
            return
        if self.headers.get("Origin"):
            self._json(403, {"error": "not for web pages"})
        elif route is None:
            self._json(404, {"error": f"{self.command} {self.path} is not one of {', '.join(routes)}"})
        else:
            try:
                self._json(200, route(body))
            except ValueError as error:
                self._json(400, {"error": str(error)})

    def _health(self, _: bytes) -> Any:
        return {"status": "ok", "engine": type(self.server.service.engine).__name__}

    def _stats(self, _: bytes) -> Any:
        return self.server.service.stats()

    def _jobs(self, _: bytes) -> Any:
        wanted = dict(parse_qsl(urlsplit(self.path).query))
        jobs = self.server.service.jobs()
        return {"jobs": [job for job in jobs if all(job.get(key) == value for key, value in wanted.items())]}

    def _faults(self, _: bytes) -> Any:
        return self.server.service.faults.as_dict()

    def _change_faults(self, body: bytes) -> Any:
        return self.server.service.set_faults(_object(body)).as_dict()

    def _inject(self, body: bytes) -> Any:
        self.server.service.add_injection(Injection.from_dict(_object(body)))
        return {"injections_waiting": self.server.service.stats()["injections_waiting"]}

    def _body(self) -> bytes | None:
        """The request's body, or None after refusing it."""
        try:
            length = int(self.headers.get("Content-Length", 0))
        except ValueError:
            length = -1
        if not 0 <= length <= MOST_BODY or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self._json(413, {"__type": "RequestEntityTooLargeException", "Message": "The body is not 8 MB at most."})
            return None
        return self.rfile.read(length)

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self._send(Response(status, {"Content-Type": "application/json"}, body))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def caller_of(headers: Mapping[str, str] | Message) -> Caller:
    """Who calls, from the headers of a proxy in front, or from the signature's credential scope."""
    signed = _CREDENTIAL.search(headers.get("Authorization") or "")
    key, region = signed.groups() if signed else ("", "us-east-1")
    account = headers.get("X-Rekognition-Local-Account") or (key if re.fullmatch(r"\d{12}", key) else "000000000000")
    return Caller(
        account=account,
        region=headers.get("X-Rekognition-Local-Region") or region,
        arn=headers.get("X-Rekognition-Local-Caller") or "",
        may_read=_known(headers.get("X-Rekognition-Local-May-Read")),
        may_pass_role=_known(headers.get("X-Rekognition-Local-May-Pass-Role")),
    )


def _known(word: str | None) -> bool | None:
    return {"true": True, "false": False}.get((word or "").lower())


def _object(body: bytes) -> dict[str, Any]:
    value = json.loads(body or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004  answered 400 like any other bad body
    return value
