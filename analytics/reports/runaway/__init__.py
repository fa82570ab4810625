"""The page of runaway rules."""
