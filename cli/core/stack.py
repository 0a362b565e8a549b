"""The deployed stack as an object: its region, its outputs, and a client for each service.

The outputs come from CloudFormation on AWS, and from ``.localcloud/`` in the local cloud of this checkout.
"""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cli.core.errors import NoCloud, NotThere, near
from cli.core.table import Table
from lambdas.model.budget import Limits
from lambdas.model.clock import Clock
from lambdas.model.routing import Route, Rules
from lambdas.model.shares import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.cloud import LocalCloud

STACK = "RekognitionBatch"
PROGRAM = "rekognition-batch"


@dataclass(frozen=True, slots=True)
class Target:
    """The stack that the user chose with --stack, --profile, --region and --local."""

    stack: str | None = None
    profile: str | None = None
    region: str | None = None
    local: bool = False

    def over(self, other: "Target") -> "Target":
        """`other`, overridden by the options that are set here."""
        return Target(
            self.stack or other.stack,
            self.profile or other.profile,
            self.region or other.region,
            self.local or other.local,
        )

    def command(self, *words: str) -> str:
        """The command line that runs another command on the same stack."""
        said = [("--stack", self.stack), ("--profile", self.profile), ("--region", self.region)]
        options = [word for name, value in said if value for word in (name, value)]
        return shlex.join([PROGRAM, *words, *options, *(["--local"] if self.local else [])])

    def deploy(self, *words: str) -> str:
        """The command line that deploys the same stack, with more options of `cdk deploy`."""
        if self.local:
            return "make cloud-stop; make cloud"
        # The app has two stacks, so cdk needs --all; cdk takes the region only from the environment.
        name = ["-c", f"stack_name={self.stack}"] if self.stack else []
        profile = ["--profile", self.profile] if self.profile else []
        region = f"AWS_REGION={shlex.quote(self.region)} " if self.region else ""
        return region + shlex.join(["npx", "cdk", "deploy", "--all", *words, *name, *profile])


class Stack:
    """One deployed stack.

    Args:
        name: of the CloudFormation stack.
        outputs: of that stack.
        make_client: makes a boto3 client of a service: ``make_client("s3", config=...)``.
        region: of the stack.
        local: whether it is in the local cloud of this checkout.
        target: the user's options, so that printed commands repeat them.
    """

    def __init__(
        self,
        name: str,
        outputs: Mapping[str, str],
        make_client: "Callable[..., Any]",
        *,
        region: str,
        local: bool = False,
        target: Target | None = None,
    ) -> None:
        self.name = name
        self.outputs = outputs
        self.region = region
        self.local = local
        self.target = target or Target()
        self._make_client = make_client
        self._clients: dict[str, Any] = {}

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of that service; without `options` always the same one."""
        if options:
            return self._make_client(service, **options)
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        return self._clients[service]

    def output(self, name: str) -> str:
        """An output's value.

        Raises:
            NoCloud: the stack has no output of that name.
        """
        if name not in self.outputs:
            raise NoCloud(
                f"The stack {self.name} has no output {name}: it was deployed by an older version.",
                self.target.deploy(),
            )
        return self.outputs[name]

    @property
    def videos(self) -> str:
        """The videos bucket's name."""
        return self.output("VideosBucket")

    @property
    def results(self) -> str:
        """The results bucket's name."""
        return self.output("ResultsBucket")

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions that the stack takes for videos: ``(".mp4", ".mov")``."""
        return tuple(self.output("VideoExtensions").lower().split(","))

    @property
    def converts(self) -> bool:
        """Whether the stack converts what Rekognition can't read (setting ``convert``)."""
        return self.outputs.get("Convert", "off") != "off"

    @cached_property
    def rules(self) -> Rules:
        """Which analyses an upload gets."""
        allowed = self.outputs.get("AllowedAnalyses", "none")
        return Rules(
            analyses=json.loads(self.output("Analyses")),
            routes=[
                Route(route["prefix"], route["analyses"], route.get("priority", LIVE))
                for route in json.loads(self.outputs.get("Routes", "[]"))
            ],
            uploads=self.outputs.get("UploadChoice", "none"),
            allowed=() if allowed == "none" else tuple(allowed.split(",")),
            share_by=self._shares["by"],
            weights=self._shares["weights"],
        )

    @property
    def _shares(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.outputs.get("Shares", '{"by": "", "weights": {}}'))
        return found

    @property
    def limits(self) -> Limits:
        """The month's budget."""
        found = json.loads(self.outputs.get("Budget", "{}"))
        return Limits(found.get("usd", 0.0), found.get("minutes", 0.0))

    @cached_property
    def table(self) -> Table:
        """The jobs table."""
        return Table(self.client("dynamodb"), self.output("JobsTable"), Clock(), self.rules.weights)

    def keys(self, prefix: str = "", most: int | None = None) -> Iterator[str]:
        """Keys of the videos bucket."""
        for found in self.objects(prefix):
            if most is not None and (most := most - 1) < 0:
                return
            yield found["Key"]

    def objects(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        """The objects in the videos bucket: ``Key``, ``Size``, ``ETag``, ``LastModified``."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.videos, Prefix=prefix)
        for page in pages:
            yield from page.get("Contents", [])

    def key(self, video: str) -> str:
        """The key for `video`, which is a key in the videos bucket or an s3:// address in it.

        Raises:
            NotThere: the address is in another bucket.
        """
        if not video.startswith("s3://"):
            return video
        bucket, _, key = video.removeprefix("s3://").partition("/")
        if bucket != self.videos or not key:
            raise NotThere(f"{video} is not in this stack's videos bucket.", f"s3://{self.videos}/KEY, or only KEY")
        return key

    def unknown(self, key: str) -> NotThere:
        """The error for an unknown video; it suggests similar keys."""
        keys = [*self.keys(most=1000), *(job.key for job in self.table.some(1000))]
        likely = near(key, keys)
        hint = self.target.command("status", likely[0]) if likely else self.target.command("status")
        meant = f" Did you mean {' or '.join(repr(one) for one in likely)}?" if likely else ""
        return NotThere(f"There is no video {key!r} in this stack.{meant}", hint)


def find(target: Target) -> Stack:
    """The stack of that target.

    Raises:
        NoCloud: the stack is unavailable; the message says why and what to type.
    """
    return _find_local(target) if target.local else _find_in_aws(target)


def anywhere(target: Target) -> Stack:
    """The target's account and region, with clients and without outputs: for commands that need no deployed stack.

    Raises:
        NoCloud: no region is chosen, or no local cloud is running.
    """
    if target.local:
        cloud = _local_cloud()
        return Stack(target.stack or STACK, {}, cloud.client, region=cloud.env["AWS_REGION"], local=True, target=target)
    client, region = _session(target)
    return Stack(target.stack or STACK, {}, client, region=region, local=_endpoint_is_here(), target=target)


def _local_cloud() -> "LocalCloud":
    from localcloud import dev_cloud
    from localcloud.cloud import CloudError, LocalCloud

    try:
        running = dev_cloud.state()
    except CloudError as problem:
        raise NoCloud(str(problem), "make cloud-status") from None
    if not running:
        raise NoCloud("No local cloud of this checkout is running.", "make cloud")
    cloud = LocalCloud(folder=dev_cloud.FOLDER)
    cloud.attach()
    return cloud


def _find_local(target: Target) -> Stack:
    from localcloud import dev_cloud

    cloud = _local_cloud()
    stacks = {name: outputs for name, outputs in dev_cloud.outputs().items() if "VideosBucket" in outputs}
    name = target.stack or (STACK if STACK in stacks else next(iter(stacks), STACK))
    if name not in stacks:
        raise NoCloud(f"The local cloud has no stack {name!r}; it has {', '.join(stacks) or 'none'}.", "make cloud")
    return Stack(name, stacks[name], cloud.client, region=cloud.env["AWS_REGION"], local=True, target=target)


def _session(target: Target) -> "tuple[Callable[..., Any], str]":
    """A function that makes clients for the target's profile and region, and that region."""
    import boto3
    from botocore.config import Config

    # As AWS's other tools do; boto3 doesn't read AWS_REGION by itself.
    region = target.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    session = boto3.Session(profile_name=target.profile, region_name=region)
    if not session.region_name:
        raise NoCloud("No AWS region is chosen.", _or_local("add --region eu-west-1, or: export AWS_REGION=eu-west-1"))
    make: Any = session.client
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, read_timeout=60)

    def client(service: str, **options: Any) -> Any:
        return make(service, config=config.merge(options.pop("config", Config())), **options)

    return client, session.region_name


def _find_in_aws(target: Target) -> Stack:
    from botocore.exceptions import ClientError, NoCredentialsError

    client, region = _session(target)
    name = target.stack or STACK
    try:
        [found] = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except NoCredentialsError:
        raise NoCloud("No AWS credentials were found.", _or_local("aws configure, or add --profile NAME")) from None
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        raise NoCloud(
            f"There is no stack {name} in {region}.",
            _or_local(f"{target.deploy()}   (or name another: --stack, --region, --profile)"),
        ) from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if "VideosBucket" not in outputs:
        raise NoCloud(f"The stack {name} ({found['StackStatus']}) is another project's, or only half deployed.")
    return Stack(name, outputs, client, region=region, local=_endpoint_is_here(), target=target)


def _endpoint_is_here() -> bool:
    """Whether the environment points every client at this machine (`. .localcloud/env`), without --local."""
    return urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in ("127.0.0.1", "localhost", "::1")


def _or_local(hint: str) -> str:
    """`hint`, plus how to use the local cloud if one is running and the environment names no endpoint."""
    from localcloud import dev_cloud, folders

    if "AWS_ENDPOINT_URL" not in os.environ and folders.alive(dev_cloud.FOLDER):
        return f"{hint}\na local cloud is running: add --local"
    return hint
