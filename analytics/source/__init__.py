"""The engine's PostgreSQL as this package reads it: connection, what may be seen, one snapshot, up to when it is complete."""
