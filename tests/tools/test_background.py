"""The tests pass under nohup and in a shell's background jobs too."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import signals_restored

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
CHILD = f"""
import signal
for number in {[int(number) for number in SIGNALS]}:
    print(getattr(signal.getsignal(number), "__name__", signal.getsignal(number)))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
IGNORE = "signal.signal({number}, signal.SIG_IGN)"
BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])"


def what_a_test_starts(before: str) -> list[str]:
    """How signals are handled in a process that a test starts, where pytest was started with one ignored or blocked."""
    script = f"import signal, subprocess, sys; {before}; import tests.conftest; "
    script += f"subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("done", [IGNORE, BLOCK])
def test_what_a_test_starts_obeys_signals_that_the_run_itself_does_not_get(number: signal.Signals, done: str) -> None:
    *handled, blocked = what_a_test_starts(done.format(number=int(number)))

    assert handled == ["0", "default_int_handler", "0"]
    assert blocked == "set()"


def test_no_test_hands_its_signal_handlers_to_the_next() -> None:
    with signals_restored():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    assert signal.getsignal(signal.SIGTERM) != signal.SIG_IGN
