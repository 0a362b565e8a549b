"""What the Makefile runs: `python -m localcloud up|down|status`."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from localcloud import dev_cloud
from localcloud.cloud import CloudError
from localcloud.progress import Steps

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
    up.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        metavar="'KEY=VALUE ...'",
        help="settings for the stack, as cdk's -c; may be given several times",
    )
    up.add_argument("--port", type=int, default=0, help="the cloud's port (default: a free one)")

    commands.add_parser("down", help="end it").set_defaults(run=run_down)
    commands.add_parser("status", help="whether and where it runs").set_defaults(run=run_status)

    return outer


def run_up(options: argparse.Namespace) -> int:
    chosen = {"engine": options.engine, "seconds": options.seconds, "detections": options.detections}
    endpoint_options = [word for name, value in chosen.items() if value for word in (f"--{name}", value)]
    if options.rekognition_endpoint and endpoint_options:
        raise CloudError(
            f"{' '.join(endpoint_options)} is for the project's own endpoint; REKOGNITION_ENDPOINT is not."
        )
    with Steps() as steps:
        cloud, was_running = dev_cloud.up(
            context=settings(options.context),
            rekognition_endpoint=options.rekognition_endpoint,
            endpoint_options=endpoint_options,
            port=options.port,
            progress=steps.step,
        )
    folder = os.path.relpath(dev_cloud.FOLDER)
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
    print("The local cloud is gone." if dev_cloud.down() else "No local cloud is running.")
    return 0


def run_status(_: argparse.Namespace) -> int:
    state: dict[str, Any] = dev_cloud.state()
    if not state:
        print("No local cloud is running. To start it: make cloud")
        return 1
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(state["started"]))
    print(f"The local cloud runs at {state['aws_endpoint']} since {since} (process {state['pid']}).")
    print(f"Rekognition answers at {state['rekognition_url']}")
    for stack, found in dev_cloud.outputs().items():
        for name, value in found.items():
            print(f"  {stack}.{name} = {value}")
    return 0


def settings(texts: Sequence[str]) -> dict[str, str]:
    """The settings of all --context options; of one that is named again, the last value counts. Raises CloudError."""
    return {key: value for text in texts for key, value in pairs(text).items()}


def pairs(text: str) -> dict[str, str]:
    """Settings in one text, as a shell would take it apart, except that JSON needs no quotes around it.

    In `make cloud CONTEXT='analyses={"face-detection":{}}'` the shell removes the outer quotes, and the inner ones are
    the JSON's own. `-c` before a setting is allowed. Raises CloudError.
    """
    found = {}
    rest = text.lstrip()
    while rest:
        if json_begins := re.match(r"(\w+)=(?=[{\[])", rest):
            key, start = json_begins[1], json_begins.end()
            try:
                _, end = json.JSONDecoder().raw_decode(rest, start)
            except ValueError as problem:
                raise CloudError(f"CONTEXT has {key}=, which begins like JSON and is none: {problem}") from None
            if rest[end : end + 1].strip():
                raise CloudError(f"CONTEXT has {rest[end:].split()[0]!r} right after the JSON of {key}.")
            found[key], rest = rest[start:end], rest[end:].lstrip()
            continue
        word, after = _shell_word(rest)
        rest = after.lstrip()
        if word in ("-c", "--context"):
            continue
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise CloudError(f"CONTEXT has {word!r}; it looks like CONTEXT='retain_data=false log_retention_days=7'")
        found[key] = value
    return found


def _shell_word(text: str) -> tuple[str, str]:
    """The first word of *text*, its quotes removed, and what follows it. Raises CloudError."""
    stream = io.StringIO(text)
    words = shlex.shlex(stream, posix=True)
    words.whitespace_split, words.commenters = True, ""
    try:
        word = words.get_token()
    except ValueError:
        raise CloudError(f"CONTEXT ends inside quotes: {text}") from None
    return word or "", text[stream.tell() :]


if __name__ == "__main__":
    sys.exit(main())
