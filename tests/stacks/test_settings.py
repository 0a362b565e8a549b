"""Settings: typed, checked, refused with key, value and what is accepted, and documented in the README."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stacks.settings import Settings, WrongSetting

ROOT = Path(__file__).parent.parent.parent
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
MULTI_REGION_KEY = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"


def test_nothing_given_is_the_defaults() -> None:
    assert Settings.from_context({}) == Settings()


def test_cdks_own_context_is_not_ours() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    assert (
        Settings.from_context({**context, "aws:cdk:bundling-stacks": ["*"], "availability-zones:x": []}) == Settings()
    )


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"retain_data": "false"}, "retain_data", False),
        ({"retain_data": False}, "retain_data", False),
        ({"retain_data": "true"}, "retain_data", True),
        ({"log_retention_days": "7"}, "log_retention_days", 7),
        ({"video_extensions": ".MP4 .m4v"}, "video_extensions", (".mp4", ".m4v")),
        ({"video_extensions": [".mov"]}, "video_extensions", (".mov",)),
        ({"analyses": '{"face-detection": {}}'}, "analyses", {"face-detection": {"FaceAttributes": "DEFAULT"}}),
        ({"max_running_jobs": "5"}, "max_running_jobs", 5),
        (
            {"routes": '[{"prefix": "ads/", "analyses": {"segment-detection": {"SegmentTypes": ["SHOT"]}}}]'},
            "routes",
            ({"prefix": "ads/", "analyses": {"segment-detection": {"SegmentTypes": ["SHOT"]}}},),
        ),
        ({"routes": [{"prefix": "drafts/", "analyses": {}}]}, "routes", ({"prefix": "drafts/", "analyses": {}},)),
        ({"upload_choice": "metadata"}, "upload_choice", "metadata"),
        ({"allowed_analyses": "text-detection,face-search"}, "allowed_analyses", ("text-detection", "face-search")),
        ({"query_scan_limit_gb": "50"}, "query_scan_limit_gb", 50),
        ({"stack_name": "Second"}, "stack_name", "Second"),
        ({"videos_bucket": "our-videos"}, "videos_bucket", "our-videos"),
        ({"videos_bucket": "b-1", "videos_key_arn": KEY}, "videos_key_arn", KEY),
        ({"videos_bucket": "b-1", "videos_key_arn": MULTI_REGION_KEY}, "videos_key_arn", MULTI_REGION_KEY),
        ({"uploads_from": "eventbridge"}, "uploads_from", "eventbridge"),
        ({"customer_managed_key": "true"}, "customer_managed_key", True),
        ({"convert": "mediaconvert"}, "convert", "mediaconvert"),
    ],
)
def test_text_and_json_are_both_understood(given: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(Settings.from_context(given), field) == value


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"retain": "false"}, "'retain' is no setting; did you mean 'retain_data'?"),
        ({"zzz": "1"}, "'zzz' is no setting; the settings are allowed_analyses, "),
        ({"retain_data": "no"}, "retain_data is 'no'; it takes true or false"),
        ({"retain_data": 1}, "retain_data is 1; it takes true or false"),
        ({"log_retention_days": "8"}, "log_retention_days is '8'; CloudWatch Logs takes 1, 3, 5"),
        ({"log_retention_days": True}, "log_retention_days is True"),
        ({"video_extensions": "mp4"}, "video_extensions[0] is 'mp4'; it takes extensions with their dot"),
        ({"video_extensions": [".mp4", "mov"]}, "video_extensions[1] is 'mov'; it takes extensions with their dot"),
        ({"video_extensions": []}, "video_extensions is []"),
        ({"videos_bucket": "arn:aws:s3:::b"}, "videos_bucket is 'arn:aws:s3:::b'; it takes a bucket's name"),
        ({"videos_key_arn": KEY}, "it takes the key of an existing bucket, and videos_bucket is empty"),
        ({"videos_bucket": "b-1", "videos_key_arn": KEY.split("/")[1]}, "it takes the ARN of a key (arn:aws:kms:REG"),
        ({"videos_bucket": "b-1", "videos_key_arn": f"{KEY}0"}, "it takes the ARN of a key"),
        ({"videos_bucket": "b-1", "videos_key_arn": KEY.replace("key/", "alias/")}, "not of an alias"),
        ({"uploads_from": "sns"}, "uploads_from is 'sns'; it takes notifications or eventbridge"),
        ({"max_running_jobs": "-1"}, "max_running_jobs is '-1'; it takes a whole number, 0 or more"),
        ({"max_running_jobs": True}, "max_running_jobs is True"),
        ({"stack_name": "my stack"}, "stack_name is 'my stack'; it takes letters"),
        ({"analyses": "face-detection"}, "analyses is 'face-detection'; it takes an object like"),
        ({"analyses": '{"face-detection": '}, "it takes JSON, and this is none (Expecting value: line 1 column 20"),
        ({"analyses": '{"face-detect": {}}'}, "there is no analysis 'face-detect'; did you mean 'face-detection'?"),
        ({"analyses": {"face-detection": {"FaceAttributes": "some"}}}, "it takes DEFAULT or ALL"),
        ({"analyses": {"segment-detection": {}}}, "segment-detection needs SegmentTypes"),
        (
            {"analyses": {}, "upload_choice": "none"},
            "analyses is {}, and no route or uploader chooses any; choose from face-det",
        ),
        ({"routes": "ads/"}, "routes is 'ads/'; it takes a list like [{"),
        ({"routes": [{"prefix": "ads/"}]}, "routes[0] is {'prefix': 'ads/'}; it takes a list like"),
        ({"routes": [{"prefix": "", "analyses": {}}]}, "routes[0].prefix is ''; it takes how keys begin"),
        ({"routes": [{"prefix": "é" * 513, "analyses": {}}]}, "routes[0].prefix is 'ééé"),
        ({"routes": [{"prefix": "a", "analyses": {}}] * 2}, "routes[1].prefix is 'a'; another route has it already"),
        (
            {"routes": [{"prefix": "a", "analyses": {"labels": {}}}]},
            "routes[0].analyses is {'labels': {}}; there is no",
        ),
        ({"routes": [{"prefix": f"{n}/", "analyses": {}} for n in range(99)]}, "3000 have room"),
        ({"upload_choice": "yes"}, "upload_choice is 'yes'; it takes metadata or tags or both or none"),
        ({"allowed_analyses": "faces"}, "allowed_analyses[0] is 'faces'; it takes names of face-detection, label-"),
        ({"convert": "yes"}, "convert is 'yes'; it takes off or mediaconvert"),
        ({"allowed_analyses": []}, "allowed_analyses is []; it takes names of"),
        ({"query_scan_limit_gb": 0}, "query_scan_limit_gb is 0; it takes a whole number, 1 or more"),
    ],
)
def test_a_wrong_one_is_refused_with_key_value_and_what_is_accepted(given: dict[str, Any], says: str) -> None:
    with pytest.raises(WrongSetting, match=re.escape(says)):
        Settings.from_context(given)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
@pytest.mark.parametrize("value", [None, -1.5, "{}]", ["", {"prefix": 1}]])
def test_what_no_setting_takes_is_refused_in_words_of_ours(name: str, value: Any) -> None:
    with pytest.raises(WrongSetting, match=rf"^{name}.* is .*; (it|CloudWatch Logs) takes .*[^)]*$"):
        Settings.from_context({name: value})


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    table = dict(
        re.findall(r"^\| `(\w+)` \| `?(.*?)`? \| .* \|$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    )

    documented = {name: table.get(name) for name in (field.name for field in dataclasses.fields(Settings))}

    assert documented == {
        "stack_name": "RekognitionBatch",
        "videos_bucket": '""',
        "videos_key_arn": '""',
        "uploads_from": "notifications",
        "video_extensions": '[".mp4", ".mov"]',
        "convert": "off",
        "analyses": '{"face-detection": {"FaceAttributes": "DEFAULT"}}',
        "routes": "[]",
        "upload_choice": "both",
        "allowed_analyses": json.dumps(
            [
                "face-detection",
                "label-detection",
                "content-moderation",
                "text-detection",
                "celebrity-recognition",
                "segment-detection",
            ]
        ),
        "max_running_jobs": "0",
        "share_by": '""',
        "share_weights": "{}",
        "monthly_budget_usd": "0.0",
        "monthly_minutes": "0.0",
        "retain_data": "true",
        "customer_managed_key": "false",
        "log_retention_days": "30",
        "query_scan_limit_gb": "10",
    }
    assert Settings() == Settings.from_context(
        {name: json.loads(text) if text[:1] in '[{"' else text for name, text in documented.items()}
    )
