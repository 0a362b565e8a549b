"""Beside the measured process, so that only the client's work is measured: Rekognition, and a sink for all the rest.

    python -m bench.collect_services FOLDER DETECTIONS

Prints two URLs, Rekognition's and the sink's, and ends when its standard input closes. What is put into S3 lands in
FOLDER, one file an object, so that rows can be compared afterwards.
"""

import hashlib
import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from botocore.exceptions import ClientError

from rekognition_local import Faults, RekognitionVideo, Simulated
from rekognition_local.aws import AnyObject
from rekognition_local.server import Server
from tests.fast_fake.dynamodb import Table
from tests.fast_fake.messages import SentMessages, bus


class Sink(ThreadingHTTPServer):
    """S3 (path style, no listing), and the JSON services on the stand-ins."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: dict[str, dict[int, str]] = defaultdict(dict)
        self.metadata: dict[str, dict[str, str]] = {}
        self.clients = {
            "DynamoDB_20120810": Table().client(),
            "AmazonSQS": SentMessages().client(),
            "AWSEvents": bus(lambda entries: {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in entries]}),
        }
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Sink

    def do_POST(self) -> None:
        body = self._body()
        if target := self.headers.get("X-Amz-Target"):
            service, operation = target.split(".")
            self._json(service, operation, json.loads(body))
        elif "uploads" in self._query:
            self.server.metadata[self._file.name] = self._labels
            self._xml("InitiateMultipartUploadResult", f"<UploadId>{self._file.name}</UploadId>")
        else:
            parts = self.server.parts.pop(self._query["uploadId"][0])
            with self._file.open("wb") as whole:
                for number in sorted(parts):
                    piece = self._piece(number)
                    whole.write(piece.read_bytes())
                    piece.unlink()
            self._xml("CompleteMultipartUploadResult", "<ETag>&quot;whole&quot;</ETag>")

    def _json(self, service: str, operation: str, params: dict[str, Any]) -> None:
        try:
            answer, status = self.server.clients[service]._make_api_call(operation, params), 200
        except ClientError as error:
            answer, status = {"__type": error.response["Error"]["Code"], "message": ""}, 400
        self._answer(status, json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.0"})

    def do_PUT(self) -> None:
        body = self._body()
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        if "partNumber" in self._query:
            number = int(self._query["partNumber"][0])
            self._piece(number).write_bytes(body)
            self.server.parts[self._query["uploadId"][0]][number] = etag
        else:
            self._file.write_bytes(body)
            self.server.metadata[self._file.name] = self._labels
        self._answer(200, b"", {"ETag": etag})

    def do_GET(self) -> None:
        if "uploadId" in self._query:
            parts = sorted(self.server.parts[self._query["uploadId"][0]].items())
            items = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{etag.replace('"', '&quot;')}</ETag></Part>"
                for number, etag in parts
            )
            self._xml("ListPartsResult", f"<IsTruncated>false</IsTruncated>{items}")
        elif self._file.exists():
            self._answer(200, self._file.read_bytes(), {"ETag": '"whole"'})
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_HEAD(self) -> None:
        if not self._file.exists():
            self._answer(404, b"")
            return
        labels = self.server.metadata.get(self._file.name, {})
        self._answer(200, b"", {"ETag": '"whole"', **labels})

    def do_DELETE(self) -> None:
        self._file.unlink(missing_ok=True)
        self._answer(204, b"")

    @property
    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    @property
    def _file(self) -> Path:
        return self.server.folder / quote(urlsplit(self.path).path.strip("/"), safe="")

    def _piece(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}")

    @property
    def _labels(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _xml(self, name: str, inside: str) -> None:
        self._answer(200, f"<{name}>{inside}</{name}>".encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    """Serve until standard input closes."""
    folder, detections = Path(sys.argv[1]), int(sys.argv[2])
    service = RekognitionVideo(
        engine=Simulated(seconds=0, detections=detections), objects=AnyObject(), publish=None, faults=Faults.off()
    )
    servers = (Server(service), Sink(folder))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps([f"http://127.0.0.1:{server.server_address[1]}" for server in servers]), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
