"""A job's results, page by page: what is stored where, how another invocation goes on, and whose result stands."""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.aws import multipart
from lambdas.logic.results import JOB_ID, Results, ResultWriter, job_row_key, result_key, rows_key, superseded_key
from lambdas.model.job import Job, new_job
from lambdas.model.page import Page
from tests.fake_aws import START_OF_TIME
from tests.fast_fake.client import Params, refuse
from tests.fast_fake.s3 import Buckets
from tests.lambdas.test_job_table import UPLOAD

JOB = new_job(UPLOAD, "label-detection", {}, START_OF_TIME)
REST = {"JobStatus": "SUCCEEDED", "VideoMetadata": {"Codec": "h264"}, "JobTag": JOB.job_id}
OLDER, NEWER = (replace(JOB, job_id=name, sequencer=f"0{name}") for name in "46")
ROWS = f"rows/analysis=label-detection/date=2027-01-15/{JOB.job_id}.jsonl.gz"
JOB_ROW = f"jobs/analysis=label-detection/{JOB.job_id}.json"
RESULT = "results/x.mp4/label-detection.json"
SUPERSEDED = f"superseded/{JOB.job_id}/label-detection.json"


def page(first: int, count: int, token: str | None = None) -> Page:
    """A page with `count` labels; each is known by its number."""
    labels = [{"Timestamp": first + n, "Label": {"Name": "x" * 20}} for n in range(count)]
    return Page("SUCCEEDED", labels, json.dumps(labels), REST, token)


PAGES = [page(0, 3, "two"), page(3, 0, "three"), page(3, 4)]


class Shelf:
    """The results bucket, what was called on it, and jobs to look up."""

    def __init__(self) -> None:
        self.buckets = Buckets()
        self.s3: Any = self.buckets.client()
        self.results = Results(self.s3, "results")
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, Params], None] = lambda *_: None
        self.jobs: dict[str, Job] = {job.job_id: job for job in (JOB, OLDER, NEWER)}
        self.held = 0
        carry_out = self.s3._make_api_call

        def call(operation: str, params: Params) -> Any:
            self.before(operation, params)
            self.calls.append((operation, params["Key"]))
            return carry_out(operation, params)

        self.s3._make_api_call = call  # type: ignore[method-assign]

    def hold(self) -> None:
        self.held += 1

    def written(self, job: Job = JOB, *, superseded: bool = False) -> ResultWriter:
        """Every page, not yet published."""
        first = replace(PAGES[0], rest={**REST, "JobTag": job.job_id})
        writing = self.results.begin(job, first, superseded=superseded)
        for each in PAGES:
            writing.add(each)
        return writing

    def publish(self, writing: ResultWriter) -> bool:
        return writing.publish(self.jobs.get, self.hold)

    def stored(self, job: Job) -> None:
        """Publish another job's result."""
        assert self.publish(self.written(job))

    def body(self, key: str) -> bytes:
        return self.buckets.objects["results", key].content

    def owner(self) -> str:
        return self.buckets.objects["results", RESULT].metadata[JOB_ID]

    def listed(self) -> set[str]:
        return {key for _, key in self.buckets.objects}

    def holds(self, key: str = RESULT) -> None:
        """The document, the rows and the row about the job are there, whole."""
        document = json.loads(self.body(key))
        assert document == {**REST, "Labels": [*PAGES[0].detections, *PAGES[2].detections]}
        lines = [json.loads(line) for line in gzip.decompress(self.body(ROWS)).splitlines()]
        assert [line["timestamp_ms"] for line in lines] == list(range(7))
        about = json.loads(self.body(JOB_ROW))
        assert (about["detections"], about["result_key"], about["rows_key"]) == (7, key, ROWS)
        assert (about["superseded"], about["codec"]) == (key != RESULT, "h264")
        assert self.listed() >= {key, ROWS, JOB_ROW}
        assert not self.buckets.uploads


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "PART", 50)


class TestKeys:
    def test_are_made_of_the_video_the_analysis_the_job_and_the_day(self) -> None:
        assert result_key("a/b.mp4", "label-detection") == "results/a/b.mp4/label-detection.json"
        assert rows_key(JOB) == ROWS
        assert job_row_key(JOB) == JOB_ROW
        assert superseded_key(JOB) == SUPERSEDED

    def test_are_short_where_they_would_have_more_than_1024_bytes(self) -> None:
        around = len(result_key("", "label-detection").encode())
        longest, longer = ("é" * ((1024 - around) // 2) + "x" * n for n in (0, 1, 2)[around % 2 : around % 2 + 2])

        assert len(result_key(longest, "label-detection").encode()) == 1024
        assert longest in result_key(longest, "label-detection")
        digest = hashlib.sha256(longer.encode()).hexdigest()
        assert result_key(longer, "label-detection") == f"results/.long-keys/{digest}/label-detection.json"


class TestWriting:
    def test_stores_every_page_once_in_both_forms_and_a_row_about_the_job(self, shelf: Shelf) -> None:
        writing = shelf.written()

        assert shelf.publish(writing)

        shelf.holds()
        assert (writing.detections, writing.pages) == (7, 3)
        assert (writing.result_key, writing.rows_key) == (RESULT, ROWS)
        assert writing.video_metadata == {"Codec": "h264"}

    def test_labels_what_it_stores(self, shelf: Shelf) -> None:
        shelf.publish(shelf.written())

        stored = {key: it for (_, key), it in shelf.buckets.objects.items()}
        assert {key: it.content_type for key, it in stored.items()} == {
            RESULT: "application/json",
            ROWS: "application/gzip",
            JOB_ROW: "application/json",
        }
        assert stored[RESULT].metadata == stored[ROWS].metadata == {"job-id": JOB.job_id}

    def test_is_complete_with_the_last_page_and_not_before_the_first(self, shelf: Shelf) -> None:
        writing = shelf.results.begin(JOB, PAGES[0])
        complete = [writing.complete]
        for each in PAGES:
            writing.add(each)
            complete.append(writing.complete)

        assert complete == [False, False, False, True]

    def test_a_video_in_which_nothing_was_found_has_a_result_too(self, shelf: Shelf) -> None:
        writing = shelf.results.begin(JOB, page(0, 0))
        writing.add(page(0, 0))

        assert shelf.publish(writing)

        assert json.loads(shelf.body(RESULT)) == {**REST, "Labels": []}
        assert gzip.decompress(shelf.body(ROWS)) == b""

    def test_publishes_the_rows_and_the_row_about_the_job_before_the_document(self, shelf: Shelf) -> None:
        shelf.publish(shelf.written())

        assert [key for operation, key in shelf.calls if operation == "PutObject"] == [ROWS, JOB_ROW, RESULT]


@pytest.mark.usefixtures("small_parts")
class TestGoingOn:
    def test_another_invocation_writes_the_rest_and_each_page_once(self, shelf: Shelf) -> None:
        whole = Shelf()
        whole.publish(whole.written())

        shelf.publish(self.gone_on(shelf))

        shelf.holds()
        assert shelf.body(RESULT) == whole.body(RESULT)

    def test_a_checkpoint_says_how_far_it_came(self, shelf: Shelf) -> None:
        checkpoint = self.checkpoint(shelf)

        state = json.loads(checkpoint)
        assert (state["detections"], state["pages"], state["next_token"]) == (3, 1, "two")
        assert (state["remainders"], state["superseded"]) == (f"collecting/{JOB.job_id}/1-1", False)
        assert {key for key in shelf.listed() if key.startswith("collecting/")} == {
            f"collecting/{JOB.job_id}/1-1/document",
            f"collecting/{JOB.job_id}/1-1/rows",
        }

    def test_who_goes_on_knows_where(self, shelf: Shelf) -> None:
        writing = shelf.results.resume(replace(JOB, checkpoint=self.checkpoint(shelf)), PAGES[0])

        assert (writing.detections, writing.pages, writing.next_token) == (3, 1, "two")
        assert writing.video_metadata == {"Codec": "h264"}
        assert not writing.complete

    def test_a_job_without_a_checkpoint_begins(self, shelf: Shelf) -> None:
        writing = shelf.results.resume(JOB, PAGES[0])

        assert (writing.detections, writing.pages, writing.next_token) == (0, 0, None)
        for each in PAGES:
            writing.add(each)
        assert shelf.publish(writing)
        shelf.holds()

    @pytest.mark.parametrize("name", ["document", "rows"])
    @pytest.mark.parametrize("superseded", [False, True])
    def test_where_a_remainder_is_gone_it_begins_at_the_same_place(
        self, shelf: Shelf, name: str, superseded: bool
    ) -> None:
        checkpoint = self.checkpoint(shelf, superseded=superseded)
        shelf.s3.delete_object(Bucket="results", Key=f"{json.loads(checkpoint)['remainders']}/{name}")

        writing = shelf.results.resume(replace(JOB, checkpoint=checkpoint), PAGES[0])

        assert (writing.detections, writing.pages) == (0, 0)
        assert writing.result_key == (SUPERSEDED if superseded else RESULT)

    def test_any_other_answer_of_s3_is_an_error_as_it_is(self, shelf: Shelf) -> None:
        checkpoint = self.checkpoint(shelf)
        shelf.before = lambda operation, _: refuse("SlowDown", operation, 503)

        with pytest.raises(ClientError, match="SlowDown"):
            shelf.results.resume(replace(JOB, checkpoint=checkpoint), PAGES[0])

    def test_a_superseded_result_stays_one(self, shelf: Shelf) -> None:
        shelf.stored(NEWER)

        assert shelf.publish(self.gone_on(shelf, superseded=True))

        shelf.holds(SUPERSEDED)
        assert shelf.owner() == NEWER.job_id

    def test_who_is_done_drops_the_remainders_of_every_checkpoint(self, shelf: Shelf) -> None:
        writing = self.gone_on(shelf)
        writing.checkpoint()
        shelf.publish(writing)

        writing.tidy()

        assert shelf.listed() == {RESULT, ROWS, JOB_ROW}
        assert writing.remainders == []

    def test_who_abandons_leaves_nothing(self, shelf: Shelf) -> None:
        writing = self.gone_on(shelf)
        assert len(shelf.buckets.uploads) == 2

        writing.abandon()

        assert shelf.listed() == set()
        assert not shelf.buckets.uploads

    def checkpoint(self, shelf: Shelf, *, superseded: bool = False) -> str:
        """Page one was written, and then the invocation stopped."""
        writing = shelf.results.begin(JOB, PAGES[0], superseded=superseded)
        writing.add(PAGES[0])
        return writing.checkpoint()

    def gone_on(self, shelf: Shelf, *, superseded: bool = False) -> ResultWriter:
        """What another invocation wrote after a checkpoint."""
        checkpoint = self.checkpoint(shelf, superseded=superseded)
        writing = shelf.results.resume(replace(JOB, checkpoint=checkpoint), PAGES[0])
        for each in PAGES[1:]:
            writing.add(each)
        return writing


class TestWhoseResultStands:
    def test_is_told_by_what_is_stored(self, shelf: Shelf) -> None:
        assert shelf.results.current_owner(JOB) is None

        shelf.stored(OLDER)

        assert shelf.results.current_owner(JOB) == (shelf.buckets.objects["results", RESULT].etag, OLDER.job_id)

    def test_is_unknown_where_another_program_stored_it(self, shelf: Shelf) -> None:
        shelf.s3.put_object(Bucket="results", Key=RESULT, Body=b"{}")

        assert shelf.results.current_owner(JOB) == (shelf.buckets.objects["results", RESULT].etag, "")
        assert shelf.publish(shelf.written())
        shelf.holds()

    @pytest.mark.parametrize("code", ["404", "NoSuchKey"])
    def test_is_none_by_either_of_s3s_codes(self, shelf: Shelf, code: str) -> None:
        shelf.before = lambda operation, _: refuse(code, operation, 404)

        assert shelf.results.current_owner(JOB) is None

    def test_is_not_known_while_s3_does_not_say(self, shelf: Shelf) -> None:
        shelf.before = lambda operation, _: refuse("503", operation, 503)

        with pytest.raises(ClientError):
            shelf.results.current_owner(JOB)

    @pytest.mark.parametrize(
        ("stored", "known", "wanted"),
        [
            (None, True, True),
            (JOB, True, False),
            (JOB, False, False),
            (OLDER, True, True),
            (NEWER, True, False),
            (NEWER, False, True),  # what is not in the table counts as older
            (replace(NEWER, sequencer=JOB.sequencer), True, True),
        ],
    )
    def test_is_wanted_back_where_it_is_missing_or_an_older_uploads(
        self, shelf: Shelf, stored: Job | None, known: bool, wanted: bool
    ) -> None:
        if stored:
            shelf.stored(stored)
        jobs = {stored.job_id: stored} if stored and known else {}

        assert shelf.results.is_missing_or_stale(JOB, jobs.get) is wanted


@pytest.mark.parametrize("part", [50, multipart.PART])
class TestPublishing:
    @pytest.fixture(autouse=True)
    def parts(self, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
        monkeypatch.setattr(multipart, "PART", part)

    @pytest.mark.parametrize("stored", [OLDER, JOB])
    def test_replaces_an_older_uploads_result_and_its_own(self, shelf: Shelf, stored: Job) -> None:
        shelf.stored(stored)

        assert shelf.publish(shelf.written())

        shelf.holds()
        assert shelf.owner() == JOB.job_id

    def test_never_replaces_a_newer_uploads_result(self, shelf: Shelf, part: int) -> None:
        shelf.stored(NEWER)
        writing = shelf.written()

        published = shelf.publish(writing)

        assert published is (part > 50)  # where S3 has a part already, the place can't change: write again
        if not published:
            writing.abandon()
            assert shelf.publish(shelf.written(superseded=True))
        shelf.holds(SUPERSEDED)
        assert shelf.owner() == NEWER.job_id

    @pytest.mark.parametrize("faster", [OLDER, NEWER])
    def test_looks_again_where_another_publishes_in_this_moment(self, shelf: Shelf, part: int, faster: Job) -> None:
        writing = shelf.written()

        def meanwhile(operation: str, params: Params) -> None:
            if "IfNoneMatch" in params:
                shelf.before = lambda *_: None
                shelf.stored(faster)

        shelf.before = meanwhile
        published = shelf.publish(writing)

        assert published is (faster is OLDER or part > 50)
        assert shelf.owner() == (JOB.job_id if faster is OLDER else NEWER.job_id)

    def test_looks_again_where_what_it_replaces_is_replaced_in_this_moment(self, shelf: Shelf, part: int) -> None:
        shelf.stored(OLDER)
        writing = shelf.written()

        def meanwhile(operation: str, params: Params) -> None:
            if "IfMatch" in params:
                shelf.before = lambda *_: None
                shelf.stored(NEWER)

        shelf.before = meanwhile
        published = shelf.publish(writing)

        assert published is (part > 50)
        assert shelf.owner() == NEWER.job_id

    def test_holds_the_lease_before_anything_appears_and_after_a_large_object(self, shelf: Shelf, part: int) -> None:
        shelf.publish(shelf.written())

        assert shelf.held == (2 if part == 50 else 1)


def test_nothing_is_published_where_the_lease_is_gone(shelf: Shelf) -> None:
    def gone() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        shelf.written().publish(shelf.jobs.get, gone)

    assert shelf.listed() == set()


@pytest.mark.usefixtures("small_parts")
def test_no_document_is_published_where_the_lease_is_gone_after_large_rows(shelf: Shelf) -> None:
    def gone_the_second_time() -> None:
        shelf.hold()
        if shelf.held == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        shelf.written().publish(shelf.jobs.get, gone_the_second_time)

    assert shelf.listed() == {ROWS}
