"""AWS Elemental MediaConvert as far as converting videos for Rekognition goes: a REST endpoint that converts for real.

    python -m localcloud.mediaconvert --aws-endpoint http://127.0.0.1:4566

It promises:

- CreateJob, GetJob, ListJobs, CancelJob and DescribeEndpoints in MediaConvert's own protocol; requests are checked
  against botocore's model of the service, and what breaks it is refused with BadRequestException and the member's path.
- A job reads one object of S3 (FileInput) and writes MP4 files with H.264 (file groups), as its role: the role must
  trust mediaconvert.amazonaws.com and may do what its policies say. Rotate, Width, Height, ScalingBehavior, the frame
  rate, MaxBitrate, NameModifier, Extension and one sound track per output (AAC) do what the User Guide says.
- States, jobPercentComplete, OutputGroupDetails, and the User Guide's error codes with its words: 1010, 1020, 1030,
  1040, 1075, 1076, 1401, 1404, 1433, 1434, 1999.
- The event "MediaConvert Job State Change" for PROGRESSING, COMPLETE, ERROR and CANCELED.
- A ClientRequestToken stands for one job during one minute (API Reference, "Preventing duplicate jobs").

It does not: clip, crop, overlay, caption, make streaming groups or take more than one input (refused, with a sentence);
offer queues beside Default, templates, presets; match MediaConvert's encoder in size or quality, or what it refuses to
read (FFmpeg reads more); send INPUT_INFORMATION, STATUS_UPDATE and NEW_WARNING events. Jobs are forgotten when it ends.

Nothing here imports the functions or the command (a contract in pyproject.toml).
"""
