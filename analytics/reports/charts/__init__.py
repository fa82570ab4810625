"""Frames to pictures: pure functions, one file per picture, matplotlib loaded only when something is drawn."""

from analytics.reports.charts.day_differences import day_differences
from analytics.reports.charts.distributions import density, exceedance
from analytics.reports.charts.failures import MOST_MARKS, cases, failure_strip
from analytics.reports.charts.flow import flow
from analytics.reports.charts.growth import growth
from analytics.reports.charts.icicle import icicle
from analytics.reports.charts.sweep import sweep
from analytics.reports.charts.theme import inline_svg, responsive
from analytics.reports.charts.time_split import time_split
from analytics.reports.charts.timeline import timeline

__all__ = [
    "MOST_MARKS",
    "cases",
    "day_differences",
    "density",
    "exceedance",
    "failure_strip",
    "flow",
    "growth",
    "icicle",
    "inline_svg",
    "responsive",
    "sweep",
    "time_split",
    "timeline",
]
