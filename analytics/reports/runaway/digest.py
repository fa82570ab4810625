"""The report on runaway rules in one line, for a chat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.runaway import Finding
from analytics.reports import chat
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.runaway.wording import kind_word

LETTERS = 30
"""Of a name: the line is read on a phone."""
MOST = 3
"""Findings of a kind that are named."""
_KINDS = (("new", "new"), ("worse", "worse"), ("known", "known"), ("finding", "to know"), ("fixed", "fixed"))


def digest(
    found: Sequence[Finding],
    since: datetime,
    until: datetime,
    *,
    versions: int,
    missing_days: int = 0,
    lost_days: int = 0,
    is_compared: bool = False,
) -> str:
    """One line of plain text: what is new, worse, known and fixed, named.

    Args:
        found: The findings.
        since, until: The window, UTC.
        versions: How many versions ran; 0 where nothing is logged.
        missing_days: Days of the window that were not extracted.
        lost_days: Days of the window with partitions whose files are lost.
        is_compared: There is a last report, so what is not new is known.
    """
    parts = []
    for kind, word in _KINDS:
        own = [finding for finding in found if kind_word(finding, is_compared=is_compared) == kind]
        if own:
            more = f"; {len(own) - MOST} more" if len(own) > MOST else ""
            parts.append(f"{len(own)} {word} ({'; '.join(_short(one) for one in own[:MOST])}{more})")
    if not parts:
        held = " in what is held" if missing_days or lost_days else ""
        parts.append(f"nothing new{held}, {write.counted(versions, 'version')} ran" if versions else "nothing logged")
    if lost_days:
        parts.insert(0, f"{lost_days} {'day' if lost_days == 1 else 'days'} with lost files")
    if missing_days:
        parts.insert(0, f"{missing_days} {'day' if missing_days == 1 else 'days'} not extracted")
    return f"runaway {_window(since, until)}: {', '.join(parts)}"


def _window(since: datetime, until: datetime) -> str:
    last = until - timedelta(microseconds=1)
    if since.time() == until.time() == datetime.min.time():
        return f"{since:%Y-%m-%d}" if last.date() == since.date() else f"{since:%Y-%m-%d} – {last:%Y-%m-%d}"
    return f"{since:%Y-%m-%d %H:%M} – {until:%Y-%m-%d %H:%M}"


def _short(finding: Finding) -> str:
    key = finding.key
    if key is None:
        return f"likely a stalled event loop ×{finding.count}"
    name = f"{_name(key.strategy)} v{key.version}"
    if finding.kind == "fixed":
        return name
    times = f" ×{write.count(finding.count)}" if finding.count else ""
    if finding.what == "limit":
        return f"{name} hit cap{times}"
    if finding.what == "canary":
        return f"canary{times} {_name(realm_name(key.realm))}"
    if finding.what == "unknown":
        return f"unknown code{times} {_name(realm_name(key.realm))}"
    if finding.what == "growing" and isinstance(finding.number, Estimate) and math.isfinite(finding.number.value):
        days = finding.number
        ends = write.bounds(days.value, days.low, days.high)
        return f"{name}, cap in {write.number(days.value, days.low, days.high)} d{' ' + ends if ends else ''}"
    words = {
        "close": "close to cap",
        "program": "program near its limit" if finding.facts.get("is_close", True) else "program grows",
        "slow": "slow",
        "timeout": f"timeouts{times}",
        "growing": "growing",
        "versions": "grows by versions",
    }
    return f"{name} {words.get(finding.what, finding.what)}"


def _name(text: str) -> str:
    """An author's text that a chat shows as it is."""
    return chat.name(text, LETTERS)
