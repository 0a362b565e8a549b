"""Results: their keys, and how they are written.

results/<video key>/<analysis>.json                              as Rekognition's own Get answers, all pages in one
rows/analysis=<analysis>/date=<yyyy-mm-dd>/<job id>.jsonl.gz     the same detections, one flat row each
superseded/<job id>/<analysis>.json                              of an upload that was replaced before it was done
jobs/analysis=<analysis>/<job id>.json                           one row about the job itself, once it succeeds
collecting/<job id>/...                                          what an unfinished collection needs to go on
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.aws.multipart import GzipStream, ObjectStream, PreconditionFailed, Target, UploadGone
from lambdas.logic import rows
from lambdas.model.analyses import CATALOGUE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from lambdas.model.job import Job
    from lambdas.model.page import Page

    Lookup = Callable[[str], Job | None]

LONGEST_KEY = 1024  # bytes of UTF-8; S3's limit
JOB_ID = "job-id"  # the metadata that names a result's job

_encode = json.JSONEncoder(separators=(",", ":")).encode


def result_key(key: str, analysis: str) -> str:
    """The key of the result of `analysis` on the video `key`.

    A key for which that would be longer than S3 allows gets a short form, ``results/.long-keys/<SHA-256 of key>/...``.
    """
    plain = f"results/{key}/{analysis}.json"
    if len(plain.encode()) <= LONGEST_KEY:
        return plain
    return f"results/.long-keys/{hashlib.sha256(key.encode()).hexdigest()}/{analysis}.json"


def superseded_key(job: "Job") -> str:
    """The key of a result whose video was replaced by a newer upload that was collected first."""
    return f"superseded/{job.job_id}/{job.analysis}.json"


def rows_key(job: "Job") -> str:
    """The key of a job's rows; ``date`` is the day the video was uploaded (UTC)."""
    return f"rows/analysis={job.analysis}/date={job.uploaded_at[:10]}/{job.job_id}.jsonl.gz"


def job_row_key(job: "Job") -> str:
    """The key of the row about the job itself."""
    return f"jobs/analysis={job.analysis}/{job.job_id}.json"


class Results:
    """The results bucket."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def begin(self, job: "Job", first: "Page", *, superseded: bool = False) -> "ResultWriter":
        """Start writing a job's results; `first` is page one, whose metadata the document begins with."""
        document = ObjectStream(self._s3, self.document(job, superseded=superseded))
        table = GzipStream(ObjectStream(self._s3, self._rows(job)))
        writing = ResultWriter(self, job, document, table, superseded=superseded)
        head = _encode({**first.rest, CATALOGUE[job.analysis].detections: []})
        document.write(head.removesuffix("]}").encode())
        writing.answer = first.rest
        return writing

    def resume(self, job: "Job", first: "Page") -> "ResultWriter":
        """Continue at the job's checkpoint, or begin."""
        if job.checkpoint is None:
            return self.begin(job, first)
        then = json.loads(job.checkpoint)
        try:
            remainders = {name: self._read(f"{then['remainders']}/{name}") for name in ("document", "rows")}
            streams = {
                name: ObjectStream(
                    self._s3,
                    target,
                    upload_id=then[name]["upload_id"],
                    parts=then[name]["parts"],
                    tail=remainders[name],
                )
                for name, target in (
                    ("document", self.document(job, superseded=then["superseded"])),
                    ("rows", self._rows(job)),
                )
            }
        except UploadGone:
            return self.begin(job, first, superseded=then["superseded"])
        writing = ResultWriter(
            self,
            job,
            streams["document"],
            GzipStream(streams["rows"], checksum=then["rows"]["checksum"], length=then["rows"]["length"], started=True),
            superseded=then["superseded"],
        )
        writing.answer = first.rest
        writing.detections, writing.pages, writing.next_token = then["detections"], then["pages"], then["next_token"]
        writing.remainders.append(then["remainders"])
        return writing

    def put_job_row(self, job: "Job", row: str) -> None:
        """Write the row about the job itself."""
        self._s3.put_object(
            Bucket=self._bucket, Key=job_row_key(job), Body=row.encode(), ContentType="application/json"
        )

    def save_remainders(self, prefix: str, remainders: Mapping[str, bytes]) -> None:
        """Keep the remainders of unfinished streams."""
        for name, tail in remainders.items():
            self._s3.put_object(Bucket=self._bucket, Key=f"{prefix}/{name}", Body=tail)

    def drop_remainders(self, prefix: str) -> None:
        """Delete remainders."""
        for name in ("document", "rows"):
            self._s3.delete_object(Bucket=self._bucket, Key=f"{prefix}/{name}")

    def current_owner(self, job: "Job") -> tuple[str, str] | None:
        """The (etag, job id) of the stored result, or None; the job id is "" if unknown."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=result_key(job.key, job.analysis))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise
        return head["ETag"], head["Metadata"].get(JOB_ID, "")

    def is_missing_or_stale(self, job: "Job", lookup: "Lookup") -> bool:
        """Whether a job's result is missing, or replaced by an older one."""
        owner = self.current_owner(job)
        return owner is None or (owner[1] != job.job_id and not _newer(lookup(owner[1]), job))

    def document(self, job: "Job", *, superseded: bool) -> Target:
        """The document's address."""
        key = superseded_key(job) if superseded else result_key(job.key, job.analysis)
        return Target(self._bucket, key, "application/json", {JOB_ID: job.job_id})

    def _rows(self, job: "Job") -> Target:
        return Target(self._bucket, rows_key(job), "application/gzip", {JOB_ID: job.job_id})

    def _read(self, key: str) -> bytes:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                raise UploadGone(key) from error
            raise


class ResultWriter:
    """A job's results, being written."""

    def __init__(
        self, results: Results, job: "Job", document: ObjectStream, table: GzipStream, *, superseded: bool
    ) -> None:
        self._results = results
        self._job = job
        self._document = document
        self._rows = table
        self._superseded = superseded
        self.remainders: list[str] = []
        self.detections = 0
        self.pages = 0
        self.next_token: str | None = None  # of the page to write next
        self.answer: Mapping[str, Any] = {}  # Get's, without the detections

    @property
    def video_metadata(self) -> dict[str, Any]:
        """Rekognition's VideoMetadata."""
        return rows.video_metadata(self.answer)

    @property
    def complete(self) -> bool:
        """Whether the last page has been written."""
        return self.pages > 0 and self.next_token is None

    @property
    def rows_key(self) -> str:
        """The rows' key."""
        return self._rows.stream.target.key

    @property
    def result_key(self) -> str:
        """The document's key."""
        return self._document.target.key

    def add(self, page: "Page") -> None:
        """Write one page."""
        if page.detections:
            self._document.write((("," if self.detections else "") + page.text[1:-1]).encode())
            self._rows.write(rows.of_page(self._job, page).encode())
        self.detections += len(page.detections)
        self.pages += 1
        self.next_token = page.next_token

    def checkpoint(self) -> str:
        """Save the remainders; returns the state that another invocation needs to continue."""
        state = {"rows": self._rows.state(), "document": self._document.state()}
        prefix = f"collecting/{self._job.job_id}/{self._job.attempt}-{self.pages}"
        self.remainders.append(prefix)
        self._results.save_remainders(prefix, {"document": self._document.tail, "rows": self._rows.stream.tail})
        progress = {"detections": self.detections, "pages": self.pages, "next_token": self.next_token}
        return json.dumps({**state, **progress, "remainders": prefix, "superseded": self._superseded})

    def publish(self, lookup: "Lookup", hold: "Callable[[], None]") -> bool:
        """Publish document and rows. False if a newer upload's result is stored already; then write again, as
        superseded.

        Args:
            lookup: gives a job by its id.
            hold: renews the lease, or raises: without the lease, nothing is published.

        Raises:
            UploadGone: another invocation finished or aborted the upload; write again.
        """
        self._document.write(b"]}")
        hold()
        self._rows.finish()
        if self._rows.stream.begun:
            hold()  # S3 may take minutes to put a large object together
        while True:
            owner = None if self._superseded else self._results.current_owner(self._job)
            if owner and owner[1] != self._job.job_id and _newer(lookup(owner[1]), self._job):
                if self._document.begun:
                    return False
                self._superseded = True
                self._document.target = self._results.document(self._job, superseded=True)
                owner = None
            self._tell_about_the_job()
            if self._superseded:
                self._document.finish()
                return True
            try:
                if owner:
                    self._document.finish(IfMatch=owner[0])
                else:
                    self._document.finish(IfNoneMatch="*")
            except PreconditionFailed:
                continue  # another invocation published just now; check which upload's
            return True

    def _tell_about_the_job(self) -> None:
        # Before the document, so that a reader of the document finds this row too. A second write replaces it.
        row = rows.job_line(
            self._job,
            self.answer,
            detections=self.detections,
            result_key=self.result_key,
            rows_key=self.rows_key,
            superseded=self._superseded,
        )
        self._results.put_job_row(self._job, row)

    def tidy(self) -> None:
        """Drop the remainders of this collection's checkpoints. (A lifecycle rule drops what a crash leaves.)"""
        while self.remainders:
            self._results.drop_remainders(self.remainders.pop())

    def abandon(self) -> None:
        """Abort both uploads."""
        self._document.abandon()
        self._rows.stream.abandon()
        self.tidy()


def _newer(owner: "Job | None", job: "Job") -> bool:
    """Whether `owner`'s upload came after `job`'s. An owner that is not in the table counts as older."""
    return owner is not None and owner.sequencer > job.sequencer
