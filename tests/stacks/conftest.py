"""Templates, synthesized once: each takes seconds, and tests only read them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from stacks.encryption import RekognitionBatchKey
from stacks.queries import RekognitionBatchQueries
from stacks.rekognition_batch import RekognitionBatch
from stacks.settings import Settings

ROOT = Path(__file__).parent.parent.parent


@cache
def synthesized(of: type[cdk.Stack] = RekognitionBatch, **given: Any) -> Template:
    """The template of a stack with these settings and cdk.json's feature flags, which cdk.App() doesn't read."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(context={**context, **given})
    settings = Settings.from_context(app.node.get_all_context())
    name = settings.stack_name
    lock = RekognitionBatchKey(app, f"{name}Key", settings=settings) if settings.customer_managed_key else None
    work = RekognitionBatch(app, name, settings=settings, lock=lock)
    ask = RekognitionBatchQueries(app, f"{name}Queries", settings=settings, results=work.results, key=work.key)
    [stack] = [stack for stack in (lock, work, ask) if type(stack) is of]
    return Template.from_stack(stack)


@pytest.fixture(scope="session")
def template() -> Template:
    """What ``cdk deploy`` sends with the settings as they are in the repository."""
    return synthesized()


@pytest.fixture(scope="session")
def with_settings() -> Callable[..., Template]:
    """Gives the template with other settings; ``of=`` another stack than the one that works."""
    return synthesized
