"""The app as people run it: ``cdk synth`` by the pinned CLI, without credentials, look-ups, Docker or a network."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from cli.core.stack import Target

ROOT = Path(__file__).parent.parent.parent
CDK = ROOT / "node_modules/.bin/cdk"


@pytest.fixture(scope="module")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[subprocess.CompletedProcess[str], Path]]:
    """Runs ``cdk synth`` with nothing of the user's in its environment; gives what it said and where it wrote.

    The same options are synthesized once, unless *again*."""

    @cache
    def run(*options: str, again: bool = False) -> tuple[subprocess.CompletedProcess[str], Path]:
        out = tmp_path_factory.mktemp("cdk.out")
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "HTTPS_PROXY": "http://127.0.0.1:9",  # a use of the network fails
        }
        command = [str(CDK), "synth", "--quiet", "--no-notices", "-o", str(out), *options]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        return done, out

    return run


def test_one_synth_needs_nothing_and_every_finding_is_explained(synth) -> None:
    done, out = synth()

    assert done.returncode == 0, done.stderr
    assert "AwsSolutions" not in done.stderr + done.stdout
    assert "ERROR" not in done.stderr + done.stdout
    assert "WARNING" not in done.stderr + done.stdout
    assert (out / "RekognitionBatch.template.json").exists()


def test_so_with_every_setting_turned_the_other_way(synth) -> None:
    done, out = synth(
        *("-c", "stack_name=Second", "-c", "videos_bucket=our-videos", "-c", "retain_data=false"),
        *("-c", "customer_managed_key=true", "-c", "uploads_from=eventbridge"),
        *("-c", "convert=mediaconvert"),
        *("-c", "videos_key_arn=arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"),
    )

    assert done.returncode == 0, done.stderr
    assert "AwsSolutions" not in done.stderr + done.stdout
    assert (out / "Second.template.json").exists()


def test_a_wrong_setting_is_one_line_and_no_traceback(synth) -> None:
    done, _ = synth("-c", "retain=false")

    assert done.returncode != 0
    assert "wrong setting: 'retain' is no setting; did you mean 'retain_data'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_cfn_lint_finds_nothing(synth) -> None:
    _, out = synth()

    done = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), str(out / "RekognitionBatch.template.json")],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout


def test_synthesizing_twice_gives_the_same_bytes(synth) -> None:
    first, second = (synth(again=again)[1] / "RekognitionBatch.template.json" for again in (False, True))

    assert first.read_bytes() == second.read_bytes()


def test_the_cli_can_read_what_the_library_writes(synth) -> None:
    """Both halves of CDK are pinned; the CLI must know the library's schema (npm's "latest" once did not)."""
    _, out = synth()
    version = json.loads((out / "manifest.json").read_text())["version"]
    said = subprocess.run([str(CDK), "--version"], capture_output=True, text=True).stdout
    pin = json.loads((ROOT / "package.json").read_text())["devDependencies"]["aws-cdk"]

    assert said.startswith(pin)
    assert re.fullmatch(r"\d+\.\d+\.\d+", pin)
    assert int(version.split(".")[0]) >= 48


def test_the_bundle_holds_the_functions_and_their_libraries_and_nothing_else(synth) -> None:
    _, out = synth()
    [bundle] = [path for path in out.glob("asset.*") if (path / "lambdas").is_dir()]

    assert {path.name for path in bundle.iterdir()} == {
        "lambdas",
        "aws_lambda_powertools",
        "jmespath",
        "typing_extensions.py",
    }
    assert not list(bundle.rglob("*.pyc"))
    done = subprocess.run(
        [sys.executable, "-c", "import lambdas.start_analysis, lambdas.collect_results"],
        cwd=bundle,
        env={"PYTHONPATH": str(bundle), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_lambdas_import_nothing_else_of_the_project() -> None:
    for path in (ROOT / "lambdas").glob("*.py"):
        assert not re.search(r"^\s*(from|import) (stacks|localcloud|cli|tests|bench)\b", path.read_text(), re.MULTILINE)


def test_the_pinned_cli_knows_what_doctor_says_to_deploy_with() -> None:
    words = shlex.split(Target().deploy("--revert-drift"))

    said = subprocess.run([str(CDK), "deploy", "--help"], capture_output=True, text=True, timeout=60)

    options = [word for word in words if word.startswith("--")]
    assert words[:3] == ["npx", "cdk", "deploy"]
    assert [option for option in options if option not in said.stdout] == []
