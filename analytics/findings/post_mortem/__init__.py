"""What moved points: search of a window, versions and their trials, groups, baselines."""
