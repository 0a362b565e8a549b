"""The functions' environment variables, read once. A test compares them with those that the stack declares."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from lambdas.model.analyses import chosen
from lambdas.model.budget import Limits
from lambdas.model.errors import WrongSettings
from lambdas.model.routing import Route, Rules
from lambdas.model.shares import LIVE


@dataclass(frozen=True, slots=True)
class Settings:
    """The functions' environment, as values."""

    jobs_table: str
    videos_bucket: str  # new videos are taken from here; a job in the table may be of an earlier bucket
    results_bucket: str
    finished_queue_url: str
    topic_arn: str
    publisher_role_arn: str
    converter_role_arn: str | None  # None: the setting convert is off
    video_extensions: tuple[str, ...]
    most_running: int | None  # the operator's cap; None: only Rekognition's limit
    rules: Rules  # which analyses an upload gets, its class and its share
    limits: Limits  # the month's budget

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings in `environment`.

        Raises:
            WrongSettings: a variable is missing or invalid.
        """
        try:
            return cls(
                jobs_table=environment["JOBS_TABLE"],
                videos_bucket=environment["VIDEOS_BUCKET"],
                results_bucket=environment["RESULTS_BUCKET"],
                finished_queue_url=environment["FINISHED_QUEUE_URL"],
                topic_arn=environment["JOB_FINISHED_TOPIC_ARN"],
                publisher_role_arn=environment["PUBLISHER_ROLE_ARN"],
                converter_role_arn=environment.get("CONVERTER_ROLE_ARN") or None,
                video_extensions=tuple(environment["VIDEO_EXTENSIONS"].lower().split(",")),
                most_running=int(environment["MAX_RUNNING_JOBS"]) or None,
                rules=Rules(
                    analyses=chosen(json.loads(environment["ANALYSES"])),
                    routes=tuple(
                        Route(route["prefix"], chosen(route["analyses"]), route.get("priority", LIVE))
                        for route in json.loads(environment["ROUTES"])
                    ),
                    uploads=environment["UPLOAD_CHOICE"],
                    allowed=tuple(environment["ALLOWED_ANALYSES"].split(",")),
                    share_by=environment["SHARE_BY"],
                    weights=json.loads(environment["SHARE_WEIGHTS"]),
                ),
                limits=Limits(float(environment["MONTHLY_BUDGET_USD"]), float(environment["MONTHLY_MINUTES"])),
            )
        except KeyError as error:
            raise WrongSettings(f"the environment variable {error} is missing") from error
        except ValueError as error:
            raise WrongSettings(str(error)) from error
