"""The extraction against servers that people have: versions, TLS, poolers, standbys, replicas, other shapes and settings."""
