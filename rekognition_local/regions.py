"""Where AWS offers what this endpoint offers (General Reference, "Amazon Rekognition endpoints and quotas")."""

from __future__ import annotations

from rekognition_local.errors import ServiceError

#: Stored video: the regions that the table of Get quotas lists.
STORED_VIDEO = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-west-1", "sa-east-1"),
        *("eu-central-1", "eu-west-1", "eu-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2"),
        *("ap-southeast-1", "ap-southeast-2", "ap-southeast-5", "ap-southeast-7"),
    }
)
#: Rekognition answers there, for pictures only; in ca-central-1 with face collections.
PICTURES_ONLY = frozenset({"ca-central-1", "il-central-1", "eu-south-2"})
COLLECTIONS_TOO = STORED_VIDEO | {"ca-central-1"}
WITHOUT_CELEBRITIES = frozenset({"us-gov-west-1"})


def require(operation: str, region: str, *, on_collections: bool) -> None:
    """Refuse what AWS does not offer in *region*. Raises ServiceError (AccessDeniedException).

    Where Rekognition has an endpoint but not the feature, AWS answers AccessDeniedException without a message (seen for
    stream processors, aws/aws-cli#4409, and for face liveness, aws-samples/aws-rekognition-liveness-detection#2; for
    stored video not verified). Elsewhere the endpoint's name does not resolve, which no server can imitate: the same
    code, and a message that says so.
    """
    offered = COLLECTIONS_TOO if on_collections else STORED_VIDEO
    if region in offered and not (region in WITHOUT_CELEBRITIES and "Celebrity" in operation):
        return
    if region in STORED_VIDEO | PICTURES_ONLY:
        reason = f"AWS does not offer {operation} in {region}, and says there no more than AccessDeniedException"
    else:
        reason = f"Rekognition has no endpoint in {region}; on AWS, rekognition.{region}.amazonaws.com does not resolve"
    what = "Face collections are" if on_collections else "Stored video is"
    raise ServiceError("AccessDeniedException", f"{reason}. {what} offered in {', '.join(sorted(offered))}.")
