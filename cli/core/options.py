"""What every command takes: which stack is meant. Before the command or after it, both are understood."""

import os
import shlex
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import click

from cli.core.stack import PROGRAM, Target

_OPTIONS = (
    click.option("--stack", "stack_name", metavar="NAME", help="The stack's name [default: RekognitionBatch]."),
    click.option("--profile", metavar="NAME", help="A profile of your AWS configuration."),
    click.option("--region", metavar="NAME", help="The AWS region."),
    click.option("--local", is_flag=True, help="The local cloud of this checkout (make cloud)."),
)


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which stack is meant."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def taken(context: click.Context, given: dict[str, Any]) -> Target:
    """Take these options out of `given`; what was said before the command counts where nothing is said after it."""
    said = Target(given.pop("stack_name"), given.pop("profile"), given.pop("region"), given.pop("local"))
    outer = context.find_object(Target)
    return said.over(outer) if outer else said


def with_stack(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand a command the stack as its first argument."""

    def run(*_: Any, **given: Any) -> Any:
        from cli.core.stack import find

        return command(find(taken(click.get_current_context(), given)), **given)

    return target_options(update_wrapper(run, command))


def with_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand a command what was said about where, for it to look for itself."""

    def run(*_: Any, **given: Any) -> Any:
        return command(taken(click.get_current_context(), given), **given)

    return target_options(update_wrapper(run, command))


def video_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument VIDEO, which a shell can complete."""
    return click.argument("video", shell_complete=complete_video)(command)


def complete_query(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Names of saved queries that begin so."""
    from queries.saved import saved

    return [name for name in saved() if name.startswith(incomplete)]


def complete_video(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Keys that begin so. Silent when the stack can't be had: a shell is no place for messages.

    A key is chosen by who uploads. Bash puts it on the command line as it is, so there is none offered that it would
    expand, split or run; the other shells quote it themselves.
    """
    from cli.core.stack import find

    try:
        given = {"stack_name": None, "profile": None, "region": None, "local": False, **context.params}
        keys = find(taken(context, given)).keys(incomplete, most=50)
        bash = os.environ.get(f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE", "").startswith("bash")
        return [key for key in keys if key.isprintable() and (not bash or shlex.quote(key) == key)]
    except Exception:  # whatever it is, the shell goes on
        return []
