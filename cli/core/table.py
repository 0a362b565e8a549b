"""The jobs table, with what only an operator does: look at all of it, try an ended job again, forget one."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lambdas.aws.dynamodb import condition_failed, deserialize, serialize
from lambdas.aws.job_table import _UNSUSPECTED, Jobs, _job
from lambdas.model.job import Job


class Table(Jobs):
    """As the functions see it, and a little more."""

    def everything(self) -> Iterator[Job]:
        """Every job, in no order. Reads the whole table: half a read unit for each 4 KB."""
        for item in self._scan():
            yield _job(item)

    def some(self, most: int) -> list[Job]:
        """Some jobs, for a guess at what somebody meant."""
        return [_job(item) for item, _ in zip(self._scan(), range(most), strict=False)]

    def _scan(self) -> Iterator[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="attribute_exists(#state)",  # the item "#scheduler" is no job
            ExpressionAttributeNames={"#state": "state"},
        )
        for page in pages:
            for item in page["Items"]:
                yield deserialize(item)

    def once_more(self, job: Job) -> Job | None:
        """Put a job that FAILED or was REJECTED back in the backlog, at its end; None if it is something else by now.

        One that FAILED gets another attempt: its token would only give the old answer. One that was REJECTED keeps its
        own: should Rekognition have accepted a Start without our knowing, it answers with the same id, and bills once.
        """
        changes = {
            **(self._next_attempt(job) if job.state == "FAILED" else _UNSUSPECTED),
            "start_errors": 0,
            "reason": None,
            **self._waiting(self._clock.now(), job.job_id),
        }
        return self._to(job, "WAITING", ("FAILED", "REJECTED"), changes)

    def forget(self, job: Job) -> bool:
        """Delete a job's record; False if its results are being written this moment."""
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=serialize({"job_id": job.job_id}),
                ConditionExpression="attribute_not_exists(job_id) OR #state <> :collecting",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=serialize({":collecting": "COLLECTING"}),
            )
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True
