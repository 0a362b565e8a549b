"""make bench-cost: dollars per 1,000 jobs and per idle month, from what the drain and collect benches counted.

Prices are public list prices kept in ``lambdas/model/prices.json``. Counted: every call the handlers made. Estimated:
what functions are billed for (latencies assumed in ``bench/cloud.py``, CPU measured by the collect bench), and what
pollers of an idle queue do.
"""

from collections import Counter
from typing import Any

from bench import report
from lambdas.model import prices

PRICES = prices.known()["prices"]

MEMORY = {"start": 0.5, "collect": 1.0}  # GB, as stacks/rekognition_batch.py gives them
PLATFORM_LOG = 350  # bytes that Lambda itself logs of an invocation: START, END, REPORT
ROWS_PER_SECOND = 2.0  # a face in every sampled frame
BYTES_PER_ROW = 550  # of document and compressed row together
METRICS = 8  # that are sent in an hour in which jobs run
# AWS Lambda Developer Guide, "Using Lambda with Amazon SQS": five pollers begin, each waiting up to 20 s for a message.
# AWS does not document how many pollers stay at an idle queue; bills show five.
POLLERS, POLLS_PER_MINUTE, QUEUES = 5, 3, 2
MINUTES = 30 * 24 * 60  # of a month
IDLE_TICK = {"seconds": 0.040, "read_units": 2.5}  # the line's item, and three empty queries; see test_an_idle_tick

Used = Counter[str]


def of_jobs(usage: dict[str, Any], cpu_us_per_row: float) -> Used:
    """What 1,000 jobs use, by the names in prices.json."""
    scale = 1000 / usage["jobs"]
    calls, used = usage["calls"], Counter[str]()
    rows = usage["video_seconds"] * ROWS_PER_SECOND
    for name, number in calls.items():
        service, operation = name.split(".", 1)
        if service == "s3":
            put = operation in (
                "PutObject",
                "CreateMultipartUpload",
                "UploadPart",
                "CompleteMultipartUpload",
                "ListParts",
            )
            used["s3_put" if put else "s3_get"] += 0 if operation.startswith("Delete") else number
        elif service in ("sqs", "sqs-by-lambda"):
            used["sqs_request"] += number
        elif service == "events":
            used["eventbridge_event"] += number
        elif service == "sns":
            used["sns_publish"] += number
            used["sqs_request"] += number  # its delivery to the finished queue
    used["sqs_request"] += usage["jobs"]  # S3's event to the uploads queue
    used["dynamodb_write_unit"] = usage["table_units"]["write"]
    used["dynamodb_read_unit"] = usage["table_units"]["read"]
    invocations = sum(usage["invocations"].values())
    used["lambda_request"] = invocations
    seconds: Any = Counter(usage["function_seconds"])
    seconds["collect"] += rows * cpu_us_per_row / 1e6
    used["lambda_gb_second_arm64"] = sum(seconds[name] * memory for name, memory in MEMORY.items())
    used["logs_gb"] = (usage["log_bytes"] + invocations * PLATFORM_LOG) / 1e9
    used["metric_hour"] = METRICS * (1 + usage["drain_s"] / 3600)
    used["s3_gb_month"] = rows * BYTES_PER_ROW / 1e9
    return Counter({name: number * scale for name, number in used.items()})


def of_an_idle_month() -> Used:
    """What a month without any upload uses."""
    return Counter(
        {
            "lambda_request": MINUTES,
            "lambda_gb_second_arm64": MINUTES * IDLE_TICK["seconds"] * MEMORY["start"],
            "dynamodb_read_unit": MINUTES * IDLE_TICK["read_units"],
            "logs_gb": MINUTES * PLATFORM_LOG / 1e9,
            "sqs_request": MINUTES * POLLERS * POLLS_PER_MINUTE * QUEUES,
        }
    )


def dollars(used: Used, *, free: bool = False) -> dict[str, float]:
    """What it costs, by name; with `free`, less what is free each month for ever (if nothing else uses it)."""
    costs = {}
    for name, number in used.items():
        price = PRICES[name]
        billed = max(0.0, number - (price["free_per_month"] if free else 0))
        costs[name] = billed / price["per"] * price["usd"]
    return costs


def main() -> None:
    """Add up, show, write down."""
    drain, collect = report.load("drain"), report.load("collect")
    usage = drain["usage"][max(drain["usage"], key=int)]
    jobs = of_jobs(usage, collect["ours"]["cpu_us_per_row"])
    idle = of_an_idle_month()
    jobs_cost, idle_cost, idle_free = dollars(jobs), dollars(idle), dollars(idle, free=True)
    minutes = usage["video_seconds"] / 60 * 1000 / usage["jobs"]
    rekognition = minutes * prices.usd("rekognition_video_minute")
    names = sorted({*jobs, *idle}, key=lambda name: -jobs_cost.get(name, 0))
    report.show(
        "What it costs, beside Rekognition (us-east-1, public list prices; check before quoting)",
        ["", "per 1,000 jobs", "$", "per idle month", "$", "$ with free tiers"],
        [
            *(
                (
                    name.replace("_", " "),
                    *(float(jobs[name]) if name in jobs else None, jobs_cost.get(name)),
                    *(float(idle[name]) if name in idle else None, idle_cost.get(name), idle_free.get(name)),
                )
                for name in names
            ),
            ("together", None, sum(jobs_cost.values()), None, sum(idle_cost.values()), sum(idle_free.values())),
            ("Rekognition's own, minutes", minutes, rekognition, None, None, None),
        ],
    )
    report.save(
        "cost",
        ours={
            "usd_per_1000_jobs": round(sum(jobs_cost.values()), 4),
            # As billed: the price lists give everybody a first million SQS requests, and more, free for ever. In an
            # account whose other work uses these up, the second figure holds.
            "usd_idle_month": round(sum(idle_free.values()), 4),
            "usd_idle_month_without_free_tiers": round(sum(idle_cost.values()), 4),
            "usd_idle_month_without_queue_polling": round(sum(idle_cost.values()) - idle_cost["sqs_request"], 4),
        },
        baselines={"rekognition_itself": {"usd_per_1000_jobs": round(rekognition, 2), "usd_idle_month": 0.0}},
        targets=[report.Target("usd_per_1000_jobs", 0.50), report.Target("usd_idle_month", 0.20)],
        usd_by_item={
            "per_1000_jobs": {name: round(cost, 5) for name, cost in jobs_cost.items()},
            "idle_month": {name: round(cost, 5) for name, cost in idle_cost.items()},
            "idle_month_with_free_tiers": {name: round(cost, 5) for name, cost in idle_free.items()},
        },
        used={"per_1000_jobs": {n: round(v, 3) for n, v in jobs.items()}, "idle_month": dict(idle)},
        assumptions={
            "prices": "lambdas/model/prices.json",
            "jobs_in_the_drain": usage["jobs"],
            "pollers_of_an_idle_queue": POLLERS,
            "polls_per_minute_and_poller": POLLS_PER_MINUTE,
            "rows_per_second_of_video": ROWS_PER_SECOND,
            "memory_gb": MEMORY,
        },
    )


if __name__ == "__main__":
    main()
