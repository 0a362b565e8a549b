"""What every bench says at its end: a table for people, and ``bench/results/<bench>.json`` for programs."""

import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure of ours should be at most."""

    figure: str
    at_most: float

    def line(self, ours: Mapping[str, Any]) -> str:
        """``import_ratio 1.14 (target: at most 1.2): met``"""
        value = ours[self.figure]
        verdict = "met" if value <= self.at_most else "MISSED"
        return f"{self.figure} {number(value)} (target: at most {number(self.at_most)}): {verdict}"


def machine() -> dict[str, Any]:
    """The machine, as far as figures depend on it; nothing that tells whose it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def save(
    bench: str,
    *,
    ours: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    targets: Sequence[Target] = (),
    **more: Any,
) -> Path:
    """Write ``bench/results/<bench>.json`` and say on stdout which targets are met."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{bench}.json"
    document = {
        "bench": bench,
        "command": f"make bench-{bench}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "targets": {target.figure: {"at_most": target.at_most} for target in targets},
        "ours": ours,
        "baselines": baselines,
        **more,
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    for target in targets:
        print(target.line(ours))
    return path


def load(bench: str) -> dict[str, Any]:
    """What `bench` wrote last.

    Raises:
        FileNotFoundError: it has not run here.
    """
    return dict(json.loads((RESULTS / f"{bench}.json").read_text()))


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout; the first column is names, the others are figures."""
    table = Table(title=title, title_justify="left")
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if at else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else number(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def number(value: Any) -> str:
    """A figure as people read it."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
    return str(value)


def progress() -> Progress:
    """A progress bar on stderr, so that stdout is the figures alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
