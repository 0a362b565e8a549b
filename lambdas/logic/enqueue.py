"""Registers an upload's jobs in the table. After that, nothing depends on the queue that announced it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from lambdas.aws.job_table import Jobs
from lambdas.aws.telemetry import Count, count, logger
from lambdas.aws.videos import wrong_size
from lambdas.model.errors import AccountFault, CannotStart, EventRefused, ServiceTrouble
from lambdas.model.events import Upload, ask_again
from lambdas.model.job import Job, new_job, to_be_converted
from lambdas.model.routing import UNKNOWN, Chosen, WrongChoice
from lambdas.model.shares import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lambdas.aws.event_bus import EventBus
    from lambdas.aws.headers import HeaderOf
    from lambdas.logic.conversion import Converter
    from lambdas.model.clock import Clock
    from lambdas.model.video_header import VideoHeader


class Messages(Protocol):
    """The queue of messages to the collecting function."""

    def send(self, bodies: "Iterable[str]") -> None:
        """Send each of `bodies`."""


class Chooser(Protocol):
    """Decides which analyses an upload gets."""

    def choose(self, upload: Upload) -> Chosen:
        """What is done with an upload; no analysis: ignore it. Raises as ``upload_choice.Chooser`` does."""

    def share(self, key: str) -> str:
        """The share of an upload under `key`."""

    def allows(self, analysis: str, parameters: "Mapping[str, Any]") -> bool:
        """Whether the settings allow a job to be started."""


class Enqueuer:
    """Registers uploads' jobs, each once.

    Args:
        converter: converts what Rekognition can't read; None: such jobs are REJECTED.
    """

    def __init__(
        self,
        jobs: Jobs,
        finished_queue: Messages,
        bus: "EventBus",
        clock: "Clock",
        chooser: Chooser,
        converter: "Converter | None" = None,
    ) -> None:
        self._converter = converter
        self._jobs = jobs
        self._finished_queue = finished_queue
        self._bus = bus
        self._clock = clock
        self._chooser = chooser

    def enqueue(self, upload: Upload, header_of: "HeaderOf | None" = None) -> int:
        """Register an upload's jobs; returns how many of them are new in the backlog. Idempotent.

        The video's header is read once for all of them, by `header_of`. Without that, or if S3 doesn't give the header
        out now, the scheduler reads it when it claims a job.

        If the uploader's choice can't be read now, this registers one placeholder job, and the scheduler reads the
        choice when it starts that job.
        """
        try:
            chosen = self._chooser.choose(upload)
        except WrongChoice as wrong:
            return self._refuse(upload, {"analyses": wrong.given}, str(wrong))
        except CannotStart as error:
            return self._refuse(upload, {}, str(error))
        except (AccountFault, ServiceTrouble) as error:
            logger.warning("can't read what its uploader asked for; later", extra={"error": str(error)})
            return self._register(upload, Chosen({UNKNOWN: {}}, upload.priority or LIVE))
        if not chosen.analyses:
            logger.info("ignored: no analysis is chosen for it")
            count(Count.UPLOADS_IGNORED)
        wanted = header_of if chosen.analyses and not wrong_size(upload.size) else None
        return self._register(upload, chosen, header=wanted(upload) if wanted else None)

    def choose_again(self, placeholder: Job) -> None:
        """Register the jobs that a placeholder stands for, in its position.

        Raises:
            WrongChoice, CannotStart, AccountFault, ServiceTrouble: as ``upload_choice.Chooser.choose``.
        """
        upload = Upload(
            bucket=placeholder.bucket,
            key=placeholder.key,
            etag=placeholder.etag,
            size=placeholder.size,
            uploaded_at=placeholder.uploaded_at,
            sequencer=placeholder.sequencer,
            version_id=placeholder.newest_version_id or placeholder.version_id,
            # Live is the default, and says nothing.
            priority=placeholder.priority if placeholder.priority != LIVE else None,
        )
        self._register(upload, self._chooser.choose(upload), since=placeholder.position.partition("#")[0])

    def reject(self, job: Job, reason: str, *, suspected_in: str | None = None) -> bool:
        """Announce the end of a job that was never billed, then reject it; False if its state changed meanwhile.

        Raises:
            ServiceTrouble: it can't be announced.
        """
        # A job that is REJECTED again for the same fault has been announced before.
        if not (job.suspicions and job.reason == reason[:1000]):
            self._announce(job, reason)
        rejected = self._jobs.reject(job, reason, suspected_in=suspected_in)
        if rejected:
            logger.warning("rejected", extra={"reason": reason})
            count(Count.JOBS_REJECTED)
        return rejected

    def _announce(self, job: Job, reason: str) -> None:
        try:
            self._bus.announce(job, "REJECTED", reason=reason)
        except EventRefused as error:
            raise ServiceTrouble(str(error)) from error

    def _register(
        self, upload: Upload, chosen: Chosen, since: str | None = None, header: "VideoHeader | None" = None
    ) -> int:
        waiting = 0
        belongs: dict[str, Any] = {
            "priority": chosen.priority,
            "share": self._jobs.admitted(self._chooser.share(upload.key)),
            "header": header,
        }
        for name, parameters in chosen.analyses.items():
            job = new_job(upload, name, parameters, self._clock.now(), **belongs)
            if since:
                position = f"{since}#{job.job_id[:8]}"
                job = replace(job, position=position, due_at=position)
            with logger.append_context_keys(**job.log_keys):
                waiting += self._register_one(job, upload)
        return waiting

    def _register_one(self, job: Job, upload: Upload) -> bool:
        if self._converter and job.header and job.header.convertible and not wrong_size(job.size):
            return self._register_to_convert(job, upload, self._converter)
        if not self._jobs.register(job):
            return self._uploaded_again(job, upload)
        logger.info("registered", extra={"analysis": job.analysis, "size": job.size})
        count(Count.JOBS_REGISTERED)
        if hopeless := wrong_size(job.size) or (job.header.trouble if job.header else ""):
            try:
                return not self.reject(job, hopeless)
            except ServiceTrouble as error:
                logger.warning("can't announce a rejection; the job waits", extra={"error": str(error)})
        return True

    def _register_to_convert(self, job: Job, upload: Upload, converter: "Converter") -> bool:
        trouble = job.header.trouble if job.header else ""
        job = to_be_converted(job, trouble, self._clock.now())
        if not self._jobs.register(job):
            return self._uploaded_again(job, upload)
        logger.info("registered; to be converted", extra={"analysis": job.analysis, "reason": trouble})
        count(Count.JOBS_REGISTERED)
        converter.begin_now(job)
        return False

    def _refuse(self, upload: Upload, parameters: "Mapping[str, Any]", reason: str) -> int:
        """Record an invalid request as a REJECTED job for its uploader to find; identical requests share one id."""
        job = new_job(upload, UNKNOWN, parameters, self._clock.now())
        with logger.append_context_keys(**job.log_keys):
            try:
                self._announce(job, reason)
            except ServiceTrouble as error:
                logger.warning("can't announce a rejection; a placeholder waits", extra={"error": str(error)})
                return self._register(upload, Chosen({UNKNOWN: {}}))
            if self._jobs.register(replace(job, state="REJECTED", reason=reason[:1000])):
                logger.warning("rejected", extra={"reason": reason})
                count(Count.JOBS_REJECTED)
        return 0

    def _uploaded_again(self, new: Job, upload: Upload) -> bool:
        """The same content under the same key, announced again, or uploaded again."""
        newer = self._jobs.uploaded_again(new.job_id, upload)
        job = newer or self._jobs.get(new.job_id)
        if job is None:
            return False
        if newer is None and not wrong_size(upload.size) and self._jobs.requeue_rejected(job, upload):
            logger.info("rejected before, uploaded again: back in the backlog")
            return True
        if job.state == "WAITING" and new.priority == LIVE != job.priority and self._jobs.prioritize(job, LIVE):
            logger.info("waits in a lower class, uploaded again: live now")
            return True
        logger.info("known already", extra={"state": job.state, "uploaded_again": newer is not None})
        if job.state == "SUCCEEDED":
            # Another video may have replaced this one in between; then the stored result is that one's.
            self._finished_queue.send([ask_again(job.job_id, "uploaded again")])
        return False
