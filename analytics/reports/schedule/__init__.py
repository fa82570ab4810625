"""Scheduled reports: definitions, what is due, running them, the archive of pages and its index."""
