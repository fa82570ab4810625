"""One run explained step by step, and the same run under another program."""
