"""The same SQL over the same rows on this machine, in DuckDB: no Athena, no server, no network.

mirror(s3, bucket, folder)                                    bring rows here, only what is new
run("moments-with-label", folder, {"label": "Bicycle"})       a saved query
run("SELECT count(*) FROM label_detection", folder)           or one's own
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from lambdas.model.analyses import CATALOGUE
from queries.columns import TABLES, Table, duckdb_type
from queries.saved import Value, WrongQuery, saved, saved_query, tables_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ETAGS = ".etags.json"  # ETag of each file here, by key; it only saves downloads, and is not trusted with more

# The keys that the collector writes (lambdas/logic/results.py). Any other key may have been put there to name a file
# outside the folder, or to be read as a pattern, so no other becomes a path.
_ANALYSIS = f"analysis=(?:{'|'.join(map(re.escape, CATALOGUE))})"
_DATE = "date=[0-9]{4}-[0-9]{2}-[0-9]{2}"
_KEY = re.compile(f"rows/{_ANALYSIS}/{_DATE}/[0-9a-f]{{64}}[.]jsonl[.]gz|jobs/{_ANALYSIS}/[0-9a-f]{{64}}[.]json")


class UnsafeFolder(ValueError):
    """A symbolic link lies in the folder where a plain folder belongs; writing there would write elsewhere."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a mirror run did.

    Attributes:
        files: files downloaded.
        bytes: their size.
        dropped: files deleted here because the bucket has them no more.
        ignored: objects left in the bucket because the collector writes no such key.
    """

    files: int
    bytes: int
    dropped: int
    ignored: int


def run(query: str, folder: Path, parameters: Mapping[str, Value] | Sequence[Value] = ()) -> Answer:
    """Run a saved query by its name, or any SQL, over the rows in `folder`.

    Args:
        query: a saved query's name, or SQL. What has no blank in it is a name.
        folder: holds ``rows/`` and ``jobs/`` as the results bucket does (see ``mirror``). Only files named as the
            collector names them are read.
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
    files = [_pattern(folder / key) for key in sorted(_keys_here(folder, table))]
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


def _pattern(path: Path) -> str:
    """A pattern that matches this one file: DuckDB reads every path as a pattern, and `folder` may hold a ``*``."""
    return _quoted(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def mirror(s3: "S3Client", bucket: str, folder: Path, tables: Iterable[str] | None = None) -> Mirrored:
    """Bring rows from the results bucket into `folder`: what is new or was written again, and nothing twice.

    Args:
        s3: a client that may list and read the bucket.
        bucket: the results bucket.
        folder: made if it isn't there; readable for this user alone.
        tables: names of tables; None for all.

    Raises:
        UnsafeFolder: there is a symbolic link in `folder` where a folder belongs.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # names, faces and texts of videos are for this user alone
    known = _read_index(folder)
    files = size = dropped = ignored = 0
    try:
        for table in TABLES:
            if tables is not None and table.name not in set(tables):
                continue
            there: set[str] = set()
            here = _keys_here(folder, table)
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{table.prefix}/")
            for item in (item for page in pages for item in page.get("Contents", [])):
                key, etag = item["Key"], item["ETag"]
                if not _KEY.fullmatch(key):
                    ignored += 1
                    continue
                there.add(key)
                if known.get(key) != etag or key not in here:
                    _download(s3, bucket, folder, key)
                    known[key], files, size = etag, files + 1, size + item["Size"]
            for key in here - there:
                (folder / key).unlink(missing_ok=True)
                known.pop(key, None)
                dropped += 1
    finally:
        _write_index(folder, known)
    return Mirrored(files, size, dropped, ignored)


def _download(s3: "S3Client", bucket: str, folder: Path, key: str) -> None:
    path = folder / key
    if link := _link(folder, path.parent):
        raise UnsafeFolder(f"{link} is a symbolic link, where the copy of the rows has a folder")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    s3.download_file(bucket, key, str(path))  # to a temporary name, then renamed: a link of that name is replaced
    path.chmod(0o600)


def _keys_here(folder: Path, table: Table) -> set[str]:
    """The table's files in `folder`, as the collector names them. No symbolic link is followed."""
    top = folder / table.prefix
    if _link(folder, top):
        return set()
    return {
        key
        for base, _, names in os.walk(top)
        for name in names
        if not (path := Path(base, name)).is_symlink() and _KEY.fullmatch(key := path.relative_to(folder).as_posix())
    }


def _link(folder: Path, path: Path) -> Path | None:
    """The first symbolic link on the way from `folder` down to `path`."""
    way = [path, *path.parents]
    return next((step for step in reversed(way[: way.index(folder)]) if step.is_symlink()), None)


def _read_index(folder: Path) -> dict[str, str]:
    """ETags by key; of an index that is damaged, or not a plain file, none: its files are then downloaded again."""
    try:
        with os.fdopen(os.open(folder / ETAGS, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: etag for key, etag in pairs if isinstance(etag, str) and _KEY.fullmatch(key)}


def _write_index(folder: Path, known: Mapping[str, str]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=ETAGS, delete=False) as file:
        json.dump(known, file)
    Path(file.name).replace(folder / ETAGS)


__all__ = ["Answer", "Mirrored", "UnsafeFolder", "WrongQuery", "mirror", "run", "saved"]
