"""A job as it is registered: what it takes over from its upload, and where it stands in the backlog."""

from dataclasses import fields, replace
from typing import Any

from lambdas.model.analyses import attempt_token, job_id
from lambdas.model.events import Upload
from lambdas.model.job import FINAL, Job, new_job, position

NOW = 1_800_000_000.25
PARAMETERS = {"FaceAttributes": "ALL"}


def upload(**changes: Any) -> Upload:
    return Upload(
        **{
            "bucket": "videos",
            "key": "x.mp4",
            "etag": "e",
            "size": 7,
            "uploaded_at": "2027-01-15T08:00:00.000Z",
            "sequencer": "01",
            "version_id": "v1",
            **changes,
        }
    )


def test_a_new_job_waits_at_the_end_of_the_backlog_and_knows_its_upload() -> None:
    job = new_job(upload(), "face-detection", PARAMETERS, NOW)

    now = "2027-01-15T08:00:00.250Z"
    assert job.job_id == job_id("videos", "x.mp4", "e", "face-detection", PARAMETERS)
    assert (job.state, job.analysis, job.parameters) == ("WAITING", "face-detection", PARAMETERS)
    assert (job.bucket, job.key, job.etag, job.size) == ("videos", "x.mp4", "e", 7)
    assert (job.uploaded_at, job.sequencer, job.version_id) == ("2027-01-15T08:00:00.000Z", "01", "v1")
    assert job.position == job.due_at == f"{now}#{job.job_id[:8]}"
    assert job.state_since == job.registered_at == now
    assert (job.attempt, job.maybe_started, job.suspicions, job.start_errors, job.polls) == (1, False, 0, 0, 0)


def test_a_new_job_has_nothing_of_what_is_learnt_later() -> None:
    job = new_job(upload(version_id=None), "face-detection", PARAMETERS, NOW)

    unknown = [field.name for field in fields(job) if getattr(job, field.name) is None]
    assert unknown == [
        "version_id",
        "newest_version_id",
        "charge",
        "suspected_at",
        "suspected_in",
        "rekognition_job_id",
        "slot_freed_by",
        "slot_freed_at",
        "reason",
        "lease_owner",
        "lease_until",
        "checkpoint",
        "result_key",
        "rows_key",
        "detections",
        "header",
        "source_key",
        "conversion_id",
    ]
    assert (job.past_rekognition_job_ids, job.video_metadata) == ((), {})


def test_what_a_registration_does_not_say_is_not_known() -> None:
    new = new_job(upload(), "face-detection", PARAMETERS, NOW)

    plain = Job(**{field.name: getattr(new, field.name) for field in fields(Job)[:14]})

    assert plain == replace(new, version_id=None)


def test_every_log_line_about_it_names_it_and_its_video() -> None:
    job = new_job(upload(), "face-detection", PARAMETERS, NOW)

    assert job.log_keys == {"job_id": job.job_id, "bucket": "videos", "key": "x.mp4"}


def test_its_token_is_its_attempts() -> None:
    job = new_job(upload(), "face-detection", PARAMETERS, NOW)

    assert job.token == attempt_token(job.job_id, 1)


def test_a_job_that_comes_later_stands_behind_and_two_of_one_moment_in_the_order_of_their_ids() -> None:
    assert position(NOW, "b" * 64) == "2027-01-15T08:00:00.250Z#bbbbbbbb"
    assert position(NOW, "a") < position(NOW, "b") < position(NOW + 0.001, "a")


def test_three_states_are_final() -> None:
    assert {"SUCCEEDED", "FAILED", "REJECTED"} == FINAL
