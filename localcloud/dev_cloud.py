"""The one local cloud of this checkout: `make cloud` leaves it running, `make cloud-stop` ends it.

Its folder is `.localcloud/`: beside its own files (see `supervisor.py`), `env` points any AWS client at it, and
`outputs.json` is what `cdk deploy --outputs-file` has written.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from localcloud import folders, ports
from localcloud.cloud import CloudError, LocalCloud, checked_url, failure
from localcloud.supervisor import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localcloud.cloud import Progress

FOLDER = CHECKOUT / ".localcloud"

# What would send a client elsewhere, with other credentials, or not at all.
MISLEADING = (
    "AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_ROLE_ARN "
    "AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_FULL_URI "
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_IGNORE_CONFIGURED_ENDPOINT_URLS AWS_USE_FIPS_ENDPOINT "
    "AWS_USE_DUALSTACK_ENDPOINT AWS_CA_BUNDLE"
)
# And the endpoint of any one service, whichever are set.
SERVICE_ENDPOINTS = "$(env | sed -n 's/^\\(AWS_ENDPOINT_URL_[A-Z0-9_]*\\)=.*/\\1/p')"


def up(
    *,
    context: Mapping[str, str],
    rekognition_endpoint: str | None,
    endpoint_options: Sequence[str],
    port: int,
    progress: Progress,
) -> tuple[LocalCloud, bool]:
    """The checkout's cloud, up to date with the checkout; and whether it was running before."""
    if rekognition_endpoint:
        rekognition_endpoint = checked_url(rekognition_endpoint)
    if folders.alive(FOLDER) and not (reason := failure(FOLDER)):
        cloud = LocalCloud(context=context, folder=FOLDER, progress=progress)
        _refuse_other_options(state(), rekognition_endpoint, endpoint_options, port)
        cloud.attach()
        cloud.redeploy()
        _write_outputs(cloud)
        return cloud, True
    if folders.alive(FOLDER) and reason:
        down()

    cloud = LocalCloud(
        context=context,
        rekognition_endpoint=rekognition_endpoint,
        endpoint_options=endpoint_options,
        port=port,
        folder=FOLDER,
        progress=progress,
    )
    with cloud:
        ports.write(FOLDER / "env", exports(cloud.env))
        _write_outputs(cloud)
        cloud.detach()
    return cloud, False


def down() -> bool:
    """Stop it; False if there was none. Removes the remains of a killed one."""
    pid = folders.owner(FOLDER)
    if pid is None:
        folders.clear(FOLDER)
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if not folders.alive(FOLDER):
                folders.clear(FOLDER)
                return True
            time.sleep(0.02)
    raise CloudError(f"The local cloud's supervisor (process {pid}) does not end.")


def state() -> dict[str, Any]:
    """What the running cloud says about itself; empty if none runs."""
    if not folders.alive(FOLDER):
        return {}
    try:
        found: dict[str, Any] = json.loads((FOLDER / "cloud.json").read_text())
    except FileNotFoundError:
        raise CloudError(failure(FOLDER) or "The local cloud is being started by another command.") from None
    return found


def outputs() -> dict[str, dict[str, str]]:
    path = FOLDER / "outputs.json"
    found: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def exports(env: Mapping[str, str]) -> str:
    """Shell lines for `. .localcloud/env`."""
    lines = [f"export {name}={value}" for name, value in env.items()]
    local = "127.0.0.1,localhost"
    return "\n".join(
        [
            "# Points any AWS client at the local cloud:  . .localcloud/env",
            *lines,
            f"unset {MISLEADING} {SERVICE_ENDPOINTS}",
            # Clients ask a proxy for plain http, also for this machine itself.
            f'export NO_PROXY="{local}${{NO_PROXY:+,$NO_PROXY}}" no_proxy="{local}${{no_proxy:+,$no_proxy}}"',
            "",
        ]
    )


def _write_outputs(cloud: LocalCloud) -> None:
    ports.write(FOLDER / "outputs.json", json.dumps(cloud.stacks, indent=2) + "\n")


def _refuse_other_options(running: Mapping[str, Any], endpoint: str | None, options: Sequence[str], port: int) -> None:
    def refuse(what: str) -> None:
        raise CloudError(f"The local cloud is running already, {what}. To change that, first: make cloud-stop")

    if endpoint and endpoint != running["rekognition_url"]:
        refuse(f"with the endpoint {running['rekognition_url']}")
    if options and list(options) != running["options"]:
        refuse(f"with the endpoint options {' '.join(running['options']) or '(none)'}")
    if port and not running["aws_endpoint"].endswith(f":{port}"):
        refuse(f"at {running['aws_endpoint']}")
