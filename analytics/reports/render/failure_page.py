"""What is published when a report fails: a page that says what happened, and the half-run notebook."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from analytics.errors import AnalyticsError
from analytics.reports import page
from analytics.reports.leak_gate import Forbidden, clean_text, is_clean
from analytics.reports.page import number as write
from analytics.reports.render.publish_folder import put_in_place, staging
from analytics.reports.schedule import cards
from analytics.reports.schedule.cards import FAILED, Card

_BARE = "{}: its words are not shown, for they may hold what readers of this page must not see"
_LOG = "read them in the log of the run that made this page, or render it by hand: strategy-analytics report says them"


def publish(
    target: Path, card: Card, error: AnalyticsError, half_run: Path | None = None, forbidden: Forbidden | None = None
) -> Path:
    """Put the error's page beside where the report would lie; a good one that lies there stays.

    It is searched as a report is. What may not be read in it is left out, and that is said: the words of the error, the
    half-run notebook. It is never left out itself.

    Args:
        target: Where the report would lie.
        card: What is known of it.
        error: What happened.
        half_run: The notebook as far as it came.
        forbidden: What may not be in it; where nobody can tell, the page says no words but its own.

    Returns:
        The page.
    """
    with staging(target.parent) as made:
        if forbidden is None or not _is_told(made, target, card, error, half_run, forbidden):
            _write(made, target, replace(card, state="failed", verdict=_BARE.format(type(error).__name__), hint=_LOG))
        kept = target.with_name(target.name + FAILED)
        put_in_place(made, kept)
    return kept / "error.html"


def _is_told(
    made: Path, target: Path, card: Card, error: AnalyticsError, half_run: Path | None, forbidden: Forbidden
) -> bool:
    """Write what happened in the error's own words, as far as they may be read; False where they may not."""
    notebook = made / "report.ipynb"
    try:
        verdict, hint = clean_text(error.message, forbidden), clean_text(error.hint, forbidden)
        if half_run is not None and half_run.is_file() and is_clean(half_run, forbidden):
            shutil.copyfile(half_run, notebook)
        is_withheld = half_run is not None and half_run.is_file() and not notebook.is_file()
        _write(made, target, replace(card, state="failed", verdict=verdict, hint=hint), is_withheld=is_withheld)
        is_told = all(is_clean(path, forbidden) for path in made.iterdir())
    except (AnalyticsError, MemoryError):  # the lake that would say who must not be named cannot be read
        is_told = False
    if not is_told:
        notebook.unlink(missing_ok=True)
    return is_told


def _write(made: Path, target: Path, card: Card, *, is_withheld: bool = False) -> None:
    html = _page(card, target, has_notebook=(made / "report.ipynb").is_file(), is_withheld=is_withheld)
    (made / "error.html").write_text(html, encoding="utf-8")
    cards.write(card, made)


def _page(card: Card, target: Path, *, has_notebook: bool, is_withheld: bool) -> str:
    last = cards.read(target)
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
    if is_withheld:
        lines.append(("As far as it came", "Its notebook is not kept: it holds what may not be read here."))
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
