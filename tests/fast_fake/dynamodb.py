"""A DynamoDB table with indexes kept in order, and a meter of what each call would be billed."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from tests.fast_fake.client import Client, Params, refuse
from tests.fast_fake.expressions import condition, update

Item = dict[str, dict[str, Any]]

INDEXES = {"ByState": ("state", "due_at"), "Backlog": ("waiting_in", "due_at"), "ByVideo": ("video", "registered_at")}
# Beside the keys; tests/fake_aws.py has the same.
PROJECTED = {"ByState": ("analysis", "slot_freed_at"), "Backlog": ("analysis",), "ByVideo": ()}
PAGE = 5000  # items of an index that fit into a query's 1 MB, about


class Table:
    """One table with partition key ``job_id``.

    Attributes:
        units: request units used, as on-demand billing counts them: ``read`` and ``write``.
        lagging: while true, the indexes stay behind: what is written shows in them once this is false again.
        written: called with each item's id, and the item before and after, when it was written ({}: there is none).
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.units: dict[str, float] = {"read": 0.0, "write": 0.0}
        self.written: Callable[[str, Item, Item], None] = lambda *_: None
        self._orders: dict[str, dict[str, list[tuple[str, str]]]] = {name: defaultdict(list) for name in INDEXES}
        self._lagging = False
        self._behind: list[tuple[str, Item, Item]] = []

    def client(self) -> Client:
        """A client of the table."""
        return Client(
            {
                "PutItem": self.put_item,
                "GetItem": self.get_item,
                "UpdateItem": self.update_item,
                "DeleteItem": self.delete_item,
                "TransactWriteItems": self.transact_write_items,
                "Query": self.query,
                "Scan": self.scan,
            }
        )

    def in_state(self, *states: str) -> int:
        """How many jobs are in one of these states."""
        return sum(len(self._orders["ByState"][state]) for state in states)

    @property
    def lagging(self) -> bool:
        return self._lagging

    @lagging.setter
    def lagging(self, lagging: bool) -> None:
        self._lagging = lagging
        if not lagging:
            for change in self._behind:
                self._reorder(*change)
            self._behind.clear()

    def put_item(self, params: Params) -> dict[str, Any]:
        item: Item = params["Item"]
        self._write(item["job_id"]["S"], item, params, "PutItem")
        return {}

    def update_item(self, params: Params) -> dict[str, Any]:
        item = self._updated(params)
        self._write(params["Key"]["job_id"]["S"], item, params, "UpdateItem")
        return {"Attributes": item}

    def _updated(self, params: Params) -> Item:
        names, values = params["ExpressionAttributeNames"], params.get("ExpressionAttributeValues", {})
        item = {**self.items.get(params["Key"]["job_id"]["S"], {}), **params["Key"]}
        wanted = update(params["UpdateExpression"])
        for name, value in wanted.sets:
            item[names[name]] = values[value]
        for name, value in wanted.adds:
            before = Decimal(item.get(names[name], {"N": "0"})["N"])
            item[names[name]] = {"N": str(before + Decimal(values[value]["N"]))}
        for name in wanted.removes:
            item.pop(names[name], None)
        return item

    def transact_write_items(self, params: Params) -> dict[str, Any]:
        """All updates or none. Each item is billed twice, also where none is written; what the indexes make of it is
        billed once (Developer Guide, "Capacity management for transactions")."""
        updates = [each["Update"] for each in params["TransactItems"]]
        failed = [not self._holds(update) for update in updates]
        # Those that are written are counted once more there.
        self.units["write"] += sum(map(self._units, updates)) * (2 if any(failed) else 1)
        if any(failed):
            codes = [{"Code": "ConditionalCheckFailed" if fails else "None"} for fails in failed]
            raise ClientError(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
                    "ResponseMetadata": {"HTTPStatusCode": 400},
                    "CancellationReasons": codes,
                },
                "TransactWriteItems",
            )
        for each in updates:
            self._write(each["Key"]["job_id"]["S"], self._updated(each), each, "TransactWriteItems")
        return {}

    def _units(self, params: Params) -> int:
        before = self.items.get(params["Key"]["job_id"]["S"], {})
        return _kilobytes(max(_size(before), _size(self._updated(params))), 1)

    def _holds(self, params: Params) -> bool:
        if "ConditionExpression" not in params:
            return True
        item = self.items.get((params.get("Key") or params["Item"])["job_id"]["S"], {})
        names, values = params.get("ExpressionAttributeNames", {}), params.get("ExpressionAttributeValues", {})
        return condition(params["ConditionExpression"])(item, names, values)

    def delete_item(self, params: Params) -> dict[str, Any]:
        self._write(params["Key"]["job_id"]["S"], {}, params, "DeleteItem")
        return {}

    def _write(self, job_id: str, item: Item, params: Params, operation: str) -> None:
        if any(not name for value in item.values() for name in value.get("M", {})):
            refuse("ValidationException", operation, message="Attribute names must be at least one character long")
        before = self.items.get(job_id, {})
        self.units["write"] += _kilobytes(max(_size(before), _size(item)), 1)
        if not self._holds(params):
            refuse("ConditionalCheckFailedException", operation, message="The conditional request failed")
        if item:
            self.items[job_id] = item
        else:
            self.items.pop(job_id, None)
        for index in INDEXES:
            places = [_place(index, each) for each in (before, item)]
            if places[0] != places[1]:
                self.units["write"] += sum(place is not None for place in places)
        if self._lagging:
            self._behind.append((job_id, before, item))
        else:
            self._reorder(job_id, before, item)
        self.written(job_id, before, item)

    def _reorder(self, job_id: str, before: Item, item: Item) -> None:
        for index, orders in self._orders.items():
            was, place = _place(index, before), _place(index, item)
            if was == place:
                continue
            if was:
                order = orders[was[0]]
                del order[bisect_left(order, (was[1], job_id))]
            if place:
                insort(orders[place[0]], (place[1], job_id))

    def get_item(self, params: Params) -> dict[str, Any]:
        item = self.items.get(params["Key"]["job_id"]["S"])
        self.units["read"] += _kilobytes(_size(item or {}), 4)
        return {"Item": item} if item else {}

    def query(self, params: Params) -> dict[str, Any]:
        """Items of an index, in order. Understands ``#a = :a``, with ``#b <= :b`` or ``#b BETWEEN :b AND :c``."""
        index = params["IndexName"]
        names, values = params["ExpressionAttributeNames"], params["ExpressionAttributeValues"]
        first, _, second = params["KeyConditionExpression"].partition(" AND ")
        partition = values[first.split(" = ")[1]]["S"]
        if names[first.split(" = ")[0]] != INDEXES[index][0]:
            raise ValueError(params["KeyConditionExpression"])
        order = self._orders[index][partition]
        begin, end = 0, len(order)
        if " BETWEEN " in second:
            least, _, second = second.partition(" BETWEEN ")[2].partition(" AND ")
            begin = bisect_left(order, (values[least]["S"], ""))
        if second:
            most = values[second.rpartition(" ")[2]]["S"]
            end = max(begin, bisect_right(order, (most, "\U0010ffff")))
        backwards = not params.get("ScanIndexForward", True)
        if "ExclusiveStartKey" in params:
            last = params["ExclusiveStartKey"]
            entry = (last[INDEXES[index][1]]["S"], last["job_id"]["S"])
            if backwards:
                end = min(end, bisect_left(order, entry))
            else:
                begin = max(begin, bisect_right(order, entry))
        most_items = min(params.get("Limit", PAGE), PAGE)
        chosen = (
            order[max(begin, end - most_items) : end][::-1]
            if backwards
            else order[begin : min(end, begin + most_items)]
        )
        scanned = [self._projected(index, partition, *entry) for entry in chosen]
        self.units["read"] += _kilobytes(sum(map(_size, scanned)), 4) / 2  # an index is read eventually consistent
        found = scanned
        if "FilterExpression" in params:
            holds = condition(params["FilterExpression"])
            found = [item for item in scanned if holds(item, names, values)]
        answer: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": len(scanned)}
        if len(scanned) == most_items:  # as DynamoDB does: a full page has a next one, which may be empty
            answer["LastEvaluatedKey"] = self._keys(index, partition, *chosen[-1])
        return answer

    @staticmethod
    def _keys(index: str, partition: str, place: str, job_id: str) -> Item:
        return {
            "job_id": {"S": job_id},
            INDEXES[index][0]: {"S": partition},
            INDEXES[index][1]: {"S": place},
        }

    def _projected(self, index: str, partition: str, place: str, job_id: str) -> Item:
        item = self.items.get(job_id, {})
        more = {name: item[name] for name in PROJECTED[index] if name in item}
        return {**self._keys(index, partition, place, job_id), **more}

    def scan(self, params: Params) -> dict[str, Any]:
        """Everything: for tests, not for handlers."""
        return {"Items": list(self.items.values())}


def _place(index: str, item: Item) -> tuple[str, str] | None:
    partition, order = INDEXES[index]
    return (item[partition]["S"], item[order]["S"]) if partition in item and order in item else None


def _kilobytes(size: int, per_unit: int) -> int:
    return max(1, math.ceil(size / 1024 / per_unit))


def _size(item: Item) -> int:
    """Bytes of an item, about as DynamoDB counts: names and values."""
    return sum(len(name) + _weight(value) for name, value in item.items())


def _weight(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content)
    if kind == "L":
        return 3 + sum(1 + _weight(each) for each in _listed(content))
    if kind == "M":
        return 3 + len(content) + _size(content)
    return 8


def _listed(content: Any) -> Iterable[dict[str, Any]]:
    return list(content)
