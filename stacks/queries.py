"""Asking the results with Athena: a table per analysis over the rows in the results bucket, a workgroup that limits
what a query may read, and saved queries. It costs nothing while no query runs.
"""

from collections.abc import Mapping

from aws_cdk import CfnOutput, Stack, aws_athena as athena, aws_glue as glue, aws_kms as kms, aws_s3 as s3
from constructs import Construct

from lambdas.model.analyses import CATALOGUE
from queries.columns import ANALYSIS, DATE, TABLES, Table, glue_type
from queries.saved import saved
from stacks.settings import Settings

# Athena assumes a partition for each day of the range: the range begins before the first possible upload.
FIRST_DAY = "2025-01-01"

PROJECTIONS: Mapping[str, Mapping[str, str]] = {
    DATE.name: {
        "type": "date",
        "range": f"{FIRST_DAY},NOW",
        "format": "yyyy-MM-dd",
        "interval": "1",
        "interval.unit": "DAYS",
    },
    ANALYSIS.name: {"type": "enum", "values": ",".join(CATALOGUE)},
}


class RekognitionBatchQueries(Stack):
    """What Athena needs to know of the results bucket. A stack of its own, since nothing else depends on it."""

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, results: s3.IBucket, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, id, description="Asks the results of RekognitionBatch with SQL, in Athena.")

        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=self.account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                # Athena's names have no capitals and no hyphens; a stack's name is the only one of its kind here.
                name=settings.stack_name.lower().replace("-", "_"),
                description="Rows of Amazon Rekognition's results, one table per analysis",
            ),
        )
        for table in TABLES:
            self._table(table, database, results)

        workgroup = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=settings.stack_name,
            description=f"Reads at most {settings.query_scan_limit_gb} GB a query",
            recursive_delete_option=True,  # with its history and saved queries; answers stay in the bucket, and expire
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                bytes_scanned_cutoff_per_query=settings.query_scan_limit_gb * 1_000_000_000,
                publish_cloud_watch_metrics_enabled=False,  # they cost, and the console shows each query's own
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{results.bucket_name}/queries/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS" if key else "SSE_S3", kms_key=key.key_arn if key else None
                    ),
                ),
            ),
        )
        for query in saved().values():
            named = athena.CfnNamedQuery(
                self,
                "".join(word.capitalize() for word in query.name.split("-")),
                name=query.title,
                description=query.answers,
                database=database.ref,
                work_group=workgroup.name,
                query_string=query.text,
            )
            named.add_resource_dependency(workgroup)

        CfnOutput(self, "QueryDatabase", value=database.ref)
        CfnOutput(self, "QueryWorkgroup", value=workgroup.name)

    def _table(self, table: Table, database: glue.CfnDatabase, results: s3.IBucket) -> None:
        location = f"s3://{results.bucket_name}/{table.prefix}"
        partition = table.partition
        glue.CfnTable(
            self,
            "".join(word.capitalize() for word in table.name.split("_")),
            catalog_id=self.account,
            database_name=database.ref,
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                table_type="EXTERNAL_TABLE",
                partition_keys=[
                    glue.CfnTable.ColumnProperty(
                        name=partition.name, type=glue_type(partition.type), comment=partition.text
                    )
                ],
                parameters={
                    "classification": "json",
                    "projection.enabled": "true",
                    "storage.location.template": f"{location}/{partition.name}=${{{partition.name}}}",
                    **{
                        f"projection.{partition.name}.{name}": value
                        for name, value in PROJECTIONS[partition.name].items()
                    },
                },
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=f"{location}/",
                    columns=[
                        glue.CfnTable.ColumnProperty(name=column.name, type=glue_type(column.type), comment=column.text)
                        for column in table.columns
                    ],
                    input_format="org.apache.hadoop.mapred.TextInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.openx.data.jsonserde.JsonSerDe"
                    ),
                ),
            ),
        )
