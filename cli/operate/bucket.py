"""Checks of the videos bucket: its notifications, its encryption, its versioning and locks.

The owner of an existing bucket decides all of that, so `before_deploy` checks it before a stack is deployed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.core.stack import Stack
from cli.operate.findings import Finding, aws, restore

EVENTBRIDGE = "EventBridgeConfiguration"  # present in a bucket's notifications if S3 sends its events to EventBridge
ANNOUNCED = "uploads are announced"
ENCRYPTION = "the bucket's encryption"
# The default where GetBucketEncryption finds no configuration (S3 User Guide, "Default encryption FAQ").
S3_MANAGED = "AES256"


@dataclass(frozen=True, slots=True)
class Encryption:
    """What a bucket encrypts new objects with: S3's own keys, or a KMS key.

    Attributes:
        kms: whether it is a KMS key; then ETags are not the MD5 of the content.
        key_arn: the customer's KMS key, for which a reader needs ``kms:Decrypt``; None with S3's own keys, or with
            AWS's key ``aws/s3``, which everyone who may read the bucket may use.
        trouble: why the key is unusable or unknown; empty if it is fine.
    """

    kms: bool = False
    key_arn: str | None = None
    trouble: str = ""


# notifications


def notifications(stack: Stack, bucket: str) -> dict[str, Any]:
    """A bucket's whole notification configuration, with unknown members: a put replaces all of it."""
    answer = stack.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def put_notifications(stack: Stack, bucket: str, wanted: Mapping[str, Any]) -> str:
    """The command that makes `wanted` a bucket's notifications."""
    words = ["s3api", "put-bucket-notification-configuration", "--bucket", bucket]
    return aws(stack, *words, "--notification-configuration", json.dumps(wanted))


def other_destinations(known: Mapping[str, Any], queue: str | None = None) -> list[str]:
    """Other destinations that S3 notifies of new objects: ARN and, in brackets, the filter.

    S3 accepts only one destination per event and object, and ours is for every object. So each of these makes S3 refuse
    ours (User Guide, "Configuring event notifications using object key name filtering").
    """
    found = []
    for name, configurations in known.items():
        for one in configurations if name.endswith("Configurations") else ():
            arn = next((value for key, value in one.items() if key.endswith("Arn")), "another destination")
            if arn == queue or not any(event.startswith("s3:ObjectCreated") for event in one.get("Events", [])):
                continue
            rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", [])
            only = ", ".join(f"{rule['Name'].lower()} {rule['Value']}" for rule in rules)
            found.append(f"{arn} ({only})" if only else arn)
    return found


def announced_by_notifications(stack: Stack, queue: str) -> Iterator[Finding]:
    """Check that S3 notifies the uploads queue of new objects."""
    known = notifications(stack, stack.videos)
    for one in known.get("QueueConfigurations", []):
        if one["QueueArn"] == queue and any(event.startswith("s3:ObjectCreated") for event in one["Events"]):
            yield Finding("fine", ANNOUNCED, f"by {stack.videos} to the uploads queue")
            return
    text = f"{stack.videos} does not notify the uploads queue of new videos"
    if others := other_destinations(known, queue):
        text += f"; it notifies {_and(others)}, and S3 refuses a second destination for the same event"
        yield Finding("wrong", ANNOUNCED, text, stack.target.deploy("-c", "uploads_from=eventbridge"))
        return
    ours = {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
    wanted = {**known, "QueueConfigurations": [*known.get("QueueConfigurations", []), ours]}
    yield Finding("wrong", ANNOUNCED, text, put_notifications(stack, stack.videos, wanted))


def announced_by_eventbridge(stack: Stack, queue: str) -> Iterator[Finding]:
    """Check that S3 sends the bucket's events to EventBridge, and that a rule sends them to the uploads queue."""
    known = notifications(stack, stack.videos)
    if EVENTBRIDGE not in known:
        yield Finding(
            "wrong",
            ANNOUNCED,
            f"{stack.videos} does not send its events to EventBridge",
            put_notifications(stack, stack.videos, {**known, EVENTBRIDGE: {}}),
        )
        return
    events = stack.client("events")
    rules = [events.describe_rule(Name=name) for name in events.list_rule_names_by_target(TargetArn=queue)["RuleNames"]]
    mine = [rule for rule in rules if _matches(json.loads(rule.get("EventPattern") or "{}"), stack.videos)]
    enabled = [rule for rule in mine if rule["State"].startswith("ENABLED")]
    if enabled:
        yield Finding("fine", ANNOUNCED, f"by {stack.videos} to EventBridge, and by {enabled[0]['Name']} to the queue")
    elif mine:
        fix = aws(stack, "events", "enable-rule", "--name", mine[0]["Name"])
        yield Finding("wrong", ANNOUNCED, f"the rule {mine[0]['Name']} is disabled", fix)
    else:
        text = f"no EventBridge rule sends new objects of {stack.videos} to the uploads queue"
        yield Finding("wrong", ANNOUNCED, text, restore(stack))


def _matches(pattern: Mapping[str, Any], bucket: str) -> bool:
    """Whether a rule matches new objects in that bucket."""
    detail = pattern.get("detail", {}).get("bucket", {}).get("name", [bucket])
    return "Object Created" in pattern.get("detail-type", ["Object Created"]) and bucket in detail


# encryption


def encryption(stack: Stack, bucket: str) -> Encryption:
    """A bucket's default encryption."""
    try:
        answer = stack.client("s3").get_bucket_encryption(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ServerSideEncryptionConfigurationNotFoundError":
            raise
        return Encryption()
    for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        if default.get("SSEAlgorithm", S3_MANAGED) != S3_MANAGED:
            return _kms(stack, default.get("KMSMasterKeyID"))
    return Encryption()


def _kms(stack: Stack, key: str | None) -> Encryption:
    if not key:  # AWS's own key for S3
        return Encryption(kms=True)
    try:  # S3 stores what its owner gave: an id, an alias or an ARN; a policy needs the key's ARN
        found = stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else type(error).__name__
        known = key if key.startswith("arn:") and ":key/" in key else None
        return Encryption(kms=True, key_arn=known, trouble=f"KMS does not describe the key {key} ({code})")
    if found.get("KeyManager") == "AWS":
        return Encryption(kms=True)
    state = found.get("KeyState", "Enabled")
    trouble = "" if state == "Enabled" else f"the key is {state}, so objects encrypted with it are unreadable"
    return Encryption(kms=True, key_arn=found["Arn"], trouble=trouble)


SAME = "the same content again"
ONCE = "with KMS, ETags don't depend on the content alone: the same content uploaded again is analysed and billed again"


def encrypted(stack: Stack) -> Iterator[Finding]:
    """The bucket's encryption."""
    known = encryption(stack, stack.videos)
    setting = stack.outputs.get("VideosKeyArn", "")
    wanted = known.key_arn or ""
    if known.trouble:
        yield Finding("unknown" if not wanted else "wrong", ENCRYPTION, known.trouble)
    elif wanted and wanted != setting and not _may_decrypt(stack, wanted):
        text = (
            f"{stack.videos} encrypts with {wanted}, which the starting function may not use: it can't read any video"
        )
        fix = restore(stack) if _own(stack) else stack.target.deploy("-c", f"videos_key_arn={wanted}")
        yield Finding("wrong", ENCRYPTION, text, fix)
    elif setting and not wanted:
        text = f"{stack.videos} does not encrypt with the key of videos_key_arn by default; older objects may"
        yield Finding("note", ENCRYPTION, text)
    else:
        yield Finding("fine", ENCRYPTION, f"by {wanted or "AWS's keys"}")
    if known.kms:
        yield Finding("note", SAME, ONCE)


def _own(stack: Stack) -> bool:
    """Whether the stack created the bucket; then its key comes from no setting, and a wrong one was set by hand."""
    try:
        made = stack.client("cloudformation").describe_stack_resources(StackName=stack.name)["StackResources"]
    except ClientError:
        return False
    return any(one.get("PhysicalResourceId") == stack.videos for one in made)


def _may_decrypt(stack: Stack, key: str) -> bool:
    """Whether the starting function's role has a grant for that key, as it has for the stack's own."""
    role = stack.client("lambda").get_function_configuration(FunctionName=stack.output("StartFunction"))["Role"]
    iam, name = stack.client("iam"), role.rsplit("/", 1)[-1]
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        for one in _list(document.get("Statement", [])):
            actions, resources = _list(one.get("Action", [])), _list(one.get("Resource", []))
            if one.get("Effect") == "Allow" and "kms:Decrypt" in actions and {key, "*"} & set(resources):
                return True
    return False


# before there is a stack


@dataclass
class Candidate:
    """An existing bucket for videos, and the settings that a stack needs for it."""

    stack: Stack  # not deployed: clients and target only
    bucket: str
    settings: dict[str, str] = field(default_factory=dict)

    def there(self, account: str) -> Iterator[Finding]:
        """Check that the bucket exists, and its owner and region; "wrong" where no setting helps."""
        s3 = self.stack.client("s3")
        try:
            answer = s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            answer = error.response
            code = str(answer["Error"].get("Code"))
            if code in ("404", "NoSuchBucket"):
                yield Finding("wrong", "bucket", f"there is no bucket {self.bucket}")
                return
            if code not in ("301", "PermanentRedirect", "400", "BadRequest"):
                text = f"{self.bucket} belongs to another account, or these credentials may not list it ({code})"
                yield Finding("wrong", "bucket", text)
                return
        home = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        if home and home != self.stack.region:
            text = (
                f"{self.bucket} is in {home}, and the stack would be in {self.stack.region}; both must be in one region"
            )
            yield Finding("wrong", "bucket", text, self._again(home))
            return
        try:
            s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=account)
        except ClientError as error:
            if str(error.response["Error"].get("Code")) not in ("403", "AccessDenied"):
                raise
            yield Finding("wrong", "bucket", f"{self.bucket} does not belong to account {account}")
            return
        yield Finding("fine", "bucket", f"{self.bucket} is in {self.stack.region} and belongs to account {account}")

    def _again(self, region: str) -> str:
        from dataclasses import replace

        return replace(self.stack.target, region=region).command("doctor", "--before-deploy", self.bucket)

    def announcements(self, _: Stack) -> Iterator[Finding]:
        """How uploads can be announced."""
        known = notifications(self.stack, self.bucket)
        if others := other_destinations(known):
            self.settings["uploads_from"] = "eventbridge"
            text = (
                f"it notifies {_and(others)} of new objects, and S3 refuses a second destination for the same event; "
                "the stack can get them from EventBridge (setting uploads_from=eventbridge)"
            )
            yield Finding("note", ANNOUNCED, text)
        else:
            yield Finding("fine", ANNOUNCED, "it notifies no other destination of new objects")
        state = "on" if EVENTBRIDGE in known else "off"
        needed = "; the deploy turns it on" if state == "off" and others else ""
        yield Finding("fine", "delivery to EventBridge", f"{state}{needed}")

    def encryption(self, _: Stack) -> Iterator[Finding]:
        """The bucket's encryption."""
        known = encryption(self.stack, self.bucket)
        if known.key_arn:
            self.settings["videos_key_arn"] = known.key_arn
        if known.trouble:
            yield Finding("wrong" if known.key_arn else "unknown", ENCRYPTION, known.trouble)
        elif known.key_arn:
            text = f"by {known.key_arn}, which the stack must be allowed to use (setting videos_key_arn)"
            yield Finding("note", ENCRYPTION, text)
        else:
            yield Finding(
                "fine", ENCRYPTION, "by AWS's keys, which need no setting; older objects may have another key"
            )
        if known.kms:
            yield Finding("note", SAME, ONCE)

    def keeping(self, _: Stack) -> Iterator[Finding]:
        """Versioning and locks."""
        s3 = self.stack.client("s3")
        versions = s3.get_bucket_versioning(Bucket=self.bucket).get("Status", "off").lower()
        yield Finding(
            "fine", "versioning", f"{versions}{'; delete deletes every version' if versions != 'off' else ''}"
        )
        try:
            lock = s3.get_object_lock_configuration(Bucket=self.bucket)["ObjectLockConfiguration"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
                raise
            yield Finding("fine", "object lock", "off")
            return
        rule = lock.get("Rule", {}).get("DefaultRetention", {})
        term = f"{rule.get('Days') or rule.get('Years')} {'days' if 'Days' in rule else 'years'}" if rule else ""
        text = (
            f"on; {f'every object is kept for {term} ({rule["Mode"]})' if rule else 'objects may be locked one by one'}"
        )
        yield Finding("note", "object lock", f"{text}, and delete can't delete what is locked")

    def deploy(self, *, sure: bool) -> Finding:
        """The command that deploys a stack for this bucket; not `sure` if a check could not be made."""
        settings = {"videos_bucket": self.bucket, **self.settings}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        fix = self.stack.target.deploy(*words)
        text = "with these settings; write them into cdk.json to keep them for later deploys"
        if sure:
            return Finding("fine", "deploy", text, fix)
        return Finding(
            "note", "deploy", f"{text}. The checks that could not be made may show that it needs more settings", fix
        )


def _and(names: list[str]) -> str:
    return " and ".join(names)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
