"""Which analyses an upload gets: those its uploader asks for, else those of the longest route its key is under, else
the default.

An uploader says it in the object's metadata (``x-amz-meta-analyses``) or in its tag ``analyses``:

    label-detection:MinConfidence=80 face-detection
    segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE:Filters.ShotFilter.MinSegmentConfidence=60
    none

Words, parameters after colons, members by dots, lists by plus signs: all of it fits the alphabet that S3 lets tags
have. Metadata may say the same as JSON, ``{"label-detection": {"MinConfidence": 80}}``.
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
    """What an uploader asked for can't be done; the text says what is allowed. Carries what they asked for."""

    def __init__(self, given: str, sentence: str) -> None:
        super().__init__(sentence)
        self.given = given


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with uploads whose key begins so. No analyses: nothing is."""

    prefix: str
    analyses: Choice


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator decided.

    Attributes:
        analyses: what is done with an upload when nobody says otherwise.
        routes: what is done under certain prefixes instead.
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
        """What is done with an upload under `key` whose uploader doesn't say."""
        routes = [route for route in self.routes if key.startswith(route.prefix)]
        return max(routes, key=lambda route: len(route.prefix)).analyses if routes else self.analyses

    def for_words(self, where: str, text: str) -> Choice:
        """What an uploader's `text` asks for.

        Raises:
            WrongChoice: it asks for something that doesn't exist, won't do, or isn't allowed.
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
    """The choice that `text` words, checked and with defaults filled in; empty for ``none``.

    Raises:
        WrongAnalysis: it can't be understood, or asks for something Rekognition doesn't have.
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
