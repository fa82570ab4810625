"""Is a silent log told from a quiet one? Simulated arrivals of logged rows, with and without lost stretches."""
