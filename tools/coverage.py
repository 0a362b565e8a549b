"""Shows how much of each package the last run of the tests executed: `make check` ends with it.

Only what runs in the tests' own processes counts: functions in the emulator, servers and workers of the local cloud run
in theirs.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from coverage import Coverage
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent


def by_package(coverage: Coverage) -> dict[str, tuple[int, int]]:
    """Statements, and how many of them were executed, of each folder that has measured files."""
    statements: Counter[str] = Counter()
    executed: Counter[str] = Counter()
    for file in coverage.get_data().measured_files():
        _, lines, _, missing, _ = coverage.analysis2(file)
        package = str(Path(file).relative_to(ROOT).parent)
        statements[package] += len(lines)
        executed[package] += len(lines) - len(missing)
    return {package: (number, executed[package]) for package, number in sorted(statements.items()) if number}


def main() -> None:
    coverage = Coverage(config_file=str(ROOT / "pyproject.toml"))
    coverage.load()
    figures = by_package(coverage)
    table = Table("package", "statements", "executed", box=None, header_style="")
    for package, (statements, executed) in figures.items():
        table.add_row(package, str(statements), f"{100 * executed / statements:.0f} %")
    total, hit = (sum(column) for column in zip(*figures.values(), strict=True))
    table.add_row("all", str(total), f"{100 * hit / total:.0f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
