"""Converts videos that Rekognition can't read: brings CONVERTING jobs forward, one step a call.

CONVERTING ──begin──▶ CONVERTING with MediaConvert's id ──COMPLETE──▶ WAITING, with the copy that is analysed
                                          └──ERROR──▶ another try (a passing reason) or FAILED

A step is idempotent. It is tried right after a job was registered, when MediaConvert announces an end, and by the tick
for what no event brought forward. There is one conversion for all analyses of an upload:

- A job joins what another job of its upload has: a copy, or a conversion that runs.
- Two invocations that begin the same conversion at the same time send the same token.
- A token lives for a minute only. After a crash between CreateJob and its record, the conversion is looked for among
  MediaConvert's newest jobs before another one is begun.

MediaConvert reads what is under the key, not a version of it. So the original is checked before a conversion begins and
once more when it has ended: a copy of something else is never analysed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from lambdas.aws.mediaconvert import TOKEN_LIVES
from lambdas.aws.telemetry import Count, count, logger
from lambdas.model.blocking import CONVERSION, scopes_in
from lambdas.model.budget import BUDGET
from lambdas.model.clock import iso, seconds_of
from lambdas.model.conversion import MOST_TRIES, SWITCHED_OFF, Conversion, copy_key, upload_digest
from lambdas.model.errors import (
    AccountFault,
    AnalysisError,
    CannotStart,
    EventRefused,
    Gone,
    JobForgotten,
    ServiceTrouble,
    SlowDown,
)
from lambdas.model.job import Job

if TYPE_CHECKING:
    from lambdas.aws.event_bus import EventBus
    from lambdas.aws.job_table import Jobs
    from lambdas.aws.mediaconvert import MediaConvert
    from lambdas.aws.videos import Videos
    from lambdas.logic.faults import Faults
    from lambdas.model.clock import Clock

# Seconds until the tick looks at a conversion whose end was not announced; doubled up to the longest.
FIRST_LOOK, LONGEST_LOOK = 120.0, 600.0
TRY_DELAY = 60.0  # seconds before another try, doubled each time
HELD = 300.0  # seconds until a conversion that is held, by a block or a pause, is looked at again
TROUBLES_IN_A_ROW = 3  # then MediaConvert is down, and the next tick goes on
TROUBLE_LASTS = 60.0  # seconds after trouble in which uploads leave their conversions to the tick

CLOCKS_DIFFER = 60.0  # seconds between MediaConvert's clock and ours, at most

Step = Literal["running", "in line", "over", "moved on"]
"""What a step found: the conversion runs; the job is back in the backlog; it has ended; its state changed meanwhile."""


class Converter:
    """Begins conversions, and puts jobs whose copy is there back in the backlog.

    Args:
        results_bucket: where the copies are.
    """

    def __init__(
        self,
        jobs: "Jobs",
        mediaconvert: "MediaConvert",
        videos: "Videos",
        bus: "EventBus",
        clock: "Clock",
        *,
        results_bucket: str,
    ) -> None:
        self._jobs = jobs
        self._mediaconvert = mediaconvert
        self._videos = videos
        self._bus = bus
        self._clock = clock
        self._results_bucket = results_bucket
        self._trouble_at = float("-inf")

    def begin_now(self, job: Job) -> None:
        """Begin a conversion at once, if nothing is in the way; what is left undone, the next tick does."""
        if self._clock.now() - self._trouble_at < TROUBLE_LASTS:
            return
        known = self._jobs.scheduler()
        blocked = {name for name, scope in scopes_in(known).items() if scope.blocked}
        if known.get("paused") or blocked & {CONVERSION, BUDGET}:
            return
        try:
            self.advance(job)
        except AnalysisError as error:
            self._trouble_at = self._clock.now()
            logger.warning("can't convert now; the tick tries again", extra={"error": str(error)})

    def advance(self, job: Job) -> Step:
        """Bring a CONVERTING job one step forward. Idempotent.

        Raises:
            CannotStart: the video was deleted, replaced or archived.
            AccountFault: in the scope ``conversion``, or one of the videos'.
            SlowDown, ServiceTrouble
        """
        if job.conversion_id is None:
            return self._begin(job)
        try:
            return self._look(job, self._mediaconvert.get(job.conversion_id))
        except JobForgotten as error:
            return self._again(job, str(error), 0, failed=False)

    def conversion(self, conversion_id: str) -> Conversion:
        """A conversion as MediaConvert knows it.

        Raises:
            JobForgotten, AccountFault, SlowDown, ServiceTrouble
        """
        return self._mediaconvert.get(conversion_id)

    def waiting_for(self, conversion: Conversion) -> Iterator[Job]:
        """The jobs that wait for a conversion, whether or not its id was recorded."""
        for job in self._jobs.of_video(conversion.bucket, conversion.key):
            if job.state != "CONVERTING" or upload_digest(self._results_bucket, job) != conversion.upload:
                continue
            if job.conversion_id == conversion.conversion_id:
                yield job
            elif job.conversion_id is None and job.conversions == conversion.number:
                recorded = self._record(job, conversion.number, conversion.conversion_id)
                yield from filter(None, [recorded])

    def ended(self, job: Job, conversion: Conversion) -> Step:
        """Bring a job forward whose conversion is known already; as ``advance``."""
        return self._look(job, conversion)

    def copy_is_there(self, source_key: str) -> bool:
        """Whether a converted copy is still in the results bucket.

        Raises:
            CannotStart, AccountFault, ServiceTrouble: as ``Videos.head``.
        """
        try:
            self._videos.head(self._results_bucket, source_key, None)
        except Gone:
            return False
        return True

    # one step

    def _begin(self, job: Job) -> Step:
        self._check_original(job)
        since = seconds_of(job.state_since)
        for other in self._others(job):
            if other.source_key and self.copy_is_there(other.source_key):
                logger.info("converted already, for another analysis", extra={"source_key": other.source_key})
                return self._in_line(job, other.source_key)
            if other.state == "CONVERTING":
                if other.conversion_id and other.conversions >= job.conversions:  # an earlier one failed already
                    return self._running(self._record(job, other.conversions, other.conversion_id))
                since = min(since, seconds_of(other.state_since))
        number, known = job.conversions, None
        now = self._clock.now()
        if now - since > TOKEN_LIVES:
            known = self._mediaconvert.find(job, number, since - CLOCKS_DIFFER, now)
        conversion_id = known or self._mediaconvert.begin(job, job.header, number)
        logger.info("converting", extra={"conversion_id": conversion_id, "number": number})
        count(Count.CONVERSIONS_BEGUN)
        return self._running(self._record(job, number, conversion_id, paid=True))

    def _others(self, job: Job) -> list[Job]:
        """The other jobs of the same upload."""
        found = self._jobs.of_video(job.bucket, job.key)
        return [other for other in found if other.etag == job.etag and other.job_id != job.job_id]

    def _record(self, job: Job, number: int, conversion_id: str, *, paid: bool = False) -> Job | None:
        return self._jobs.note_conversion(job, number, conversion_id, self._clock.now() + FIRST_LOOK, paid=paid)

    @staticmethod
    def _running(job: Job | None) -> Step:
        return "running" if job else "moved on"

    def _look(self, job: Job, conversion: Conversion) -> Step:
        if not conversion.over:
            wait = min(FIRST_LOOK * 2 ** min(job.polls + 1, 10), LONGEST_LOOK)
            self._jobs.note_poll(job, next_poll_at=self._clock.now() + wait)
            return "running"
        self._check_original(job)
        if conversion.status == "COMPLETE":
            source_key = copy_key(self._results_bucket, job, job.conversions)
            if self.copy_is_there(source_key):
                return self._in_line(job, source_key)
            return self._again(job, "the converted copy is not there", 0, failed=True)
        if conversion.fault:
            self._jobs.convert_again(job, conversion.reason, failed=False)
            raise conversion.fault
        if conversion.may_pass:
            return self._again(job, conversion.reason, TRY_DELAY * 2**job.start_errors, failed=True)
        return self._fail(job, conversion.reason)

    def _check_original(self, job: Job) -> None:
        """Check that what is under the key now, which MediaConvert reads, is what the job is about.

        Raises:
            CannotStart, AccountFault, ServiceTrouble: as ``Videos.check``.
        """
        self._videos.check(replace(job, version_id=None))

    def _in_line(self, job: Job, source_key: str) -> Step:
        if not self._jobs.converted(job, source_key):
            return "moved on"
        logger.info("converted; back in the backlog", extra={"source_key": source_key})
        return "in line"

    def _again(self, job: Job, reason: str, seconds: float, *, failed: bool) -> Step:
        if failed and job.start_errors + 1 >= MOST_TRIES:
            return self._fail(job, f"{reason}; tried {MOST_TRIES} times")
        logger.warning("another conversion", extra={"reason": reason})
        return self._running(self._jobs.convert_again(job, reason, seconds, failed=failed))

    def _fail(self, job: Job, reason: str) -> Step:
        try:
            self._bus.announce(job, "FAILED", reason=reason)
        except EventRefused as error:
            raise ServiceTrouble(str(error)) from error
        if not self._jobs.fail(job, reason):
            return "moved on"
        logger.warning("failed", extra={"reason": reason})
        count(Count.JOBS_FAILED)
        count(Count.CONVERSIONS_FAILED)
        return "over"


class DueConversions:
    """The CONVERTING jobs that an event or the tick brings forward.

    Args:
        converter: None: the setting convert is off, and what still waits for a conversion is rejected with that reason.
        reject: rejects a job with a reason.
    """

    def __init__(
        self, jobs: "Jobs", converter: Converter | None, clock: "Clock", reject: Callable[[Job, str], None]
    ) -> None:
        self._jobs = jobs
        self._converter = converter
        self._clock = clock
        self._reject = reject

    def advance(self, faults: "Faults", enough_time: Callable[[], bool], *, paused: bool) -> int:
        """Bring forward what is due: conversions to begin, and those whose end was not announced. While converting is
        blocked, one job probes it; while starting is paused or over budget, no conversion begins.

        Returns:
            how many jobs are back in the backlog.
        """
        in_line = troubles = 0
        probed, held = False, paused or BUDGET in faults.blocked
        now = self._clock.now()
        for job_id, _ in takewhile(lambda _: enough_time(), self._jobs.due("CONVERTING", now)):
            job = self._jobs.get(job_id)
            if job is None or job.state != "CONVERTING" or job.due_at > iso(now):
                continue
            with logger.append_context_keys(**job.log_keys):
                if self._converter and job.conversion_id is None:
                    if held or (probed and faults.conversion_blocked):
                        self._jobs.note_poll(job, next_poll_at=now + HELD)
                        continue
                    probed = True
                try:
                    in_line += self._advance(job, faults)
                except SlowDown as error:
                    logger.info("MediaConvert is asked too often; later", extra={"error": str(error)})
                    break
                except ServiceTrouble as error:
                    logger.warning("trouble converting; later", extra={"error": str(error)})
                    self._jobs.look_later(job, str(error), now + TRY_DELAY)
                    troubles += 1
                    if troubles == TROUBLES_IN_A_ROW:
                        break
        return in_line

    def ended(self, conversion_id: str, faults: "Faults") -> int:
        """Bring forward the jobs that wait for a conversion, of whose end MediaConvert has told; how many are back in
        the backlog. What can't be done now, the tick does."""
        if self._converter is None:
            return 0
        in_line = 0
        try:
            conversion = self._converter.conversion(conversion_id)
            if not conversion.upload:
                logger.info("ignored: not a conversion of this stack", extra={"conversion_id": conversion_id})
                count(Count.NOTIFICATIONS_IGNORED)
                return 0
            for job in self._converter.waiting_for(conversion):
                with logger.append_context_keys(**job.log_keys):
                    in_line += self._advance(job, faults, conversion)
        except (AccountFault, JobForgotten, ServiceTrouble, SlowDown) as error:
            logger.warning("can't follow a conversion's end now; the tick will", extra={"error": str(error)})
        return in_line

    def _advance(self, job: Job, faults: "Faults", conversion: Conversion | None = None) -> bool:
        """Bring one job forward; whether it is back in the backlog.

        Raises:
            SlowDown, ServiceTrouble
        """
        if self._converter is None:
            self._reject(job, SWITCHED_OFF)
            return False
        try:
            step = self._converter.ended(job, conversion) if conversion else self._converter.advance(job)
        except CannotStart as error:
            self._reject(job, str(error))
            return False
        except AccountFault as fault:
            now = self._jobs.get(job.job_id)
            if now and now.state == "CONVERTING":
                faults.blame(now, fault)
                self._jobs.look_later(now, str(fault), self._clock.now() + HELD)
            return False
        if step in ("in line", "over"):  # MediaConvert has read a video and said what it is
            faults.clear(CONVERSION)
        return step == "in line"
