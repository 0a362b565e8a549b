"""A bulk drop on 20 slots, with everything going wrong that does: nothing is lost, nothing is paid twice.

The real template and functions in a local cloud; jobs are simulated (3 s, 2,500 detections each), one notification in
twenty never comes, Rekognition is away for 20 s, and a collecting function is killed in the middle of its work.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from localcloud.cloud import LocalCloud
from tests.e2e.conftest import Deployed

VIDEOS = 200
DETECTIONS = 2_500
OUTAGE = 20.0  # seconds
PATIENCE = 480.0  # seconds; a silent job is polled after two minutes, a dead collector's lease runs 90 s


@pytest.fixture(scope="module")
def cloud() -> Iterator[Deployed]:
    """A deployed stack on a Rekognition that only pretends to look, with AWS's quotas."""
    options = ["--engine", "simulated", "--seconds", "3", "--detections", str(DETECTIONS), "--notify-dropped", "0.05"]
    with LocalCloud(endpoint_options=options) as running:
        yield Deployed(running, running.outputs)


def keys() -> list[str]:
    return [f"bulk/{number:03}.mp4" for number in range(VIDEOS)]


@pytest.mark.timeout(900)
def test_two_hundred_at_once_all_end_with_complete_results(cloud: Deployed) -> None:
    with ThreadPoolExecutor(8) as pool:
        for key in keys():
            pool.submit(cloud.s3.put_object, Bucket=cloud.videos, Key=key, Body=key.encode())
    cloud.wait(lambda: "SUCCEEDED" in states(cloud), "the first results")
    killed = kill_a_collector(cloud)
    with cloud.cloud.without_rekognition():
        time.sleep(OUTAGE)

    deadline = time.monotonic() + PATIENCE
    while set(states(cloud)) != {"SUCCEEDED"} and time.monotonic() < deadline:
        time.sleep(2)

    assert killed
    assert states(cloud) == {"SUCCEEDED": VIDEOS}
    held = cloud.rekognition_jobs()
    assert max(Counter(job["JobTag"] for job in held).values()) == 1, "a job was started, and billed, twice"
    assert len(held) == VIDEOS
    assert cloud.stats()["most_running"] <= 20
    for job in cloud.everything():
        document = cloud.result(job["result_key"])
        assert document["JobTag"] == job["job_id"]
        assert len(document["Faces"]) == DETECTIONS == job["detections"]
    assert cloud.waiting_in("UploadsDead") == cloud.waiting_in("FinishedDead") == 0


def states(cloud: Deployed) -> dict[str, int]:
    """How many jobs are in each state."""
    return dict(Counter(job["state"] for job in cloud.everything()))


def kill_a_collector(cloud: Deployed) -> bool:
    """Kill a collecting function in the middle of its work."""
    for _ in range(600):
        collecting = [job for job in cloud.everything() if job["state"] == "COLLECTING"]
        workers = cloud.cloud.lambda_workers("CollectResults")
        if collecting and workers:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            return True
        time.sleep(0.05)
    return False
