"""A lake of planted stories: what happened to a strategy is known for every run, logged or not, and so is what it should have paid.

story          the noun: what happens, what is true, what may be said
programs       the rule programs and the fields of their events
stories        what happens to each, and what a post-mortem should find
trips          programs and events that change with the hour, the day, or from a moment on
wrapped        built-ins and programs around them
causes         what a version does, with its cause; a version that does nothing
circumstances  what happens around a version: inputs, the built-in, failures
rivals         two strategies of one tenant side by side
tried          every version of a family, ready to be tried on any event
engine         runs the programs, samples the log, keeps the truth
world          the log in PostgreSQL, extracted into a lake
"""
