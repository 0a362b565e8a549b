import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fake_aws import World, world as make_world


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """Drop what an earlier test counted outside of a handler: the next handler would send it."""
    from lambdas.aws.telemetry import metrics

    metrics.clear_metrics()


@pytest.fixture
def world() -> Iterator[World]:
    """A world in which jobs take a second and find ten faces."""
    with make_world() as here:
        yield here


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Gives what the functions have logged so far, line by line."""
    from lambdas.aws.telemetry import logger

    written = io.StringIO()
    for handler in logger.handlers:
        monkeypatch.setattr(handler, "stream", written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]
