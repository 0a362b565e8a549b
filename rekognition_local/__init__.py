"""Rekognition Video on this machine: an endpoint that boto3, the AWS CLI and any SDK take for the service.

What it promises (the same tests run against the object in process and against the server):

- The seven pairs of stored video over the service's JSON 1.1 protocol (faces, labels, moderation, text, celebrities,
  face search, segments; people pathing has ended), every answer in the shape of botocore's service model, and
  everything that model bounds is checked, also what SDKs don't check before they send.
- SortBy and AggregateBy where an operation has them, filters and thresholds where Start has them.
- Collections of faces for the search: create, delete, describe, list, and index, list, delete and search their faces.
- AWS's regions: stored video where AWS offers it, and videos from buckets of the caller's region only. What is not
  offered, here or there, is answered AccessDeniedException, with a message that says what is.
- A Start is idempotent: one token, operation and set of parameters is one job and one completion message for 7 days;
  other parameters under that token are refused. The token is looked up before slots and rate.
- 20 jobs at a time over all analyses, 5 Start and 20 Get calls a second of each operation, AWS's texts for refusals.
- Jobs are IN_PROGRESS, then SUCCEEDED with every row in the order asked for, in pages of at most 1,000 behind opaque
  tokens that live 24 hours, or FAILED with a StatusMessage; VideoMetadata stands on every page; results are gone after
  7 days.
- One completion message per job, published as the role of the NotificationChannel, whose trust and permissions are
  checked; if they don't suffice no message is sent, and the server's log says why.
- The caller's right to read the object and to pass the role, as far as a proxy with IAM in front says (Caller).
- Real detections: the video is decoded and analysed (each module of engines/ says by which model, and how good that
  is). An analysis there is no engine for, or whose engine is not installed, fails its job and says so.

What it does not promise:

- Jobs and collections survive nothing: they, their rows and their tokens are gone when the object or the server is.
- Values are not AWS's: other models, lower confidences. Never tune a threshold here.
- Attributes there is no honest measurement for are left out, with FaceAttributes=ALL too.
- Signatures are not checked, and no IAM policy is evaluated here: the emulator's port does that.
- Where a segment of ``AggregateBy=SEGMENTS`` ends (views.py) and what a search sees of a collection that changes while
  it runs (here: what it held at Start) are not documented by AWS either.
- The order in which AWS checks a Start, the code of a constraint breach (InvalidParameterException here) and what an
  IN_PROGRESS reply carries beside its status (JobId, Video and JobTag here) are not documented by AWS.
"""

from rekognition_local.aws import AnyObject, Notification, S3Objects, SnsPublisher
from rekognition_local.engines.simulated import Simulated
from rekognition_local.faults import Faults
from rekognition_local.in_process import attach
from rekognition_local.service import Caller, RekognitionVideo, Response

__all__ = [
    "AnyObject",
    "Caller",
    "Faults",
    "Notification",
    "RekognitionVideo",
    "Response",
    "S3Objects",
    "Simulated",
    "SnsPublisher",
    "attach",
]
