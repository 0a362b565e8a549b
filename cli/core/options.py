"""The options that every command takes to choose a stack. They may stand before the command or after it."""

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
    """Add the options that choose the stack to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def taken(context: click.Context, given: dict[str, Any]) -> Target:
    """Remove these options from `given` and return them; those after the command override those before it."""
    said = Target(given.pop("stack_name"), given.pop("profile"), given.pop("region"), given.pop("local"))
    outer = context.find_object(Target)
    return said.over(outer) if outer else said


def with_stack(command: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the stack to a command as its first argument."""

    def run(*_: Any, **given: Any) -> Any:
        from cli.core.stack import find

        return command(find(taken(click.get_current_context(), given)), **given)

    return target_options(update_wrapper(run, command))


def with_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the target to a command that finds the stack itself, or needs none."""

    def run(*_: Any, **given: Any) -> Any:
        return command(taken(click.get_current_context(), given), **given)

    return target_options(update_wrapper(run, command))


def video_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument VIDEO, with completion by the shell."""
    return click.argument("video", shell_complete=complete_video)(command)


def complete_query(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Names of saved queries that begin with `incomplete`."""
    from queries.saved import saved

    return [name for name in saved() if name.startswith(incomplete)]


def complete_video(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Keys that begin with `incomplete`. Returns none, and prints nothing, when the stack is unavailable.

    Uploaders choose the keys. Bash puts a completion on the command line unquoted, so for bash this leaves out every
    key that bash would expand, split or run; the other shells quote completions themselves.
    """
    from cli.core.stack import find

    try:
        given = {"stack_name": None, "profile": None, "region": None, "local": False, **context.params}
        keys = find(taken(context, given)).keys(incomplete, most=50)
        bash = os.environ.get(f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE", "").startswith("bash")
        return [key for key in keys if key.isprintable() and (not bash or shlex.quote(key) == key)]
    except Exception:  # an error in a completion must not disturb the shell
        return []
