"""Programs tried on recorded runs: inputs told from traces, replays, pairs of versions."""
