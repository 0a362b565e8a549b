"""The saved queries: ``*.sql`` beside this file, in SQL that Athena (Trino) and DuckDB both run as it stands.

Each begins with a header of comments: its title, what it answers, and its parameters in the order of their ``?``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lambdas.model.parameter_types import nearest
from queries.columns import TABLES

FOLDER = Path(__file__).parent

Value = str | float | int


class WrongQuery(ValueError):
    """There is no such saved query, or it has no such parameter; the text lists what there is."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A ``?`` of a query."""

    name: str
    type: str  # varchar, double or bigint
    default: Value
    text: str

    def read(self, value: Value) -> Value:
        """`value`, of the parameter's type; text is understood.

        Raises:
            WrongQuery: it is no such thing.
        """
        kinds: dict[str, Callable[[Value], Value]] = {"varchar": str, "double": float, "bigint": int}
        try:
            return kinds[self.type](value)
        except ValueError:
            raise WrongQuery(f"{self.name} is {value!r}; it takes a {self.type}: {self.text}") from None


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """One file.

    Attributes:
        name: the file's, without ``.sql``.
        title: a line for people to choose by.
        answers: what question it answers.
        parameters: its ``?``, in their order.
        text: the file, header and all.
    """

    name: str
    title: str
    answers: str
    parameters: tuple[Parameter, ...]
    text: str

    @property
    def sql(self) -> str:
        """The query without its header."""
        return re.sub(r"\A(--.*\n)+", "", self.text)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it reads."""
        return tables_of(self.sql)

    def values(self, given: Mapping[str, Value]) -> list[Value]:
        """The value of each ``?``: `given` over the defaults.

        Raises:
            WrongQuery: there is no such parameter, or the value is of another type.
        """
        names = [parameter.name for parameter in self.parameters]
        for name in given:
            if name not in names:
                raise WrongQuery(f"{self.name} has no parameter {name!r}{nearest(name, names)}")
        return [parameter.read(given.get(parameter.name, parameter.default)) for parameter in self.parameters]


def tables_of(sql: str) -> tuple[str, ...]:
    """Which of our tables a query names."""
    words = set(re.findall(r"\w+", sql))
    return tuple(table.name for table in TABLES if table.name in words)


@cache
def saved() -> Mapping[str, SavedQuery]:
    """All saved queries, by name."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.sql"))}


def saved_query(name: str) -> SavedQuery:
    """The saved query of that name.

    Raises:
        WrongQuery: there is none.
    """
    if name not in saved():
        raise WrongQuery(f"there is no saved query {name!r}{nearest(name, saved())}")
    return saved()[name]


_PARAMETER = re.compile(r"(\w+) (varchar|double|bigint) ('[^']*'|\S+) (.+)")


def _read(path: Path) -> SavedQuery:
    text = path.read_text()
    header = re.findall(r"^-- (\w+): (.+)$", text, flags=re.MULTILINE)
    parameters = []
    for name, line in header:
        if name == "parameter":
            found = _PARAMETER.fullmatch(line)
            if not found:
                raise WrongQuery(f"{path.name}: can't understand -- parameter: {line}")
            word, kind, default, meaning = found.groups()
            plain = Parameter(word, kind, default.strip("'"), meaning)
            parameters.append(Parameter(word, kind, plain.read(plain.default), meaning))
    said = dict(header)
    return SavedQuery(path.stem, said["title"], said["answers"], tuple(parameters), text)
