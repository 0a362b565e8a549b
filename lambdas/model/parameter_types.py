"""Types of parameters, with the bounds of Amazon Rekognition's service model.

Each has ``takes`` (a description of valid values), ``read`` (checks a JSON value and returns its canonical form) and
``parse`` (the same for the text of a tag). An invalid value raises WrongAnalysis.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol


class WrongAnalysis(ValueError):
    """An analysis, or a parameter of one, that Rekognition doesn't have; the text lists what is accepted."""


class Value(Protocol):
    """What a parameter takes."""

    @property
    def takes(self) -> str:
        """A description of valid values, which follows "it takes"."""

    def read(self, name: str, value: Any) -> Any:
        """`value`, checked and in its one form. `name` is for the sentence of a refusal."""

    def parse(self, name: str, text: str) -> Any:
        """The value that `text` stands for in a tag."""


def wrong(name: str, value: Any, takes: str) -> WrongAnalysis:
    """The refusal of `value`."""
    return WrongAnalysis(f"{name} is {value!r}; it takes {takes}")


def nearest(name: str, known: Collection[str], these: str = "it takes") -> str:
    """A hint at what was meant by `name`, for the end of a refusal; without one, `these` and all `known`."""
    near = get_close_matches(name, list(known), n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; {these} {', '.join(known) or 'none'}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def takes(self) -> str:
        return " or ".join(self.words)

    def read(self, name: str, value: Any) -> str:
        if value not in self.words:
            raise wrong(name, value, self.takes)
        return str(value)

    def parse(self, name: str, text: str) -> str:
        return self.read(name, text)


@dataclass(frozen=True, slots=True)
class Number:
    """A number, with bounds if it has any. 80 and 80.0 are one value: they must not make two jobs."""

    least: float | None = None
    most: float | None = None

    @property
    def takes(self) -> str:
        return "a number" if self.least is None else f"a number from {self.least:g} to {self.most:g}"

    def read(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self._within(value):
            raise wrong(name, value, self.takes)
        return int(value) if value == int(value) else value

    def _within(self, value: float) -> bool:
        # Infinity and NaN are not JSON, and not every number has bounds to exclude them.
        return (
            abs(value) < 1e9
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )

    def parse(self, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise wrong(name, text, self.takes) from None
        return self.read(name, value)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of so many characters, of an alphabet."""

    least: int
    most: int
    pattern: str
    alphabet: str  # the pattern, in words

    @property
    def takes(self) -> str:
        return f"{self.least} to {self.most} characters of {self.alphabet}"

    def read(self, name: str, value: Any) -> str:
        if (
            not isinstance(value, str)
            or not self.least <= len(value) <= self.most
            or not re.fullmatch(self.pattern, value)
        ):
            raise wrong(name, value, self.takes)
        return value

    def parse(self, name: str, text: str) -> str:
        return self.read(name, text)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list. Where its items are words or texts it is a set, and order and repetition don't make another job."""

    item: Value
    least: int = 0
    most: int | None = None

    @property
    def takes(self) -> str:
        how_many = f" of up to {self.most}" if self.most else f" of at least {self.least}" if self.least else ""
        return f"a list{how_many}: {self.item.takes}"

    def read(self, name: str, value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise wrong(name, value, self.takes)
        items = [self.item.read(name, one) for one in value]
        if isinstance(self.item, (OneOf, Text)):
            items = sorted(set(items))
        if len(items) < self.least or (self.most is not None and len(items) > self.most):
            raise wrong(name, value, self.takes)
        return items

    def parse(self, name: str, text: str) -> list[Any]:
        return self.read(name, [self.item.parse(name, part) for part in text.split("+")])


@dataclass(frozen=True, slots=True)
class Structure:
    """An object with these members, none of which is required."""

    members: Mapping[str, Value] = field(default_factory=dict)

    @property
    def takes(self) -> str:
        return f"an object with {', '.join(self.members)}"

    def read(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise wrong(name, value, self.takes)
        for member in value:
            if member not in self.members:
                raise WrongAnalysis(f"{name} has no member {member!r}{nearest(str(member), self.members)}")
        return {member: self.members[member].read(f"{name}.{member}", one) for member, one in value.items()}

    def parse(self, name: str, text: str) -> dict[str, Any]:
        first = next(iter(self.members))
        raise WrongAnalysis(f"{name} is {text!r}; in a tag its members are given one by one: {name}.{first}=...")
