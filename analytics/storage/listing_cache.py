"""What is known of a bucket's objects, by key and by folder: remembered listings, kept true by this process's own changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_DEPTH = 2
"""Parts of the folders that are listed at once: ``executions/realm=…``. Deeper ones would cost a request per day."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object.

    Attributes:
        size: Its bytes.
        etag: Names its version.
        modified: When it was written, UTC; ``None`` for one this process has just written.
    """

    size: int
    etag: str
    modified: datetime | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Entry:
        """As the store's answer to a HEAD tells."""
        return cls(answer["ContentLength"], answer["ETag"], answer.get("LastModified"))


class Listing:
    """Keys and the folders they make; not safe from several threads by itself."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._listed: set[str] = set()
        self._children: dict[str, set[str]] = {}

    def missing(self, folder: str) -> str | None:
        """The folder to list before this one can be answered for; ``None`` when it can be."""
        wanted = "/".join(folder.split("/")[:_DEPTH])
        above = [wanted, *(wanted[:end] for end, letter in enumerate(wanted) if letter == "/"), ""]
        return wanted if self._listed.isdisjoint(above) else None

    def add(self, folder: str, found: Iterable[tuple[str, Entry]]) -> None:
        """Everything below a folder."""
        for key, entry in found:
            self.know(key, entry)
        self._listed.add(folder)

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, those of folders with a slash at their end."""
        return sorted(self._children.get(folder, ()))

    def below(self, folder: str) -> list[tuple[str, Entry]]:
        """Everything in a folder and its folders, by key."""
        start = f"{folder}/" if folder else ""
        return sorted((pair for pair in self.entries.items() if pair[0].startswith(start)), key=lambda pair: pair[0])

    def know(self, key: str, entry: Entry | None) -> None:
        """An object as it is now; ``None`` where there is none."""
        if entry is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = entry
        name = ""
        while key:
            above, _, last = key.rpartition("/")
            names = self._children.setdefault(above, set())
            if entry is None:
                names.discard(last + name)
                if names:
                    return
                del self._children[above]
            elif last + name in names:
                return
            else:
                names.add(last + name)
            key, name = above, "/"
