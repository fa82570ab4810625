"""A user's id kept out of what a run saw: rules may have read it, and written it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.findings import receipt_words as words
from analytics.findings.receipt_words import Line, Seen
from analytics.stories import masked

_SHORT = 4


class Mask:
    """Hides one user's id in values and sentences.

    Args:
        user: The id; None hides nothing.
    """

    def __init__(self, user: object) -> None:
        self.user = user if isinstance(user, str) and user else None
        self.shown = masked(self.user)
        # A short id may be part of any word, so only values that are nothing else are hidden then.
        self._anywhere = self.user if self.user and len(self.user) > _SHORT else None

    def text(self, sentence: str) -> str:
        """A sentence without the id."""
        return sentence.replace(self._anywhere, self.shown) if self._anywhere else sentence

    def line(self, line: Line) -> Line:
        """A line of a receipt: only what the run saw can be the id."""
        if self.user is None:
            return line
        whole = words.value(self.user)
        return tuple(
            (Seen(words.value(self.shown)) if part == whole else Seen(self.text(part)))
            if isinstance(part, Seen)
            else part
            for part in line
        )

    def value(self, found: Any) -> Any:
        """A JSON value without the id in any of its texts."""
        if self.user is None:
            return found
        if isinstance(found, str):
            return self.shown if found == self.user else self.text(found)
        if isinstance(found, Mapping):
            return {key: self.value(item) for key, item in found.items()}
        return [self.value(item) for item in found] if isinstance(found, list) else found
