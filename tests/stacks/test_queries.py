"""The stack that asks the results: every column where Athena looks for it, every saved query, and limits."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from lambdas.logic.results import job_row_key, rows_key
from lambdas.model.events import Upload
from lambdas.model.job import new_job
from queries.columns import TABLES, glue_type
from queries.saved import saved
from stacks.queries import RekognitionBatchQueries
from tests.stacks import conftest

ROOT = Path(__file__).parent.parent.parent


def synthesized(**given: Any) -> Template:
    return conftest.synthesized(of=RekognitionBatchQueries, **given)


def tables() -> dict[str, dict[str, Any]]:
    found = synthesized().find_resources("AWS::Glue::Table").values()
    return {table["Properties"]["TableInput"]["Name"]: table["Properties"]["TableInput"] for table in found}


def path(text: Any) -> str:
    """An address in the results bucket, without the bucket."""
    return "".join(part for part in text["Fn::Join"][1] if isinstance(part, str)).removeprefix("s3://").lstrip("/")


def test_each_table_has_the_columns_that_the_rows_have() -> None:
    assert set(tables()) == {table.name for table in TABLES}
    for table in TABLES:
        columns = tables()[table.name]["StorageDescriptor"]["Columns"]
        assert [(column["Name"], column["Type"]) for column in columns] == [
            (column.name, glue_type(column.type)) for column in table.columns
        ]
        assert [key["Name"] for key in tables()[table.name]["PartitionKeys"]] == [table.partition.name]


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_athena_looks_where_the_collector_writes(table) -> None:
    analysis = "label-detection" if table.name == "jobs" else table.name.replace("_", "-")
    job = new_job(Upload("b", "k", "e", 1, "2026-11-22T23:57:20.123Z"), analysis, {}, 0)
    written = job_row_key(job) if table.name == "jobs" else rows_key(job)

    template = path(tables()[table.name]["Parameters"]["storage.location.template"])
    folder = template.replace("${date}", "2026-11-22").replace("${analysis}", analysis)

    assert written.startswith(f"{folder}/")
    assert "/" not in written.removeprefix(f"{folder}/")
    assert path(tables()[table.name]["StorageDescriptor"]["Location"]) == f"{table.prefix}/"


def test_days_are_projected_so_that_nobody_has_to_add_partitions() -> None:
    parameters = tables()["label_detection"]["Parameters"]

    assert parameters["projection.enabled"] == "true"
    assert parameters["projection.date.type"] == "date"
    assert parameters["projection.date.range"].endswith(",NOW")


def test_the_workgroup_limits_and_encrypts_whoever_asks() -> None:
    synthesized().has_resource_properties(
        "AWS::Athena::WorkGroup",
        {
            "Name": "RekognitionBatch",
            "WorkGroupConfiguration": {
                "EnforceWorkGroupConfiguration": True,
                "BytesScannedCutoffPerQuery": 10_000_000_000,
                "ResultConfiguration": {"EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}},
            },
        },
    )


def test_the_settings_reach_the_workgroup() -> None:
    template = synthesized(stack_name="Our-Second", query_scan_limit_gb="2", customer_managed_key="true")

    template.has_resource_properties(
        "AWS::Athena::WorkGroup",
        {
            "Name": "Our-Second",
            "WorkGroupConfiguration": Match.object_like(
                {
                    "BytesScannedCutoffPerQuery": 2_000_000_000,
                    "ResultConfiguration": Match.object_like(
                        {"EncryptionConfiguration": Match.object_like({"EncryptionOption": "SSE_KMS"})}
                    ),
                }
            ),
        },
    )
    template.has_resource_properties("AWS::Glue::Database", {"DatabaseInput": {"Name": "our_second"}})


def test_every_saved_query_is_there_whole_and_in_our_workgroup() -> None:
    found = [query["Properties"] for query in synthesized().find_resources("AWS::Athena::NamedQuery").values()]

    assert {query["Name"]: query["QueryString"] for query in found} == {q.title: q.text for q in saved().values()}
    assert {query["WorkGroup"] for query in found} == {"RekognitionBatch"}


def test_answers_expire_and_rows_do_not() -> None:
    buckets = conftest.synthesized().find_resources("AWS::S3::Bucket")

    rules = [rule for b in buckets.values() for rule in b["Properties"]["LifecycleConfiguration"]["Rules"]]
    expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}

    assert expiring == {"collecting/": 8, "converted/": 14, "queries/": 30}


def test_nothing_of_it_runs_while_nobody_asks() -> None:
    kinds = {resource["Type"] for resource in synthesized().to_json()["Resources"].values()}

    assert kinds - {"AWS::CDK::Metadata"} == {
        "AWS::Glue::Database",
        "AWS::Glue::Table",
        "AWS::Athena::WorkGroup",
        "AWS::Athena::NamedQuery",
    }


def test_the_names_are_ones_that_athena_takes() -> None:
    for name, table in tables().items():
        assert re.fullmatch("[a-z0-9_]+", name)
        for column in table["StorageDescriptor"]["Columns"]:
            assert re.fullmatch("[a-z0-9_]+", column["Name"])
            assert len(column["Comment"]) <= 255


def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "queries.template.json").write_text(json.dumps(synthesized().to_json()))

    done = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), str(tmp_path / "queries.template.json")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert done.returncode == 0, done.stdout
