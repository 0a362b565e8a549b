"""Generated histories: the real handlers meet everything AWS and people may do to them, and nine promises must hold."""
