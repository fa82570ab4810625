"""Do the intervals hold what they promise? Simulated logs whose truth is known, for every estimator."""
