"""Face collections: what StartFaceSearch compares the people of a video with, and searches of faces and pictures.

In memory, per account and region, gone with the service. Faces are found, described and compared by the engine; here
they are kept under their ids. No quotas, no tags, no users, no rates, and no QualityFilter: every face counts.
"""

from __future__ import annotations

import functools
import hashlib
import io
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError

from rekognition_local.aws import Objects, Unreadable
from rekognition_local.catalogue import FACE_MODEL_VERSION
from rekognition_local.engines import Engine, FacesInImage, FoundFace, NotAnImage, Source, matches
from rekognition_local.engines.models import ModelMissing
from rekognition_local.errors import ServiceError
from rekognition_local.jobs import PageTokens

Scope = tuple[str, str]  # account, region
Parameters = Mapping[str, Any]

MOST_PER_PAGE = 4096
MOST_FACES_PER_IMAGE = 100
MOST_MATCHES = 4096  # of a search that gives no MaxFaces: its maximum. The reference names no default.
MOST_IMAGE_BYTES = 15 * 1024**2  # of an image in S3; those in the request are bounded by the model
PAGE_TOKEN_SECONDS = 86_400.0


@dataclass(slots=True)
class Indexed:
    """One face: *face* as ListFaces shows it, *vector* as the engine compares it."""

    face: dict[str, Any]
    vector: Sequence[float]


@dataclass(slots=True)
class Collection:
    created: float
    faces: dict[str, Indexed] = field(default_factory=dict)


class Collections:
    """Answers the collections' operations. Not thread-safe, except :meth:`faces_in_image`. The service holds a lock."""

    def __init__(self, engine: Engine, objects: Objects, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._objects = objects
        self._clock = clock
        self._tokens = PageTokens()
        self._collections: dict[Scope, dict[str, Collection]] = defaultdict(dict)

    def answer(self, operation: str, parameters: Parameters, scope: Scope, seen: FacesInImage = ()) -> dict[str, Any]:
        """Raises ServiceError. *seen* is what :meth:`faces_in_image` said, for operations that take an image."""
        operations: dict[str, Callable[[Parameters, Scope], dict[str, Any]]] = {
            "CreateCollection": self._create,
            "DeleteCollection": self._delete,
            "DescribeCollection": self._describe,
            "ListCollections": self._list,
            "IndexFaces": functools.partial(self._index, seen=seen),
            "ListFaces": self._list_faces,
            "DeleteFaces": self._delete_faces,
            "SearchFaces": self._search,
            "SearchFacesByImage": functools.partial(self._search_by_image, seen=seen),
        }
        return operations[operation](parameters, scope)

    def known(self, collection_id: str, scope: Scope) -> list[dict[str, Any]]:
        """The faces of a collection as a search wants them: ``{"Face", "Vector"}``. Raises ServiceError."""
        faces = self._found({"CollectionId": collection_id}, scope).faces.values()
        return [{"Face": indexed.face, "Vector": list(indexed.vector)} for indexed in faces]

    def faces_in_image(self, parameters: Parameters, region: str, may_read: bool | None) -> FacesInImage:
        """The faces in a request's image. Takes its time. Raises ServiceError."""
        image = parameters["Image"]
        if "Bytes" in image:
            content = image["Bytes"]
        elif {"Bucket", "Name"} <= set(image.get("S3Object", {})):
            content = self._download(image["S3Object"], region, may_read)
        else:
            raise ServiceError("InvalidParameterException")
        try:
            return self._engine.faces_in(content)
        except NotAnImage:
            raise ServiceError("InvalidImageFormatException") from None
        except (ModelMissing, ImportError) as error:
            raise ServiceError("AccessDeniedException", str(error)) from None

    def _download(self, place: Mapping[str, str], region: str, may_read: bool | None) -> bytes:
        source = Source(place["Bucket"], place["Name"], place.get("Version"))
        if may_read is False:
            raise ServiceError("InvalidS3ObjectException")
        try:
            stored = self._objects.head(source)
            if stored.region and stored.region != region:
                raise ServiceError("InvalidS3ObjectException")
            if stored.size > MOST_IMAGE_BYTES:
                raise ServiceError("ImageTooLargeException")
            content = io.BytesIO()
            self._objects.download(source, content)
        except Unreadable:
            raise ServiceError("InvalidS3ObjectException") from None
        except BotoCoreError:
            raise ServiceError("InternalServerError") from None
        return content.getvalue()

    def _found(self, parameters: Parameters, scope: Scope) -> Collection:
        name = parameters["CollectionId"]
        collection = self._collections[scope].get(name)
        if collection is None:
            raise ServiceError("ResourceNotFoundException", f"The collection id: {name} does not exist")
        return collection

    def _create(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        name = parameters["CollectionId"]
        if name in self._collections[scope]:
            raise ServiceError("ResourceAlreadyExistsException", f"The collection id: {name} already exists")
        self._collections[scope][name] = Collection(self._clock())
        # The reference's example has this form too: no "arn:" at its beginning.
        account, region = scope
        arn = f"aws:rekognition:{region}:{account}:collection/{name}"
        return {"StatusCode": 200, "CollectionArn": arn, "FaceModelVersion": FACE_MODEL_VERSION}

    def _delete(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        self._found(parameters, scope)
        del self._collections[scope][parameters["CollectionId"]]
        return {"StatusCode": 200}

    def _describe(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        collection = self._found(parameters, scope)
        account, region = scope
        return {
            "FaceCount": len(collection.faces),
            "UserCount": 0,
            "FaceModelVersion": FACE_MODEL_VERSION,
            "CollectionARN": f"arn:aws:rekognition:{region}:{account}:collection/{parameters['CollectionId']}",
            "CreationTimestamp": collection.created,
        }

    def _list(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        names, more = self._page(sorted(self._collections[scope]), f"{scope}", parameters)
        return {"CollectionIds": names, "FaceModelVersions": [FACE_MODEL_VERSION] * len(names)} | more

    def _index(self, parameters: Parameters, scope: Scope, seen: FacesInImage) -> dict[str, Any]:
        """Every face the engine found, the largest first; what is beyond MaxFaces is said to be so."""
        collection = self._found(parameters, scope)
        seen = sorted(seen, key=_area, reverse=True)
        most = min(parameters.get("MaxFaces", MOST_FACES_PER_IMAGE), MOST_FACES_PER_IMAGE)
        records = []
        image = str(uuid.uuid4())
        for found in seen[:most]:
            face = {
                "FaceId": str(uuid.uuid4()),
                "BoundingBox": found.detail["BoundingBox"],
                "ImageId": image,
                "Confidence": found.detail["Confidence"],
                "IndexFacesModelVersion": FACE_MODEL_VERSION,
            }
            if "ExternalImageId" in parameters:
                face["ExternalImageId"] = parameters["ExternalImageId"]
            collection.faces[face["FaceId"]] = Indexed(face, found.vector)
            records.append({"Face": face, "FaceDetail": found.detail})
        return {
            "FaceRecords": records,
            "FaceModelVersion": FACE_MODEL_VERSION,
            "UnindexedFaces": [{"FaceDetail": found.detail, "Reasons": ["EXCEEDS_MAX_FACES"]} for found in seen[most:]],
        }

    def _list_faces(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        wanted = parameters.get("FaceIds")
        faces = [indexed.face for indexed in self._found(parameters, scope).faces.values()]
        faces = [face for face in faces if wanted is None or face["FaceId"] in wanted]
        page, more = self._page(faces, f"{scope}/{parameters['CollectionId']}", parameters)
        return {"Faces": page, "FaceModelVersion": FACE_MODEL_VERSION} | more

    def _delete_faces(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        faces = self._found(parameters, scope).faces
        asked = list(dict.fromkeys(parameters["FaceIds"]))
        deleted = [face for face in asked if faces.pop(face, None)]
        answer: dict[str, Any] = {
            "UnsuccessfulFaceDeletions": [
                {"FaceId": face, "Reasons": ["FACE_NOT_FOUND"]} for face in asked if face not in deleted
            ]
        }
        # The model wants one at least in this list.
        return answer | ({"DeletedFaces": deleted} if deleted else {})

    def _search(self, parameters: Parameters, scope: Scope) -> dict[str, Any]:
        """Faces like one of the collection's own, without that one."""
        faces = self._found(parameters, scope).faces
        face_id = parameters["FaceId"]
        if face_id not in faces:
            # The text is AWS's, as people have met it; the reference does not give it.
            raise ServiceError("InvalidParameterException", "faceId was not found in the collection")
        others = [indexed for known, indexed in faces.items() if known != face_id]
        return {"SearchedFaceId": face_id} | self._like(faces[face_id].vector, others, parameters)

    def _search_by_image(self, parameters: Parameters, scope: Scope, seen: FacesInImage) -> dict[str, Any]:
        """Faces like the largest one in a picture."""
        faces = self._found(parameters, scope).faces
        if not seen:
            # The text, too, is AWS's as people have met it.
            raise ServiceError("InvalidParameterException", "There are no faces in the image. Should be at least 1.")
        largest = max(seen, key=_area)
        return {
            "SearchedFaceBoundingBox": largest.detail["BoundingBox"],
            "SearchedFaceConfidence": largest.detail["Confidence"],
        } | self._like(largest.vector, faces.values(), parameters)

    def _like(self, vector: Sequence[float], faces: Iterable[Indexed], parameters: Parameters) -> dict[str, Any]:
        """The members of an answer that say which faces are like *vector*, the likest first."""
        faces = list(faces)
        alike = self._engine.alike(vector, [indexed.vector for indexed in faces])
        found = matches([indexed.face for indexed in faces], alike, parameters.get("FaceMatchThreshold", 80.0))
        most = parameters.get("MaxFaces", MOST_MATCHES)
        return {"FaceMatches": found[:most], "FaceModelVersion": FACE_MODEL_VERSION}

    def _page[T](self, items: Sequence[T], subject: str, parameters: Parameters) -> tuple[list[T], dict[str, str]]:
        """The items of one page, and ``{"NextToken": ...}`` if there are more. Raises ServiceError."""
        now, offset = self._clock(), 0
        subject = hashlib.sha256(subject.encode()).hexdigest()
        if parameters.get("NextToken"):
            offset = self._tokens.open(parameters["NextToken"], subject, "", now, PAGE_TOKEN_SECONDS)
        end = offset + (parameters.get("MaxResults") or MOST_PER_PAGE)
        more = {"NextToken": self._tokens.issue(subject, "", end, now)} if end < len(items) else {}
        return list(items[offset:end]), more


def _area(found: FoundFace) -> float:
    box = found.detail["BoundingBox"]
    return float(box["Width"] * box["Height"])
