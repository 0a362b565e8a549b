"""The promises, as checks over what can be seen from outside: the table, the buckets, and what Rekognition was told."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from lambdas.model import analyses
from lambdas.model.routing import UNKNOWN
from tests.fake_aws import World

FINAL = ("SUCCEEDED", "FAILED", "REJECTED")

ENDS = "every upload's job ends, once"
STAYS = "a final state is left for documented reasons only"
COMPLETE = "what is in the results bucket is complete and equal to what the service held"
ONE_START = "each attempt is one accepted start, and there are none beyond the attempts the table knows"
NO_WORK = "no work without an upload"
QUOTA = "never more jobs than the quota, or the operator's cap"
CONSERVING = "when slots are free and somebody waits, a start happens within one tick"
NEWEST = "the result under a key is of the newest upload whose job succeeded"
JUST = "nothing is rejected that could have been analysed"
QUIET = "a handler fails only when AWS does"
PROMISES = (ENDS, STAYS, COMPLETE, ONE_START, NO_WORK, QUOTA, CONSERVING, NEWEST, JUST, QUIET)


class Broken(AssertionError):
    """A promise is broken."""

    def __init__(self, promise: str, evidence: Any) -> None:
        super().__init__(f"{promise}: {evidence}")
        self.promise = promise


def hold(promise: str, holds: bool, evidence: Any) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(promise, evidence)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a person did, as the truth that the table is held against."""

    key: str
    etag: str
    size: int
    sequence: int

    @property
    def job_id(self) -> str:
        """The id of its job."""
        return analyses.job_id("videos", self.key, self.etag, "face-detection", {"FaceAttributes": "DEFAULT"})

    @property
    def placeholder_id(self) -> str:
        """The id of the job that stands for it while its uploader's choice can't be read."""
        return analyses.job_id("videos", self.key, self.etag, UNKNOWN, {})


@dataclass
class Truth:
    """All that people did."""

    uploads: list[Upload] = field(default_factory=list)
    standing: dict[str, Upload] = field(default_factory=dict)  # by key: whose content is in the bucket now

    def of_key(self, key: str) -> set[str]:
        """Jobs of all contents a key had."""
        return {upload.job_id for upload in self.uploads if upload.key == key}

    def times(self, job_id: str) -> int:
        """How often that content was uploaded."""
        return sum(upload.job_id == job_id for upload in self.uploads)


class Watch:
    """Checks after every step; ``at_the_end`` after everything has come to rest."""

    def __init__(self, world: World, truth: Truth, cap: int) -> None:
        self._world = world
        self._truth = truth
        self._cap = cap
        self._before: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, str] = {}  # etags of results that were looked at
        self.cap_may_slip = False  # after a crash, a job may run that the table doesn't know to run

    def after_a_step(self) -> None:
        """What must hold at any moment."""
        stats = self._world.rekognition.stats()
        jobs = {job["job_id"]: job for job in self._world.jobs()}
        known = {job_id for upload in self._truth.uploads for job_id in (upload.job_id, upload.placeholder_id)}
        hold(NO_WORK, known.issuperset(jobs), "a job in the table without an upload")
        hold(NO_WORK, set(jobs).issuperset(stats["accepted_by_tag"]), "a start without a job in the table")
        hold(NO_WORK, all(jobs[tag]["size"] for tag in stats["accepted_by_tag"]), "a start for an empty object")
        self._starts(jobs)
        hold(QUOTA, stats["most_running"] <= self._world.rekognition.faults.max_running, stats["most_running"])
        if self._cap and not self.cap_may_slip:
            hold(QUOTA, stats["running"] <= self._cap, f"{stats['running']} run, the cap is {self._cap}")
        for job_id, before in self._before.items():
            gone = job_id not in jobs
            hold(ENDS, not gone or before["analysis"] == UNKNOWN, f"gone from the table: {before}")
            if not gone:
                self._transition(before, jobs[job_id], started=job_id in stats["accepted_by_tag"])
        self._before = jobs
        self._look_at_results()

    def _starts(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """A token stands for one start as long as it lives; what comes after its 7 days no caller can help."""
        life = self._world.rekognition.faults.request_token_seconds
        started: dict[str, float] = {}
        tokens: dict[str, set[str]] = defaultdict(set)
        for job in self._world.rekognition.jobs():
            token = job["ClientRequestToken"]
            before = started.get(token)
            hold(ONE_START, before is None or job["Started"] - before > life, f"token {token[:8]} accepted twice")
            started[token] = job["Started"]
            tokens[job["JobTag"]].add(token)
        for tag, known in tokens.items():
            hold(ONE_START, len(known) <= jobs[tag]["attempt"], f"{len(known)} attempts started: {jobs[tag]}")

    def _transition(self, before: Mapping[str, Any], now: Mapping[str, Any], *, started: bool) -> None:
        was, state = before["state"], now["state"]
        if was not in FINAL or was == state:
            return
        reasons = {
            # Uploaded again; or Rekognition had accepted a Start whose answer was lost: what it did is collected.
            "REJECTED": self._truth.times(now["job_id"]) > 1 or started,
            "SUCCEEDED": len(self._truth.of_key(now["key"])) > 1,  # its result had been replaced
        }
        hold(STAYS, reasons.get(was, False), f"{was} became {state}: {now}")

    def _look_at_results(self) -> None:
        """Whatever appears is whole: nobody ever sees half a result."""
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
                held = self._held(job for job in self._world.rekognition.jobs() if job["JobTag"] == job_id)
                found = [(row["job_id"], row["timestamp_ms"], row["confidence"]) for row in rows]
                wanted = [(job_id, face["Timestamp"], face["Face"]["Confidence"]) for face in held]
            else:
                document = json.loads(body)
                held = self._held(job for job in self._world.rekognition.jobs() if job["JobId"] == document["JobId"])
                found, wanted = document["Faces"], held
        except (ValueError, KeyError, EOFError, OSError) as error:
            raise Broken(COMPLETE, f"{key}: {error!r}") from error
        hold(COMPLETE, found == wanted, f"{key}: {len(found)} of {len(wanted)}")

    def _body(self, key: str) -> bytes:
        return bytes(self._world.s3.get_object(Bucket="results", Key=key)["Body"].read())

    def _held(self, jobs: Iterable[Mapping[str, Any]]) -> list[Any]:
        """The detections that the service held for the last of `jobs` that succeeded."""
        outcomes = [self._world.rekognition._jobs[job["JobId"]].outcome for job in jobs if job["State"] == "SUCCEEDED"]
        hold(COMPLETE, bool(outcomes), "results of a job that did not succeed")
        return [json.loads(row) for row in outcomes[-1].rows] if outcomes[-1] else []

    def after_a_calm_tick(self, paused: bool) -> None:
        """A tick that nothing troubled leaves no slot free while somebody waits who is due."""
        from lambdas.model.clock import iso

        now = iso(self._world.clock.now())
        waiting = [job for job in self._world.jobs() if job["state"] == "WAITING" and job.get("due_at", "") < now]
        running = self._world.rekognition.stats()["running"]
        if waiting and not paused and not self._cap:
            full = running >= self._world.rekognition.faults.max_running
            hold(CONSERVING, full, f"{len(waiting)} wait, {running} run")

    def at_the_end(self) -> None:
        """What must hold once everything has come to rest."""
        jobs = {job["job_id"]: job for job in self._world.jobs()}
        for upload in self._truth.uploads:
            job = jobs.get(upload.job_id)
            hold(ENDS, job is not None and job["state"] in FINAL, f"{upload}: {job}")
        starts = self._world.rekognition.stats()["accepted_by_tag"]
        for job in jobs.values():
            if job["state"] in ("SUCCEEDED", "FAILED"):
                known = starts.get(job["job_id"], 0)
                hold(ONE_START, known >= job["attempt"], f"{known} starts: {job}")
        by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for job in jobs.values():
            if job["state"] == "SUCCEEDED":
                by_key[job["key"]].append(job)
                self._there(job)
        for key, succeeded in by_key.items():
            newest = max(
                succeeded, key=lambda job: max(u.sequence for u in self._truth.uploads if u.job_id == job["job_id"])
            )
            standing = json.loads(self._body(f"results/{key}/face-detection.json"))["JobTag"]
            hold(NEWEST, standing == newest["job_id"], f"{key}: stands {jobs[standing]}, newest {newest}")
        for upload in self._truth.standing.values():
            job = jobs[upload.job_id]
            given_up = "could not be started in" in job.get("reason", "")  # after a day and more of nothing but errors
            if upload.size and not given_up:
                hold(JUST, job["state"] != "REJECTED", f"{upload} stands in the bucket, and {job}")

    def _there(self, job: Mapping[str, Any]) -> None:
        try:
            rows = gzip.decompress(self._body(job["rows_key"])).splitlines()
            document = json.loads(self._body(job["result_key"]))
        except ClientError as error:
            raise Broken(COMPLETE, f"SUCCEEDED without results: {job}") from error
        hold(COMPLETE, len(rows) == int(job["detections"]), f"{len(rows)} rows: {job}")
        if job["result_key"].startswith("superseded/"):
            hold(COMPLETE, document["JobTag"] == job["job_id"], f"somebody else's document: {job}")
