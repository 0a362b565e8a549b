"""The account that a run works in: clients, and a register of everything that was made there.

The register is a file, written as things are made, so that `--remove FILE` can take everything away after
a run that was killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

REMOVAL_PATIENCE = 900.0  # seconds for a stack to go
# A refusal is an answer here, and what is measured is one call.
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
GONE = (
    *("NoSuchBucket", "NoSuchEntity", "NotFound", "NotFoundException", "404"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
)


class Account:
    """Clients of one account and region, and what was made in it."""

    def __init__(self, profile: str | None, region: str, register: Path) -> None:
        self.profile, self.region = profile, region
        self.session = boto3.Session(profile_name=profile, region_name=region)
        self.register = register
        self.made: list[dict[str, str]] = json.loads(register.read_text()) if register.exists() else []
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """A client; Rekognition's repeats nothing by itself."""
        place = region or self.region
        if (service, place) not in self._clients:
            config = ONCE if service == "rekognition" else None
            make: Any = self.session.client
            self._clients[service, place] = make(service, region_name=place, config=config)
        return self._clients[service, place]

    def as_role(self, arn: str, service: str) -> Any:
        """A client with a role's rights. IAM is eventually consistent: a new role can be assumed after a while."""
        credentials = patient(
            lambda: self.client("sts").assume_role(RoleArn=arn, RoleSessionName="smoke")["Credentials"]
        )
        make: Any = boto3.Session(region_name=self.region).client
        return make(
            service,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=ONCE,
        )

    # Making.

    def will_make(self, kind: str, name: str, **more: str) -> None:
        """Write it down before it is made."""
        self.made.append({"kind": kind, "name": name, "region": self.region, **more})
        self._write()

    def bucket(self, name: str, region: str | None = None) -> str:
        place = region or self.region
        self.will_make("bucket", name, region=place)
        where = {} if place == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": place}}
        self.client("s3", place).create_bucket(Bucket=name, **where)
        return name

    def role(
        self,
        name: str,
        trust: Mapping[str, Any],
        allowed: Sequence[tuple[Sequence[str], Any]] = (),
        managed: Sequence[str] = (),
    ) -> str:
        """A role's ARN. *allowed* are actions and resources, *managed* ARNs of policies."""
        self.will_make("role", name)
        iam = self.client("iam")
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])
        if allowed:
            statements = [{"Effect": "Allow", "Action": list(what), "Resource": where} for what, where in allowed]
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="smoke", PolicyDocument=policy)
        for policy_arn in managed:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy_arn)
        return arn

    def topic(self, name: str) -> str:
        fifo = {"Attributes": {"FifoTopic": "true"}} if name.endswith(".fifo") else {}
        arn = str(self.client("sns").create_topic(Name=name, **fifo)["TopicArn"])
        self.will_make(
            "topic", arn
        )  # its name is chosen by us and making it again is harmless, so after is soon enough
        return arn

    def queue(self, name: str) -> tuple[str, str]:
        """Its URL and ARN."""
        url = str(self.client("sqs").create_queue(QueueName=name)["QueueUrl"])
        self.will_make("queue", url)
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, str(found["Attributes"]["QueueArn"])

    def subscribe(self, topic: str, queue_arn: str) -> None:
        answer = self.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue_arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        self.will_make("subscription", answer["SubscriptionArn"])

    def key(self) -> str:
        """A customer managed key's ARN."""
        metadata = self.client("kms").create_key(Description="aws-smoke: to be deleted")["KeyMetadata"]
        self.will_make("key", metadata["Arn"])
        return str(metadata["Arn"])

    # Removing.

    def remove_everything(self, say: Callable[[str], None]) -> list[str]:
        """Take away what was made, the last first. Returns what could not be removed, a line each."""
        left = []
        for one in reversed(list(self.made)):
            say(f"Remove the {one['kind']} {one['name']}")
            try:
                patient(lambda one=one: _REMOVERS[one["kind"]](self, one), seconds=60)  # type: ignore[misc]
            except (ClientError, BotoCoreError, TimeoutError) as problem:
                if getattr(problem, "response", {}).get("Error", {}).get("Code") not in GONE:
                    left.append(f"{one['kind']} {one['name']} ({one['region']}): {problem}")
                    continue
            self.made.remove(one)
            self._write()
        if not self.made:
            self.register.unlink(missing_ok=True)
        return left

    def _write(self) -> None:
        self.register.parent.mkdir(parents=True, exist_ok=True)
        self.register.write_text(json.dumps(self.made, indent=1) + "\n")

    def _remove_stack(self, one: Mapping[str, str]) -> None:
        cloudformation = self.client("cloudformation")
        cloudformation.delete_stack(StackName=one["name"])
        deadline = time.monotonic() + REMOVAL_PATIENCE
        while (found := self._stack(one["name"])) and found["StackStatus"] != "DELETE_COMPLETE":
            if found["StackStatus"] == "DELETE_FAILED":
                raise TimeoutError(f"deleting it failed: {found.get('StackStatusReason', '')}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it is not gone after {REMOVAL_PATIENCE:.0f} s")
            time.sleep(1)
        # Lambda makes log groups for functions of CDK's own, and no stack deletes them. And in the local cloud, one
        # that CloudFormation has deleted comes back with the last line of a function that was running.
        logs = self.client("logs")
        for prefix in (f"/aws/lambda/{one['name']}-", f"/aws/cloudformation/{one['name']}/"):
            for group in logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]:
                logs.delete_log_group(logGroupName=group["logGroupName"])

    def _stack(self, name: str) -> Mapping[str, str] | None:
        """What CloudFormation says of a stack, or None when there is none."""
        try:
            found: Mapping[str, str] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as problem:
            if problem.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        return found

    def _remove_bucket(self, one: Mapping[str, str]) -> None:
        s3 = self.client("s3", one["region"])
        while True:
            page = s3.list_object_versions(Bucket=one["name"])
            listed = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if not listed:
                break
            objects = [{"Key": it["Key"], "VersionId": it["VersionId"]} for it in listed]
            s3.delete_objects(Bucket=one["name"], Delete={"Objects": objects, "Quiet": True})
        s3.delete_bucket(Bucket=one["name"])

    def _remove_role(self, one: Mapping[str, str]) -> None:
        iam, name = self.client("iam"), one["name"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)

    def _remove_topic(self, one: Mapping[str, str]) -> None:
        self.client("sns").delete_topic(TopicArn=one["name"])

    def _remove_queue(self, one: Mapping[str, str]) -> None:
        self.client("sqs").delete_queue(QueueUrl=one["name"])

    def _remove_subscription(self, one: Mapping[str, str]) -> None:
        self.client("sns").unsubscribe(SubscriptionArn=one["name"])

    def _remove_key(self, one: Mapping[str, str]) -> None:
        """Keys can't be deleted at once; seven days is the least, and they cost nothing meanwhile."""
        self.client("kms").schedule_key_deletion(KeyId=one["name"], PendingWindowInDays=7)


_REMOVERS: dict[str, Callable[[Account, Mapping[str, str]], None]] = {
    "stack": Account._remove_stack,
    "bucket": Account._remove_bucket,
    "role": Account._remove_role,
    "topic": Account._remove_topic,
    "queue": Account._remove_queue,
    "subscription": Account._remove_subscription,
    "key": Account._remove_key,
}

# What IAM and S3 answer while something new is not known everywhere yet, or something old is not gone everywhere.
NOT_YET = ("AccessDenied", "MalformedPolicyDocument", "InvalidParameterValue", "BucketNotEmpty", "OperationAborted")


def patient[T](call: Callable[[], T], seconds: float = 60) -> T:
    """What *call* returns, repeated while AWS says that something is not settled yet. Raises what it raises at last."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ClientError as problem:
            if problem.response["Error"]["Code"] not in NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(2)
