"""AWS in a few hundred lines and in memory: exactly the calls that the handlers make, for long runs in virtual time.

moto answers far more, and takes milliseconds and whole-table scans for it; ten thousand videos or histories want
microseconds. ``tests/histories`` runs the same histories on both and compares what is left behind, so this can't drift.
A call that no handler makes is refused.
"""
