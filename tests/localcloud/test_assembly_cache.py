"""A kept cloud assembly is used again only when nothing that goes into it has changed."""

from __future__ import annotations

import re

import pytest

from localcloud import cdk
from localcloud.supervisor import CHECKOUT


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(cdk, "CHECKOUT", tmp_path)
    for name in ("app.py", "cdk.json", "stacks/a.py", "lambdas/b.py", "lambdas/deep/.c", ".venv/ready", "tests/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "app.py",
        "cdk.json",
        "stacks/a.py",
        "lambdas/b.py",
        "lambdas/deep/.c",
        ".venv/ready",
        "requirements.txt",
        "new/e",
    ],
)
def test_a_change_of_what_goes_in_is_noticed(checkout, name):
    before = cdk._fingerprint({})

    (checkout / name).parent.mkdir(exist_ok=True)
    (checkout / name).write_text("after")

    assert cdk._fingerprint({}) != before


def test_a_setting_is_noticed(checkout):
    assert cdk._fingerprint({"retain_data": "false"}) != cdk._fingerprint({})


def test_a_file_that_moves_is_noticed(checkout):
    before = cdk._fingerprint({})

    (checkout / "stacks/a.py").rename(checkout / "stacks/z.py")

    assert cdk._fingerprint({}) != before


@pytest.mark.parametrize("name", ["tests/d.py", "docs/e.md", "lambdas/__pycache__/b.pyc", ".build/f", ".git/HEAD"])
def test_a_change_of_anything_else_costs_nothing(checkout, name):
    before = cdk._fingerprint({})

    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("after")

    assert cdk._fingerprint({}) == before


def test_what_is_left_out_is_never_imported_by_what_goes_in():
    left_out = re.compile(rf"^\s*(from|import) ({'|'.join(cdk.NOT_INPUT)})\b".replace("-", r"\-"), re.MULTILINE)
    going_in = [CHECKOUT / "app.py", *(CHECKOUT / "stacks").rglob("*.py"), *(CHECKOUT / "lambdas").rglob("*.py")]

    assert [path.name for path in going_in if left_out.search(path.read_text())] == []
