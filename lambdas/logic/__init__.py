"""What decides: enqueueing, starting, polling, collecting."""
