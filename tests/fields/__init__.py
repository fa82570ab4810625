"""Fleets whose costs are known, to see whether the split of time finds them."""
