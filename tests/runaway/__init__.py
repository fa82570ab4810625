"""Fleets with one thing gone wrong each: what every run needed is known, logged or not, and so is what a report should say of it.

programs   the rule programs and the fields of their events
fleet      the nouns: who runs, what goes wrong, what should be found
stories    runs that a limit stops, and who is heading there
oddities   the same with hostile names, odd rows, clocks and cuts
engine     runs the programs, samples the log, keeps the truth
world      a story's log in PostgreSQL, extracted into a lake of its own
judge      a report's facts against the truth
"""
