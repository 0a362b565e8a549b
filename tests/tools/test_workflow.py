"""GitHub's workflow runs the README's own commands, and only code that can't change under its name."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = (ROOT / ".github/workflows/check.yml").read_text()


def test_actions_are_pinned_by_digest_with_their_version_beside() -> None:
    used = re.findall(r"uses: (.+)", WORKFLOW)

    loose = [it for it in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", it)]

    assert used
    assert loose == []


def test_what_the_workflow_runs_is_in_the_readme_or_is_the_gate() -> None:
    readme = (ROOT / "README.md").read_text()

    commands = re.findall(r"- run: (.+)", WORKFLOW)

    assert [it for it in commands if it != "bash .ci/run" and it.removesuffix(" --quiet") not in readme] == []
    assert "make check" in (ROOT / ".ci/run").read_text()
    assert "make check" in readme
