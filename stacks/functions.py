"""Defaults shared by the functions, so that what differs is all that is visible where they are declared."""

from collections.abc import Mapping

from aws_cdk import Duration, Stack, aws_iam as iam, aws_kms as kms, aws_lambda as lambda_, aws_logs as logs
from constructs import Construct

from stacks.bundle import bundle
from stacks.settings import Settings


class Handler(lambda_.Function):
    """One function of ``lambdas/``, with a role and a log group of its own."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        handler: str,
        *,
        settings: Settings,
        key: kms.IKey | None,
        description: str,
        memory: int,
        timeout: Duration,
        environment: Mapping[str, str],
        recursive_loop: lambda_.RecursiveLoop | None = None,
    ) -> None:
        log_group = logs.LogGroup(
            scope,
            f"{id}Logs",
            removal_policy=settings.removal_policy,
            encryption_key=key,
        )
        # By number: CDK's L2 property takes its enumeration only.
        log_group.node.default_child.retention_in_days = settings.log_retention_days  # type: ignore[union-attr]
        # Not the managed policy that CDK would attach: it lets a function write to every log group there is.
        role = iam.Role(
            scope, f"{id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=description
        )
        log_group.grant_write(role)
        super().__init__(
            scope,
            id,
            description=description,
            code=lambda_.Code.from_asset(bundle()),
            handler=handler,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=memory,
            timeout=timeout,
            role=role,
            log_group=log_group,
            environment={
                **environment,
                "POWERTOOLS_SERVICE_NAME": Stack.of(scope).stack_name,
            },
            environment_encryption=key,
            recursive_loop=recursive_loop,
        )
