"""An extraction as tests write it: its options as words, those that are not the point left at their defaults."""

from __future__ import annotations

from typing import Any

from analytics.extraction import job
from analytics.extraction.plan import ExtractOptions
from analytics.lake.lake import Lake
from analytics.model import ExtractResult
from analytics.window import Window


def extract(url: str, lake: Lake, window: Window, **options: Any) -> ExtractResult:
    """Make the lake equal to the source for a window, see ``analytics.extraction.job``."""
    return job.extract(url, lake, window, ExtractOptions(**options))
