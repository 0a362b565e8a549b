"""What the Makefile runs: `python -m localcloud up|down|status|demo`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import checkout
from localcloud.board import Board
from localcloud.cloud import CloudError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    # Ctrl-C ends in good order also when started by something that ignores it, as a shell's background jobs do; and so
    # does SIGTERM, after which the caller may expect that all is gone.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except CloudError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    return status


def parser() -> argparse.ArgumentParser:
    outer = argparse.ArgumentParser(prog="python -m localcloud", description="The local cloud of this checkout.")
    commands = outer.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start it, or bring a running one up to date")
    up.set_defaults(run=run_up)
    up.add_argument("--rekognition-endpoint", metavar="URL", help="use this endpoint instead of the project's own")
    up.add_argument("--engine", choices=("real", "simulated"), help="look at the videos (default), or only pretend to")
    up.add_argument("--seconds", metavar="N", help="simulated: how long a job takes")
    up.add_argument("--detections", metavar="M", help="simulated: how much it finds")
    up.add_argument("--context", default="", metavar="'KEY=VALUE ...'", help="settings for the stack, as cdk's -c")
    up.add_argument("--port", type=int, default=0, help="the cloud's port (default: a free one)")

    commands.add_parser("down", help="end it").set_defaults(run=run_down)
    commands.add_parser("status", help="whether and where it runs").set_defaults(run=run_status)

    demo = commands.add_parser("demo", help="a cloud of its own, one video, its faces, and all gone again")
    demo.set_defaults(run=run_demo)
    demo.add_argument("video", nargs="?", type=Path, help="an H.264 video in .mp4 or .mov (default: a short clip)")
    return outer


def run_up(options: argparse.Namespace) -> int:
    chosen = {"engine": options.engine, "seconds": options.seconds, "detections": options.detections}
    endpoint_options = [word for name, value in chosen.items() if value for word in (f"--{name}", value)]
    if options.rekognition_endpoint and endpoint_options:
        raise CloudError(
            f"{' '.join(endpoint_options)} is for the project's own endpoint; REKOGNITION_ENDPOINT is not."
        )
    with Board() as board:
        cloud, was_running = checkout.up(
            context=pairs(options.context),
            rekognition_endpoint=options.rekognition_endpoint,
            endpoint_options=endpoint_options,
            port=options.port,
            progress=board.step,
        )
    folder = os.path.relpath(checkout.FOLDER)
    print(f"The local cloud {'was running already and is up to date' if was_running else 'is up'}: ", end="")
    print(cloud.env["AWS_ENDPOINT_URL"])
    print(f"""
  . {folder}/env
  aws s3 cp video.mp4 s3://{cloud.outputs["VideosBucket"]}/
  aws s3 ls --recursive s3://{cloud.outputs["ResultsBucket"]}/

Rekognition answers at {cloud.rekognition_url}, all outputs are in {folder}/outputs.json,
and logs in {folder}/logs/. make cloud-stop ends it and removes everything in it.""")
    return 0


def run_down(_: argparse.Namespace) -> int:
    print("The local cloud is gone." if checkout.down() else "No local cloud is running.")
    return 0


def run_status(_: argparse.Namespace) -> int:
    state: dict[str, Any] = checkout.state()
    if not state:
        print("No local cloud is running. To start it: make cloud")
        return 1
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(state["started"]))
    print(f"The local cloud runs at {state['aws_endpoint']} since {since} (process {state['pid']}).")
    print(f"Rekognition answers at {state['rekognition_url']}")
    for stack, found in checkout.outputs().items():
        for name, value in found.items():
            print(f"  {stack}.{name} = {value}")
    return 0


def run_demo(options: argparse.Namespace) -> int:
    from localcloud import demo  # brings PyAV and OpenCV, which the other commands need not wait for

    return demo.run(options.video)


def pairs(text: str) -> dict[str, str]:
    found = {}
    for word in shlex.split(text):
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise CloudError(f"CONTEXT has {word!r}; it looks like CONTEXT='retain_data=false log_retention_days=7'")
        found[key] = value
    return found


if __name__ == "__main__":
    sys.exit(main())
