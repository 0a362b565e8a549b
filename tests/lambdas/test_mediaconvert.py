"""The client of MediaConvert by itself: whose fault each answer is, and what it finds among the newest jobs."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from lambdas.aws.mediaconvert import LISTING_HOLDS, MediaConvert
from lambdas.model.conversion import Conversion
from lambdas.model.errors import AccountFault, JobForgotten, ServiceTrouble, SlowDown
from lambdas.model.events import Upload
from lambdas.model.job import Job, new_job
from tests.fake_aws import VirtualClock
from tests.fast_fake.mediaconvert import MediaConvert as Service

UPLOAD = Upload("videos", "phone.mov", "e", 7, "2027-01-15T08:00:00.000Z")


class Desk:
    """The client, and the service that it talks to."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.service = Service(None, self.clock.now, seconds=10_000)
        self.service.run_due = lambda: None  # type: ignore[method-assign]
        self.client = MediaConvert(self.service.client, results_bucket="results", role_arn="the role")

    def job(self, key: str = "phone.mov") -> Job:
        return new_job(replace(UPLOAD, key=key), "face-detection", {}, self.clock.now())

    def begin(self, number: int = 1, key: str = "phone.mov") -> str:
        return self.client.begin(self.job(key), None, number)

    def find(self, since: float, number: int = 1, key: str = "phone.mov") -> str | None:
        return self.client.find(self.job(key), number, since, self.clock.now())


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_same_conversion_begun_twice_within_a_moment_is_one(desk: Desk) -> None:
    first = desk.begin()
    desk.clock.seconds += 30

    assert desk.begin() == first
    assert desk.begin(2) != first
    assert desk.begin(key="other.mov") != first


def test_it_knows_what_it_reads_and_for_which_upload_it_was_begun(desk: Desk) -> None:
    found = desk.client.get(desk.begin(3, "in/clip ü.mov"))

    assert (found.status, found.bucket, found.key, found.number) == ("SUBMITTED", "videos", "in/clip ü.mov", 3)
    assert len(found.upload) == 64
    assert not found.over


def test_that_of_another_stack_is_of_no_upload(desk: Desk) -> None:
    other = MediaConvert(desk.service.client, results_bucket="others", role_arn="the role")

    found = desk.client.get(other.begin(desk.job(), None, 1))

    assert (found.upload, found.number) == ("", 0)


def test_it_is_found_by_upload_and_number_if_it_was_begun_since(desk: Desk) -> None:
    begun = desk.clock.now()
    first = desk.begin()
    desk.clock.seconds += 100

    assert desk.find(begun) == first
    assert desk.find(begun + 1) is None
    assert desk.find(begun, number=2) is None
    assert desk.find(begun, key="other.mov") is None


def test_the_newest_is_found_behind_many_others(desk: Desk) -> None:
    desk.begin()
    desk.clock.seconds += 100
    begun = desk.clock.now()
    newest = desk.begin()
    for number in range(45):
        desk.begin(key=f"{number}.mov")

    assert desk.find(begun - 200) == newest
    assert desk.service.calls.count("ListJobs") == 3


def test_a_listing_is_used_again_for_seconds_only(desk: Desk) -> None:
    begun = desk.clock.now()
    desk.begin()
    desk.find(begun)
    desk.clock.seconds += LISTING_HOLDS

    desk.find(begun)
    assert desk.service.calls.count("ListJobs") == 1
    desk.find(begun - 1)  # farther back than was looked
    desk.clock.seconds += LISTING_HOLDS + 1
    desk.find(begun)

    assert desk.service.calls.count("ListJobs") == 3


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("TooManyRequestsException", SlowDown),
        ("ThrottlingException", SlowDown),
        ("InternalServerErrorException", ServiceTrouble),
        ("SomethingNew", ServiceTrouble),
    ],
)
def test_throttling_and_outages_are_passing(desk: Desk, code: str, fault: type[Exception]) -> None:
    desk.service.refuse("CreateJob", code)

    with pytest.raises(fault, match=f"MediaConvert create_job: {code}"):
        desk.begin()


@pytest.mark.parametrize(
    ("code", "certain"),
    [
        ("AccessDeniedException", True),
        ("ForbiddenException", True),
        ("ConflictException", True),
        ("NotFoundException", True),
        ("ServiceQuotaExceededException", True),
        ("SubscriptionRequiredException", True),
        ("BadRequestException", False),
    ],
)
def test_a_refused_call_is_the_accounts_fault_and_a_bad_request_perhaps_the_videos(
    desk: Desk, code: str, certain: bool
) -> None:
    desk.service.refuse("CreateJob", code)

    with pytest.raises(AccountFault) as raised:
        desk.begin()

    assert (raised.value.scope, raised.value.certain) == ("conversion", certain)


def test_no_answer_is_passing() -> None:
    class Silent:
        def create_job(self, **_: Any) -> Any:
            raise ConnectTimeoutError(endpoint_url="https://mediaconvert")

    client = MediaConvert(Silent, results_bucket="results", role_arn="the role")

    with pytest.raises(ServiceTrouble, match="MediaConvert create_job: Connect timeout"):
        client.begin(Desk().job(), None, 1)


def test_a_conversion_that_it_does_not_know_is_forgotten(desk: Desk) -> None:
    with pytest.raises(JobForgotten):
        desk.client.get("none")


@pytest.mark.parametrize(
    ("code", "fault", "may_pass"),
    [
        (1010, None, False),
        (1040, None, False),
        (1401, False, False),
        (1404, False, False),
        (1432, True, False),
        (1433, True, False),
        (1434, True, False),
        (1515, True, False),
        (1517, False, False),
        (3457, False, False),
        (1522, None, True),
        (1550, None, True),
        (1999, None, True),
    ],
)
def test_an_error_code_tells_whose_fault_it_is(code: int, fault: bool | None, may_pass: bool) -> None:
    """`fault`: whether it is certainly the account's; None where it isn't."""
    ended = Conversion("id", "ERROR", code=code, message="words")

    assert (ended.fault.certain if ended.fault else None, ended.may_pass) == (fault, may_pass)
    assert ended.reason == f"MediaConvert could not convert it: words (error {code})"
    assert ended.over
