"""Answers as data, no pictures: what happened, since when, what changed, and why one run paid what it paid."""
