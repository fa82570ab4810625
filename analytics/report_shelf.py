"""The folder of reports as a whole: its index, the links between neighbours, and what is kept."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from analytics import page, report_cards
from analytics.page import number as write
from analytics.report_cards import Card
from analytics.report_folders import remove, sweep, turn
from analytics.stories import report_index
from analytics.window import ONE_DAY, midnight

HOME = "../index.html"
"""The index, seen from a report."""


def refresh(out: Path, changed: Collection[str] = ()) -> None:
    """Make the index anew, and the links from one report to the next.

    Args:
        out: Folder of reports.
        changed: Names of folders that came or changed.
    """
    with turn(out):
        cards = report_cards.shelf(out)
        _link(out, cards, changed)
        _write(out / "index.html", report_index.document(cards, made_at=datetime.now(UTC)))


def expire(out: Path, name: str, keep_days: int, today: date) -> list[str]:
    """Remove scheduled renderings of one report whose window ended too long ago.

    The last good one of a report on a tenant stays, however old; so does what was asked for by hand.

    Args:
        out: Folder of reports.
        name: Of the report.
        keep_days: For how long; 0 for ever.
        today: From when to count back.

    Returns:
        The folders that are gone.
    """
    if not keep_days:
        return []
    limit = midnight(today - keep_days * ONE_DAY)
    with turn(out):
        sweep(out)
        cards = [card for card in report_cards.shelf(out) if card.name == name and card.every]
        last = {card.row: card.folder for card in cards if not card.is_failed}
        old = [card.folder for card in cards if card.until < limit and last.get(card.row) != card.folder]
        for folder in old:
            remove(out / folder)
    if old:
        gone = set(old)
        rows = {card.row for card in cards if card.folder in gone}
        oldest = {card.row: card.folder for card in reversed(cards) if card.folder not in gone and not card.is_failed}
        refresh(out, {folder for row, folder in oldest.items() if row in rows})
    return old


def _link(out: Path, cards: Sequence[Card], changed: Collection[str]) -> None:
    rows: defaultdict[tuple[object, ...], list[Card]] = defaultdict(list)
    for card in cards:
        if not card.is_failed:
            rows[card.row].append(card)
    for row in rows.values():
        touched = {at for at, card in enumerate(row) if card.folder in changed}
        for at in sorted({near for place in touched for near in (place - 1, place, place + 1) if 0 <= near < len(row)}):
            before = row[at - 1] if at else None
            after = row[at + 1] if at + 1 < len(row) else None
            path = out / row[at].folder / "report.html"
            with contextlib.suppress(FileNotFoundError, ValueError):  # a page of another making has no place for them
                html = path.read_text(encoding="utf-8")
                linked = page.with_neighbours(html, _neighbour(before, "← {}"), _neighbour(after, "{} →"))
                if linked != html:
                    _write(path, linked)


def _neighbour(card: Card | None, label: str) -> tuple[str, str] | None:
    return (f"../{card.folder}/report.html", label.format(write.day(card.day))) if card else None


def _write(path: Path, text: str) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)
