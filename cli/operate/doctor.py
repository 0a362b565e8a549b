"""The checks of `doctor`: whether account and region can run the stack, and whether every part is as deployed.

A check only reads. Its findings name the command that fixes a problem.
"""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from cli.core.stack import Stack, Target
from cli.operate import bucket
from cli.operate.dead_letters import depths
from cli.operate.findings import Check, Finding, aws, restore, run
from cli.status.blocked import Block
from cli.status.overview import overview
from cli.status.quota import DEFAULT_LIMIT, account_limit
from lambdas.model.blocking import RESULTS

# Regions with stored video, by the per-region quotas of its Get operations (AWS General Reference, "Amazon Rekognition
# endpoints and quotas"). Other regions have an endpoint for images alone, or none. us-gov-west-1 has stored video as
# well; it was never tried, and the patterns in Rekognition's own API model take topics and roles of the partition `aws`
# only.
REGIONS = (
    "us-east-1 us-east-2 us-west-1 us-west-2 ap-south-1 ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-2 "
    "ap-southeast-5 ap-southeast-7 eu-central-1 eu-west-1 eu-west-2 sa-east-1"
)


def examine(stack: Stack) -> Iterator[Finding]:
    """The findings about a deployed stack."""
    return run(stack, CHECKS)


def before_deploy(stack: Stack, name: str) -> Iterator[Finding]:
    """The findings about an existing bucket, for a stack that is not deployed yet.

    Args:
        stack: clients and target, without outputs.
        name: the bucket's.
    """
    found = [*run(stack, (credentials, region))]
    candidate = bucket.Candidate(stack, name)
    found += candidate.there(_account(stack))
    if not any(one.verdict == "wrong" for one in found):
        found += run(stack, (candidate.announcements, candidate.encryption, candidate.keeping))
    yield from found
    if not any(one.verdict == "wrong" for one in found):
        yield candidate.deploy(sure=not any(one.verdict == "unknown" for one in found))


def credentials(stack: Stack) -> Iterator[Finding]:
    """Credentials."""
    who = stack.client("sts").get_caller_identity()
    yield Finding("fine", "credentials", f"{who['Arn']} in account {who['Account']}")


def region(stack: Stack) -> Iterator[Finding]:
    """Region."""
    if stack.local:
        yield Finding("fine", "region", "the local cloud, whose endpoint speaks Rekognition Video's protocol")
    elif stack.region in REGIONS.split():
        yield Finding("fine", "region", f"{stack.region} offers Rekognition Video")
    elif stack.region == "us-gov-west-1":
        text = (
            "us-gov-west-1 offers Rekognition Video, but this project has not been tested in the partition aws-us-gov"
        )
        yield Finding("unknown", "region", text)
    else:
        yield Finding(
            "wrong",
            "region",
            f"{stack.region} does not offer Rekognition for stored video; {', '.join(REGIONS.split())} do",
            Target(region="us-east-1").deploy(),
        )


def deployed(stack: Stack) -> Iterator[Finding]:
    """Stack."""
    found = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    status = found["StackStatus"]
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        yield Finding("fine", "stack", f"{stack.name}: {status}")
    elif status.endswith("_IN_PROGRESS"):
        yield Finding("note", "stack", f"{stack.name}: {status}; run doctor again when that is done")
    else:
        fix = f"npx cdk rollback {stack.name}" if status.endswith("ROLLBACK_FAILED") else stack.target.deploy()
        yield Finding("wrong", "stack", f"{stack.name}: {status}", fix)


def announcements(stack: Stack) -> Iterator[Finding]:
    """Uploads are announced."""
    by = bucket.announced_by_eventbridge if _by_eventbridge(stack) else bucket.announced_by_notifications
    yield from by(stack, _arn(stack, "UploadsQueue"))


def _by_eventbridge(stack: Stack) -> bool:
    return stack.outputs.get("UploadsFrom") == "eventbridge"  # a stack from before this setting has no such output


def queue_policies(stack: Stack) -> Iterator[Finding]:
    """Queue policies."""
    account = _account(stack)
    topic = stack.output("JobFinishedTopic")
    uploads, whose = "s3.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account}}
    if _by_eventbridge(stack):
        partition = topic.split(":")[1]
        rules = f"arn:{partition}:events:{stack.region}:{account}:rule/*"
        uploads, whose = "events.amazonaws.com", {"ArnLike": {"aws:SourceArn": rules}}
    for name, service, condition in (
        ("UploadsQueue", uploads, whose),
        ("FinishedQueue", "sns.amazonaws.com", {"ArnEquals": {"aws:SourceArn": topic}}),
    ):
        subject = f"{service.partition('.')[0].upper()} may write to {name}"
        policy = _queue(stack, name, "Policy").get("Policy", "")
        statements = _statements(json.loads(policy) if policy else {})
        if any(_allows(one, service, "sqs:SendMessage") for one in statements):
            yield Finding("fine", subject, "its policy says so")
            continue
        grant = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": _arn(stack, name),
            "Condition": condition,
        }
        whole = json.dumps({"Version": "2012-10-17", "Statement": [*statements, grant]})
        yield Finding(
            "wrong",
            subject,
            "no statement of the queue's policy allows it, so nothing arrives",
            aws(
                stack, "sqs", "set-queue-attributes", "--queue-url", stack.output(name),
                "--attributes", json.dumps({"Policy": whole}),
            ),
        )  # fmt: skip


def subscriptions(stack: Stack) -> Iterator[Finding]:
    """Who hears of finished jobs."""
    topic = stack.output("JobFinishedTopic")
    pages = stack.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    heard = {one["Endpoint"] for page in pages for one in page["Subscriptions"]}
    function = _function(stack, "StartFunction")["FunctionArn"]
    for who, protocol, endpoint, extra in (
        ("finished queue", "sqs", _arn(stack, "FinishedQueue"), ["--attributes", "RawMessageDelivery=true"]),
        ("starting function", "lambda", function, []),
    ):
        subject = f"the {who} hears of finished jobs"
        if endpoint in heard:
            yield Finding("fine", subject, "subscribed")
        else:
            words = ["sns", "subscribe", "--topic-arn", topic, "--protocol", protocol]
            fix = aws(stack, *words, "--notification-endpoint", endpoint, *extra)
            yield Finding("wrong", subject, "it is not subscribed to the topic", fix)


def functions(stack: Stack) -> Iterator[Finding]:
    """Functions."""
    for name in ("StartFunction", "CollectFunction"):
        found = _function(stack, name)
        state, updated = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        if state not in ("Active", "Inactive") or updated == "Failed":
            why = found.get("StateReason") or found.get("LastUpdateStatusReason") or ""
            yield Finding("wrong", name, f"{state}, last update {updated} {why}", restore(stack))
            continue
        reserved = _reserved(stack, stack.output(name))
        if reserved == 0:
            fix = aws(stack, "lambda", "delete-function-concurrency", "--function-name", stack.output(name))
            yield Finding("wrong", name, "its concurrency is 0: it is switched off", fix)
        else:
            yield Finding("fine", name, f"{state}, {found['MemorySize']} MB, {found['Timeout']} s")


def _reserved(stack: Stack, function: str) -> int | None:
    try:
        answer = stack.client("lambda").get_function_concurrency(FunctionName=function)
    except (ClientError, BotoCoreError):
        return None
    reserved: int | None = answer.get("ReservedConcurrentExecutions")
    return reserved


def mappings(stack: Stack) -> Iterator[Finding]:
    """Event source mappings."""
    for queue, function in (("UploadsQueue", "StartFunction"), ("FinishedQueue", "CollectFunction")):
        subject = f"{function} reads {queue}"
        arn = _arn(stack, queue)
        # Listed by function and compared here: not every endpoint filters by queue.
        known = stack.client("lambda").list_event_source_mappings(FunctionName=stack.output(function))
        found = [one for one in known["EventSourceMappings"] if one["EventSourceArn"] == arn]
        if not found:
            words = ["lambda", "create-event-source-mapping", "--function-name", stack.output(function)]
            more = ["--function-response-types", "ReportBatchItemFailures", "--batch-size", "1"]
            yield Finding(
                "wrong", subject, "nothing reads the queue", aws(stack, *words, "--event-source-arn", arn, *more)
            )
        elif found[0].get("State") in ("Enabled", "Enabling", "Updating", "Creating"):
            yield Finding("fine", subject, found[0]["State"])
        else:
            fix = aws(stack, "lambda", "update-event-source-mapping", "--uuid", found[0]["UUID"], "--enabled")
            yield Finding("wrong", subject, f"its event source mapping is {found[0].get('State')}", fix)


def tick(stack: Stack) -> Iterator[Finding]:
    """The minute tick."""
    events, name = stack.client("events"), stack.output("TickRule")
    rule = events.describe_rule(Name=name)
    if rule["State"] != "ENABLED":
        yield Finding(
            "wrong",
            "the tick",
            "it is disabled: silent jobs are not polled, stale claims not released, and starting may stop",
            aws(stack, "events", "enable-rule", "--name", name),
        )
        return
    function = _function(stack, "StartFunction")["FunctionArn"]
    if not any(one["Arn"] == function for one in events.list_targets_by_rule(Rule=name)["Targets"]):
        words = ["events", "put-targets", "--rule", name, "--targets", f"Id=Target0,Arn={function}"]
        yield Finding("wrong", "the tick", "it does not call the starting function", aws(stack, *words))
        return
    yield Finding("fine", "the tick", f"{rule.get('ScheduleExpression', 'enabled')}, calls the starting function")


def publisher(stack: Stack) -> Iterator[Finding]:
    """The publisher role."""
    iam, name = stack.client("iam"), stack.output("PublisherRole").rsplit("/", 1)[-1]
    account, topic = _account(stack), stack.output("JobFinishedTopic")
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    if trouble := _trust_trouble(trust if isinstance(trust, dict) else json.loads(trust), account):
        wanted = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "rekognition.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                }
            ],
        }
        words = ["iam", "update-assume-role-policy", "--role-name", name, "--policy-document", json.dumps(wanted)]
        yield Finding("wrong", "Rekognition may take the publisher role", trouble, aws(stack, *words))
    else:
        yield Finding("fine", "Rekognition may take the publisher role", "for this account")
    granted = [
        one
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        for one in _statements(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
    ]
    managed = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    if any(_grants(one, "sns:Publish", topic) for one in granted):
        yield Finding("fine", "the publisher role may publish", "to the topic")
    elif managed:
        yield Finding(
            "unknown", "the publisher role may publish", "it has a managed policy, which doctor does not read"
        )
    else:
        wanted = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}],
        }
        words = ["iam", "put-role-policy", "--role-name", name, "--policy-name", "Publish"]
        fix = aws(stack, *words, "--policy-document", json.dumps(wanted))
        yield Finding(
            "wrong",
            "the publisher role may publish",
            "no policy allows it, so Rekognition sends no completion messages",
            fix,
        )


def _trust_trouble(trust: dict[str, Any], account: str) -> str:
    for one in _statements(trust):
        if not _allows(one, "rekognition.amazonaws.com", "sts:AssumeRole"):
            continue
        conditions = json.dumps(one.get("Condition", {}))
        if "SourceArn" in conditions or "sourcearn" in conditions:
            return "its trust policy names an aws:SourceArn, which stored video has not: Rekognition can't publish"
        if "SourceAccount" in conditions and account not in conditions:
            return "its trust policy names another account"
        return ""
    return "its trust policy does not name rekognition.amazonaws.com"


def converting(stack: Stack) -> Iterator[Finding]:
    """MediaConvert."""
    if not stack.converts:
        return
    try:
        stack.client("mediaconvert").list_jobs(MaxResults=1)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("AccessDenied", "AccessDeniedException"):
            text = "these credentials may not list its jobs (mediaconvert:ListJobs); the starting function perhaps may"
            yield Finding("unknown", "MediaConvert", text)
            return
        text = (
            f"it does not answer ({code}: {error.response['Error'].get('Message', '')}), and the setting convert is on"
        )
        yield Finding("wrong", "MediaConvert", text, stack.target.deploy("-c", "convert=off"))
    except EndpointConnectionError:
        text = f"{stack.region} has no endpoint of MediaConvert, or it can't be reached; the setting convert is on"
        yield Finding("wrong", "MediaConvert", text, stack.target.deploy("-c", "convert=off"))
    else:
        yield Finding("fine", "MediaConvert", "it answers")


def slots(stack: Stack) -> Iterator[Finding]:
    """Slots."""
    limit, source = account_limit(stack)
    if limit is None:
        yield Finding("fine" if stack.local else "unknown", "slots", source)
    elif limit < DEFAULT_LIMIT:
        yield Finding("note", "slots", f"{limit} jobs at a time, fewer than AWS's usual {DEFAULT_LIMIT} ({source})")
    else:
        yield Finding("fine", "slots", f"{limit} jobs at a time ({source})")


def dead_letters(stack: Stack) -> Iterator[Finding]:
    """Dead letters."""
    waits = depths(stack)
    dead = waits["uploads dead"] + waits["finished dead"]
    if dead:
        yield Finding("wrong", "dead letters", f"there are {dead}", stack.target.command("redrive", "--dry-run"))
    else:
        yield Finding("fine", "dead letters", "none")


def backlog(stack: Stack) -> Iterator[Finding]:
    """Starting, and the jobs."""
    import time

    seen = overview(stack, time.time())
    if seen.scheduler.get("paused"):
        since = str(seen.scheduler.get("paused_at", "some time"))[:16].replace("T", " ")
        yield Finding("note", "starting", f"paused since {since} (UTC)", stack.target.command("resume"))
    elif not seen.blocks:
        yield Finding("fine", "starting", "neither paused nor blocked")
    for block in seen.blocks:
        yield Finding("wrong", "starting", block.sentence, _mend_block(stack, block))
    stuck = seen.stuck().statuses
    if stuck:
        yield Finding("wrong", "jobs", f"{len(stuck)} look stuck", stack.target.command("status", "--stuck"))
    else:
        yield Finding("fine", "jobs", ", ".join(f"{count:,} {state}" for state, count in seen.counts.items()) or "none")


def _mend_block(stack: Stack, block: Block) -> str:
    """The command to type next: deploy, or show the collecting function's log."""
    if block.scope == RESULTS:
        return aws(stack, "logs", "tail", stack.output("CollectLogs"), "--since", "1h")
    return restore(stack)


CHECKS: tuple[Check, ...] = (
    credentials,
    region,
    deployed,
    announcements,
    bucket.encrypted,
    queue_policies,
    functions,
    mappings,
    publisher,
    subscriptions,
    tick,
    converting,
    slots,
    dead_letters,
    backlog,
)


def _queue(stack: Stack, output: str, *attributes: str) -> dict[str, str]:
    answer: dict[str, str] = (
        stack.client("sqs")
        .get_queue_attributes(QueueUrl=stack.output(output), AttributeNames=list(attributes))
        .get("Attributes", {})
    )
    return answer


def _arn(stack: Stack, output: str) -> str:
    return _queue(stack, output, "QueueArn")["QueueArn"]


def _account(stack: Stack) -> str:
    return str(stack.client("sts").get_caller_identity()["Account"])


def _function(stack: Stack, output: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.client("lambda").get_function_configuration(FunctionName=stack.output(output))
    return found


def _statements(policy: Any) -> list[dict[str, Any]]:
    policy = json.loads(policy) if isinstance(policy, str) else policy
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _allows(statement: dict[str, Any], service: str, action: str) -> bool:
    principal = statement.get("Principal", {})
    services = _list(principal.get("Service", [])) if isinstance(principal, dict) else _list(principal)
    return statement.get("Effect") == "Allow" and service in services and _does(statement, action)


def _grants(statement: dict[str, Any], action: str, resource: str) -> bool:
    fits = any(one in ("*", resource) for one in _list(statement.get("Resource", [])))
    return statement.get("Effect") == "Allow" and fits and _does(statement, action)


def _does(statement: dict[str, Any], action: str) -> bool:
    named = {one.lower() for one in _list(statement.get("Action", []))}
    return bool(named & {action.lower(), action.split(":")[0].lower() + ":*", "*"})


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
