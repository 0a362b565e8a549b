"""The commands under "Operating": pause, resume, retry, prioritize, redrive, delete, doctor, completion."""

import time
from dataclasses import asdict
from itertools import chain

import click
from rich.text import Text

from cli.core import terminal
from cli.core.errors import CliError, WrongUse
from cli.core.options import video_argument, with_stack, with_target
from cli.core.stack import PROGRAM, Stack, Target
from cli.core.terminal import many
from cli.operate import dead_letters
from cli.operate.prioritize import waiting_of
from cli.operate.retry import ended_badly, hopeless
from lambdas.model.budget import month_of
from lambdas.model.shares import LIVE, PRIORITIES, Priority

MOST_NAMED = 20  # jobs named one by one; the others are counted


@click.command(short_help="Stop starting jobs; uploads are accepted and wait.")
@with_stack
def pause(stack: Stack) -> None:
    """Stop starting jobs. Uploads are still accepted and wait in line; running jobs run to their end.

    \b
    rekognition-batch pause
    """
    stack.table.pause(True)
    waiting = sum(1 for _ in stack.table.in_state("WAITING"))
    terminal.info(f"Starting is paused. {many(waiting, 'job')} in line; new uploads wait there too.")
    terminal.info(f"To resume: {stack.target.command('resume')}")


@click.command(short_help="Start jobs again.")
@click.option("--over-budget", is_flag=True, help="Let this month exceed its budget.")
@with_stack
def resume(stack: Stack, over_budget: bool) -> None:
    """Start jobs again: after a pause, or although this month's budget is used up. The first start within a minute.

    \b
    rekognition-batch resume
    rekognition-batch resume --over-budget
    """
    if over_budget:
        if not stack.limits:
            raise WrongUse("This stack has no budget.", stack.target.deploy("-c", "monthly_budget_usd=100"))
        month = month_of(time.time())
        stack.table.let_over_budget(month, True)
        terminal.info(f"{month} may exceed its budget; the next month may not.")
    stack.table.pause(False)
    waiting = sum(1 for _ in stack.table.in_state("WAITING"))
    terminal.info(f"Starting resumes within a minute. {many(waiting, 'job')} in line.")


@click.command(short_help="Retry jobs that failed or were rejected.")
@click.argument("video", required=False)
@click.option("--failed", is_flag=True, help="Every video's jobs that FAILED or were REJECTED.")
@click.option("--dry-run", is_flag=True, help="Only show which.")
@with_stack
def retry(stack: Stack, video: str | None, failed: bool, dry_run: bool) -> int:
    """Retry the jobs of VIDEO that FAILED or were REJECTED: each waits in line again, for a new attempt.

    \b
    rekognition-batch retry interviews/anna.mp4
    rekognition-batch retry --failed --dry-run

    Rekognition bills only what it processes successfully, so a failed job has cost nothing.
    """
    if bool(video) == failed:
        raise WrongUse("Name a VIDEO, or use --failed for all videos.", stack.target.command("status"))
    jobs = ended_badly(stack, stack.key(video) if video else None)
    tried, left = 0, 0
    for job in jobs:
        why_not = hopeless(stack, job)
        again = not why_not and (dry_run or stack.table.retry(job) is not None)
        tried, left = tried + again, left + (not again)
        done = ("would be retried" if dry_run else f"in line again, attempt {job.attempt + 1}") if again else ""
        terminal.line(job.analysis, job.key, done or why_not or "its state changed meanwhile")
    if not jobs:
        terminal.info("Nothing to retry: no job FAILED or was REJECTED.")
    elif tried and not dry_run:
        terminal.info(f"{many(tried, 'job')} in line again; the first one starts within a minute.")
    return 1 if left else 0


@click.command(short_help="Let waiting jobs start sooner, or later.")
@click.argument("videos", metavar="VIDEO|PREFIX/")
@click.option("--to", "priority", type=click.Choice(PRIORITIES), default=LIVE, help="The class (default: live).")
@click.option("--dry-run", is_flag=True, help="Only show which.")
@with_stack
def prioritize(stack: Stack, videos: str, priority: Priority, dry_run: bool) -> int:
    """Move the waiting jobs of VIDEO, or of all keys under PREFIX/, to the class live, which starts before backfill.

    \b
    rekognition-batch prioritize urgent.mp4
    rekognition-batch prioritize archive/2019/ --to backfill

    Jobs that run, or are over, stay as they are.
    """
    prefix = videos.endswith("/")
    key = videos if prefix else stack.key(videos)
    if not prefix and key not in stack.keys(key):
        raise stack.unknown(key)
    found = [job for job in waiting_of(stack, key, prefix) if job.priority != priority]
    moved = [job for job in found if dry_run or stack.table.prioritize(job, priority)]
    for job in moved[:MOST_NAMED]:
        terminal.line(job.analysis, job.key, f"{'would be' if dry_run else 'is'} {priority}")
    if len(moved) > MOST_NAMED:
        terminal.info(f"And {len(moved) - MOST_NAMED:,} more.")
    if not found:
        terminal.info(f"Nothing to move: no job {'under' if prefix else 'of'} {key} waits in another class.")
    elif not dry_run:
        terminal.info(f"{many(len(moved), 'job')} moved to {priority}.")
    return 1 if len(moved) < len(found) else 0


@click.command(short_help="Look at dead letters, and send them back to their queues.")
@click.option("--dry-run", is_flag=True, help="Only show the messages, and why they are there.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: as JSON, with the whole messages.")
@with_stack
def redrive(stack: Stack, dry_run: bool, as_json: bool) -> None:
    """Send dead letters back to the queues they came from.

    A message goes to a dead-letter queue after its function has failed on it five times. Fix the cause first.

    \b
    rekognition-batch redrive --dry-run
    rekognition-batch redrive
    """
    if as_json and not dry_run:
        raise WrongUse("--json goes with --dry-run.", stack.target.command("redrive", "--dry-run", "--json"))
    if not dry_run:
        count = dead_letters.send_back(stack, lambda letter: terminal.line(letter.queue, letter.about))
        terminal.info(f"{many(count, 'message')} sent back." if count else "The dead-letter queues are empty.")
        return
    found = dead_letters.look(stack)
    if as_json:
        terminal.data([letter.as_json for letter in found])
    elif found:
        terminal.print_table(
            ("queue", "since", "about", "why"),
            [(letter.queue, letter.sent_at[:16].replace("T", " "), letter.about, letter.why) for letter in found],
            flexible=("about", "why"),
        )
        terminal.info(f"To send {'it' if len(found) == 1 else 'them'} back: {stack.target.command('redrive')}")
    else:
        terminal.info("The dead-letter queues are empty.")


@click.command(short_help="Delete a video and everything derived from it.")
@video_argument
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@with_stack
def delete(stack: Stack, video: str, dry_run: bool, yes: bool) -> int:
    """Delete VIDEO, its results, rows and jobs, and everything else derived from it, in every version.

    \b
    rekognition-batch delete interviews/anna.mp4 --dry-run
    rekognition-batch delete interviews/anna.mp4

    Faces are personal data, so the command then lists the buckets again. It names everything that S3 still has, with
    the reason (a lock, a legal hold, an upload meanwhile); the exit code is then 1.

    These expire by themselves: Rekognition's copy of its answers (7 days), dead letters (14 days), the table's backups
    (35 days), Athena's answers (30 days), the functions' logs (30 days, a setting). Dead letters and logs contain keys.
    Copies on other machines stay there: rows of `query --here`, reports, exports.
    """
    from cli.operate import delete as deletion
    from cli.results import athena

    key = stack.key(video)
    jobs = deletion.jobs_of(stack, key)
    found = deletion.things(stack, key, jobs)
    if dry_run or not yes:
        for thing in found:
            terminal.line(thing.address, err=not dry_run)
        for job in jobs:
            terminal.line(f"job {job.job_id[:12]}… {job.analysis} {job.state}", err=not dry_run)
    what = f"{many(len(found), 'object')} and {many(len(jobs), 'record')}"
    if dry_run:
        terminal.info(f"{what} would be deleted.")
        return 0
    terminal.confirm(f"Delete {what} of {terminal.printable(key)} permanently?", yes=yes)
    left = deletion.delete(stack, key, jobs, found)
    athena.forget_cache(stack)
    if left:
        for one in left:
            terminal.line(one.thing.address, one.why, err=True)
        raise CliError(f"S3 still has {many(len(left), 'object')} of {key}.", stack.target.command("delete", key))
    terminal.info(f"Deleted: {what}. S3 has nothing left of it.")
    terminal.info(
        "Dead letters (14 days), backups (35 days) and logs contain its name until they expire; copies on other "
        "machines (query --here, reports, exports) stay until you delete them there."
    )
    if any(job.state == "RUNNING" for job in jobs):
        terminal.info("Rekognition still runs a job for it and can't be told to stop; the result will not be fetched.")
    return 0


@click.command(short_help="Check the account, the region and every part of the stack.")
@click.option("--canary", is_flag=True, help="Also send a tiny video through the whole path, about $0.01 an analysis.")
@click.option(
    "--before-deploy", "bucket", metavar="BUCKET", help="Instead, check an existing bucket for use as videos bucket."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_target
def doctor(target: Target, canary: bool, bucket: str | None, as_json: bool) -> int:
    """Check whether this account and region can run the stack, and whether every part is still as deployed.

    \b
    rekognition-batch doctor
    rekognition-batch doctor --canary
    rekognition-batch doctor --before-deploy my-videos --region eu-west-1

    It changes nothing. For each problem it prints the command that fixes it, and the exit code is then 1.
    --before-deploy needs no stack: it checks whether a stack can take its videos from BUCKET (setting videos_bucket),
    and names the settings for it.
    """
    from cli.core.stack import anywhere, find
    from cli.operate.canary import run_canary
    from cli.operate.doctor import before_deploy, examine

    if bucket and canary:
        raise WrongUse("--canary needs a deployed stack, --before-deploy is for a bucket without one; choose one.")
    found = []
    if bucket:
        findings = before_deploy(anywhere(target), bucket)
    else:
        stack = find(target)
        findings = chain(examine(stack), run_canary(stack) if canary else ())
    for finding in findings:
        found.append(finding)
        if not as_json:
            _tell(finding.verdict, finding.subject, finding.text, finding.fix)
    if as_json:
        terminal.data([asdict(finding) for finding in found])
    wrong = sum(finding.verdict == "wrong" for finding in found)
    terminal.info(f"{many(wrong, 'problem')} found." if wrong else "No problems found.")
    return 1 if wrong else 0


MARKS = {"fine": ("✓", "green"), "note": ("!", "yellow"), "wrong": ("✗", "red"), "unknown": ("?", "yellow")}


def _tell(verdict: str, subject: str, text: str, fix: str) -> None:
    """Print a finding. Its command is on a line of its own, without line breaks, so that it can be copied."""
    mark, colour = MARKS[verdict]
    terminal.beside(Text(mark, colour), Text.assemble((subject, "bold"), f": {terminal.printable(text)}"))
    if fix:
        terminal.stdout().print(Text(f"    {fix}"), soft_wrap=True)


SHELLS = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/rekognition-batch.fish"}


@click.command(short_help="Completion of commands and videos for your shell.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script with which SHELL completes commands, options and videos.

    \b
    rekognition-batch completion bash >> ~/.bashrc
    rekognition-batch completion zsh >> ~/.zshrc
    rekognition-batch completion fish | source
    """
    from click.shell_completion import get_completion_class

    from cli.app import app

    kind = get_completion_class(shell)
    if kind is None:
        raise CliError(f"click knows no completion for {shell}.")
    variable = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
    terminal.text_file().write(f"{kind(app, {}, PROGRAM, variable).source()}\n")
