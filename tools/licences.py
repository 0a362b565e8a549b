"""Lists the licences of everything that set-up installs: `make licences`.

A package says itself what its licence is (Python: `License-Expression`, classifiers or `License`; Node.js:
`package.json`). Where that is copyleft, or where a wheel carries a library that is, ACCEPTED says why that is no matter
here. Nothing of these packages is part of what the project distributes, but for the functions' libraries.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|MPL|EPL|CDDL|EUPL|OSL|CC-BY-SA|SSPL|GNU|Mozilla|Eclipse)", re.IGNORECASE)

#: Copyleft packages, and what a wheel carries without saying so in its own licence: why each may be here.
ACCEPTED = {
    "av": "MIT; its wheel has FFmpeg with x264 and x265 (GPL), used unchanged on this machine",
    "axe-core": "MPL-2.0: used unchanged, by tests",
    "certifi": "MPL-2.0: used unchanged, a list of certificates for tests",
    "docutils": "public domain and BSD; one file of its tools is GPL, used unchanged by the aws command",
    "hypothesis": "MPL-2.0: used unchanged, by tests",
    "numpy": "BSD; its wheel has libgfortran, GPL with the exception for programs that use it",
    "opencv-python-headless": "Apache-2.0; its wheel has FFmpeg (LGPL), linked dynamically",
    "pathspec": "MPL-2.0: used unchanged, by mypy",
    "pycmx": "MIT, in its licence file; used by tests",
    "shapely": "BSD; its wheel has GEOS (LGPL), linked dynamically; only with the extra text",
    "tqdm": "MPL-2.0 and MIT: used unchanged; only with the extra text",
}


@dataclass(frozen=True, slots=True, order=True)
class Installed:
    """A package as it is installed; ``licence`` as the package writes it, "" when it says nothing."""

    where: str
    name: str
    version: str
    licence: str

    @property
    def copyleft(self) -> bool:
        return bool(COPYLEFT.search(self.licence))


def installed(root: Path = ROOT) -> list[Installed]:
    """All packages of the two Python environments and of node_modules, each once."""
    return sorted({*_python(root, ".venv"), *_python(root, ".venv-emulator"), *_node(root)})


def unsaid(packages: list[Installed]) -> list[Installed]:
    """Those with a copyleft licence, or none, that ACCEPTED doesn't name."""
    return [it for it in packages if (it.copyleft or not it.licence) and it.name not in ACCEPTED]


def _python(root: Path, folder: str) -> Iterator[Installed]:
    for place in (root / folder).glob("lib/python*/site-packages"):
        for it in distributions(path=[str(place)]):
            yield Installed(folder, it.name, it.version, _licence(it))


def _licence(it: Distribution) -> str:
    said = it.metadata.get("License-Expression") or ""
    classifiers = [line.split(" :: ")[-1] for line in it.metadata.get_all("Classifier") or () if "License ::" in line]
    old = (it.metadata.get("License") or "").strip().split("\n")[0]
    return said or ", ".join(name for name in classifiers if name != "OSI Approved") or old[:60]


def _node(root: Path) -> Iterator[Installed]:
    for file in (root / "node_modules").rglob("package.json"):
        # Only a package's own file: folders inside packages have such files too, to say what kind of modules they are.
        scope = file.parent.parent
        if scope.name == "node_modules" or (scope.name.startswith("@") and scope.parent.name == "node_modules"):
            it = json.loads(file.read_text())
            said = it.get("license") or ", ".join(one["type"] for one in it.get("licenses", []))
            yield Installed("node_modules", it["name"], it["version"], said if isinstance(said, str) else said["type"])


def main() -> None:
    packages = installed()
    table = Table("where", "package", "version", "licence", "why it may be here", box=None, header_style="")
    for it in packages:
        table.add_row(it.where, it.name, it.version, it.licence or "not said", ACCEPTED.get(it.name, ""))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if missing := unsaid(packages):
        sys.exit(f"Copyleft or not said, and not in {Path(__file__).name}: {', '.join(it.name for it in missing)}")


if __name__ == "__main__":
    main()
