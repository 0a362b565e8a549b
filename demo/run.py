"""The whole product on one machine, in half a minute: upload a video, see its faces.

Starts a local cloud of its own, deploys to it, uploads the video, follows the job to its end, draws what was found into
`demo-output/`, and takes the cloud away again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from rich.console import Console
from rich.table import Table

from cli.pages.report import Facts, write_report
from demo import pictures
from lambdas.aws.job_table import Jobs
from lambdas.model.clock import Clock
from lambdas.model.job import FINAL, Job
from localcloud import ports
from localcloud.cloud import CloudError, LocalCloud, failure
from localcloud.progress import Steps
from localcloud.supervisor import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.pictures import Moment

CLIP = CHECKOUT / "localcloud/clip/two-portraits.mp4"
OUTPUT = CHECKOUT / "demo-output"
REPORT = "report.html"
ANALYSIS = "face-detection"
MOST_ROWS = 20  # of the table
FORGOTTEN = 60  # seconds after which an upload that has become no job means that something is broken


class NotAVideoError(Exception):
    """VIDEO is unusable; the message says why, in one line."""


def run(video: Path | None) -> int:
    try:
        path = checked(video or CLIP)
    except NotAVideoError as problem:
        print(problem, file=sys.stderr)
        return 2
    with Steps() as steps:
        with LocalCloud(progress=steps.step) as cloud:
            job = drop(cloud, steps, path)
            where = f"s3://{cloud.outputs['ResultsBucket']}/{job.result_key}"
            if job.state == "SUCCEEDED":
                body = cloud.client("s3").get_object(Bucket=cloud.outputs["ResultsBucket"], Key=job.result_key)["Body"]
                result = body.read()
        if job.state != "SUCCEEDED":
            steps.say(f"\nThe job ended as {job.state}: {job.reason}{advice(path)}")
            return 1
        steps.step("Draw")
        found = pictures.moments(json.loads(result)["Faces"])
        drawn = draw(path, found, result, steps)
        write_report(OUTPUT / REPORT, path.name, {ANALYSIS: json.loads(result)}, facts=Facts.of([job]), file=path)
        steps.step("Draw", True)
    show(found, drawn, where)
    return 0


def checked(path: Path) -> Path:
    """The path of something that may be tried; everything that can be seen beforehand is refused here."""
    extensions = taken_for_videos()
    if not path.exists():
        raise NotAVideoError(f"VIDEO={path}: there is no such file.")
    if not path.is_file():
        raise NotAVideoError(f"VIDEO={path} is not a file.")
    if not os.access(path, os.R_OK):
        raise NotAVideoError(f"VIDEO={path} may not be read.")
    if path.suffix.lower() not in extensions:
        raise NotAVideoError(f"VIDEO={path}: only {' and '.join(extensions)} are taken for videos.")
    if not codec(path):
        raise NotAVideoError(f"VIDEO={path} is no video, whatever its name says.")
    return path


def taken_for_videos() -> list[str]:
    """The setting `video_extensions`. (Asking `stacks.settings` would start Node for it, and take two seconds.)"""
    given = json.loads((CHECKOUT / "cdk.json").read_text())["context"].get("video_extensions", ".mp4 .mov")
    words: list[str] = given.replace(",", " ").split() if isinstance(given, str) else given
    return [word.lower() for word in words]


def codec(path: Path) -> str:
    """The name of the video's codec; empty if there is no video in it."""
    try:
        with path.open("rb") as file, av.open(file) as container:
            return container.streams.video[0].codec_context.name if container.streams.video else ""
    except (av.FFmpegError, OSError, ValueError):
        return ""


def advice(path: Path) -> str:
    name = codec(path)
    if name in ("", "h264"):
        return ""
    return f"\nRekognition reads H.264, and this is {name}. It can be converted: ffmpeg -i IN -c:v libx264 OUT.mp4"


def drop(cloud: LocalCloud, steps: Steps, path: Path) -> Job:
    """Upload the video, and follow its job to the end."""
    bucket, key = cloud.outputs["VideosBucket"], path.name
    steps.step("Upload")
    size, sent = path.stat().st_size, 0

    def count(more: int) -> None:
        nonlocal sent
        sent += more
        steps.advance("Upload", sent / size)

    cloud.client("s3").upload_file(str(path), bucket, key, Callback=count)
    steps.step("Upload", True)

    jobs = Jobs(cloud.client("dynamodb"), cloud.outputs["JobsTable"], Clock())
    uploaded = time.monotonic()
    # A short job may pass through a state between two reads; states before the current one are shown as done.
    stages = {"WAITING": "Start the job", "RUNNING": "Look for faces", "COLLECTING": "Collect the results"}
    order = list(stages.values())
    reached = 0
    steps.step(order[0])
    while True:
        if reason := failure(cloud.folder):
            raise CloudError(reason)
        job = next((job for job in jobs.of_video(bucket, key) if job.analysis == ANALYSIS), None)
        if job is None and time.monotonic() - uploaded > FORGOTTEN:
            raise CloudError(f"The upload has not become a job within {FORGOTTEN} seconds.\n{cloud.logs(8)}")
        ended = job is not None and job.state in FINAL
        now = len(order) if ended else order.index(stages[job.state]) if job else 0
        if job and ended and job.state != "SUCCEEDED":
            return job
        while reached < now:
            steps.step(order[reached], True)
            reached += 1
            if reached < len(order):
                steps.step(order[reached])
        if job and ended:
            return job
        if job and job.state == "RUNNING":
            steps.advance(stages["RUNNING"], progress(cloud, job))
        time.sleep(0.1)


def progress(cloud: LocalCloud, job: Job) -> float:
    """How far the endpoint has got with it: something that only the local one tells."""
    known = json.loads(ports.get(f"{cloud.rekognition_url}/_jobs") or b'{"jobs": []}')["jobs"]
    return next((float(one["Progress"]) for one in known if one["JobId"] == job.rekognition_job_id), 0.0)


def draw(path: Path, found: Sequence[Moment], result: bytes, steps: Steps) -> int:
    """Fill demo-output/ with the result and its pictures; how many of these there are."""
    forget_last_time()
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / f"{ANALYSIS}.json").write_bytes(result)
    wanted = pictures.representative(found, pictures.MOST_PICTURES)
    on_sheet = {moment.millis for moment in pictures.representative(wanted, pictures.MOST_ON_SHEET)}
    cells = []
    folder = OUTPUT / "moments"
    for number, (moment, frame) in enumerate(pictures.frames(path, wanted), 1):
        folder.mkdir(exist_ok=True)
        picture = pictures.framed(frame, moment)
        picture.save(folder / f"{number:04}-at-{moment.millis / 1000:.3f}s.jpg", quality=92)
        if moment.millis in on_sheet:
            cells.append((moment, frame))
        steps.advance("Draw", number / len(wanted))
    if cells:
        left_out = f"; {len(cells)} of them are shown" if len(cells) < len(found) else ""
        subtitle = f"{len(found)} moments with a face in them (two a second are looked at){left_out}"
        pictures.contact_sheet(path.name, subtitle, cells).save(OUTPUT / "contact-sheet.png")
    return len(wanted)


def forget_last_time() -> None:
    """Only what an earlier demo has put there; the folder may hold something of the user's by now."""
    shutil.rmtree(OUTPUT / "moments", ignore_errors=True)
    for name in (f"{ANALYSIS}.json", "contact-sheet.png", REPORT):
        (OUTPUT / name).unlink(missing_ok=True)


def show(found: Sequence[Moment], drawn: int, where: str) -> None:
    console = Console(highlight=False)
    output = os.path.relpath(OUTPUT)
    print()
    if found:
        console.print(table(found))
    else:
        print("No face was found in it.")
    print(f"\nThe JSON lay at {where}")
    print(f"  a copy:        {output}/{ANALYSIS}.json")
    if found:
        of = f" (of {len(found)} moments)" if drawn < len(found) else ""
        print(f"  {drawn} pictures:{' ' * (5 - len(str(drawn)))}{output}/moments/{of}")
        print(f"  at a glance:   {output}/contact-sheet.png")
    print(f"  look at this:  {output}/{REPORT}  (the video, and what was found when)")
    print("\nWith videos of yours:  make cloud && .venv/bin/rekognition-batch open --local")


def table(found: Sequence[Moment]) -> Table:
    """What was seen from when to when: moments in a row with equally many faces are one line."""
    spans = pictures.spans(found)
    result = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for heading in ("seconds", "faces", "confidence"):
        result.add_column(heading, justify="right", no_wrap=True)
    for span in spans[:MOST_ROWS]:
        first, last = span[0].millis / 1000, span[-1].millis / 1000
        confidences: list[Any] = [face["Confidence"] for moment in span for face in moment.faces]
        low, high = min(confidences), max(confidences)
        result.add_row(
            f"{first:.1f} – {last:.1f}" if last > first else f"{first:.1f}",
            str(len(span[0].faces)),
            f"{low:.1f} – {high:.1f} %" if f"{high:.1f}" != f"{low:.1f}" else f"{high:.1f} %",
        )
    if len(spans) > MOST_ROWS:
        result.caption = f"... and {len(spans) - MOST_ROWS} more"
        result.caption_justify = "left"
    return result
