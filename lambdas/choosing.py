"""Which analyses an upload gets: those its uploader asks for, else those of the longest route its key is under, else
the default.

An uploader says it in the object's metadata (``x-amz-meta-analyses``) or in its tag ``analyses``:

    label-detection:MinConfidence=80 face-detection
    segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE:Filters.ShotFilter.MinSegmentConfidence=60
    none

Words, parameters after colons, members by dots, lists by plus signs: all of it fits the alphabet that S3 lets tags
have. Metadata may say the same as JSON, ``{"label-detection": {"MinConfidence": 80}}``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.analyses import analysis_named, chosen
from lambdas.errors import ServiceTrouble
from lambdas.values import Structure, Value, WrongAnalysis, nearest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from lambdas.events import Upload

NAME = "analyses"  # of the metadata and of the tag
NOTHING = "none"

Choice = Mapping[str, Mapping[str, Any]]


class WrongChoice(Exception):
    """What an uploader asked for can't be done; the text says what is allowed. Carries what they asked for."""

    def __init__(self, given: str, sentence: str) -> None:
        super().__init__(sentence)
        self.given = given


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with uploads whose key begins so. No analyses: nothing is."""

    prefix: str
    analyses: Choice


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator decided.

    Attributes:
        analyses: what is done with an upload when nobody says otherwise.
        routes: what is done under certain prefixes instead.
        uploads: where an uploader may choose: ``metadata``, ``tags``, ``both`` (metadata first) or ``none``.
        allowed: the analyses an uploader may choose from.
    """

    analyses: Choice
    routes: Sequence[Route] = ()
    uploads: str = "none"
    allowed: Sequence[str] = ()

    def for_key(self, key: str) -> Choice:
        """What is done with an upload under `key` whose uploader doesn't say."""
        routes = [route for route in self.routes if key.startswith(route.prefix)]
        return max(routes, key=lambda route: len(route.prefix)).analyses if routes else self.analyses

    def for_words(self, where: str, text: str) -> Choice:
        """What an uploader's `text` asks for.

        Raises:
            WrongChoice: it asks for something that doesn't exist, won't do, or isn't allowed.
        """
        says = f"its {where} says {NAME}: {text[:300]!r}, but"
        allowed = f"(allowed here: {', '.join(self.allowed)})"
        try:
            choice = understood(text)
        except WrongAnalysis as error:
            raise WrongChoice(text, f"{says} {error} {allowed}") from error
        for name in choice:
            if name not in self.allowed:
                raise WrongChoice(text, f"{says} {name} is not allowed {allowed}")
        return choice


def understood(text: str) -> Choice:
    """The choice that `text` words, checked and with defaults filled in; empty for ``none``.

    Raises:
        WrongAnalysis: it can't be understood, or asks for something Rekognition doesn't have.
    """
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise WrongAnalysis(f"that is no JSON ({error})") from error
        return chosen(value)
    words = text.replace(",", " ").split()
    if words == [NOTHING]:
        return {}
    if not words:
        raise WrongAnalysis(f"that names no analysis; {NOTHING!r} would mean none")
    given: dict[str, dict[str, Any]] = {}
    for word in words:
        name, *parameters = word.split(":")
        if name in given:
            raise WrongAnalysis(f"{name} is named twice")
        given[name] = {}
        takes = analysis_named(name).takes
        for parameter in parameters:
            _put(given[name], name, takes, parameter)
    return chosen(given)


def _put(given: dict[str, Any], analysis: str, takes: Mapping[str, Value], parameter: str) -> None:
    path, equals, text = parameter.partition("=")
    if not equals:
        raise WrongAnalysis(f"{analysis}: {parameter!r} is no Parameter=value")
    value: Value = Structure(takes)
    *outer, last = path.split(".")
    for member in (*outer, last):
        members = value.members if isinstance(value, Structure) else {}
        if member not in members:
            raise WrongAnalysis(f"{analysis} has no parameter {path!r}{nearest(member, members)}")
        value = members[member]
    for member in outer:
        given = given.setdefault(member, {})
    given[last] = value.parse(f"{analysis}: {path}", text)


class Chooser:
    """Asks the object, where uploaders may choose.

    Args:
        s3: the client.
        rules: what the operator decided.
    """

    def __init__(self, s3: "S3Client", rules: Rules) -> None:
        self._s3 = s3
        self._rules = rules

    def choose(self, upload: "Upload") -> Choice:
        """What is done with `upload`: each analysis' parameters, by its name. Empty: nothing.

        Raises:
            WrongChoice: its uploader asks for something that can't be done.
            ServiceTrouble: S3 couldn't say.
        """
        said = self._said(upload) if upload.size and self._rules.uploads != "none" else None
        return self._rules.for_words(*said) if said else self._rules.for_key(upload.key)

    def _said(self, upload: "Upload") -> tuple[str, str] | None:
        """Where and what the uploader says, if anything. An object that is gone, replaced or forbidden says nothing:
        its job then ends at its start, with that reason."""
        tags = 1
        if self._rules.uploads != "tags":
            head = self._ask(upload, "head_object")
            if head is None or head["ETag"].strip('"') != upload.etag:
                return None
            for name, text in head.get("Metadata", {}).items():
                if name.lower() == NAME:
                    return "metadata", text
            # Asking for tags where there are none would be one more call for each video of a million. By header: older
            # versions of boto3 don't know the member.
            tags = int(head.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-tagging-count", 0))
        if tags and self._rules.uploads != "metadata":
            for tag in (self._ask(upload, "get_object_tagging") or {}).get("TagSet", []):
                if tag["Key"].lower() == NAME:
                    return "tags", tag["Value"]
        return None

    def _ask(self, upload: "Upload", operation: str) -> Any:
        # "null" is the version that a bucket without (or with suspended) versioning has: the current one.
        version = {"VersionId": upload.version_id} if upload.version_id not in (None, "null") else {}
        try:
            return getattr(self._s3, operation)(Bucket=upload.bucket, Key=upload.key, **version)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("404", "NoSuchKey", "NoSuchVersion", "405", "MethodNotAllowed"):
                return None
            if code in ("403", "AccessDenied"):
                if operation == "head_object":
                    return None
                # Nobody knows what they asked for, and the default might be what they did not want to pay for.
                raise WrongChoice("", "this stack may not read the object's tags (AccessDenied)") from error
            raise ServiceTrouble(f"S3 {operation}: {code}") from error
