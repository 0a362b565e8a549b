"""Which analyses an upload gets: those its uploader asks for, else those of the longest route its key is under, else
the default.

An uploader says it in the object's metadata (``x-amz-meta-analyses``) or in its tag ``analyses``:

    label-detection:MinConfidence=80 face-detection
    segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE:Filters.ShotFilter.MinSegmentConfidence=60
    none

Analyses are separated by blanks, parameters follow after colons, members after dots, list items after plus signs: all
of that is in the alphabet of S3's tags. Metadata may also be JSON, ``{"label-detection": {"MinConfidence": 80}}``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lambdas.model.analyses import analysis_named, chosen
from lambdas.model.parameter_types import Structure, Value, WrongAnalysis, nearest

if TYPE_CHECKING:
    pass

NAME = "analyses"  # of the metadata and of the tag
NOTHING = "none"
# The analysis of a job whose uploader's choice can't be read yet, or asks for something that can't be done.
UNKNOWN = "unknown"

Choice = Mapping[str, Mapping[str, Any]]


class WrongChoice(Exception):
    """An uploader's choice is invalid; the text says what is allowed. Carries the choice."""

    def __init__(self, given: str, sentence: str) -> None:
        super().__init__(sentence)
        self.given = given


@dataclass(frozen=True, slots=True)
class Route:
    """The analyses of uploads under a prefix. None: such uploads are ignored."""

    prefix: str
    analyses: Choice


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's settings.

    Attributes:
        analyses: the default.
        routes: the analyses under certain prefixes instead.
        uploads: where an uploader may choose: ``metadata``, ``tags``, ``both`` (metadata first) or ``none``.
        allowed: the analyses an uploader may choose from.
    """

    analyses: Choice
    routes: Sequence[Route] = ()
    uploads: str = "none"
    allowed: Sequence[str] = ()

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
        routes = [route for route in self.routes if key.startswith(route.prefix)]
        return max(routes, key=lambda route: len(route.prefix)).analyses if routes else self.analyses

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
