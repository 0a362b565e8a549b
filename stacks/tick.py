"""The minute tick, which finds what every other event missed."""

from aws_cdk import Duration, aws_events as events, aws_events_targets as targets
from constructs import Construct

from stacks.functions import Handler


class Tick(events.Rule):
    """Invokes `function` once a minute. A delivery that fails is not repeated: the next tick comes in a minute."""

    def __init__(self, scope: Construct, id: str, *, function: Handler) -> None:
        super().__init__(
            scope,
            id,
            description="Starts jobs in slots that came free unannounced, and polls jobs whose notification is overdue",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            targets=[targets.LambdaFunction(function, retry_attempts=0, max_event_age=Duration.minutes(1))],
        )
