"""Text that other people wrote, made safe to show.

Names of realms, strategies, rules and cases are authored by tenants. They may hold markup, control characters, marks
that reverse the reading order of what follows, or 5,000 letters. Nothing of that may reach the reader unseen, and
nothing of it may bend the page.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, TypeAlias

from markupsafe import Markup, escape

__all__ = ["Inline", "Markup", "as_json", "author", "inline", "plain", "shorten", "visible"]

Inline: TypeAlias = "str | Markup | int | float | Iterable[Inline] | None"
"""What may stand in a sentence: text (escaped), Markup (passed through), numbers, or a sequence of these."""

NAME_LETTERS = 60
TITLE_LETTERS = 300
TEXT_LETTERS = 1200
MARKS_IN_A_ROW = 4

# Joiners change how letters and emoji connect and are ordinary spelling in Persian, Hindi and emoji.
_SPELLING = {"\u200c", "\u200d"}
_RTL = {"R", "AL", "AN"}
_HIDDEN = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(value: object, *, lines: bool = False) -> str:
    r"""Writes out what cannot be seen: control, bidi and zero-width characters become escapes such as `\u202e`.

    Args:
        value: Anything; `str()` of it is shown.
        lines: Keep line breaks and tabs (for code); otherwise they are written out too.
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = 0
    for letter in text:
        category = unicodedata.category(letter)
        # A hundred accents on one letter would paint over the lines above; a few are ordinary spelling.
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS_IN_A_ROW:
            if marks == MARKS_IN_A_ROW + 1:
                out.append("…")
        elif lines and letter in "\n\t":
            out.append(letter)
        elif (
            category in ("Cc", "Cs", "Zl", "Zp")
            or (category == "Cf" and letter not in _SPELLING)
            or (category == "Cn" and ord(letter) & 0xFFFE == 0xFFFE)
        ):
            out.append(_escaped(letter))
        else:
            out.append(letter)
    return "".join(out)


def _escaped(letter: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(letter)
    return named.get(letter) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")


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


def as_json(value: Any) -> str:
    """JSON that is safe to look at: control and bidi characters are written as JSON's escapes, which mean the same.

    Raises:
        ValueError: The value holds NaN or an infinity.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return _HIDDEN.sub(lambda match: "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1], text)
