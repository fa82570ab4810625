"""Strategies that grow: ranking, stops by the cap, trends, days and versions to go."""
