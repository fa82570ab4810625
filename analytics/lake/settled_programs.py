"""Tenants whose programs need no comparing: the source has the rows that their files were made of, and the files are those.

An extraction compares the programs of all tenants, whatever it reads of their runs, and nearly all are as they were an hour ago.
So it remembers of each tenant a digest of the rows its two files were made of, and what tells the files from any other. That is
derived: where it is lost or does not fit, the files are read and compared. Of tenants with deleted or kept versions nothing is
remembered: what they have does not follow from the source alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics.lake import derived, schema
from analytics.lake.lake import PART, Lake, realm_directory
from analytics.sql import Row
from analytics.storage import is_same_file, typed_json
from analytics.version import __version__

NAME: Final = "settled-programs.json"
FORMAT: Final = 1
_TABLES: Final = ("definitions", "definition_nodes")


@dataclass(frozen=True, slots=True)
class _Settled:
    """What is remembered of a tenant.

    Attributes:
        digest: Of the rows.
        marks: What tells each of its files, in the order of ``_TABLES``.
    """

    digest: str
    marks: tuple[str, ...]


class SettledPrograms:
    """What the last extraction has remembered.

    Args:
        lake: Where.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._told = _read(lake)

    def holds(self, realm: str | None, rows: Sequence[Row]) -> bool:
        """The tenant's files are there, and were made of these rows alone."""
        told = self._told.get(realm_directory(realm))
        return told is not None and told.digest == digest(rows) and self._are_there(realm_directory(realm), told)

    def own_files(self) -> set[str]:
        """Names of files that are known to be the lake's own: they need not be looked into."""
        return {
            name
            for folder, told in self._told.items()
            if self._are_there(folder, told)
            for name in _names(self._lake, folder)
        }

    def remember(self, made_of: Mapping[str | None, Sequence[Row]]) -> list[str]:
        """Write down whose files were made of what, where that has changed; only under the lock.

        Args:
            made_of: Rows of the tenants that have no others in their files.

        Returns:
            What was in the way, in sentences for a person.
        """
        notes: list[str] = []
        found: dict[str, _Settled] = {}
        for realm, rows in made_of.items():
            folder = realm_directory(realm)
            known = self._told.get(folder)
            known_marks = known.marks if known else ("", "")
            marks = [
                self._lake.storage.identity(name, mark)
                for name, mark in zip(_names(self._lake, folder), known_marks, strict=True)
            ]
            if whole := tuple(filter(None, marks)):
                found[folder] = _Settled(digest(rows), whole)
        found = {folder: told for folder, told in found.items() if len(told.marks) == len(_TABLES)}
        if found != self._told:
            told = {folder: [of.digest, *of.marks] for folder, of in sorted(found.items())}
            text = json.dumps({"format": FORMAT, "tenants": told}, indent=0)
            with derived.skipped_where_blocked(notes):
                self._lake.write_text(self._lake.root / "ledger" / NAME, text + "\n")
            self._told = found
        return notes

    def _are_there(self, folder: str, told: _Settled) -> bool:
        names = _names(self._lake, folder)
        return all(
            is_same_file(mark, self._lake.storage.identity(name, mark))
            for name, mark in zip(names, told.marks, strict=True)
        )


def digest(rows: Iterable[Row]) -> str:
    """Of rows as the lake holds them, and of how files are made of them."""
    ordered = sorted(([*row.items()] for row in rows), key=repr)
    shapes = (schema.definition_schema().names, schema.definition_node_schema().names)
    return hashlib.sha256(repr((__version__, shapes, ordered)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _names(lake: Lake, folder: str) -> list[str]:
    return [f"{lake.root}/{table}/{folder}/{PART}" for table in _TABLES]


def _read(lake: Lake) -> dict[str, _Settled]:
    """Nothing where nothing was written down, or where it cannot be read."""
    try:
        data = typed_json.document((lake.root / "ledger" / NAME).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return {}
        found = {folder: typed_json.texts(told) for folder, told in typed_json.fields(data["tenants"]).items()}
    except (OSError, *typed_json.WRONG):
        return {}
    return {
        folder: _Settled(told[0], tuple(told[1:]))
        for folder, told in found.items()
        if len(told) == 1 + len(_TABLES) and "/" not in folder
    }
