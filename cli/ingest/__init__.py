"""Commands that put videos in: upload, backfill, estimate."""
