"""The drain as two other designs do it: a function on the bucket itself, and a poller that starts once a minute.

Both meet the same Rekognition, load and latencies as ours. They get what costs them nothing: no cold start too slow, no
crash, results read in one call.
"""

import json
from collections import Counter
from collections.abc import Callable

from botocore.exceptions import ClientError

from bench.cloud import S3_EVENT_DELAY, SNS_DELAY, Platform
from bench.drain_ours import DEFAULT_QUOTAS, TICK, Drained, faults, longest_wait, runs_of
from bench.load import SEED, Video
from bench.simulator import Simulation
from rekognition_local import RekognitionVideo, Simulated
from rekognition_local.aws import AnyObject, Notification, Stored, Unreadable
from rekognition_local.engines import Source
from tests.fake_aws import START_OF_TIME
from tests.fast_fake.client import Client
from tests.fast_fake.rekognition import RekognitionClient

RETRIES = (60.0, 120.0)  # seconds; Lambda's asynchronous invocation tries twice more, after one and two minutes
TRIES_IN_A_CALL = 3  # boto3's standard mode; it repeats "no slot" too


class Present(AnyObject):
    """The load's objects, without those that are gone."""

    def head(self, source: Source) -> Stored:
        """Raises Unreadable for what is gone."""
        if "gone/" in source.name:
            raise Unreadable(source.name)
        return super().head(source)


class Baseline:
    """What the two share: a Rekognition, a client, results fetched when a notification comes."""

    def __init__(self, load: list[Video]) -> None:
        self.load = load
        self.simulation = Simulation(START_OF_TIME)
        self.platform = Platform(self.simulation, SEED)
        metadata = {video.key: {"simulate-seconds": str(video.seconds)} for video in load}
        self.rekognition = RekognitionVideo(
            engine=Simulated(), objects=Present(metadata), faults=faults(DEFAULT_QUOTAS), clock=self.simulation.now
        )
        self.rekognition.publish = self._published
        client = RekognitionClient(self.rekognition, 1, self.simulation.sleep)
        self.client: Client = self.platform.wrap("rekognition", client)
        self.ended: set[str] = set()
        self._last_end = 0.0
        self._next_end = float("inf")

    def start(self, key: str, tries: int = 1) -> str | None:
        """Call Start; None when it was accepted, else the error's code."""
        for attempt in range(tries):
            try:
                self.client.start_face_detection(
                    Video={"S3Object": {"Bucket": "videos", "Name": key}},
                    NotificationChannel={
                        "SNSTopicArn": "arn:aws:sns:us-east-1:123456789012:t",
                        "RoleArn": "arn:aws:iam::123456789012:role/r",
                    },
                    JobTag=key.replace("/", ":"),
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in ("LimitExceededException", "ProvisionedThroughputExceededException"):
                    return code
                if attempt + 1 < tries:
                    self.simulation.sleep(2.0**attempt)
            else:
                self._keep_time()
                return None
        return code

    def table(self, operation: str, calls: int = 1) -> None:
        """So many calls of a table."""
        for _ in range(calls):
            self.platform.called("dynamodb", operation)

    def end(self, key: str) -> None:
        """The video's job ended, and the side has recorded it."""
        self.ended.add(key)
        self._last_end = self.simulation.now()

    def collected(self, key: str) -> None:
        """A notification was handled: results read and written. Overridden where a table hears of it."""
        self.end(key)

    def _published(self, notification: Notification) -> None:
        message = json.loads(notification.message)
        arrives = self.simulation.now() + self.platform.lasting(SNS_DELAY)
        self.simulation.spawn(
            arrives,
            lambda: self.platform.invoke("collect", lambda: self.collected(message["Video"]["S3ObjectName"])),
        )

    def _keep_time(self) -> None:
        due = self.rekognition.due()
        if due is not None and due < self._next_end:
            self._next_end = due
            self.simulation.at(due, self._due)

    def _due(self) -> None:
        self._next_end = float("inf")
        self.rekognition.run_due()
        self._keep_time()

    def finish(self, progress: Callable[[int], None]) -> Drained:
        """Let time pass until nothing more happens, and say what it came to."""
        seen = 0

        def done() -> bool:
            nonlocal seen
            progress(len(self.ended) - seen)
            seen = len(self.ended)
            return seen == len(self.load) or self.stuck()

        self.simulation.run(done)
        runs = runs_of(self.rekognition, self.simulation.start)
        accepted = Counter(run.key for run in runs)
        return Drained(
            lost=sum(video.key not in self.ended for video in self.load),
            billed_twice=sum(number > 1 for number in accepted.values()),
            seconds=self._last_end - self.simulation.start,
            oldest_wait=longest_wait(self.load, runs),
            runs=runs,
            meter=self.platform.meter,
            units={},
            log_bytes=0,
        )

    def stuck(self) -> bool:
        """Whether nothing will ever happen again though not every video has ended."""
        return False


class Direct(Baseline):
    """S3 invokes a function that starts the job; Lambda tries twice more, and then drops the event."""

    def run(self, progress: Callable[[int], None]) -> Drained:
        """Drop everything."""
        for video in self.load:
            delay = self.platform.lasting(S3_EVENT_DELAY)
            self._try(video.key, self.simulation.start + delay, RETRIES)
        return self.finish(progress)

    def _try(self, key: str, when: float, more: tuple[float, ...]) -> None:
        def work() -> None:
            code = self.platform.invoke("start", lambda: self.start(key, TRIES_IN_A_CALL))
            if code == "InvalidS3ObjectException":
                self.end(key)  # gone: nothing is lost
            elif code and more:
                self._try(key, self.simulation.now() + more[0], more[1:])

        self.simulation.spawn(when, work)


class MinutePoller(Baseline):
    """A table of waiting videos, and once a minute a function that starts jobs until it is refused, and asks after
    those whose notification is late."""

    def run(self, progress: Callable[[int], None]) -> Drained:
        """Drop everything."""
        self._waiting = [video.key for video in self.load]
        self.platform.meter.calls["dynamodb.PutItem"] += len(self.load)
        self.simulation.at(self.simulation.start + TICK / 2, self._tick)
        return self.finish(progress)

    def _tick(self) -> None:
        self.simulation.spawn(self.simulation.now(), lambda: self.platform.invoke("start", self._fill))
        self.simulation.at(self.simulation.now() + TICK, self._tick)

    def _fill(self) -> None:
        self.table("Query")
        for job in self.rekognition.jobs()[-200:]:
            if job["Ended"] and self.simulation.now() - job["Ended"] > TICK and job["Name"] not in self.ended:
                self.platform.called("rekognition", "GetFaceDetection")
                self.collected(job["Name"])
        while self._waiting:
            code = self.start(self._waiting[0])
            if code == "LimitExceededException":
                return
            if code == "ProvisionedThroughputExceededException":
                self.simulation.sleep(0.5)
                continue
            key = self._waiting.pop(0)
            self.table("UpdateItem")
            if code:
                self.end(key)

    def collected(self, key: str) -> None:
        """Read the job, write its end."""
        self.table("GetItem")
        self.table("UpdateItem")
        self.end(key)


BASELINES: dict[str, Callable[[list[Video], Callable[[int], None]], Drained]] = {
    "start_from_the_s3_event": lambda load, progress: Direct(load).run(progress),
    "minute_poller": lambda load, progress: MinutePoller(load).run(progress),
}
