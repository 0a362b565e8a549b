"""Generated histories of conversions: functions die at any call, events are lost and doubled, MediaConvert refuses and
fails, videos are replaced; and then, when all is well again, everything ends as it should."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from rekognition_local import Simulated
from tests.fake_aws import CONVERT
from tests.fast_fake.world import StandInWorld, standin_world
from tests.lambdas.test_conversion import UNREADABLE, phone

TWO = '{"face-detection": {}, "label-detection": {}}'


class Dice:
    """Draws what happens, and kills the function that is running where it was drawn."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.well = False
        self.deaths = 0

    def wrap(self, _: str, client: Any) -> Any:
        call: Callable[..., Any] = client._make_api_call

        def perhaps(operation: str, params: dict[str, Any]) -> Any:
            drawn = 1.0 if self.well else self.random.random()
            if drawn < 0.02:
                self.die()
            answer = call(operation, params)
            # After CreateJob, what nothing has on record runs and is billed.
            if drawn > (0.7 if operation == "CreateJob" else 0.98) and not self.well:
                self.die()
            return answer

        client._make_api_call = perhaps
        return client

    def die(self) -> None:
        self.deaths += 1
        raise KeyboardInterrupt


class History:
    """One history."""

    def __init__(self, world: StandInWorld, dice: Dice) -> None:
        self.world = world
        self.dice = dice
        self.uploads: list[tuple[str, str]] = []  # key and ETag, in order
        self.disturbed: set[str] = set()  # keys whose conversions may fail, or be made more than once
        self.held: list[dict[str, Any]] = []  # records of uploads that S3 announces again
        self.contents = {"a.mov": 0, "b.mov": 0}

    def upload(self, key: str) -> None:
        number = self.contents[key]
        self.contents[key] += 1
        if number:
            self.disturbed.add(key)  # replaced
        unreadable = self.dice.random.random() < 0.5
        body = b"odd" * (number + 1) if unreadable else phone() + bytes([number])
        record = self.world.upload(key, body, **(UNREADABLE if unreadable else {}))
        self.uploads.append((key, record["s3"]["object"]["eTag"]))
        self.held.append(record)
        self.hear()

    def hear(self) -> None:
        if self.held:
            with suppress(KeyboardInterrupt):
                self.world.hear(*self.held)
                self.held.clear()

    def tick(self) -> None:
        with suppress(KeyboardInterrupt):
            self.world.tick()

    def pass_time(self) -> None:
        self.world.pass_time(self.dice.random.choice((1, 20, 70, 130)))

    def deliver(self) -> None:
        world, drawn = self.world, self.dice.random.random()
        for event in list(world.mediaconvert.events):
            world.mediaconvert.events.remove(event)
            for _ in range(0 if drawn < 0.3 else 2 if drawn > 0.8 else 1):  # lost, doubled, delivered
                with suppress(KeyboardInterrupt):
                    world.conversion_over(event)
        while world.notifications:
            message = world.notifications.pop(0).message
            for hear in (world.slot_free, world.collect):
                with suppress(KeyboardInterrupt):
                    hear(message)
        for body in world.messages():
            with suppress(KeyboardInterrupt):
                world.collect(body)

    def trouble(self) -> None:
        codes = ("TooManyRequestsException", "InternalServerErrorException", "AccessDeniedException")
        self.world.mediaconvert.refuse(
            self.dice.random.choice(("CreateJob", "GetJob", "ListJobs")), self.dice.random.choice(codes)
        )

    def fail(self) -> None:
        if not self.world.mediaconvert.fails_with:
            self.world.mediaconvert.fails_with.append((1999, "Unknown error"))
            self.disturbed |= set(self.contents)

    def lose_a_copy(self) -> None:
        copies = [key for bucket, key in self.world.buckets.objects if key.startswith("converted/")]
        if copies:
            self.world.s3.delete_object(Bucket="results", Key=self.dice.random.choice(copies))
            self.disturbed |= set(self.contents)

    def live(self) -> None:
        if self.dice.random.random() < 0.5:
            self.world.keep_versions()
        self.upload("a.mov")
        if self.dice.random.random() < 0.3:
            self.upload("a.mov")  # before MediaConvert has read the first
        steps = (
            *[self.tick] * 6,
            *[self.pass_time] * 6,
            *[self.deliver] * 3,
            *[self.hear] * 2,
            self.trouble,
            lambda: self.upload("b.mov"),
            lambda: self.upload("a.mov") if self.dice.random.random() < 0.2 else None,
            lambda: self.fail() if self.dice.random.random() < 0.3 else None,
            lambda: self.lose_a_copy() if self.dice.random.random() < 0.3 else None,
        )
        for _ in range(self.dice.random.randint(5, 40)):
            self.dice.random.choice(steps)()
        self.dice.well = True
        self.world.mediaconvert.refusals.clear()
        self.world.mediaconvert.fails_with.clear()
        self.hear()
        self.world.settle(240)


@contextmanager
def history(seed: int) -> Iterator[History]:
    dice = Dice(seed)
    with standin_world(Simulated(seconds=30), wrap=dice.wrap, ANALYSES=TWO, **CONVERT) as world:
        here = History(world, dice)
        here.live()
        yield here


@pytest.mark.parametrize("seeds", [range(first, first + 50) for first in range(0, 400, 50)], ids=str)
def test_each_upload_is_converted_once_and_every_job_ends_as_it_should(seeds: range) -> None:
    deaths = 0
    for seed in seeds:
        with history(seed) as here:
            deaths += here.dice.deaths
            newest = dict(here.uploads)
            for job in here.world.jobs():
                why = f"seed {seed}: {job}"
                if job["etag"] == newest[job["key"]]:
                    assert job["state"] == "SUCCEEDED", why
                else:
                    assert job["state"] in ("SUCCEEDED", "REJECTED"), why
            assert {(job["key"], job["etag"]) for job in here.world.jobs()} == set(here.uploads), seed
            done = Counter(
                job.source[1] for job in here.world.mediaconvert.jobs.values() if job.source[1] not in here.disturbed
            )
            assert set(done.values()) <= {1}, f"seed {seed}: {done}"
            _is_of_its_own_upload(here, seed)
    assert deaths > len(seeds)


def _is_of_its_own_upload(here: History, seed: int) -> None:
    """Each copy that was analysed was made of what its job is about."""
    versions = here.world.buckets.versions
    for job in here.world.jobs():
        if job["state"] == "SUCCEEDED" and (key := job.get("source_key")) and versions["results", key]:
            content = versions["results", key][-1].content.removeprefix(b"converted: ")
            assert hashlib.md5(content, usedforsecurity=False).hexdigest() == job["etag"], f"seed {seed}: {job}"
