"""How many video jobs the account may run at the same time, and how many of them this stack runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from cli.core.stack import Stack
from cli.status.blocked import Block, blocks

CONCURRENT_JOBS = "L-A6079699"  # Service Quotas' code of "concurrent Amazon Rekognition Video stored video jobs"
DEFAULT_LIMIT = 20  # AWS General Reference, "Amazon Rekognition endpoints and quotas"


@dataclass(frozen=True, slots=True)
class Quota:
    """Slots in use and the account's limit."""

    running: int  # RUNNING jobs of this stack: each holds a slot
    collecting: int  # finished at Rekognition, results being written: no slot
    waiting: int
    converting: int  # MediaConvert makes a copy that Rekognition can read: no slot
    paused: bool
    blocked: Sequence[Block]  # what the scheduler doesn't start, and why
    refused_at: str | None  # when the service last said "no slot"
    limit: int | None
    limit_from: str  # the source of the limit, or why it is unknown


def read_quota(stack: Stack) -> Quota:
    """Count the jobs and ask Service Quotas for the limit."""
    table = stack.table
    limit, source = account_limit(stack)
    scheduler = table.scheduler()
    return Quota(
        running=sum(1 for _ in table.in_state("RUNNING")),
        collecting=sum(1 for _ in table.in_state("COLLECTING")),
        waiting=sum(1 for _ in table.in_state("WAITING")),
        converting=sum(1 for _ in table.in_state("CONVERTING")),
        paused=bool(scheduler.get("paused")),
        blocked=blocks(scheduler),
        refused_at=scheduler.get("refused_at"),
        limit=limit,
        limit_from=source,
    )


def account_limit(stack: Stack) -> tuple[int | None, str]:
    """The account's limit in this region and its source; None and the reason if Service Quotas doesn't answer."""
    if stack.local:
        return None, "the local cloud has no Service Quotas; its endpoint has 20 slots by default"
    try:
        quotas = stack.client("service-quotas")
        try:
            answer = quotas.get_service_quota(ServiceCode="rekognition", QuotaCode=CONCURRENT_JOBS)
            source = f"Service Quotas, {CONCURRENT_JOBS}"
        except quotas.exceptions.NoSuchResourceException:
            answer = quotas.get_aws_default_service_quota(ServiceCode="rekognition", QuotaCode=CONCURRENT_JOBS)
            source = f"AWS's default, {CONCURRENT_JOBS}; this account has none of its own"
    except (ClientError, BotoCoreError) as error:
        return None, f"Service Quotas does not answer ({_code(error)}); AWS's default is {DEFAULT_LIMIT}"
    return int(answer["Quota"]["Value"]), source


def _code(error: Exception) -> str:
    return str(error.response["Error"].get("Code")) if isinstance(error, ClientError) else type(error).__name__
