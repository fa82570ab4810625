"""A week of the package's life in some minutes: hours of a log arrive, the real commands run, things happen, a reader checks."""
