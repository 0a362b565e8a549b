"""Starting: who gets the next slot, and what to do with each of Rekognition's answers.

The backlog is data (WAITING jobs, in order), and the service itself is asked whether there is a slot. Counting running
jobs would not do: the account's slots are shared with everybody else in it, and a counter that leaks stops the line for
good without a word.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from lambdas.choosing import Choice, WrongChoice
from lambdas.clock import Clock, iso
from lambdas.errors import CannotStart, EventRefused, NoFreeSlot, ServiceTrouble, SlowDown, TokenTaken
from lambdas.events import Upload, ask_again
from lambdas.jobs import Job, Jobs, State, new_job
from lambdas.outcome import Bus
from lambdas.telemetry import Count, count, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from lambdas.rekognition import Rekognition

UNKNOWN = "unknown"  # the analysis of a job whose uploader asked for something that can't be done

LARGEST_VIDEO = 10 * 1024**3  # bytes; Developer Guide, "Guidelines and quotas in Amazon Rekognition"

FIRST_ASK = 120.0  # seconds after a start until Rekognition is asked, should no notification have come
LONGEST_ASK = 600.0  # seconds between two such questions, at most; they double until then
REFUSAL_HOLDS = 150.0  # seconds that uploads trust the last "no slot"; the tick renews it each minute

# Seconds to put off a job whose start met trouble, doubled each time. The first is shorter than a tick: after a short
# outage of the service, the next tick finds everybody due again.
FIRST_DELAY, LONGEST_DELAY = 15.0, 3600.0
MOST_START_ERRORS = 32  # then it ends: a day of nothing but trouble
MOST_ATTEMPTS = 10  # tokens taken by other stacks, one after the other: more than anybody has

PAUSE_BETWEEN_CALLS = 0.5  # seconds after "slow down"; Start takes 5 calls a second, shared with the whole account
PAUSES_IN_A_ROW = 10  # then somebody else in the account is that busy, and the next tick goes on
TROUBLE_IN_A_ROW = 2  # then the service is down, and asking on would only put everybody off


class Messages(Protocol):
    """Where we tell the collecting function to look at a job."""

    def send(self, bodies: Iterable[str]) -> None:
        """Send each of `bodies`."""


class Chooser(Protocol):
    """Who knows which analyses an upload gets."""

    def choose(self, upload: Upload) -> Choice:
        """Each analysis' parameters, by its name; none: ignore the upload. Raises WrongChoice."""


class Gone(CannotStart):
    """The object is no longer there, or no longer the one that was uploaded."""


def wrong_size(size: int) -> str | None:
    """Why Rekognition would not take an object of `size` bytes; None if it would."""
    if size == 0:
        return "the object is empty"
    if size > LARGEST_VIDEO:
        return f"the object has {size} bytes; Rekognition takes videos of up to 10 GB"
    return None


@dataclass(frozen=True, slots=True)
class Videos:
    """The videos, as far as starting needs to know them: are they still there."""

    s3: "S3Client"

    def check(self, job: Job) -> None:
        """Raise Gone unless the object is there and still holds the job's content, CannotStart if that is no video's.

        Rekognition is given a key, not a content: started blindly, it would analyse (and bill) whatever is there now.
        """
        # Said when it joined already, unless that function died between registering the job and rejecting it.
        if hopeless := wrong_size(job.size):
            raise CannotStart(hopeless)
        version = {"VersionId": job.version_id} if job.version_id else {}
        try:
            head = self.s3.head_object(Bucket=job.bucket, Key=job.key, **version)  # type: ignore[arg-type]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("404", "NoSuchKey", "NoSuchVersion", "405", "MethodNotAllowed"):
                raise Gone("the object was deleted before its analysis could start") from error
            if code in ("403", "AccessDenied"):
                raise CannotStart("this stack may not read the object (AccessDenied)") from error
            raise ServiceTrouble(f"S3 HeadObject: {code}") from error
        if head["ETag"].strip('"') != job.etag:
            raise Gone("the object was replaced before its analysis could start")


class Scheduler:
    """The waiting jobs, and the way from there into Rekognition.

    Args:
        most_running: how many jobs may run at a time; None: as many as Rekognition lets.
        chooser: knows what to do with each upload.
    """

    def __init__(
        self,
        jobs: Jobs,
        rekognition: "Rekognition",
        videos: Videos,
        finished_queue: Messages,
        bus: Bus,
        clock: Clock,
        *,
        chooser: Chooser,
        most_running: int | None = None,
    ) -> None:
        self._jobs = jobs
        self._rekognition = rekognition
        self._videos = videos
        self._finished_queue = finished_queue
        self._bus = bus
        self._clock = clock
        self._chooser = chooser
        self._most_running = most_running

    # joining

    def enqueue(self, upload: Upload) -> int:
        """Turn an upload into its jobs; how many of them are new in line. Any number of times is once."""
        try:
            choice = self._chooser.choose(upload)
        except WrongChoice as wrong:
            self._refuse(upload, wrong)
            return 0
        if not choice:
            logger.info("ignored: no analysis is chosen for it")
            count(Count.UPLOADS_IGNORED)
        waiting = 0
        for name, parameters in choice.items():
            job = new_job(upload, name, parameters, self._clock.now())
            with logger.append_context_keys(**job.log_keys):
                waiting += self._enqueue(job, upload)
        return waiting

    def _refuse(self, upload: Upload, wrong: WrongChoice) -> None:
        """End what nobody can do as a job of its own, for its uploader to find: the same words are the same job."""
        job = new_job(upload, UNKNOWN, {"analyses": wrong.given}, self._clock.now())
        with logger.append_context_keys(**job.log_keys):
            self._bus.announce(job, "REJECTED", reason=str(wrong))
            if self._jobs.register(replace(job, state="REJECTED", reason=str(wrong))):
                logger.warning("rejected", extra={"reason": str(wrong)})
                count(Count.JOBS_REJECTED)

    def _enqueue(self, job: Job, upload: Upload) -> bool:
        if not self._jobs.register(job):
            return self._enqueue_again(job.job_id, upload)
        logger.info("registered", extra={"analysis": job.analysis, "size": job.size})
        count(Count.JOBS_REGISTERED)
        hopeless = wrong_size(job.size)
        return self._reject(job, hopeless) if hopeless else True

    def _enqueue_again(self, job_id: str, upload: Upload) -> bool:
        """The same content under the same key, announced again, or uploaded again."""
        newer = self._jobs.uploaded_again(job_id, upload)
        if newer is None and not wrong_size(upload.size) and self._jobs.requeue_rejected(job_id, upload):
            logger.info("rejected before, uploaded again: back in line")
            return True
        job = newer or self._jobs.get(job_id)
        if job is None:
            return False
        logger.info("known already", extra={"state": job.state, "uploaded_again": newer is not None})
        if job.state == "SUCCEEDED":
            # Another video may have been under this key in between; then the result there is that one's.
            self._finished_queue.send([ask_again(job_id, "uploaded again")])
        return False

    # filling

    def fill_after_uploads(self, joined: int) -> None:
        """Start as many jobs as have just joined, unless the service has lately said that there is no slot."""
        if not joined:
            return
        refused_at = self._jobs.scheduler().get("refused_at", "")
        if refused_at < iso(self._clock.now() - REFUSAL_HOLDS):
            self._fill(joined)

    def fill_after_completion(self, job_id: str, rekognition_job_id: str) -> None:
        """One slot came free, so start one job; a notification that comes twice frees one slot all the same."""
        if self._jobs.mark_slot_freed(job_id, rekognition_job_id):
            self._fill(1)

    def tick(self, enough_time: Callable[[], bool]) -> None:
        """Once a minute: mend what others left undone, ask after jobs nobody has heard of, start until refused."""
        try:
            self._poll_silent_jobs("RUNNING")
            self._poll_silent_jobs("COLLECTING")
        finally:  # whatever is wrong with mending, those who wait are not to suffer
            self._fill(None, enough_time)

    def _fill(self, most: int | None, enough_time: Callable[[], bool] = lambda: True) -> None:
        """Start the oldest waiting jobs: `most` of them, or all until the service says no."""
        line = self._jobs.scheduler()
        if line.get("paused"):
            return
        started = trouble = pauses = 0
        while (most is None or started < most) and enough_time():
            job = self._next()
            if job is None:
                if "refused_at" in line:
                    self._jobs.note_limit_cleared()
                return
            with logger.append_context_keys(**job.log_keys):
                try:
                    started += self._start(job)
                    trouble = pauses = 0
                except NoFreeSlot as answer:
                    logger.info("no free slot", extra={"answer": str(answer)})
                    self._jobs.release(job)
                    self._jobs.note_limit_reached()
                    count(Count.STARTS_REFUSED)
                    return
                except SlowDown:
                    self._jobs.release(job)
                    count(Count.STARTS_THROTTLED)
                    pauses += 1
                    if pauses >= PAUSES_IN_A_ROW:
                        return
                    self._clock.sleep(PAUSE_BETWEEN_CALLS)
                except ServiceTrouble as error:
                    self._reschedule(job, error)
                    trouble += 1
                    if trouble >= TROUBLE_IN_A_ROW:
                        return

    def _next(self) -> Job | None:
        """The oldest job that is due, claimed; None when nobody waits."""
        for job_id in self._jobs.in_state("WAITING", limit=20, due=self._clock.now()):
            job = self._jobs.claim(job_id)
            if job:
                return job
        return None

    def _start(self, job: Job) -> bool:
        """Start a claimed job. True if a slot was taken, False if the job ended or moved on instead.

        Raises:
            NoFreeSlot, SlowDown, ServiceTrouble: the claim is still ours.
        """
        if self._most_running and not self._jobs.take_slot(job, self._most_running):
            raise NoFreeSlot(f"{self._most_running} jobs run, which is the operator's own cap")
        try:
            self._videos.check(job)
            rekognition_job_id = self._rekognition.start(job)
        except TokenTaken as error:
            if job.attempt >= MOST_ATTEMPTS:
                return self._reject(job, str(error))
            logger.warning("token taken; starting as the next attempt", extra={"attempt": job.attempt})
            self._jobs.try_again(job, str(error), 0)
            return False
        except CannotStart as error:
            return self._reject(job, str(error))
        self._jobs.started(job, rekognition_job_id, poll_at=self._clock.now() + FIRST_ASK)
        logger.info("started", extra={"rekognition_job_id": rekognition_job_id, "attempt": job.attempt})
        count(Count.JOBS_STARTED)
        return True

    def _reschedule(self, job: Job, error: ServiceTrouble) -> None:
        if job.start_errors + 1 >= MOST_START_ERRORS:
            self._reject(job, f"could not be started in {MOST_START_ERRORS} tries; the last said: {error}")
            return
        delay = min(FIRST_DELAY * 2**job.start_errors, LONGEST_DELAY)
        logger.warning("trouble starting; put off", extra={"error": str(error), "seconds": delay})
        self._jobs.reschedule(job, str(error), delay)

    def _reject(self, job: Job, reason: str) -> bool:
        try:
            self._bus.announce(job, "REJECTED", reason=reason)
        except EventRefused as error:
            # The other jobs are started all the same, and this one is looked at again.
            self._jobs.reschedule(job, f"{error}; to be rejected: {reason}", FIRST_DELAY)
            return False
        if self._jobs.reject(job, reason):
            logger.warning("rejected", extra={"reason": reason})
            count(Count.JOBS_REJECTED)
        else:
            self._jobs.release(job)  # uploaded again just now: look again
        return False

    # mending

    def _poll_silent_jobs(self, state: State) -> None:
        """Have Rekognition asked after jobs nobody has heard of: a lost notification, a collector that died."""
        now = self._clock.now()
        messages = []
        for job_id in self._jobs.in_state(state, due=now):
            job = self._jobs.get(job_id)
            if job is None or job.state != state or job.due_at > iso(now):
                continue
            if job.rekognition_job_id is None:
                self._release_stale_claim(job)
            else:
                wait = min(FIRST_ASK * 2 ** min(job.polls + 1, 10), LONGEST_ASK)
                if self._jobs.note_poll(job, next_poll_at=now + wait):
                    messages.append(ask_again(job_id, "not heard of"))
        self._finished_queue.send(messages)
        count(Count.JOBS_ASKED_AFTER, len(messages))

    def _release_stale_claim(self, job: Job) -> None:
        """Return the claim of a function that never came back. The job's token makes starting it again safe: if
        Rekognition had accepted the job, it answers with the same id."""
        with logger.append_context_keys(**job.log_keys):
            logger.warning("claimed and never started; handed back")
        self._jobs.release(job)
