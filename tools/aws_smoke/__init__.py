"""What AWS does, beside what the local cloud does: for people who have an account. `make aws-smoke`, docs/aws-smoke.md.

    scenarios.py   the list: each arranges something, acts, and observes what came of it
    expected.json  what the same scenarios observe in the local cloud (a test keeps it true)
    bed.py         the second copy of the stack, and what else a run needs; what was seen of jobs and messages
    account.py     clients, and the register of all that was made, so that all of it can be removed
    report.py      the comparison, the open questions, Markdown and JSON
    cost.py        what a run costs, said before it starts
    clips.py       the videos

Nothing here knows whether it talks to AWS or to the local cloud: the endpoint comes from the environment.
"""
