"""What is on the shelf: one small ``card.json`` beside each rendering, good or failed, from which the index is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.lake import expiry_mark, repair
from analytics.lake.expiry_mark import Expired
from analytics.lake.repair import extraction
from analytics.reports import missing_days
from analytics.storage import typed_json

CARD = "card.json"
FAILED = ".failed"
"""Ends the name of a folder that holds a failure; the good rendering of the same window lies beside it."""

FINDINGS, CANNOT_TELL = 1, 4
"""Exit codes of who renders reports: it has findings that fail the job; days that it is about are not in the lake. A report that
was not made is an error, with a code of its own."""

NO_DATA = "no data"
STATES = ("failed", "new", "worse", "known", "fixed", NO_DATA, "quiet")
"""Of a rendering, worst first."""

_FOLDER = re.compile(r"[a-z0-9_-]+(\.failed)?")


@dataclass(frozen=True, slots=True)
class Card:
    """What one rendering says in short.

    Attributes:
        name: Of the report.
        notebook: Which notebook made it.
        realm: The tenant, where it is about one.
        is_scoped: It is about one tenant, or about the runs without one (``realm`` is then None).
        family: The strategy, where it is about one; two of them as ``subject`` writes them.
        since, until: Its window, UTC.
        made_at: When, UTC.
        state: One of `STATES`.
        counts: Findings by kind.
        missing_days: Of the window, as far as its findings depend on them: not extracted, or with files that are lost.
        lost_days: Of these, the lost ones.
        expired_days: Of these, the ones that were dropped on purpose.
        days_to_come: Of the window, those that had not begun when it was made; they are missing where nothing of it had.
        verdict: Its sentence; of a failure, what happened.
        hint: Of a failure: what repairs it.
        size: How much was overpaid, as an estimate's plain values; None where that is not the question.
        every: When it is due; empty for one that was asked for by hand, which is kept for good.
        inputs: Fingerprint of what it was made from.
        folder: Where it lies; not part of the file.
    """

    name: str
    notebook: str
    realm: str | None
    is_scoped: bool
    family: str
    since: datetime
    until: datetime
    made_at: datetime
    state: str
    counts: Mapping[str, int] = field(default_factory=dict)
    missing_days: Sequence[str] = ()
    lost_days: Sequence[str] = ()
    expired_days: Sequence[str] = ()
    days_to_come: Sequence[str] = ()
    verdict: str = ""
    hint: str = ""
    size: Mapping[str, Any] | None = None
    every: str = ""
    inputs: str = ""
    folder: str = ""

    @property
    def title(self) -> str:
        """The report's name as a person writes it: ``runaway_rules`` becomes "Runaway rules"."""
        words = " ".join(self.name.replace("_", " ").replace("-", " ").split())
        return words[:1].upper() + words[1:] or self.name

    @property
    def day(self) -> date:
        """The last day of the window, which the calendar puts it at."""
        return (self.until - timedelta(microseconds=1)).date()

    @property
    def is_failed(self) -> bool:
        """It was not made."""
        return self.state == "failed"

    @property
    def row(self) -> tuple[str, bool, str, str, int]:
        """What is the same report on another day: name, tenant, strategy and length of the window in days."""
        days = max(1, round((self.until - self.since) / timedelta(days=1)))
        return self.name, self.is_scoped, "" if self.realm is None else f"={self.realm}", self.family, days

    @property
    def page(self) -> str:
        """The page, seen from the folder of reports."""
        return f"{self.folder}/{'error' if self.is_failed else 'report'}.html"


def subject(family: str, against: str | None) -> str:
    """A strategy, or two that are compared: another report than that of either."""
    return f"{family} against {against}" if family and against else family


def to_json(card: Card) -> dict[str, Any]:
    """A card as plain values, without where it lies."""
    values = {key: value for key, value in asdict(card).items() if key != "folder"}
    return values | {key: values[key].isoformat() for key in ("since", "until", "made_at")}


def from_json(values: Mapping[str, Any], folder: str = "") -> Card:
    """A card as ``to_json`` has written it.

    Raises:
        TypeError, ValueError: It is none, see ``typed_json``.
    """
    moments = {key: typed_json.moment(values[key]) for key in ("since", "until", "made_at")}
    return Card(**{**values, **moments, "folder": folder})


def write(card: Card, folder: Path) -> None:
    """Put the card beside a rendering that is not published yet."""
    text = json.dumps(to_json(card), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Card | None:
    """The card of a rendering; None where there is none that can be read: somebody's own folder, or one half removed."""
    try:
        card = from_json(typed_json.document((folder / CARD).read_text(encoding="utf-8")), folder.name)
        for said in (
            card.name,
            card.notebook,
            card.family,
            card.verdict,
            card.hint,
            card.every,
            card.inputs,
            card.state,
        ):
            typed_json.text(said)
        typed_json.text_or_none(card.realm)
        typed_json.flag(card.is_scoped)
        for count in card.counts.values():
            typed_json.whole(count)
        for day in (*card.missing_days, *card.lost_days, *card.expired_days, *card.days_to_come):
            typed_json.day(day)
        _check_size(card.size)
        is_sound = card.since < card.until and isinstance(card.missing_days, list | tuple)
    except (OSError, *typed_json.WRONG):
        return None
    return card if is_sound and card.state in STATES else None


def _check_size(size: Mapping[str, Any] | None) -> None:
    """An estimate's plain values: a number that is none is written as nothing."""
    for name, value in (size or {}).items():
        if name == "logged_count":
            typed_json.whole(value)
        elif name == "grade":
            typed_json.text(value)
        elif name in ("value", "low", "high") and value is not None:
            typed_json.number(value)


def shelf(out: Path) -> list[Card]:
    """Every rendering in the folder of reports, by the end of its window."""
    # A folder of another name was not made by this package; what it holds is not linked to.
    folders = (folder for folder in out.iterdir() if _FOLDER.fullmatch(folder.name)) if out.is_dir() else ()
    found = [card for folder in folders if not folder.is_symlink() and (card := read(folder))]
    return sorted(found, key=lambda card: (card.until, card.row, card.is_failed, card.made_at))


def of_facts(card: Card, facts: Mapping[str, Any]) -> Card:
    """The card, with what the notebook's facts say."""
    counts = facts.get("counts")
    state = facts.get("state")
    if not card.is_scoped and "realm_id" in facts:  # a strategy was found in the only tenant that has it
        card = replace(card, realm=facts["realm_id"], is_scoped=True)
    return replace(
        card,
        family=subject(str(facts["family_name"]), facts.get("against")) if facts.get("family_name") else card.family,
        state=str(state) if state in STATES else "quiet",
        counts={str(kind): int(count) for kind, count in counts.items()} if isinstance(counts, dict) else {},
        missing_days=[str(day) for day in facts.get("missing_days") or ()],
        lost_days=[str(day) for day in facts.get("lost_days") or ()],
        expired_days=[str(day) for day in facts.get("expired_days") or ()],
        days_to_come=[str(day) for day in facts.get("days_to_come") or ()],
        verdict=str(facts.get("verdict") or facts.get("title") or ""),
        size=facts["overpaid"] if isinstance(facts.get("overpaid"), dict) else None,
    )


def with_expired(card: Card, mark: Expired | None) -> Card:
    """The card of a rendering that was there before: since it was made days that it lacked may have been expired, or wanted back.

    Args:
        card: Of the report.
        mark: What the lake has let go, now.
    """
    days = [day for day in card.missing_days if expiry_mark.is_expired(mark, date.fromisoformat(day))]
    return replace(card, expired_days=[day for day in days if day not in card.lost_days])


def alarm(card: Card, fail_on: str) -> str:
    """Why a report's findings fail a job; empty when they do not.

    Args:
        card: Of the report.
        fail_on: ``new``, ``any`` (that is open) or ``never``.
    """
    if fail_on == "never" or card.is_failed:
        return ""
    kinds = ("new",) if fail_on == "new" else ("new", "worse", "finding")
    count = sum(card.counts.get(kind, 0) for kind in kinds)
    return f"{count} {'finding' if count == 1 else 'findings'}" if count else ""


def days_wanted(card: Card, now: datetime | None = None) -> tuple[list[date], list[date]]:
    """Days of its window that the report has not seen: those that can be extracted now, and those still to come.

    Args:
        card: Of the report; a day that was to come when it was made may have begun.
        now: The clock; this machine's when not given.
    """
    days = {date.fromisoformat(day) for day in (*card.missing_days, *card.lost_days, *card.days_to_come)}
    ahead = repair.to_come(days, now)
    return sorted(days.difference(ahead)), ahead


def unseen(card: Card, fail_on: str, now: datetime | None = None) -> str:
    """Why a report cannot tell what it was asked, and the command that mends it; empty where it can.

    Days of the window are not in the lake: never extracted, or their files are lost. Nothing found in them is not the same as
    nothing new. A report that has found something all the same, and whose findings nobody wants to hear of, is left in peace.

    Args:
        card: Of the report.
        fail_on: As ``alarm``.
        now: The clock; this machine's when not given.
    """
    wanted, ahead = days_wanted(card, now)
    # What is to come of a window that has begun is no fault: as on a day that is not over, the report tells what there is.
    if card.is_failed or not (wanted or card.missing_days) or (fail_on == "never" and card.state != NO_DATA):
        return ""
    lost, expired = ([date.fromisoformat(day) for day in days] for days in (card.lost_days, card.expired_days))
    never = [day for day in wanted if day not in (*lost, *expired)]
    told = (
        ("not extracted is", never),
        ("expired is", expired),
        ("lost in the lake is", lost),
        ("still to come is", ahead),
    )
    said = "; ".join(f"{what} {missing_days.names(days)}" for what, days in told if days)
    return f"cannot tell: {said}" + (f"; to mend it: {extraction(wanted, expired)}" if wanted else "")
