"""``rekognition-batch``: the commands, under four headings."""

import io
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import click

from cli.core import terminal
from cli.core.errors import CliError, understood
from cli.core.options import target_options
from cli.core.stack import PROGRAM, Target

# name: (module, heading), so that --help and completion import nothing they don't show.
COMMANDS = {
    "Videos in": {"upload": "ingest", "backfill": "ingest", "estimate": "ingest"},
    "What happens": {"status": "status", "quota": "status", "budget": "status", "open": "results"},
    "Results out": {"results": "results", "export": "results", "report": "results", "query": "results"},
    "Operating": {
        "doctor": "operate",
        "retry": "operate",
        "prioritize": "operate",
        "redrive": "operate",
        "pause": "operate",
        "resume": "operate",
        "delete": "operate",
        "completion": "operate",
    },
}
MODULES = {name: module for commands in COMMANDS.values() for name, module in commands.items()}

EPILOGUE = """\b
Exit codes:
  0  done
  1  failed, in whole or in part; doctor: something is wrong
  2  invalid usage
  3  no such video, result or saved query
  4  AWS or the stack is unavailable (credentials, region, permission)
  5  not confirmed
130  interrupted"""


class Commands(click.Group):
    """Imports each command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command's name, in the order of COMMANDS."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in MODULES:
            return None
        module = import_module(f"cli.{MODULES[cmd_name]}.commands")
        command: click.Command = getattr(module, "open_page" if cmd_name == "open" else cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; for an unknown command, the error suggests the nearest one."""
        from cli.core.errors import near

        if args and args[0] not in MODULES and not args[0].startswith("-"):
            meant = near(args[0], MODULES, 1)
            more = f" Did you mean {meant[0]!r}?" if meant else ""
            raise click.UsageError(f"No such command {args[0]!r}.{more}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings."""
        for heading, names in COMMANDS.items():
            with formatter.section(heading):
                found = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl([(name, command.get_short_help_str(60)) for name, command in found if command])


def _version() -> str:
    try:
        return version("rekognition-batch")
    except PackageNotFoundError:
        return "not installed; run from the checkout"


@click.group(
    cls=Commands,
    epilog=EPILOGUE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(_version(), prog_name=PROGRAM)
@target_options
@click.pass_context
def app(context: click.Context, /, **given: Any) -> None:
    """Upload videos, follow their analyses, and get the results.

    \b
    rekognition-batch upload holiday.mp4 interviews/
    rekognition-batch status --watch
    rekognition-batch report holiday.mp4

    The options below choose the stack. They may also stand after the command.
    """
    context.obj = Target(given["stack_name"], given["profile"], given["region"], given["local"])


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; errors of usage and of AWS end in one sentence, never in a traceback."""
    sys.excepthook = terminal.show_bug
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    try:
        code = app.main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        wrong.show(shown := io.StringIO())
        terminal.lines(shown.getvalue(), err=True)
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        terminal.line("Interrupted.", err=True)
        return 130
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        terminal.hang_up()
        return 0
    except Exception as error:
        trouble = error if isinstance(error, CliError) else understood(error)
        if trouble is None:
            raise
        terminal.lines(f"{trouble}\n", err=True)
        for line in filter(None, trouble.hint.splitlines()):
            terminal.line(f"  → {line}", err=True)
        return trouble.exit_code
    return code if isinstance(code, int) else 0
