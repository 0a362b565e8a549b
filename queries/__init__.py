"""Asking the results: saved queries (``*.sql``), and a way to run them, or one's own, on this machine."""
