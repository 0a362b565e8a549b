"""The comparison of two runs, and the report: Markdown to read, JSON to work with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).parent / "expected.json"

#: Questions that AWS's documentation leaves open, and where a run's answer stands: scenario and beginnings of what was
#: seen. Without any: not asked, and why.
OPEN: Sequence[tuple[str, str, Sequence[str] | str]] = (
    ("In which order does Start check?", "refused-starts", ["two faults"]),
    ("Which code has a breach of a pattern, a length, an enum, a maximum?", "refused-starts",
     ["a word that", "a token", "a JobTag", "MinConfidence"]),
    ("Which members has a Get reply while IN_PROGRESS?", "every-analysis", ["face-detection: members while"]),
    ("What announces a FAILED job; is its Status ERROR or FAILED?", "unreadable-videos", ["text: message"]),
    ("Is an empty object refused at Start, or does its job fail?", "refused-starts", ["an empty object"]),
    ("When is a video of more than 6 hours noticed?", "",
     "not asked: if AWS analysed it after all, it would cost $36"),
    ("What says Get with the JobId of another analysis?", "every-analysis", ["Get with a JobId of another"]),
    ("Does Start look at the role and the topic?", "refused-starts", ["a role that", "a topic that"]),
    ("Has a stored-video job an aws:SourceArn?", "publishing", ["a role that demands aws:SourceArn"]),
    ("Is a FIFO topic taken?", "publishing", ["a FIFO topic"]),
    ("Is a token known to other operations and regions?", "tokens", ["the same token for"]),
    ("And to other regions?", "places", ["a token that is used here"]),
    ("What answers StartPersonTracking since 2025-10-31?", "places", ["StartPersonTracking"]),
    ("How is a video of some seconds rounded?", "",
     "not seen at once: a day later, `aws ce get-cost-and-usage --granularity DAILY --metrics UsageQuantity "
     "--group-by Type=DIMENSION,Key=USAGE_TYPE` says so, filtered to Amazon Rekognition"),
)  # fmt: skip


@dataclass
class Result:
    """What one scenario came to. ``error``: it could not be carried through, and why."""

    name: str
    question: str
    seen: dict[str, Any] = field(default_factory=dict)
    timed: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0


@dataclass
class Run:
    """All of a run. ``left`` is what could not be removed."""

    when: str
    region: str
    endpoint: str
    version: str
    cost: str
    results: list[Result] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    stopped: str | None = None

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


@dataclass(frozen=True)
class Difference:
    scenario: str
    what: str
    here: Any
    locally: Any


def expected() -> dict[str, dict[str, Any]]:
    """What each scenario sees in the local cloud."""
    found: dict[str, dict[str, Any]] = json.loads(EXPECTED.read_text())
    return found


def differences(results: Sequence[Result], local: Mapping[str, Mapping[str, Any]]) -> Iterator[Difference]:
    """Where what was seen is not what the local cloud shows. What a run did not come to see is no difference."""
    for result in results:
        known = local.get(result.name, {})
        for what, here in result.seen.items():
            there = known.get(what, "(not seen)")
            if here != there:
                yield Difference(result.name, what, here, there)


def markdown(run: Run, local: Mapping[str, Mapping[str, Any]]) -> str:
    found = list(differences(run.results, local))
    compared = sum(len(result.seen) for result in run.results)
    lines = [
        "# AWS beside the local cloud",
        "",
        f"{run.when}, {run.region}, {run.endpoint}; project at {run.version}.",
        "",
        f"{len(run.results)} scenarios, {compared} observations, **{len(found)} differ** from the local cloud.",
        run.cost,
        "",
    ]
    if run.stopped:
        lines += [f"**The run was stopped: {run.stopped}**", ""]
    for result in run.results:
        if result.error:
            lines += [f"**{result.name} was not carried through: {result.error}**", ""]
    if run.left:
        lines += ["**Not removed; remove it by hand, or with `make aws-smoke REMOVE=…`:**", ""]
        lines += [*(f"- {one}" for one in run.left), ""]
    lines += ["## Differences", ""]
    rows = [(one.scenario, one.what, *_side_by_side(one.here, one.locally)) for one in found]
    lines += _table(("scenario", "what", "here", "local cloud"), rows) or ["None.", ""]
    lines += ["## Open questions", ""]
    seen = {result.name: result.seen for result in run.results}
    for question, scenario, where in OPEN:
        lines.append(f"- {question} {_answer(seen.get(scenario, {}), where)}")
    lines += ["", "## Everything that was seen", ""]
    for result in run.results:
        lines += [f"### {result.name}", "", f"{result.question} ({result.seconds:.0f} s)", ""]
        lines += _table(("what", "seen"), [(what, _shown(value)) for what, value in result.seen.items()])
        lines += _table(("timed", "seconds"), [(what, f"{value:.1f}") for what, value in result.timed.items()])
    return "\n".join(lines)


def _answer(seen: Mapping[str, Any], where: Sequence[str] | str) -> str:
    if isinstance(where, str):
        return where[0].upper() + where[1:] + "."
    answers = [
        f"{what}: {_shown(value)}" for what, value in seen.items() if any(what.startswith(word) for word in where)
    ]
    return "; ".join(answers) or "Not seen in this run."


def _side_by_side(here: Any, locally: Any) -> tuple[str, str]:
    """Two values; of two lists only what they don't share."""
    if isinstance(here, list) and isinstance(locally, list) and all(isinstance(it, str) for it in here + locally):
        ours, theirs = [it for it in here if it not in locally], [it for it in locally if it not in here]
        return f"only here: {', '.join(ours) or 'none'}", f"only locally: {', '.join(theirs) or 'none'}"
    return _shown(here), _shown(locally)


def _shown(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"error", "message", "http"}:
        return f"`{value['error']}` ({value['http']}) {value['message']}"
    return value if isinstance(value, str) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells)] + [""]
