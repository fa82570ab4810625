"""The folder of reports as a whole: its index page, the links between neighbours, and what is kept."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.lake.repair import extraction
from analytics.reports import missing_days, page
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.render.publish_folder import remove, sweep, turn
from analytics.reports.schedule import cards as report_cards
from analytics.reports.schedule.cards import STATES, Card
from analytics.reports.schedule.definition import is_due
from analytics.window import ONE_DAY, midnight

DAYS = 21
_MOST_QUIET_ROWS = 40
"""Of one report; with more, the quiet ones are folded away."""
_MOST_POST_MORTEMS = 30
_WORDS = (("new", page.finding), ("worse", page.worse), ("finding", page.strong), ("fixed", page.fixed))


def index_document(cards: Sequence[Card], *, made_at: datetime) -> str:
    """The page.

    Args:
        cards: Of everything on the shelf, by the end of its window.
        made_at: UTC; the page says it once.
    """
    if not cards:
        blocks = [
            page.head("Reports", "No report has been made yet.", "strategy-analytics report run reports/…", "worse")
        ]
        return page.document("Reports", [block.in_page for block in blocks], footer=_footer(made_at))
    newest = max(card.day for card in cards)
    blocks = [page.head(_kick(cards, newest), _title(cards, newest, made_at))]
    blocks += [page.banner(words) for words in [*_banners(cards), *_blind(cards, newest, made_at)]]
    blocks.append(_calendar(cards, newest))
    if table := _post_mortems(cards):
        blocks.append(table)
    return page.document("Reports", [block.in_page for block in blocks], footer=_footer(made_at))


def _footer(made_at: datetime) -> str:
    made = f"Made by strategy-analytics, {made_at:%Y-%m-%d %H:%M:%S} UTC."
    return f"{made} Scheduled renderings are kept for as long as their definition says."


def _kick(cards: Sequence[Card], newest: date) -> page.Markup:
    realms = {card.realm for card in cards if card.is_scoped}
    named = len(realms - {None})
    parts = ["Reports"]
    # Or the words after it would say of how many realms there are.
    together = "all realms together, " if realms and not all(card.is_scoped for card in cards) else ""
    if named:
        which = f"{named} realm{'s' * (named != 1)}{' and runs without one' if None in realms else ''}"
        parts.append(f"{together}{which}{' by itself' * (bool(together) and len(realms) == 1)}")
    elif together:
        parts.append(f"{together}runs without one by themselves")
    day = page.strong(write.day(newest, long=True, year=True))
    return page.inline([" · ".join(parts), " · newest day ", day, ", UTC", _next(cards, newest)])


def _title(cards: Sequence[Card], newest: date, made_at: datetime) -> page.Markup:
    """The newest day in a sentence. A finding that a report on all tenants has is not counted again for its tenant."""
    today = _current([card for card in cards if card.day == newest])
    told = [card for card in today if not card.is_failed]
    broad = {card.name for card in told if not card.is_scoped}
    counted = [card for card in told if not card.is_scoped or card.name not in broad]
    parts = []
    for kind, colour in _WORDS:
        those = [card for card in counted if card.counts.get(kind)]
        if those:
            count = sum(card.counts[kind] for card in those)
            parts.append(page.link(those[0].page, colour(f"{count} {'known' if kind == 'finding' else kind}")))
    blind = [card for card in told if card.state == report_cards.NO_DATA]
    said: list[Any] = [f"{newest.day} {write.day(newest).split()[-1]}: "]
    nothing = "no report" if not told else "nothing can be told" if len(blind) == len(told) else "nothing new"
    said += [[", " if place else "", part] for place, part in enumerate(parts)] or [nothing]
    said.append(".")
    if gone := sum(bool(report_cards.days_wanted(card, made_at)[0]) for card in blind):
        said.append(
            f" {_counted(gone, 'report has', 'reports have')} days that were not extracted, or lost files since."
        )
    if ahead := len(blind) - gone:
        said.append(f" {_counted(ahead, 'report is', 'reports are')} about days still to come.")
    failed = sum(card.is_failed for card in today)
    if failed:
        said.append(f" {_counted(failed, 'report', 'reports')} failed.")
    return page.inline(said)


def _counted(count: int, one: str, many: str) -> str:
    return f"One {one}" if count == 1 else f"{count} {many}"


def _next(cards: Sequence[Card], newest: date) -> str | None:
    """When to worry that nothing new appears: a page on a disk does not know what day it is read."""
    if not any(card.every == "day" for card in cards):
        return None
    return f" · the next is due on {write.day(newest + 2 * ONE_DAY)}; if that day is over, reports have stopped"


def _current(cards: Sequence[Card]) -> list[Card]:
    """Of each report and day the one that counts: a failure stands until the report was made again, else the newest one."""
    found: dict[Any, Card] = {}
    for card in sorted(cards, key=lambda card: (card.is_failed, card.made_at)):
        found[card.row, card.day] = card
    return list(found.values())


def _banners(cards: Sequence[Card]) -> list[page.Markup]:
    """Reports of which the newest day failed, and how old the last good one is."""
    rows: defaultdict[Any, list[Card]] = defaultdict(list)
    for card in _current(cards):
        rows[card.row].append(card)
    said = []
    for row in rows.values():
        last = max(row, key=lambda card: card.until)
        if not last.is_failed:
            continue
        subject = page.strong([_label(last), f", {_day(last.day)}: the report failed."])
        good = [card for card in cards if card.row == last.row and not card.is_failed]
        error = page.link(last.page, "Read the error")
        if not good:
            said.append(page.inline([subject, " There is none before it. ", error]))
            continue
        before = max(good, key=lambda card: card.until)
        age = (last.until - before.until) / timedelta(days=1)
        old = "made before that" if age < 1 else f"{age:.0f} day{'s' * (round(age) != 1)} old"
        seen = page.link(before.page, f"the one of {_day(before.day)}")
        said.append(page.inline([subject, " You see ", seen, f", {old}. ", error]))
    return said


def _blind(cards: Sequence[Card], newest: date, made_at: datetime) -> list[page.Markup]:
    """What the newest day's reports have not seen, and the one command that brings all of it that has begun."""
    those = [card for card in _current([card for card in cards if card.day == newest]) if not card.is_failed]
    seen = [report_cards.days_wanted(card, made_at) for card in those]
    days, ahead = ([day for pair in seen for day in pair[place]] for place in (0, 1))
    banners = []
    if days:
        expired = [date.fromisoformat(day) for card in those for day in card.expired_days]
        dropped = f" ({write.counted(len({*expired}), 'day')} of them dropped on purpose)" if expired else ""
        said = f"Not in the lake is {missing_days.names(days)}{dropped}; then render again: "
        banners.append(page.inline([said, page.mono(extraction(days, expired))]))
    if ahead:
        banners.append(page.inline(f"Still to come is {missing_days.names(ahead)}; then extract it, and render again."))
    return banners


def _day(day: date) -> str:
    return f"{day.day} {write.day(day).split()[-1]}"


def _label(card: Card) -> page.Markup:
    """What a report is about, as a line of the calendar."""
    name = page.inline(card.title)
    if card.is_scoped:
        name = page.author(realm_name(card.realm), 40)
    if card.family:
        name = (
            page.inline([name, ": ", page.author(card.family, 40)]) if card.is_scoped else page.author(card.family, 40)
        )
    days = card.row[-1]
    return page.inline([name, page.mute(f", {days} days")]) if days > 1 else name


def _calendar(cards: Sequence[Card], newest: date) -> page.Block:
    days = [newest - back * ONE_DAY for back in range(DAYS - 1, -1, -1)]
    by_name: defaultdict[str, defaultdict[Any, list[Card]]] = defaultdict(lambda: defaultdict(list))
    for card in _current(cards):
        if card.every or card.notebook != "post_mortem":
            by_name[card.name][card.row].append(card)
    rows: list[page.Row] = []
    quiet: list[page.Row] = []
    for name in sorted(by_name):
        lines = sorted(by_name[name].items())
        lone = len(lines) == 1 and not lines[0][1][0].is_scoped and not lines[0][1][0].family
        if not lone:
            rows.append(page.Row(lines[0][1][0].title, [page.Day("")] * DAYS, is_group=True))
        made = [page.Row(_label(row[-1]), _days(row, days)) for _, row in lines]
        loud = [row for row in made if any(day.kind not in ("", "quiet") for day in row.days)]
        rows += made if len(made) <= _MOST_QUIET_ROWS else loud
        quiet += [] if len(made) <= _MOST_QUIET_ROWS else [row for row in made if row not in loud]
    kinds = {day.kind for row in [*rows, *quiet] for day in row.days}
    body: list[page.Block] = [page.calendar(days, rows), page.calendar_key(sorted(kinds))]
    if quiet:
        body.append(page.fold(f"{len(quiet)} more, all quiet", page.calendar(days, quiet)))
    how = "A day takes the colour of its worst finding. Gaps are shown, so that silence is never taken for quiet."
    return page.section("calendar", "Every report, three weeks", [how], None, body, full=True)


def _days(row: Sequence[Card], days: Sequence[date]) -> list[page.Day]:
    at = {card.day: card for card in row}
    first, every = min(at), row[-1].every
    found = []
    for day in days:
        card = at.get(day)
        if card is None:
            is_missing = bool(every) and day > first and is_due(every, day + ONE_DAY)
            found.append(page.Day("missing" if is_missing else ""))
        else:
            state: Any = card.state if card.state in STATES else "quiet"
            found.append(page.Day(state, card.page, page.visible(card.verdict)[:200]))
    return found


def _post_mortems(cards: Sequence[Card]) -> page.Block | None:
    """Those that were asked for."""
    found = [card for card in cards if card.notebook == "post_mortem" and not card.every]
    found.sort(key=lambda card: (card.until, card.made_at), reverse=True)
    if not found:
        return None
    columns = [
        page.Column("day", "Window", role="name"),
        page.Column("realm", "Realm", kind="author"),
        page.Column("verdict", "Verdict", role="wide"),
        page.Column("size", "Overpaid", kind="estimate", unit="points"),
    ]
    rows = [_post_mortem(card) for card in found]
    body = [page.table(rows[:_MOST_POST_MORTEMS], columns)]
    if len(rows) > _MOST_POST_MORTEMS:
        body.append(
            page.fold(f"{len(rows) - _MOST_POST_MORTEMS} earlier", page.table(rows[_MOST_POST_MORTEMS:], columns))
        )
    return page.section(
        "post-mortems", "Post-mortems", ["Rendered when asked for, kept for good."], None, body, full=True
    )


def _post_mortem(card: Card) -> dict[str, Any]:
    size = card.size or {}
    first, last = card.since.date(), card.day
    window = _day(last) if first == last else f"{_day(first)} – {_day(last)}"
    told = f"The report failed: {card.verdict}" if card.is_failed else card.verdict
    return {
        "day": window,
        "realm": realm_name(card.realm) if card.is_scoped else "",
        "verdict": page.link(card.page, page.inline(page.visible(told)[:300])),
        "size": size.get("value"),
        "size_low": size.get("low"),
        "size_high": size.get("high"),
        "size_grade": size.get("grade"),
    }


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
        _write(out / "index.html", index_document(cards, made_at=datetime.now(UTC)))


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
