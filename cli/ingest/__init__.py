"""Putting videos in: upload, backfill, estimate."""
