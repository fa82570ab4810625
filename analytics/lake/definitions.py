"""The snapshot of ``strategydefinition`` in the lake, the flattened programs beside it, and every content that was seen.

Definitions can be hard-deleted at the source while their runs remain in the log, so a version once seen stays in the lake,
marked ``is_deleted``. A version that is edited in place leaves runs of two programs under one id, and a tenant that is renamed
leaves runs whose programs belong to another name. Both are noticed when the lake's definitions change, and what was there
before is kept, by hash and time. Where runs of a tenant name a program that the source has under another one only, that program
is kept for the tenant too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from analytics.errors import LakeFormatError
from analytics.lake import schema
from analytics.lake.lake import REALM_TABLES, Lake, realm_directory
from analytics.lake.settled_programs import SettledPrograms
from analytics.program import walk
from analytics.sql import Row
from analytics.storage import LakePath, readable, typed_json

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
NAME = "programs.json"


def remember_files(lake: Lake) -> None:
    """Write down which there are, where that has changed; only under the lock."""
    there = _there(lake)
    if there != _remembered(lake):
        lake.write_text(_path(lake), json.dumps({"format": FORMAT, "files": sorted(there)}, indent=1) + "\n")


def lost_files(lake: Lake, realms: Collection[str | None] | None = None) -> list[str]:
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


def lost_words(names: Collection[str]) -> str:
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
                hint="upgrade this installation to the version that writes the lake",
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
        settled: Tenants whose files are not read: nothing becomes of what is kept of them.
    """

    def __init__(self, lake: Lake, protect: Protect, settled: Iterable[str | None] = ()) -> None:
        self._lake, self._protect = lake, protect
        self._rows: defaultdict[str | None, list[Row]] = defaultdict(list)
        self._now = datetime.now(UTC).replace(microsecond=0)
        for name in {*lake.files(TABLE)} - {str(lake.realm_path(TABLE, realm)) for realm in settled}:
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
        for row in sorted(self._rows.get(realm, ()), key=_history_order):
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
            rows = sorted(self._rows[realm], key=_history_order)
            replace_if_changed(self._lake, TABLE, realm, rows, schema.program_history_schema(), workspace)

    def _keep(self, row: Row, reason: str) -> None:
        kept = {**_definition(row), "reason": reason, "replaced_at": self._now, "content_hash": content_hash(row)}
        rows = self._rows[row["realm_id"]]
        # The same content once more, after another one: the time that it was there last.
        same = [one for one in rows if _identity(one) == _identity(kept)]
        for one in same:
            rows.remove(one)
        rows.append(kept)


def protect_history(lake: Lake, realm: str | None, change: Protect, workspace: Path) -> bool:
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


def _history_order(row: Row) -> tuple[datetime, str, int, str, str]:
    return row["replaced_at"], row["strategy_id"], row["strategy_version"] or 0, row["content_hash"], row["reason"]


_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the lake's definitions.

    Attributes:
        replaced: How many realms' files; 0 when nothing changed.
        edited: Versions whose program is another than the lake had: names and numbers.
        moved: Versions that belong to another tenant than before.
        blocked: What was in the way of files that are made of others, in sentences.
    """

    replaced: int
    edited: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What a person should know, in sentences."""
        said = [*self.blocked]
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
    protect: Protect | None = None,
    unread: Collection[str] = (),
    used: Mapping[str | None, Collection[str]] = MappingProxyType({}),
) -> WriteResult:
    """Make the lake's definitions equal to ``rows``, keeping versions the source has deleted, and what others were before.

    Args:
        lake: Where.
        rows: As ``Source.definitions`` gives them: every value text, an integer or ``None``.
        workspace: Folder for files on their way.
        protect: A row without ids that the lake may not hold; also applied to versions that only the lake has. Rows stay as they
            are when not given.
        unread: Columns that could not be read: what was known of them stays.
        used: Ids of the strategies that runs of each tenant name, as far as they came in just now.
    """
    keep_kept, protect = protect is None, protect or dict
    current = {(row["strategy_id"], row["strategy_version"]): protect(_typed(row)) for row in rows}
    settled, sent = SettledPrograms(lake), _grouped(current.values(), "realm_id")
    equal = set() if unread else _equal(settled, current, sent, used, keep_kept=keep_kept)
    while True:
        history = History(lake, protect, equal)
        merged, happened = _merged(lake, current, history, equal, protect, unread)
        by_realm, by_id = (_grouped(merged.values(), column) for column in ("realm_id", "strategy_id"))
        # Nothing may be lent to a tenant of whom is not known what is kept already.
        late = {realm for realm in equal if any(_of_others(realm, used.get(realm, ()), by_id))}
        if not late:
            break
        equal -= late
    for realm, ids in used.items():
        for row in _of_others(realm, ids, by_id):
            history.lend(realm, row)
    history.write(workspace)  # first: a run that dies behind it notices the same again
    replaced = 0
    for realm in (by_realm.keys() - equal) | history.realms:
        own = by_realm.get(realm, [])
        replaced += _put(
            lake, realm, own, workspace, history.lent(realm, {(r["strategy_id"], r["strategy_version"]) for r in own})
        )
    # A realm whose last program went to another realm.
    for table, realms in (("definitions", by_realm.keys()), ("definition_nodes", by_realm.keys() | history.realms)):
        there = {str(lake.realm_path(table, realm)) for realm in realms}
        for left in {*lake.files(table)} - there:
            lake.remove(lake.place(left))
    blocked: list[str] = []
    if not unread:
        deleted = {
            realm: settled.deleted(realm) if realm in equal else {*map(_key, by_realm[realm])} - current.keys()
            for realm in sent
        }
        blocked = settled.remember(sent, deleted)
    return WriteResult(replaced, tuple(sorted(happened[EDITED])), tuple(sorted(happened[MOVED])), tuple(blocked))


def _merged(
    lake: Lake,
    current: Mapping[Key, Row],
    history: History,
    equal: Collection[str | None],
    protect: Protect,
    unread: Collection[str],
) -> tuple[dict[Key, Row], dict[str | None, list[str]]]:
    """The source's rows with those that only the lake has, and which were edited or moved; see ``write``.

    Args:
        lake: Where.
        current: The source's rows by key.
        history: Told of what has changed.
        equal: Tenants whose files are not compared.
        protect: A row without ids that the lake may not hold.
        unread: Columns that could not be read.
    """
    merged = dict(current)
    happened: dict[str | None, list[str]] = defaultdict(list)
    to_compare = {*lake.files("definitions")} - {str(lake.realm_path("definitions", realm)) for realm in equal}
    for path in sorted(to_compare):
        for old in present(lake.place(path), schema.definition_schema()).to_pylist():
            key = (old["strategy_id"], old["strategy_version"])
            if key in current:
                merged[key] = protect({**current[key], **{name: old[name] for name in unread}})
                happened[history.notice(old, merged[key])].append(f"{ascii(old['name'])[1:-1]} v{key[1]}")
            else:
                merged[key] = protect({**old, "is_deleted": True})
    return merged, happened


def _of_others(realm: str | None, ids: Iterable[str], by_id: Mapping[str, list[Row]]) -> Iterator[Row]:
    """Programs that a tenant's runs name and that are another's."""
    return (row for strategy in ids for row in by_id.get(strategy, ()) if row["realm_id"] != realm)


def _equal(
    settled: SettledPrograms,
    current: Mapping[Key, Row],
    sent: Mapping[str | None, list[Row]],
    used: Mapping[str | None, Collection[str]],
    *,
    keep_kept: bool,
) -> set[str | None]:
    """Tenants whose files would become what they are.

    Args:
        settled: What is remembered of them.
        current: The source's rows by key.
        sent: The same by tenant.
        used: Ids of strategies that runs name.
        keep_kept: What only the lake has stays as it is.
    """
    equal = {realm for realm in sent if settled.holds(realm, sent[realm])}
    if not keep_kept:  # who is taken out of it may be known only now
        return {realm for realm in equal if not settled.has_kept(realm)}
    equal = {realm for realm in equal if not any(key in current for key in settled.deleted(realm))}
    # A deleted program that another tenant's runs name must be at hand, to be lent.
    named = {strategy: realm for realm, ids in used.items() for strategy in ids}
    many = {strategy for realm, ids in used.items() for strategy in ids if named[strategy] != realm}
    return {
        realm
        for realm in equal
        if not any(key[0] in many or named.get(key[0], realm) != realm for key in settled.deleted(realm))
    }


def _grouped(rows: Iterable[Row], column: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def protect(lake: Lake, realm: str | None, change: Protect, workspace: Path) -> bool:
    """Write a tenant's definitions once more, each as ``change`` has it, and what is kept of earlier ones.

    Returns:
        Whether one was another then.
    """
    is_changed = protect_history(lake, realm, change, workspace)
    kept = History(lake, dict)
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
