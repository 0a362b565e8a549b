"""What a run costs, from the project's one price file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lambdas.model import prices
from tools.aws_smoke.scenarios import Scenario

# Two functions, two queues, a table, three buckets and a key, for less than an hour, and some thousand requests.
EVERYTHING_ELSE = 0.05


def video_dollars(scenarios: Sequence[Scenario]) -> tuple[float, float]:
    """What Rekognition asks at least, were seconds billed, and at most, were every started minute."""
    least = most = 0.0
    for scenario in scenarios:
        for analysis, seconds, count in scenario.jobs:
            minute = prices.per_minute({analysis: {}})[analysis]
            least += minute * seconds / 60 * count
            most += minute * math.ceil(seconds / 60) * count
    return least, most


def statement(scenarios: Sequence[Scenario]) -> str:
    least, most = video_dollars(scenarios)
    jobs = sum(count for scenario in scenarios for _, _, count in scenario.jobs)
    return (
        f"It has up to {jobs} videos of some seconds analysed. That costs ${least:.2f} if AWS bills seconds, and "
        f"${most:.2f} if it bills every started minute (sources differ), and less than ${EVERYTHING_ELSE:.2f} for "
        f"everything else ({prices.as_of()})."
    )
