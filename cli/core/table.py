"""The jobs table, with an operator's additions: read all jobs, retry an ended job, delete a record."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lambdas.aws.dynamodb import condition_failed, deserialize, serialize
from lambdas.aws.job_table import _UNSUSPECTED, Jobs, _job
from lambdas.model.job import Job


class Table(Jobs):
    """The functions' table, with the methods that only the command uses."""

    def everything(self) -> Iterator[Job]:
        """Every job, in no particular order. Reads the whole table: half a read unit per 4 KB."""
        for item in self._scan():
            yield _job(item)

    def some(self, most: int) -> list[Job]:
        """Up to `most` jobs, in no particular order, to suggest similar keys from."""
        return [_job(item) for item, _ in zip(self._scan(), range(most), strict=False)]

    def _scan(self) -> Iterator[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="attribute_exists(#state)",  # the item "#scheduler" is not a job
            ExpressionAttributeNames={"#state": "state"},
        )
        for page in pages:
            for item in page["Items"]:
                yield deserialize(item)

    def retry(self, job: Job) -> Job | None:
        """Put a job that FAILED or was REJECTED back in the backlog, at its end; None if its state has changed
        meanwhile.

        A job that FAILED gets another attempt: with the old token, Rekognition would only repeat its old answer. A job
        that was REJECTED keeps its token: if Rekognition has accepted a Start whose answer was lost, it answers with
        the same id, and bills once.
        """
        changes = {
            **(self._next_attempt(job) if job.state == "FAILED" else _UNSUSPECTED),
            "start_errors": 0,
            "reason": None,
            **self._last_in_line(job, self._clock.now()),
        }
        return self._to(job, "WAITING", ("FAILED", "REJECTED"), changes)

    def delete_record(self, job: Job) -> bool:
        """Delete a job's record; False if the collector is writing its results right now, or MediaConvert a copy."""
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=serialize({"job_id": job.job_id}),
                ConditionExpression="attribute_not_exists(job_id) OR NOT #state IN (:collecting, :converting)",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=serialize({":collecting": "COLLECTING", ":converting": "CONVERTING"}),
            )
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True
