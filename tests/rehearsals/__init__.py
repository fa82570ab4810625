"""Drafts of ten kinds, rehearsed on a sampled log and judged by what they pay for every run of the population."""
