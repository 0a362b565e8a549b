"""S3 buckets in memory: objects and their versions, conditional writes, multipart uploads."""

import hashlib
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from tests.fast_fake.client import Client, Params, refuse

NULL = "null"  # the version that a bucket has which keeps no versions


@dataclass(frozen=True, slots=True)
class Object:
    """One version of one object; without a body it is a delete marker."""

    body: bytes | None
    etag: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    version_id: str = NULL
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """Its bytes. Only of what is no delete marker."""
        assert self.body is not None
        return self.body


@dataclass(slots=True)
class Upload:
    """An unfinished multipart upload."""

    bucket: str
    key: str
    metadata: Mapping[str, str]
    content_type: str
    parts: dict[int, bytes] = field(default_factory=dict)


class Buckets:
    """Any number of buckets; each exists once something is in it.

    Attributes:
        conflicts: so many of the next conditional writes meet a 409; a multipart upload is gone with it.
        objects: what each bucket and key holds now.
        versions: all of it, by bucket and key, the newest last.
    """

    def __init__(self) -> None:
        self.conflicts = 0
        self.objects: dict[tuple[str, str], Object] = {}
        self.versions: dict[tuple[str, str], list[Object]] = defaultdict(list)
        self.uploads: dict[str, Upload] = {}
        self._versioning: dict[str, str] = {}
        self._made = self._kept = 0

    def client(self) -> Client:
        """A client of the buckets."""
        return Client(
            {
                "PutObject": self.put_object,
                "HeadObject": self.head_object,
                "GetObject": self.get_object,
                "GetObjectTagging": self.get_object_tagging,
                "PutObjectTagging": self.put_object_tagging,
                "DeleteObject": self.delete_object,
                "ListObjectsV2": self.list_objects,
                "PutBucketVersioning": self.put_bucket_versioning,
                "CreateMultipartUpload": self.create_multipart_upload,
                "UploadPart": self.upload_part,
                "CompleteMultipartUpload": self.complete_multipart_upload,
                "AbortMultipartUpload": self.abort_multipart_upload,
                "ListMultipartUploads": self.list_multipart_uploads,
            }
        )

    def put_bucket_versioning(self, params: Params) -> dict[str, Any]:
        self._versioning[params["Bucket"]] = params["VersioningConfiguration"]["Status"]
        return {}

    def put_object(self, params: Params) -> dict[str, Any]:
        body = bytes(params.get("Body", b""))
        self._check(params, "PutObject")
        # Encrypted with a KMS key, equal bytes have another ETag each time, and it is no MD5.
        drawn = f"drawn {self._next()}".encode() if params.get("ServerSideEncryption") == "aws:kms" else b""
        return self._add(
            params["Bucket"],
            params["Key"],
            body,
            _etag(body + drawn),
            params.get("Metadata", {}),
            params.get("ContentType", "binary/octet-stream"),
            dict(parse_qsl(params.get("Tagging", ""))),
        )

    def _next(self) -> int:
        self._made += 1
        return self._made

    def _add(self, bucket: str, key: str, *made: Any) -> dict[str, Any]:
        """Add a version, as the bucket keeps versions; the part of S3's answer that tells of it."""
        body, etag, metadata, content_type, tags = made
        kept = self._versioning.get(bucket) == "Enabled"
        self._kept += kept
        version = Object(body, etag, metadata, content_type, f"version-{self._kept}" if kept else NULL, tags)
        versions = self.versions[bucket, key]
        if not kept:
            versions[:] = [each for each in versions if each.version_id != NULL]
        versions.append(version)
        self._look_again(bucket, key)
        return ({"ETag": etag} if etag else {}) | self._told(bucket, version)

    def _told(self, bucket: str, version: Object) -> dict[str, Any]:
        """Which version an answer is about; S3 says it where versions are or were kept."""
        return {"VersionId": version.version_id} if bucket in self._versioning else {}

    def _look_again(self, bucket: str, key: str) -> None:
        versions = self.versions[bucket, key]
        if versions and versions[-1].body is not None:
            self.objects[bucket, key] = versions[-1]
        else:
            self.objects.pop((bucket, key), None)

    def _check(self, params: Params, operation: str) -> None:
        if self.conflicts and ("IfNoneMatch" in params or "IfMatch" in params):
            self.conflicts -= 1
            self.uploads.pop(params.get("UploadId", ""), None)
            refuse("ConditionalRequestConflict", operation, 409)
        there = self.objects.get((params["Bucket"], params["Key"]))
        if params.get("IfNoneMatch") == "*" and there:
            refuse("PreconditionFailed", operation, 412)
        if "IfMatch" in params:
            if there is None:
                refuse("NoSuchKey", operation, 404)
            if there.etag != params["IfMatch"]:
                refuse("PreconditionFailed", operation, 412)

    def _find(self, params: Params, operation: str) -> Object:
        """The version that a call asks for, or the newest."""
        place, wanted = (params["Bucket"], params["Key"]), params.get("VersionId")
        head = operation == "HeadObject"
        if wanted is None:
            there = self.objects.get(place)
            if there is None:
                refuse("404" if head else "NoSuchKey", operation, 404, "Not Found")
            return there
        found = [version for version in self.versions[place] if version.version_id == wanted]
        if not found:
            refuse("404" if head else "NoSuchVersion", operation, 404, "Not Found")
        if found[0].body is None:
            refuse("405" if head else "MethodNotAllowed", operation, 405, "Method Not Allowed")
        return found[0]

    def head_object(self, params: Params) -> dict[str, Any]:
        there = self._find(params, "HeadObject")
        headers = {"x-amz-tagging-count": str(len(there.tags))} if there.tags else {}
        return {
            "ETag": there.etag,
            "Metadata": dict(there.metadata),
            "ContentLength": len(there.content),
            "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": headers},
            **self._told(params["Bucket"], there),
        }

    def get_object(self, params: Params) -> dict[str, Any]:
        there = self._find(params, "GetObject")
        if params.get("IfMatch", there.etag) != there.etag:
            refuse("PreconditionFailed", "GetObject", 412)
        told = {"ETag": there.etag, "Metadata": dict(there.metadata)}
        if "Range" not in params:
            return {"Body": io.BytesIO(there.content), **told}
        first, last = map(int, params["Range"].removeprefix("bytes=").split("-"))
        if first >= len(there.content):
            refuse("InvalidRange", "GetObject", 416)
        part = there.content[first : last + 1]
        where = f"bytes {first}-{first + len(part) - 1}/{len(there.content)}"
        return {"Body": io.BytesIO(part), "ContentRange": where, **told}

    def get_object_tagging(self, params: Params) -> dict[str, Any]:
        there = self._find(params, "GetObjectTagging")
        return {"TagSet": [{"Key": name, "Value": value} for name, value in there.tags.items()]}

    def put_object_tagging(self, params: Params) -> dict[str, Any]:
        place, there = (params["Bucket"], params["Key"]), self._find(params, "PutObjectTagging")
        tagged = replace(there, tags={tag["Key"]: tag["Value"] for tag in params["Tagging"]["TagSet"]})
        self.versions[place] = [tagged if version is there else version for version in self.versions[place]]
        self._look_again(*place)
        return {}

    def delete_object(self, params: Params) -> dict[str, Any]:
        place, wanted = (params["Bucket"], params["Key"]), params.get("VersionId")
        if wanted is not None or params["Bucket"] not in self._versioning:
            versions = self.versions[place]
            versions[:] = [version for version in versions if version.version_id != (wanted or NULL)]
            self._look_again(*place)
            return {}
        return {"DeleteMarker": True, **self._add(*place, None, "", {}, "", {})}

    def list_objects(self, params: Params) -> dict[str, Any]:
        keys = sorted(key for bucket, key in self.objects if bucket == params["Bucket"])
        return {"Contents": [{"Key": key} for key in keys]} if keys else {}

    def create_multipart_upload(self, params: Params) -> dict[str, Any]:
        upload_id = f"upload-{self._next()}"
        self.uploads[upload_id] = Upload(
            params["Bucket"], params["Key"], params.get("Metadata", {}), params["ContentType"]
        )
        return {"UploadId": upload_id}

    def _upload(self, params: Params, operation: str) -> Upload:
        upload = self.uploads.get(params["UploadId"])
        if upload is None or (upload.bucket, upload.key) != (params["Bucket"], params["Key"]):
            refuse("NoSuchUpload", operation, 404)
        return upload

    def upload_part(self, params: Params) -> dict[str, Any]:
        body = bytes(params["Body"])
        self._upload(params, "UploadPart").parts[params["PartNumber"]] = body
        return {"ETag": _etag(body)}

    def complete_multipart_upload(self, params: Params) -> dict[str, Any]:
        upload = self._upload(params, "CompleteMultipartUpload")
        self._check(params, "CompleteMultipartUpload")
        chosen = params["MultipartUpload"]["Parts"]
        for part in chosen:
            if _etag(upload.parts.get(part["PartNumber"], b"")) != part["ETag"]:
                refuse("InvalidPart", "CompleteMultipartUpload")
        parts = [upload.parts[part["PartNumber"]] for part in chosen]
        digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
        etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
        made = (b"".join(parts), etag, upload.metadata, upload.content_type, {})
        del self.uploads[params["UploadId"]]
        return self._add(upload.bucket, upload.key, *made)

    def abort_multipart_upload(self, params: Params) -> dict[str, Any]:
        self._upload(params, "AbortMultipartUpload")
        del self.uploads[params["UploadId"]]
        return {}

    def list_multipart_uploads(self, params: Params) -> dict[str, Any]:
        found = [
            {"Key": upload.key, "UploadId": upload_id}
            for upload_id, upload in self.uploads.items()
            if upload.bucket == params["Bucket"]
        ]
        return {"Uploads": found} if found else {}


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
