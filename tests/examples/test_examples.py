"""Programs written for AWS, as AWS's own pages show them, run unchanged in the local cloud, with IAM.

The AWS CLI and the JavaScript SDK are clients in tests/rekognition_local/test_server.py.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import LocalCloud
from tests.rekognition_local import videos

HERE = Path(__file__).parent
MANAGED = "arn:aws:iam::aws:policy/"
ROWS = 25


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    options = ["--engine", "simulated", "--seconds", "0.5", "--detections", str(ROWS)]
    with LocalCloud(deploy=False, endpoint_options=options) as cloud:
        yield cloud


def role(cloud: LocalCloud, name: str, service: str, *managed: str, allowed: list[dict[str, Any]] | None = None) -> str:
    """A role for a service, made as the console makes it."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for policy in managed:
        iam.attach_role_policy(RoleName=name, PolicyArn=MANAGED + policy)
    if allowed:
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=policy)
    return str(arn)


@pytest.fixture(scope="module")
def publisher(cloud: LocalCloud) -> str:
    return role(cloud, "RekognitionPublisher", "rekognition", "service-role/AmazonRekognitionServiceRole")


@pytest.fixture(scope="module")
def bucket(cloud: LocalCloud) -> str:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="examples")
    s3.upload_file(str(videos.CLIP), "examples", "clip.mp4")
    cloud.client("rekognition").create_collection(CollectionId="people")
    return "examples"


@pytest.mark.parametrize("analysis", ["label", "face", "moderation", "text", "celebrity", "search", "segment"])
def test_the_guides_python_example_finds_its_results(
    cloud: LocalCloud, publisher: str, bucket: str, analysis: str
) -> None:
    """With the rights that the guide gives its user, and no others but to pass the role."""
    iam = cloud.client("iam")
    name = f"developer-{analysis}"
    iam.create_user(UserName=name)
    for policy in ("AmazonSQSFullAccess", "AmazonRekognitionFullAccess", "AmazonS3FullAccess", "AmazonSNSFullAccess"):
        iam.attach_user_policy(UserName=name, PolicyArn=MANAGED + policy)
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": publisher}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [passing]})
    iam.put_user_policy(UserName=name, PolicyName="pass", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    command = [sys.executable, str(HERE / "video_detect.py"), publisher, bucket, "clip.mp4", analysis]
    command += ["people"] if analysis == "search" else []
    env = os.environ | cloud.env | keys
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Start Job Id: ")
    assert lines[1].startswith("Matching Job Found:")
    assert " SUCCEEDED Start" in lines[1]
    assert "Codec: h264" in lines[2]
    assert int(lines[-1].split()[0]) >= 3, "results come in pages of 10"
    assert not [arn for arn in topics(cloud) if "AmazonRekognitionExample" in arn]


def topics(cloud: LocalCloud) -> list[str]:
    return [topic["TopicArn"] for topic in cloud.client("sns").list_topics()["Topics"]]


def test_with_a_topic_of_another_name_the_managed_policy_lets_nothing_through(
    cloud: LocalCloud, publisher: str, bucket: str
) -> None:
    topic = cloud.client("sns").create_topic(Name="MyTopic")["TopicArn"]
    rekognition = cloud.client("rekognition")

    job = rekognition.start_face_detection(
        Video={"S3Object": {"Bucket": bucket, "Name": "clip.mp4"}},
        NotificationChannel={"SNSTopicArn": topic, "RoleArn": publisher},
    )["JobId"]
    log = cloud.folder / "logs/endpoint.log"
    said = wait(lambda: next((line for line in log.read_text().splitlines() if job in line), None))

    assert f"completion of job {job} not published" in said
    assert "AmazonRekognitionServiceRole lets it publish to topics whose name begins with AmazonRekognition" in said
    assert rekognition.get_face_detection(JobId=job)["JobStatus"] == "SUCCEEDED"


def test_two_functions_as_articles_show_them_turn_an_upload_into_faces(cloud: LocalCloud, publisher: str) -> None:
    s3, sns = cloud.client("s3"), cloud.client("sns")
    s3.create_bucket(Bucket="article-videos")
    s3.create_bucket(Bucket="article-results")
    topic = sns.create_topic(Name="AmazonRekognitionArticle")["TopicArn"]
    execution = role(
        cloud,
        "ArticleFunctions",
        "lambda",
        "AmazonRekognitionFullAccess",
        "AmazonS3FullAccess",
        "service-role/AWSLambdaBasicExecutionRole",
        allowed=[{"Effect": "Allow", "Action": "iam:PassRole", "Resource": publisher}],
    )
    settings = {"SNS_TOPIC_ARN": topic, "ROLE_ARN": publisher, "RESULTS": "article-results"}
    starting, finishing = (function(cloud, name, execution, settings) for name in ("start", "finished"))
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=finishing)
    announce = {"LambdaFunctionArn": starting, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="article-videos", NotificationConfiguration={"LambdaFunctionConfigurations": [announce]}
    )

    s3.upload_file(str(videos.CLIP), "article-videos", "my holiday (1).mp4")
    found = wait(lambda: s3.list_objects_v2(Bucket="article-results").get("Contents"))

    assert [one["Key"] for one in found] == ["my holiday (1).mp4.json"]
    result = json.loads(s3.get_object(Bucket="article-results", Key=found[0]["Key"])["Body"].read())
    assert len(result["faces"]) == ROWS
    assert "Smile" in result["faces"][0]["Face"]


def function(cloud: LocalCloud, name: str, execution: str, settings: dict[str, str]) -> str:
    """A deployed function's ARN; S3 and SNS may call it."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.write(HERE / "face_lambdas.py", "face_lambdas.py")
    lambdas = cloud.client("lambda")
    arn = lambdas.create_function(
        FunctionName=f"article-{name}",
        Runtime="python3.13",
        Handler=f"face_lambdas.{name}",
        Role=execution,
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
        Environment={"Variables": settings},
    )["FunctionArn"]
    for service in ("s3", "sns"):
        lambdas.add_permission(
            FunctionName=f"article-{name}",
            StatementId=service,
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
        )
    return str(arn)


def wait(look: Any, seconds: float = 30) -> Any:
    """What *look* gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found
