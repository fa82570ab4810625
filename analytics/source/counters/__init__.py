"""The engine's counters: from Prometheus or from files, series, increases, replicas."""
