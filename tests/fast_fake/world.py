"""A ``tests.fake_aws.World`` on the stand-in."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from rekognition_local import Faults, RekognitionVideo, S3Objects, Simulated
from tests.fake_aws import ENVIRONMENT, REGION, VirtualClock, World, forget_parts
from tests.fast_fake.dynamodb import Table
from tests.fast_fake.mediaconvert import MediaConvert
from tests.fast_fake.messages import SentMessages, bus
from tests.fast_fake.rekognition import RekognitionClient
from tests.fast_fake.s3 import Buckets

Wrap = Callable[[str, Any], Any]
"""Takes a service's name and a client the handlers will use, and gives the client they use instead."""


@dataclass
class StandInWorld(World):
    """What `World` offers, and the stand-ins themselves."""

    table: Table = field(default_factory=Table)
    buckets: Buckets = field(default_factory=Buckets)
    queue: SentMessages = field(default_factory=SentMessages)
    _read: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    def jobs(self) -> list[dict[str, Any]]:
        jobs = [self._job(job_id, item) for job_id, item in self.table.items.items() if "state" in item]
        return sorted(jobs, key=lambda job: (job["registered_at"], job["job_id"]))

    def _job(self, job_id: str, item: Any) -> dict[str, Any]:
        """An item as values; read once, as a write makes another item."""
        from lambdas.aws.dynamodb import deserialize

        known = self._read.get(job_id)
        if known is None or known[0] is not item:
            known = self._read[job_id] = (item, deserialize(item))
        return known[1]

    def watch_writes(self, written: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        """Have `written` told of each write of a job: the job before and after, {} where there is none."""

        def of_a_job(job_id: str, before: Any, after: Any) -> None:
            if "state" in before or "state" in after:
                was = self._job(job_id, before) if before else {}
                written(was, self._job(job_id, after) if after else {})

        self.table.written = of_a_job


@contextmanager
def standin_world(
    engine: Any = None,
    faults: Faults | None = None,
    wrap: Wrap = lambda _, client: client,
    clock: Any = None,
    **environment: str,
) -> Iterator[StandInWorld]:
    """A world with nothing in it yet. `environment` overrides the functions' own, `clock` the virtual one."""
    from lambdas import wiring

    table, buckets, queue = Table(), Buckets(), SentMessages()
    clock = clock or VirtualClock()
    rekognition = RekognitionVideo(
        engine=engine or Simulated(),
        objects=S3Objects(buckets.client()),
        faults=faults or Faults.off(),
        clock=clock.now,
    )
    mediaconvert = MediaConvert(buckets.client(), clock.now)
    here = StandInWorld(
        *(clock, rekognition, buckets.client(), table.client(), queue.client(), mediaconvert),
        table=table,
        buckets=buckets,
        queue=queue,
    )
    rekognition.publish = here.notifications.append
    made = {
        "dynamodb": table.client(),
        "s3": buckets.client(),
        "sqs": queue.client(),
        "events": bus(here.take_events),
        "mediaconvert": mediaconvert.client(),
    }
    clients: dict[Any, Any] = {name: wrap(name, client) for name, client in made.items()}
    config: Any
    for config in (wiring.ONE_ATTEMPT, wiring.PATIENT):
        client = RekognitionClient(rekognition, config.retries["total_max_attempts"], clock.sleep)
        clients[id(config)] = wrap("rekognition", client)

    settings = {**ENVIRONMENT, "FINISHED_QUEUE_URL": "finished", "AWS_DEFAULT_REGION": REGION, **environment}
    with (
        patch.dict(os.environ, settings),
        patch.object(wiring, "clock", lambda: clock),
        patch.object(wiring, "client", lambda service, config=None: clients.get(id(config), clients.get(service))),
    ):
        forget_parts()
        yield here
    forget_parts()
