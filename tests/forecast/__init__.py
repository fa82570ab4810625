"""Do forecasts hold what they promise? Simulated growth whose day at the cap is known."""
