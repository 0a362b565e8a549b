"""What a check of `doctor` finds, and the commands that fix it."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.core.stack import Stack

Verdict = Literal["fine", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found; `fix` is the command to type, or empty."""

    verdict: Verdict
    subject: str
    text: str
    fix: str = ""


Check = Callable[[Stack], Iterator[Finding]]


def run(stack: Stack, checks: Iterable[Check]) -> Iterator[Finding]:
    """All findings, check by check. A check that is not permitted gives "unknown", not "wrong"."""
    for check in checks:
        subject = (check.__doc__ or "").rstrip(".")
        try:
            yield from check(stack)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            denied = "AccessDenied" in code or "Unauthorized" in code or code == "403"
            missing = "NotFound" in code or "NonExistent" in code or "NoSuch" in code or code == "404"
            text = f"{'not permitted to check' if denied else 'check failed'}: {error.operation_name}: {code}"
            if missing:
                yield Finding("wrong", subject, f"it does not exist ({error.operation_name}: {code})", restore(stack))
            else:
                yield Finding("unknown", subject, text)
        except BotoCoreError as error:
            yield Finding("unknown", subject, str(error))


def restore(stack: Stack) -> str:
    """The command that restores resources which were deleted or changed by hand.

    A plain ``cdk deploy`` of an unchanged template does nothing: CloudFormation compares templates, and compares the
    resources themselves only in a change set with deployment mode REVERT_DRIFT.
    """
    return stack.target.deploy("--revert-drift")


def aws(stack: Stack, *words: str) -> str:
    """A command of the AWS CLI for the same account, region and endpoint."""
    target = stack.target
    options = [
        *(["--profile", target.profile] if target.profile else []),
        *(["--region", target.region] if target.region else []),
        # Repeated from the environment: version 1 of the CLI ignores that variable for SQS in us-east-1.
        *(["--endpoint-url", stack.client("sqs").meta.endpoint_url] if stack.local else []),
    ]
    prefix = ". .localcloud/env; " if target.local else ""
    return prefix + shlex.join(["aws", *words, *options])
