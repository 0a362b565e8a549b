"""The promises, as checks over what can be seen from outside: the table, the buckets, and what Rekognition was told."""

import gzip
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lambdas.aws.job_table import Jobs
from lambdas.model import analyses
from lambdas.model.analyses import CATALOGUE
from lambdas.model.budget import Charge, month_of
from rekognition_local.faults import LASTING
from rekognition_local.jobs import Job as Accepted
from tests.fake_aws import ENVIRONMENT, World
from tests.fast_fake.world import StandInWorld
from tests.histories.settings import PARAMETERS, Choices
from tests.histories.trouble import Trouble

FINAL = ("SUCCEEDED", "FAILED", "REJECTED")

ENDS = "every upload's job ends, once"
STAYS = "a job changes state along documented arrows, and leaves a final one for documented reasons only"
COMPLETE = "what is in the results bucket is complete and equal to what the service held"
ONE_START = "each attempt is one accepted start, and there are none beyond the attempts the table knows"
NO_WORK = "no work but of what was uploaded and is still there, as the settings and the operator's switch allow it"
QUOTA = "never more jobs than the quota, or the operator's cap"
CONSERVING = "when slots are free and somebody waits, a start happens within one tick"
NEWEST = "the result under a key is of the newest upload whose job succeeded"
JUST = "nothing is rejected or failed that could have been analysed"
LEASE = "only the invocation that holds a job's lease writes its results"
TOLD = "every end is on the event bus, at least once"
QUIET = "a handler fails only when AWS does"
LEDGER = "a month's sums are what its jobs were charged, and within the budget by one job; who waits stands in a line"
PROMISES = (ENDS, STAYS, COMPLETE, ONE_START, NO_WORK, QUOTA, CONSERVING, NEWEST, JUST, LEASE, TOLD, QUIET, LEDGER)

OUR_TOPIC = ENVIRONMENT["JOB_FINISHED_TOPIC_ARN"]
BROKEN_FILE = (ValueError, KeyError, EOFError, OSError, zlib.error)  # what reading one ends in
UNKNOWN = "unknown"  # the analysis of a job whose uploader's choice is unknown, or can't be done


class Broken(AssertionError):
    """A promise is broken."""

    def __init__(self, promise: str, evidence: Any) -> None:
        super().__init__(f"{promise}: {evidence}")
        self.promise = promise


def hold(promise: str, holds: Any, evidence: Any) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(promise, evidence)


@dataclass(frozen=True)
class Upload:
    """What a person did, as the truth that the table is held against."""

    key: str
    etag: str
    size: int
    sequence: int
    epoch: int  # which settings were in force
    version: str | None = None
    words: str | None = None  # what its uploader asks for
    by_tag: bool = False
    bad: str | None = None  # why it can't be read

    def job_id(self, analysis: str) -> str:
        """The id of its job of that analysis."""
        return self._ids[analysis]

    @cached_property
    def _ids(self) -> dict[str, str]:
        return {
            name: analyses.job_id("videos", self.key, self.etag, name, parameters)
            for name, parameters in PARAMETERS.items()
        }


@dataclass
class Truth:
    """All that people did.

    Attributes:
        uploads: in their order.
        standing: by key, the upload whose content is in the bucket now.
        versions: by key and version, the upload of each version that was not deleted for good.
        epochs: all settings that there were, the last in force.
        capped_at: when the operator's cap was set, where there was none.
    """

    uploads: list[Upload] = field(default_factory=list)
    standing: dict[str, Upload] = field(default_factory=dict)
    versions: dict[tuple[str, str], Upload] = field(default_factory=dict)
    epochs: list[Choices] = field(default_factory=list)
    capped_at: float = 0.0

    def uploaded(self, upload: Upload) -> None:
        """One more upload."""
        self.uploads.append(upload)
        self.standing[upload.key] = upload
        if upload.version:
            self.versions[upload.key, upload.version] = upload

    @property
    def readable(self) -> Iterator[Upload]:
        """The uploads whose content can be analysed whatever happened meanwhile: it stands in the bucket, or it is the
        only version of its content and still there."""
        yield from self.standing.values()
        for upload in self.versions.values():
            if sum((each.key, each.etag) == (upload.key, upload.etag) for each in self.uploads) == 1:
                yield upload

    @property
    def choices(self) -> Choices:
        """The settings in force."""
        return self.epochs[-1]

    def choices_of(self, upload: Upload) -> Iterator[frozenset[str] | None]:
        """Each choice that an upload may have been given; None: its uploader asked for what can't be done.

        What an object says is what S3 says when it is asked: of the same content uploaded once more, if it was; nothing
        of one that was deleted or replaced before.
        """
        for choices in self.epochs[upload.epoch :]:
            for later in self.uploads:
                same = (later.key, later.etag) == (upload.key, upload.etag)
                if upload.size and same and later.sequence >= upload.sequence:
                    yield choices.of(later.words, later.by_tag)
            if not upload.size or self.standing.get(upload.key) is not upload:
                yield choices.of(None, False)

    def possible(self, upload: Upload) -> frozenset[str]:
        """Analyses that it may get."""
        return frozenset().union(*filter(None, self.choices_of(upload)))

    def certain(self, upload: Upload) -> frozenset[str]:
        """Analyses that it gets, whatever was said when."""
        return frozenset.intersection(*[choice or frozenset() for choice in self.choices_of(upload)])

    def of_key(self, key: str) -> set[str]:
        """All contents a key had."""
        return {upload.etag for upload in self.uploads if upload.key == key}

    def of_job(self, job: Mapping[str, Any]) -> list[Upload]:
        """The uploads of a job's content."""
        return [upload for upload in self.uploads if (upload.key, upload.etag) == (job["key"], job["etag"])]


class Watch:
    """Checks each write, each call, and all there is after every step; ``at_the_end`` after all has come to rest."""

    def __init__(self, world: World, truth: Truth, trouble: Trouble) -> None:
        self._world = world
        self._truth = truth
        self._trouble = trouble
        self._before: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, str] = {}  # etags of results that were looked at
        self._ends: Counter[tuple[str, str]] = Counter()
        self.sees_writes = False  # whether it is told of each write to the table
        self.most_slots = 0  # that Rekognition ever gave
        self.calm_ticks = 0  # in a row

    # Rekognition's side

    def _accepted(self) -> list[Accepted]:
        """The jobs that our stack started, the oldest first."""
        jobs = self._world.rekognition._jobs.values()
        return [job for job in jobs if job.parameters["NotificationChannel"]["SNSTopicArn"] == OUR_TOPIC]

    def _with_token(self, token: str) -> list[Accepted]:
        return [job for job in self._world.rekognition._jobs.values() if job.token == token]

    def _is_over(self, job: Accepted) -> bool:
        """Whether a job's results can't be had: it failed, or its results are forgotten."""
        return job.state == "FAILED" or self._is_forgotten(job)

    def _is_forgotten(self, job: Accepted) -> bool:
        life = self._world.rekognition.faults.result_seconds
        return job.ended is not None and self._world.clock.now() - job.ended > life - 60  # the last call took its time

    # each call of a handler

    def before_a_call(self, service: str, operation: str, params: Mapping[str, Any]) -> None:
        """What a handler may ask for."""
        if service == "rekognition" and operation.startswith("Start"):
            now, begun = self._truth.choices, self._trouble.running[-1].choices
            [name] = [name for name in PARAMETERS if CATALOGUE[name].start_operation == operation]
            hold(NO_WORK, now.allows(name) or begun.allows(name), f"a start of {name}, which {now} forbid")
            hold(NO_WORK, not self._trouble.running[-1].paused, "a start while starting is paused")
            job = next(job for job in self._world.jobs() if job["job_id"] == params["JobTag"])
            seen = self._trouble.running[-1].seen.get(job["key"])
            hold(NO_WORK, seen == job["etag"], f"a start of what may be another video: {seen} was seen, {job}")
        if service == "rekognition" and operation.startswith("Get"):
            self._trouble.running[-1].held.clear()
        if service == "s3" and operation in ("PutObject", "CompleteMultipartUpload") and params["Bucket"] == "results":
            self._publishes(params)

    def _publishes(self, params: Mapping[str, Any]) -> None:
        if not self.sees_writes or not params["Key"].startswith(("results/", "superseded/", "rows/")):
            return
        assert isinstance(self._world, StandInWorld)
        labels = params.get("Metadata")
        if labels is None:
            upload = self._world.buckets.uploads.get(params["UploadId"])
            if upload is None:
                return
            labels = upload.metadata
        job, invocation = self._before_write.get(labels["job-id"], {}), self._trouble.running[-1]
        # It may lose the lease while S3 is slow, after it has looked; then S3's conditions guard the result.
        mine = job.get("lease_owner") == invocation.owner or job.get("job_id") in invocation.held
        hold(LEASE, mine, f"{invocation.owner} writes {params['Key']}, and the job is {job}")

    @property
    def _before_write(self) -> dict[str, dict[str, Any]]:
        return {job["job_id"]: job for job in self._world.jobs()}

    # each write to the table

    def written(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """One write of one job, {} where there is none."""
        was, state = before.get("state"), after.get("state")
        if state is None:
            hold(ENDS, before["analysis"] == UNKNOWN and was == "RUNNING", f"removed: {before}")
            return
        hold(STAYS, state in ARROWS[was], f"{was} became {state}: {after}")
        if state == "WAITING":
            hold(ENDS, after.get("due_at") and after.get("position"), f"WAITING, and no place in the backlog: {after}")
        if was == state == "RUNNING":
            hold(STAYS, before["state_since"] == after["state_since"], f"claimed, and was no longer WAITING: {after}")
        if was and was != state:
            self._reason(before, after)
        if before:
            self._attempt(before, after)
            hold(NEWEST, after["sequencer"] >= before["sequencer"], f"an older upload than {before} is noted: {after}")
            self._lease(before, after)
        if state in FINAL and was != state:
            self._end(before, after)
        if state == "RUNNING" and "rekognition_job_id" in after and "rekognition_job_id" not in before:
            self._cap()

    def _reason(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Why a final state may be left."""
        match before["state"], after["state"]:
            case "SUCCEEDED", _:
                hold(STAYS, len(self._truth.of_key(after["key"])) > 1, f"its result was not replaced: {after}")
            case "REJECTED", "WAITING":
                again = after["sequencer"] > before["sequencer"]
                suspect = "suspected_at" in before and self._trouble.suspected
                hold(STAYS, again or suspect, f"not uploaded again, and no suspect: {before}")
            case "REJECTED", "COLLECTING":
                started = {job.id for job in self._accepted() if job.tag == after["job_id"]}
                hold(STAYS, after["rekognition_job_id"] in started, f"never started: {after}")

    def _attempt(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        token = analyses.attempt_token(after["job_id"], int(before["attempt"]))
        known, now = before.get("rekognition_job_id"), after.get("rekognition_job_id")
        versions = before.get("version_id"), after.get("version_id")
        starts = self._with_token(token)
        ours = [job for job in starts if job in self._accepted()]
        if after["attempt"] == before["attempt"]:
            if now != known:
                hold(ONE_START, known is None, f"started as {known}, and then as {now}: {after}")
                unknown = {start.id for start in self._not_known_before(after)}
                hold(ONE_START, now in unknown, f"{now} is not what was started as this attempt: {after}")
            if versions[0] != versions[1]:
                hold(ONE_START, not starts, f"started with version {versions[0]}, changed to {versions[1]}: {after}")
            return
        hold(ONE_START, after["attempt"] == before["attempt"] + 1 and after["state"] == "WAITING", after)
        # Its version was deleted, and the same content is there as another; whether it was started is not known.
        lost = before.get("maybe_started") and versions[0] != versions[1]
        if ours and not lost:
            lasting = ours[-1].outcome and ours[-1].outcome.failure == LASTING
            hold(ONE_START, not lasting or self._is_forgotten(ours[-1]), f"tried again, and the reason lasts: {after}")
            hold(ONE_START, self._is_over(ours[-1]), f"attempt {before['attempt']} is not over: {after}")
        elif not starts:
            hold(ONE_START, lost, f"attempt {before['attempt']} was never started: {after}")

    def _lease(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        from lambdas.model.clock import iso

        owner, now = before.get("lease_owner"), iso(self._now())
        renewed = after.get("lease_until") != before.get("lease_until")
        if renewed and after.get("lease_owner") == self._trouble.running[-1].owner:
            self._trouble.running[-1].held.add(after["job_id"])
        if owner and after.get("lease_owner") not in (None, owner) and before["attempt"] == after["attempt"]:
            until = before.get("lease_until", "")
            hold(LEASE, until <= now, f"{owner}'s until {until}, taken at {now}: {after}")
        if after["state"] == "SUCCEEDED" != before["state"]:
            running = self._trouble.running[-1].owner
            hold(LEASE, owner == running, f"{owner}'s, ended by {running}: {after}")

    def _now(self) -> float:
        return self._world.clock.now() + self._trouble.running[-1].skew

    def _end(self, before: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        state, job_id = job["state"], job["job_id"]
        told = [each for each in self._world.announcements if _end_of(each) == (job_id, state)]
        again = state == "REJECTED" and before.get("suspicions")
        if again and any(each["Detail"]["reason"] == job["reason"] for each in told):
            return  # REJECTED again for what it was REJECTED for before
        hold(TOLD, len(told) > self._ends[job_id, state], f"{len(told)} events: {job}")
        self._ends[job_id, state] += 1
        if state == "REJECTED":
            hold(STAYS, "rekognition_job_id" not in job, f"REJECTED, and Rekognition has accepted it: {job}")
        if state == "FAILED":
            self._failed(before, job)
        if state == "SUCCEEDED":
            self._there(job)

    def _failed(self, before: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        """Why a job may fail: Rekognition could not do it, or has forgotten what it did."""
        known = job.get("rekognition_job_id")
        starts = [start for start in self._not_known_before(job) if known in (None, start.id)]
        over = [start for start in starts if self._is_over(start)]
        hold(JUST, over, f"FAILED, and its results can be had: {job}")
        if not any(start.outcome and start.outcome.failure == LASTING for start in over):
            # Its results have expired, and they could not be read at the last two tries.
            gone = self._is_forgotten(over[-1]) and before.get("reason")
            hold(JUST, job["attempt"] >= 3 or gone, f"FAILED, and another attempt may succeed: {job}")

    def _not_known_before(self, job: Mapping[str, Any]) -> list[Accepted]:
        """The starts of a job's attempt, and of earlier ones whose start was not known of: they are collected as this
        one all the same."""
        tokens = {analyses.attempt_token(job["job_id"], n + 1) for n in range(int(job["attempt"]))}
        past = job.get("past_rekognition_job_ids", ())
        return [start for start in self._accepted() if start.token in tokens and start.id not in past]

    def _cap(self) -> None:
        """The operator's cap, over what the table knows to run: where a Start's answer was lost, one more may run."""
        caps = self._truth.choices.cap, self._trouble.running[-1].choices.cap
        if not all(caps):
            return
        # A cap counts the jobs that were started under it: those that ran before hold none of its slots.
        running = {job.id for job in self._accepted() if job.ended is None and job.started > self._truth.capped_at}
        known = [job for job in self._world.jobs() if job["state"] == "RUNNING"]
        run = sum(job.get("rekognition_job_id") in running for job in known)
        hold(QUOTA, run <= max(caps), f"{run} run, the cap is {max(caps)}")

    # after each step

    def after_a_step(self) -> None:
        """What must hold at any moment."""
        jobs = {job["job_id"]: job for job in self._world.jobs()}
        for job in jobs.values():
            if job["job_id"] not in self._before:
                uploads = self._truth.of_job(job)
                mine = [u for u in uploads if job["analysis"] == UNKNOWN or job["analysis"] in self._truth.possible(u)]
                hold(NO_WORK, mine, f"a job in the table without an upload: {job}")
        self._starts(jobs)
        self._ledger(jobs)
        stats = self._world.rekognition.stats()
        hold(QUOTA, stats["most_running"] <= self.most_slots, stats["most_running"])
        for job_id, before in self._before.items():
            hold(ENDS, job_id in jobs or before["analysis"] == UNKNOWN, f"gone from the table: {before}")
            if job_id in jobs and before["state"] in FINAL and jobs[job_id]["state"] != before["state"]:
                self._reason(before, jobs[job_id])
        self._before = jobs
        self._look_at_results()

    def _ledger(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """What is reserved is what jobs at work were charged; every waiting job is in the line of its class and share,
        and every line but the default one is on record."""
        from lambdas import wiring

        table = Jobs(self._world.dynamodb, wiring.settings().jobs_table, self._world.clock)
        marked = {"live#", *table.shares().marked}
        reserved: Counter[str] = Counter()
        for job in jobs.values():
            line = f"{job.get('priority', 'live')}#{job.get('share', '')}"
            waits = line if job["state"] == "WAITING" else None
            hold(LEDGER, job.get("waiting_in") == waits, f"waits in {job.get('waiting_in')!r} and not {waits!r}: {job}")
            hold(LEDGER, waits is None or waits in marked, f"no record of the line {waits!r}: {marked}")
            charge = Charge.from_text(job["charge"]) if "charge" in job else None
            if charge and not charge.spent:
                at_work = job["state"] in ("RUNNING", "COLLECTING")
                hold(LEDGER, at_work, f"{job['state']}, and charged: {job}")
                reserved[charge.month] += round(float(charge.minutes) * 1e6)
        month = month_of(self._world.clock.now())
        record = table.month(month)
        known = round((record.committed_minutes - record.spent_minutes) * 1e6)
        hold(LEDGER, known == reserved[month], f"{known} reserved, and jobs are charged {reserved[month]}")
        hold(LEDGER, record.spent_minutes >= 0 and known >= 0, record)

    def _starts(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """A token stands for one start as long as it lives; what comes after its 7 days no caller can help."""
        life = self._world.rekognition.faults.request_token_seconds
        started: dict[str, float] = {}
        tokens: dict[str, set[str]] = defaultdict(set)
        for start in self._accepted():
            token, tag = start.token or "", start.tag or ""
            hold(NO_WORK, tag in jobs, "a start without a job in the table")
            hold(NO_WORK, jobs[tag]["size"], "a start for an empty object")
            before = started.get(token)
            hold(ONE_START, before is None or start.started - before > life, f"token {token[:8]} accepted twice")
            started[token] = start.started
            tokens[tag].add(token)
        for tag, known in tokens.items():
            hold(ONE_START, len(known) <= jobs[tag]["attempt"], f"{len(known)} attempts started: {jobs[tag]}")

    def _look_at_results(self) -> None:
        """What appears is whole: half a result is never to be seen."""
        for key in self._world.results():
            if not key.startswith(("results/", "superseded/", "rows/")):
                continue
            etag = self._world.s3.head_object(Bucket="results", Key=key)["ETag"]
            if self._seen.get(key) != etag:
                self._seen[key] = etag
                self._complete(key)

    def _complete(self, key: str) -> None:
        body = self._body(key)
        try:
            if key.startswith("rows/"):
                rows = [json.loads(line) for line in gzip.decompress(body).splitlines()]
                job_id = key.rsplit("/", 1)[1].removesuffix(".jsonl.gz")
                held = self._held(job for job in self._accepted() if job.tag == job_id)
                found = [(row["job_id"], row["timestamp_ms"], row["confidence"]) for row in rows]
                wanted = [(job_id, each["Timestamp"], _confidence(each)) for each in held]
            else:
                document = json.loads(body)
                analysis = key.rsplit("/", 1)[1].removesuffix(".json")
                held = self._held(job for job in self._accepted() if job.id == document["JobId"])
                found, wanted = document[CATALOGUE[analysis].detections], held
        except BROKEN_FILE as error:
            raise Broken(COMPLETE, f"{key}: {error!r}") from error
        hold(COMPLETE, found == wanted, f"{key}: {len(found)} of {len(wanted)}")

    def _body(self, key: str) -> bytes:
        return bytes(self._world.s3.get_object(Bucket="results", Key=key)["Body"].read())

    def _held(self, jobs: Iterable[Accepted]) -> list[Any]:
        """The detections that the service held for the last of `jobs` that succeeded."""
        outcomes = [job.outcome for job in jobs if job.state == "SUCCEEDED"]
        hold(COMPLETE, outcomes, "results of a job that did not succeed")
        return [json.loads(row) for row in outcomes[-1].rows] if outcomes[-1] else []

    def after_a_clean_collection(self, message: str) -> None:
        """A job whose end was announced, and heard of without trouble, is not left REJECTED: it is paid."""
        told = json.loads(message).get("JobId")
        start = next((start for start in self._accepted() if start.id == told), None)
        if start is None or start.state != "SUCCEEDED" or self._is_over(start):
            return
        job = next(job for job in self._world.jobs() if job["job_id"] == start.tag)
        mine = analyses.attempt_token(job["job_id"], int(job["attempt"])) == start.token
        hold(JUST, not (mine and job["state"] == "REJECTED"), f"Rekognition has done it, and it stays REJECTED: {job}")

    def may_start(self) -> int:
        """How many jobs wait that can be started at once, where a slot is free; 0 where none is."""
        stats = self._world.rekognition.stats()
        if stats["running"] >= self._world.rekognition.faults.max_running or self._truth.choices.cap or self._blocked():
            return 0
        due = self.due()
        waiting = [job for job in self._world.jobs() if job["job_id"] in due]
        good = all(self._good(job) for job in waiting)
        return len(waiting) if good else 0

    def _good(self, job: Mapping[str, Any]) -> bool:
        """Whether nothing can be wrong with the video of a job."""
        upload = self._truth.standing.get(job["key"])
        return bool(
            upload
            and upload.etag == job["etag"]
            and upload.size
            and not upload.bad
            and job["attempt"] == 1
            and "version_id" not in job
            and self._truth.choices.allows(job["analysis"])
            and not any(
                start.token == analyses.attempt_token(job["job_id"], 1)
                for start in self._world.rekognition._jobs.values()
            )
        )

    def due(self) -> frozenset[str]:
        """The jobs that wait and are due."""
        from lambdas.model.clock import iso

        now = iso(self._world.clock.now())
        return frozenset(
            job["job_id"] for job in self._world.jobs() if job["state"] == "WAITING" and job["due_at"] < now
        )

    def after_a_calm_tick(self, due: frozenset[str], *, full: bool) -> None:
        """A tick that nothing troubled leaves no slot free while a job waits that was `due` when it began; or it was
        told that there is none (`full`), and one has come free since.

        After trouble, a scope may be blocked until a probe opens it; and a bad video may be what the first probe met.
        """
        self.calm_ticks += 1
        cap, still = self._truth.choices.cap, self.due()
        jobs = self._world.jobs()
        waiting = [job for job in jobs if job["job_id"] in due & still]
        if not waiting:
            return
        stats = self._world.rekognition.stats()
        holders = sum(job["state"] == "RUNNING" for job in jobs)
        full |= stats["running"] >= self._world.rekognition.faults.max_running or bool(cap and holders >= cap)
        bad = sum(any(upload.bad for upload in self._truth.of_job(job)) for job in waiting)
        blocked = self._blocked()
        patience = 2 + 3 * bad
        if "budget" in blocked:
            return  # until the month turns
        excused = {"videos"} & blocked or all(job["analysis"] in blocked for job in waiting)
        hold(
            CONSERVING,
            full or (excused and self.calm_ticks <= patience),
            f"{len(waiting)} wait, {stats['running']} run, blocked: {blocked} after {self.calm_ticks} calm ticks",
        )

    def _blocked(self) -> set[str]:
        from lambdas import wiring

        known = self._world.dynamodb.get_item(
            TableName=wiring.settings().jobs_table, Key={"job_id": {"S": "#scheduler"}}
        ).get("Item", {})
        scopes = known.get("scopes", {}).get("M", {})
        return {name for name, scope in scopes.items() if "since" in scope["M"]}

    def at_the_end(self) -> None:
        """What must hold once everything has come to rest."""
        jobs = {job["job_id"]: job for job in self._world.jobs()}
        for job in jobs.values():
            hold(ENDS, job["state"] in FINAL, job)
        for upload in self._truth.uploads:
            self._ended(upload, jobs)
        by_place: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for job in jobs.values():
            if job["state"] == "SUCCEEDED":
                by_place[job["key"], job["analysis"]].append(job)
                self._there(job)
                self._told(job)
        for (key, analysis), succeeded in by_place.items():
            standing = jobs[json.loads(self._body(f"results/{key}/{analysis}.json"))["JobTag"]]
            last = max(upload.sequence for upload in self._uploads_for(standing, certain=False))
            for job in succeeded:
                surely = [upload.sequence for upload in self._uploads_for(job, certain=True)]
                hold(NEWEST, not surely or max(surely) <= last, f"{key}: stands {standing}, newer is {job}")
        for upload in self._truth.readable:
            self._just(upload, jobs)

    def _ended(self, upload: Upload, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """One of the choices that it may have been given has become its jobs."""
        there = {name for name in PARAMETERS if upload.job_id(name) in jobs}
        unknown = any(
            job["analysis"] == UNKNOWN and (job["key"], job["etag"]) == (upload.key, upload.etag)
            for job in jobs.values()
        )
        choices = list(self._truth.choices_of(upload))
        fits = unknown or any(choice is not None and choice <= there for choice in choices)
        hold(ENDS, fits, f"{upload} has {there} of {choices}")

    def _uploads_for(self, job: Mapping[str, Any], *, certain: bool) -> list[Upload]:
        """The uploads of a job's content that surely, or perhaps, asked for its analysis."""
        asked = self._truth.certain if certain else self._truth.possible
        return [upload for upload in self._truth.of_job(job) if job["analysis"] in asked(upload)]

    def _just(self, upload: Upload, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """No job of a good video that stands is REJECTED, but for what was asked and what the settings said."""
        if not upload.size or upload.bad:
            return
        epochs = self._truth.epochs[upload.epoch :]
        for name in self._truth.certain(upload):
            job = jobs.get(upload.job_id(name))
            if job is None or job["state"] != "REJECTED":
                continue
            given_up = "could not be started in" in job["reason"]  # after a day and more of nothing but errors
            forbidden = not all(choices.allows(name) for choices in epochs)
            hold(JUST, given_up or forbidden, f"{upload} stands in the bucket, and {job}")
        if any(choice is None for choice in self._truth.choices_of(upload)):
            return
        for job in jobs.values():
            mine = (job["key"], job["etag"], int(job["sequencer"], 16)) == (upload.key, upload.etag, upload.sequence)
            if mine and job["analysis"] == UNKNOWN:
                hold(JUST, "could not be started in" in job["reason"], f"{upload} asks for what can be done, and {job}")

    def _there(self, job: Mapping[str, Any]) -> None:
        try:
            rows = gzip.decompress(self._body(job["rows_key"])).splitlines()
            document = json.loads(self._body(job["result_key"]))
            about = json.loads(self._body(f"jobs/analysis={job['analysis']}/{job['job_id']}.json"))
        except (*BROKEN_FILE, ClientError) as error:
            raise Broken(COMPLETE, f"SUCCEEDED, and its results are missing or broken: {error!r}, {job}") from error
        hold(COMPLETE, len(rows) == int(job["detections"]) == about["detections"], f"{len(rows)} rows: {job}")
        hold(COMPLETE, (about["result_key"], about["rows_key"]) == (job["result_key"], job["rows_key"]), about)
        if job["result_key"].startswith("superseded/"):
            hold(COMPLETE, document["JobTag"] == job["job_id"], f"another job's document: {job}")

    def _told(self, job: Mapping[str, Any]) -> None:
        """What the last event said of a job that succeeded."""
        told = [each for each in self._world.announcements if _end_of(each) == (job["job_id"], "SUCCEEDED")]
        last = told[-1]["Detail"]
        same = (
            all(last[name] == job[name] for name in ("result_key", "rows_key"))
            and last["detections"] == job["detections"]
        )
        hold(TOLD, same, f"the event says {last}, the table {job}")


# Where a job may go from each state. None: there was none. REJECTED, it may turn out that Rekognition had accepted it.
ARROWS: Mapping[str | None, tuple[str, ...]] = {
    None: ("WAITING", "REJECTED"),
    "WAITING": ("WAITING", "RUNNING", "COLLECTING", "REJECTED", "FAILED"),
    "RUNNING": ("RUNNING", "WAITING", "COLLECTING", "REJECTED", "FAILED"),
    "COLLECTING": ("COLLECTING", "SUCCEEDED", "FAILED", "WAITING"),
    "SUCCEEDED": ("SUCCEEDED", "COLLECTING", "WAITING"),
    "FAILED": ("FAILED",),
    "REJECTED": ("REJECTED", "WAITING", "COLLECTING"),
}


def _confidence(detection: Mapping[str, Any]) -> float:
    inner: Mapping[str, Any] = detection.get("Face") or detection["TextDetection"]
    return float(inner["Confidence"])


def _end_of(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The job that an event says has ended, and its state."""
    return event["Detail"].get("job_id"), event["Detail"].get("state")
