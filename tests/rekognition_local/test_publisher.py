"""How a job's end is announced: as the publisher role, and only if that role lets Rekognition be it."""

from typing import Any

import pytest

from rekognition_local.aws import why_not_trusted

ACCOUNT = "000000000000"
TRUSTED = {"Effect": "Allow", "Principal": {"Service": "rekognition.amazonaws.com"}, "Action": "sts:AssumeRole"}


def trust(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def under(**condition: dict[str, Any]) -> dict[str, Any]:
    return TRUSTED | {"Condition": condition}


@pytest.mark.parametrize(
    "document",
    [
        trust(TRUSTED),
        trust(under(StringEquals={"aws:SourceAccount": ACCOUNT})),
        trust(under(StringEquals={"AWS:sourceaccount": ["111122223333", ACCOUNT]})),
        trust(under(StringLike={"aws:SourceAccount": "0000*"})),
        trust(under(ArnLikeIfExists={"aws:SourceArn": "arn:aws:rekognition:*:*:streamprocessor/*"})),
        trust(TRUSTED | {"Action": ["sts:TagSession", "sts:*"]}),
        trust(TRUSTED | {"Principal": {"Service": ["lambda.amazonaws.com", "rekognition.amazonaws.com"]}}),
        trust(under(StringEquals={"aws:SourceAccount": "111122223333"}), TRUSTED),
        {"Statement": TRUSTED},
    ],
)
def test_a_role_that_trusts_rekognition_is_assumed(document: dict) -> None:
    assert why_not_trusted(document, ACCOUNT) is None


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (trust(), "does not name"),
        (trust(TRUSTED | {"Principal": {"Service": "lambda.amazonaws.com"}}), "does not name"),
        (trust(TRUSTED | {"Principal": {"AWS": "*"}}), "does not name"),
        (trust(TRUSTED | {"Action": "sts:TagSession"}), "does not name"),
        (
            trust(under(StringEquals={"aws:SourceAccount": "111122223333"})),
            "wants aws:SourceAccount to be 111122223333",
        ),
        (
            trust(under(ArnLike={"aws:SourceArn": "arn:aws:rekognition:us-east-1:000000000000:streamprocessor/*"})),
            "demands aws:SourceArn, and a stored-video job has none",
        ),
        (trust(under(Bool={"aws:SecureTransport": "true"})), "Bool is not understood"),
        (trust(TRUSTED, TRUSTED | {"Effect": "Deny"}), "denies"),
    ],
)
def test_a_role_that_does_not_is_refused_with_a_reason(document: dict, says: str) -> None:
    assert says in (why_not_trusted(document, ACCOUNT) or "")
