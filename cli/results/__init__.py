"""Commands that read results: documents, exports, queries, reports."""
