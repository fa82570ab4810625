"""The post-mortem page."""
