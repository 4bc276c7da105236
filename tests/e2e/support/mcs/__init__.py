"""The Matrix Content Scanner beside Lazaret: what both are asked, and where their answers may differ."""
