"""What a person sees: a page per video (`report`), and a page for all of it (`server`)."""
