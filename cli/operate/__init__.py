"""Keeping it running: doctor, pause, retry, redrive, delete."""
