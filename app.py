#!/usr/bin/env python3
"""The whole story: settings from the context, a stack that does the work, one to ask its results with and, if wanted,
one with a key for both; all checked against AWS Solutions' rules."""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.encryption import RekognitionBatchKey
from stacks.queries import RekognitionBatchQueries
from stacks.rekognition_batch import RekognitionBatch
from stacks.settings import Settings, WrongSetting

app = cdk.App()
try:
    settings = Settings.from_context(app.node.get_all_context())
except WrongSetting as wrong:
    sys.exit(f"wrong setting: {wrong}")
name = settings.stack_name
lock = RekognitionBatchKey(app, f"{name}Key", settings=settings) if settings.customer_managed_key else None
work = RekognitionBatch(app, name, settings=settings, lock=lock)
ask = RekognitionBatchQueries(app, f"{name}Queries", settings=settings, results=work.results, key=work.key)
for stack in filter(None, (lock, work, ask)):
    cdk.Validations.of(stack).add_plugins(AwsSolutionsChecks())
app.synth()
