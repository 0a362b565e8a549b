"""Reading what was found: documents, exports, queries, reports."""
