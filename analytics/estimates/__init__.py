"""Statistics of a sample: estimators, intervals, comparisons and sampling rates. Pure: no lake, no server, no page."""
