"""What it costs and how fast it is, beside what a user would do otherwise. Each bench is a command of the Makefile."""
