"""What an operator may choose, given in ``cdk.json`` under ``context`` or by ``cdk ... -c key=value``.

Everything enters here, once, and is checked; past this module nobody reads context or the environment.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from aws_cdk import RemovalPolicy

from lambdas.model.analyses import CATALOGUE, Analysis, chosen
from lambdas.model.parameter_types import WrongAnalysis

# CloudWatch Logs takes no other numbers (PutRetentionPolicy).
LOG_RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)


# Bytes of JSON. Lambda gives all of a function's environment 4 KB (AWS Lambda Developer Guide, "Quotas"), and names and
# addresses take the rest.
ROOM_FOR_CHOICES = 3000

UPLOAD_CHOICES = ("metadata", "tags", "both", "none")
UPLOADS_FROM = ("notifications", "eventbridge")


class WrongSetting(ValueError):
    """A setting is unknown or its value won't do; the text names the key, shows the value and says what would do."""


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings, with what each means. README's table is checked against this."""

    stack_name: str = _setting(
        "RekognitionBatch", "Name of the stack. With another name, another copy fits in the same account and region."
    )
    videos_bucket: str = _setting(
        "", "Name of an existing bucket (same account and region) to take videos from. Empty: the stack makes one."
    )
    videos_key_arn: str = _setting(
        "", "ARN of the KMS key that this existing bucket is encrypted with. Empty: it has none, or one that AWS owns."
    )
    uploads_from: str = _setting(
        "notifications",
        "How new videos are heard of: S3's `notifications`, or `eventbridge`, for a bucket that announces to others.",
    )
    video_extensions: tuple[str, ...] = _setting(
        (".mp4", ".mov"), "What counts as a video, in any case. Other objects are ignored."
    )
    analyses: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"face-detection": {"FaceAttributes": "DEFAULT"}},
        metadata={"text": "What is done with each video, with Rekognition's own parameters."},
    )
    routes: tuple[Mapping[str, Any], ...] = _setting(
        (),
        "What is done under certain prefixes instead; the longest wins. No analyses: nothing, the upload is ignored.",
    )
    upload_choice: str = _setting(
        "both",
        "Where an uploader may ask for other analyses: in the object's `metadata`, its `tags`, `both` or `none`.",
    )
    allowed_analyses: tuple[str, ...] = _setting(
        tuple(name for name in CATALOGUE if name != "face-search"), "What an uploader may ask for."
    )
    max_running_jobs: int = _setting(
        0, "Lower cap on jobs at a time, to leave slots to others in the account. 0: as many as Rekognition lets."
    )
    retain_data: bool = _setting(
        True, "Whether buckets and the jobs table outlive the stack. `false` deletes them with it, results and all."
    )
    customer_managed_key: bool = _setting(
        False,
        "Encrypt with a KMS key of your own ($1 a month), not with AWS's (free; it has none for the SNS topic).",
    )
    log_retention_days: int = _setting(30, "Days that the functions' logs are kept.")
    query_scan_limit_gb: int = _setting(
        10, "Most that one Athena query may read, in GB. Athena asks about $5 per 1,000."
    )

    @property
    def removal_policy(self) -> RemovalPolicy:
        """What happens to whatever holds data when the stack is deleted."""
        return RemovalPolicy.RETAIN if self.retain_data else RemovalPolicy.DESTROY

    @property
    def choices(self) -> list[Mapping[str, Mapping[str, Any]]]:
        """The analyses as the operator chose them: by default, and by each route."""
        return [self.analyses, *(route["analyses"] for route in self.routes)]

    @property
    def uploaders_choose_from(self) -> tuple[str, ...]:
        """The analyses that uploaders may ask for."""
        return () if self.upload_choice == "none" else self.allowed_analyses

    @property
    def analyses_in_use(self) -> list[Analysis]:
        """The analyses that may come to be done, by anybody's choice."""
        names = {name for choice in self.choices for name in choice} | set(self.uploaders_choose_from)
        return [analysis for name, analysis in CATALOGUE.items() if name in names]

    @property
    def environment(self) -> dict[str, str]:
        """What the functions are told of the settings, as environment variables."""
        return {
            "VIDEO_EXTENSIONS": ",".join(self.video_extensions),
            "MAX_RUNNING_JOBS": str(self.max_running_jobs),
            "ANALYSES": json.dumps(self.analyses, separators=(",", ":")),
            "ROUTES": json.dumps(self.routes, separators=(",", ":")),
            "UPLOAD_CHOICE": self.upload_choice,
            "ALLOWED_ANALYSES": ",".join(self.allowed_analyses),
        }

    @property
    def outputs(self) -> dict[str, str]:
        """What the command line is told of the settings, as outputs of the stack."""
        return {
            **({"VideosKeyArn": self.videos_key_arn} if self.videos_key_arn else {}),  # an output can't be empty
            "UploadsFrom": self.uploads_from,
            "VideoExtensions": ",".join(self.video_extensions),
            "Analyses": json.dumps(self.analyses),
            "Routes": json.dumps(self.routes),
            "UploadChoice": self.upload_choice,
            "AllowedAnalyses": ",".join(self.uploaders_choose_from) or "none",
        }

    def __post_init__(self) -> None:
        if self.videos_key_arn and not self.videos_bucket:
            raise WrongSetting(
                f"videos_key_arn is {self.videos_key_arn!r}; it takes the key of an existing bucket, and videos_bucket "
                "is empty (a bucket that the stack makes gets a key by customer_managed_key)"
            )
        used = len(json.dumps([self.analyses, self.routes]).encode())
        if used > ROOM_FOR_CHOICES:
            raise WrongSetting(
                f"analyses and routes take {used} bytes as JSON; {ROOM_FOR_CHOICES} have room beside what else "
                "the functions are told (Lambda's environment is 4 KB): fewer routes, or let uploaders say it"
            )
        if not any(self.choices) and not self.uploaders_choose_from:
            raise WrongSetting(f"analyses is {{}}, and nobody else chooses any; choose from {', '.join(CATALOGUE)}")

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> "Settings":
        """The settings that a CDK context holds. ``-c`` gives text, ``cdk.json`` gives JSON; both are understood.

        Raises:
            WrongSetting: a key is unknown, or a value won't do.
        """
        known = {f.name for f in fields(cls)}
        given: dict[str, Any] = {}
        for key, value in context.items():
            if key in known:
                given[key] = _READ[key](key, value)
            elif not _is_cdks_own(key):
                raise WrongSetting(f"{key!r} is no setting{_nearest(key, known)}")
        return cls(**given)


def _is_cdks_own(key: str) -> bool:
    # Feature flags are @scope/..., look-ups cached by the CLI are kind:..., and two older ones are plain words.
    return key.startswith("@") or ":" in key or key.startswith("aws-cdk")


def _nearest(word: str, known: set[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; the settings are {', '.join(sorted(known))}"


def _wrong(key: str, value: Any, would_do: str) -> WrongSetting:
    return WrongSetting(f"{key} is {value!r}; {would_do}")


def _flag(key: str, value: Any) -> bool:
    # -c flag=false arrives as the text 'false', which is true in Python.
    known = {True: True, False: False, "true": True, "false": False}
    if isinstance(value, (bool, str)) and value in known:
        return known[value]
    raise _wrong(key, value, "it takes true or false")


def _days(key: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, (int, str)) and text.isdecimal() and int(text) in LOG_RETENTION_DAYS:
        return int(text)
    raise _wrong(key, value, f"CloudWatch Logs takes {', '.join(map(str, LOG_RETENTION_DAYS))}")


def _count(key: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, (int, str)) and text.isdecimal():
        return int(text)
    raise _wrong(key, value, "it takes a whole number, 0 or more")


def _stack_name(key: str, value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,127}", value):
        return value
    raise _wrong(key, value, "it takes letters, digits and hyphens, a letter first, 128 at most")


def _bucket(key: str, value: Any) -> str:
    if isinstance(value, str) and (not value or re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value)):
        return value
    raise _wrong(key, value, "it takes a bucket's name (3 to 63 of a-z, 0-9, '.' and '-'), not an ARN or an address")


def _key_arn(key: str, value: Any) -> str:
    # Key ids are UUIDs; a multi-region key's begins with mrk- (AWS KMS Developer Guide, "Key identifiers").
    arn = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    if isinstance(value, str) and (not value or re.fullmatch(arn, value)):
        return value
    hint = ", not of an alias: a grant on an alias lets nobody use its key" if ":alias/" in str(value) else ""
    raise _wrong(key, value, f"it takes the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID){hint}")


def _extensions(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    would_do = 'it takes extensions with their dot: [".mp4", ".mov"], or ".mp4 .mov" with -c'
    if not isinstance(value, (list, tuple)) or not value:
        raise _wrong(key, value, would_do)
    for extension in value:
        if not isinstance(extension, str) or not re.fullmatch(r"\.[A-Za-z0-9]+", extension):
            raise _wrong(key, extension, would_do)
    return tuple(dict.fromkeys(extension.lower() for extension in value))


def _json(key: str, value: Any, would_do: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise _wrong(key, value, f"{would_do}, in JSON ({error})") from error


def _routes(key: str, value: Any) -> tuple[dict[str, Any], ...]:
    would_do = 'it takes a list like [{"prefix": "ads/", "analyses": {"label-detection": {}}}]'
    value = _json(key, value, would_do)
    if not isinstance(value, (list, tuple)):
        raise _wrong(key, value, would_do)
    routes: dict[str, dict[str, Any]] = {}
    for number, route in enumerate(value):
        here = f"{key}[{number}]"
        if not isinstance(route, Mapping) or set(route) != {"prefix", "analyses"}:
            raise _wrong(here, route, would_do)
        prefix = route["prefix"]
        if not isinstance(prefix, str) or not prefix or len(prefix.encode()) > 1024:
            raise _wrong(
                f"{here}.prefix", prefix, "it takes how keys begin: ads/ (everything else is setting analyses)"
            )
        if prefix in routes:
            raise _wrong(f"{here}.prefix", prefix, "another route has it already")
        routes[prefix] = {"prefix": prefix, "analyses": _analyses(f"{here}.analyses", route["analyses"])}
    return tuple(routes.values())


def _one_of(*words: str) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        if value in words:
            return str(value)
        raise _wrong(key, value, f"it takes {' or '.join(words)}")

    return read


def _allowed(key: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    would_do = f"it takes names of {', '.join(CATALOGUE)}"
    if not isinstance(value, (list, tuple)) or not value:
        raise _wrong(key, value, f"{would_do}; for none, set upload_choice to none")
    for name in value:
        if name not in CATALOGUE:
            raise _wrong(key, name, would_do)
    return tuple(name for name in CATALOGUE if name in value)


def _gigabytes(key: str, value: Any) -> int:
    if str(value).isdecimal() and int(value) > 0 and not isinstance(value, bool):
        return int(value)
    raise _wrong(key, value, "it takes a whole number, 1 or more")


def _analyses(key: str, value: Any) -> dict[str, dict[str, Any]]:
    would_do = 'it takes an object like {"face-detection": {"FaceAttributes": "ALL"}}'
    value = _json(key, value, would_do)
    if not isinstance(value, Mapping):
        raise _wrong(key, value, would_do)
    try:
        return chosen(value)
    except WrongAnalysis as error:
        raise _wrong(key, value, str(error)) from error


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "stack_name": _stack_name,
    "videos_bucket": _bucket,
    "videos_key_arn": _key_arn,
    "uploads_from": _one_of(*UPLOADS_FROM),
    "video_extensions": _extensions,
    "analyses": _analyses,
    "routes": _routes,
    "upload_choice": _one_of(*UPLOAD_CHOICES),
    "allowed_analyses": _allowed,
    "max_running_jobs": _count,
    "retain_data": _flag,
    "customer_managed_key": _flag,
    "log_retention_days": _days,
    "query_scan_limit_gb": _gigabytes,
}
