"""Text for a chat, in which no author's text can call people, make links or change the letters around it."""

from __future__ import annotations

import re

from analytics.reports.page.escape import shorten, visible

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
