"""The snapshot of ``strategydefinition`` in the lake, and the flattened programs beside it.

Definitions can be hard-deleted at the source while their runs remain in the log, so a version once seen stays in the lake,
marked ``is_deleted``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from analytics.lake import program_history, schema
from analytics.lake.lake import Lake
from analytics.lake.program_history import Protect, present, replace_if_changed
from analytics.program import walk
from analytics.sql import Row

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the lake's definitions.

    Attributes:
        replaced: How many realms' files; 0 when nothing changed.
        edited: Versions whose program is another than the lake had: names and numbers.
        moved: Versions that belong to another tenant than before.
    """

    replaced: int
    edited: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What a person should know, in sentences."""
        said = []
        if self.edited:
            said.append(
                f"{_versions(self.edited)} edited in place at the source since the last extraction; the program before is kept, "
                "and a run is explained by the one that gives it again"
            )
        if self.moved:
            said.append(
                f"{_versions(self.moved)} moved to another realm at the source; runs of the one before keep the program"
            )
        return said


def write(
    lake: Lake,
    rows: list[Row],
    workspace: Path,
    protect: Protect = dict,
    unread: Collection[str] = (),
    used: Mapping[str | None, Collection[str]] = MappingProxyType({}),
) -> WriteResult:
    """Make the lake's definitions equal to ``rows``, keeping versions the source has deleted, and what others were before.

    Args:
        lake: Where.
        rows: As ``Source.definitions`` gives them: every value text, an integer or ``None``.
        workspace: Folder for files on their way.
        protect: A row without ids that the lake may not hold; also applied to versions that only the lake has.
        unread: Columns that could not be read: what was known of them stays.
        used: Ids of the strategies that runs of each tenant name, as far as they came in just now.
    """
    current = {(row["strategy_id"], row["strategy_version"]): protect(_typed(row)) for row in rows}
    merged = dict(current)
    history = program_history.History(lake, protect)
    happened: dict[str | None, list[str]] = defaultdict(list)
    for path in lake.files("definitions"):
        for old in present(lake.place(path), schema.definition_schema()).to_pylist():
            key = (old["strategy_id"], old["strategy_version"])
            if key in current:
                merged[key] = protect({**current[key], **{name: old[name] for name in unread}})
                happened[history.notice(old, merged[key])].append(f"{ascii(old['name'])[1:-1]} v{key[1]}")
            else:
                merged[key] = protect({**old, "is_deleted": True})
    by_realm: defaultdict[str | None, list[Row]] = defaultdict(list)
    by_id: defaultdict[str, list[Row]] = defaultdict(list)
    for row in merged.values():
        by_realm[row["realm_id"]].append(row)
        by_id[row["strategy_id"]].append(row)
    for realm, ids in used.items():
        for row in (row for strategy in ids for row in by_id.get(strategy, ()) if row["realm_id"] != realm):
            history.lend(realm, row)
    history.write(workspace)  # first: a run that dies behind it notices the same again
    replaced = 0
    for realm in by_realm.keys() | history.realms:
        own = by_realm.get(realm, [])
        replaced += _put(
            lake, realm, own, workspace, history.lent(realm, {(r["strategy_id"], r["strategy_version"]) for r in own})
        )
    # A realm whose last program went to another realm.
    for table, realms in (("definitions", by_realm.keys()), ("definition_nodes", by_realm.keys() | history.realms)):
        there = {lake.realm_path(table, realm) for realm in realms}
        for left in {lake.place(name) for name in lake.files(table)} - there:
            lake.remove(left)
    return WriteResult(
        replaced, tuple(sorted(happened[program_history.EDITED])), tuple(sorted(happened[program_history.MOVED]))
    )


def protect(lake: Lake, realm: str | None, change: Protect, workspace: Path) -> bool:
    """Write a tenant's definitions once more, each as ``change`` has it, and what is kept of earlier ones.

    Returns:
        Whether one was another then.
    """
    is_changed = program_history.protect(lake, realm, change, workspace)
    kept = program_history.History(lake, dict)
    path = lake.realm_path("definitions", realm)
    rows = [change(row) for row in present(path, schema.definition_schema()).to_pylist()] if path.is_file() else []
    lent = kept.lent(realm, {(row["strategy_id"], row["strategy_version"]) for row in rows})
    if not rows and not lent:
        return is_changed
    return _put(lake, realm, rows, workspace, lent) or is_changed


def flatten_program(definition: Row) -> list[Row]:
    """One row per node of a definition's program, in walk order; none when the stored AST is no program."""
    try:
        program = json.loads(definition["ast_json"] or "null")
    except (ValueError, RecursionError):
        return []
    names = [field.name for field in schema.definition_node_schema()]
    head = {
        "strategy_id": definition["strategy_id"],
        "strategy_version": definition["strategy_version"],
        "realm_id": definition["realm_id"],
        "family_name": definition["name"],
    }
    return [{name: head[name] if name in head else getattr(node, name) for name in names} for node in walk(program)]


def _put(lake: Lake, realm: str | None, rows: list[Row], workspace: Path, lent: list[Row]) -> bool:
    rows.sort(key=_order)
    nodes = [node for row in sorted([*rows, *lent], key=_order) for node in flatten_program(row)]
    # The nodes first: they are made from the definitions, and whether those have changed is what a next run asks.
    replace_if_changed(lake, "definition_nodes", realm, nodes, schema.definition_node_schema(), workspace)
    return bool(rows) and replace_if_changed(lake, "definitions", realm, rows, schema.definition_schema(), workspace)


def _order(row: Row) -> tuple[str, int, str]:
    return row["name"] or "", row["strategy_version"] or 0, row["strategy_id"]


def _versions(names: Sequence[str]) -> str:
    some = ", ".join(names[:_MOST_NAMED]) + ", …" * (len(names) > _MOST_NAMED)
    return f"{len(names)} version{'s' * (len(names) != 1)} of programs ({some}) {'were' if len(names) != 1 else 'was'}"


def _typed(row: Row) -> Row:
    typed = dict(row, is_deleted=False)
    for name in ("published_at", "created_at", "updated_at"):
        typed[name] = _time(row[name])
    return typed


def _time(text: str | None) -> datetime | None:
    # A year BC or beyond 9999 says nothing about a program; Python's clock cannot hold it.
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
