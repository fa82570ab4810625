"""Failures of strategies and rows that are missing: since when, how many, and whether a cause is known."""
