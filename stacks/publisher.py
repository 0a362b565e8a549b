"""The role with which Rekognition announces that a job has ended."""

from aws_cdk import Stack, aws_iam as iam, aws_sns as sns
from constructs import Construct


class Publisher(iam.Role):
    """May publish to `topic`, and be assumed by Rekognition on behalf of this account, and nothing else."""

    def __init__(self, scope: Construct, id: str, *, topic: sns.Topic) -> None:
        super().__init__(
            scope,
            id,
            description="Rekognition announces the end of a video job with this",
            assumed_by=iam.ServicePrincipal(
                "rekognition.amazonaws.com",
                # And no aws:SourceArn: jobs on stored video have none, so it would silence every announcement
                # (Rekognition Developer Guide, "Cross-service confused deputy prevention").
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
            ),
        )
        topic.grant_publish(self)
