"""Facts that show themselves in the words of the report which holds them: this room has none of its own."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol


class Words(Protocol):
    """Who says in words what was found."""

    @property
    def text(self) -> str:
        """For a terminal."""

    @property
    def html(self) -> str:
        """For a cell of a notebook."""


class ShownInquiry:
    """An inquiry. Show it to see what came of it and which facts it has."""

    words: Words | None = None
    """Set by the report that holds it."""

    def __repr__(self) -> str:
        return self.words.text if self.words else f"<{type(self).__name__}: {', '.join(self.facts())}>"

    def _repr_html_(self) -> str | None:
        return self.words.html if self.words else None

    @classmethod
    def facts(cls) -> dict[str, str]:
        """Names of its facts, each worked out when it is first asked for, and the first line of what is said of them."""
        found: dict[str, str] = {}
        for kind in reversed(cls.__mro__):
            for name, made in vars(kind).items():
                words = getattr(made, "__doc__", None) or ""
                if not name.startswith("_") and isinstance(made, property | cached_property) and words:
                    found[name] = words.strip().partition("\n")[0]
        return found
