"""What a gamification engine's sampled execution log really says.

>>> import analytics
>>> lake = analytics.open_lake()
>>> lake.sql("from strategy_days")

What extracts, reports and explains is one call here. Names are loaded when they are first used, so the import itself is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from analytics.version import __version__ as __version__

if TYPE_CHECKING:
    from analytics.api import (
        add_finding,
        explain,
        extract,
        gather,
        open_lake,
        post_mortem,
        rehearsal,
        render,
        runaway_rules,
        sampling_audit,
        sweep,
    )
    from analytics.errors import AnalyticsError
    from analytics.warehouse.warehouse import Warehouse
    from analytics.window import Window

_HOMES = {
    "AnalyticsError": "analytics.errors",
    "Warehouse": "analytics.warehouse.warehouse",
    "Window": "analytics.window",
    "add_finding": "analytics.api",
    "explain": "analytics.api",
    "extract": "analytics.api",
    "gather": "analytics.api",
    "open_lake": "analytics.api",
    "post_mortem": "analytics.api",
    "rehearsal": "analytics.api",
    "render": "analytics.api",
    "runaway_rules": "analytics.api",
    "sampling_audit": "analytics.api",
    "sweep": "analytics.api",
}
_MODULES = {
    "charts": "analytics.reports.explore.lake_charts",
    "page": "analytics.reports.page",
    "spark": "analytics.warehouse.spark",
}
"""What notebooks and jobs of others import from here; they need not know the room."""

__all__ = [
    "AnalyticsError",
    "Warehouse",
    "Window",
    "add_finding",
    "explain",
    "extract",
    "gather",
    "open_lake",
    "post_mortem",
    "rehearsal",
    "render",
    "runaway_rules",
    "sampling_audit",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'analytics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
