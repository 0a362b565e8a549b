"""Collections of faces: made, filled, listed, emptied and deleted. The engine finds one face in any picture."""

import base64
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rekognition_local import RekognitionVideo, S3Objects, Simulated, attach
from rekognition_local.engines import NotAnImage
from rekognition_local.engines.models import ModelMissing
from rekognition_local.face_collections import MOST_IMAGE_BYTES
from tests.rekognition_local.service_harness import BUCKET, ServiceHarness


@pytest.fixture
def harness() -> ServiceHarness:
    harness = ServiceHarness()
    harness.good("CreateCollection", CollectionId="people")
    return harness


def picture(content: bytes = b"a picture") -> dict[str, str]:
    return {"Bytes": base64.b64encode(content).decode()}


def index(harness: ServiceHarness, content: bytes = b"a picture", **parameters: Any) -> dict[str, Any]:
    """The face indexed."""
    answer = harness.good("IndexFaces", CollectionId="people", Image=picture(content), **parameters)
    (record,) = answer["FaceRecords"]
    return record["Face"]


def test_a_collection_is_made_once() -> None:
    harness = ServiceHarness()

    made = harness.good("CreateCollection", CollectionId="people", Tags={"team": "demo"})
    code, message = harness.refusal("CreateCollection", {"CollectionId": "people"})

    assert made["StatusCode"] == 200
    assert made["CollectionArn"].endswith(":123456789012:collection/people")
    assert (code, message) == ("ResourceAlreadyExistsException", "The collection id: people already exists")


def test_a_collection_says_how_many_faces_it_holds(harness: ServiceHarness) -> None:
    index(harness)
    index(harness)

    described = harness.good("DescribeCollection", CollectionId="people")

    assert (described["FaceCount"], described["CreationTimestamp"]) == (2, 1_000_000.0)
    assert described["CollectionARN"] == "arn:aws:rekognition:us-east-1:123456789012:collection/people"


def test_collections_are_listed_in_pages(harness: ServiceHarness) -> None:
    for name in ("a", "z"):
        harness.good("CreateCollection", CollectionId=name)

    first = harness.good("ListCollections", MaxResults=2)
    rest = harness.good("ListCollections", MaxResults=2, NextToken=first["NextToken"])

    assert (first["CollectionIds"], rest["CollectionIds"]) == (["a", "people"], ["z"])
    assert "NextToken" not in rest
    assert harness.refusal("ListCollections", {"NextToken": "x"})[0] == "InvalidPaginationTokenException"


def test_a_collection_belongs_to_one_account_and_region(harness: ServiceHarness) -> None:
    for other in ({"account": "210987654321"}, {"region": "eu-west-1"}):
        code, _ = harness.refusal("DescribeCollection", {"CollectionId": "people"}, **other)
        assert code == "ResourceNotFoundException"


def test_an_indexed_face_is_listed_and_can_be_deleted(harness: ServiceHarness) -> None:
    face = index(harness, ExternalImageId="ada")
    other = index(harness)

    listed = harness.good("ListFaces", CollectionId="people")["Faces"]
    chosen = harness.good("ListFaces", CollectionId="people", FaceIds=[other["FaceId"]])["Faces"]
    deleted = harness.good("DeleteFaces", CollectionId="people", FaceIds=[face["FaceId"], face["FaceId"], "0" * 8 + "-0000-0000-0000-" + "0" * 12])  # fmt: skip # noqa: E501

    assert listed == [face, other]
    assert face["ExternalImageId"] == "ada"
    assert "ExternalImageId" not in other
    assert chosen == [other]
    assert deleted["DeletedFaces"] == [face["FaceId"]]
    assert deleted["UnsuccessfulFaceDeletions"][0]["Reasons"] == ["FACE_NOT_FOUND"]
    assert harness.good("ListFaces", CollectionId="people")["Faces"] == [other]


def test_faces_are_listed_in_pages(harness: ServiceHarness) -> None:
    faces = [index(harness) for _ in range(5)]

    first = harness.good("ListFaces", CollectionId="people", MaxResults=3)
    rest = harness.good("ListFaces", CollectionId="people", MaxResults=3, NextToken=first["NextToken"])

    assert first["Faces"] + rest["Faces"] == faces
    assert "NextToken" not in rest


def test_a_deleted_collection_is_gone(harness: ServiceHarness) -> None:
    harness.good("DeleteCollection", CollectionId="people")

    calls: dict[str, dict[str, Any]] = {
        "DeleteCollection": {},
        "DescribeCollection": {},
        "ListFaces": {},
        "DeleteFaces": {"FaceIds": ["0" * 8 + "-0000-0000-0000-" + "0" * 12]},
        "IndexFaces": {"Image": picture()},
    }
    for operation, more in calls.items():
        code, _ = harness.refusal(operation, {"CollectionId": "people"} | more)
        assert code == "ResourceNotFoundException", operation


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ({}, "InvalidParameterException"),
        ({"S3Object": {"Bucket": BUCKET}}, "InvalidParameterException"),
        ({"Bytes": ""}, "InvalidParameterException"),
        ({"Bytes": base64.b64encode(b"x" * (5 * 1024**2 + 1)).decode()}, "InvalidParameterException"),
        ({"Bytes": "not base64!"}, "SerializationException"),
        ({"Bytes": 5}, "SerializationException"),
    ],
)
def test_an_image_that_cannot_be_had_is_refused(harness: ServiceHarness, image: dict, code: str) -> None:
    assert harness.code("IndexFaces", {"CollectionId": "people", "Image": image}) == code


class Camera(Simulated):
    """An engine that finds three faces in a picture, or can't."""

    trouble: Exception | None = None

    def faces_in(self, image: bytes):
        if Camera.trouble:
            raise Camera.trouble
        return [face for content in (b"a", b"b", b"c") for face in super(Camera, self).faces_in(content)]


def test_the_largest_faces_are_indexed_and_the_others_said_to_be_too_many() -> None:
    harness = ServiceHarness(engine=Camera())
    harness.good("CreateCollection", CollectionId="people")

    answer = harness.good("IndexFaces", CollectionId="people", Image=picture(), MaxFaces=1)

    areas = [face["BoundingBox"]["Width"] * face["BoundingBox"]["Height"] for face in (
        answer["FaceRecords"][0]["Face"], *(left["FaceDetail"] for left in answer["UnindexedFaces"]))]  # fmt: skip
    assert len(areas) == 3
    assert areas[0] == max(areas)
    assert answer["UnindexedFaces"][0]["Reasons"] == ["EXCEEDS_MAX_FACES"]


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (NotAnImage(), "InvalidImageFormatException"),
        (ModelMissing("install it"), "AccessDeniedException"),
    ],
)
def test_what_the_engine_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch, trouble: Exception, code: str) -> None:
    monkeypatch.setattr(Camera, "trouble", trouble)
    harness = ServiceHarness(engine=Camera())
    harness.good("CreateCollection", CollectionId="people")

    assert harness.code("IndexFaces", {"CollectionId": "people", "Image": picture()}) == code


def test_a_caller_who_may_not_read_the_picture_is_refused(harness: ServiceHarness) -> None:
    image = {"S3Object": {"Bucket": BUCKET, "Name": "ada.jpg"}}
    parameters = {"CollectionId": "people", "Image": image}

    assert harness.refusal("IndexFaces", parameters, may_read=False)[0] == "InvalidS3ObjectException"
    assert harness.code("IndexFaces", parameters) == "ok"


def test_boto3_indexes_a_picture_in_s3_and_searches_for_it() -> None:
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="ada.jpg", Body=b"Ada")
        s3.put_object(Bucket=BUCKET, Key="large.jpg", Body=b"x" * (MOST_IMAGE_BYTES + 1))
        s3.put_object(Bucket=BUCKET, Key="clip.mp4", Body=b"video", Metadata={"simulate-seconds": "0"})
        client = attach(boto3.client("rekognition"), RekognitionVideo(engine=Simulated(), objects=S3Objects(s3)))
        client.create_collection(CollectionId="people")

        def index(key: str) -> Any:
            return client.index_faces(CollectionId="people", Image={"S3Object": {"Bucket": BUCKET, "Name": key}})

        face = index("ada.jpg")["FaceRecords"][0]["Face"]
        clip = {"S3Object": {"Bucket": BUCKET, "Name": "clip.mp4"}}
        job = client.start_face_search(Video=clip, CollectionId="people")["JobId"]
        persons = client.get_face_search(JobId=job)["Persons"]

        assert {match["Face"]["FaceId"] for one in persons for match in one.get("FaceMatches", [])} == {face["FaceId"]}
        assert client.index_faces(CollectionId="people", Image={"Bytes": b"Ada"})["FaceRecords"]
        with pytest.raises(client.exceptions.InvalidS3ObjectException):
            index("nobody.jpg")
        with pytest.raises(client.exceptions.ImageTooLargeException):
            index("large.jpg")


# Searching. The simulated engine's faces are of 997 kinds, and the less alike the further their numbers are apart.


def alike(harness: ServiceHarness, most: int) -> list[bytes]:
    """That picture, and others whose faces are at most so many kinds away from its."""
    find = harness.service.engine.faces_in
    [first] = find(b"a picture")
    pictures = [b"a picture", *(b"%d" % number for number in range(1000))]
    return [one for one in pictures if abs(find(one)[0].vector[0] - first.vector[0]) <= most]


def test_a_search_by_face_finds_the_others_like_it_the_likest_first(harness: ServiceHarness) -> None:
    searched, *others = [index(harness, content) for content in alike(harness, 3)[:12]]

    answer = harness.good("SearchFaces", CollectionId="people", FaceId=searched["FaceId"])

    similarities = [match["Similarity"] for match in answer["FaceMatches"]]
    assert answer["SearchedFaceId"] == searched["FaceId"]
    assert sorted(match["Face"]["FaceId"] for match in answer["FaceMatches"]) == sorted(
        face["FaceId"] for face in others
    )
    assert similarities == sorted(similarities, reverse=True)
    assert len(set(similarities)) > 1


def test_a_search_by_picture_finds_faces_like_its_largest(harness: ServiceHarness) -> None:
    face = index(harness, ExternalImageId="ada")

    answer = harness.good("SearchFacesByImage", CollectionId="people", Image=picture())

    assert answer["FaceMatches"] == [{"Similarity": 100.0, "Face": face}]
    assert answer["SearchedFaceBoundingBox"] == face["BoundingBox"]
    assert answer["SearchedFaceConfidence"] == face["Confidence"]
    assert answer["FaceModelVersion"]


@pytest.mark.parametrize("operation", ["SearchFaces", "SearchFacesByImage"])
def test_a_search_keeps_to_its_threshold_and_its_most(harness: ServiceHarness, operation: str) -> None:
    faces = [index(harness, content) for content in alike(harness, 8)[:40]]
    what = {"FaceId": faces[0]["FaceId"]} if operation == "SearchFaces" else {"Image": picture()}

    def found(**parameters: Any) -> list[float]:
        answer = harness.good(operation, CollectionId="people", **what, **parameters)
        return [match["Similarity"] for match in answer["FaceMatches"]]

    everything = found()
    assert {similarity for similarity in everything if similarity < 96}
    assert found(FaceMatchThreshold=96) == [similarity for similarity in everything if similarity >= 96]
    assert found(MaxFaces=2) == everything[:2]
    assert harness.refusal(operation, {"CollectionId": "people", **what, "MaxFaces": 4097})[0] == (
        "InvalidParameterException"
    )


def test_a_search_without_a_threshold_finds_what_is_80_alike_at_least() -> None:
    class Distant(Simulated):
        def alike(self, vector, others):
            return [79.9, 80.0][: len(others)]

    harness = ServiceHarness(engine=Distant())
    harness.good("CreateCollection", CollectionId="people")
    index(harness)
    index(harness)

    answer = harness.good("SearchFacesByImage", CollectionId="people", Image=picture())

    assert [match["Similarity"] for match in answer["FaceMatches"]] == [80.0]


def test_searches_that_cannot_be_are_refused_in_awss_words(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {"FaceId": "0" * 8 + "-0000-0000-0000-" + "0" * 12}

    assert harness.refusal("SearchFaces", {"CollectionId": "people"} | unknown) == (
        "InvalidParameterException",
        "faceId was not found in the collection",
    )
    for operation, what in (("SearchFaces", unknown), ("SearchFacesByImage", {"Image": picture()})):
        assert harness.refusal(operation, {"CollectionId": "others"} | what) == (
            "ResourceNotFoundException",
            "The collection id: others does not exist",
        )
    monkeypatch.setattr(Simulated, "faces_in", lambda *_: [])
    assert harness.refusal("SearchFacesByImage", {"CollectionId": "people", "Image": picture()}) == (
        "InvalidParameterException",
        "There are no faces in the image. Should be at least 1.",
    )
