"""What an operator may choose, given in ``cdk.json`` under ``context`` or by ``cdk ... -c key=value``.

Everything enters here, once, and is checked; no other module reads the context or the environment.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from aws_cdk import RemovalPolicy
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    WrapValidator,
    with_config,
)
from pydantic.dataclasses import dataclass

from lambdas.model.analyses import CATALOGUE, Analysis, chosen
from lambdas.model.parameter_types import nearest

# Bytes of JSON. Lambda gives all of a function's environment 4 KB (AWS Lambda Developer Guide, "Quotas"), and names and
# addresses take the rest.
ROOM_FOR_CHOICES = 3000


class WrongSetting(ValueError):
    """An unknown setting or an invalid value; the text names the key, shows the value and lists what is accepted."""


def _takes(would_do: str) -> WrapValidator:
    """Where pydantic refuses a value, `would_do` in place of its message; what a validator below says stays. What is
    shown with it is the value as it was given."""

    def read(value: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            ours = _ours(error)
            if any(wrong["loc"] for wrong in ours):  # an item's or a member's; it has its own place and value
                raise
            raise ValueError(ours[0]["ctx"]["error"] if ours else f"it takes {would_do}") from error

    return WrapValidator(read)


def _ours(error: ValidationError) -> list[Any]:
    return [one for one in error.errors() if one["type"] == "value_error"]


def _json(value: Any) -> Any:
    # -c flag=false arrives as the text 'false', which is true in Python.
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        if value.startswith(("[", "{")):
            raise ValueError(f"it takes JSON, and this is none ({error})") from error
        return value


def _words(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _number(value: Any) -> Any:
    # In Python, True is a number.
    return "" if isinstance(value, bool) else value


def _days(value: int) -> int:
    taken = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
    if value in taken:
        return value
    raise ValueError(f"CloudWatch Logs takes {', '.join(map(str, taken))}")  # PutRetentionPolicy takes no others


def _prefix(value: str) -> str:
    if 0 < len(value.encode()) <= 1024:
        return value
    raise ValueError("it takes how keys begin: ads/ (everything else is setting analyses)")


JSON, WORDS = BeforeValidator(_json), BeforeValidator(_words)
# Key ids are UUIDs; a multi-region key's begins with mrk- (AWS KMS Developer Guide, "Key identifiers").
KEY_ARN = "arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"

Flag = Annotated[StrictBool, JSON, _takes("true or false")]
Count = Annotated[StrictInt, Field(ge=0), JSON, _takes("a whole number, 0 or more")]
Gigabytes = Annotated[StrictInt, Field(ge=1), JSON, _takes("a whole number, 1 or more")]
Days = Annotated[StrictInt, AfterValidator(_days), JSON, _takes("a whole number of days")]
StackName = Annotated[
    str,
    Field(pattern="^[A-Za-z][A-Za-z0-9-]{0,127}$"),
    _takes("letters, digits and hyphens, a letter first, 128 at most"),
]
Bucket = Annotated[
    str,
    Field(pattern="^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$"),
    _takes("a bucket's name (3 to 63 of a-z, 0-9, '.' and '-'), not an ARN or an address"),
]
KeyArn = Annotated[
    str,
    Field(pattern=f"^({KEY_ARN})?$"),
    _takes(
        "the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias: a grant on that gives no use of its key"
    ),
]
_EXTENSIONS = _takes('extensions with their dot: [".mp4", ".mov"], or ".mp4 .mov" with -c')
Extensions = Annotated[
    tuple[Annotated[str, Field(pattern=r"^\.[A-Za-z0-9]+$"), _EXTENSIONS], ...],
    Field(min_length=1),
    AfterValidator(lambda given: tuple(dict.fromkeys(extension.lower() for extension in given))),
    WORDS,
    _EXTENSIONS,
]
_NAMES = f"names of {', '.join(CATALOGUE)}"
Names = Annotated[
    tuple[Annotated[str, Field(pattern=f"^({'|'.join(CATALOGUE)})$"), _takes(_NAMES)], ...],
    Field(min_length=1),
    AfterValidator(lambda given: tuple(name for name in CATALOGUE if name in given)),
    WORDS,
    _takes(f"{_NAMES}; for none, set upload_choice to none"),
]
Analyses = Annotated[
    Mapping[str, Any],
    AfterValidator(chosen),
    JSON,
    _takes('an object like {"face-detection": {"FaceAttributes": "ALL"}}'),
]
ShareBy = Annotated[
    str,
    Field(pattern="^(route|prefix:[1-9])?$"),
    _takes("route, or prefix:1 to prefix:9 (so many folders), or nothing"),
]
_WEIGHTS = 'weights above 0 by share: {"customers/acme/": 3}'
Weights = Annotated[
    Mapping[str, Annotated[float, Field(gt=0, le=1000), _takes("a weight above 0, up to 1,000")]],
    JSON,
    _takes(_WEIGHTS),
]
Amount = Annotated[
    float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_number), JSON, _takes("a number, 0 or more")
]
Class = Annotated[Literal["live", "backfill"], _takes("live or backfill")]
UploadsFrom = Annotated[Literal["notifications", "eventbridge"], _takes("notifications or eventbridge")]
Convert = Annotated[Literal["off", "mediaconvert"], _takes("off or mediaconvert")]
UploadChoice = Annotated[Literal["metadata", "tags", "both", "none"], _takes("metadata or tags or both or none")]
_ROUTES = _takes('a list like [{"prefix": "ads/", "analyses": {"label-detection": {}}}]')


@with_config(extra="forbid")
class Route(TypedDict):
    """What is done under a prefix."""

    prefix: Annotated[str, AfterValidator(_prefix)]
    analyses: Analyses
    priority: NotRequired[Class]


def _setting(default: Any, text: str) -> Any:
    return Field(default, description=text)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings, with what each means. README's table is checked against this."""

    stack_name: StackName = _setting(
        "RekognitionBatch", "Name of the stack. With another name, another copy fits in the same account and region."
    )
    videos_bucket: Bucket = _setting(
        "", "Name of an existing bucket (same account and region) to take videos from. Empty: the stack makes one."
    )
    videos_key_arn: KeyArn = _setting(
        "", "ARN of the KMS key that this existing bucket is encrypted with. Empty: it has none, or one that AWS owns."
    )
    uploads_from: UploadsFrom = _setting(
        "notifications",
        "How S3 announces new videos: by `notifications`, or by `eventbridge` if the bucket has other notifications.",
    )
    video_extensions: Extensions = _setting(
        (".mp4", ".mov"), "What counts as a video, in any case. Other objects are ignored."
    )
    convert: Convert = _setting(
        "off",
        "What becomes of videos that Rekognition can't read (HEVC, MKV, AVI, ...): `mediaconvert` converts them, at "
        "its own price; `off` rejects them.",
    )
    analyses: Analyses = _setting(
        {"face-detection": {"FaceAttributes": "DEFAULT"}},
        "What is done with each video, with Rekognition's own parameters.",
    )
    routes: Annotated[tuple[Annotated[Route, _ROUTES], ...], JSON, _ROUTES] = _setting(
        (),
        "What is done under certain prefixes instead; the longest wins. No analyses: nothing, the upload is ignored.",
    )
    upload_choice: UploadChoice = _setting(
        "both",
        "Where an uploader may ask for other analyses: in the object's `metadata`, its `tags`, `both` or `none`.",
    )
    allowed_analyses: Names = _setting(
        tuple(name for name in CATALOGUE if name != "face-search"), "What an uploader may ask for."
    )
    max_running_jobs: Count = _setting(
        0, "Lower cap on jobs at a time, to leave slots to others in the account. 0: as many as Rekognition lets."
    )
    share_by: ShareBy = _setting(
        "",
        "What shares the slots fairly: each `route`, or each folder (`prefix:1`: the first in the key). Empty: first "
        "come, first served.",
    )
    share_weights: Weights = _setting({}, "Weights of shares: one with 3 gets three times the minutes of one with 1.")
    monthly_budget_usd: Amount = _setting(
        0.0, "Most that a month's analyses may cost, in dollars; then starting stops. 0: no limit."
    )
    monthly_minutes: Amount = _setting(
        0.0, "Most minutes of video that are analysed in a month, each analysis counted. 0: no limit."
    )
    retain_data: Flag = _setting(
        True, "Whether buckets and the jobs table outlive the stack. `false` deletes them with it, results and all."
    )
    customer_managed_key: Flag = _setting(
        False,
        "Encrypt with a KMS key of your own ($1 a month), not with AWS's (free; it has none for the SNS topic).",
    )
    log_retention_days: Days = _setting(30, "Days that the functions' logs are kept.")
    query_scan_limit_gb: Gigabytes = _setting(
        10, "Most that one Athena query may read, in GB. Athena asks about $5 per 1,000."
    )

    @property
    def removal_policy(self) -> RemovalPolicy:
        """What happens to whatever holds data when the stack is deleted."""
        return RemovalPolicy.RETAIN if self.retain_data else RemovalPolicy.DESTROY

    @property
    def converts(self) -> bool:
        """Whether videos that Rekognition can't read are converted."""
        return self.convert == "mediaconvert"

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
        """The analyses that the operator or an uploader may choose."""
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
            "SHARE_BY": self.share_by,
            "SHARE_WEIGHTS": json.dumps(self.share_weights, separators=(",", ":")),
            "MONTHLY_BUDGET_USD": repr(self.monthly_budget_usd),
            "MONTHLY_MINUTES": repr(self.monthly_minutes),
        }

    @property
    def outputs(self) -> dict[str, str]:
        """What the command line is told of the settings, as outputs of the stack."""
        return {
            **({"VideosKeyArn": self.videos_key_arn} if self.videos_key_arn else {}),  # an output can't be empty
            **({"Convert": self.convert} if self.converts else {}),
            "UploadsFrom": self.uploads_from,
            "VideoExtensions": ",".join(self.video_extensions),
            "Analyses": json.dumps(self.analyses),
            "Routes": json.dumps(self.routes),
            "UploadChoice": self.upload_choice,
            "AllowedAnalyses": ",".join(self.uploaders_choose_from) or "none",
            "Shares": json.dumps({"by": self.share_by, "weights": self.share_weights}),
            "Budget": json.dumps({"usd": self.monthly_budget_usd, "minutes": self.monthly_minutes}),
        }

    def __post_init__(self) -> None:
        if self.videos_key_arn and not self.videos_bucket:
            raise ValueError(
                f"videos_key_arn is {self.videos_key_arn!r}; it takes the key of an existing bucket, and videos_bucket "
                "is empty (a bucket that the stack makes gets a key by customer_managed_key)"
            )
        prefixes = [route["prefix"] for route in self.routes]
        for number, prefix in enumerate(prefixes):
            if prefix in prefixes[:number]:
                raise ValueError(f"routes[{number}].prefix is {prefix!r}; another route has it already")
        if self.share_weights and not self.share_by:
            raise ValueError(
                f"share_weights is {dict(self.share_weights)!r}, and share_by is empty, so there is one share: "
                "set share_by"
            )
        used = len(json.dumps([self.analyses, self.routes, self.share_weights]).encode())
        if used > ROOM_FOR_CHOICES:
            raise ValueError(
                f"analyses, routes and share_weights take {used} bytes as JSON; {ROOM_FOR_CHOICES} have room beside "
                "what else the functions are told (Lambda's environment is 4 KB): fewer routes, or let uploaders say it"
            )
        if not any(self.choices) and not self.uploaders_choose_from:
            raise ValueError(
                f"analyses is {{}}, and no route or uploader chooses any; choose from {', '.join(CATALOGUE)}"
            )

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> "Settings":
        """The settings that a CDK context holds. ``-c`` gives text, ``cdk.json`` gives JSON; both are understood.

        Raises:
            WrongSetting: a key is unknown, or a value won't do.
        """
        known = sorted(setting.name for setting in fields(cls))
        given = {key: value for key, value in context.items() if key in known or not _is_cdks_own(key)}
        for key in given:
            if key not in known:
                raise WrongSetting(f"{key!r} is no setting{nearest(key, known, 'the settings are')}")
        try:
            return cls(**given)
        except ValidationError as error:
            wrong = _ours(error)[0]
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in wrong["loc"])[1:]
            says = str(wrong["ctx"]["error"])
            raise WrongSetting(f"{place} is {wrong['input']!r}; {says}" if place else says) from error


def _is_cdks_own(key: str) -> bool:
    # Feature flags are @scope/..., look-ups cached by the CLI are kind:..., and two older ones are plain words.
    return key.startswith("@") or ":" in key or key.startswith("aws-cdk")
