"""Run the scenarios, write the report, remove everything. `make aws-smoke PROFILE=… REGION=…`."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from tools.aws_smoke import clips, cost, report, scenarios
from tools.aws_smoke.account import Account
from tools.aws_smoke.bed import ROOT, Bed, Waits
from tools.aws_smoke.report import Result, Run


def main(arguments: Sequence[str] | None = None) -> int:
    """0: everything was seen and removed; 1: not; 2: nothing was done."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    options = parser().parse_args(arguments)
    if options.list:
        for one in scenarios.ALL:
            print(f"{one.name:20} {one.question}")
        return 0
    try:
        if options.remove:
            return remove(options)
        chosen = choose(options.only)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    try:
        account = Account(options.profile, options.region, options.folder / "made.json")
        number = account.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as problem:
        print(f"No account can be reached with PROFILE={options.profile or ''}: {problem}", file=sys.stderr)
        return 2
    if account.made:
        print(f"An earlier run left things: make aws-smoke REMOVE={account.register}", file=sys.stderr)
        return 2
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "AWS")
    name = f"Smoke{secrets.token_hex(3)}"
    price = cost.statement(chosen)
    print(
        f"This deploys a second copy of the stack, {name}, into account {number}, {account.region} ({endpoint}), and\n"
        f"runs {len(chosen)} scenarios: {', '.join(one.name for one in chosen)}.\n"
        f"{price}\nAfterwards it removes everything it made. A report is written to {options.folder}/."
    )
    if not options.yes and not _agreed():
        print("Nothing was done.", file=sys.stderr)
        return 2
    waits = Waits(job=options.patience, settle=options.settle, quiet=options.quiet, second=options.second)
    run = Run(time.strftime("%Y-%m-%d %H:%M %Z"), account.region, endpoint, _version(), price)
    carry_out(run, chosen, Bed(account, name, clips.make(), waits, _say), account)
    write(run, options.folder)
    if options.record:
        seen = {result.name: result.seen for result in run.results}
        report.EXPECTED.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")
    return 1 if run.left or run.stopped or any(result.error for result in run.results) else 0


def carry_out(run: Run, chosen: Sequence[scenarios.Scenario], bed: Bed, account: Account) -> None:
    """Build, run each scenario, and remove everything, whatever happens. Fills in *run*."""
    try:
        bed.build()
        for scenario in chosen:
            run.results.append(_carry_out(scenario, bed))
    except (Exception, SystemExit) as problem:
        run.stopped = str(problem)
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    # A second Ctrl-C must not leave things behind.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        run.left = account.remove_everything(_say)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _carry_out(scenario: scenarios.Scenario, bed: Bed) -> Result:
    _say(f"Scenario {scenario.name}")
    notes, began = scenarios.Notes(), time.monotonic()
    result = Result(scenario.name, scenario.question, notes.seen, notes.timed)
    try:
        scenario.run(bed, notes)
    except Exception as problem:  # one scenario that can't be arranged is no reason to miss the others
        result.error = f"{type(problem).__name__}: {problem}"
        _say(f"  {result.error}")
    result.seconds = time.monotonic() - began
    return result


def write(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"report-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    local = report.expected() if report.EXPECTED.exists() else {}
    stem.with_suffix(".md").write_text(report.markdown(run, local))
    stem.with_suffix(".json").write_text(run.as_json())
    found = list(report.differences(run.results, local))
    print(f"{len(found)} differences from the local cloud: {stem}.md")
    if run.stopped:
        print(f"It was stopped: {run.stopped}", file=sys.stderr)
    for one in run.left:
        print(f"NOT REMOVED: {one}", file=sys.stderr)


def remove(options: argparse.Namespace) -> int:
    """Remove what a killed run has left."""
    if not options.remove.exists():
        raise ValueError(
            f"REMOVE={options.remove}: there is no such file; nothing is left, or it was written elsewhere."
        )
    left = Account(options.profile, options.region, options.remove).remove_everything(_say)
    for one in left:
        print(f"NOT REMOVED: {one}", file=sys.stderr)
    return 1 if left else 0


def choose(names: Sequence[str]) -> list[scenarios.Scenario]:
    """Raises ValueError for a name that is none."""
    known = {one.name: one for one in scenarios.ALL}
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"ONLY={' '.join(wrong)}: there is no such scenario; there are {', '.join(known)}.")
    return [one for one in scenarios.ALL if not names or one.name in names]


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make aws-smoke", description=__doc__, allow_abbrev=False)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    parser.add_argument("--profile", help="of ~/.aws/config (default: what the environment says)")
    parser.add_argument("--region", default=region, help="(%(default)s)")
    parser.add_argument("--yes", action="store_true", help="don't ask whether it may cost what it says")
    parser.add_argument("--only", nargs="*", default=[], metavar="SCENARIO", help="these scenarios alone")
    parser.add_argument("--list", action="store_true", help="the scenarios, and no more")
    parser.add_argument("--remove", type=Path, metavar="FILE", help="what a killed run has left")
    parser.add_argument("--folder", type=Path, default=Path("aws-smoke"), help="for reports (%(default)s/)")
    parser.add_argument("--record", action="store_true", help="this is the local cloud: keep it as what is expected")
    usual = Waits()
    parser.add_argument("--patience", type=float, default=usual.job, help="seconds for a job to end (%(default).0f)")
    parser.add_argument("--settle", type=float, default=usual.settle, help="seconds for IAM to settle (%(default).0f)")
    parser.add_argument("--quiet", type=float, default=usual.quiet, help="seconds without a message (%(default).0f)")
    parser.add_argument("--second", type=float, default=usual.second, help="seconds for a second job (%(default).0f)")
    return parser


def _agreed() -> bool:
    try:
        return input("Go on? Type yes: ").strip().lower() == "yes"
    except EOFError:
        print("\nThere is no terminal to ask on; YES=1 goes on without.", file=sys.stderr)
        return False


def _version() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return found.stdout.strip() or "an unknown version"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
