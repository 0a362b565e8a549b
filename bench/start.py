"""make bench-start: what the handlers' imports cost at a cold start, beside boto3 and the same clients alone.

Each side runs in processes of its own, in turn (so that a busy moment of the machine meets both), and the time counts
from the first line of code to the last client made: the interpreter's own start is the same for both and left out.
The collecting function's and the starting function's ratio are both measured; ``import_ratio`` is the larger.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from bench import report

ROOT = Path(__file__).parent.parent
ROUNDS = 25

HANDLERS = {"start_analysis": "line", "collect_results": "collector"}

_TIMED = "import time; began = time.perf_counter()\n{}\nprint(time.perf_counter() - began)"

# The very clients that wiring makes for both functions.
BARE = """
import boto3
from botocore.config import Config
once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=15)
patient = Config(retries={"mode": "standard", "total_max_attempts": 8}, connect_timeout=5, read_timeout=30)
boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("s3"), boto3.client("events")
boto3.client("rekognition", config=once), boto3.client("rekognition", config=patient)
"""

OURS = """
from lambdas import {module}
{module}.wiring.{part}()
"""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "JOBS_TABLE": "jobs",
    "VIDEOS_BUCKET": "videos",
    "RESULTS_BUCKET": "results",
    "FINISHED_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/finished",
    "JOB_FINISHED_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:job-finished",
    "PUBLISHER_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
    "VIDEO_EXTENSIONS": ".mp4,.mov",
    "MAX_RUNNING_JOBS": "0",
    "ANALYSES": '{"face-detection": {"FaceAttributes": "DEFAULT"}}',
    "ROUTES": "[]",
    "UPLOAD_CHOICE": "both",
    "ALLOWED_ANALYSES": "face-detection,label-detection,content-moderation,text-detection,segment-detection",
    "SHARE_BY": "",
    "SHARE_WEIGHTS": "{}",
    "MONTHLY_BUDGET_USD": "0",
    "MONTHLY_MINUTES": "0",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


def seconds(code: str) -> float:
    """How long `code` takes in a fresh interpreter that has its byte code at hand."""
    answer = subprocess.run(
        [sys.executable, "-c", _TIMED.format(code)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout)


def main() -> None:
    """Measure, show, write down."""
    programs = {"bare": BARE} | {name: OURS.format(module=name, part=part) for name, part in HANDLERS.items()}
    for code in programs.values():
        seconds(code)  # compiled and in the page cache, for all alike
    taken: dict[str, list[float]] = {name: [] for name in programs}
    with report.progress() as bar:
        task = bar.add_task("cold starts", total=ROUNDS)
        for _ in range(ROUNDS):
            for name, code in programs.items():
                taken[name].append(seconds(code))
            bar.advance(task)
    median = {name: statistics.median(times) for name, times in taken.items()}
    # Ratios of neighbours, whose machine was equally busy, rather than the ratio of medians.
    ratio = {
        name: statistics.median(ours / bare for ours, bare in zip(taken[name], taken["bare"], strict=True))
        for name in HANDLERS
    }
    report.show(
        f"Cold start: imports and clients, median of {ROUNDS}",
        ["", "seconds", "ratio"],
        [
            ("boto3 and the same clients", median["bare"], 1.0),
            *((f"lambdas.{name}", median[name], ratio[name]) for name in HANDLERS),
        ],
    )
    ours = {
        "import_ratio": round(max(ratio.values()), 3),
        "by_function": {
            name: {"import_ratio": round(ratio[name], 3), "seconds": round(median[name], 4)} for name in HANDLERS
        },
    }
    report.save(
        "start",
        ours=ours,
        baselines={"bare_boto3_clients": {"import_ratio": 1.0, "seconds": round(median["bare"], 4)}},
        targets=[report.Target("import_ratio", 1.2)],
        rounds=ROUNDS,
    )


if __name__ == "__main__":
    main()
