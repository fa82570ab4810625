"""Is the verdict ever wrong? Every planted story, drawn again and again at several sampling rates, and what is said of it.

truths   what is true of a drawn log, from every run, logged or not
judge    one summary against its story: right, cannot tell, silent, wrong, acquitted, a false alarm
seeds    one seed: simulated once, logged at each rate, asked
table    the page
"""
