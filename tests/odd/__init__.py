"""Small lakes of every oddity a log can hold, and reports of them."""
