"""DynamoDB's mechanics: conditional writes and reads of items whose key is ``job_id``, in Python's values."""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from lambdas.model.clock import Clock

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


# Two writes of one item at the same time, one of them in a transaction: DynamoDB refuses one of the two. Both take some
# milliseconds.
CONFLICTS_IN_A_ROW = 20
CONFLICT_PAUSE = 0.05  # seconds, times the number of conflicts so far


@dataclass(frozen=True, slots=True)
class Write:
    """One of a transaction's writes.

    Attributes:
        item_id: the item's ``job_id``; the item need not exist.
        changes: attributes to set; None removes one.
        adds: numbers to add to attributes, which count as 0 where they don't exist.
        when: the condition, in which names are written as for ``Items._update``.
        values: what the condition compares with.
    """

    item_id: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    adds: Mapping[str, Decimal] = field(default_factory=dict)
    when: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def versioned(item_id: str, changes: Mapping[str, Any], counter: str, version: int) -> Write:
    """A write that holds only if no other has been made since that `version` was read, which the attribute `counter`
    has; 0: it isn't there yet."""
    return Write(
        item_id,
        {**changes, counter: version + 1},
        when=f"#{counter} = :before" if version else f"attribute_not_exists(#{counter})",
        values={"before": version} if version else {},
    )


class Items:
    """The items of one table."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, clock: "Clock") -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock

    def _stored(self, name: str, value: Any) -> Any:  # noqa: ARG002
        """The form in which an attribute's value is stored."""
        return value

    def _put_new(self, item: Mapping[str, Any]) -> bool:
        """Add an item; False if there is one of its id already."""
        request: Any = {"TableName": self._table, "Item": serialize(item)}
        condition = "attribute_not_exists(job_id)"
        return self._in_turn(lambda: self._dynamodb.put_item(**request, ConditionExpression=condition)) is not None

    def _delete(self, item_id: str, when: str, **values: Any) -> bool:
        """Delete an item if `when` holds; False if it doesn't. In `when`, names are written as for ``_update``."""
        request: Any = {
            "TableName": self._table,
            "Key": serialize({"job_id": item_id}),
            "ConditionExpression": when,
            "ExpressionAttributeNames": {f"#{name}": name for name in re.findall(r"#(\w+)", when)},
            "ExpressionAttributeValues": serialize({f":{name}": value for name, value in values.items()}),
        }
        return self._in_turn(lambda: self._dynamodb.delete_item(**request)) is not None

    def _update(self, item_id: str, changes: Mapping[str, Any], when: str = "", **values: Any) -> dict[str, Any] | None:
        """Set `changes` (None removes an attribute) if `when` holds; the item as it is then, or None.

        In `when`, ``#name`` stands for an attribute and ``:name`` for a value, given or being set.
        """
        request = self._request(Write(item_id, changes, when=when, values=values))
        answer = self._in_turn(lambda: self._dynamodb.update_item(**request, ReturnValues="ALL_NEW"))
        return deserialize(answer["Attributes"]) if answer is not None else None

    def _write_all(self, writes: Sequence[Write]) -> Sequence[bool]:
        """Do all of `writes` or none, in one transaction; for each, whether its condition held. (DynamoDB says all
        conditions that don't hold, not only the first.)"""
        if len(writes) == 1:  # half the price
            [write] = writes
            return [self._in_turn(lambda: self._dynamodb.update_item(**self._request(write))) is not None]
        request: Any = [{"Update": self._request(write)} for write in writes]
        refused = [False] * len(writes)

        def write_all() -> None:
            nonlocal refused
            try:
                self._dynamodb.transact_write_items(TransactItems=request)
            except ClientError as error:
                codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
                if "ConditionalCheckFailed" not in codes:
                    raise
                refused = [code == "ConditionalCheckFailed" for code in codes]

        self._in_turn(write_all)
        return [not no for no in refused]

    def _request(self, write: Write) -> Any:
        kept = {name: self._stored(name, value) for name, value in write.changes.items() if value is not None}
        removed = [name for name, value in write.changes.items() if value is None]
        parts = []
        if kept:
            parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in kept))
        if removed:
            parts.append("REMOVE " + ", ".join(f"#{name}" for name in removed))
        if write.adds:
            parts.append("ADD " + ", ".join(f"#{name} :add_{name}" for name in write.adds))
        update = " ".join(parts)
        text = f"{update} {write.when}"
        used = set(re.findall(r":(\w+)", text))
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": serialize({"job_id": write.item_id}),
            "UpdateExpression": update,
            "ExpressionAttributeNames": {f"#{name}": name for name in re.findall(r"#(\w+)", text)},
        }
        if used:
            known = {**kept, **write.values, **{f"add_{name}": number for name, number in write.adds.items()}}
            request["ExpressionAttributeValues"] = serialize({f":{name}": known[name] for name in used})
        if write.when:
            request["ConditionExpression"] = write.when
        return request

    def _in_turn(self, write: Callable[[], Any]) -> Any:
        """What `write` answers, or None where its condition doesn't hold; again where it met another transaction."""
        for conflicts in count(1):
            try:
                return write()
            except ClientError as error:
                if condition_failed(error):
                    return None
                if not _conflict(error) or conflicts == CONFLICTS_IN_A_ROW:
                    raise
            self._clock.sleep(CONFLICT_PAUSE * conflicts * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError  # the loop has no end

    def _get_item(self, item_id: str) -> dict[str, Any]:
        answer = self._dynamodb.get_item(TableName=self._table, Key=serialize({"job_id": item_id}), ConsistentRead=True)
        return deserialize(answer.get("Item", {}))

    def _query(
        self,
        index: str,
        condition: str,
        values: Mapping[str, Any],
        *,
        page: int | None = None,
        wanted: str = "",
        newest_first: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Items of an index, read as they are needed: `page` of them a call, or as many as DynamoDB gives at once. What
        is not `wanted` is filtered out."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in re.findall(r"#(\w+)", condition + wanted)},
            "ExpressionAttributeValues": serialize(values),
            "ScanIndexForward": not newest_first,
        }
        if wanted:
            request["FilterExpression"] = wanted
        if page is not None:
            request["Limit"] = page
        while True:
            answer = self._dynamodb.query(**request)
            yield from map(deserialize, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def serialize(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as DynamoDB's API takes it."""
    return {name: _serializer.serialize(value) for name, value in item.items()}


def deserialize(item: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of ``serialize``; numbers are decimals."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


def condition_failed(error: ClientError) -> bool:
    """Whether a write was refused for its condition."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _conflict(error: ClientError) -> bool:
    """Whether a write met another one of the same item in a transaction."""
    code = error.response["Error"]["Code"]
    reasons: Any = error.response.get("CancellationReasons", [])
    return code in ("TransactionConflictException", "TransactionInProgressException") or any(
        reason.get("Code") in ("TransactionConflict", "ThrottlingError") for reason in reasons
    )
