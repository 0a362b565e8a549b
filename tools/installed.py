"""What pins have brought into this environment."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed_with(pins: Iterable[str]) -> set[str]:
    """Names of the distributions that these requirements and theirs have brought, as far as they are installed."""
    found: set[str] = set()
    waiting = [Requirement(pin) for pin in pins]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if name in found or (requirement.marker and not requirement.marker.evaluate()):
            continue
        try:
            needs = [Requirement(need) for need in importlib.metadata.requires(name) or ()]
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [
            Requirement(f"{need.name}[{','.join(need.extras)}]" if need.extras else need.name)
            for need in needs
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return found
