"""S3 buckets in memory: objects, conditional writes, multipart uploads."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.standin.client import Client, Params, refuse


@dataclass(frozen=True, slots=True)
class Object:
    """One object."""

    body: bytes
    etag: str
    metadata: Mapping[str, str]
    content_type: str


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
    """

    def __init__(self) -> None:
        self.conflicts = 0
        self.objects: dict[tuple[str, str], Object] = {}
        self.uploads: dict[str, Upload] = {}
        self._made = 0

    def client(self) -> Client:
        """A client of the buckets."""
        return Client(
            {
                "PutObject": self.put_object,
                "HeadObject": self.head_object,
                "GetObject": self.get_object,
                "DeleteObject": self.delete_object,
                "ListObjectsV2": self.list_objects,
                "CreateMultipartUpload": self.create_multipart_upload,
                "UploadPart": self.upload_part,
                "CompleteMultipartUpload": self.complete_multipart_upload,
                "AbortMultipartUpload": self.abort_multipart_upload,
                "ListMultipartUploads": self.list_multipart_uploads,
            }
        )

    def put_object(self, params: Params) -> dict[str, Any]:
        body = params.get("Body", b"")
        self._check(params, "PutObject")
        made = Object(
            bytes(body),
            _etag(body),
            params.get("Metadata", {}),
            params.get("ContentType", "binary/octet-stream"),
        )
        self.objects[params["Bucket"], params["Key"]] = made
        return {"ETag": made.etag}

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

    def head_object(self, params: Params) -> dict[str, Any]:
        there = self.objects.get((params["Bucket"], params["Key"]))
        if there is None:
            refuse("404", "HeadObject", 404, "Not Found")
        return {"ETag": there.etag, "Metadata": dict(there.metadata), "ContentLength": len(there.body)}

    def get_object(self, params: Params) -> dict[str, Any]:
        there = self.objects.get((params["Bucket"], params["Key"]))
        if there is None:
            refuse("NoSuchKey", "GetObject", 404)
        return {"Body": io.BytesIO(there.body), "ETag": there.etag, "Metadata": dict(there.metadata)}

    def delete_object(self, params: Params) -> dict[str, Any]:
        self.objects.pop((params["Bucket"], params["Key"]), None)
        return {}

    def list_objects(self, params: Params) -> dict[str, Any]:
        keys = sorted(key for bucket, key in self.objects if bucket == params["Bucket"])
        return {"Contents": [{"Key": key} for key in keys]} if keys else {}

    def create_multipart_upload(self, params: Params) -> dict[str, Any]:
        self._made += 1
        upload_id = f"upload-{self._made}"
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
        made = Object(b"".join(parts), etag, upload.metadata, upload.content_type)
        self.objects[upload.bucket, upload.key] = made
        del self.uploads[params["UploadId"]]
        return {"ETag": etag}

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
