"""The same SQL over the same rows on this machine, in DuckDB: no Athena, no server, no network.

mirror(s3, bucket, folder)                                    bring rows here, only what is new
run("moments-with-label", folder, {"label": "Bicycle"})       a saved query
run("SELECT count(*) FROM label_detection", folder)           or one's own
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from lambdas.columns import TABLES, Table, duckdb_type
from queries.saved import Value, WrongQuery, saved, saved_query, tables_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ETAGS = ".etags.json"  # what was brought here, by key


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a mirror run did: files brought, their bytes, files dropped because the bucket has them no more."""

    files: int
    bytes: int
    dropped: int


def run(query: str, folder: Path, parameters: Mapping[str, Value] | Sequence[Value] = ()) -> Answer:
    """Run a saved query by its name, or any SQL, over the rows in `folder`.

    Args:
        query: a saved query's name, or SQL. What has no blank in it is a name.
        folder: holds ``rows/`` and ``jobs/`` as the results bucket does (see ``mirror``).
        parameters: of a saved query, by name; what is not given has its default. Of SQL: its ``?``, in order.

    Raises:
        WrongQuery: there is no such query or parameter, or DuckDB can't run it; the text is DuckDB's.
    """
    named = parameters if isinstance(parameters, Mapping) else None
    if len(query.split()) > 1:
        return _ask(query, folder, list(parameters if named is None else named.values()))
    found = saved_query(query)
    if named is None and parameters:
        raise WrongQuery(f"{query} takes its parameters by name: {', '.join(p.name for p in found.parameters)}")
    return _ask(found.sql, folder, found.values(named or {}))


def _ask(sql: str, folder: Path, values: list[Value]) -> Answer:
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as database:
        for table in TABLES:
            if table.name in tables_of(sql):
                database.execute(f"CREATE VIEW {table.name} AS {_select(table, folder)}")
        try:
            database.execute(sql, values)
        except duckdb.Error as error:
            raise WrongQuery(str(error)) from error
        return Answer([name for name, *_ in database.description or ()], database.fetchall())


def _select(table: Table, folder: Path) -> str:
    """The table's files as DuckDB reads them; by name and type, so that an empty table is one too."""
    files = [_text(path) for path in sorted((folder / table.prefix).rglob("*.json*"))]
    columns = {column.name: duckdb_type(column.type) for column in (*table.columns, table.partition)}
    names = ", ".join(f'"{name}"' for name in columns)
    if not files:
        nulls = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns.items())
        return f"SELECT {nulls} WHERE false"
    inside = ", ".join(f"{_quoted(column.name)}: {_quoted(duckdb_type(column.type))}" for column in table.columns)
    return (
        f"SELECT {names} FROM read_json([{', '.join(files)}], format = 'newline_delimited', "  # noqa: S608
        f"columns = {{{inside}}}, hive_partitioning = true, hive_types_autocast = false)"
    )


def _text(path: Path) -> str:
    return _quoted(str(path))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def mirror(s3: "S3Client", bucket: str, folder: Path, tables: Iterable[str] | None = None) -> Mirrored:
    """Bring rows from the results bucket into `folder`: what is new or was written again, and nothing twice.

    Args:
        s3: a client that may list and read the bucket.
        bucket: the results bucket.
        folder: made if it isn't there.
        tables: names of tables; None for all.
    """
    index = folder / ETAGS
    known: dict[str, str] = json.loads(index.read_text()) if index.exists() else {}
    files = size = dropped = 0
    for table in TABLES:
        if tables is not None and table.name not in set(tables):
            continue
        there: set[str] = set()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{table.prefix}/")
        for item in (item for page in pages for item in page.get("Contents", [])):
            key, etag = item["Key"], item["ETag"]
            there.add(key)
            if known.get(key) != etag or not (folder / key).exists():
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, key, str(folder / key))
                known[key], files, size = etag, files + 1, size + item["Size"]
        for key in [key for key in known if key.startswith(f"{table.prefix}/") and key not in there]:
            (folder / key).unlink(missing_ok=True)
            del known[key]
            dropped += 1
    folder.mkdir(parents=True, exist_ok=True)
    index.write_text(json.dumps(known))
    return Mirrored(files, size, dropped)


__all__ = ["Answer", "Mirrored", "WrongQuery", "mirror", "run", "saved"]
