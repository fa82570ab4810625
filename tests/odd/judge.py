"""What no report may show, whatever the log holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from analytics.reports.page.inline import as_json

NO_NUMBER = re.compile(
    r"(?<![\w.])(nan|NaN(?! or |, inf|, Inf)|NaT|[-−]?inf|[-−]?Infinity(?!, U)|None(?! of )|<NA>|Timestamp\()(?!\w)"
)
NOTHING = re.compile(r"(?<![\d.,])0 of 0(?![\d.,])|(?<![\w•.-])[-−]0(?:\.0+)?(?![\d.,])")
PLURALS = re.compile(
    r"(?<![\w.,:–/-])(?<!of )(?<!and )1 (?:\w+ )?(?:\w+[^sui]s|entries|queries|people|are|were|have)\b(?! (?:stopped|logged))"
)
"""One of several: 1 rows. What only looks like it is in ``_FINE``; 0 of 1 programs is none either."""
_FINE = re.compile(
    r"1 (?:points per|\w+ (?:needs|costs|takes|grows|reads|pays|stands|leaves|has|logs|times|stops|fails)|of \w+)\b"
)
_VOID = {
    "br",
    "meta",
    "path",
    "rect",
    "use",
    "line",
    "img",
    "hr",
    "link",
    "circle",
    "input",
    "col",
    "polyline",
    "polygon",
}
_BAD = {"script", "b-", "iframe", "object", "embed", "form", "base"}


class Page(HTMLParser):
    """A page as a reader sees it.

    Attributes:
        text: All of its visible words; pieces of different elements are kept apart.
        empty: Sections, tables and pictures that hold nothing.
        bent: Markup that an author's text has become.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.empty, self.bent = "", list[str](), list[str]()
        self._open: list[tuple[str, str, int]] = []
        self.feed(html)
        self.close()
        self.bent += [f"<{tag}> stays open" for tag, _, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag in _BAD or any(name.startswith("on") or "javascript:" in (value or "") for name, value in attrs):
            self.bent.append(self.get_starttag_text() or tag)
        if tag not in _VOID:
            named = known.get("id") or known.get("class") or ""
            self._open.append((tag, named, len(self.text)))
        if tag in ("svg", "path", "rect"):
            self.text += "\ufffc"  # a picture is something to see
        self.text += "\n" if tag in ("p", "div", "section", "tr", "li", "dd", "dt", "summary", "figure", "text") else ""
        self.text += " \t" if tag in ("td", "th", "tspan", "g", "span", "h1", "h2", "h3", "title") else ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        within = {tag for tag, _, _ in self._open}
        if "pre" in within:
            self.text += "\ufffc"  # a query, in which nan and null are words of the language
        elif "style" not in within:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open[-1][0] != tag:
            self.bent.append(f"</{tag}> within {self._open[-1:]}")
            return
        _, named, start = self._open.pop()
        shown = self.text[start:].strip()
        is_filled = named in ("answer",) or tag in (
            "section",
            "table",
            "tbody",
            "figure",
            "details",
            "h1",
            "h2",
            "h3",
            "summary",
        )
        if is_filled and not shown:
            self.empty.append(f"<{tag} {named}>")
        self.text += "\n" if tag in ("p", "div", "section", "tr", "li", "dd", "dt", "summary", "figure", "text") else ""

    def handle_comment(self, data: str) -> None:
        self.bent.append(f"<!--{data[:60]}")


def faults(html: str, text: str = "") -> list[str]:
    """What is wrong with a piece of a page, in words; nothing when all is well.

    Args:
        html: Its markup.
        text: The same for a terminal.
    """
    page = Page(html)
    found = [f"bent: {one}" for one in page.bent] + [f"empty: {one}" for one in page.empty]
    found += said(page.text) + said(text.partition("Queries")[0])
    return list(dict.fromkeys(found))


def said(words: str) -> list[str]:
    """What is wrong with words."""
    found = [f"no number: …{_around(words, hit)}…" for hit in NO_NUMBER.finditer(words)]
    found += [f"nothing: …{_around(words, hit)}…" for hit in NOTHING.finditer(words)]
    found += [f"plural: …{_around(words, hit)}…" for hit in PLURALS.finditer(words) if not _FINE.match(hit[0])]
    return found


def _around(words: str, hit: re.Match[str]) -> str:
    return " ".join(words[max(hit.start() - 50, 0) : hit.end() + 30].split())


def facts_faults(facts: Mapping[str, Any]) -> list[str]:
    """What is wrong with the facts for programs: they are strict JSON, and sentences among them are."""
    told: list[str] = []
    try:
        again = json.loads(as_json(facts), parse_constant=told.append)
    except ValueError as error:
        return [f"no JSON: {error}"]
    words = [str(again[key]) for key in ("digest", "title", "verdict") if key in again]
    return [f"{one} in JSON" for one in told] + [fault for one in words for fault in said(one)]
