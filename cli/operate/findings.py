"""What a check of `doctor` finds, and the commands that mend it."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.core.stack import Stack

Verdict = Literal["fine", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found; `mend` is the command that mends it."""

    verdict: Verdict
    subject: str
    text: str
    fix: str = ""


Check = Callable[[Stack], Iterator[Finding]]


def run(stack: Stack, checks: Iterable[Check]) -> Iterator[Finding]:
    """All findings, check by check. What may not be looked at is unknown, and not wrong."""
    for check in checks:
        subject = (check.__doc__ or "").rstrip(".")
        try:
            yield from check(stack)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            denied = "AccessDenied" in code or "Unauthorized" in code or code == "403"
            missing = "NotFound" in code or "NonExistent" in code or "NoSuch" in code or code == "404"
            text = f"{'may not be looked at' if denied else 'could not be looked at'}: {error.operation_name}: {code}"
            if missing:
                yield Finding("wrong", subject, f"it is gone ({error.operation_name}: {code})", restore(stack))
            else:
                yield Finding("unknown", subject, text)
        except BotoCoreError as error:
            yield Finding("unknown", subject, str(error))


def restore(stack: Stack) -> str:
    """The command that brings back what was deleted or changed by hand.

    With an unchanged template a plain ``cdk deploy`` does nothing: CloudFormation compares templates, and looks at the
    resources themselves only when the change set is made with deployment mode REVERT_DRIFT.
    """
    return stack.target.deploy("--revert-drift")


def aws(stack: Stack, *words: str) -> str:
    """A command of the AWS CLI for the same account, region and endpoint."""
    target = stack.target
    options = [
        *(["--profile", target.profile] if target.profile else []),
        *(["--region", target.region] if target.region else []),
        # Said, though the environment says it as well: version 1 of the CLI forgets it for SQS in us-east-1.
        *(["--endpoint-url", stack.client("sqs").meta.endpoint_url] if stack.local else []),
    ]
    prefix = ". .localcloud/env; " if target.local else ""
    return prefix + shlex.join(["aws", *words, *options])
