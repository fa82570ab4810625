"""Is this deployment well? Checks of server, log, volume and retention, each with its repair."""
