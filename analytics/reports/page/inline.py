"""Small pieces that stand inside a sentence or a table cell, their colours, and how a foreign text becomes harmless there.

Each colour has one meaning, on every page and in every picture, and is named after what it says, never after how it looks.
Pages use the CSS variables, matplotlib draws in the light values, and `charts.svg` turns those values back into the variables,
so that one SVG serves light, dark and print. For that the light values must differ from each other; a test insists on it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import TypeAlias

from markupsafe import Markup, escape

from analytics.lake.shell import visible
from analytics.reports.page import number as write
from analytics.reports.page.number import Estimated, finite

LIGHT: dict[str, str] = {
    "bg": "#fffefb",
    "ink": "#1c1c1a",
    "mute": "#67655e",
    "still": "#a5a39b",  # bars and lines of what did not change
    "faint": "#f4f2ea",
    "rule": "#dad7cc",
    "before": "#2b6a99",
    "before-pale": "#dbe7f0",
    "finding": "#c2410c",
    "finding-pale": "#fbe9de",
    "worse": "#9a6a00",
    "fixed": "#14765a",
    "d1": "#dfe8ef",
    "d2": "#b3cbdd",
    "d3": "#7fa8c6",
    "d4": "#4784ad",
    "d5": "#1c5076",
}
DARK: dict[str, str] = {
    "bg": "#15171a",
    "ink": "#e9e7e0",
    "mute": "#a19e95",
    "still": "#6d6b65",
    "faint": "#1e2125",
    "rule": "#383b40",
    "before": "#7db3e0",
    "before-pale": "#1f3243",
    "finding": "#ff8f57",
    "finding-pale": "#3a2419",
    "worse": "#e0b04a",
    "fixed": "#5fc9a4",
    # In the dark "more" is brighter, so the steps run from near the paper to far from it, as in light.
    "d1": "#1d2c39",
    "d2": "#27465f",
    "d3": "#356b92",
    "d4": "#5a9ccb",
    "d5": "#b5dcfa",
}
PRINT: dict[str, str] = {**LIGHT, "bg": "#ffffff", "ink": "#000000", "mute": "#555555", "faint": "#f5f5f2"}

ROLES: tuple[str, ...] = ("before", "finding", "worse", "fixed")
"""Roles a piece of text, a bar or a mark may carry; anything else is drawn grey."""


def variables() -> str:
    """CSS that gives the variables their values: light, dark, the notebook's own theme, and paper."""

    def block(selector: str, scheme: str, colours: dict[str, str]) -> str:
        pairs = "".join(f"--{name}:{value};" for name, value in colours.items())
        return f"{selector}{{color-scheme:{scheme};{pairs}}}"

    # A notebook's theme may differ from the system's: JupyterLab and VS Code say so on the body.
    dark_hosts = '[data-jp-theme-light="false"] .sa,.vscode-dark .sa'
    light_hosts = '[data-jp-theme-light="true"] .sa,.vscode-light .sa'
    return "\n".join(
        [
            block(".sa,.sa-page", "light", LIGHT),
            "@media (prefers-color-scheme:dark){" + block(".sa,.sa-page", "dark", DARK) + "}",
            block(light_hosts, "light", LIGHT),
            block(dark_hosts, "dark", DARK),
            "@media print{" + block(".sa.sa,.sa-page", "light", PRINT) + "}",
        ]
    )


__all__ = ["Inline", "Markup", "as_json", "author", "inline", "plain", "shorten", "visible"]

Inline: TypeAlias = "str | Markup | int | float | Iterable[Inline] | None"
"""What may stand in a sentence: text (escaped), Markup (passed through), numbers, or a sequence of these."""

NAME_LETTERS = 60
TITLE_LETTERS = 300
TEXT_LETTERS = 1200

_RTL = {"R", "AL", "AN"}
_HIDDEN = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def shorten(text: str, limit: int) -> str:
    """Cuts text to at most `limit` letters, the last of them an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def author(name: object, limit: int = NAME_LETTERS) -> Markup:
    """A tenant's own text: isolated from its surroundings, nothing hidden in it, shortened when long.

    The full text stands in the tooltip when it has at most 300 letters; beyond that it would not be readable anyway.
    """
    if isinstance(name, Markup):
        return name
    # Cut before cleaning: a value of a million letters costs no more than a long one.
    text = visible(str(name)[: TITLE_LETTERS + 1])
    short = shorten(text, limit)
    if short == text:
        return Markup("<bdi>{}</bdi>").format(text)
    if len(text) <= TITLE_LETTERS:
        return Markup('<bdi title="{}">{}</bdi>').format(text, short)
    return Markup("<bdi>{}</bdi>").format(short)


def inline(value: Inline) -> Markup:
    """Turns sentence parts into markup; everything that is not Markup already is escaped."""
    if value is None:
        return Markup("")
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        # Line breaks in a sentence are the notebook's own wrapping, not content.
        words = visible(shorten(value, TEXT_LETTERS), lines=True)
        if any(unicodedata.bidirectional(letter) in _RTL for letter in words if letter > "\u0590"):
            return Markup("<bdi>{}</bdi>").format(words)
        return escape(words)
    if isinstance(value, Iterable):
        return Markup("").join(inline(part) for part in value)
    return escape(str(value))


def plain(value: Inline) -> str:
    """The same parts as plain text, for terminals and for readers that do not show HTML."""
    return str(inline(value).striptags())


def as_json(value: object) -> str:
    """JSON that is safe to look at: control and bidi characters are written as JSON's escapes, which mean the same.

    Raises:
        ValueError: The value holds NaN or an infinity.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return _HIDDEN.sub(lambda match: "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1], text)


_GRADES = {"good": "good", "rough": "rough", "too few": "few", "too_few": "few", "few": "few", "logged": "log"}


def before(text: Inline) -> Markup:
    """What held before the change (blue)."""
    return coloured(text, "before")


def finding(text: Inline) -> Markup:
    """The finding itself (red-orange)."""
    return coloured(text, "finding")


def worse(text: Inline) -> Markup:
    """What is getting worse (ochre)."""
    return coloured(text, "worse")


def fixed(text: Inline) -> Markup:
    """What is repaired (green)."""
    return coloured(text, "fixed")


def coloured(text: Inline, role: str | None) -> Markup:
    """Strong text in the colour of a role; strong alone when the role has no colour."""
    return Markup('<b class="sa-c-{}">{}</b>').format(role, inline(text)) if role in ROLES else strong(text)


def strong(text: Inline) -> Markup:
    """Strong text."""
    return Markup("<b>{}</b>").format(inline(text))


def mute(text: Inline) -> Markup:
    """Text that steps back."""
    return Markup('<span class="sa-mute">{}</span>').format(inline(text))


def mono(text: Inline) -> Markup:
    """An id, an error code, a field path."""
    return Markup("<code>{}</code>").format(inline(text))


def explained(text: Inline, meaning: str) -> Markup:
    """A term with what it means, for who points at it."""
    return Markup('<abbr title="{}">{}</abbr>').format(visible(meaning), inline(text))


def more(count: int, noun: str) -> Markup:
    """After a list of more than a phone's screen: all of it, on a phone; elsewhere nothing is folded. No script is needed."""
    return Markup('<label class="sa-all"><input type="checkbox"> All {} {}</label>').format(count, noun)


MOST_ON_A_PHONE = 5
"""Of a list, before it is folded there; the style sheet counts them."""


def was(text: Inline) -> Markup:
    """A piece of a program that is gone in the new version."""
    return Markup("<del>{}</del>").format(inline(text))


def now(text: Inline) -> Markup:
    """A piece of a program that is new."""
    return Markup("<ins>{}</ins>").format(inline(text))


def link(href: str, label: Inline) -> Markup:
    """A link inside the page or to a neighbouring report file.

    Raises:
        ValueError: The address leads outside (has a scheme or a host) or is not plain ASCII.
    """
    return Markup('<a href="{}">{}</a>').format(local(href), inline(label))


def local(href: str) -> str:
    """Checks that an address stays inside the reports; pages open no outside reference."""
    if not href.isascii() or not href.isprintable() or ":" in href or "\\" in href or "//" in href:
        raise ValueError(f"A page links only inside itself or to files beside it, not to {visible(href)[:80]!r}.")
    return href


def ci(low: object, high: object, *, value: object = None, unit: str = "", sign: bool = False) -> Markup:
    """An interval in brackets: "[28,000 – 34,800]"; rounded with its estimate when that is given."""
    under, over = finite(low), finite(high)
    if value is None and under is not None and over is not None:
        value = (under + over) / 2
    text = write.bounds(value, low, high, unit=unit, sign=sign)
    return Markup('<span class="sa-ci">{}</span>').format(text) if text else Markup("")


def grade(name: object) -> Markup:
    """How far a number can be trusted, as a mark and a word: good, rough, too few, logged."""
    if name is None or name != name or not str(name):
        return Markup("")
    word = str(name).replace("_", " ")
    return Markup('<span class="sa-g sa-g-{}">{}</span>').format(_GRADES.get(str(name), "few"), inline(word))


def written(estimate: Estimated, *, unit: str | None = None, sign: bool = False) -> tuple[str, str]:
    """The number and its interval as text; the unit is the estimate's own unless given ("%" takes shares of one)."""
    unit = str(getattr(estimate, "unit", "") or "") if unit is None else unit
    value, low, high = estimate.value, estimate.low, estimate.high
    if unit in ("%", "share", "percent"):
        value, low, high = (None if (share := finite(part)) is None else share * 100 for part in (value, low, high))
        unit = "%"
    if str(estimate.grade) == "logged" and finite(low) is None and finite(high) is None:
        text = write.exact(value, sign=sign)
        return (f"{text}\u00a0{unit}" if unit and text != write.NOTHING else text), ""
    if getattr(estimate, "is_at_least", False):  # among runs that were stopped: no upper end is known
        return write.at_least(value, unit=unit), ""
    # The unit stands once, beside the number.
    return write.number(value, low, high, unit=unit, sign=sign), write.bounds(value, low, high, sign=sign)


def est(estimate: Estimated, role: str | None = None, *, unit: str | None = None, sign: bool = False) -> Markup:
    """A whole estimate: number, interval, grade."""
    value, interval = written(estimate, unit=unit, sign=sign)
    parts = [coloured(value, role)]
    if interval:
        parts.append(Markup('<span class="sa-ci">{}</span>').format(interval))
    parts.append(grade(estimate.grade))
    return Markup('<span class="sa-est">{}</span>').format(Markup(" ").join(part for part in parts if part))


def tag(name: str) -> Markup:
    """The word in front of a finding: new, worse, fixed, finding or known."""
    known = name if name in ("new", "worse", "fixed", "finding", "known") else "other"
    return Markup('<span class="sa-tag sa-t-{}">{}</span>').format(known, inline(name))


def _place(value: float, domain: tuple[float, float]) -> float:
    first, last = domain
    return 100 * min(max((value - first) / (last - first), 0.0), 1.0) if last > first else 50.0


def _role(role: str | None) -> str:
    return f" sa-r-{role}" if role in ROLES else ""


def interval_bar(
    low: object, value: object, high: object, domain: tuple[float, float], role: str | None = None
) -> Markup:
    """An interval drawn into a table cell: a thin line, a dot at the value, a rule at zero.

    Bounds beyond the domain, and missing ones, end in an arrow instead of pretending to stop there.
    """
    first, last = domain
    dot = finite(value)
    under, over = finite(low), finite(high)
    parts = [Markup('<u style="left:{:.2f}%"></u>').format(_place(0.0, domain))] if first <= 0 <= last else []
    if dot is not None:
        exact = low is not None and under is not None and under == over
        left = under if under is not None else first - 1
        right = over if over is not None else last + 1
        if not exact and (under is not None or over is not None):
            ends = (" sa-cl" if left < first else "") + (" sa-cr" if right > last else "")
            start, stop = _place(left, domain), _place(right, domain)
            bar = Markup('<i class="{}" style="left:{:.2f}%;width:{:.2f}%"></i>')
            parts.append(bar.format(ends.strip(), start, max(stop - start, 0.0)))
        if first <= dot <= last:
            parts.append(Markup('<b style="left:{:.2f}%"></b>').format(_place(dot, domain)))
    return Markup('<span class="sa-fr{}">{}</span>').format(_role(role), Markup("").join(parts))


def interval_axis(title: Inline, domain: tuple[float, float], ticks: list[tuple[float, str]]) -> Markup:
    """The heading of a column of interval bars, with its scale."""
    marks = Markup("").join(
        Markup('<em style="left:{:.2f}%">{}</em>').format(_place(at, domain), inline(label)) for at, label in ticks
    )
    return Markup('{}<span class="sa-axl">{}</span>').format(inline(title), marks)


def headroom(p50: object, p99: object, limit: object, role: str | None = None, text: Inline = None) -> Markup:
    """How much room is left below a limit: dark to the median, light to p99, a line at the limit."""
    middle, top, most = finite(p50) or 0.0, finite(p99) or 0.0, finite(limit) or 0.0
    domain = (0.0, most)
    dark = _place(middle, domain) if most > 0 else 0.0
    light = max(_place(top, domain) - dark, 0.0) if most > 0 else 0.0
    words = text if text is not None else write.between(p50, p99)
    return Markup(
        '<span class="sa-fr sa-hd{}"><s>{}</s><i style="left:0;width:{:.2f}%"></i>'
        '<em style="left:{:.2f}%;width:{:.2f}%"></em><u class="sa-cap"></u></span>'
    ).format(_role(role), inline(words), dark, dark, light)


def share_bar(share: object, text: Inline = None, most: float = 1.0) -> Markup:
    """A share of one as a number and a small bar, full at `most` (such as the largest share of the table)."""
    part = finite(share) or 0.0
    words = text if text is not None else write.percent(share)
    bar = Markup('<span class="sa-sh"><span>{}</span><span class="sa-bar" style="width:{:.2f}%"></span></span>')
    return bar.format(inline(words), _place(part, (0.0, most)))
