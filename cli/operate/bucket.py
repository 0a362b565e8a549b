"""The videos bucket, as it is: who announces its uploads, which key encrypts it, what it keeps.

With a bucket that was there before the stack, all of that is up to its owner, so `before_deploy` looks at it first.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.core.stack import Stack
from cli.operate.findings import Finding, aws, restore

EVENTBRIDGE = "EventBridgeConfiguration"  # in a bucket's notifications: everything goes to EventBridge as well
ANNOUNCED = "uploads are announced"
ENCRYPTION = "the bucket's encryption"
# S3 User Guide, "Default encryption FAQ": what a bucket does of which GetBucketEncryption knows nothing.
S3_MANAGED = "AES256"


@dataclass(frozen=True, slots=True)
class Encryption:
    """What a bucket encrypts new objects with: S3's own keys, or a KMS key.

    Attributes:
        kms: whether it is a KMS key, so that ETags are no MD5 of the content.
        key_arn: the customer's KMS key of which a reader needs ``kms:Decrypt``; None if there is none: S3's own keys,
            or AWS's key ``aws/s3``, which whoever may read the bucket may use.
        trouble: why the key can't be used or isn't known; empty if all is well.
    """

    kms: bool = False
    key_arn: str | None = None
    trouble: str = ""


# notifications


def notifications(stack: Stack, bucket: str) -> dict[str, Any]:
    """A bucket's notifications, whole: whatever is put back replaces all of it, kinds that we don't know included."""
    answer = stack.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def put_notifications(stack: Stack, bucket: str, wanted: Mapping[str, Any]) -> str:
    """The command that makes `wanted` a bucket's notifications."""
    words = ["s3api", "put-bucket-notification-configuration", "--bucket", bucket]
    return aws(stack, *words, "--notification-configuration", json.dumps(wanted))


def other_destinations(known: Mapping[str, Any], queue: str | None = None) -> list[str]:
    """Who else hears of new objects, by S3's own notifications: ARN and, in brackets, the filter.

    S3 takes no two destinations for one event of one object, and ours would be for every object. So any of these makes
    S3 refuse ours (User Guide, "Configuring event notifications using object key name filtering").
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
    """Whether S3 tells the uploads queue of new objects itself."""
    known = notifications(stack, stack.videos)
    for one in known.get("QueueConfigurations", []):
        if one["QueueArn"] == queue and any(event.startswith("s3:ObjectCreated") for event in one["Events"]):
            yield Finding("fine", ANNOUNCED, f"by {stack.videos} to the uploads queue")
            return
    text = f"{stack.videos} does not tell the uploads queue of new videos"
    if others := other_destinations(known, queue):
        text += f"; it tells {_and(others)}, and S3 refuses a second destination for the same event"
        yield Finding("wrong", ANNOUNCED, text, stack.target.deploy("-c", "uploads_from=eventbridge"))
        return
    ours = {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
    wanted = {**known, "QueueConfigurations": [*known.get("QueueConfigurations", []), ours]}
    yield Finding("wrong", ANNOUNCED, text, put_notifications(stack, stack.videos, wanted))


def announced_by_eventbridge(stack: Stack, queue: str) -> Iterator[Finding]:
    """Whether S3 sends the bucket's events to EventBridge, and a rule there sends them to the uploads queue."""
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
    """Whether a rule is for objects that are created in that bucket, or in any."""
    detail = pattern.get("detail", {}).get("bucket", {}).get("name", [bucket])
    return "Object Created" in pattern.get("detail-type", ["Object Created"]) and bucket in detail


# encryption


def encryption(stack: Stack, bucket: str) -> Encryption:
    """What new objects of a bucket are encrypted with, unless an uploader says otherwise."""
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
    try:  # S3 keeps what it was told: an id, an alias, an ARN; a policy needs the key's ARN
        found = stack.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else type(error).__name__
        known = key if key.startswith("arn:") and ":key/" in key else None
        return Encryption(kms=True, key_arn=known, trouble=f"KMS does not tell of the key {key} ({code})")
    if found.get("KeyManager") == "AWS":
        return Encryption(kms=True)
    state = found.get("KeyState", "Enabled")
    trouble = "" if state == "Enabled" else f"the key is {state}, so nothing encrypted with it can be read"
    return Encryption(kms=True, key_arn=found["Arn"], trouble=trouble)


SAME = "the same content again"
ONCE = "with KMS, ETags are no MD5 of the content: the same content uploaded again is analysed, and billed, again"


def encrypted(stack: Stack) -> Iterator[Finding]:
    """The bucket's encryption."""
    known = encryption(stack, stack.videos)
    setting = stack.outputs.get("VideosKeyArn", "")
    wanted = known.key_arn or ""
    if known.trouble:
        yield Finding("unknown" if not wanted else "wrong", ENCRYPTION, known.trouble)
    elif wanted and wanted != setting and not _may_decrypt(stack, wanted):
        text = f"{stack.videos} encrypts with {wanted}, which the starting function may not use: nothing can be read"
        fix = restore(stack) if _own(stack) else stack.target.deploy("-c", f"videos_key_arn={wanted}")
        yield Finding("wrong", ENCRYPTION, text, fix)
    elif setting and not wanted:
        text = f"{stack.videos} does not encrypt with the setting's videos_key_arn by default; older objects may"
        yield Finding("note", ENCRYPTION, text)
    else:
        yield Finding("fine", ENCRYPTION, f"by {wanted or 'keys of AWS'}")
    if known.kms:
        yield Finding("note", SAME, ONCE)


def _own(stack: Stack) -> bool:
    """Whether the stack has made the bucket, so that its key is not up to a setting but was changed by hand."""
    try:
        made = stack.client("cloudformation").describe_stack_resources(StackName=stack.name)["StackResources"]
    except ClientError:
        return False
    return any(one.get("PhysicalResourceId") == stack.videos for one in made)


def _may_decrypt(stack: Stack, key: str) -> bool:
    """Whether the starting function's role is granted that key: so it is with the stack's own bucket and key."""
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
    """A bucket to take videos from, and the settings that a stack needs for it."""

    stack: Stack  # not deployed: clients, and where
    bucket: str
    settings: dict[str, str] = field(default_factory=dict)

    def there(self, account: str) -> Iterator[Finding]:
        """Whether it exists, whose it is and where; raises nothing, and says "wrong" where no setting helps."""
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
                text = f"{self.bucket} is another account's, or these credentials may not list it ({code})"
                yield Finding("wrong", "bucket", text)
                return
        home = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        if home and home != self.stack.region:
            text = f"{self.bucket} is in {home}, and the stack would be in {self.stack.region}; it must be the same"
            yield Finding("wrong", "bucket", text, self._again(home))
            return
        try:
            s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=account)
        except ClientError as error:
            if str(error.response["Error"].get("Code")) not in ("403", "AccessDenied"):
                raise
            yield Finding("wrong", "bucket", f"{self.bucket} belongs to another account than {account}")
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
                f"it announces new objects to {_and(others)}, and S3 refuses a second destination for the same event; "
                "the stack can hear of them by EventBridge (setting uploads_from=eventbridge)"
            )
            yield Finding("note", ANNOUNCED, text)
        else:
            yield Finding("fine", ANNOUNCED, "new objects are announced to no other destination")
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
                "fine", ENCRYPTION, "by keys of AWS, which need no setting; older objects may have another key"
            )
        if known.kms:
            yield Finding("note", SAME, ONCE)

    def keeping(self, _: Stack) -> Iterator[Finding]:
        """What the bucket keeps."""
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
        text = f"on; {f'every object is kept for {term} ({rule["Mode"]})' if rule else 'single objects may be locked'}"
        yield Finding("note", "object lock", f"{text}, and delete can't delete what is locked")

    def deploy(self, *, sure: bool) -> Finding:
        """The command that deploys a stack for this bucket; not `sure` if something could not be looked at."""
        settings = {"videos_bucket": self.bucket, **self.settings}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        fix = self.stack.target.deploy(*words)
        text = "with these settings; written into cdk.json they hold for later deploys too"
        if sure:
            return Finding("fine", "deploy", text, fix)
        return Finding("note", "deploy", f"{text}. What could not be looked at may need more of them", fix)


def _and(names: list[str]) -> str:
    return " and ".join(names)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
