"""The process that carries out one job: fetches the input, converts it, and puts the outputs, all as the job's role.

In: one line of JSON, ``{"role", "account", "order"}``. Out: lines of JSON: ``{"phase", "percent"}`` now and then, and
at the end ``{"made": ...}`` or ``{"code", "message"}``. It ends when its standard input does, also in the middle.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.mediaconvert.convert import CannotConvert, Wanted, convert
from rekognition_local import clients

SERVICE = "mediaconvert.amazonaws.com"
SESSION = "MediaConvert"  # by which the emulator's trust policies know that the default queue is the source


class Failed(Exception):
    """The job ends with this error code and these words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--aws-endpoint")
    parser.add_argument("--region", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the endpoint's business, which closes the pipe
    # The pipe is for messages alone: what a library prints goes where errors go.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())
    folder = Path(tempfile.mkdtemp(prefix="mediaconvert-"))
    threading.Thread(target=_end_with_stdin, args=(folder,), daemon=True).start()

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        say({"made": _carried_out(task, clients.maker(options.aws_endpoint, options.region), folder, say)})
    except Failed as error:
        say({"code": error.code, "message": error.message})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # not waiting for the thread that reads


def _end_with_stdin(folder: Path) -> None:
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _carried_out(
    task: dict[str, Any], make: Callable[..., Any], folder: Path, say: Callable[[dict[str, Any]], None]
) -> list[list[dict[str, Any]]]:
    """Do all of it. Raises Failed."""
    order = task["order"]
    uri = f"s3://{order['bucket']}/{order['key']}"
    if uri in [_uri(output) for group in order["groups"] for output in group]:
        raise Failed(1040, f"Duplicate input and output path [{uri}] found in job.")
    say({"phase": "PROBING", "percent": 0})
    s3 = _as_role(task["role"], make, uri)
    source = folder / "input"
    _fetched(s3, order, source, uri)
    outputs = [output for group in order["groups"] for output in group]
    made = []
    for number, output in enumerate(outputs):
        target = folder / f"output-{number}"
        made.append(_made(source, target, output, _Progress(say, number, len(outputs)), uri))
    say({"phase": "UPLOADING", "percent": 99})
    for number, output in enumerate(outputs):
        _put(s3, folder / f"output-{number}", output)
    done = iter(made)
    return [[next(done) for _ in group] for group in order["groups"]]


class _Progress:
    """Says how far the job is, ten times a second at most."""

    def __init__(self, say: Callable[[dict[str, Any]], None], number: int, of: int) -> None:
        self._say, self._number, self._of, self._said = say, number, of, 0.0

    def __call__(self, done: float) -> None:
        if time.monotonic() - self._said >= 0.1:
            self._said = time.monotonic()
            self._say({"phase": "TRANSCODING", "percent": min(98, int(100 * (self._number + done) / self._of))})


def _as_role(role: str, make: Callable[..., Any], uri: str) -> Any:
    """A client of S3 that may do what the role may. Raises Failed."""
    opening = f"Unable to open input file [{uri}]: [Failed probe/open: [Can't read input stream: [Failed to read data: "
    try:
        document = make("iam").get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["AssumeRolePolicyDocument"]
    except ClientError as error:
        raise Failed(
            1433, "Unable to assume role. Check that the role exists and that MediaConvert is a trusted entity."
        ) from error
    trusted = document if isinstance(document, dict) else json.loads(document)
    try:
        if SERVICE not in _services(trusted):
            raise Failed(1434, f"{opening}AssumeRole failed]]]")
        keys = make("sts").assume_role(RoleArn=role, RoleSessionName=SESSION)["Credentials"]
    except (ClientError, BotoCoreError) as error:
        raise Failed(1434, f"{opening}AssumeRole failed]]]") from error
    return make(
        "s3",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def _services(trust: dict[str, Any]) -> set[str]:
    """The services that a trust policy lets in. (Its conditions are the emulator's to judge.)"""
    statements = trust.get("Statement", [])
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        named = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow":
            found |= {named} if isinstance(named, str) else set(named)
    return found


def _fetched(s3: Any, order: dict[str, Any], source: Path, uri: str) -> None:
    opening = f"Unable to open input file [{uri}]: [Failed probe/open: [Can't read input stream: [Failed to read data: "
    try:
        body = s3.get_object(Bucket=order["bucket"], Key=order["key"])["Body"]
        with source.open("wb") as file:
            for piece in body.iter_chunks(1 << 20):
                file.write(piece)
    except ClientError as error:
        if error.response["ResponseMetadata"].get("HTTPStatusCode") == 404:
            raise Failed(1404, f"{opening}HeadObject failed]]]") from error
        raise Failed(1401, f"{opening}Access denied to [{uri}]]]]") from error
    except BotoCoreError as error:
        raise Failed(1999, f"{opening}{error}]]]") from error
    except OSError as error:
        raise _of_system(error) from error


def _made(
    source: Path, target: Path, output: dict[str, Any], progress: Callable[[float], None], uri: str
) -> dict[str, Any]:
    """Raises Failed."""
    members = output["wanted"]
    rate = Fraction(members["rate"]) if members["rate"] else None
    lists = {"size": tuple(members["size"]), "turned_containers": tuple(members["turned_containers"])}
    try:
        found = convert(source, target, Wanted(**(members | lists | {"rate": rate})), progress)
    except CannotConvert as error:
        raise Failed(error.code, error.message.replace("{input}", uri)) from error
    except OSError as error:
        raise _of_system(error) from error
    millis = round(found.seconds * 1000)
    return {"uri": _uri(output), "millis": millis, "width": found.width, "height": found.height}


def _put(s3: Any, file: Path, output: dict[str, Any]) -> None:
    try:
        s3.upload_file(str(file), output["bucket"], output["key"], ExtraArgs={"ContentType": "video/mp4"})
    except Exception as error:  # S3UploadFailedError, of boto3, is no relation of ClientError
        denied = "AccessDenied" in str(error) or "Forbidden" in str(error)
        code, words = (1401, "Access Denied") if denied else (1517, str(error))
        raise Failed(
            code, f"Unable to write to output file [{_uri(output)}]: [Failed to write data: {words}]"
        ) from error


def _of_system(error: OSError) -> Failed:
    """This machine's fault, which MediaConvert's own would be, too."""
    if error.errno == errno.ENOSPC:
        return Failed(1999, "Write error, disk full.")
    return Failed(1999, f"Unexpected transcoding error: {error.strerror}")


def _uri(output: dict[str, Any]) -> str:
    return f"s3://{output['bucket']}/{output['key']}"


if __name__ == "__main__":
    main()
