#!/usr/bin/env python3
"""The whole story: settings from the context, a stack that does the work and one to ask its results with, both checked
against AWS Solutions' rules."""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.queries import RekognitionBatchQueries
from stacks.rekognition_batch import RekognitionBatch
from stacks.settings import Settings, WrongSetting

app = cdk.App()
try:
    settings = Settings.from_context(app.node.get_all_context())
except WrongSetting as wrong:
    sys.exit(f"wrong setting: {wrong}")
work = RekognitionBatch(app, settings.stack_name, settings=settings)
ask = RekognitionBatchQueries(
    app, f"{settings.stack_name}Queries", settings=settings, results=work.results, key=work.key
)
for stack in (work, ask):
    cdk.Validations.of(stack).add_plugins(AwsSolutionsChecks())
app.synth()
