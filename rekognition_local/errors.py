"""What the service refuses with.

Codes, HTTP statuses and texts are those of the Developer Guide's page on error handling; where AWS's text carries a
value, the place that raises puts it in.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: code -> (HTTP status, text). The order is the guide's.
KNOWN: dict[str, tuple[int, str]] = {
    "AccessDeniedException": (400, "You are not authorized to perform the action."),
    "IdempotentParameterMismatchException": (
        400,
        "The ClientRequestToken: {token} you have supplied is already in use.",
    ),
    "ImageTooLargeException": (400, "Image size is too large"),
    "InternalServerError": (500, "Internal server error"),
    "InvalidImageFormatException": (400, "Request has invalid image format"),
    "InvalidPaginationTokenException": (400, "Invalid Pagination Token"),
    "InvalidParameterException": (400, "Request has invalid parameters."),
    "InvalidS3ObjectException": (
        400,
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    ),
    "LimitExceededException": (400, "{limit} open Jobs for User {arn} Maximum limit: {limit}"),
    "ProvisionedThroughputExceededException": (400, "Provisioned Rate exceeded."),
    "ResourceAlreadyExistsException": (400, "The collection already exists."),
    "ResourceNotFoundException": (400, "Request has invalid Job Id."),
    "ThrottlingException": (400, "Slow down; sudden increase in rate of requests"),
    "VideoTooLargeException": (400, "Video size in bytes: {size} is more than the maximum limit of: {limit} bytes"),
    # Not of Rekognition's own making: what every service of this protocol answers before it reads a request.
    "SerializationException": (400, "The request body is not what the operation takes."),
    "UnknownOperationException": (400, "The operation is not known."),
    "ServiceUnavailableException": (503, "Service Unavailable"),
}


class ServiceError(Exception):
    """An answer that is an error.

    ``code`` is what SDKs read (``error.response["Error"]["Code"]``), ``message`` what people read, ``status`` the HTTP
    status: by default the one the guide lists for the code.
    """

    def __init__(self, code: str, message: str | None = None, *, status: int | None = None, **values: object) -> None:
        usual_status, usual_message = KNOWN[code]
        self.code = code
        self.status = usual_status if status is None else status
        self.message = usual_message.format_map(_Known(values)) if message is None else message
        super().__init__(f"{code}: {self.message}")


class _Known(dict[str, object]):
    """What a text's places are filled with; what isn't known stays as it is written."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses *word*: ``; did you mean 'x'?``, or the list of what is accepted."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
