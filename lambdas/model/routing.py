"""Which analyses an upload gets: those its uploader asks for, else those of the longest route its key is under, else
the default. And its class (``live`` or ``backfill``), in the same way, and its share; see shares.py.

An uploader says it in the object's metadata (``x-amz-meta-analyses``) or in its tag ``analyses``:

    label-detection:MinConfidence=80 face-detection
    segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE:Filters.ShotFilter.MinSegmentConfidence=60
    none

Analyses are separated by blanks, parameters follow after colons, members after dots, list items after plus signs: all
of that is in the alphabet of S3's tags. Metadata may also be JSON, ``{"label-detection": {"MinConfidence": 80}}``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lambdas.model.analyses import analysis_named, chosen
from lambdas.model.parameter_types import Structure, Value, WrongAnalysis, nearest
from lambdas.model.shares import LIVE, PRIORITIES, Priority, share_of

# Names of the metadata and of the tags.
NAME = "analyses"
PRIORITY = "priority"
NAMES = (NAME, PRIORITY)
NOTHING = "none"
# The analysis of a job whose uploader's choice can't be read yet, or asks for something that can't be done.
UNKNOWN = "unknown"

Choice = Mapping[str, Mapping[str, Any]]
Wishes = Mapping[str, tuple[str, str]]
"""What an uploader says, by name: where (``metadata`` or ``tags``), and the text."""


class WrongChoice(Exception):
    """An uploader's choice is invalid; the text says what is allowed. Carries the choice."""

    def __init__(self, given: str, sentence: str) -> None:
        super().__init__(sentence)
        self.given = given


@dataclass(frozen=True, slots=True)
class Route:
    """The analyses of uploads under a prefix (none: such uploads are ignored), and their class."""

    prefix: str
    analyses: Choice
    priority: Priority = LIVE


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is done with an upload: each analysis' parameters, by its name (none: nothing); and its class."""

    analyses: Choice
    priority: Priority = LIVE


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's settings.

    Attributes:
        analyses: the default.
        routes: the analyses under certain prefixes instead.
        uploads: where an uploader may choose: ``metadata``, ``tags``, ``both`` (metadata first) or ``none``.
        allowed: the analyses an uploader may choose from.
        share_by: what makes a share: nothing, ``route`` or ``prefix:N``.
        weights: of shares, where they are not 1.
    """

    analyses: Choice
    routes: Sequence[Route] = ()
    uploads: str = "none"
    allowed: Sequence[str] = ()
    share_by: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def in_use(self) -> frozenset[str]:
        """The analyses that may come to be done, by the operator's choice or an uploader's."""
        choices = (self.analyses, *(route.analyses for route in self.routes))
        return frozenset(name for choice in choices for name in choice) | frozenset(self._uploaders)

    @property
    def _uploaders(self) -> Sequence[str]:
        return () if self.uploads == "none" else self.allowed

    def allow(self, analysis: str, parameters: Mapping[str, Any]) -> bool:
        """Whether a job may be started under these rules. (A face search may where its collection is one the operator
        names, or uploaders may search.)"""
        if analysis in self._uploaders or "CollectionId" not in parameters:
            return analysis in self.in_use
        choices = (self.analyses, *(route.analyses for route in self.routes))
        return any(choice.get(analysis, {}).get("CollectionId") == parameters["CollectionId"] for choice in choices)

    def for_key(self, key: str) -> Choice:
        """The analyses of an upload under `key` without a choice of its uploader."""
        return self._route(key).analyses

    def _route(self, key: str) -> Route:
        routes = [route for route in self.routes if key.startswith(route.prefix)]
        return max(routes, key=lambda route: len(route.prefix), default=Route("", self.analyses))

    def share(self, key: str) -> str:
        """The share of an upload under `key`."""
        return share_of(key, self.share_by, (route.prefix for route in self.routes))

    def choice(self, key: str, wishes: Wishes, announced: Priority | None = None) -> Chosen:
        """What is done with an upload under `key` whose uploader says that.

        Args:
            announced: the class that the command backfill has announced it in.

        Raises:
            WrongChoice: the uploader names something that doesn't exist, is invalid, or isn't allowed.
        """
        analyses = self.for_words(*wishes[NAME]) if NAME in wishes else self.for_key(key)
        priority = announced or self._route(key).priority
        if PRIORITY in wishes:
            where, text = wishes[PRIORITY]
            asked = next((known for known in PRIORITIES if known == text.strip().lower()), None)
            if asked is None:
                takes = " or ".join(PRIORITIES)
                raise WrongChoice(text, f"its {where} says {PRIORITY}: {text[:300]!r}, but that takes {takes}")
            priority = asked
        return Chosen(analyses, priority)

    def for_words(self, where: str, text: str) -> Choice:
        """Parse an uploader's choice.

        Raises:
            WrongChoice: it names something that doesn't exist, is invalid, or isn't allowed.
        """
        says = f"its {where} says {NAME}: {text[:300]!r}, but"
        allowed = f"(allowed here: {', '.join(self.allowed)})"
        try:
            choice = understood(text)
        except WrongAnalysis as error:
            raise WrongChoice(text, f"{says} {error} {allowed}") from error
        for name in choice:
            if name not in self.allowed:
                raise WrongChoice(text, f"{says} {name} is not allowed {allowed}")
        return choice


def understood(text: str) -> Choice:
    """Parse a choice, check it and fill in defaults; empty for ``none``.

    Raises:
        WrongAnalysis: it is malformed, or names something that Rekognition doesn't have.
    """
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise WrongAnalysis(f"that is no JSON ({error})") from error
        return chosen(value)
    words = text.replace(",", " ").split()
    if words == [NOTHING]:
        return {}
    if not words:
        raise WrongAnalysis(f"that names no analysis; {NOTHING!r} would mean none")
    given: dict[str, dict[str, Any]] = {}
    for word in words:
        name, *parameters = word.split(":")
        if name in given:
            raise WrongAnalysis(f"{name} is named twice")
        given[name] = {}
        takes = analysis_named(name).takes
        for parameter in parameters:
            _put(given[name], name, takes, parameter)
    return chosen(given)


def _put(given: dict[str, Any], analysis: str, takes: Mapping[str, Value], parameter: str) -> None:
    path, equals, text = parameter.partition("=")
    if not equals:
        raise WrongAnalysis(f"{analysis}: {parameter!r} is no Parameter=value")
    value: Value = Structure(takes)
    *outer, last = path.split(".")
    for member in (*outer, last):
        members = value.members if isinstance(value, Structure) else {}
        if member not in members:
            raise WrongAnalysis(f"{analysis} has no parameter {path!r}{nearest(member, members)}")
        value = members[member]
    for member in outer:
        given = given.setdefault(member, {})
    given[last] = value.parse(f"{analysis}: {path}", text)
