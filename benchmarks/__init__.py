"""Side by side with what people use today. Results are ratios against a peer in the same run, never times alone."""
