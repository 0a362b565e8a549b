"""The catalogue of analyses: one row each. Data only, so that the stacks can read it at synth without AWS's libraries.

Names, members and bounds are those of Amazon Rekognition's service model (2016-06-27).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


class WrongAnalysis(ValueError):
    """An analysis, or a parameter of one, that Rekognition doesn't have; the text says what would do."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A parameter that takes one of a few words."""

    words: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        """Raise WrongAnalysis unless `value` is one of the words."""
        if value not in self.words:
            raise WrongAnalysis(f"{name} is {value!r}; it takes {' or '.join(self.words)}")


@dataclass(frozen=True, slots=True)
class Analysis:
    """One operation pair of Rekognition Video.

    Attributes:
        name: what people write, and what files are called.
        operation: the pair's common name: ``FaceDetection`` for StartFaceDetection and GetFaceDetection.
        detections: the member of Get's response that holds the list.
        start: the parameters of the Start call, beyond those that every pair has.
        defaults: parameters given when nobody says otherwise.
    """

    name: str
    operation: str
    detections: str
    start: Mapping[str, OneOf] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def start_operation(self) -> str:
        """The API's name of the call that starts a job, which is also its IAM action."""
        return f"Start{self.operation}"

    @property
    def get_operation(self) -> str:
        """The API's name of the call that reads a job's results, which is also its IAM action."""
        return f"Get{self.operation}"

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a job: `given` over the defaults.

        Raises:
            WrongAnalysis: a parameter is unknown, or its value is not one Rekognition takes.
        """
        for name, value in given.items():
            if name not in self.start:
                raise WrongAnalysis(f"{self.name} has no parameter {name!r}{_nearest(name, self.start)}")
            self.start[name].check(f"{self.name}: {name}", value)
        return {**self.defaults, **given}


CATALOGUE: Mapping[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        Analysis(
            name="face-detection",
            operation="FaceDetection",
            detections="Faces",
            start={"FaceAttributes": OneOf(("DEFAULT", "ALL"))},
            defaults={"FaceAttributes": "DEFAULT"},
        ),
    )
}


def analysis_named(name: str) -> Analysis:
    """The catalogue's row of that name.

    Raises:
        WrongAnalysis: there is none.
    """
    if name not in CATALOGUE:
        raise WrongAnalysis(f"there is no analysis {name!r}{_nearest(name, CATALOGUE)}")
    return CATALOGUE[name]


def chosen(choice: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A choice of analyses, ``{"face-detection": {"FaceAttributes": "ALL"}}``, checked and with defaults filled in.

    Raises:
        WrongAnalysis: nothing is chosen, or something Rekognition doesn't have.
    """
    if not choice:
        raise WrongAnalysis(f"no analysis is chosen; choose from {', '.join(CATALOGUE)}")
    for name, given in choice.items():
        if not isinstance(given, Mapping):
            raise WrongAnalysis(f'{name}: parameters are an object like {{"FaceAttributes": "ALL"}}, not {given!r}')
    return {name: analysis_named(name).parameters(given) for name, given in choice.items()}


def canonical(parameters: Mapping[str, Any]) -> str:
    """`parameters` as the one JSON text that equal parameters share."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


def job_id(bucket: str, key: str, etag: str, analysis: str, parameters: Mapping[str, Any]) -> str:
    """The id of the job that does `analysis` with `parameters` on one content of one key: 64 hexadecimal characters.

    The same content under the same key is the same job, so nobody pays for it twice. A version id is not part of it:
    in a versioned bucket the same bytes uploaded again would get another one.
    """
    return _digest([bucket, key, etag, analysis, canonical(parameters)])


def attempt_token(job: str, attempt: int) -> str:
    """The ClientRequestToken of a job's nth attempt (1, 2, ...): with it, Rekognition runs that attempt at most once.

    Tokens take letters, digits, ``-`` and ``_``, 64 at most, and live 7 days.
    """
    return _digest([job, attempt])


def _digest(parts: list[Any]) -> str:
    # A JSON list, so that no two different lists of parts run together into one text.
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it takes {', '.join(known)}" if known else "; it takes none"
