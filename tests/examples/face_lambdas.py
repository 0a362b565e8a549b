"""Two functions as articles about Rekognition Video show them: an upload starts a job, its end fetches what was found.

S3 announces an upload to ``start``, which names a topic and a role; Rekognition publishes to the topic, and SNS calls
``finished``. Nothing in it knows of a local cloud.
"""

import json
import os
import urllib.parse

import boto3

rekognition = boto3.client("rekognition")
s3 = boto3.client("s3")


def start(event, context):
    bucket = event["Records"][0]["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(event["Records"][0]["s3"]["object"]["key"], encoding="utf-8")
    response = rekognition.start_face_detection(
        Video={"S3Object": {"Bucket": bucket, "Name": key}},
        FaceAttributes="ALL",
        NotificationChannel={"SNSTopicArn": os.environ["SNS_TOPIC_ARN"], "RoleArn": os.environ["ROLE_ARN"]},
    )
    print("Started " + response["JobId"])
    return {"statusCode": 200, "body": json.dumps(response["JobId"])}


def finished(event, context):
    message = json.loads(event["Records"][0]["Sns"]["Message"])
    print("Status: " + message["Status"])
    if message["Status"] != "SUCCEEDED":
        return
    faces, more = [], {}
    while True:
        response = rekognition.get_face_detection(JobId=message["JobId"], MaxResults=1000, **more)
        faces += response["Faces"]
        if "NextToken" not in response:
            break
        more = {"NextToken": response["NextToken"]}
    body = json.dumps({"video": message["Video"]["S3ObjectName"], "faces": faces})
    s3.put_object(Bucket=os.environ["RESULTS"], Key=message["Video"]["S3ObjectName"] + ".json", Body=body)
