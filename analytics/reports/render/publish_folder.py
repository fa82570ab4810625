"""Folders of rendered reports: their names, how one is put in its place whole, and which was the one before."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.errors import AnalyticsError, UsageError
from analytics.reports.parameter_values import Value
from analytics.reports.schedule import cards
from analytics.reports.schedule.cards import FAILED, Card
from analytics.storage import scratch, typed_json
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.reports import page
    from analytics.reports.leak_gate import Forbidden

_DAYS = re.compile(r"(?:^|_)\d{4}-\d{2}-\d{2}_(\d{4}-\d{2}-\d{2})_[0-9a-f]{8}$")
ELSEWHERE = ("lake", "since", "until", "counters", "previous", "engine", "gathered")
"""Parameters that say where things are, and the time."""
_SAME_LENGTH = 0.1
"""Months differ by a tenth; a day and a week are not the same report."""


def scope_of_previous(name: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """What a report is about, apart from its time: kept in ``summary.json``, so that the next one knows its predecessor.

    Thresholds belong to it: under another cap other things are findings, and what is not found is not fixed.
    """
    lake = hashlib.sha256(str(values["lake"]).encode()).hexdigest()[:8]
    about = {key: value for key, value in values.items() if key not in ELSEWHERE}
    if draft := about.get("draft"):
        about["draft"] = hashlib.sha256(str(draft).encode()).hexdigest()[:8]  # never where it lies on this machine
    return {"name": name, "lake": lake, **about}


def find_last(
    out: Path, prefix: str, about: Mapping[str, Value], window: Window, *, is_own: bool = False
) -> Path | None:
    """The ``summary.json`` of the report before; None when there is none.

    Args:
        out: Folder of rendered reports.
        prefix: What its folder's name begins with.
        about: Its ``scope``.
        window: The window of the new report. The last one began before it, and ended no later.
        is_own: Of a notebook of one's own, whose window its card says.
    """
    dated = [(match[1], folder) for folder in out.glob(f"{prefix}*") if (match := _DAYS.search(folder.name))]
    best: tuple[datetime, Path] | None = None
    for day, folder in sorted(dated, reverse=True):
        if best is not None and day < best[0].date().isoformat():
            break  # older by its name: need not be opened
        path = folder / "summary.json"
        until = _until(path, about, window, is_own=is_own)
        if until is not None and (best is None or until > best[0]):
            best = until, path
    return best[1] if best else None


def _until(path: Path, about: Mapping[str, Value], window: Window, *, is_own: bool) -> datetime | None:
    """The end of a report's window; None where it cannot be the last one before another window.

    A file that was half-written or edited by hand is none: it must not stop every later report.
    """
    try:
        told = typed_json.document(path.read_text(encoding="utf-8"))
        if told["scope"] != dict(about):
            return None
        from analytics.findings.runaway import previous_report

        last = cards.read(path.parent) if is_own else previous_report.read(path)
    except (OSError, UsageError, *typed_json.WRONG):
        return None
    if last is None or last.since >= window.since or last.until > window.until:
        return None
    length = window.until - window.since
    return last.until if abs((last.until - last.since) - length) <= _SAME_LENGTH * length else None


_STAGING = ".rendering-"
_ABANDONED_SECONDS = 24 * 3600.0
_SWAP_SECONDS = 60.0
"""Longer than two renames take."""


def slug(text: str) -> str:
    """A text as a part of a file's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:40]


def folder_name(report: str, values: Mapping[str, Value], window: Window) -> str:
    """A name for the report's folder that people can read and no author's text can leave."""
    subject = [str(values.get(name) or "") for name in ("realm", "family", "strategy_id", "against")]
    if values.get("no_realm"):
        subject[0] = "no-realm"
    words = "-".join(part for text in subject if (part := slug(text)))
    days = f"{window.since:%Y-%m-%d}_{window.until:%Y-%m-%d}"
    # Two names may read the same once odd letters are out: the hash keeps them apart.
    relevant = {key: value for key, value in values.items() if key not in ELSEWHERE}
    prefix = slug(report)
    named = [relevant, str(window)] + ([report] if prefix != report else [])
    mark = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]
    return "_".join(part for part in (prefix, words, days, mark) if part)


@contextlib.contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A folder to make a rendering in, beside where it will lie; gone afterwards, whatever happens.

    Until it is searched and put in its place nobody else may look into it.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = scratch.claim(out, _STAGING)
    try:
        yield made.path
    finally:
        made.release()


def put_in_place(made: Path, target: Path) -> None:
    """Swap the finished folder in; the old one stays until the new one is there."""
    made.chmod(0o777 & ~_umask())  # what is published may be read as any other file
    with turn(target.parent):
        if target.exists():
            remove(target, made)
        else:
            made.replace(target)


def remove(target: Path, successor: Path | None = None) -> None:
    """Take a rendering away, with one rename, and put another in its place."""
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    target.replace(old)
    if successor is not None:
        successor.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def sweep(out: Path) -> None:
    """Take away what killed runs left behind, and put back a rendering that one had taken away last."""
    scratch.sweep(out, _STAGING)
    scratch.sweep(out, f".{scratch.PREFIX}")
    for left in out.glob(".*.old-*"):
        target = out / left.name[1:].rpartition(".old-")[0]
        with contextlib.suppress(OSError):  # another run may be sweeping too
            age = time.time() - left.stat().st_ctime
            if not target.exists() and age > _SWAP_SECONDS:
                left.replace(target)
            elif age > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o077)  # what another thread makes meanwhile is for the owner alone
    os.umask(mask)
    return mask


@contextlib.contextmanager
def turn(out: Path) -> Iterator[None]:
    """One at a time: of two reports that end together, the later must see the earlier."""
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        with contextlib.suppress(
            OSError
        ):  # some network file systems lock no folders: then the next report mends the index
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


_BARE = "{}: its words are not shown, for they may hold what readers of this page must not see"
_LOG = (
    "read them in the log of the run that made this page, or render it by hand: `strategy-analytics report` says them"
)


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
    from analytics.reports.leak_gate import clean_text, is_clean

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
    from analytics.reports import page
    from analytics.reports.page import number as write

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
