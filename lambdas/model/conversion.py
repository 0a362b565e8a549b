"""What a converted copy of a video is: its name, its picture, and whose fault it is where MediaConvert fails. Pure
decisions.

There is one copy for all analyses of an upload, so its name comes from the upload alone: bucket, key and ETag. (Not the
version: MediaConvert is given a key and reads what is there now.)
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lambdas.model.blocking import CONVERSION
from lambdas.model.errors import AccountFault

if TYPE_CHECKING:
    from lambdas.model.job import Job
    from lambdas.model.video_header import VideoHeader

COPIES = "converted/"  # where the results bucket holds the copies; a lifecycle rule empties it (stacks/storage.py)

# Names in the UserMetadata of a job of MediaConvert's: the results bucket of the stack that began it, the upload
# (``upload_digest``), and which of its conversions it is.
OWNER, UPLOAD, NUMBER = "rekognition-batch", "upload", "conversion"

# Rekognition's words about a job that ended as FAILED because of its format.
UNSUPPORTED = "unsupported codec/format"

SWITCHED_OFF = (
    "Rekognition can't read the video as it is, and the setting convert is off now; set it to mediaconvert and retry, "
    "or upload an H.264 MP4"
)

MOST_TRIES = 3  # conversions of one upload that fail for a passing reason; MediaConvert bills none that fails

LONGEST_SIDE, SHORTEST_SIDE = 1920, 1080  # pixels, at most

Status = Literal["SUBMITTED", "PROGRESSING", "COMPLETE", "CANCELED", "ERROR"]

# MediaConvert User Guide, "Error codes".
_ROLE = frozenset({1432, 1433, 1434, 1515})  # the role itself is missing or broken: no video can be converted
# S3 denied it, does not find it, or did not take the copy; an organisation's policy: rights, or this one object.
_ACCESS = frozenset({1401, 1404, 1517, 3457})
_PASSING = frozenset({1522, 1550, 1999})  # timeouts and unexpected errors of MediaConvert's own


@dataclass(frozen=True, slots=True)
class Conversion:
    """A job of MediaConvert's.

    Attributes:
        conversion_id: MediaConvert's id of it.
        bucket: of the video it reads.
        key: of that video.
        upload: which upload it was made for (``upload_digest``); empty if it isn't this stack's.
        number: which of that upload's conversions it is.
        code: MediaConvert's error code; 0 if there is none.
        message: its error message.
        created_at: seconds since 1970.
    """

    conversion_id: str
    status: Status
    bucket: str = ""
    key: str = ""
    upload: str = ""
    number: int = 0
    code: int = 0
    message: str = ""
    created_at: float = 0.0

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status not in ("SUBMITTED", "PROGRESSING")

    @property
    def reason(self) -> str:
        """Why it failed, in MediaConvert's words."""
        if self.status == "CANCELED":
            return "its conversion was canceled in MediaConvert"
        return f"MediaConvert could not convert it: {self.message or 'it gave no reason'} (error {self.code})"

    @property
    def may_pass(self) -> bool:
        """Whether it failed for a reason that another try may not meet."""
        return self.status == "ERROR" and self.code in _PASSING

    @property
    def fault(self) -> AccountFault | None:
        """The fault of the account that it failed with; None if it is the video's, or MediaConvert's own."""
        if self.status != "ERROR" or self.code not in _ROLE | _ACCESS:
            return None
        return AccountFault(CONVERSION, self.reason, certain=self.code in _ROLE)


def upload_digest(results_bucket: str, job: "Job") -> str:
    """Which upload a job is of, as 64 characters: the same for all its analyses, and another in another stack."""
    return hashlib.sha256("\0".join((results_bucket, job.bucket, job.key, job.etag)).encode()).hexdigest()


def copies_prefix(results_bucket: str, job: "Job") -> str:
    """How the keys of the upload's copies begin, in the results bucket."""
    return f"{COPIES}{upload_digest(results_bucket, job)}/"


def copy_key(results_bucket: str, job: "Job", number: int) -> str:
    """The key of the copy that the conversion of that number makes."""
    return f"{copies_prefix(results_bucket, job)}{number}.mp4"


def picture(header: "VideoHeader | None") -> tuple[int, int] | None:
    """Width and height of the copy in pixels, upright: those of the video, or as much less as fits 1080p. Even, as
    H.264 with 4:2:0 colours needs it. None if the video's are not known: then the copy has the same."""
    if header is None or not header.width or not header.height:
        return None
    turned = header.rotation in (90, 270)
    width, height = (header.height, header.width) if turned else (header.width, header.height)
    less = min(1.0, LONGEST_SIDE / max(width, height), SHORTEST_SIDE / min(width, height))
    return _even(width * less), _even(height * less)


def _even(pixels: float) -> int:
    return max(32, 2 * round(pixels / 2))  # MediaConvert takes 32 pixels or more


def job_settings(source: str, destination: str, header: "VideoHeader | None") -> dict[str, Any]:
    """MediaConvert's settings (``CreateJob``, Settings) for a copy of `source` at `destination` (both s3:// addresses,
    `destination` without .mp4) that Rekognition reads, on the same time line.

    Sound is left out: no analysis of Rekognition Video looks at it (it would report the copy's AudioMetadata in segment
    detection, and nothing else). All features are of MediaConvert's basic tier, the cheaper one.
    """
    size = picture(header)
    scaled: Mapping[str, Any] = {"Width": size[0], "Height": size[1]} if size else {}
    video = {
        **scaled,
        # To the pixel: the default would add a black line where rounding to even numbers changed the aspect ratio, and
        # every box would be off by it.
        "ScalingBehavior": "STRETCH_TO_OUTPUT",
        "CodecSettings": {
            "Codec": "H_264",
            "H264Settings": {
                "RateControlMode": "QVBR",
                "QvbrSettings": {"QvbrQualityLevel": 8},
                "MaxBitrate": 10_000_000,  # bits a second: 1080p for the eye; detection needs less
                "QualityTuningLevel": "SINGLE_PASS",
                "FramerateControl": "INITIALIZE_FROM_SOURCE",  # so that times stay
                "ParControl": "INITIALIZE_FROM_SOURCE",
                "CodecProfile": "HIGH",  # 8 bits, 4:2:0; phones record HEVC in 10
            },
        },
    }
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [
            {
                "FileInput": source,
                "TimecodeSource": "ZEROBASED",
                # Turned upright as the file says; Rekognition would be shown it lying on its side.
                "VideoSelector": {"Rotate": "AUTO"},
            }
        ],
        "OutputGroups": [
            {
                "Name": "File Group",
                "OutputGroupSettings": {
                    "Type": "FILE_GROUP_SETTINGS",
                    "FileGroupSettings": {"Destination": destination},
                },
                "Outputs": [
                    {
                        "ContainerSettings": {
                            "Container": "MP4",
                            "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"},
                        },
                        "VideoDescription": video,
                    }
                ],
            }
        ],
    }
