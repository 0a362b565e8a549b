"""boto3 clients for the AWS endpoint this server was given, whatever profile or proxy its user has configured."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

#: The emulator's root credentials.
KEY = "test"


def maker(endpoint: str | None, region: str) -> Callable[..., Any]:
    """A function that makes clients: ``client("sns", aws_access_key_id=...)``. Not thread-safe, as botocore is not.

    Without *endpoint* they are boto3's usual clients, with the user's own configuration.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    if endpoint is None:
        return boto3.session.Session(region_name=region).client
    nothing = (None, None, None, None)
    core = botocore.session.Session(
        {"profile": nothing, "config_file": (None, None, os.devnull, None), "credentials_file": nothing}
    )
    session: Any = boto3.session.Session(KEY, KEY, region_name=region, botocore_session=core)
    config = Config(
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=5,
        proxies={},
    )

    def client(service: str, **options: Any) -> Any:
        return session.client(service, **{"endpoint_url": endpoint, "config": config} | options)

    return client
