"""One local cloud, from start to end.

    with LocalCloud() as cloud:
        cloud.client("s3").upload_file("clip.mp4", cloud.outputs["VideosBucket"], "clip.mp4")

Starts the emulator and the Rekognition endpoint (MediaConvert's at the first call to it), bootstraps, and deploys the
stack that `cdk deploy` would send to AWS. When the block ends, by whatever cause, no process and no file of it is left
(`supervisor.py` sees to that). Any number of them can run at the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from localcloud import cdk, folders, ports
from localcloud.child_guard import ChildGuard, let_go
from localcloud.supervisor import CHECKOUT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    # Called with a step's name when it begins and, with True, when it is done. Steps overlap.
    Progress = Callable[[str, bool], None]

STEPS = ("Synthesize the stack", "Start the cloud", "Bootstrap", "Deploy")


class CloudError(Exception):
    """The local cloud is unavailable; the message says why and what to do."""


class LocalCloud:
    """What it was started with, and once entered: `env`, `outputs`, `client`, `rekognition_url`, `logs`."""

    def __init__(
        self,
        *,
        context: Mapping[str, str] | None = None,
        rekognition_endpoint: str | None = None,
        endpoint_options: Sequence[str] = (),
        port: int = 0,
        folder: Path | None = None,
        deploy: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.folder = folder or folders.fresh()
        self.stacks: dict[str, dict[str, str]] = {}
        self._context = dict(context or {})
        self._rekognition_endpoint = checked_url(rekognition_endpoint) if rekognition_endpoint else None
        self._endpoint_options = list(endpoint_options)
        self._port = port
        self._deploy = deploy
        self._progress = progress or (lambda _step, _done: None)
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._guards: list[ChildGuard] = []
        self._closed = False
        self._state: dict[str, Any] = {}

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point any AWS client at this cloud."""
        return {
            "AWS_ENDPOINT_URL": str(self._state["aws_endpoint"]),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of the stack that takes videos, whatever its name."""
        return next(found for found in self.stacks.values() if "VideosBucket" in found)

    @property
    def rekognition_url(self) -> str:
        """The endpoint itself, past the emulator and its IAM: for `/_jobs`, `/_faults`, `/_stats`."""
        return str(self._state["rekognition_url"])

    @property
    def mediaconvert_url(self) -> str:
        """MediaConvert's endpoint itself, for `/_jobs` and `/_faults`; starts it."""
        self.client("mediaconvert").describe_endpoints()
        return (self.folder / "mediaconvert-url").read_text().strip()

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client for this cloud, whatever profile, endpoints and proxies the user has configured."""
        import boto3
        import botocore.session
        from botocore.config import Config

        nothing = (None, None, None, None)
        core = botocore.session.Session(
            {"profile": nothing, "config_file": (None, None, os.devnull, None), "credentials_file": nothing}
        )
        session = boto3.Session("test", "test", region_name=REGION, botocore_session=core)
        config = Config(proxies={}).merge(options.pop("config", Config()))
        make: Any = session.client
        return make(service, endpoint_url=self.env["AWS_ENDPOINT_URL"], config=config, **options)

    def logs(self, lines: int = 40) -> str:
        """The last lines of all logs: emulator, endpoint, CDK."""
        parts = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(f"--- {path.name}\n{ports.tail(path, lines)}" for path in parts)

    def function_logs(self, function: str = "") -> list[str]:
        """What the functions whose log group's name contains this have written, in order of time."""
        logs = self.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        pages = (
            page
            for group in groups
            if function in group
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        )
        events = sorted((event for page in pages for event in page["events"]), key=lambda event: event["timestamp"])
        return [event["message"].rstrip() for event in events]

    def lambda_workers(self, function: str = "") -> list[int]:
        """Process ids of the Lambda workers whose function's name contains this. Killing one is a crash mid-flight."""
        listing = subprocess.run(["ps", "-axwwo", "pid=,command="], capture_output=True, text=True, check=True).stdout
        prefix = str(self.folder / "tmp/ministack-lambda-")
        return [
            int(pid)
            for pid, _, command in (line.strip().partition(" ") for line in listing.splitlines())
            if prefix in command and function in command.split(prefix, 1)[1] and "child_guard" not in command
        ]

    @contextlib.contextmanager
    def without_rekognition(self) -> Iterator[None]:
        """For the length of the block nothing answers Rekognition calls; the jobs that run there run on."""
        file = self.folder / "rekognition-url"
        ports.write(file, f"http://127.0.0.1:{ports.free_port()}")
        try:
            yield
        finally:
            ports.write(file, self.rekognition_url)

    # --- beginning and end ---

    def __enter__(self) -> LocalCloud:
        try:
            self.start()
        except BaseException:  # Ctrl-C above all: __exit__ is only called for what has been entered
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        require_tools()
        folders.sweep()
        folders.clear(self.folder)
        with ThreadPoolExecutor(1) as pool:
            try:
                self._run_supervisor()
                # The two long parts run in parallel: building the app, and starting the emulator.
                assembly = pool.submit(self._synthesize) if self._deploy else None
                self._wait_for_cloud()
                if assembly:
                    with self._step("Bootstrap"):
                        cdk.bootstrap(self.env, self.folder, self._hold)
                    self.stacks = self._deploy_assembly(assembly.result())
            except cdk.CdkError as problem:
                self.close()
                raise CloudError(str(problem)) from None
            except BaseException:
                self.close()  # and with it the synthesis, which the pool would wait for
                raise

    def redeploy(self) -> None:
        """Bring the stack of a cloud that is already up to what the checkout says now."""
        try:
            self.stacks = self._deploy_assembly(self._synthesize())
        except cdk.CdkError as problem:
            raise CloudError(str(problem)) from None

    def deploy_also(self, context: Mapping[str, str]) -> dict[str, str]:
        """Deploy another copy of the stack, with other settings, beside the first; its outputs."""
        stacks = self._deploy_assembly(cdk.assembly(context, self.folder, self._hold))
        return next(found for name, found in stacks.items() if name not in self.stacks and "VideosBucket" in found)

    def attach(self) -> None:
        """Use a cloud that another process has started in this folder."""
        self._state = json.loads((self.folder / "cloud.json").read_text())

    def detach(self) -> None:
        """Leave it running when this process ends; `stop` ends it."""
        if self._supervisor and self._supervisor.stdin:
            self._supervisor.stdin.write(b"detach\n")
            self._supervisor.stdin.close()
        self._supervisor = None

    def close(self) -> None:
        self._closed = True
        for guard in self._guards:
            guard.stop()
        if self._supervisor:
            let_go(self._supervisor)
            self._supervisor = None

    def _run_supervisor(self) -> None:
        command = [sys.executable, "-m", "localcloud.supervisor", str(self.folder), "--port", str(self._port)]
        command += ["--endpoint-options", json.dumps(self._endpoint_options)]
        if self._rekognition_endpoint:
            command += ["--rekognition-endpoint", self._rekognition_endpoint]
        # In a session of its own: this process handles Ctrl-C, and the supervisor notices by the pipe.
        self._supervisor = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            cwd=CHECKOUT,
            start_new_session=True,
        )
        self._wait_for("logs/supervisor.log")

    def _wait_for_cloud(self) -> None:
        with self._step("Start the cloud"):
            self._wait_for("cloud.json")
            self.attach()

    def _wait_for(self, name: str) -> None:
        while not (self.folder / name).exists():
            if self._supervisor is None or self._supervisor.poll() is not None:
                raise CloudError(f"The local cloud could not be started in {self.folder}.")
            if reason := failure(self.folder):
                raise CloudError(reason)
            time.sleep(0.02)

    def _synthesize(self) -> Path:
        with self._step("Synthesize the stack"):
            return cdk.assembly(self._context, self.folder, self._hold)

    def _deploy_assembly(self, assembly: Path) -> dict[str, dict[str, str]]:
        with self._step("Deploy"):
            return cdk.deploy(assembly, self.env, self.folder, self._hold)

    def _hold(self, guard: ChildGuard) -> ChildGuard:
        self._guards.append(guard)
        if self._closed:
            guard.stop()
        return guard

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._progress(name, False)
        yield
        self._progress(name, True)


def require_tools() -> None:
    needed = (CHECKOUT / ".venv-emulator/bin/python", cdk.CLI)
    if missing := [str(path.relative_to(CHECKOUT)) for path in needed if not path.exists()]:
        raise CloudError(f"Missing: {', '.join(missing)}. Run: make setup")


def failure(folder: Path) -> str:
    """Why the cloud in this folder has stopped; empty if it runs."""
    path = folder / "failed"
    return path.read_text() if path.exists() else ""


def checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
        fine = fine and not (parts.query or parts.fragment or parts.username)
    except ValueError:  # a port that is none
        fine = False
    if not fine:
        raise CloudError(f"REKOGNITION_ENDPOINT={url} is no URL of an endpoint; it looks like http://127.0.0.1:5000")
    return url.rstrip("/")
