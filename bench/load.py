"""The load of the drain bench: so many videos at once, of mixed length, some of them poison."""

import heapq
import random
from dataclasses import dataclass
from typing import Literal

SLOTS = 20
MEDIAN, SIGMA, SHORTEST, LONGEST = 80.0, 0.75, 20.0, 1200.0  # seconds of processing: lognormal, cut at both ends
DISTRIBUTION = "lognormal, median 80 s, sigma 0.75, cut to 20 s – 20 min (mean about 105 s), seed 7"
POISON = 0.01  # of the videos; half of them are gone before their start, half fail as unreadable
LOST, DOUBLED = 0.02, 0.05  # of the notifications
SEED = 7

Kind = Literal["good", "gone", "broken"]


@dataclass(frozen=True, slots=True)
class Video:
    """One video: its key, how long Rekognition takes, and what is wrong with it."""

    key: str
    seconds: float
    kind: Kind


def videos(count: int) -> list[Video]:
    """`count` videos in order of their upload, the same for every run."""
    dice = random.Random(SEED)
    made = []
    for number in range(count):
        seconds = min(max(dice.lognormvariate(0, SIGMA) * MEDIAN, SHORTEST), LONGEST)
        kind: Kind = "good"
        if dice.random() < POISON:
            kind = "gone" if dice.random() < 0.5 else "broken"
        made.append(Video(f"{kind}/{number:05}.mp4", round(seconds, 1), kind))
    return made


def work(load: list[Video]) -> float:
    """Seconds of slot that the load takes, poison that starts included."""
    return sum(video.seconds for video in load if video.kind != "gone")


def perfect_fifo(load: list[Video], order: list[str]) -> float:
    """Seconds until the last job ends when jobs start in that `order` of keys and every slot is refilled at once.

    Longer than work ÷ slots, as in the end some slots have nothing left to do: unavoidable without knowing
    beforehand how long a video takes.
    """
    seconds = {video.key: video.seconds for video in load}
    slots = [0.0] * SLOTS
    for key in order:
        heapq.heapreplace(slots, slots[0] + seconds[key])
    return max(slots)
