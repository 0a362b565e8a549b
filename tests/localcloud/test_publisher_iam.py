"""How a job's end is announced with IAM in front of SNS: the endpoint beside the emulator."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from rekognition_local.aws import Notification, PublishRefused, SnsPublisher
from tests.rekognition_local import videos
from tests.rekognition_local.endpoint_process import Endpoint

ACCOUNT = "000000000000"  # the emulator's
TRUSTED = {"Effect": "Allow", "Principal": {"Service": "rekognition.amazonaws.com"}, "Action": "sts:AssumeRole"}


def trust(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def under(**condition: dict[str, Any]) -> dict[str, Any]:
    return TRUSTED | {"Condition": condition}


class Topic:
    """A topic, a queue behind it, and roles that may or may not publish to it."""

    def __init__(self, aws: Callable[[str], Any], name: str) -> None:
        self.iam, self.sqs = aws("iam"), aws("sqs")
        sns = aws("sns")
        self.name = name
        self.arn = sns.create_topic(Name=name)["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": json.dumps(trust(allow))})
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def role(self, name: str, document: dict[str, Any], *, may_publish: bool = True, managed: str = "") -> str:
        name = f"{self.name}-{name}"
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
        if managed:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=managed)
            return str(role)
        if may_publish:
            policy = trust({"Effect": "Allow", "Action": "sns:Publish", "Resource": self.arn})
            self.iam.put_role_policy(RoleName=name, PolicyName="publish", PolicyDocument=json.dumps(policy))
        return str(role)

    def received(self, wait: int = 2) -> list[dict[str, Any]]:
        """What has arrived: *wait* seconds for a first message, one more for others."""
        found = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue, WaitTimeSeconds=1 if found else wait, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def topic(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Topic:
    return Topic(aws, f"finished-{abs(hash(request.node.name)) % 10**8}")


def test_the_real_thing_is_published_once_as_the_role(
    real: Endpoint, aws: Callable[[str], Any], bucket: str, topic: Topic
) -> None:
    role = topic.role("publisher", trust(under(StringEquals={"aws:SourceAccount": ACCOUNT})))
    aws("s3").upload_file(str(videos.CLIP), bucket, "in/clip 1.mp4")
    parameters = {
        "Video": {"S3Object": {"Bucket": bucket, "Name": "in/clip 1.mp4"}},
        "NotificationChannel": {"SNSTopicArn": topic.arn, "RoleArn": role},
        "ClientRequestToken": "once",
        "JobTag": "tag",
    }
    client = real.client()
    before = time.time()

    job = client.start_face_detection(**parameters)["JobId"]
    messages = topic.received(wait=10)
    client.start_face_detection(**parameters)
    messages += topic.received(wait=1)

    (message,) = messages
    assert before <= message.pop("Timestamp") / 1000 <= time.time()
    assert message == {
        "JobId": job,
        "Status": "SUCCEEDED",
        "API": "StartFaceDetection",
        "JobTag": "tag",
        "Video": {"S3ObjectName": "in/clip 1.mp4", "S3Bucket": bucket},
    }


def test_a_role_that_may_not_publish_publishes_nothing(aws: Callable[[str], Any], topic: Topic) -> None:
    role = topic.role("powerless", trust(TRUSTED), may_publish=False)

    with pytest.raises(Exception, match=r"(?i)not authorized|AccessDenied|AuthorizationError"):
        SnsPublisher(aws)(Notification(topic.arn, role, "{}", ACCOUNT, "job"))

    assert topic.received(wait=0) == []


MANAGED = "arn:aws:iam::aws:policy/service-role/AmazonRekognitionServiceRole"


def test_awss_managed_policy_publishes_to_topics_whose_names_begin_with_amazon_rekognition(
    aws: Callable[[str], Any],
) -> None:
    topic = Topic(aws, "AmazonRekognitionFinished")
    role = topic.role("publisher", trust(TRUSTED), managed=MANAGED)

    SnsPublisher(aws)(Notification(topic.arn, role, "{}", ACCOUNT, "job"))

    assert topic.received() == [{}]


def test_awss_managed_policy_publishes_to_no_other_topic_and_the_refusal_says_why(
    aws: Callable[[str], Any], topic: Topic
) -> None:
    role = topic.role("managed", trust(TRUSTED), managed=MANAGED)

    with pytest.raises(PublishRefused, match=rf"AmazonRekognitionServiceRole .* begins .*, and .*{topic.name}"):
        SnsPublisher(aws)(Notification(topic.arn, role, "{}", ACCOUNT, "job"))

    assert topic.received(wait=0) == []


def test_awss_managed_policies_have_awss_content(aws: Callable[[str], Any]) -> None:
    """AWS Managed Policy Reference, AmazonRekognitionServiceRole, version v1."""
    policy = aws("iam").get_policy(PolicyArn=MANAGED)["Policy"]
    document = aws("iam").get_policy_version(PolicyArn=MANAGED, VersionId=policy["DefaultVersionId"])["PolicyVersion"]

    assert (policy["PolicyName"], policy["Path"]) == ("AmazonRekognitionServiceRole", "/service-role/")
    allowed = [(one["Action"], one["Resource"]) for one in document["Document"]["Statement"]]
    assert allowed == [
        (["sns:Publish"], "arn:aws:sns:*:*:AmazonRekognition*"),
        (["kinesis:PutRecord", "kinesis:PutRecords"], "arn:aws:kinesis:*:*:stream/AmazonRekognition*"),
        (["kinesisvideo:GetDataEndpoint", "kinesisvideo:GetMedia"], "*"),
    ]


def test_a_role_that_does_not_trust_rekognition_publishes_nothing(aws: Callable[[str], Any], topic: Topic) -> None:
    role = topic.role("stranger", trust(under(ArnLike={"aws:SourceArn": "arn:aws:rekognition:*:*:streamprocessor/*"})))

    with pytest.raises(PublishRefused, match="a stored-video job has none"):
        SnsPublisher(aws)(Notification(topic.arn, role, "{}", ACCOUNT, "job"))

    assert topic.received(wait=0) == []


def test_a_role_that_is_not_there_is_silent_to_the_customer_and_named_in_the_log(
    real: Endpoint, aws: Callable[[str], Any], bucket: str, topic: Topic
) -> None:
    aws("s3").upload_file(str(videos.CLIP), bucket, "clip.mp4")
    channel = {"SNSTopicArn": topic.arn, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/nobody"}
    place = {"S3Object": {"Bucket": bucket, "Name": "clip.mp4"}}
    client = real.client()

    job = client.start_face_detection(Video=place, NotificationChannel=channel)["JobId"]
    while client.get_face_detection(JobId=job)["JobStatus"] == "IN_PROGRESS":
        time.sleep(0.05)
    deadline = time.monotonic() + 10
    while f"completion of job {job} not published" not in real.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert client.get_face_detection(JobId=job)["JobStatus"] == "SUCCEEDED"
    assert f"completion of job {job} not published" in real.log.read_text()
