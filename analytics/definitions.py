"""The snapshot of ``strategydefinition`` in the lake, and the flattened programs beside it.

Definitions can be hard-deleted at the source while their runs remain in the log, so a version once seen stays in the lake,
marked ``is_deleted``.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import schema
from analytics.errors import LakeFormatError
from analytics.lake import Lake
from analytics.object_store import LakePath, readable
from analytics.program import walk

if TYPE_CHECKING:
    import pyarrow as pa


def write(
    lake: Lake,
    rows: list[dict[str, Any]],
    workspace: Path,
    protect: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    unread: Collection[str] = (),
) -> int:
    """Make the lake's definitions equal to ``rows``, keeping versions the source has deleted.

    Args:
        lake: Where.
        rows: As ``Source.definitions`` gives them: every value text, an integer or ``None``.
        workspace: Folder for files on their way.
        protect: A row without ids that the lake may not hold; also applied to versions that only the lake has.
        unread: Columns that could not be read: what was known of them stays.

    Returns:
        How many realms' files were replaced; 0 when nothing changed.
    """
    current = {(row["strategy_id"], row["strategy_version"]): protect(_typed(row)) for row in rows}
    merged = dict(current)
    for path in lake.files("definitions"):
        for old in _present(lake.place(path), schema.definition_schema()).to_pylist():
            key = (old["strategy_id"], old["strategy_version"])
            if key in current:
                merged[key] = protect({**current[key], **{name: old[name] for name in unread}})
            else:
                merged[key] = protect({**old, "is_deleted": True})
    by_realm: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in merged.values():
        by_realm[row["realm_id"]].append(row)
    replaced = 0
    for realm, realm_rows in by_realm.items():
        replaced += _put(lake, realm, realm_rows, workspace)
    # A realm whose last program went to another realm.
    present = {lake.realm_path("definitions", realm) for realm in by_realm}
    for left in {lake.place(name) for name in lake.files("definitions")} - present:
        lake.remove(left)
        lake.remove(lake.root / "definition_nodes" / left.parent.name / left.name)
    return replaced


def protect(lake: Lake, realm: str | None, change: Callable[[dict[str, Any]], dict[str, Any]], workspace: Path) -> bool:
    """Write a tenant's definitions once more, each as ``change`` has it.

    Returns:
        Whether one was another then.
    """
    path = lake.realm_path("definitions", realm)
    if not path.is_file():
        return False
    rows = [change(row) for row in _present(path, schema.definition_schema()).to_pylist()]
    return _put(lake, realm, rows, workspace)


def flatten_program(definition: dict[str, Any]) -> list[dict[str, Any]]:
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


def _put(lake: Lake, realm: str | None, rows: list[dict[str, Any]], workspace: Path) -> bool:
    rows.sort(key=lambda row: (row["name"] or "", row["strategy_version"] or 0, row["strategy_id"]))
    nodes = [node for row in rows for node in flatten_program(row)]
    # The nodes first: they are made from the definitions, and whether those have changed is what a next run asks.
    _replace_if_changed(lake, "definition_nodes", realm, nodes, schema.definition_node_schema(), workspace)
    return _replace_if_changed(lake, "definitions", realm, rows, schema.definition_schema(), workspace)


def _typed(row: dict[str, Any]) -> dict[str, Any]:
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


def _replace_if_changed(
    lake: Lake, table: str, realm: str | None, rows: list[dict[str, Any]], table_schema: pa.Schema, workspace: Path
) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = lake.realm_path(table, realm)
    fresh = pa.Table.from_pylist(rows, schema=table_schema)
    if target.is_file() and _present(target, table_schema).equals(fresh):
        return False
    staged = workspace / f"{table}.tmp"
    pq.write_table(fresh, staged, compression="zstd")
    lake.replace(staged, target)
    return True


def _present(path: LakePath, table_schema: pa.Schema) -> pa.Table:
    """A file as it lies in the lake; a damaged or foreign one counts as empty, and is replaced.

    Raises:
        LakeFormatError: It holds everything that is known, and more: a newer version has written it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.suppress(pa.ArrowInvalid, OSError):
        found = pq.ParquetFile(readable(path)).read()
        if found.schema.equals(table_schema):
            return found
        if set(found.schema.names) > set(table_schema.names):
            raise LakeFormatError(
                f"{path} has columns that this version of strategy-analytics does not know: a newer version has written this "
                "lake; nothing was changed",
                hint="upgrade this installation to the version that writes the lake: pip install --upgrade strategy-analytics",
            )
    return table_schema.empty_table()
