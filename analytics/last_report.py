"""Which report came before this one: the same report on the same lake and tenants, over a window of the same length."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics import shapes
from analytics.errors import UsageError
from analytics.findings import previous
from analytics.window import Window

_DAYS = re.compile(r"(?:^|_)\d{4}-\d{2}-\d{2}_(\d{4}-\d{2}-\d{2})_[0-9a-f]{8}$")
ELSEWHERE = ("lake", "since", "until", "counters", "previous", "engine", "gathered")
"""Parameters that say where things are, and the time."""
_SAME_LENGTH = 0.1
"""Months differ by a tenth; a day and a week are not the same report."""


def scope(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a report is about, apart from its time: kept in ``summary.json``, so that the next one knows its predecessor.

    Thresholds belong to it: under another cap other things are findings, and what is not found is not fixed.
    """
    lake = hashlib.sha256(str(values["lake"]).encode()).hexdigest()[:8]
    return {"name": name, "lake": lake, **{key: value for key, value in values.items() if key not in ELSEWHERE}}


def find_last(out: Path, prefix: str, about: Mapping[str, Any], window: Window) -> Path | None:
    """The ``summary.json`` of the report before; None when there is none.

    Args:
        out: Folder of rendered reports.
        prefix: What its folder's name begins with.
        about: Its ``scope``.
        window: The window of the new report. The last one began before it, and ended no later.
    """
    dated = [(match[1], folder) for folder in out.glob(f"{prefix}*") if (match := _DAYS.search(folder.name))]
    best: tuple[datetime, Path] | None = None
    for day, folder in sorted(dated, reverse=True):
        if best is not None and day < best[0].date().isoformat():
            break  # older by its name: need not be opened
        path = folder / "summary.json"
        until = _until(path, about, window)
        if until is not None and (best is None or until > best[0]):
            best = until, path
    return best[1] if best else None


def _until(path: Path, about: Mapping[str, Any], window: Window) -> datetime | None:
    """The end of a report's window; None where it cannot be the last one before another window.

    A file that was half-written or edited by hand is none: it must not stop every later report.
    """
    try:
        told = shapes.document(path.read_text(encoding="utf-8"))
        if told["scope"] != dict(about):
            return None
        last = previous.read(path)
    except (OSError, UsageError, *shapes.WRONG):
        return None
    if last.since >= window.since or last.until > window.until:
        return None
    length = window.until - window.since
    return last.until if abs((last.until - last.since) - length) <= _SAME_LENGTH * length else None
