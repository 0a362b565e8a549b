"""Commands for operators: doctor, pause, retry, redrive, delete."""
