"""One module per service: AWS's calls and answers, as values and errors."""
