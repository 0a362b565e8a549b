"""SQL over the results: in Athena on AWS, in DuckDB on this machine. The same SQL runs in both."""

import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from rich.filesize import decimal

from cli.core import terminal
from cli.core.errors import CliError, NotThere, WrongUse
from cli.core.stack import Stack
from queries.columns import TABLES
from queries.laptop import Answer, UnsafeFolder, mirror, run
from queries.saved import Value, WrongQuery, saved, saved_query, tables_of

DOLLARS_PER_TB = 5.0  # scanned by Athena, us-east-1; at least 10 MB are charged
LOOK_AGAIN = 0.5  # seconds


def is_sql(query: str) -> bool:
    """Whether `query` is SQL; otherwise it is a saved query's name."""
    return len(query.split()) > 1


def given(pairs: tuple[str, ...]) -> dict[str, str]:
    """``("label=Bicycle",)`` as a mapping.

    Raises:
        WrongUse: an item is not NAME=VALUE, or a name is given twice.
    """
    found = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
    if len(found) < len(pairs):
        raise WrongUse("--set takes NAME=VALUE, and each name once.")
    return found


def ask(stack: Stack, query: str, values: Mapping[str, Value], *, here: bool) -> Answer:
    """Run a saved query, or SQL.

    Args:
        here: run it in DuckDB on this machine, also for a stack on AWS.

    Raises:
        NotThere: there is no saved query of that name.
        CliError: the query can't be run.
    """
    if not is_sql(query) and query not in saved():
        try:
            saved_query(query)
        except WrongQuery as error:
            raise NotThere(f"T{str(error)[1:]}", stack.target.command("query")) from None
    if is_sql(query) and values:
        raise WrongUse("--set gives parameters to saved queries, and this is SQL.")
    try:
        return _on_this_machine(stack, query, values) if here or stack.local else _in_athena(stack, query, values)
    except WrongQuery as error:
        raise CliError(str(error)) from None


def _on_this_machine(stack: Stack, query: str, values: Mapping[str, Value]) -> Answer:
    needed = tables_of(query) if is_sql(query) else saved_query(query).tables
    with _folder(stack) as folder:
        try:
            brought = mirror(stack.client("s3"), stack.results, folder, needed)
        except UnsafeFolder as error:
            raise CliError(f"{error}.", f"check where it points, then: rm -r {shlex.quote(str(folder))}") from None
        if brought.files:
            terminal.info(f"{terminal.many(brought.files, 'file')} downloaded ({decimal(brought.bytes)}).")
        if brought.ignored:
            terminal.info(
                f"{terminal.many(brought.ignored, 'object')} under rows/ and jobs/ in s3://{stack.results} "
                "ignored: the collector writes no such keys."
            )
        return run(query, folder, values)


@contextmanager
def _folder(stack: Stack) -> Iterator[Path]:
    """The folder for downloaded rows: kept between queries, or temporary for the local cloud."""
    if stack.local:
        with tempfile.TemporaryDirectory(prefix="rekognition-batch-rows-") as scratch:
            yield Path(scratch)
        return
    yield cache(stack)


def cache(stack: Stack) -> Path:
    """The folder that keeps a stack's rows on this machine.

    Raises:
        CliError: the stack's output is not a valid bucket name, so it must not become part of a path.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", stack.results):
        raise CliError(f"The stack's output ResultsBucket is {stack.results!r}, which is not a valid bucket name.")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rekognition-batch" / stack.results


def forget_cache(stack: Stack) -> None:
    """Delete the kept rows of a stack after a deletion in it; the next query downloads the others again."""
    if not stack.local:
        shutil.rmtree(cache(stack), ignore_errors=True)


def _in_athena(stack: Stack, query: str, values: Mapping[str, Value]) -> Answer:
    sql = query if is_sql(query) else saved_query(query).sql
    literals = [] if is_sql(query) else [_literal(value) for value in saved_query(query).values(values)]
    athena = stack.client("athena")
    database = stack.name.lower().replace("-", "_")
    more = {"ExecutionParameters": literals} if literals else {}
    try:
        execution = athena.start_query_execution(
            QueryString=sql, QueryExecutionContext={"Database": database}, WorkGroup=stack.name, **more
        )["QueryExecutionId"]
    except ClientError as error:
        if "WorkGroup" not in str(error):
            raise
        raise CliError(
            f"There is no Athena workgroup {stack.name} here: the queries' stack is not deployed.",
            f"{stack.target.deploy()}   (or on this machine: {stack.target.command('query', '--here', query)})",
        ) from None
    _wait(athena, execution)
    return _rows(athena, execution)


def _literal(value: Value) -> str:
    """A value as an SQL literal, which is how Athena takes parameters."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _wait(athena: Any, execution: str) -> None:
    try:
        while True:
            found = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
            state = found["Status"]["State"]
            if state == "SUCCEEDED":
                read = found.get("Statistics", {}).get("DataScannedInBytes", 0)
                dollars = max(read, 10_000_000 if read else 0) / 1e12 * DOLLARS_PER_TB
                terminal.info(f"Athena read {decimal(read)}: about ${dollars:.5f}.")
                return
            if state in ("FAILED", "CANCELLED"):
                raise CliError(f"Athena: {found['Status'].get('StateChangeReason', state)}")
            time.sleep(LOOK_AGAIN)
    except KeyboardInterrupt:
        athena.stop_query_execution(QueryExecutionId=execution)
        raise


def _rows(athena: Any, execution: str) -> Answer:
    columns: list[str] = []
    rows: list[tuple[Any, ...]] = []
    kinds: list[str] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution):
        found = page["ResultSet"]["Rows"]
        if not columns:
            about = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            columns, kinds = [one["Name"] for one in about], [one["Type"] for one in about]
            found = found[1:]  # the first row of the first page is the headings
        for row in found:
            cells = (cell.get("VarCharValue") for cell in row["Data"])
            rows.append(tuple(_value(cell, kind) for cell, kind in zip(cells, kinds, strict=True)))
    return Answer(columns, rows)


def _value(text: str | None, kind: str) -> Any:
    """A cell in its column's type; Athena returns every cell as text."""
    if text is None:
        return None
    if kind in ("tinyint", "smallint", "integer", "bigint"):
        return int(text)
    if kind in ("double", "float", "real"):
        return float(text)
    return text == "true" if kind == "boolean" else text


def tables() -> list[str]:
    """The names of the tables."""
    return [table.name for table in TABLES]
