"""The real engines: a video is decoded once, and the analyzers of all its jobs are shown every frame they need.

``ANALYZERS`` lists the analyzers (analyzer.py), ``EXTRAS`` which of them need an extra beyond ``faces``.
Celebrities are in neither: there is no engine for them.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, cast

from rekognition_local.engines import UNREADABLE, Outcome
from rekognition_local.engines.analyzer import Analyzer
from rekognition_local.engines.models import ModelMissing, install_command
from rekognition_local.video import CannotAnalyse, Frame, Sample, Video

#: analysis -> module:class. Imported when first asked for, so that an engine that isn't installed costs nothing.
ANALYZERS: dict[str, str] = {
    "face-detection": "rekognition_local.engines.faces:Faces",
    "segment-detection": "rekognition_local.engines.segments:Segments",
    "text-detection": "rekognition_local.engines.text:Text",
    "face-search": "rekognition_local.engines.search:Search",
    "label-detection": "rekognition_local.engines.labels:Labels",
    "content-moderation": "rekognition_local.engines.moderation:Moderation",
}
#: analysis -> the extra that installs what its engine needs (pyproject.toml).
EXTRAS: dict[str, str] = {
    "text-detection": "text",
    "face-search": "search",
    "label-detection": "labels",
    "content-moderation": "moderation",
}


@dataclass(slots=True)
class AnalysisTask:
    """One job of an analysis pass: its parameters, its analyzer and the rows so far."""

    job_id: str
    analysis: str
    parameters: Mapping[str, Any]
    rows: list[bytes] = field(default_factory=list)
    failure: str | None = None
    analyzer: Analyzer | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def see(self, sample: Sample) -> None:
        if self.analyzer:
            self._add(self.analyzer.see, sample)

    def watch(self, frame: Frame) -> None:
        if self.analyzer and self.analyzer.watches:
            self._try(self.analyzer.watch, frame)

    def finish(self, video: Video) -> None:
        if self.analyzer:
            self._add(self.analyzer.rows, video)
        if self.analyzer:
            self.extra = self._try(self.analyzer.extra, video) or {}

    def _add[T](self, step: Callable[[T], list[dict[str, Any]]], at: T) -> None:
        self.rows += [json.dumps(row, separators=(",", ":")).encode() for row in self._try(step, at) or ()]

    def _try[T, R](self, step: Callable[[T], R], at: T) -> R | None:
        try:
            return step(at)
        except Exception as error:  # one engine's trouble is not the others'
            self.fail(f"The local engine for {self.analysis} failed: {error}")
            return None

    def fail(self, why: str) -> None:
        self.failure, self.analyzer, self.rows = why, None, []

    def outcome(self, video: Mapping[str, Any]) -> Outcome:
        return Outcome(failure=self.failure) if self.failure else Outcome(self.rows, video, extra=self.extra)


def analyze_video(
    file: IO[bytes],
    tasks: Sequence[AnalysisTask],
    progress: Callable[[float], None],
    log: Callable[[str], None] = print,
) -> dict[str, Outcome]:
    """Decode *file* once for all *tasks*. Never raises: what goes wrong is each job's outcome.

    *progress* is told how much is done, 0..1, after each sample; *log* why a file can't be analysed.
    """
    for task in tasks:
        try:
            task.analyzer = _analyzer(task.analysis, task.parameters)
        except Exception as error:
            task.fail(str(error))
    metadata: dict[str, Any] = {}
    try:
        with Video(file) as video:
            watchers = [task for task in tasks if task.analyzer and task.analyzer.watches]

            def watch(frame: Frame) -> None:
                for task in watchers:
                    task.watch(frame)

            for sample in video.samples(watch if watchers else None):
                for task in tasks:
                    task.see(sample)
                progress(video.progress)
            for task in tasks:
                task.finish(video)
            metadata = video.metadata
    except CannotAnalyse as reason:
        log(f"not a video that can be analysed: {reason}")
        for task in tasks:
            task.fail(task.failure or UNREADABLE)
    return {task.job_id: task.outcome(metadata) for task in tasks}


def _analyzer(analysis: str, parameters: Mapping[str, Any]) -> Analyzer:
    """Raises LookupError, ImportError or ModelMissing, with a text for a StatusMessage."""
    place = ANALYZERS.get(analysis)
    if place is None:
        raise LookupError(f"There is no local engine for {analysis}.")
    module, name = place.split(":")
    try:
        return cast(Analyzer, getattr(importlib.import_module(module), name)(parameters))
    except (ImportError, ModelMissing) as error:
        if analysis not in EXTRAS:
            raise
        raise ModelMissing(how_to_install(analysis, error)) from error


def how_to_install(analysis: str, why: Exception) -> str:
    """A StatusMessage for an analysis whose extra isn't installed."""
    command = install_command(EXTRAS[analysis])
    return f"The local engine for {analysis} is not installed: {command} does that. ({why})"
