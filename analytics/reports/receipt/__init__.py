"""The page and the text of one run explained."""
