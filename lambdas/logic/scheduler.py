"""The scheduler: chooses the job for the next slot, and handles each of Rekognition's answers.

The backlog is data (WAITING jobs, in order), and only a Start tells whether there is a free slot. A count of running
jobs would not work: other programs in the account use the same slots, and a counter that leaks would silently stop the
backlog.

There are three kinds of faults. A fault of the video ends its job. A fault of the account blocks starting, ends no job,
and is probed once a minute (blocking.py). After a fault of the service, the job is started again later.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lambdas.aws.event_bus import EventBus
from lambdas.aws.job_table import Jobs
from lambdas.aws.telemetry import Count, count, logger
from lambdas.aws.videos import Videos
from lambdas.logic.conversion import Converter, DueConversions
from lambdas.logic.dispatch import BETWEEN, NEWEST, OLDEST, Dispatcher
from lambdas.logic.enqueue import Chooser, Enqueuer
from lambdas.logic.faults import Faults
from lambdas.logic.pacing import Pacer
from lambdas.logic.polling import FIRST_POLL, Poller
from lambdas.model.analyses import CATALOGUE
from lambdas.model.blocking import RESULTS, VIDEOS
from lambdas.model.budget import BUDGET, PERCENTS, Limits, month_of
from lambdas.model.clock import Clock, iso
from lambdas.model.conversion import SWITCHED_OFF
from lambdas.model.errors import (
    AccountFault,
    BudgetReached,
    CannotStart,
    EventRefused,
    NoFreeSlot,
    ServiceTrouble,
    SlowDown,
    TokenTaken,
)
from lambdas.model.job import Job
from lambdas.model.routing import UNKNOWN, WrongChoice

if TYPE_CHECKING:
    from lambdas.aws.rekognition import Rekognition


SPARE = 10_000  # ms left at which no further start begins; a start with its writes takes well under a second
FOR_POLLS = 15_000  # ms of a tick reserved for polling
REFUSAL_HOLDS = 150.0  # seconds that uploads trust the last "no slot"; the tick renews it each minute

# Seconds until a job whose start met trouble is due again, doubled each time. The first is shorter than a tick: after a
# short outage of the service, the next tick finds all of them due.
FIRST_DELAY, LONGEST_DELAY = 15.0, 3600.0
MOST_START_ERRORS = 32  # then the job is REJECTED: after a day of failed starts
MOST_TOKENS = 10  # taken by other stacks, one after the other: more than an account has

# Where to look after so many jobs in a row that met trouble: two side by side may be odd videos, but where some from
# elsewhere in the backlog meet it too, the service is down, and to go on would only reschedule all of them.
LOOK_AFTER_TROUBLE = (OLDEST, OLDEST, BETWEEN, NEWEST)

PROBES_A_TICK = 5  # jobs tried where the first ones end for a reason of their own
UNCOLLECTED_FOR = 3600.0  # seconds that a result may wait before it counts as uncollected
SOME_UNCOLLECTED = 10  # jobs: with none collected in the last hour, the collector is at fault and not the jobs
MANY_UNCOLLECTED = 1000  # jobs: more finish than can be collected

BUDGET_RAISED = 10  # percentage points below what was announced: not by charges given back, but by a higher budget

EnoughTime = Callable[[], bool]
"""Whether there is time for one more start."""


class Scheduler:
    """Starts waiting jobs.

    Args:
        chooser: decides what the settings allow.
        converter: converts what Rekognition can't read; None: such jobs are REJECTED.
        videos_bucket: the bucket of new videos.
        most_running: how many jobs may run at a time; None: only Rekognition's limit.
        limits: the month's budget.
    """

    def __init__(
        self,
        jobs: Jobs,
        rekognition: "Rekognition",
        videos: Videos,
        enqueuer: Enqueuer,
        poller: Poller,
        bus: EventBus,
        clock: Clock,
        *,
        chooser: Chooser,
        converter: Converter | None = None,
        videos_bucket: str,
        most_running: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._jobs = jobs
        self._rekognition = rekognition
        self._videos = videos
        self._enqueuer = enqueuer
        self._poller = poller
        self._bus = bus
        self._clock = clock
        self._chooser = chooser
        self._converter = converter
        self._conversions = DueConversions(jobs, converter, clock, self._reject)
        self._videos_bucket = videos_bucket
        self._most_running = most_running
        self._limits = limits or Limits()

    def fill_after_uploads(self, enqueued: int, enough_time: EnoughTime) -> None:
        """Start as many jobs as were just enqueued, unless the service has lately said that there is no slot."""
        if not enqueued:
            return
        known = self._jobs.scheduler()
        if known.get("refused_at", "") < iso(self._clock.now() - REFUSAL_HOLDS):
            self._fill(enqueued, enough_time, known, self._faults(known))

    def fill_after_completion(self, job_id: str, rekognition_job_id: str, enough_time: EnoughTime) -> None:
        """A slot is free, so start one job; a repeated notification counts once."""
        if self._jobs.mark_slot_freed(job_id, rekognition_job_id):
            known = self._jobs.scheduler()
            self._fill(1, enough_time, known, self._faults(known))

    def fill_after_conversion(self, conversion_id: str, enough_time: EnoughTime) -> None:
        """Put the jobs whose video was converted back in the backlog, and start as many. Idempotent."""
        in_line = self._conversions.ended(conversion_id, self._faults(self._jobs.scheduler()))
        self.fill_after_uploads(in_line, enough_time)

    def tick(self, milliseconds_left: Callable[[], int]) -> None:
        """Once a minute: probe what is blocked, start until refused, poll silent jobs, bring conversions forward."""

        def enough_time() -> bool:
            return milliseconds_left() > SPARE

        try:
            known = self._jobs.scheduler()
            faults = self._faults(known)
            if not known.get("paused"):
                self._look_for_uncollected(known, faults)
                self._look_at_budget(faults)
                self._probe(known, faults)
                self._fill(None, lambda: milliseconds_left() > SPARE + FOR_POLLS, known, faults)
        finally:  # poll also if starting fails, so that results are collected
            released = self._poller.poll_silent_jobs(enough_time)
        self._fill(released, enough_time, known, faults)
        if in_line := self._conversions.advance(faults, enough_time, paused=bool(known.get("paused"))):
            self._fill(in_line, enough_time, known, faults)

    def _faults(self, known: Mapping[str, Any]) -> Faults:
        return Faults(self._jobs, self._bus, self._clock, self._enqueuer, known)

    # filling

    def _fill(self, most: int | None, enough_time: EnoughTime, known: Mapping[str, Any], faults: Faults) -> None:
        """Start waiting jobs, in their order: `most` of them, or all until the service says no."""
        pacer = Pacer(self._jobs, self._clock, known)
        if known.get("paused") or (most is not None and pacer.left_to_others):
            return
        dispatcher = self._dispatcher(known)
        started = trouble = 0
        while (most is None or started < most or pacer.fills_all) and enough_time():
            if faults.blocked & {VIDEOS, RESULTS, BUDGET}:
                return
            try:
                job = dispatcher.next(LOOK_AFTER_TROUBLE[trouble], but=faults.blocked)
            except BudgetReached as reached:
                self._over_budget(str(reached), faults)
                return
            if job is None:
                if "refused_at" in known and not faults.blocked:
                    self._jobs.note_limit_cleared()
                return
            with logger.append_context_keys(**job.log_keys):
                try:
                    started += pacer.start(partial(self._start, job, faults), enough_time)
                    trouble = 0
                except NoFreeSlot as answer:
                    self._no_slot(job, answer)
                    return
                except SlowDown:
                    self._jobs.release(job)
                    return
                except ServiceTrouble as error:
                    self._reschedule(job, error)
                    trouble += 1
                    if trouble == len(LOOK_AFTER_TROUBLE):
                        return

    def _dispatcher(self, known: Mapping[str, Any]) -> Dispatcher:
        return Dispatcher(self._jobs, self._clock, self._limits, known)

    def _no_slot(self, job: Job, answer: NoFreeSlot) -> None:
        logger.info("no free slot", extra={"answer": str(answer)})
        self._jobs.release(job)
        self._jobs.note_limit_reached()
        count(Count.STARTS_REFUSED)

    def _start(self, job: Job, faults: Faults) -> bool:
        """Start a claimed job. True if a slot was taken, False if the job ended or moved on instead.

        Raises:
            NoFreeSlot, SlowDown, ServiceTrouble: this invocation still holds the claim.
        """
        try:
            if job.analysis == UNKNOWN:
                self._choose(job, faults)
                return False
            return self._start_analysis(job, faults)
        except AccountFault as fault:
            faults.blame(job, fault)
        except (CannotStart, WrongChoice) as error:
            self._reject(job, str(error))
        return False

    def _start_analysis(self, job: Job, faults: Faults) -> bool:
        self._check_settings(job)
        job = self._check_header(job)
        if wanted := self._needs_a_copy(job):
            self._convert(job, wanted)
            return False
        if self._most_running and not self._jobs.take_slot(job, self._most_running):
            raise NoFreeSlot(f"{self._most_running} jobs run, which is the operator's own cap")
        try:
            self._videos.check(job)
            rekognition_job_id = self._rekognition.start(job)
        except CannotStart as refused:
            return self._start_newest_version(job, refused, faults)
        except TokenTaken as error:
            if job.attempt >= MOST_TOKENS:
                raise CannotStart(str(error)) from error
            logger.warning("token taken; starting as the next attempt", extra={"attempt": job.attempt})
            self._jobs.try_again(job, str(error), 0)
            return False
        self._jobs.started(job, rekognition_job_id, poll_at=self._clock.now() + FIRST_POLL)
        logger.info("started", extra={"rekognition_job_id": rekognition_job_id, "attempt": job.attempt})
        count(Count.JOBS_STARTED)
        faults.clear(VIDEOS, job.analysis)
        return True

    def _check_settings(self, job: Job) -> None:
        """Raise CannotStart where the settings don't allow a job that was enqueued under earlier ones. Without this,
        the rights of this function would say it, in words that sound like a fault."""
        if job.bucket != self._videos_bucket:
            raise CannotStart(
                f"the stack takes videos from {self._videos_bucket} now (setting videos_bucket), and this one is in "
                f"{job.bucket}"
            )
        if not self._chooser.allows(job.analysis, job.parameters):
            raise CannotStart(
                f"the settings no longer allow {job.analysis} (analyses, routes, allowed_analyses); allow it again, "
                "then retry"
            )
        if job.source_key and self._converter is None:
            raise CannotStart(SWITCHED_OFF)

    def _check_header(self, job: Job) -> Job:
        """The job with its video's header, if S3 gives it out; of a converted copy it says nothing. Raises CannotStart
        where it says that Rekognition can't read the video, and it isn't converted: otherwise the video would take a
        slot to fail."""
        if job.source_key:
            return job
        if job.header is None and (header := self._videos.header(job)):
            job = replace(job, header=header)
            if header.container:
                self._jobs.note_header(job, header)
        if job.header and job.header.trouble and not (self._converter and job.header.convertible):
            raise CannotStart(job.header.trouble)
        return job

    def _needs_a_copy(self, job: Job) -> str:
        """Why a job has to wait for a converted copy; empty if it hasn't to."""
        if self._converter is None:
            return ""
        if job.source_key:
            return "" if self._converter.copy_is_there(job.source_key) else "its converted copy has expired"
        return job.header.trouble if job.header else ""

    def _convert(self, job: Job, reason: str) -> None:
        converting = self._jobs.convert(job, reason)
        if converting and self._converter:
            logger.info("to be converted", extra={"reason": reason})
            self._converter.begin_now(converting)

    def _start_newest_version(self, job: Job, refused: CannotStart, faults: Faults) -> bool:
        """The version that was to be analysed is gone or archived; the same content may be there under a newer one."""
        if job.newest_version_id in (None, job.version_id):
            raise refused
        if job.maybe_started:  # its token may stand for a call with the former version
            self._jobs.try_again(job, str(refused), 0)
            return False
        newer = self._jobs.take_newest_version(job)
        return newer is not None and self._start_analysis(newer, faults)

    def _choose(self, placeholder: Job, faults: Faults) -> None:
        """Turn a placeholder into the jobs that its uploader asked for, now that this may be read."""
        self._enqueuer.choose_again(placeholder)
        if not self._jobs.remove(placeholder):
            self._jobs.release(placeholder)  # uploaded again just now: look again
        faults.clear(UNKNOWN)

    def _reschedule(self, job: Job, error: ServiceTrouble) -> None:
        if job.start_errors + 1 >= MOST_START_ERRORS:
            try:
                self._reject(job, f"could not be started in {MOST_START_ERRORS} tries; the last said: {error}")
            except ServiceTrouble as unannounced:
                logger.warning("can't announce a rejection; later", extra={"error": str(unannounced)})
            else:
                return
        delay = min(FIRST_DELAY * 2**job.start_errors, LONGEST_DELAY)
        logger.warning("trouble starting; rescheduled", extra={"error": str(error), "seconds": delay})
        self._jobs.reschedule(job, str(error), delay, maybe_started=error.maybe_started)

    def _reject(self, job: Job, reason: str) -> None:
        if not self._enqueuer.reject(job, reason):
            self._jobs.release(job)  # uploaded again just now: look again

    # what is blocked

    def _probe(self, known: Mapping[str, Any], faults: Faults) -> None:
        """Try one job of each blocked scope: the first success opens it."""
        faults.announce()
        faults.requeue_suspects()
        for scope in sorted(faults.blocked - {RESULTS, BUDGET}):
            if scope in CATALOGUE and not self._chooser.allows(scope, {}):
                faults.clear(scope)  # what the settings no longer allow is not blocked, it is rejected
            else:
                self._probe_scope(scope, known, faults)

    def _probe_scope(self, scope: str, known: Mapping[str, Any], faults: Faults) -> None:
        # In turn the oldest, the newest and some in between, so that a run of videos that are at fault themselves can't
        # keep a scope blocked.
        turn = (OLDEST, BETWEEN, NEWEST, BETWEEN)[int(self._clock.now() // 60) % 4]
        met, dispatcher = faults.met, self._dispatcher(known)
        for _ in range(PROBES_A_TICK):
            try:
                job = dispatcher.next(turn, only=None if scope == VIDEOS else scope)
            except BudgetReached as reached:
                self._over_budget(str(reached), faults)
                return
            if job is None:
                return
            with logger.append_context_keys(**job.log_keys):
                try:
                    self._start(job, faults)
                except NoFreeSlot as answer:
                    self._no_slot(job, answer)
                    return
                except SlowDown:
                    self._jobs.release(job)
                    return
                except ServiceTrouble as error:
                    self._reschedule(job, error)
                    return
            if faults.met > met or scope not in faults.blocked:
                return

    def _look_for_uncollected(self, known: Mapping[str, Any], faults: Faults) -> None:
        """Block starting while results wait to be collected: Rekognition forgets them after 7 days, and then they would
        have to be bought again."""
        hour_ago = self._clock.now() - UNCOLLECTED_FOR
        late = self._jobs.uncollected(hour_ago, MANY_UNCOLLECTED)
        silent = known.get("collected_at", "") < iso(hour_ago)
        too_many = late >= MANY_UNCOLLECTED or (late >= SOME_UNCOLLECTED and silent)
        if too_many and RESULTS not in faults.blocked:
            faults.block(RESULTS, f"the results of {late:,} jobs have waited for more than an hour to be collected")
        elif not too_many:
            faults.clear(RESULTS)

    # the budget

    def _over_budget(self, month: str, faults: Faults) -> None:
        """Block starting until the month turns, the budget is raised, or an operator lets the month exceed it."""
        reason = self._jobs.month(month).used_up(self._limits)
        if reason:  # else a job was released just now
            faults.block(BUDGET, reason)

    def _look_at_budget(self, faults: Faults) -> None:
        """Announce how much of the month's budget is charged; open starting again where there is some of it left."""
        if not self._limits:
            faults.clear(BUDGET)
            return
        month = month_of(self._clock.now())
        record = self._jobs.month(month)
        if not record.used_up(self._limits):
            faults.clear(BUDGET)
        percent = record.percent(self._limits)
        reached = max((step for step in PERCENTS if percent >= step), default=0)
        if record.told - BUDGET_RAISED < percent < record.told:
            return  # some charges were given back
        if reached > record.told:
            try:
                self._bus.tell(
                    "Budget Reached",
                    month=month,
                    percent=reached,
                    charged_usd=round(record.committed_usd, 2),
                    charged_minutes=round(record.committed_minutes, 1),
                    budget_usd=self._limits.usd or None,
                    budget_minutes=self._limits.minutes or None,
                )
            except EventRefused:
                logger.exception("could not announce", extra={"event": "Budget Reached"})
                return
        if reached != record.told:
            self._jobs.note_told(month, reached)
