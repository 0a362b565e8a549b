"""What a job's settings ask for, in the terms of `convert`. What is not offered is refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from localcloud.mediaconvert.convert import Wanted
from localcloud.mediaconvert.protocol import ServiceError

TURNS: Mapping[str | None, int | str] = {
    "DEGREE_0": 0,
    "DEGREES_90": 90,
    "DEGREES_180": 180,
    "DEGREES_270": 270,
    "AUTO": "auto",
    None: 0,
}
FITS = {"DEFAULT": "pad", "FIT": "pad", "FILL": "crop", "STRETCH_TO_OUTPUT": "stretch", None: "pad"}

#: Settings that would change what is shown, when, or where it goes, and that nothing here carries out.
NOT_OFFERED = {
    "settings": ("Esam", "MotionImageInserter", "MotionImageInserters", "NielsenNonLinearWatermark", "KantarWatermark"),
    "input": (
        *(
            "Crop",
            "DecryptionSettings",
            "DolbyVisionMetadataXml",
            "ImageInserter",
            "InputClippings",
            "MultiViewSettings",
        ),
        *("Position", "ProgramNumber", "SupplementalImps", "TamsSettings", "VideoGenerator", "VideoOverlays"),
    ),
    "selector": ("Pid", "ProgramNumber", "Streams", "SelectorType"),
    "group": ("AutomatedEncodingSettings",),
    "output": ("CaptionDescriptions", "Preset"),
    "video": ("Crop", "Position", "VideoPreprocessors"),
    "request": ("JobTemplate", "JobEngineVersion", "SimulateReservedQueue", "HopDestinations"),
}


@dataclass(frozen=True, slots=True)
class Output:
    """One file to write: where to, and what it shall be."""

    bucket: str
    key: str
    wanted: Wanted

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Order:
    """All that a job is to do. ``groups`` are its output groups, in the job's order."""

    bucket: str
    key: str
    groups: tuple[tuple[Output, ...], ...]

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def order_of(request: Mapping[str, Any]) -> Order:
    """The order that a CreateJob request (by the model's names, checked against it) places.

    Raises ServiceError (BadRequestException).
    """
    _refuse("request", request, "")
    settings = request["Settings"]
    _refuse("settings", settings, "/settings")
    inputs = settings.get("Inputs", [])
    if len(inputs) != 1:
        raise _bad("/settings/inputs", f"there are {len(inputs)} inputs, and exactly 1 is offered")
    where = "/settings/inputs/0"
    source = inputs[0]
    _refuse("input", source, where)
    if "FileInput" not in source:
        raise _bad(f"{where}/fileInput", "Required field is missing")
    bucket, key = _place(source["FileInput"], f"{where}/fileInput")
    if not key or key.endswith("/"):
        raise _bad(f"{where}/fileInput", f"{source['FileInput']!r} names no object")
    selector = source.get("VideoSelector", {})
    _refuse("selector", selector, f"{where}/videoSelector")
    groups = settings.get("OutputGroups", [])
    if not groups:
        raise _bad("/settings/outputGroups", "Should not be null or empty")
    sounds = set(source.get("AudioSelectors", {}))
    found = [
        tuple(_group(group, f"/settings/outputGroups/{number}", key, TURNS[selector.get("Rotate")], sounds))
        for number, group in enumerate(groups)
    ]
    return Order(bucket, key, tuple(found))


def _group(group: Mapping[str, Any], where: str, input_key: str, turn: int | str, sounds: set[str]) -> list[Output]:
    _refuse("group", group, where)
    settings = group.get("OutputGroupSettings", {})
    if settings.get("Type", "FILE_GROUP_SETTINGS") != "FILE_GROUP_SETTINGS":
        raise _bad(f"{where}/outputGroupSettings/type", f"[{settings['Type']}] {_local('FILE_GROUP_SETTINGS')}")
    destination = settings.get("FileGroupSettings", {}).get("Destination")
    if not destination:
        raise _bad(f"{where}/outputGroupSettings/fileGroupSettings/destination", "Required field is missing")
    bucket, base = _place(destination, f"{where}/outputGroupSettings/fileGroupSettings/destination")
    if not base or base.endswith("/"):  # "the service will use the filename of the input file"
        base += PurePosixPath(input_key).stem
    outputs: Sequence[Mapping[str, Any]] = group.get("Outputs", [])
    if not outputs:
        raise _bad(f"{where}/outputs", "Should not be null or empty")
    found: list[Output] = []
    for number, output in enumerate(outputs):
        here = f"{where}/outputs/{number}"
        if len(outputs) > 1 and not output.get("NameModifier"):
            raise _bad(f"{here}/nameModifier", "Required when an output group has more than one output")
        name = base + output.get("NameModifier", "")
        if re.search(r"\$\w+\$", name):
            raise _bad(here, f"the format identifier in {name!r} {_local('plain names')}")
        key = f"{name}.{output.get('Extension', 'mp4')}"
        if key in [one.key for one in found]:
            raise _bad(f"{here}/nameModifier", f"two outputs would become {key!r}")
        found.append(Output(bucket, key, _wanted(output, here, turn, sounds)))
    return found


def _wanted(output: Mapping[str, Any], where: str, turn: int | str, sounds: set[str]) -> Wanted:
    _refuse("output", output, where)
    container = output.get("ContainerSettings", {}).get("Container")
    if container != "MP4":
        raise _bad(f"{where}/containerSettings/container", f"[{container}] {_local('MP4')}")
    video = output.get("VideoDescription", {})
    _refuse("video", video, f"{where}/videoDescription")
    codec = video.get("CodecSettings", {})
    if codec.get("Codec") != "H_264":
        raise _bad(f"{where}/videoDescription/codecSettings/codec", f"[{codec.get('Codec')}] {_local('H_264')}")
    fit = video.get("ScalingBehavior")
    if fit not in FITS:
        raise _bad(f"{where}/videoDescription/scalingBehavior", f"[{fit}] {_local(', '.join(filter(None, FITS)))}")
    h264 = codec.get("H264Settings", {})
    here = f"{where}/videoDescription/codecSettings/h264Settings"
    if h264.get("RateControlMode") == "QVBR" and "MaxBitrate" not in h264:
        raise _bad(f"{here}/maxBitrate", "Required when rateControlMode is QVBR")
    if h264.get("RateControlMode") in ("CBR", "VBR") and "Bitrate" not in h264:
        raise _bad(f"{here}/bitrate", f"Required when rateControlMode is {h264['RateControlMode']}")
    rate = None
    if h264.get("FramerateControl") == "SPECIFIED":
        if not {"FramerateNumerator", "FramerateDenominator"} <= set(h264):
            raise _bad(here, "framerateNumerator and framerateDenominator: Required when framerateControl is SPECIFIED")
        rate = Fraction(h264["FramerateNumerator"], h264["FramerateDenominator"])
    for number, sound in enumerate(output.get("AudioDescriptions", [])):
        name = sound.get("AudioSourceName")
        if name and name not in sounds:
            raise _bad(f"{where}/audioDescriptions/{number}/audioSourceName", f"no audio selector is called {name!r}")
    return Wanted(
        size=(video.get("Width"), video.get("Height")),
        fit=FITS[fit],
        turn=turn,
        turned_containers=("mov", "mp4"),  # "if your input video container is .mov or .mp4"
        rate=rate,
        max_rate=h264.get("MaxBitrate") or h264.get("Bitrate") or 0,
        sound=bool(output.get("AudioDescriptions")),
    )


def _place(uri: str, where: str) -> tuple[str, str]:
    found = re.fullmatch(r"s3://([^/]+)/?(.*)", uri, re.DOTALL)
    if not found:
        raise _bad(where, f"{uri!r} {_local('s3://bucket/key')}")
    return found[1], found[2]


def _refuse(what: str, members: Mapping[str, Any], where: str) -> None:
    for name in NOT_OFFERED[what]:
        if members.get(name):
            raise _bad(f"{where}/{name[0].lower()}{name[1:]}", "is not offered by the local MediaConvert")


def _local(accepted: str) -> str:
    return f"is not offered by the local MediaConvert; it takes {accepted}"


def _bad(where: str, why: str) -> ServiceError:
    return ServiceError("BadRequestException", f"{where}: {why}")
