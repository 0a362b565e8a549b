"""Text: RapidOCR (PP-OCRv6 small) finds lines and reads them, word by word.

On 736 px along the longer side for finding, on up to 1280 px for reading: captions from about 12 px of a 720p frame on.
100 to 500 ms a frame on one core, by the number of lines: the slowest of the engines.

``Confidence`` is the score × 100 of the line's or the word's reading. Without a WordFilter, words below 80 are left
out, as on AWS, and so are lines. That spares most of what is read into pictures without text, not all: a letter or two
now and then remains. A line stays as it was read as long as one of its words does.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.filters import TextFilter
from rekognition_local.video import Sample

#: Pixels along the longer side: of the picture that is read, and of the one that lines are found in.
READ_SIDE, FIND_SIDE = 1280, 736
MOST_WORDS = 100  # per frame, the service's limit

Corners = Sequence[Sequence[float]]
"""Four points (x, y) in pixels, clockwise from the upper left as the text stands."""


class Text(Analyzer):
    """The analyzer for text-detection."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Raises ImportError where the extra isn't installed."""
        self._wanted = TextFilter.of(parameters)
        settings = {
            "Det.limit_type": "max",  # its default enlarges small frames: four times slower, nothing more found
            "Det.limit_side_len": FIND_SIDE,
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
        self._read: Any = importlib.import_module("rapidocr").RapidOCR(params=settings)

    def see(self, sample: Sample) -> list[dict[str, Any]]:
        """The text of one sampled frame: lines first, from top to bottom, then their words."""
        picture = sample.picture(min(READ_SIDE, sample.side))
        result = self._read(picture, use_cls=False, return_word_box=True)
        if result.boxes is None:
            return []
        height, width = picture.shape[:2]
        read = zip(result.boxes, result.txts, result.scores, result.word_results, strict=True)
        lines, words = self._kept(
            (
                _found(text, "LINE", score, corners, width, height),
                [_found(text, "WORD", score, corners, width, height) for text, score, corners in words],
            )
            for corners, text, score, words in read
        )
        return [
            {"Timestamp": sample.millis, "TextDetection": found | {"Id": number}}
            for number, found in enumerate(lines + words)
        ]

    def _kept(self, read: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]]) -> tuple[list[Any], list[Any]]:
        """Lines, and words with their ParentId, as far as they are wanted."""
        lines: list[dict[str, Any]] = []
        words: list[dict[str, Any]] = []
        for line, its_words in read:
            kept = [
                word | {"ParentId": len(lines)}
                for word in its_words
                if self._wanted.admits(word["Geometry"]["BoundingBox"], word["Confidence"])
            ][: MOST_WORDS - len(words)]
            if kept and line["Confidence"] >= self._wanted.min_confidence:
                lines.append(line)
                words += kept
        return lines, words


def _found(text: str, kind: str, score: float, corners: Corners, width: int, height: int) -> dict[str, Any]:
    """A TextDetection without its Id."""
    points = [(float(x) / width, float(y) / height) for x, y in corners]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    return {
        "DetectedText": text,
        "Type": kind,
        "Confidence": round(float(score) * 100, 4),
        "Geometry": {
            "BoundingBox": {
                "Width": round(right - left, 6),
                "Height": round(bottom - top, 6),
                "Left": round(left, 6),
                "Top": round(top, 6),
            },
            "Polygon": [{"X": round(x, 6), "Y": round(y, 6)} for x, y in points],
        },
    }
