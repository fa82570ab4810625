"""A random walk of a source, and a lake that follows it."""
