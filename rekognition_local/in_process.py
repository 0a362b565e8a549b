"""A boto3 client whose calls are answered by the object in this process, with or without moto around it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse, HeadersDict

from rekognition_local.service import Caller, RekognitionVideo


class _Body:
    """What botocore expects of a urllib3 response: the body, in a piece."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, *_: Any, **__: Any) -> bytes:
        content, self._content = self._content, b""
        return content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def attach(client: Any, service: RekognitionVideo, caller: Caller | None = None) -> Any:
    """Let *service* answer all calls of *client* (a boto3 ``rekognition`` client), and return the client.

    Nothing goes over a network, everything goes through botocore's own parsing and retries. *caller* is who the client
    is taken for: by default moto's account, in the client's region. Slow answers don't sleep here.
    """
    caller = caller or Caller(
        account="123456789012", region=client.meta.region_name, arn="arn:aws:iam::123456789012:user/local"
    )

    def answer(request: AWSRequest, **_: Any) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        target = target.decode() if isinstance(target, bytes) else target
        body = request.body or b""
        response = service.handle(target, body.encode() if isinstance(body, str) else body, caller)
        headers: Any = HeadersDict(response.headers)  # the stubs want another class than botocore uses
        return AWSResponse(request.url or "", response.status, headers, _Body(response.body))

    # botocore asks every listener and takes the first answer; moto's listener raises for what it doesn't have.
    moto = sys.modules.get("moto.core.models")
    if moto:
        client.meta.events.unregister("before-send", moto.botocore_stubber)
    client.meta.events.register_first("before-send.rekognition", answer)
    return client
