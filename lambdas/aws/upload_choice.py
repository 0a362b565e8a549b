"""Reads what an uploader asks for from the object's metadata or tags, where the settings allow it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lambdas.model.errors import AccountFault, Gone
from lambdas.model.routing import NAMES, UNKNOWN, Chosen, Rules, Wishes

if TYPE_CHECKING:
    from lambdas.aws.videos import Videos
    from lambdas.model.events import Upload


class Chooser:
    """Asks the object, where uploaders may choose.

    Args:
        videos: the objects.
        rules: what the operator decided.
    """

    def __init__(self, videos: "Videos", rules: Rules) -> None:
        self._videos = videos
        self._rules = rules

    def choose(self, upload: "Upload") -> Chosen:
        """What is done with `upload`.

        Raises:
            WrongChoice: its uploader asks for something that can't be done.
            CannotStart: S3 does not return the object to any caller.
            AccountFault: this stack may not read the choice.
            ServiceTrouble: S3 couldn't say.
        """
        wishes = self._wishes(upload) if upload.size and self._rules.uploads != "none" else {}
        return self._rules.choice(upload.key, wishes, upload.priority)

    def share(self, key: str) -> str:
        """The share of an upload under `key`."""
        return self._rules.share(key)

    def allows(self, analysis: str, parameters: Mapping[str, Any]) -> bool:
        """Whether the settings allow a job to be started."""
        return self._rules.allow(analysis, parameters)

    def _wishes(self, upload: "Upload") -> Wishes:
        """What the uploader says. An object that is gone or replaced says nothing: its job then ends at its start, with
        that reason."""
        # "null" is the version that a bucket without (or with suspended) versioning has: the current one.
        version = upload.version_id if upload.version_id != "null" else None
        said: dict[str, tuple[str, str]] = {}
        tags = 1
        try:
            if self._rules.uploads != "tags":
                head = self._videos.head(upload.bucket, upload.key, version)
                if head["ETag"].strip('"') != upload.etag:
                    return {}
                for name, text in head.get("Metadata", {}).items():
                    if name.lower() in NAMES:
                        said[name.lower()] = ("metadata", text)
                # Asking for tags where there are none would be one more call for each video of a million. By header:
                # older versions of boto3 don't know the member.
                tags = int(head.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-tagging-count", 0))
            if tags and self._rules.uploads != "metadata" and len(said) < len(NAMES):
                for tag in self._tags(upload, version):
                    if tag["Key"].lower() in NAMES:
                        said.setdefault(tag["Key"].lower(), ("tags", tag["Value"]))
        except Gone:
            return {}
        return said

    def _tags(self, upload: "Upload", version: str | None) -> Sequence[Mapping[str, str]]:
        try:
            answer = self._videos.ask("get_object_tagging", upload.bucket, upload.key, version)
        except AccountFault as fault:
            # Reading tags is a right of its own: without it the object can be read, and those without tags be started.
            raise AccountFault(UNKNOWN, f"{fault} (its tags)") from fault
        tags: Sequence[Mapping[str, str]] = answer.get("TagSet", [])
        return tags
