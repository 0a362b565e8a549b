"""The tests pass under nohup and in a shell's background jobs too."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = "import signal; print(signal.getsignal(signal.SIGHUP).name, signal.getsignal(signal.SIGINT))"


def what_a_test_starts(ignored: int) -> str:
    """How signals are handled in a process that a test starts, where pytest was started with one ignored."""
    script = f"import signal, subprocess, sys; signal.signal({ignored}, signal.SIG_IGN); import tests.conftest; "
    script += f"subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_a_test_starts_obeys_signals_that_the_run_itself_ignores(number: signal.Signals) -> None:
    handled = what_a_test_starts(number)

    assert handled.startswith("SIG_DFL <built-in function default_int_handler>")
