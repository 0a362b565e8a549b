"""The same histories on moto: they hold the stand-in to what moto does."""

import json
import random
from itertools import count
from typing import Any
from unittest.mock import patch

from tests.fake_aws import World, forget_parts, world
from tests.fast_fake.rekognition import RekognitionClient
from tests.histories.machine import Histories


class OnTheStandIn(Histories):
    """Histories that end with a look at everything they left behind.

    Attributes:
        left_behind: one text a history.
    """

    on_the_standin = False  # moto's indexes can't lag, and its S3 knows neither conflicts nor the ETags of KMS keys
    left_behind: list[str]

    def _drain(self) -> None:
        super()._drain()
        self.left_behind.append(_look(self.world))


class Drawn:
    """Stands for moto's dice where S3 is made of them: versions have numbers, as on the stand-in."""

    def __init__(self, dice: Any) -> None:
        self._dice = dice
        self._versions = count(1)

    def uuid4(self) -> str:
        """The next version's id."""
        return f"version-{next(self._versions)}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dice, name)


class OnMoto(OnTheStandIn):
    """The same on moto. Rekognition's client is the stand-in's here too: botocore's pauses are real, and drawn."""

    def _world(self, engine: Any, faults: Any) -> Any:
        from lambdas import wiring

        self._stack.enter_context(patch("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1))  # as small as the machine's parts
        self._stack.enter_context(patch("moto.s3.models.random", Drawn(random)))
        here = self._stack.enter_context(world(engine, faults, **self.truth.choices.environment))
        clients: dict[Any, Any] = {
            name: self.trouble.wrap(name, wiring.client(name)) for name in ("dynamodb", "s3", "sqs", "events")
        }
        config: Any
        for config in (wiring.ONE_ATTEMPT, wiring.PATIENT):
            client = RekognitionClient(here.rekognition, config.retries["total_max_attempts"], here.clock.sleep)
            clients[id(config)] = self.trouble.wrap("rekognition", client)
        forget_parts(but_clients=True)
        self._stack.enter_context(
            patch.object(wiring, "client", lambda service, config=None: clients.get(id(config), clients.get(service)))
        )
        return here


def _look(world: World) -> str:
    """All that a history leaves behind, as text: the table, the results, what Rekognition and others were told."""
    everything = {
        "jobs": world.jobs(),
        "results": [
            (key, world.s3.head_object(Bucket="results", Key=key)["ETag"])
            for key in sorted(world.results())
            if not key.startswith("collecting/")  # upload ids and page tokens are drawn
        ],
        "uploads": sorted(
            upload["Key"] for upload in world.s3.list_multipart_uploads(Bucket="results").get("Uploads", [])
        ),
        "rekognition": world.rekognition.stats(),
        "announcements": world.announcements,
        "now": round(world.clock.now(), 3),
    }
    return json.dumps(everything, default=str, sort_keys=True)
