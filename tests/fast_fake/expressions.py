"""DynamoDB's expressions, as far as the handlers use them: compiled once each to functions over a stored item."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

Stored = Mapping[str, Mapping[str, Any]]  # {"state": {"S": "WAITING"}}
Names = Mapping[str, str]
Values = Mapping[str, Mapping[str, Any]]
Condition = Callable[[Stored, Names, Values], bool]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[#:]?\w+)")

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@cache
def condition(text: str) -> Condition:
    """A condition expression as a function."""
    tokens = _TOKEN.findall(text)
    if re.search(r"\(\s*\(([^()]|\([^()]*\))*\)\s*\)", text):
        raise ValueError(f"DynamoDB refuses redundant parentheses: {text}")
    parser = _Parser(tokens)
    compiled = parser.either()
    if parser.tokens:
        raise ValueError(f"not understood from {parser.tokens[0]!r} on: {text}")
    return compiled


class _Parser:
    """Recursive descent: OR below AND below NOT below comparison."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def either(self) -> Condition:
        left = self._both()
        while self._take("OR"):
            left = _or(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._one()
        while self._take("AND"):
            left = _and(left, self._one())
        return left

    def _one(self) -> Condition:
        if self._take("NOT"):
            inner = self._one()
            return lambda item, names, values: not inner(item, names, values)
        if self._take("("):
            inner = self.either()
            self._expect(")")
            return inner
        word = self.tokens.pop(0)
        if word in ("attribute_exists", "attribute_not_exists"):
            self._expect("(")
            name = self.tokens.pop(0)
            self._expect(")")
            wanted = word == "attribute_exists"
            return lambda item, names, values: (names.get(name, name) in item) == wanted
        if self._take("IN"):
            self._expect("(")
            options = [self.tokens.pop(0)]
            while self._take(","):
                options.append(self.tokens.pop(0))
            self._expect(")")
            alike = [_comparison(word, "=", option) for option in options]
            return lambda item, names, values: any(test(item, names, values) for test in alike)
        return _comparison(word, self.tokens.pop(0), self.tokens.pop(0))

    def _take(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"expected {token!r}, found {self.tokens[:1]}")


def _and(left: Condition, right: Condition) -> Condition:
    return lambda item, names, values: left(item, names, values) and right(item, names, values)


def _or(left: Condition, right: Condition) -> Condition:
    return lambda item, names, values: left(item, names, values) or right(item, names, values)


def _comparison(left: str, sign: str, right: str) -> Condition:
    compare = _COMPARE[sign]

    def test(item: Stored, names: Names, values: Values) -> bool:
        a, b = (values[word] if word[0] == ":" else item.get(names.get(word, word)) for word in (left, right))
        if a is None or b is None:
            return False  # what isn't there compares with nothing
        (kind, first), (other, second) = *a.items(), *b.items()
        if kind != other:
            return sign == "<>"
        return compare(Decimal(first), Decimal(second)) if kind == "N" else compare(first, second)

    return test


@dataclass(frozen=True, slots=True)
class Update:
    """An update expression: what it sets and adds, ``(("#state", ":state"), ...)``, and removes, ``("#reason",)``."""

    sets: tuple[tuple[str, str], ...]
    adds: tuple[tuple[str, str], ...]
    removes: tuple[str, ...]


@cache
def update(text: str) -> Update:
    """An update expression, as far as the handlers use them: ``SET ... REMOVE ... ADD ...``, in this order."""
    text, _, added = text.partition("ADD ")
    sets, _, removes = text.partition("REMOVE ")
    sets = sets.replace("SET ", "").strip()
    pairs = ((left.strip(), right.strip()) for left, _, right in (part.partition("=") for part in _parts(sets)))
    adds = ((name, value) for name, value in (part.split() for part in _parts(added)))
    return Update(tuple(pairs), tuple(adds), tuple(_parts(removes)))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
