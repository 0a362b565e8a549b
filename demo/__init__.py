"""``make demo``: drop a video, see its faces, on this machine alone."""
