"""A client as AWS's Developer Guide shows one ("Analyzing a video stored in an Amazon S3 bucket"), written anew.

    python video_detect.py ROLE BUCKET VIDEO ANALYSIS [COLLECTION]

It makes a topic and a queue, starts the analysis, waits in the queue for its end, reads the results page by page, and
deletes both. Nothing in it knows of a local cloud.
"""

import json
import sys
import time

import boto3


class VideoDetect:
    job_id = ""
    rek = boto3.client("rekognition")
    sqs = boto3.client("sqs")
    sns = boto3.client("sns")

    def __init__(self, role, bucket, video):
        self.role_arn, self.bucket, self.video = role, bucket, video

    def create_topic_and_queue(self):
        millis = str(round(time.time() * 1000))
        # As the managed policy AmazonRekognitionServiceRole wants it.
        self.topic_arn = self.sns.create_topic(Name="AmazonRekognitionExample" + millis)["TopicArn"]
        self.queue_url = self.sqs.create_queue(QueueName="AmazonRekognitionQueue" + millis)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])["Attributes"]
        self.sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"])
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "MyPolicy",
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": "SQS:SendMessage",
                    "Resource": attributes["QueueArn"],
                    "Condition": {"ArnEquals": {"aws:SourceArn": self.topic_arn}},
                }
            ],
        }
        self.sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": json.dumps(policy)})

    def delete_topic_and_queue(self):
        self.sqs.delete_queue(QueueUrl=self.queue_url)
        self.sns.delete_topic(TopicArn=self.topic_arn)

    def start(self, analysis, collection=None):
        extra = {
            "label": {"MinConfidence": 50, "Features": ["GENERAL_LABELS"]},
            "segment": {"SegmentTypes": ["TECHNICAL_CUE", "SHOT"]},
            "search": {"CollectionId": collection},
        }.get(analysis, {})  # fmt: skip
        operation = {
            "label": self.rek.start_label_detection,
            "face": self.rek.start_face_detection,
            "moderation": self.rek.start_content_moderation,
            "text": self.rek.start_text_detection,
            "celebrity": self.rek.start_celebrity_recognition,
            "search": self.rek.start_face_search,
            "segment": self.rek.start_segment_detection,
        }[analysis]
        response = operation(  # type: ignore[operator]
            Video={"S3Object": {"Bucket": self.bucket, "Name": self.video}},
            NotificationChannel={"RoleArn": self.role_arn, "SNSTopicArn": self.topic_arn},
            **extra,
        )
        self.job_id = response["JobId"]
        print("Start Job Id: " + self.job_id)

    def wait_for_success(self):
        for _ in range(60):
            response = self.sqs.receive_message(
                QueueUrl=self.queue_url, MessageAttributeNames=["All"], MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in response.get("Messages", []):
                notification = json.loads(message["Body"])
                job = json.loads(notification["Message"])
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                if str(job["JobId"]) == self.job_id:
                    print("Matching Job Found:" + job["JobId"] + " " + job["Status"] + " " + job["API"])
                    return job["Status"] == "SUCCEEDED"
        print("No message came")
        return False

    def results(self, analysis):
        operation, rows, show = {
            "label": (self.rek.get_label_detection, "Labels", lambda row: row["Label"]["Name"]),
            "face": (self.rek.get_face_detection, "Faces", lambda row: row["Face"]["Confidence"]),
            "moderation": (
                self.rek.get_content_moderation,
                "ModerationLabels",
                lambda row: row["ModerationLabel"]["Name"],
            ),
            "text": (self.rek.get_text_detection, "TextDetections", lambda row: row["TextDetection"]["DetectedText"]),
            "celebrity": (self.rek.get_celebrity_recognition, "Celebrities", lambda row: row["Celebrity"]["Name"]),
            "search": (self.rek.get_face_search, "Persons", lambda row: row["Person"]["Index"]),
            "segment": (self.rek.get_segment_detection, "Segments", lambda row: row["Type"]),
        }[analysis]
        sort = {"SortBy": "TIMESTAMP"} if analysis in ("label", "moderation", "celebrity", "search") else {}
        token, pages, finished = "", 0, False
        while not finished:
            response = operation(JobId=self.job_id, MaxResults=10, NextToken=token, **sort)  # type: ignore[operator]
            metadata = response["VideoMetadata"]
            metadata = metadata[0] if isinstance(metadata, list) else metadata
            print("Codec: " + metadata["Codec"], "Duration: " + str(metadata["DurationMillis"]))
            for row in response[rows]:
                print(row.get("Timestamp", row.get("StartTimestampMillis")), show(row))
            pages += 1
            if "NextToken" in response:
                token = response["NextToken"]
            else:
                finished = True
        print(f"{pages} pages")


def main():
    role, bucket, video, analysis, *collection = sys.argv[1:]
    analyzer = VideoDetect(role, bucket, video)
    analyzer.create_topic_and_queue()
    analyzer.start(analysis, *collection)
    if analyzer.wait_for_success():
        analyzer.results(analysis)
    analyzer.delete_topic_and_queue()


if __name__ == "__main__":
    main()
