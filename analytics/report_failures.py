"""What is published when a report fails: a page that says what happened, and the half-run notebook."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from analytics import page, report_cards
from analytics.errors import AnalyticsError
from analytics.page import number as write
from analytics.report_cards import FAILED, Card
from analytics.report_folders import put_in_place, staging


def publish(target: Path, card: Card, error: AnalyticsError, half_run: Path | None = None) -> Path:
    """Put the error's page beside where the report would lie; a good one that lies there stays.

    Args:
        target: Where the report would lie.
        card: What is known of it.
        error: What happened.
        half_run: The notebook as far as it came.

    Returns:
        The page.
    """
    card = replace(card, state="failed", verdict=error.message, hint=error.hint)
    with staging(target.parent) as made:
        has_notebook = half_run is not None and half_run.is_file()
        if half_run is not None and has_notebook:
            shutil.copyfile(half_run, made / "report.ipynb")
        (made / "error.html").write_text(_page(card, target, has_notebook), encoding="utf-8")
        report_cards.write(card, made)
        kept = target.with_name(target.name + FAILED)
        put_in_place(made, kept)
    return kept / "error.html"


def _page(card: Card, target: Path, has_notebook: bool) -> str:
    last = report_cards.read(target)
    lines: list[tuple[str, page.Markup | str]] = [
        ("What happened", page.mono(card.verdict)),
        ("What repairs it", card.hint or "Nothing is known that would."),
        ("Window, UTC", f"{write.when(card.since)} – {write.when(card.until)}"),
    ]
    if card.is_scoped:
        lines.append(("Realm", page.author(card.realm) if card.realm is not None else "(no realm)"))
    if card.family:
        lines.append(("Strategy", page.author(card.family)))
    if has_notebook:
        lines.append(("As far as it came", page.link("report.ipynb", "report.ipynb")))
    if last is not None:
        told = f"made {write.when(last.made_at)}"
        lines.append(("The last good one of this window", page.link(f"../{target.name}/report.html", told)))
    title = f"{card.title}, {write.day(card.day)}: the report failed"
    head = page.head(
        ["Tried ", page.strong(write.when(card.made_at)), ", UTC"],
        [page.finding("This report failed"), f": {card.title}, {write.day(card.day)}."],
        "Nothing was replaced. It is tried again with the next run." if card.every else "Nothing was replaced.",
        "worse",
    )
    return page.document(
        title, [block.in_page for block in (head, page.facts(lines))], nav=[("../index.html", "Reports")]
    )
