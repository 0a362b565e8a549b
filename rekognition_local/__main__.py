"""Run the endpoint.

    rekognition-local --aws-endpoint http://127.0.0.1:4566

or ``python -m rekognition_local``, which is the same.

Prints one line when it is ready: its URL. Ends on SIGTERM and SIGINT, when its standard input closes
(--exit-with-stdin), or when another process does (--parent-pid); its worker processes end with it, however it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from rekognition_local import AnyObject, Faults, RekognitionVideo, S3Objects, Simulated, SnsPublisher, clients
from rekognition_local.engines import Engine
from rekognition_local.engines.models import YUNET, ModelMissing, install_command
from rekognition_local.server import Server


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        faults = faults_of(options)
        engine, warm = _engine(options)
    except (ValueError, ModelMissing) as error:
        print(error, file=sys.stderr)
        return 2
    make = clients.maker(options.aws_endpoint, options.region)
    objects = AnyObject() if options.objects == "any" else S3Objects(make("s3"), ask_region=True)
    service = RekognitionVideo(engine=engine, objects=objects, publish=SnsPublisher(make), faults=faults)
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    if options.exit_with_stdin:
        _watch(end, _stdin_closed)
    if options.parent_pid:
        _watch(end, lambda: _process_gone(options.parent_pid))
    try:
        server = Server(service, options.port)
    except OSError as error:
        print(f"Port {options.port} is unavailable: {error.strerror}. Name another one, or --port 0.", file=sys.stderr)
        return 2
    with service.running():
        threading.Thread(target=server.serve_forever, name="rekognition-http", daemon=True).start()
        warm()
        _announce(server.url, options.url_file)
        end.wait()
    if options.url_file:
        options.url_file.unlink(missing_ok=True)
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rekognition-local",
        description="A Rekognition Video endpoint on 127.0.0.1.",
        epilog="The options of the last group can be changed while it runs: PUT /_faults.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument(
        "--aws-endpoint", metavar="URL", help="where S3, SNS, STS and IAM are (default: as boto3 finds them)"
    )
    parser.add_argument("--region", default="us-east-1", help="of those (%(default)s)")
    parser.add_argument(
        "--engine", choices=["real", "simulated"], default="real", help="what does the jobs (%(default)s)"
    )
    parser.add_argument(
        "--objects",
        choices=["s3", "any"],
        default="s3",
        help="'any': take every video named as being there, and ask no S3; simulated engine only (%(default)s)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes of the real engine (default: one per core)")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a simulated job takes (%(default)s)")
    parser.add_argument("--detections", type=int, default=10, help="that a simulated job yields (%(default)s)")
    parser.add_argument("--url-file", type=Path, metavar="PATH", help="write the URL there when ready")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input closes")
    parser.add_argument("--parent-pid", type=int, metavar="PID", help="end when that process does")
    parser.add_argument("--verbose", action="store_true", help="log every call")
    group = parser.add_argument_group("faults", "Defaults are AWS's quotas; nothing else goes wrong unless asked.")
    for setting in dataclasses.fields(Faults):
        group.add_argument(
            "--" + setting.name.replace("_", "-"),
            dest=f"fault_{setting.name}",
            metavar=setting.metadata["kind"].upper().replace(" ", "-"),
            help=f"{setting.metadata['help']} ({_shown(setting.default)})",
        )
    return parser


def faults_of(options: argparse.Namespace) -> Faults:
    """Raises ValueError."""
    changes: dict[str, Any] = {}
    for setting in dataclasses.fields(Faults):
        word = getattr(options, f"fault_{setting.name}")
        if word is not None:
            text = setting.metadata["kind"] in ("text", "operations")
            changes[setting.name] = word if text else _value(word)
    return Faults().changed(changes)


def _value(word: str) -> Any:
    """A number, true or false, or none; any other word as it is, to be refused with the setting's name."""
    if word.lower() in ("none", "null"):
        return None
    with contextlib.suppress(ValueError):
        return json.loads(word.lower())
    return word


def _shown(value: Any) -> str:
    return {"None": "none", "False": "false", "": "none"}.get(str(value), str(value))


def _engine(options: argparse.Namespace) -> tuple[Engine, Callable[[], None]]:
    """The engine, and what prepares it for its first job. Raises ValueError, ModelMissing."""
    for name in ("seconds", "detections"):
        if getattr(options, name) < 0:
            raise ValueError(f"--{name} {getattr(options, name)}: is not 0 or more")
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers {options.workers}: is not 1 or more")
    if options.objects == "any" and options.engine != "simulated":
        raise ValueError("--objects any: the real engine reads the videos; add --engine simulated, or use --objects s3")
    if options.engine == "simulated":
        return Simulated(seconds=options.seconds, detections=options.detections), lambda: None
    try:
        from rekognition_local.engines.real import Workers
    except ImportError as error:
        raise ModelMissing(
            f"The real engine is not installed: {install_command('faces')} does that. ({error}) "
            "--engine simulated needs nothing more."
        ) from error
    YUNET.path()  # better said now than by the first job
    workers = Workers(aws_endpoint=options.aws_endpoint, region=options.region, count=options.workers)
    return workers, workers.warm


def _announce(url: str, file: Path | None) -> None:
    if file:
        draft = file.with_name(file.name + ".new")
        draft.write_text(url + "\n")
        draft.replace(file)  # a reader sees all of it or nothing
    print(url, flush=True)


def _watch(end: threading.Event, gone: Callable[[], bool]) -> None:
    def watch() -> None:
        while not gone():
            time.sleep(0.2)
        end.set()

    threading.Thread(target=watch, daemon=True).start()


def _stdin_closed() -> bool:
    return not os.read(0, 4096)


def _process_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _version() -> str:
    try:
        return importlib.metadata.version("rekognition-local")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed as a package)"


def run() -> NoReturn:
    """The command: main(), and the end of the process."""
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # not waiting for threads that wait for SNS or for a caller


if __name__ == "__main__":
    run()
