"""make mutants tells what tests notice from what they don't. (The run itself is too long for each commit.)"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutants import MODULES, Outcome, Row, chosen, listed_survivors, mutants_of, rows

ROOT = Path(__file__).resolve().parents[2]

# Notices what it looks at, and no more: that messages are sent, and one default.
WEAK = """
from lambdas.aws import queue
from lambdas.model import events

def test_a_message_is_sent():
    class Sqs:
        def send_message_batch(self, **named):
            sent.append(named)
            return {}

    sent = []
    queue.Queue(Sqs(), "url").send(["body"])
    assert sent[0]["QueueUrl"] == "url"

def test_why():
    assert events.Finished("id").why == "notified"
    assert events.SEQUENCER_WIDTH == 32
"""
RUN = """
import json, sys
from tools import mutants
paths = ("lambdas/aws/queue.py", "lambdas/model/events.py")
found = [it for path in paths for it in mutants.mutants_of(path, open(path).read())]
some = [it for it in found if it.name == "queue" or it.function in ("Finished", "")]
outcomes = mutants.run(some, [sys.argv[1]], histories=0)
print(json.dumps([[it.mutant.after, it.killed_by] for it in outcomes]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What killed each mutant, by the changed line."""
    file = tmp_path_factory.mktemp("weak") / "test_weak.py"
    file.write_text(WEAK)

    done = subprocess.run([sys.executable, "-c", RUN, file], cwd=ROOT, capture_output=True, text=True, check=True)

    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_mutant_that_a_test_notices_is_killed_by_that_test(outcomes: dict[str, str | None]) -> None:
    assert "test_a_message_is_sent" in (outcomes["self._url = None"] or "")


def test_so_is_a_constant_and_a_default_of_a_class(outcomes: dict[str, str | None]) -> None:
    assert "test_why" in (outcomes["SEQUENCER_WIDTH = 33"] or "")
    assert "test_why" in (outcomes['why: str = "XXnotifiedXX"'] or "")


def test_a_mutant_that_no_test_notices_survives(outcomes: dict[str, str | None]) -> None:
    survived = {after for after, killed_by in outcomes.items() if killed_by is None}

    assert "for batch in batched(bodies, 11):" in survived
    assert "job_id: str  # ours; Rekognition carries it as JobTag" not in outcomes


SOURCE = '''
"""A docstring."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    LIMIT = 1

def decide(left: int = 3) -> bool:
    """A docstring."""
    logger.info("decided", extra={"left": 1})
    if left > 5:
        raise ValueError("there is too much left")
    return check(left, why="much is left")
'''


def test_texts_for_people_logging_and_annotations_are_left_alone() -> None:
    changes = {(it.before, it.after) for it in mutants_of("lambdas/some.py", SOURCE)}

    assert changes == {
        ("def decide(left: int = 3) -> bool:", "def decide(left: int = 4) -> bool:"),
        ("if left > 5:", "if left >= 5:"),
        ("if left > 5:", "if left > 6:"),
        ('raise ValueError("there is too much left")', "pass"),
        ('return check(left, why="much is left")', 'return check(None, why="much is left")'),
        ('return check(left, why="much is left")', 'return check(why="much is left")'),
        ('return check(left, why="much is left")', "return None"),
    }


def test_a_listed_survivor_does_not_count_against_its_module() -> None:
    one, other, *rest = mutants_of("lambdas/some.py", SOURCE)
    outcomes = [Outcome(one, None), Outcome(other, None), *(Outcome(it, "a test") for it in rest)]

    assert rows(outcomes, {one.key: "why"}) == [Row("some", 7, 5, 1, 1)]
    assert Row("some", 7, 5, 1, 1).rate == pytest.approx(5 / 6)


def test_every_listed_survivor_is_of_todays_code_and_says_why_it_survives() -> None:
    code = {Path(module).stem: " ".join((ROOT / module).read_text().split()) for module in MODULES}
    listed = listed_survivors()

    assert [key for key in listed if " ".join(key[2].split()) not in code[key[0]]] == []
    assert [key for key, why in listed.items() if len(why) < 20] == []


def test_a_module_that_is_not_mutated_is_named_with_those_that_are() -> None:
    with pytest.raises(SystemExit, match="no module 'clock' is mutated; there are: multipart, events"):
        chosen(["clock"])


def test_the_modules_and_their_tests_are_there() -> None:
    assert [path for path in (*MODULES, *MODULES.values()) if not (ROOT / path).is_file()] == []
