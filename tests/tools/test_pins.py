"""What gets installed: exact pins, and locks with hashes that say the same. `tools/lock --check` resolves anew."""

import re
import tomllib
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
LOCKS = ("requirements.txt", "requirements.lock", "requirements-emulator.lock")
IN_LOCK = {
    "requirements.txt": GROUPS["deploy"],
    "requirements-emulator.lock": GROUPS["emulator"],
    "requirements.lock": [
        *PROJECT["project"]["dependencies"],
        *chain.from_iterable(pins for name, pins in GROUPS.items() if name != "emulator"),
    ],
}


def locked(name: str) -> dict[str, set[str]]:
    """Each ``package==version`` of a lock, with its hashes."""
    text = (ROOT / name).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return {block.split()[0]: set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)) for block in blocks}


def pinned(pin: str) -> str:
    """``package==version`` of a pin, as locks spell it: without extras and markers."""
    name, version = re.sub(r"\[.*\]", "", pin.split(";")[0]).strip().split("==")
    return f"{name.lower().replace('_', '-').replace('.', '-')}=={version}"


def test_every_requirement_is_pinned_exactly() -> None:
    pins = [*PROJECT["project"]["dependencies"], *chain.from_iterable(GROUPS.values())]

    loose = [pin for pin in pins if not re.fullmatch(r"[\w.\[\],-]+==[\w.]+(; .+)?", pin)]

    assert loose == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_the_pins_and_a_hash_for_everything(name: str) -> None:
    lock = locked(name)

    assert {pinned(pin) for pin in IN_LOCK[name]} <= set(lock)
    assert [package for package, hashes in lock.items() if not hashes] == []


def test_what_cdk_users_install_is_what_everyone_tests() -> None:
    deployed, tested = locked("requirements.txt"), locked("requirements.lock")

    assert {name: tested.get(name) for name in deployed} == deployed


def test_what_is_installed_is_what_is_locked() -> None:
    lock = set(locked("requirements.lock"))
    names = {package.split("==")[0] for package in lock}

    installed = {pinned(f"{it.name}=={it.version}") for it in distributions()}

    assert {package for package in installed - lock if package.split("==")[0] in names} == set()


def test_no_lock_says_where_a_registry_is() -> None:
    assert [name for name in (*LOCKS, "package-lock.json") if "://" in (ROOT / name).read_text()] == []
