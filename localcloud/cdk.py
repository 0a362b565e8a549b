"""The real CDK CLI, pinned in package.json, pointed at the local cloud.

Synthesis takes most of a deployment's time, and its result depends only on files: `.build/` keeps the last cloud
assemblies, by the hash of all files that can affect them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud import ports
from localcloud.child_guard import ChildGuard
from localcloud.supervisor import ACCOUNT, CHECKOUT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Hold = Callable[[ChildGuard], ChildGuard]

CLI = CHECKOUT / "node_modules/.bin/cdk"
ASSEMBLIES = CHECKOUT / ".build/assemblies"
KEPT = 8

# What can't go into the assembly: arrows run from localcloud, cli and tests to stacks and lambdas, never back. All
# other files count, also those in new folders.
NOT_INPUT = {
    *("localcloud", "cli", "tests", "bench", "docs", "tools", "node_modules"),
    *("demo-output", "aws-smoke", "cdk.out"),
}


# The stack of saved queries, which the emulator doesn't have. Here DuckDB runs them (queries/laptop.py).
NOT_EMULATED = {"AWS::Athena::NamedQuery"}


class CdkError(Exception):
    """The CDK CLI refused; the message has its last words."""


def assembly(context: Mapping[str, str], folder: Path, hold: Hold) -> Path:
    """The synthesized cloud assembly of this checkout with these settings."""
    fingerprint = _fingerprint(context)
    kept = ASSEMBLIES / fingerprint
    if not (kept / "manifest.json").exists():
        ASSEMBLIES.mkdir(parents=True, exist_ok=True)
        # Made aside and moved when whole; two clouds may be synthesizing the same thing at once.
        draft = Path(tempfile.mkdtemp(dir=ASSEMBLIES, prefix="draft-"))
        try:
            settings = [word for key, value in context.items() for word in ("-c", f"{key}={value}")]
            # HOME is the user's: jsii keeps its unpacked libraries there, and unpacks for six seconds without.
            env = _environment() | {"HOME": str(Path.home()), "TMPDIR": str(folder / "tmp")}
            _run(["synth", "--quiet", "-o", draft, *settings], env, CHECKOUT, folder / "logs/cdk-synth.log", hold)
            if _fingerprint(context) != fingerprint:
                # A file changed during the synthesis, so its version is unknown: use the assembly, but don't keep it.
                return Path(shutil.move(draft, folder / "tmp"))
            try:
                draft.rename(kept)
            except OSError:
                if not (kept / "manifest.json").exists():
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    os.utime(kept)
    _forget_oldest()
    return kept


def bootstrap(aws: Mapping[str, str], folder: Path, hold: Hold) -> None:
    # Run where there is no cdk.json: it needs no app, so it needn't wait for one.
    command = ["bootstrap", f"aws://{ACCOUNT}/{REGION}"]
    _run(command, _environment() | dict(aws) | _home(folder), folder / "home", folder / "logs/cdk-bootstrap.log", hold)


def deploy(app: Path, aws: Mapping[str, str], folder: Path, hold: Hold) -> dict[str, dict[str, str]]:
    """Deploy the assembly's stacks, as far as the emulator knows what is in them; the outputs of each, as
    `--outputs-file` writes them."""
    outputs = folder / "cdk-outputs.json"
    # "direct" deploys without a change set, which is of no use here.
    command: list[str | Path] = [
        "deploy",
        *_stacks(app),
        "--app",
        app,
        "--require-approval",
        "never",
        "--method",
        "direct",
    ]
    command += ["--progress", "events", "--outputs-file", outputs]
    _run(command, _environment() | dict(aws) | _home(folder), CHECKOUT, folder / "logs/cdk-deploy.log", hold)
    found: dict[str, dict[str, str]] = json.loads(outputs.read_text()) if outputs.exists() else {}
    return found


def _stacks(app: Path) -> list[str]:
    """The names of the stacks that the emulator can make."""
    artifacts = json.loads((app / "manifest.json").read_text())["artifacts"].items()
    stacks = {name: it for name, it in artifacts if it["type"] == "aws:cloudformation:stack"}
    templates = {name: json.loads((app / it["properties"]["templateFile"]).read_text()) for name, it in stacks.items()}
    return [
        name
        for name, template in templates.items()
        if not NOT_EMULATED & {resource["Type"] for resource in template["Resources"].values()}
    ]


def _run(arguments: Sequence[str | Path], env: Mapping[str, str], cwd: Path, log: Path, hold: Hold) -> None:
    command = [CLI, *arguments, "--no-notices", "--ci", "--no-color"]
    with hold(ChildGuard(command, env=env, cwd=cwd, log=log)) as running:
        if running.wait() != 0:
            raise CdkError(f"cdk {arguments[0]} failed:\n{ports.tail(log, 40)}")


def _environment() -> dict[str, str]:
    # Without the user's profile, region and CDK_ variables, which could change what is built or where it goes.
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "NO_COLOR": "1",
        "NODE_NO_WARNINGS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _home(folder: Path) -> dict[str, str]:
    # The CLI remembers under HOME which account an access key belongs to; that must not leak into the user's.
    return {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}


def _fingerprint(context: Mapping[str, str]) -> str:
    digest = hashlib.sha256()

    def add(name: str, content: bytes) -> None:
        digest.update(f"{len(name.encode())} {name} {len(content)} ".encode() + content)

    add("context", json.dumps(dict(sorted(context.items()))).encode())
    add("python", sys.version.encode())
    # Installed libraries, by the pins that tools/setup has installed: .venv/ready holds their checksum.
    for extra in (CHECKOUT / ".venv/ready", Path.home() / ".cdk.json"):
        add(str(extra), extra.read_bytes() if extra.exists() else b"")
    for path in sorted(_inputs()):
        add(str(path.relative_to(CHECKOUT)), path.read_bytes())
    return digest.hexdigest()[:32]


def _inputs() -> Iterator[Path]:
    for entry in CHECKOUT.iterdir():
        if entry.name in NOT_INPUT or entry.name.startswith("."):
            continue
        for path in entry.rglob("*") if entry.is_dir() else [entry]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _forget_oldest() -> None:
    def age(path: Path) -> float:
        try:
            return time.time() - path.stat().st_mtime
        except OSError:
            return 0.0

    paths = sorted(ASSEMBLIES.iterdir(), key=age)
    drafts = [path for path in paths if path.name.startswith("draft-")]
    kept = [path for path in paths if path not in drafts]
    # Drafts older than an hour are the remains of killed processes.
    for path in [*kept[KEPT:], *(draft for draft in drafts if age(draft) > 3600)]:
        shutil.rmtree(path, ignore_errors=True)
