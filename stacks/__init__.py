"""What exists in AWS, in the order data flows. ``settings`` is the one thing an operator tunes."""
