"""Values and pure decisions: no clients, nothing of AWS's libraries."""
