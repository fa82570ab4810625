"""Which rule or which field a run's time goes to."""
