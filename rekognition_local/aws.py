"""The two things the service needs of AWS: to find an object, and to publish a completion message.

Both are small protocols, so that moto, the emulator or a fake can stand behind them.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from rekognition_local.engines import Source

log = logging.getLogger("rekognition_local")

Publish = Callable[["Notification"], None]

#: AWS's managed policy for publisher roles, and how the names begin of the topics that it covers (the service model's
#: documentation of NotificationChannel).
MANAGED_POLICY = "AmazonRekognitionServiceRole"
MANAGED_TOPICS = "AmazonRekognition"


class Unreadable(Exception):
    """The object is not there, or the caller may not read it. S3 doesn't say which, and neither does Rekognition."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What S3 says of an object. ``metadata`` is the user's, keys in lower case.

    ``region`` is its bucket's, or empty where that was not asked for.
    """

    size: int
    etag: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    region: str = ""


class Objects(Protocol):
    def head(self, source: Source) -> Stored:
        """Raises Unreadable."""

    def download(self, source: Source, into: IO[bytes]) -> None:
        """Copy the object's bytes *into* a file. Raises botocore's errors."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One completion message on its way: *message* is the JSON text AWS sends."""

    topic_arn: str
    role_arn: str
    message: str
    account: str
    job_id: str


class AnyObject:
    """Every object exists and is a byte long: for tests and benches that have no S3. Metadata by key, if wanted."""

    def __init__(self, metadata: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.metadata = metadata or {}

    def head(self, source: Source) -> Stored:
        return Stored(size=1, metadata=self.metadata.get(source.name, {}))

    def download(self, source: Source, into: IO[bytes]) -> None:  # noqa: ARG002  they are all alike
        into.write(b"?")


class S3Objects:
    """Objects of S3, through a boto3 client (made when first needed, unless given)."""

    def __init__(self, client: Any = None, *, ask_region: bool = False) -> None:
        """*ask_region*: ask for the bucket's region too (a call more), so that other regions' can be refused."""
        self._client = client
        self._ask_region = ask_region

    @property
    def client(self) -> Any:
        if self._client is None:
            import boto3

            self._client = boto3.client("s3")
        return self._client

    def head(self, source: Source) -> Stored:
        from botocore.exceptions import ClientError, ParamValidationError

        region = ""
        try:
            head = self.client.head_object(**_place(source))
            if self._ask_region:
                constraint = self.client.get_bucket_location(Bucket=source.bucket).get("LocationConstraint")
                region = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(constraint, constraint)
        except ParamValidationError as error:
            raise Unreadable(str(error)) from error
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500:
                raise
            raise Unreadable(str(error)) from error
        metadata = {k.lower(): v for k, v in head["Metadata"].items()}
        return Stored(head["ContentLength"], head.get("ETag", ""), metadata, region)

    def download(self, source: Source, into: IO[bytes]) -> None:
        """Copy the object's bytes *into* a file, a piece at a time. Raises botocore's errors."""
        body = self.client.get_object(**_place(source))["Body"]
        for piece in body.iter_chunks(1 << 20):
            into.write(piece)


def _place(source: Source) -> dict[str, str]:
    place = {"Bucket": source.bucket, "Key": source.name}
    if source.version is not None:
        place["VersionId"] = source.version
    return place


class SnsPublisher:
    """Publishes as AWS does: as the publisher role, if the role lets Rekognition be it.

    Whatever goes wrong is logged here and silent to the customer, as on AWS.
    """

    def __init__(self, client: Callable[..., Any]) -> None:
        """*client* makes a boto3 client: ``client("sns", aws_access_key_id=..., ...)``."""
        self._make = client
        self._making = threading.Lock()  # botocore makes clients one at a time

    def __call__(self, notification: Notification) -> None:
        """Publish it. Raises PublishRefused, or botocore's errors."""
        from botocore.exceptions import ClientError

        role = notification.role_arn
        document = self._client("iam").get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["AssumeRolePolicyDocument"]
        refusal = why_not_trusted(
            document if isinstance(document, dict) else json.loads(document), notification.account
        )
        if refusal:
            raise PublishRefused(f"{role}: {refusal}")
        credentials = self._client("sts").assume_role(RoleArn=role, RoleSessionName="Rekognition")["Credentials"]
        sns = self._client(
            "sns",
            region_name=notification.topic_arn.split(":")[3],
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        try:
            sns.publish(TopicArn=notification.topic_arn, Message=notification.message)
        except ClientError as error:
            raise PublishRefused(f"{role}: {error}{self._managed_policy_note(role, notification.topic_arn)}") from error

    def _managed_policy_note(self, role: str, topic_arn: str) -> str:
        """What AWS's managed policy for this wants of a topic's name, where that is why it was refused."""
        topic = topic_arn.rsplit(":", 1)[-1]
        attached = self._client("iam").list_attached_role_policies(RoleName=role.rsplit("/", 1)[-1])["AttachedPolicies"]
        if topic.startswith(MANAGED_TOPICS) or MANAGED_POLICY not in {policy["PolicyName"] for policy in attached}:
            return ""
        return (
            f". The role's policy {MANAGED_POLICY} lets it publish to topics whose name begins with {MANAGED_TOPICS}, "
            f"and this one is {topic}"
        )

    def _client(self, service: str, **options: Any) -> Any:
        with self._making:
            return self._make(service, **options)


class PublishRefused(Exception):
    """The publisher role doesn't trust Rekognition for a stored-video job, or may not publish to the topic."""


def why_not_trusted(trust: Mapping[str, Any], account: str) -> str | None:
    """Why the role doesn't let Rekognition be it for a stored-video job, or None if it does.

    A stored-video job has an ``aws:SourceAccount`` and no ``aws:SourceArn``: there is no ARN type for such jobs
    (Service Authorization Reference), so a role whose condition demands one is never assumed.
    """
    context = {"aws:sourceaccount": account}
    allowed, refusal = False, "its trust policy does not name rekognition.amazonaws.com"
    for statement in _listed(trust.get("Statement")):
        principal = statement.get("Principal", {})
        services = ["*"] if principal == "*" else _listed(principal.get("Service"))
        if not any(service in ("rekognition.amazonaws.com", "*") for service in services):
            continue
        if not any(
            fnmatch.fnmatchcase("sts:assumerole", action.lower()) for action in _listed(statement.get("Action"))
        ):
            continue
        broken = _broken_condition(statement.get("Condition", {}), context)
        if statement.get("Effect") == "Deny" and not broken:
            return "its trust policy denies rekognition.amazonaws.com"
        if statement.get("Effect") == "Allow":
            allowed, refusal = allowed or not broken, broken or refusal
    return None if allowed else refusal


def _broken_condition(condition: Mapping[str, Any], context: Mapping[str, str]) -> str | None:
    """The first condition that doesn't hold in *context*, in words, or None."""
    for operator, keys in condition.items():
        plain = operator.removesuffix("IfExists")
        matches = _OPERATORS.get(plain)
        if matches is None:
            return f"its condition {operator} is not understood here"
        for key, wanted in keys.items():
            value = context.get(key.lower())
            if value is None:
                if plain == operator:
                    return f"its condition demands {key}, and a stored-video job has none"
            elif not any(matches(value, pattern) for pattern in _listed(wanted)):
                return f"its condition wants {key} to be {wanted}, and it is {value}"
    return None


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": fnmatch.fnmatchcase,
    "ArnEquals": fnmatch.fnmatchcase,
    "ArnLike": fnmatch.fnmatchcase,
}


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
