"""One answer of a Get call, as values and as its original text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambdas.model.job import Job


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a Get call.

    Attributes:
        status: ``IN_PROGRESS``, ``SUCCEEDED`` or ``FAILED``.
        detections: the list this analysis returns, up to 1,000; with fractions as text, where rows want them so.
        text: the same list as its original JSON text: the document copies it, for a fraction of the cost of encoding
            it again.
        rest: everything else in the answer but the token: status, metadata, echo.
        next_token: where the next page begins; None on the last.
    """

    status: str
    detections: list[dict[str, Any]]
    text: str
    rest: dict[str, Any]
    next_token: str | None


def fractions_as_text(job: "Job") -> bool:
    """Whether a page's fractions stay as their original text.

    Most of a face is fractions, there can be a million faces, and most of the cost of rows is decoding and encoding
    them: copied as text, a row takes an eighth of the time.
    """
    return job.analysis == "face-detection" and job.parameters.get("FaceAttributes", "DEFAULT") == "DEFAULT"
