"""DynamoDB's mechanics: conditional writes and reads of items whose key is ``job_id``, in Python's values."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class Items:
    """The items of one table."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def _stored(self, name: str, value: Any) -> Any:  # noqa: ARG002
        """The form in which an attribute's value is stored."""
        return value

    def _put_new(self, item: Mapping[str, Any]) -> bool:
        """Add an item; False if there is one of its id already."""
        try:
            self._dynamodb.put_item(
                TableName=self._table, Item=serialize(item), ConditionExpression="attribute_not_exists(job_id)"
            )
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def _delete(self, item_id: str, when: str, **values: Any) -> bool:
        """Delete an item if `when` holds; False if it doesn't. In `when`, names are written as for ``_update``."""
        try:
            self._dynamodb.delete_item(
                TableName=self._table,
                Key=serialize({"job_id": item_id}),
                ConditionExpression=when,
                ExpressionAttributeNames={f"#{name}": name for name in re.findall(r"#(\w+)", when)},
                ExpressionAttributeValues=serialize({f":{name}": value for name, value in values.items()}),
            )
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def _update(self, item_id: str, changes: Mapping[str, Any], when: str = "", **values: Any) -> dict[str, Any] | None:
        """Set `changes` (None removes an attribute) if `when` holds; the item as it is then, or None.

        In `when`, ``#name`` stands for an attribute and ``:name`` for a value, given or being set.
        """
        kept = {name: self._stored(name, value) for name, value in changes.items() if value is not None}
        removed = [name for name, value in changes.items() if value is None]
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in kept) if kept else ""
        if removed:
            update += " REMOVE " + ", ".join(f"#{name}" for name in removed)
        text = f"{update} {when}"
        used = set(re.findall(r":(\w+)", text))
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": serialize({"job_id": item_id}),
            "UpdateExpression": update,
            "ExpressionAttributeNames": {f"#{name}": name for name in re.findall(r"#(\w+)", text)},
            "ReturnValues": "ALL_NEW",
        }
        if used:
            known = {**kept, **values}
            request["ExpressionAttributeValues"] = serialize({f":{name}": known[name] for name in used})
        if when:
            request["ConditionExpression"] = when
        try:
            return deserialize(self._dynamodb.update_item(**request)["Attributes"])
        except ClientError as error:
            if condition_failed(error):
                return None
            raise

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
