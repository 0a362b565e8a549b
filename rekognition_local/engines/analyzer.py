"""The base of what analyses a video for one job."""

from __future__ import annotations

from typing import Any, ClassVar

from rekognition_local.video import Frame, Sample, Video


class Analyzer:
    """Made from the job's parameters, then shown the video from its beginning to its end.

    ``watches``: wants every frame, and not only those that are sampled.
    """

    watches: ClassVar[bool] = False

    def see(self, sample: Sample) -> list[dict[str, Any]]:  # noqa: ARG002
        """The rows of one sampled frame."""
        return []

    def watch(self, frame: Frame) -> None:
        """One frame, sampled or not."""

    def rows(self, video: Video) -> list[dict[str, Any]]:  # noqa: ARG002
        """What can be said only at the end."""
        return []

    def extra(self, video: Video) -> dict[str, Any]:  # noqa: ARG002
        """Further members of the Get reply."""
        return {}
