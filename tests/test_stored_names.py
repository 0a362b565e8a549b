"""Names that are stored, and so outlive a deploy: attributes of the table, keys and labels of objects, outputs,
metrics, events, messages. They are frozen. To change one: let the code read both names and write the new one, release
that, and drop the old name in a later release, once no stack holds it any more. Adding one is free: add it here too.

Most are seen as the handlers write them, so a new name can't slip in beside this list.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal

import pytest

from cli.ingest import convert
from lambdas.aws.telemetry import Count, metrics
from lambdas.logic import results
from lambdas.model import analyses, routing
from lambdas.model.budget import Charge, month_of
from lambdas.model.job import Job
from lambdas.model.shares import Shares
from rekognition_local import Faults, Simulated
from tests.fast_fake.world import StandInWorld, standin_world
from tests.stacks.conftest import synthesized

JOB = {
    "analysis", "attempt", "bucket", "charge", "checkpoint", "conversion_id", "conversions", "detections", "due_at",
    "etag", "header", "job_id", "key", "lease_owner", "lease_until", "maybe_started", "newest_version_id", "parameters",
    "past_rekognition_job_ids", "pays_conversion", "polls", "position", "priority", "reason", "registered_at",
    "rekognition_job_id", "result_key", "rows_key", "sequencer", "share", "size", "slot_freed_at", "slot_freed_by",
    "source_key", "start_errors", "state", "state_since", "suspected_at", "suspected_in", "suspicions", "uploaded_at",
    "version_id", "video_metadata",
}  # fmt: skip
BESIDE = {"video", "uploaded_again_at", "waiting_in"}  # in the table, and not read back
SCHEDULER = {
    "job_id", "paused", "paused_at", "refused_at", "throttled_at", "collected_at", "scopes", "scopes_version", "shares",
    "shares_version",
}  # fmt: skip
SLOTS = {"job_id", "holders", "version"}
MONTH = {
    "job_id", "committed_usd", "committed_minutes", "spent_usd", "spent_minutes", "over_budget", "told",
}  # fmt: skip
OF_ANALYSES = {f"{sum_}_{name.replace('-', '_')}" for sum_ in ("usd", "minutes") for name in analyses.CATALOGUE}
OF_A_PREFIX = {"job_id", "video", "registered_at", "spent_usd", "spent_minutes"}
SHARES = {"marked", "used", "as_of", "turns"}
CHARGE = {"month", "usd", "minutes", "spent", "line", "turns"}
SCOPE = {"reason", "since", "suspects", "videos", "tolerance", "succeeded_at", "told"}
CHECKPOINT = {"rows", "document", "detections", "pages", "next_token", "remainders", "superseded"}
METRICS = {
    "UploadsIgnored", "JobsRegistered", "JobsStarted", "StartsRefused", "StartsThrottled", "StartsBlocked",
    "ConversionsBegun", "ConversionsFailed",
    "JobsPolled", "JobsRejected", "JobsSucceeded", "JobsFailed", "AttemptsFailed", "Detections", "CollectionsDenied",
    "EventsFailed", "NotificationsIgnored", "MessagesFailed",
}  # fmt: skip
EVENTS = {
    "Job Succeeded": {
        "job_id", "state", "video_bucket", "video_key", "video_etag", "analysis", "result_key", "rows_key",
        "detections", "video_metadata",
    },
    "Job Failed": {"job_id", "state", "video_bucket", "video_key", "video_etag", "analysis", "reason"},
    "Job Rejected": {"job_id", "state", "video_bucket", "video_key", "video_etag", "analysis", "reason"},
    "Budget Reached": {
        "month", "percent", "charged_usd", "charged_minutes", "budget_usd", "budget_minutes",
    },
    "Starting Blocked": {"scope", "since", "reason"},
    "Starting Unblocked": {"scope", "since", "reason"},
}  # fmt: skip
OUTPUTS = {
    "VideosBucket", "ResultsBucket", "JobsTable", "UploadsQueue", "UploadsDeadLetterQueue", "FinishedQueue",
    "FinishedDeadLetterQueue", "JobFinishedTopic", "PublisherRole", "StartFunction", "CollectFunction", "StartLogs",
    "CollectLogs", "TickRule", "UploadsFrom", "VideoExtensions", "Analyses", "Routes", "UploadChoice",
    "AllowedAnalyses", "Shares", "Budget",
}  # fmt: skip


@pytest.fixture(scope="module")
def lived() -> Iterator[StandInWorld]:
    """A world in which everything has happened that writes a name."""
    engine = Simulated(seconds=1.0, detections=30)
    settings = {"MAX_RUNNING_JOBS": "2", "MONTHLY_MINUTES": "0.01"}
    with standin_world(engine, Faults.off(max_running=2, fail_lasting=0.0), **settings) as world:
        from lambdas import wiring

        wiring.jobs().let_over_budget(month_of(world.clock.now()), True)
        world.drop("clip.mp4")
        world.drop("empty.mp4", b"")
        world.rekognition.inject("StartFaceDetection", "InvalidParameterException", times=1)
        world.drop("suspect.mp4")
        world.settle()
        world.rekognition.inject("StartFaceDetection", "AccessDeniedException", times=1)
        world.drop("blocked.mp4")
        world.rekognition.inject("StartFaceDetection", "InternalServerError", times=1)
        world.tick()
        world.settle(60)
        world.rekognition.set_faults({"fail_lasting": 1.0})
        world.drop("bad.mp4")
        world.settle()
        world.drop("clip.mp4")
        wiring.jobs().pause(True)
        world.drop("waits.mp4")
        yield world


def items(world: StandInWorld) -> dict[str, set[str]]:
    return {job_id: set(item) for job_id, item in world.table.items.items()}


def test_attributes_of_a_job_are_frozen(lived: StandInWorld) -> None:
    written = set().union(*(names for job_id, names in items(lived).items() if not job_id.startswith("#")))

    assert {field.name for field in fields(Job)} == JOB
    assert written <= JOB | BESIDE
    assert written >= BESIDE


def test_attributes_of_the_scheduler_and_of_slots_are_frozen(lived: StandInWorld) -> None:
    special = {job_id: names for job_id, names in items(lived).items() if job_id.startswith("#")}

    [month] = [name.split("#")[2] for name in special if name.startswith("#month#")][:1]
    assert set(special) == {"#scheduler", "#slots", f"#month#{month}", f"#month#{month}#"}
    assert special[f"#month#{month}"] <= MONTH | OF_ANALYSES
    assert special[f"#month#{month}#"] == OF_A_PREFIX
    assert special["#scheduler"] <= SCHEDULER
    assert special["#slots"] == SLOTS


def test_attributes_of_a_scope_are_frozen() -> None:
    from lambdas.model.blocking import Scope

    whole = Scope("r", "2026-11-24T00:00:00.000Z", ("a",), ("v",), 6, "2026-11-24T00:00:00.000Z", True)

    assert set(whole.as_item()) == SCOPE
    assert Scope.from_item(whole.as_item()) == whole


def test_the_record_of_shares_has_frozen_names() -> None:
    whole = Shares({"backfill#a/": "2026-11-24T00:00:00.000Z"}, {"a/": 1.5}, 1.8e9, 3)

    assert set(json.loads(whole.as_text())) == SHARES
    assert Shares.from_item({"shares": whole.as_text()}) == whole


def test_a_charge_has_frozen_names() -> None:
    whole = Charge("2026-11", Decimal("0.1"), Decimal("1.5"), True, "live#a/", 3)

    assert set(json.loads(whole.as_text())) == CHARGE
    assert Charge.from_text(whole.as_text()) == whole


def test_a_checkpoint_has_frozen_names() -> None:
    from lambdas import wiring

    with standin_world(Simulated(seconds=1.0, detections=4500)) as world:
        world.drop("long.mp4")
        world.pass_time(2)
        world.collect(world.notifications.pop(0).message, seconds=29.0)
        job = wiring.jobs().get(world.job("long.mp4")["job_id"])
        assert job is not None
        checkpoint = json.loads(job.checkpoint or "")

        assert set(checkpoint) == CHECKPOINT
        assert set(checkpoint["rows"]) == {"checksum", "length", "upload_id", "parts"}
        assert set(checkpoint["document"]) == {"upload_id", "parts"}
        keys = {key.split("/")[0] for key in world.results()}
        assert keys == {"collecting"}


def test_keys_and_labels_of_objects_are_frozen(lived: StandInWorld) -> None:
    job = lived.job("clip.mp4")

    assert job["result_key"] == "results/clip.mp4/face-detection.json"
    assert job["rows_key"] == f"rows/analysis=face-detection/date=2026-11-22/{job['job_id']}.jsonl.gz"
    assert f"jobs/analysis=face-detection/{job['job_id']}.json" in lived.results()
    assert results.JOB_ID == "job-id"
    assert routing.NAME == "analyses"
    assert convert.FROM == "converted-from"


def test_events_are_frozen(lived: StandInWorld) -> None:
    seen: dict[str, set[str]] = {}
    for event in lived.announcements:
        assert event["Source"] == "rekognition-batch"
        seen.setdefault(event["DetailType"], set()).update(event["Detail"])

    assert seen == EVENTS


def test_metrics_are_frozen() -> None:
    assert {one.value for one in Count} == METRICS
    assert metrics.namespace == "RekognitionBatch"


def test_outputs_are_frozen() -> None:
    outputs = {name for name in synthesized().to_json()["Outputs"] if not name.startswith(("Export", "PublishOutput"))}

    assert outputs == OUTPUTS


def test_messages_to_ourselves_are_frozen() -> None:
    from lambdas.model.events import ask_again

    assert set(json.loads(ask_again("id", "why"))) == {"job_id", "why"}
