"""What can go wrong in a command: each error is one sentence, what to type next, and an exit code for programs.

CliError           1   the command failed, in whole or in part
├── WrongUse       2   invalid usage (click's own code for that)
├── NotThere       3   no such video, job, result or saved query
├── NoCloud        4   no credentials, no region, no stack, or AWS says no
└── Declined       5   you answered no, or there is no terminal to ask on
"""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class CliError(Exception):
    """The command failed. `hint` is what to type next, or empty."""

    exit_code = 1

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


class WrongUse(CliError):
    """Invalid usage."""

    exit_code = 2


class NotThere(CliError):
    """No such video, job, result or saved query."""

    exit_code = 3


class NoCloud(CliError):
    """AWS, or the stack in it, is unavailable."""

    exit_code = 4


class Declined(CliError):
    """The user did not confirm."""

    exit_code = 5


def near(word: str, known: "Iterable[str]", most: int = 3) -> list[str]:
    """The members of `known` that are likely meant by `word`, nearest first."""
    known = list(dict.fromkeys(known))
    within = [other for other in known if word.lower() in other.lower()]
    # Also by file name alone: people often leave out a key's folders.
    names = {other.rsplit("/", 1)[-1]: other for other in known}
    close = get_close_matches(word, known, n=most, cutoff=0.6)
    close += [names[name] for name in get_close_matches(word.rsplit("/", 1)[-1], names, n=most, cutoff=0.7)]
    return list(dict.fromkeys([*within, *close]))[:most]


def understood(error: Exception) -> CliError | None:
    """The message for an error of boto3; None if the error is a bug in this project."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        return _refused(error)
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError)):
        return NoCloud("No AWS credentials were found.", "aws configure   (or --profile NAME, or --local)")
    if isinstance(error, (aws.SSOError, aws.UnauthorizedSSOTokenError, aws.TokenRetrievalError)):
        return NoCloud(f"The AWS sign-in has expired ({error}).", "aws sso login")
    if isinstance(error, aws.ProfileNotFound):
        return NoCloud(f"{error}.", "aws configure list-profiles")
    if isinstance(error, aws.NoRegionError):
        return NoCloud("No AWS region is chosen.", "add --region eu-west-1, or: export AWS_REGION=eu-west-1")
    if isinstance(error, (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.ReadTimeoutError)):
        return NoCloud(f"AWS does not answer: {error}", "check the network; for a local cloud: make cloud-status")
    if isinstance(error, aws.BotoCoreError):
        return NoCloud(str(error))
    return None


_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403")
_UNKNOWN = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch")


def _refused(error: Any) -> CliError:
    code, text = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    call = error.operation_name
    if code in _EXPIRED:
        return NoCloud("The AWS sign-in has expired.", "aws sso login   (or however you sign in)")
    if code in _UNKNOWN:
        return NoCloud(f"AWS does not accept these credentials ({code}).", "aws sts get-caller-identity")
    if code in _DENIED:
        return NoCloud(f"These credentials are not allowed to call {call}: {text or code}", "rekognition-batch doctor")
    return NoCloud(f"AWS refused {call}: {text or code}")
