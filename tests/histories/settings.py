"""The settings of a history, and what people ask for: which analyses an upload may get, said once more and apart from
the code that is tested."""

import json
from dataclasses import dataclass

from lambdas.model.analyses import chosen

FACES, TEXT = "face-detection", "text-detection"
PARAMETERS = chosen({FACES: {}, TEXT: {}})
NONSENSE = "fase-detection"


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator has decided.

    Attributes:
        analyses: of an upload whose uploader does not choose.
        allowed: what an uploader may choose.
        uploads: where: ``none``, ``metadata``, ``both``.
        cap: how many jobs may run; 0: as many as Rekognition lets.
        share_by: what makes a share of the slots.
        minutes: a month's budget; 0: none.
    """

    analyses: tuple[str, ...] = (FACES,)
    allowed: tuple[str, ...] = (FACES, TEXT)
    uploads: str = "none"
    cap: int = 0
    share_by: str = ""
    minutes: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """As the functions are told."""
        return {
            "ANALYSES": json.dumps({name: PARAMETERS[name] for name in self.analyses}),
            "ALLOWED_ANALYSES": ",".join(self.allowed),
            "UPLOAD_CHOICE": self.uploads,
            "MAX_RUNNING_JOBS": str(self.cap),
            "SHARE_BY": self.share_by,
            "MONTHLY_MINUTES": str(self.minutes),
        }

    def allows(self, analysis: str) -> bool:
        """Whether a job of that analysis may be started."""
        return analysis in self.analyses or (self.uploads != "none" and analysis in self.allowed)

    def of(self, words: str | None, by_tag: bool) -> frozenset[str] | None:
        """What an upload gets that says these `words`; None if they can't be done."""
        if words is None or self.uploads == "none" or (by_tag and self.uploads == "metadata"):
            return frozenset(self.analyses)
        names = frozenset(() if words == "none" else words.split())
        return names if names <= set(self.allowed) else None
