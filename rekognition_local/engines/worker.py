"""A worker process: takes videos on its standard input, says on its standard output what was seen in them.

In: a line of JSON per video, ``{"source": {bucket, name, version}, "jobs": [{job_id, analysis, parameters}]}``.
Out: lines of JSON. ``{"progress": 0..1}`` now and then; per job ``{"job_id", "video", "failure", "extra", "rows": n}``
and then n lines, a row each.

It ends when its standard input does, also in the middle of a video: the server that started it is gone then.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from typing import IO, Any

from rekognition_local import clients
from rekognition_local.aws import S3Objects
from rekognition_local.engines import NO_VIDEO, Outcome, Source
from rekognition_local.engines.analysis_pass import AnalysisTask, analyze_video


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--aws-endpoint")
    parser.add_argument("--region", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business, which closes the pipe
    # The pipe is for messages alone: what a library prints goes where errors go.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    objects = S3Objects(clients.maker(options.aws_endpoint, options.region)("s3"))
    while True:
        _do(json.loads(tasks.get()), objects, out)


def _read(tasks: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        tasks.put(line)
    os._exit(0)


def _do(task: dict[str, Any], objects: S3Objects, out: IO[bytes]) -> None:
    source = Source(**task["source"])
    tasks = [AnalysisTask(**job) for job in task["jobs"]]
    said = time.monotonic()

    def progress(done: float) -> None:
        nonlocal said
        if time.monotonic() - said >= 0.1:
            said = time.monotonic()
            _say(out, {"progress": round(done, 4)})

    def log(text: str) -> None:
        print(f"s3://{source.bucket}/{source.name}: {text}", file=sys.stderr, flush=True)

    # A file without a name: the system takes it back when this process ends, however it ends.
    with tempfile.TemporaryFile() as file:
        try:
            objects.download(source, file)
        except Exception as error:
            log(str(error))
            outcomes = {it.job_id: Outcome(failure=NO_VIDEO) for it in tasks}
        else:
            file.seek(0)
            outcomes = analyze_video(file, tasks, progress, log)
    for job_id, outcome in outcomes.items():
        about: dict[str, Any] = {"job_id": job_id, "video": outcome.video, "failure": outcome.failure}
        about |= {"extra": outcome.extra, "rows": len(outcome.rows)}
        _say(out, about, *outcome.rows)


def _say(out: IO[bytes], message: dict[str, Any], *rows: bytes) -> None:
    out.write(b"".join(line + b"\n" for line in (json.dumps(message).encode(), *rows)))
    out.flush()


if __name__ == "__main__":
    main()
