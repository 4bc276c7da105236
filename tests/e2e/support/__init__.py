"""The processes, wire helpers and test files that the end-to-end tests share."""
