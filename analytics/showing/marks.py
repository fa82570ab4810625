"""Realms and days of a lake in a terminal: a mark for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from analytics.page.text import shorten, visible
from analytics.status import Cell
from analytics.stories import realm_name

MARKS: Mapping[str, str] = {
    "complete": "●",
    "empty": "–",
    "partial": "◐",
    "missing": "·",
    "stale": "!",
    "expired": "×",  # a cross is meant
}
_LETTERS = 40


def label(realm: str | None) -> str:
    """A tenant's name for one line of a terminal."""
    return shorten(visible(realm_name(realm)), _LETTERS)


def lines(cells: Iterable[Cell], days: Sequence[date]) -> list[str]:
    """A heading with the days, and a line for each realm of the cells; the number of its logged runs at the end."""
    by_realm: dict[str | None, dict[date | None, Cell]] = {}
    for cell in cells:
        by_realm.setdefault(cell.realm, {})[cell.day] = cell
    names = {realm: label(realm) for realm in by_realm}
    width = max(map(len, names.values()), default=0)
    told = [f"{'':{width}}  " + " ".join(f"{day:%d}" for day in days) + f"   {days[0]} to {days[-1]}" if days else ""]
    for realm, own in by_realm.items():
        marks = " ".join(f"{MARKS[own[day].state] if day in own else ' ':>2}" for day in days)
        told.append(
            f"{names[realm]:{width}}  {marks}   {sum(cell.logged_count for cell in own.values()):,} logged runs"
        )
    return told


def key() -> str:
    """What the marks mean."""
    return "   ".join(f"{mark} {state}" for state, mark in MARKS.items())
