"""The lake as tables: DuckDB over its files, views, checks, coverage, shares of a question, Spark."""
