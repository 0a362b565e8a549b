"""Segments: FFmpeg's own filters find the cuts (scdet) and the black frames (blackdetect).

On every frame, scaled to 320 px: nearly as fast as decoding alone. Frame numbers and times are exact.

Not AWS's values, and not all it finds:

- A shot begins at a cut. ``Confidence`` grows with how different the frames on both sides of that cut are: 65 at the
  threshold, 100 from a third of the largest difference on; the first shot's is 100. Slow dissolves are not found.
- Of technical cues there is ``BlackFrames``, a tenth of a second long or more. ``Confidence`` is the share of pixels
  that are black, over all its frames. ``BlackFrame``'s two thresholds mean what they mean on AWS.
- Credits, slates, colour bars, logos and content are left out: nothing here tells them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av.error
import av.filter
import numpy as np

from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.engines.timecode import stretch
from rekognition_local.filters import SegmentFilter
from rekognition_local.video import Frame, Video

WIDTH = 320  # pixels, of what the filters see
#: scdet's score, 0..100, from which on two frames are two shots. True cuts score from 10.6 up on our clips.
CUT = 10.0
SHORTEST_BLACK = Fraction(1, 10)  # seconds


@dataclass(slots=True)
class Stretch:
    """Frames from *first* to *last*. ``confidence``: of a shot. ``black``: of each black frame, the share that is."""

    first: Frame
    last: Frame
    confidence: float = 100.0
    black: list[float] = field(default_factory=list)

    def row(self, kind: str, rate: Fraction) -> dict[str, Any]:
        first, last = self.first, self.last
        return {"Type": kind, **stretch(first.number, last.number, first.time, last.time, rate)}


class Segments(Analyzer):
    """The analyzer for segment-detection."""

    watches = True

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._wanted = SegmentFilter.of(parameters)
        self._graph: Any = None
        self._pushed: deque[Frame] = deque()
        self._shots: list[Stretch] = []
        self._blacks: list[Stretch] = []
        self._in_black = False

    def watch(self, frame: Frame) -> None:
        if self._graph is None:
            self._graph = self._build(frame.raw)
        # A frame of its own time: the filters' answers are told apart by order alone.
        self._pushed.append(frame)
        self._graph.push(frame.raw)
        self._drain()

    def rows(self, video: Video) -> list[dict[str, Any]]:
        """Cues before shots, each in order of time, as AWS lists them."""
        if self._graph is not None:
            self._graph.push(None)
            self._drain()
        return [*self._cues(video.rate), *self._shot_rows(video.rate)]

    def extra(self, video: Video) -> dict[str, Any]:
        return {"AudioMetadata": video.audio}

    def _build(self, frame: Any) -> Any:
        """Source, what is asked for, sink."""
        graph = av.filter.Graph()
        steps = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
            ),
            graph.add("scale", f"{WIDTH}:-2"),
            graph.add("format", "yuv420p|yuvj420p"),
        ]
        if self._wanted.cues:
            thresholds = f"pix_th={self._wanted.max_pixel_threshold}:pic_th={self._wanted.min_coverage / 100}"
            steps.append(graph.add("blackdetect", f"d=0:{thresholds}"))
        if self._wanted.shots:
            steps.append(graph.add("scdet", f"t={CUT}"))
        steps.append(graph.add("buffersink"))
        for one, following in zip(steps, steps[1:], strict=False):  # noqa: RUF007  pairs to link, not to read
            one.link_to(following)
        graph.configure()
        return graph

    def _drain(self) -> None:
        while True:
            try:
                seen = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._note(self._pushed.popleft(), seen)

    def _note(self, frame: Frame, seen: Any) -> None:
        """What the filters say of one frame."""
        said = seen.metadata
        if not self._shots:
            self._shots.append(Stretch(frame, frame))
        elif "lavfi.scd.time" in said:
            self._shots.append(Stretch(frame, frame, 50 + min(50.0, float(said["lavfi.scd.score"]) * 1.5)))
        self._shots[-1].last = frame
        if "lavfi.black_end" in said:
            self._in_black = False
        if "lavfi.black_start" in said:
            self._in_black = True
            self._blacks.append(Stretch(frame, frame))
        if self._in_black:
            self._blacks[-1].last = frame
            self._blacks[-1].black.append(self._black_share(seen))

    def _black_share(self, seen: Any) -> float:
        """The per cent of *seen* that is black, by the same rule as blackdetect's."""
        luma = np.frombuffer(seen.planes[0], np.uint8).reshape(seen.height, -1)[:, : seen.width]
        low, span = (0, 255) if seen.color_range == 2 or "yuvj" in seen.format.name else (16, 219)
        return float((luma <= low + self._wanted.max_pixel_threshold * span).mean()) * 100

    def _cues(self, rate: Fraction) -> Iterator[dict[str, Any]]:
        for black in self._blacks:
            confidence = round(sum(black.black) / len(black.black), 4)
            long_enough = black.last.time - black.first.time >= SHORTEST_BLACK
            if long_enough and confidence >= self._wanted.min_cue_confidence:
                cue = {"Type": "BlackFrames", "Confidence": confidence}
                yield {**black.row("TECHNICAL_CUE", rate), "TechnicalCueSegment": cue}

    def _shot_rows(self, rate: Fraction) -> Iterator[dict[str, Any]]:
        if not self._wanted.shots:
            return
        for index, shot in enumerate(self._shots):
            if shot.confidence >= self._wanted.min_shot_confidence:
                found = {"Index": index, "Confidence": round(shot.confidence, 4)}
                yield {**shot.row("SHOT", rate), "ShotSegment": found}
