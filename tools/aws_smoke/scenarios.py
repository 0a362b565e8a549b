"""The list of scenarios. Each arranges something on the bed, acts, and notes what it observes.

What is noted is compared with the local cloud's (expected.json), except what is only timed. A scenario's ``jobs`` are
what it asks Rekognition to analyse: seconds of video, how often, per analysis; from them the price is said beforehand.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tools.aws_smoke import clips
from tools.aws_smoke.bed import GETS, ROOT, TRUST, Bed, outcome, shape

PORTRAITS = ROOT / "localcloud/clip/two-portraits.mp4"
PORTRAITS_SECONDS = 7
EVERYTHING = " ".join(name if name != "segment-detection" else f"{name}:SegmentTypes=SHOT" for name in GETS)
BURST = 25
NOT_A_JOB = "0" * 64


@dataclass
class Notes:
    """What a scenario observes: ``seen`` is compared, ``timed`` is only told."""

    seen: dict[str, Any] = field(default_factory=dict)
    timed: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """``jobs``: (analysis, seconds of video, how many)."""

    name: str
    question: str
    run: Callable[[Bed, Notes], None]
    jobs: Sequence[tuple[str, int, int]] = ()


def every_analysis(bed: Bed, notes: Notes) -> None:
    """One upload, all analyses that an uploader may ask for; then the Get calls' answers, good and bad."""
    key = "portraits.mp4"
    began = time.monotonic()
    bed.put(key, PORTRAITS.read_bytes(), bed.outputs["VideosBucket"], Metadata={"analyses": EVERYTHING})
    running: dict[str, dict[str, Any]] = {}

    def look() -> bool:
        jobs = bed.jobs(key)
        for job in jobs:
            name, job_id = job["analysis"], job.get("rekognition_job_id")
            if job["state"] == "RUNNING" and job_id and name not in running:
                running[name] = bed.answer(getattr(bed.rekognition, GETS[name][0]), JobId=job_id)
                notes.timed[f"{name}: upload to RUNNING"] = time.monotonic() - began
            if job["state"] in ("SUCCEEDED", "FAILED"):
                notes.timed.setdefault(f"{name}: upload to {job['state']}", time.monotonic() - began)
        return len(jobs) == len(GETS) and all(job["state"] in ("SUCCEEDED", "FAILED", "REJECTED") for job in jobs)

    bed.wait(look, "all analyses of one upload to end")
    for job in sorted(bed.jobs(key), key=lambda job: job["analysis"]):
        name, job_id = job["analysis"], job.get("rekognition_job_id", "")
        notes.seen[f"{name}: state"] = [job["state"], job.get("reason")]
        get, _rows = GETS[name]
        if running.get(name, {}).get("JobStatus") == "IN_PROGRESS":
            notes.seen[f"{name}: members while IN_PROGRESS"] = sorted(running[name])
        answer = bed.answer(getattr(bed.rekognition, get), JobId=job_id, MaxResults=1000)
        notes.seen[f"{name}: members of the Get reply"] = shape(answer)
        notes.seen[f"{name}: message"] = _message(bed, job_id)
    [faces] = [job for job in bed.jobs(key) if job["analysis"] == "face-detection"]
    face = faces["rekognition_job_id"]
    ask = bed.rekognition
    notes.seen["Get with a JobId of another analysis"] = bed.plain(bed.answer(ask.get_label_detection, JobId=face))
    notes.seen["Get with an unknown JobId"] = bed.plain(bed.answer(ask.get_face_detection, JobId=NOT_A_JOB))
    odd: dict[str, dict[str, Any]] = {"MaxResults=5000": {"MaxResults": 5000}, "an empty NextToken": {"NextToken": ""}}
    for shown, more in odd.items():
        notes.seen[f"Get with {shown}"] = sorted(bed.answer(ask.get_face_detection, JobId=face, **more))
    garbled = bed.answer(ask.get_face_detection, JobId=face, NextToken="garbled")
    notes.seen["Get with a garbled NextToken"] = bed.plain(garbled)


def _message(bed: Bed, job_id: str) -> Any:
    """A job's first completion message with its order of keys and its spaces, without its values of the day."""
    messages = bed.messages(job_id)
    if not messages:
        return "none came"
    text = messages[0]
    value = json.loads(text)
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False) == text
    value["Timestamp"] = "<milliseconds>" if isinstance(value.get("Timestamp"), int) else value.get("Timestamp")
    return {"compact": compact, "members in order": [list(member) for member in bed.plain(value).items()]}


def tokens(bed: Bed, notes: Notes) -> None:
    """The same token again: same parameters, others, another operation; and how many messages come."""
    token: dict[str, Any] = {"ClientRequestToken": bed.name, "NotificationChannel": bed.channel()}
    first = bed.start(JobTag="one", **token)
    again = bed.start(JobTag="one", **token)
    notes.seen["the same Start again"] = "the same JobId" if first == again else bed.plain(again)
    notes.seen["the same token with another JobTag"] = bed.plain(bed.start(JobTag="two", **token))
    other = bed.start(operation="start_label_detection", JobTag="one", **token)
    notes.seen["the same token for StartLabelDetection"] = bed.plain(other)
    bed.until_over(first["JobId"])
    notes.seen["messages of a job that was started twice"] = len(_all_messages(bed, first["JobId"]))


def _all_messages(bed: Bed, job_id: str) -> list[str]:
    """Also those that come after the first one."""
    bed.messages(job_id)
    time.sleep(3)
    return bed.messages(job_id, wait=0)


def refused_starts(bed: Bed, notes: Notes) -> None:
    """What Start refuses and in which words; and, with two faults at once, which it names: the order of its checks."""
    denied = bed.caller("Nothing", (["sts:GetCallerIdentity"], "*"))
    readless = bed.caller("NoRead", (["rekognition:*", "iam:PassRole"], "*"))
    passless = bed.caller("NoPass", (["rekognition:*", "s3:GetObject"], "*"))
    _until_rights_are_known(bed, readless, passless)
    gone: dict[str, Any] = {"Video": bed.video("gone.mp4")}
    bad_enum: dict[str, Any] = {"FaceAttributes": "SOME"}
    no_role = f"arn:aws:iam::{bed.number}:role/{bed.name}NotThere"
    no_topic = bed.topic + "NotThere"
    # If a call is accepted after all, its job fails and costs nothing.
    unread: dict[str, Any] = {"Video": bed.video("text.mp4")}
    used: dict[str, Any] = {"ClientRequestToken": f"{bed.name}-used"}
    bed.start(**unread, **used)

    for what, client, parameters in (
        ("a key that is not there", None, gone),
        ("a bucket that is not there", None, {"Video": bed.video(bucket=f"{bed.bucket}-not-there")}),
        ("an empty object", None, {"Video": bed.video("empty.mp4")}),
        ("a version that is not there", None, {"Video": bed.video(Version="nosuchversion")}),
        ("a caller who may not start", denied, unread),
        ("a caller who may not read the video", readless, unread),
        ("a caller who may not pass the role", passless, unread | {"NotificationChannel": bed.channel()}),
        ("no Bucket and no Name", None, {"Video": {}}),
        ("a word that is none of FaceAttributes", None, unread | bad_enum),
        ("a token with a space", None, unread | {"ClientRequestToken": "a b"}),
        ("a token of 65 characters", None, unread | {"ClientRequestToken": "a" * 65}),
        ("a JobTag with a space", None, unread | {"JobTag": "a b"}),
        ("a role that is not there", None, unread | {"NotificationChannel": bed.channel(role=no_role)}),
        ("a topic that is not there", None, unread | {"NotificationChannel": bed.channel(topic=no_topic)}),
        ("two faults: a bad word, and no such key", None, gone | bad_enum),
        ("two faults: may not start, and a bad word", denied, unread | bad_enum),
        ("two faults: may not start, and no such key", denied, gone),
        ("two faults: may not pass the role, and no such key", passless, gone | {"NotificationChannel": bed.channel()}),
        ("two faults: may not pass the role, and a bad word", passless,
         unread | bad_enum | {"NotificationChannel": bed.channel()}),
        ("two faults: no such key, and a used token with other parameters", None, gone | used),
    ):  # fmt: skip
        notes.seen[what] = bed.plain(_without_id(bed.start(client, **parameters)))
    too_much = bed.start(operation="start_label_detection", MinConfidence=150.0, **unread)
    notes.seen["MinConfidence=150"] = bed.plain(_without_id(too_much))


def _until_rights_are_known(bed: Bed, *clients: Any) -> None:
    """IAM is eventually consistent: until a new role's rights are known, every call is refused for lack of them."""

    def known() -> bool:
        asked = [outcome(client.get_face_detection, JobId=NOT_A_JOB) for client in clients]
        return all(answer["error"] != "AccessDeniedException" for answer in asked)

    bed.wait(known, "new rights to be known")


def _without_id(answer: dict[str, Any]) -> Any:
    return "accepted" if "JobId" in answer else answer


def unreadable_videos(bed: Bed, notes: Notes) -> None:
    """HEVC, text and nothing, through the stack: how the job ends, how soon, and what is announced. HEVC is REJECTED by
    its header, so Rekognition is asked about it without the stack."""
    for name, body in (("hevc", bed.clips.hevc), ("text", bed.clips.text), ("empty", b"")):
        key, began = f"{name}.mp4", time.monotonic()
        bed.put(key, body, bed.outputs["VideosBucket"])
        try:
            [job] = bed.ended(key)
        except TimeoutError:
            notes.seen[name] = "no job has ended"
            continue
        notes.timed[f"{name}: upload to {job['state']}"] = time.monotonic() - began
        notes.seen[name] = [job["state"], bed.plain(job.get("reason"))]
        job_id = job.get("rekognition_job_id")
        if job_id:
            notes.seen[f"{name}: message"] = _message(bed, job_id)
            answer = bed.answer(bed.rekognition.get_face_detection, JobId=job_id)
            notes.seen[f"{name}: Get"] = bed.plain(answer)
    bed.put("hevc.mp4", bed.clips.hevc)
    started = bed.start(Video=bed.video("hevc.mp4"))
    answer = bed.until_over(started["JobId"]) if "JobId" in started else started
    notes.seen["hevc without the stack"] = bed.plain(answer)


def versioned_bucket(bed: Bed, notes: Notes) -> None:
    """The same bytes twice and then others, under one key of a versioned bucket: how many jobs, started how often."""
    bucket, key = bed.outputs["VideosBucket"], "versioned.mp4"
    bed.account.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [bed.put(key, bed.clips.good, bucket)["VersionId"]]
    bed.ended(key)
    versions.append(bed.put(key, bed.clips.good, bucket)["VersionId"])
    time.sleep(bed.waits.second)
    notes.seen["versions, of the same bytes twice"] = len(set(versions))
    notes.seen["jobs, of the same bytes twice"] = _states(bed, key)
    bed.put(key, bed.clips.other, bucket)
    bed.ended(key, 2)
    notes.seen["jobs, after other bytes too"] = _states(bed, key)


def _states(bed: Bed, key: str) -> list[list[Any]]:
    return sorted([str(job["state"]), int(job["attempt"])] for job in bed.jobs(key))


def encrypted_bucket(bed: Bed, notes: Notes) -> None:
    """An object under a customer managed key: its ETag, and who can start a job for it."""
    key = bed.account.key()
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    etag = bed.put("secret.mp4", bed.clips.good, **encryption)["ETag"]
    plain = bed.put("plain.mp4", bed.clips.good)["ETag"]
    notes.seen["the ETag is the MD5, as without a key"] = etag == plain
    keyless = bed.caller("NoKey", (["rekognition:*", "s3:GetObject"], "*"))
    _until_rights_are_known(bed, keyless)
    video: dict[str, Any] = {"Video": bed.video("secret.mp4")}
    notes.seen["a caller who may not decrypt"] = bed.plain(_without_id(bed.start(keyless, **video)))
    started = bed.start(**video)
    notes.seen["a caller who may"] = bed.plain(_without_id(started))
    if "JobId" in started:
        notes.seen["its job"] = bed.until_over(started["JobId"])["JobStatus"]


def burst(bed: Bed, notes: Notes) -> None:
    """More uploads at once than Rekognition runs jobs: whether any is lost or started twice, and how Start refuses."""
    bucket, began = bed.outputs["VideosBucket"], time.monotonic()
    keys = [f"burst/{number:02}.mp4" for number in range(BURST)]
    with ThreadPoolExecutor(BURST) as uploads:
        list(uploads.map(lambda key: bed.put(key, bed.clips.good, bucket), keys))
    most, before, refusal, extra = 0, 0, None, 0

    def look() -> list[dict[str, Any]] | None:
        nonlocal most, before, refusal, extra
        jobs = [job for job in bed.jobs() if job["key"] in keys]
        count = Counter(job["state"] for job in jobs)
        most = max(most, count["RUNNING"])
        # While others wait and no more of them run than a moment ago, the slots are probably all taken.
        full = count["WAITING"] and 0 < count["RUNNING"] <= before
        before = count["RUNNING"]
        if refusal is None and extra < 3 and full:
            answer = outcome(bed.rekognition.start_face_detection, Video=bed.video("text.mp4"))
            extra += "JobId" in answer
            refusal = answer if answer.get("error") == "LimitExceededException" else None
        done = len(jobs) == BURST and all(job["state"] in ("SUCCEEDED", "FAILED", "REJECTED") for job in jobs)
        return jobs if done else None

    jobs = bed.wait(look, f"{BURST} jobs to end")
    notes.seen["jobs"] = dict(Counter(job["state"] for job in jobs))
    notes.seen["attempts"] = dict(Counter(str(job["attempt"]) for job in jobs))
    if refusal:  # else the slots were never all taken when it was tried
        notes.seen["one Start too many"] = bed.plain(refusal)
    notes.timed["most running at a time (a number)"] = most
    notes.timed[f"upload to the end of all {BURST}"] = time.monotonic() - began


def publishing(bed: Bed, notes: Notes) -> None:
    """Who may announce a job's end: AWS's managed policy, topics of other names, FIFO, conditions of trust."""
    where = "arn:aws:rekognition:*:*:*"
    sourced = TRUST | {"Condition": {"ArnLike": {"aws:SourceArn": where}}}
    owned = TRUST | {"Condition": {"StringEquals": {"aws:SourceAccount": bed.number}}}
    stranger = TRUST | {"Principal": {"Service": "lambda.amazonaws.com"}}
    publish = (["sns:Publish"], "*")
    account, name = bed.account, bed.name
    channels = {
        "the managed policy, a topic named AmazonRekognition…": bed.channel(),
        "the managed policy, another topic": bed.channel(topic=bed.plain_topic),
        "a role that demands aws:SourceAccount": bed.channel(role=account.role(f"{name}Owned", owned, [publish])),
        "a role that demands aws:SourceArn": bed.channel(role=account.role(f"{name}Sourced", sourced, [publish])),
        "a role that trusts another service": bed.channel(role=account.role(f"{name}Stranger", stranger, [publish])),
    }
    # A new role may not be known everywhere; a job that ends before it is loses its message. The clip is no video: its
    # job fails and costs nothing, and its end is announced like any other.
    time.sleep(bed.waits.settle)
    video = bed.video("text.mp4")
    started = {what: bed.start(Video=video, NotificationChannel=channel) for what, channel in channels.items()}
    for what, answer in started.items():
        if "JobId" not in answer:
            notes.seen[what] = bed.plain(answer)
            continue
        bed.until_over(answer["JobId"])
        notes.seen[what] = "published" if bed.messages(answer["JobId"], wait=bed.waits.quiet) else "nothing published"
    fifo = account.topic(f"AmazonRekognition{name}.fifo")
    answer = bed.start(Video=video, NotificationChannel=bed.channel(topic=fifo))
    notes.seen["a FIFO topic"] = bed.plain(_without_id(answer))


def places(bed: Bed, notes: Notes) -> None:
    """Other regions and operations: a bucket elsewhere, a region without stored video, people pathing."""
    other = "us-west-2" if bed.account.region == "us-east-1" else "us-east-1"
    bucket = bed.account.bucket(f"{bed.bucket}-{other}", other)
    bed.account.client("s3", other).put_object(Bucket=bucket, Key="text.mp4", Body=bed.clips.text)
    there = bed.account.client("rekognition", other)
    token: dict[str, Any] = {"ClientRequestToken": f"{bed.name}-here"}
    bed.start(Video=bed.video("text.mp4"), **token)
    again = bed.start(there, Video=bed.video("text.mp4", bucket), **token)
    notes.seen["a token that is used here, in another region"] = bed.plain(_without_id(again))
    elsewhere = bed.start(Video=bed.video("text.mp4", bucket))
    notes.seen["a video in another region's bucket"] = bed.plain(_without_id(elsewhere))
    without = outcome(bed.account.client("rekognition", "ca-central-1").start_face_detection, Video=bed.video())
    notes.seen["a region without stored video (ca-central-1)"] = bed.plain(_without_id(without))
    people = outcome(bed.rekognition.start_person_tracking, Video=bed.video("empty.mp4"))
    notes.seen["StartPersonTracking"] = bed.plain(_without_id(people))


ALL = (
    Scenario(
        "every-analysis",
        "What do jobs of every analysis look like, from upload to result?",
        every_analysis,
        [(name, PORTRAITS_SECONDS, 1) for name in GETS],
    ),
    Scenario(
        "tokens",
        "What is a repeated Start?",
        tokens,
        [("face-detection", clips.SECONDS, 1), ("label-detection", clips.SECONDS, 1)],
    ),
    Scenario("refused-starts", "What does Start refuse, in which words and in which order?", refused_starts),
    Scenario("unreadable-videos", "How does a job of a video end that cannot be read?", unreadable_videos),
    Scenario(
        "versioned-bucket",
        "Are the same bytes in a versioned bucket analysed twice?",
        versioned_bucket,
        [("face-detection", clips.SECONDS, 2)],
    ),
    Scenario(
        "encrypted-bucket",
        "Whose rights does Rekognition read an encrypted video with?",
        encrypted_bucket,
        [("face-detection", clips.SECONDS, 1)],
    ),
    Scenario("burst", f"What do {BURST} uploads at once become?", burst, [("face-detection", clips.SECONDS, BURST)]),
    Scenario("publishing", "Which roles and topics get a completion message?", publishing),
    Scenario(
        "places",
        "What do other regions and ended operations answer?",
        places,
    ),
)
