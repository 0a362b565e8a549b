"""Run the endpoint: `python -m localcloud.mediaconvert --aws-endpoint http://127.0.0.1:4566`.

Prints one line when it is ready: its URL. Ends on SIGTERM and SIGINT, and when its standard input closes
(--exit-with-stdin); the processes that convert end with it, however it ends.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud import ports
from localcloud.mediaconvert.runner import Workers
from localcloud.mediaconvert.server import Server
from localcloud.mediaconvert.service import Job, MediaConvert
from rekognition_local import clients

log = logging.getLogger("localcloud.mediaconvert")


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    if options.workers < 1:
        print(f"--workers {options.workers}: is not 1 or more", file=sys.stderr)
        return 2
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    if options.exit_with_stdin:
        threading.Thread(target=_end_with_stdin, args=(end,), daemon=True).start()
    service = MediaConvert(
        runner=Workers(options.aws_endpoint, options.region),
        publish=Events(options.aws_endpoint, options.region),
        url=lambda: options.public_url or server.url,
        at_once=options.workers,
    )
    try:
        server = Server(service, options.port)
    except OSError as error:
        print(f"Port {options.port} is unavailable: {error.strerror}. Name another one, or --port 0.", file=sys.stderr)
        return 2
    threading.Thread(target=server.serve_forever, name="mediaconvert-http", daemon=True).start()
    if options.url_file:
        ports.write(options.url_file, server.url + "\n")
    print(server.url, flush=True)
    end.wait()
    service.close()
    if options.url_file:
        options.url_file.unlink(missing_ok=True)
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud.mediaconvert", description="MediaConvert on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument("--aws-endpoint", metavar="URL", help="where S3, STS, IAM and EventBridge are")
    parser.add_argument("--public-url", metavar="URL", help="what DescribeEndpoints answers (default: its own)")
    parser.add_argument("--region", default="us-east-1", help="of those (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="jobs at a time (%(default)s)")
    parser.add_argument("--url-file", type=Path, metavar="PATH", help="write the URL there when ready")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input closes")
    return parser


class Events:
    """Publishes to the default bus of EventBridge. As on AWS, no client may say that it is aws.mediaconvert; the
    emulator lets root do so, as which services act there."""

    def __init__(self, aws_endpoint: str | None, region: str) -> None:
        self._client = clients.maker(aws_endpoint, region)("events")

    def __call__(self, job: Job, detail: Mapping[str, Any]) -> None:
        entry = {
            "Source": "aws.mediaconvert",
            "DetailType": "MediaConvert Job State Change",
            "Resources": [job.arn],
            "Detail": json.dumps(detail, ensure_ascii=False),
        }
        answer = self._client.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise ValueError(answer["Entries"][0].get("ErrorMessage"))


def _end_with_stdin(end: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    end.set()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # not waiting for threads that wait for a worker: their pipes close now
