"""Tenants whose programs need no comparing: the source has the rows that their files were made of, and the files are those.

An extraction compares the programs of all tenants, whatever it reads of their runs, and nearly all are as they were an hour ago.
So it remembers of each tenant a digest of the rows its two files were made of, and what tells the files from any other. That is
derived: where it is lost or does not fit, the files are read and compared. Of a tenant with versions that the source has deleted
their keys are remembered, too: it is compared again once one of them is somebody's at the source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from analytics.lake import derived, schema
from analytics.lake.lake import PART, Lake, realm_directory
from analytics.sql import Row
from analytics.storage import is_same_file, typed_json
from analytics.storage.typed_json import Json
from analytics.version import __version__

NAME: Final = "settled-programs.json"
FORMAT: Final = 2
_TABLES: Final = ("definitions", "definition_nodes", "program_history")
_MAY_LACK: Final = 2
"""The place of the table that a tenant may have no file of."""

Key: TypeAlias = tuple[str, int]
"""A version of a program: its strategy's id, and its number."""


@dataclass(frozen=True, slots=True)
class _Settled:
    """What is remembered of a tenant.

    Attributes:
        digest: Of the rows.
        marks: What tells each of its files, in the order of ``_TABLES``; empty where it has none.
        deleted: Versions in its files that the source has no more.
    """

    digest: str
    marks: tuple[str, ...]
    deleted: tuple[Key, ...] = ()


class SettledPrograms:
    """What the last extraction has remembered.

    Args:
        lake: Where.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._told = _read(lake)

    def holds(self, realm: str | None, rows: Sequence[Row]) -> bool:
        """The tenant's files are there, and were made of these rows, of versions since deleted, and of what is kept."""
        told = self._told.get(realm_directory(realm))
        return told is not None and told.digest == digest(rows) and self._are_there(realm_directory(realm), told)

    def deleted(self, realm: str | None) -> tuple[Key, ...]:
        """Versions in the tenant's files that the source had no more."""
        told = self._told.get(realm_directory(realm))
        return told.deleted if told else ()

    def has_kept(self, realm: str | None) -> bool:
        """The tenant has deleted versions, or what is kept of others."""
        told = self._told.get(realm_directory(realm))
        return told is not None and bool(told.deleted or told.marks[_MAY_LACK])

    def own_files(self) -> set[str]:
        """Names of files that are known to be the lake's own: they need not be looked into."""
        return {
            name
            for folder, told in self._told.items()
            if self._are_there(folder, told)
            for name, mark in zip(_names(self._lake, folder), told.marks, strict=True)
            if mark
        }

    def remember(
        self, made_of: Mapping[str | None, Sequence[Row]], deleted: Mapping[str | None, Iterable[Key]]
    ) -> list[str]:
        """Write down whose files were made of what, where that has changed; only under the lock.

        Args:
            made_of: Rows of the source, by tenant.
            deleted: Versions in their files besides.

        Returns:
            What was in the way, in sentences for a person.
        """
        notes: list[str] = []
        found: dict[str, _Settled] = {}
        for realm, rows in made_of.items():
            folder = realm_directory(realm)
            known = self._told.get(folder)
            known_marks = known.marks if known else ("",) * len(_TABLES)
            marks = [
                self._lake.storage.identity(name, mark) or ""
                for name, mark in zip(_names(self._lake, folder), known_marks, strict=True)
            ]
            if all(marks[:_MAY_LACK]):
                found[folder] = _Settled(digest(rows), tuple(marks), tuple(sorted(deleted.get(realm, ()))))
        if found != self._told:
            told = {folder: [of.digest, [*of.marks], [[*key] for key in of.deleted]] for folder, of in found.items()}
            text = json.dumps({"format": FORMAT, "tenants": dict(sorted(told.items()))}, indent=0)
            with derived.skipped_where_blocked(notes):
                self._lake.write_text(self._lake.root / "ledger" / NAME, text + "\n")
            self._told = found
        return notes

    def _are_there(self, folder: str, told: _Settled) -> bool:
        names = _names(self._lake, folder)
        return all(self._is_there(name, mark) for name, mark in zip(names, told.marks, strict=True))

    def _is_there(self, name: str, mark: str) -> bool:
        if not mark:
            return not self._lake.is_file(name)
        return is_same_file(mark, self._lake.storage.identity(name, mark))


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
        tenants = typed_json.fields(data["tenants"])
        return {folder: _settled(told) for folder, told in tenants.items() if "/" not in folder}
    except (OSError, *typed_json.WRONG):
        return {}


def _settled(told: Json) -> _Settled:
    made_of, marks, deleted = typed_json.listed(told)
    names = tuple(typed_json.texts(marks))
    if len(names) != len(_TABLES) or not all(names[:_MAY_LACK]):
        raise ValueError("it tells of other files")
    keys = [typed_json.listed(key) for key in typed_json.listed(deleted)]
    versions = tuple((typed_json.text(strategy), typed_json.whole(number)) for strategy, number in keys)
    return _Settled(typed_json.text(made_of), names, versions)
