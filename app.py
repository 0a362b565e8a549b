#!/usr/bin/env python3
"""The whole story: settings from the context, one stack, checked against AWS Solutions' rules."""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.rekognition_batch import RekognitionBatch
from stacks.settings import Settings, WrongSetting

app = cdk.App()
try:
    settings = Settings.from_context(app.node.get_all_context())
except WrongSetting as wrong:
    sys.exit(f"wrong setting: {wrong}")
stack = RekognitionBatch(app, settings.stack_name, settings=settings)
cdk.Validations.of(stack).add_plugins(AwsSolutionsChecks())
app.synth()
