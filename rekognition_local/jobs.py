"""A job and what is known of it, and the opaque tokens that page through its rows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rekognition_local.aws import Stored
from rekognition_local.catalogue import Analysis
from rekognition_local.engines import Outcome, Rows, Source
from rekognition_local.errors import ServiceError

State = Literal["IN_PROGRESS", "SUCCEEDED", "FAILED"]


@dataclass(slots=True)
class Job:
    """One accepted Start. Times are the service's clock's; ``ends`` is the planned end, where the engine knows it."""

    id: str
    analysis: Analysis
    parameters: Mapping[str, Any]
    source: Source
    stored: Stored
    scope: tuple[str, str]  # account, region
    attempt: int  # how many jobs of this analysis this object had before, this one included
    started: float
    ends: float | None = None
    ended: float | None = None
    state: State = "IN_PROGRESS"
    planned: Outcome | None = None
    outcome: Outcome | None = None
    views: dict[str, Rows] = field(default_factory=dict)  # its rows in other orders, once asked for

    @property
    def tag(self) -> str | None:
        return self.parameters.get("JobTag")

    @property
    def token(self) -> str | None:
        return self.parameters.get("ClientRequestToken")

    def message(self) -> str:
        """The completion message, in the compact form and key order of messages captured from AWS."""
        if self.ended is None:
            raise ValueError(f"job {self.id} has not ended")
        body: dict[str, Any] = {"JobId": self.id, "Status": self.state, "API": self.analysis.start}
        if self.tag is not None:
            body["JobTag"] = self.tag
        body["Timestamp"] = int(self.ended * 1000)
        body["Video"] = {"S3ObjectName": self.source.name, "S3Bucket": self.source.bucket}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)

    def described(self, now: float, progress: float | None) -> dict[str, Any]:
        """For people and benches: GET /_jobs."""
        if self.state != "IN_PROGRESS":
            progress = 1.0
        elif progress is None and self.ends is not None and self.ends > self.started:
            progress = min(1.0, (now - self.started) / (self.ends - self.started))
        return {
            "JobId": self.id,
            "Analysis": self.analysis.name,
            "Operation": self.analysis.start,
            "Bucket": self.source.bucket,
            "Name": self.source.name,
            "Version": self.source.version,
            "JobTag": self.tag,
            "ClientRequestToken": self.token,
            "State": self.state,
            "Progress": round(progress or 0.0, 4),
            "Started": self.started,
            "Ended": self.ended,
            "Detections": len(self.outcome.rows) if self.outcome else None,
            "StatusMessage": self.outcome.failure if self.outcome else None,
        }


class PageTokens:
    """Tokens that say where a page begins, sealed: 76 characters, good for one job and one order of its rows."""

    _form = struct.Struct(">Qd16s")

    def __init__(self) -> None:
        self._secret = os.urandom(32)

    def issue(self, job_id: str, view: str, offset: int, now: float) -> str:
        sealed = self._form.pack(offset, now, self._subject(job_id, view))
        return base64.b64encode(sealed + self._seal(sealed)).decode()

    def open(self, token: str, job_id: str, view: str, now: float, life: float) -> int:
        """The offset. Raises ServiceError (InvalidPaginationTokenException): garbled, of another job, or too old."""
        try:
            raw = base64.b64decode(token, validate=True)
            sealed, seal = raw[: self._form.size], raw[self._form.size :]
            offset, issued, subject = self._form.unpack(sealed)
        except (ValueError, struct.error):
            raise ServiceError("InvalidPaginationTokenException") from None
        genuine = hmac.compare_digest(seal, self._seal(sealed)) and subject == self._subject(job_id, view)
        if not genuine or now - issued > life:
            raise ServiceError("InvalidPaginationTokenException")
        return int(offset)

    def _subject(self, job_id: str, view: str) -> bytes:
        return hashlib.blake2b(f"{job_id}\0{view}".encode(), digest_size=16).digest()

    def _seal(self, sealed: bytes) -> bytes:
        return hmac.digest(self._secret, sealed, "sha256")[:24]
