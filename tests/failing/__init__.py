"""Failures made of chance: how often steady failures are called an incident, and how often a real one is found."""
