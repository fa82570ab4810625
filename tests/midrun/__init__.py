"""Changes of the source in the middle of an extraction."""
