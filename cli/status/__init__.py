"""Seeing how far it is: jobs, blocks, quota."""
