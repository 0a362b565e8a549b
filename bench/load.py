"""The loads of the drain bench: so many videos at once, of mixed length, some of them poison."""

import heapq
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lambdas.model.shares import Priority

MEDIAN, SIGMA, SHORTEST, LONGEST = 80.0, 0.75, 20.0, 1200.0  # seconds of processing: lognormal, cut at both ends
DISTRIBUTION = "lognormal, median 80 s, sigma 0.75, cut to 20 s – 20 min (mean about 105 s), seed 7"
POISON = 0.01  # of the videos; half of them are gone before their start, half fail as unreadable
LOST, DOUBLED = 0.02, 0.05  # of the notifications
SEED = 7
BYTES_PER_SECOND = 125_000  # of video: a megabit a second

Kind = Literal["good", "gone", "broken"]


@dataclass(frozen=True, slots=True)
class Quotas:
    """What Rekognition lets the account do: AWS's slots and the smaller regions' rates, unless said otherwise."""

    slots: int = 20
    starts: int = 5  # calls of Start a second
    gets: int = 5


@dataclass(frozen=True, slots=True)
class Video:
    """One video.

    Attributes:
        seconds: how long Rekognition takes, and as long is the video.
        kind: what is wrong with it.
        at: when it is dropped, in seconds after the first.
        announced: the class in which the command backfill announces it; None: S3 announces it.
    """

    key: str
    seconds: float
    kind: Kind = "good"
    at: float = 0.0
    announced: Priority | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return round(self.seconds * BYTES_PER_SECOND)

    @property
    def head(self) -> bytes:
        """The first bytes of an MP4 file of that length, H.264, with its header at the front."""
        length = round(self.seconds * 1000).to_bytes(4)
        sample = _box(b"stsd", bytes(4), (1).to_bytes(4), _box(b"avc1", bytes(78)))
        media = _box(
            b"mdia",
            _box(b"mdhd", bytes(12), (1000).to_bytes(4), length, bytes(4)),
            _box(b"hdlr", bytes(8), b"vide", bytes(13)),
            _box(b"minf", _box(b"stbl", sample)),
        )
        movie = _box(b"mvhd", bytes(12), (1000).to_bytes(4), length, bytes(80))
        track = _box(b"trak", _box(b"tkhd", (3).to_bytes(4), bytes(80)), media)
        return _box(b"ftyp", b"isom", bytes(4)) + _box(b"moov", movie, track)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (8 + len(body)).to_bytes(4) + kind + body


def videos(count: int, share: str = "", seed: int = SEED) -> list[Video]:
    """`count` videos in order of their upload, the same for every run; `share` is the folder they are in."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        seconds = min(max(dice.lognormvariate(0, SIGMA) * MEDIAN, SHORTEST), LONGEST)
        kind: Kind = "good"
        if dice.random() < POISON:
            kind = "gone" if dice.random() < 0.5 else "broken"
        made.append(Video(f"{share}{kind}/{number:05}.mp4", round(seconds, 1), kind))
    return made


def shared(weights: Mapping[str, float], count: int) -> list[Video]:
    """About `count` videos, of each share as many as its weight says, in an order in which all of the first share come
    first: first come, first served would be as unfair as can be."""
    per_weight = count / sum(weights.values())
    return [
        video
        for number, (share, weight) in enumerate(weights.items())
        for video in videos(round(weight * per_weight), share, seed=SEED + number)
    ]


def work(load: list[Video]) -> float:
    """Seconds of slot that the load takes, poison that starts included."""
    return sum(video.seconds for video in load if video.kind != "gone")


def perfect_fifo(load: list[Video], order: list[str], quotas: Quotas) -> float:
    """Seconds until the last job ends when jobs start in that `order` of keys and every slot is refilled at once, as
    far as the rate of starts allows.

    Longer than work ÷ slots, as in the end some slots have nothing left to do: unavoidable without knowing
    beforehand how long a video takes.
    """
    seconds = {video.key: video.seconds for video in load}
    slots = [0.0] * quotas.slots
    may_start = 0.0
    for key in order:
        begins = max(slots[0], may_start)
        may_start = begins + 1 / quotas.starts
        heapq.heapreplace(slots, begins + seconds[key])
    return max(slots)
