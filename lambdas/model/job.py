"""A job: one analysis of one upload, and its states.

    WAITING ──claim──▶ RUNNING ──collect──▶ COLLECTING ──▶ SUCCEEDED
       ▲  │               │                     │
       │  └─▶ REJECTED ◀──┤                     ├──▶ FAILED      (a lasting reason)
       ├────── release ◀──┼── another attempt ◀─┤                (a passing reason)
       └─── CONVERTING ◀──┴─────────────────────┘                (a format that Rekognition can't read)

An upload that Rekognition can't read may also begin as CONVERTING. See lambdas/logic/conversion.py.

A job is RUNNING from the moment it is claimed, so that a crash between the claim and the record of Rekognition's answer
leaves a trace: RUNNING without ``rekognition_job_id``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from lambdas.model import analyses
from lambdas.model.budget import Charge
from lambdas.model.clock import iso
from lambdas.model.shares import LIVE, ONE_SHARE, Priority, line_of
from lambdas.model.video_header import VideoHeader

if TYPE_CHECKING:
    from lambdas.model.events import Upload

State = Literal["WAITING", "CONVERTING", "RUNNING", "COLLECTING", "SUCCEEDED", "FAILED", "REJECTED"]
FINAL: frozenset[State] = frozenset({"SUCCEEDED", "FAILED", "REJECTED"})


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis of one upload, as the table knows it. Attribute names are the table's own."""

    job_id: str
    state: State
    bucket: str
    key: str
    etag: str
    analysis: str
    parameters: Mapping[str, Any]
    size: int  # bytes
    uploaded_at: str
    sequencer: str  # orders uploads of one key
    position: str  # orders the backlog: when the job may be started, and which comes first
    due_at: str  # sorts the jobs of one state; see above
    state_since: str
    registered_at: str
    # Sent to Rekognition, and the same in all Starts of one attempt: a token must not stand for two different calls.
    version_id: str | None = None
    newest_version_id: str | None = None  # of the same content, uploaded again
    priority: Priority = LIVE
    share: str = ONE_SHARE
    charge: Charge | None = None  # of this attempt
    attempt: int = 1
    maybe_started: bool = False  # a Start of this attempt may have been accepted, and its answer lost
    # How often it was REJECTED for a fault that may be its own, when last, and in which scope; see blocking.py.
    suspicions: int = 0
    suspected_at: str | None = None
    suspected_in: str | None = None
    rekognition_job_id: str | None = None
    past_rekognition_job_ids: Sequence[str] = ()  # of earlier attempts
    slot_freed_by: str | None = None  # the attempt whose end Rekognition has reported
    slot_freed_at: str | None = None
    reason: str | None = None
    start_errors: int = 0
    polls: int = 0  # how often Rekognition was polled about the running attempt
    lease_owner: str | None = None  # the invocation that is collecting, and the end of its lease
    lease_until: str | None = None
    checkpoint: str | None = None
    result_key: str | None = None
    rows_key: str | None = None
    detections: int | None = None
    video_metadata: Mapping[str, Any] = field(default_factory=dict)
    header: VideoHeader | None = None  # None: not read yet; without a container: read, and it says nothing
    # The key of the converted copy, in the results bucket, that is analysed in place of the video; None: the video is.
    source_key: str | None = None
    conversions: int = 0  # how many conversions were wanted: the number of the one that a CONVERTING job waits for
    conversion_id: str | None = None  # MediaConvert's id of it
    pays_conversion: bool = False  # whether a conversion was begun for this job, and not for another analysis

    @property
    def token(self) -> str:
        """The ClientRequestToken of this attempt."""
        return analyses.attempt_token(self.job_id, self.attempt)

    @property
    def line(self) -> str:
        """The line in which the job waits; see shares.py."""
        return line_of(self.priority, self.share)

    @property
    def log_keys(self) -> dict[str, str]:
        """The fields of every log line about this job."""
        return {"job_id": self.job_id, "bucket": self.bucket, "key": self.key}


def new_job(
    upload: "Upload",
    analysis: str,
    parameters: Mapping[str, Any],
    now: float,
    *,
    priority: Priority = LIVE,
    share: str = ONE_SHARE,
    header: VideoHeader | None = None,
) -> Job:
    """A new job for `analysis` of `upload`: WAITING, at the end of its line."""
    job_id = analyses.job_id(upload.bucket, upload.key, upload.etag, analysis, parameters)
    last = position(now, job_id)
    return Job(
        job_id=job_id,
        state="WAITING",
        bucket=upload.bucket,
        key=upload.key,
        etag=upload.etag,
        analysis=analysis,
        parameters=parameters,
        size=upload.size,
        uploaded_at=upload.uploaded_at,
        sequencer=upload.sequencer,
        version_id=upload.version_id,
        position=last,
        due_at=last,
        state_since=iso(now),
        registered_at=iso(now),
        header=header,
        priority=priority,
        share=share,
    )


def to_be_converted(job: Job, reason: str, now: float) -> Job:
    """A new job that waits for a converted copy, and keeps its position in the backlog."""
    return replace(job, state="CONVERTING", conversions=1, due_at=iso(now), reason=reason)


def position(seconds: float, job_id: str) -> str:
    """A position in the backlog: by time, then by id within one millisecond."""
    return f"{iso(seconds)}#{job_id[:8]}"
