"""The code that runs in AWS: two handlers and the modules they share. It imports nothing else of this project.

start_analysis   an upload, a job's end, the minute tick   -> logic/enqueue.py, logic/scheduler.py
collect_results  a job that finished                      -> logic/collector.py, logic/results.py
"""
