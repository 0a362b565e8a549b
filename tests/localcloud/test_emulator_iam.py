"""IAM stands in front of Rekognition in the emulator's port, and tells the endpoint what it can't know."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud

ROLE = "arn:aws:iam::000000000000:role/publisher"
CHANNEL = {"SNSTopicArn": "arn:aws:sns:us-east-1:000000000000:finished", "RoleArn": ROLE}
PASS_ROLE = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": ROLE,
    "Condition": {"StringEquals": {"iam:PassedToService": "rekognition.amazonaws.com"}},
}


class Endpoint(ThreadingHTTPServer):
    """Says yes to everything, and keeps what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.calls = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((dict(self.headers), json.loads(body)))
        answer = b'{"JobId": "' + b"a" * 64 + b'"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-From-The-Endpoint", "yes")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def endpoint():
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def cloud(endpoint):
    with LocalCloud(deploy=False, rekognition_endpoint=endpoint.url) as cloud:
        anyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        cloud.client("iam").create_role(RoleName="caller", AssumeRolePolicyDocument=json.dumps({"Statement": anyone}))
        cloud.client("s3").create_bucket(Bucket="videos")
        yield cloud


@pytest.fixture
def caller(cloud):
    """A client that may do exactly what these statements say."""

    def caller(service, *statements):
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        cloud.client("iam").put_role_policy(RoleName="caller", PolicyName="policy", PolicyDocument=policy)
        role = "arn:aws:iam::000000000000:role/caller"
        keys = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=cloud.env["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return caller


@pytest.fixture
def start(caller, endpoint):
    """Start a job with exactly these permissions; what the endpoint was told about the caller."""

    def start(*statements, **video):
        place = {"Bucket": "videos", "Name": "a b+ü.mp4", **video}
        rekognition = caller("rekognition", *statements)
        answer = rekognition.start_face_detection(Video={"S3Object": place}, NotificationChannel=CHANNEL)
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-from-the-endpoint"] == "yes"
        headers, body = endpoint.calls[-1]
        assert body["Video"]["S3Object"] == place
        return {
            name.lower(): value for name, value in headers.items() if name.lower().startswith("x-rekognition-local-")
        }

    return start


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


START = allow("rekognition:StartFaceDetection")


def test_without_the_grant_the_call_is_refused_in_awss_words(start, endpoint):
    before = len(endpoint.calls)

    with pytest.raises(ClientError, match="not authorized to perform: rekognition:StartFaceDetection") as refusal:
        start(allow("rekognition:GetFaceDetection"))

    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert len(endpoint.calls) == before


def test_a_search_is_allowed_in_the_collection_that_the_grant_names(caller, endpoint):
    people = allow("rekognition:StartFaceSearch", "arn:aws:rekognition:*:*:collection/people")
    rekognition = caller("rekognition", people)
    video = {"S3Object": {"Bucket": "videos", "Name": "a.mp4"}}

    rekognition.start_face_search(Video=video, CollectionId="people")

    assert endpoint.calls[-1][1]["CollectionId"] == "people"
    with pytest.raises(ClientError, match="not authorized to perform: rekognition:StartFaceSearch"):
        rekognition.start_face_search(Video=video, CollectionId="others")
    with pytest.raises(ClientError, match="not authorized to perform: rekognition:StartFaceDetection"):
        rekognition.start_face_detection(Video=video)


def test_the_endpoint_learns_who_may_read_a_picture(caller, endpoint):
    picture = {"S3Object": {"Bucket": "videos", "Name": "ada.jpg"}}
    index = allow("rekognition:IndexFaces", "arn:aws:rekognition:*:*:collection/people")

    for statements, told in (([index], "false"), ([index, allow("s3:GetObject", "arn:aws:s3:::videos/*")], "true")):
        caller("rekognition", *statements).index_faces(CollectionId="people", Image=picture)
        headers, _ = endpoint.calls[-1]
        assert {name.lower(): value for name, value in headers.items()}["x-rekognition-local-may-read"] == told


def test_the_endpoint_learns_who_calls(start):
    facts = start(START)

    assert facts["x-rekognition-local-account"] == "000000000000"
    assert facts["x-rekognition-local-region"] == "us-east-1"
    assert facts["x-rekognition-local-caller"] == "arn:aws:sts::000000000000:assumed-role/caller/session"


@pytest.mark.parametrize(
    ("grants", "may"),
    [
        ([], "false"),
        ([allow("s3:GetObject", "arn:aws:s3:::videos/*")], "true"),
        ([allow("s3:GetObject", "arn:aws:s3:::others/*")], "false"),
        ([allow("s3:GetObjectVersion", "arn:aws:s3:::videos/*")], "false"),
    ],
)
def test_the_endpoint_learns_whether_the_caller_may_read_the_video(start, grants, may):
    assert start(START, *grants)["x-rekognition-local-may-read"] == may


def test_a_version_needs_the_permission_for_versions(start):
    assert start(START, allow("s3:GetObject"), Version="1")["x-rekognition-local-may-read"] == "false"
    assert start(START, allow("s3:GetObjectVersion"), Version="1")["x-rekognition-local-may-read"] == "true"


def test_a_bucket_policy_can_refuse_the_reading(start, cloud):
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::videos/*"}
    s3 = cloud.client("s3")
    s3.put_bucket_policy(Bucket="videos", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    try:
        assert start(START, allow("s3:GetObject"))["x-rekognition-local-may-read"] == "false"
    finally:
        s3.delete_bucket_policy(Bucket="videos")


@pytest.mark.parametrize(
    ("grants", "may"),
    [
        ([], "false"),
        ([PASS_ROLE], "true"),
        ([PASS_ROLE | {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}], "false"),
    ],
)
def test_the_endpoint_learns_whether_the_caller_may_pass_the_role(start, grants, may):
    assert start(START, *grants)["x-rekognition-local-may-pass-role"] == may


def test_root_may_do_everything(cloud, endpoint):
    cloud.client("rekognition").start_face_detection(Video={"S3Object": {"Bucket": "videos", "Name": "a.mp4"}})

    headers = {name.lower(): value for name, value in endpoint.calls[-1][0].items()}
    assert headers["x-rekognition-local-may-read"] == "true"
    assert "x-rekognition-local-may-pass-role" not in headers  # no role was named


def test_an_endpoint_that_does_not_answer_is_an_internal_error_and_comes_back(cloud):
    from botocore.config import Config

    rekognition = cloud.client("rekognition", config=Config(retries={"total_max_attempts": 1}))

    with cloud.without_rekognition(), pytest.raises(ClientError, match="does not answer") as failure:
        rekognition.get_face_detection(JobId="a" * 64)

    assert failure.value.response["Error"]["Code"] == "InternalServerError"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert rekognition.get_face_detection(JobId="a" * 64)["JobId"] == "a" * 64


def test_a_bucket_that_demands_tls_is_reached(cloud):
    """CDK's bootstrap bucket does, and so do ours; loopback counts as TLS."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="secure")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::secure/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="secure", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    s3.put_object(Bucket="secure", Key="key", Body=b"")


@pytest.mark.parametrize(("account", "lets_in"), [("000000000000", True), ("111111111111", False)])
def test_a_trust_policys_source_account_is_the_services(cloud, account, lets_in):
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "rekognition.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    name = f"publisher-{account}"
    cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": trust}))

    def assume():
        role = f"arn:aws:iam::000000000000:role/{name}"
        return cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="Rekognition")

    if lets_in:
        assert assume()["Credentials"]
    else:
        with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
            assume()


def test_who_may_send_one_message_may_send_ten(cloud, caller):
    url = cloud.client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    topic = cloud.client("sns").create_topic(Name="topic")["TopicArn"]
    allowed, refused = allow("sqs:SendMessage"), allow("sqs:ReceiveMessage")
    entries = [{"Id": "1", "MessageBody": "text"}]

    assert caller("sqs", allowed).send_message_batch(QueueUrl=url, Entries=entries)["Successful"]
    with pytest.raises(ClientError, match="not authorized to perform: sqs:SendMessage "):
        caller("sqs", refused).send_message_batch(QueueUrl=url, Entries=entries)
    publish = [{"Id": "1", "Message": "text"}]
    assert caller("sns", allow("sns:Publish")).publish_batch(TopicArn=topic, PublishBatchRequestEntries=publish)
