"""Every content of a program that was seen, by hash and time, and the tables of a realm in which that is kept.

A version that is edited in place leaves runs of two programs under one id, and a tenant that is renamed leaves runs whose
programs belong to another name. Both are noticed when the lake's definitions change, and what was there before is kept. Where
runs of a tenant name a program that the source has under another one only, that program is kept for the tenant too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from analytics.errors import LakeFormatError
from analytics.lake import schema
from analytics.lake.lake import REALM_TABLES, Lake, realm_directory
from analytics.sql import Row
from analytics.storage import LakePath, readable, typed_json

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
NAME = "programs.json"


def remember(lake: Lake) -> None:
    """Write down which there are, where that has changed; only under the lock."""
    there = _there(lake)
    if there != _remembered(lake):
        lake.write_text(_path(lake), json.dumps({"format": FORMAT, "files": sorted(there)}, indent=1) + "\n")


def lost(lake: Lake, realms: Collection[str | None] | None = None) -> list[str]:
    """Files that should be there and are not, by their way from the lake's root.

    Args:
        lake: Where.
        realms: Only of these tenants; of all when not given.
    """
    told = _remembered(lake)
    own = None if realms is None else {realm_directory(realm) for realm in realms}
    if own is None and told:
        for table in REALM_TABLES:
            lake.look_into(table)
    wanted = {name for name in told if own is None or name.split("/")[1] in own}
    return sorted(name for name in wanted if not lake.size(f"{lake.root}/{name}"))


def words(names: Collection[str]) -> str:
    """What is lost, in a sentence without its full stop; empty for nothing."""
    if not names:
        return ""
    first = min(names)
    return (
        f"{len(names)} file{'s' * (len(names) != 1)} of programs {'is' if len(names) == 1 else 'are'} lost, {first} the first; "
        "versions that the source has deleted, and what was edited in place, may be in a backup only"
    )


REPAIR = "put the files back from a backup and extract once more, which merges them; without one, extract reads what the source has"


def _there(lake: Lake) -> set[str]:
    cut = len(f"{lake.root}/")
    return {name[cut:] for table in REALM_TABLES for name in lake.files(table) if lake.size(name)}


def _remembered(lake: Lake) -> set[str]:
    """What was written down last; nothing where nothing was, or where it cannot be read."""
    try:
        data = json.loads(_path(lake).read_text(encoding="utf-8"))
        typed_json.refuse_newer(data, FORMAT, _path(lake))
        names = {typed_json.text(name) for name in data["files"]}
        return {
            name for name in names if name.split("/")[0] in REALM_TABLES and name.count("/") == 2 and ".." not in name
        }
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, RecursionError):
        return set()


def _path(lake: Lake) -> LakePath:
    return lake.root / "ledger" / NAME


def present(path: LakePath, table_schema: pa.Schema) -> pa.Table:
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


def replace_if_changed(
    lake: Lake, table: str, realm: str | None, rows: list[Row], table_schema: pa.Schema, workspace: Path
) -> bool:
    """Put a tenant's rows in their place.

    Returns:
        Whether they are others than before.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = lake.realm_path(table, realm)
    fresh = pa.Table.from_pylist(rows, schema=table_schema)
    if target.is_file() and present(target, table_schema).equals(fresh):
        return False
    staged = workspace / f"{table}.tmp"
    pq.write_table(fresh, staged, compression="zstd")
    lake.replace(staged, target)
    return True


TABLE: Final = "program_history"
EDITED: Final = "edited"
MOVED: Final = "moved"
ELSEWHERE: Final = "elsewhere"
_CONTENT: Final = ("ast_json", "parent_strategy_id", "strategy_type")

Key: TypeAlias = tuple[str, int]
Protect: TypeAlias = Callable[[Row], Row]


def content_hash(row: Row) -> str:
    """Of everything that decides what a version pays, whatever the spelling of its JSON."""
    try:
        program = json.dumps(json.loads(row["ast_json"] or "null"), sort_keys=True)
    except (ValueError, RecursionError):
        program = row["ast_json"]
    told = [program, row["parent_strategy_id"], row["strategy_type"]]
    return hashlib.sha256(json.dumps(told).encode("utf-8", "surrogatepass")).hexdigest()


class History:
    """What is kept of a lake, tenant by tenant.

    Args:
        lake: Where.
        protect: A row without ids that the lake may not hold.
    """

    def __init__(self, lake: Lake, protect: Protect) -> None:
        self._lake, self._protect = lake, protect
        self._rows: defaultdict[str | None, list[Row]] = defaultdict(list)
        self._now = datetime.now(UTC).replace(microsecond=0)
        for name in lake.files(TABLE):
            for row in present(lake.place(name), schema.program_history_schema()).to_pylist():
                self._rows[row["realm_id"]].append({**row, **protect(_definition(row))})

    def notice(self, before: Row, after: Row) -> str | None:
        """Keep a version as it was where it is another now.

        Args:
            before: As the lake has it.
            after: As the source has it, without ids that the lake may not hold.

        Returns:
            What happened to it: ``edited`` or ``moved``; ``None`` for nothing.
        """
        is_moved = before["realm_id"] != after["realm_id"]
        if not is_moved and all(before[name] == after[name] for name in _CONTENT):
            return None
        before = self._protect(before)
        if not is_moved and content_hash(before) == content_hash(after):
            return None
        self._keep(before, MOVED if is_moved else EDITED)
        return MOVED if is_moved else EDITED

    def lend(self, realm: str | None, definition: Row) -> None:
        """Keep a program for a tenant whose runs name it although it belongs to another."""
        lent = {**definition, "realm_id": realm, "created_by": None}  # who wrote it is of the other tenant
        kept = [row for row in self._rows[realm] if _key(row) == _key(lent) and row["reason"] != EDITED]
        if any(row["reason"] == MOVED or row["content_hash"] == content_hash(lent) for row in kept):
            return
        for row in kept:
            row["reason"] = EDITED
        self._keep(lent, ELSEWHERE)

    def lent(self, realm: str | None, own: Collection[Key]) -> list[Row]:
        """What stands among a tenant's definitions although it is of another one now; without its own."""
        latest: dict[Key, Row] = {}
        for row in sorted(self._rows.get(realm, ()), key=_order):
            if row["reason"] != EDITED and _key(row) not in own:
                latest[_key(row)] = row
        return list(latest.values())

    @property
    def realms(self) -> set[str | None]:
        """Tenants of which something is kept."""
        return {realm for realm, rows in self._rows.items() if rows}

    def write(self, workspace: Path) -> None:
        """Put what is kept in its place."""
        for realm in self.realms:
            rows = sorted(self._rows[realm], key=_order)
            replace_if_changed(self._lake, TABLE, realm, rows, schema.program_history_schema(), workspace)

    def _keep(self, row: Row, reason: str) -> None:
        kept = {**_definition(row), "reason": reason, "replaced_at": self._now, "content_hash": content_hash(row)}
        rows = self._rows[row["realm_id"]]
        # The same content once more, after another one: the time that it was there last.
        same = [one for one in rows if _identity(one) == _identity(kept)]
        for one in same:
            rows.remove(one)
        rows.append(kept)


def protect(lake: Lake, realm: str | None, change: Protect, workspace: Path) -> bool:
    """Write what is kept of a tenant once more, each row as ``change`` has it.

    Returns:
        Whether one was another then.
    """
    path = lake.realm_path(TABLE, realm)
    if not path.is_file():
        return False
    shape = schema.program_history_schema()
    rows = [{**row, **change(_definition(row))} for row in present(path, shape).to_pylist()]
    return replace_if_changed(lake, TABLE, realm, rows, shape, workspace)


def _definition(row: Row) -> Row:
    return {name: row[name] for name in schema.definition_schema().names}


def _key(row: Row) -> Key:
    return row["strategy_id"], row["strategy_version"]


def _identity(row: Row) -> tuple[Key, str, str]:
    return _key(row), row["content_hash"], row["reason"]


def _order(row: Row) -> tuple[datetime, str, int, str, str]:
    return row["replaced_at"], row["strategy_id"], row["strategy_version"] or 0, row["content_hash"], row["reason"]
