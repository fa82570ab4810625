"""A lake of planted stories: what happened to a strategy is known for every run, logged or not, and so is what it should have paid.

programs   the rule programs and the fields of their events
stories    what happens to each, and what a post-mortem should find
engine     runs the programs, samples the log, keeps the truth
world      the log in PostgreSQL, extracted into a lake
"""
