"""What runs in AWS: two handlers and the small modules they share. Imports nothing else of this project.

start_analysis   a video landed, a slot came free, a minute passed   -> starting, line
collect_results  a job finished                                      -> collecting, results
"""
