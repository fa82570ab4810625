"""A report as an object: each section a method that returns a page block; notebooks only call them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from analytics.reports.page.inline import as_json, shorten, visible

_DOMAIN = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")
"""A dot as in example.test: chats make a link of it, also without https."""
_SAFE = str.maketrans("@<>&`*_~|#[]", "＠‹›＆'∗ˍ∼∣＃⁅⁆")
_SENTENCE = str.maketrans("@<>&`*_~|#", "＠‹›＆'∗ˍ∼∣＃")
_MOST = 600


def name(text: str, letters: int) -> str:
    """An author's text that a chat shows as it is, of so many letters at most."""
    return _plain(shorten(visible(text[: 4 * letters]), letters).translate(_SAFE))


def sentence(text: str) -> str:
    """A sentence of the package's own in which an author's names stand; its brackets are those of intervals."""
    return _plain(shorten(visible(text[: 4 * _MOST]), _MOST).translate(_SENTENCE).replace("](", "] ("))


def _plain(text: str) -> str:
    return _DOMAIN.sub("․", text.replace("://", ":/ /"))


class SummaryBlock:
    """A report's facts for programs. Shown in a notebook as JSON, and collected by the renderer into ``summary.json``."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        self.facts = dict(facts)

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, object], dict[str, object]]:
        return {"application/json": self.facts, "text/plain": as_json(self.facts)}, {
            "application/json": {"analytics": {"block": "summary"}, "expanded": False}
        }


def summary_block(facts: Mapping[str, object]) -> SummaryBlock:
    """Wrap a report's facts for the last cell of its notebook."""
    return SummaryBlock(facts)


def realm_name(realm: str | None) -> str:
    """A tenant's name for a person: NULL and the empty string have one too."""
    return "(no realm)" if realm is None else realm or "(empty realm)"


def masked(user: object) -> str:
    """A user id of which only the end can be read; ids of up to four letters are hidden whole."""
    if not isinstance(user, str):
        return "–"
    return "••••" + (user[-2:] if len(user) > 4 else "")


def state_of(counts: Mapping[str, int], missing_days: Sequence[str]) -> str:
    """The worst of a report's findings in a word, one of ``schedule.cards.STATES``.

    Nothing found in days that were not extracted is not quiet.
    """
    for kind, state in (("new", "new"), ("worse", "worse"), ("finding", "known")):
        if counts.get(kind):
            return state
    return "no data" if missing_days else "fixed" if counts.get("fixed") else "quiet"
