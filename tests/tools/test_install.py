"""`pip install .` gives a command that works where nothing else of the project is."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tools.installed import installed_with

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([ROOT / "tools/uv", "build", "-q", "--wheel", "--offline", "-o", folder, ROOT], check=True)
    [built] = folder.glob("*.whl")
    return built


def link(name: str, env: Path) -> None:
    """Put the files of a package of this environment into another."""
    [site] = env.glob("lib/python*/site-packages")
    for file in distribution(name).files or ():
        if ".." not in file.parts:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).symlink_to(Path(str(file.locate())))


def test_the_wheel_has_what_the_command_reads_beside_its_code(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    for folder, pattern in {"cli": "pages/sources/*", "queries": "*.sql", "schemas": "*/*.json"}.items():
        wanted = {str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern)}
        assert wanted
        assert wanted <= names
    assert {"lambdas/model/prices.json", "localcloud/clip/two-portraits.mp4"} <= names


def test_the_installed_command_answers_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In an environment that has only what pyproject.toml declares: none of the checkout, none of its test tools."""
    subprocess.run([ROOT / "tools/uv", "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True)
    for name in installed_with(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]):
        link(name, tmp_path / "venv")
    install = [ROOT / "tools/uv", "pip", "install", "-q", "--offline", "--no-deps"]
    subprocess.run([*install, "--python", tmp_path / "venv/bin/python", wheel], check=True)

    def type_it(*words: str) -> subprocess.CompletedProcess[str]:
        command = [tmp_path / "venv/bin/rekognition-batch", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    helped, queries, nowhere = type_it("--help"), type_it("query"), type_it("status", "--local")

    assert (helped.returncode, helped.stderr) == (0, "")
    assert "faces-at-once" in queries.stdout + queries.stderr
    assert "make cloud" in nowhere.stderr
