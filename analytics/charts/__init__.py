"""Frames to pictures: pure functions, one file per picture, matplotlib loaded only when something is drawn."""

from analytics.charts.cases import cases
from analytics.charts.density import density
from analytics.charts.exceedance import exceedance
from analytics.charts.failures import MOST_MARKS, failure_strip
from analytics.charts.growth import growth
from analytics.charts.icicle import icicle
from analytics.charts.svg import inline_svg, responsive
from analytics.charts.time_split import time_split
from analytics.charts.timeline import timeline

__all__ = [
    "MOST_MARKS",
    "cases",
    "density",
    "exceedance",
    "failure_strip",
    "growth",
    "icicle",
    "inline_svg",
    "responsive",
    "time_split",
    "timeline",
]
