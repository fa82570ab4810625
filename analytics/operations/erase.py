"""Erase a person: rewrite exactly the partitions that hold them, and keep them from coming back.

The tombstone is written first (``privacy.tombstones``): from then on no extraction brings a row of theirs. It is the journal too:
before a partition's files are replaced it says what they were, what they become and the ledger's new entry. Rollup, rows, ledger
follow in this order, so that whatever a killed run has left, the next one can tell by the rows' file how far it came.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.errors import ConfigurationError, DamagedFileError, LakeError, UnknownNameError, UsageError
from analytics.extraction import day_files, resurfaced
from analytics.extraction.day_files import DayCompactor
from analytics.extraction.privacy import prepare, tombstones
from analytics.extraction.privacy.policy import Policy, PseudonymKey, is_pseudonym
from analytics.extraction.privacy.row_filter import KnownIds, PrivacyContext, json_escaped, protect_definition
from analytics.extraction.privacy.tombstones import ErasedIndex, Tombstone, digest_of, is_distinctive
from analytics.extraction.resurfaced import Newest
from analytics.extraction.rewrite_partition import RewriteResult, put, rewrite
from analytics.lake import definitions, ledger
from analytics.lake.foreign_files import FOLDER as SET_ASIDE
from analytics.lake.lake import Lake
from analytics.model import DayRecord, Partition, PartitionInfo
from analytics.sql import Row
from analytics.storage import LakePath, readable, storage_of
from analytics.storage.typed_json import Json
from analytics.version import __version__
from analytics.warehouse import damage
from analytics.warehouse.damage import DamagedFile
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

_REPORT_SUFFIXES = (".html", ".ipynb", ".json", ".csv", ".txt")


@dataclass(frozen=True, slots=True)
class PersonRows:
    """A partition that holds something of a person.

    Attributes:
        realm, day: Which partition.
        theirs: Logged runs of theirs.
        as_caller: Others' runs for which they called the engine.
        naming: Other rows with a text or recorded value that contains their id.
        first_at, last_at: Of the runs, UTC; ``None`` where rows only name them or have no time.
    """

    realm: str | None
    day: date | None
    theirs: int
    as_caller: int
    naming: int
    first_at: datetime | None
    last_at: datetime | None


class Person:
    """A person.

    Args:
        lake: Where.
        user: Their id as the log has it, or a pseudonym.
        policy: With the key that the lake's pseudonyms were made with, where there is one.

    Attributes:
        unread: Files that the last answer does not know, because they cannot be read: it is no complete one.

    Raises:
        UsageError: No id was given.
        LakeError: There is no lake in that folder.
        ConfigurationError: The lake holds pseudonyms, and the key is not there.
    """

    def __init__(self, lake: Lake, user: str, policy: Policy) -> None:
        if not user.strip():
            raise UsageError("no user was named", hint="give the id as the log has it, or the pseudonym")
        lake.ensure_there()
        keys = prepare.known_keys(lake)
        known = keys.used[0] if keys.problem else keys.key_id
        found = policy.key.key_id if policy.key else ""
        if known and known != found and not is_pseudonym(user):
            raise ConfigurationError(
                f"the lake holds pseudonyms of the key {known}, and "
                + (f"the one configured is {found}" if found else "none is configured")
                + ": nobody can say which is theirs",
                hint="set ANALYTICS_PSEUDONYM_KEY_FILE to that key's file, or give the pseudonym itself",
            )
        self.lake, self.user, self.key = lake, user, policy.key
        self.unread: tuple[DamagedFile, ...] = ()

    def names(self, realm: str | None) -> list[str]:
        """What the lake's rows of a tenant may call them: the id, and its pseudonym where there is a key."""
        if self.key is None or is_pseudonym(self.user):
            return [self.user]
        return [self.user, self.key.pseudonym(realm, self.user)]

    def looked_for(self, realm: str | None) -> list[str]:
        """Those of the names that cannot stand inside a text by chance."""
        return [name for name in self.names(realm) if is_distinctive(name)]

    def find(self, realms: Sequence[str | None]) -> list[PersonRows]:
        """The partitions that hold something of them, each looked at row by row."""
        if not realms:
            return []
        return [PersonRows(*row.values()) for row in self._ask("found", realms).to_pylist()]

    def rows(self, realms: Sequence[str | None]) -> pa.Table:
        """Their logged runs, with every column of ``executions``."""
        return self._ask("rows", realms)

    def elsewhere(self, realms: Iterable[str | None], reports: Path | None) -> tuple[list[LakePath], int]:
        """Files that name them and are not the lake's data.

        Args:
            realms: Whose pseudonyms of them count.
            reports: Folder of rendered reports.

        Returns:
            Rendered reports, and files that extractions have set aside; and how many of the latter could not be looked into.
        """
        names = {name for realm in realms for name in self.looked_for(realm)}
        needles = {form for name in names for form in (name.encode(), json_escaped(name))}
        found, unread = [], 0
        for path in self.lake.storage.files_below(self.lake.root / SET_ASIDE):
            told = _parquet_text(path)
            unread += told is None
            if told and any(needle in told for needle in needles):
                found.append(path)
        found += (
            path
            for path in (storage_of(reports).files_below(reports) if reports else ())
            if path.name.endswith(_REPORT_SUFFIXES) and any(needle in path.read_bytes() for needle in needles)
        )
        return found, unread

    def _ask(self, name: str, realms: Sequence[str | None]) -> pa.Table:
        import pyarrow as pa

        everybody = set(realms) >= set(self.lake.realms())
        opened = Warehouse(self.lake, realms=None if everybody else list(realms))
        rows: list[Row] = [
            {
                "realm_id": realm,
                "names": self.names(realm),
                "needles": sorted(
                    {form for name in self.looked_for(realm) for form in (name, json_escaped(name).decode())}
                ),
            }
            for realm in realms
        ]
        listed = pa.list_(pa.string())
        shape = pa.schema([("realm_id", pa.string()), ("names", listed), ("needles", listed)])
        sought = pa.Table.from_pylist(rows, shape)

        def found(lake: Warehouse) -> pa.Table:
            lake.connection.register("sought", sought)
            return lake.ask(lambda: lake.connection.sql(sql.text("people", name)).to_arrow_table())

        gone, unread = (
            damage.not_there(self.lake, opened.records(), realms, opened.files["executions"]),
            list[DamagedFile](),
        )
        try:
            answer = found(opened)
        except DamagedFileError:
            sound, unread = opened.sound()
            answer = found(sound)
        self.unread = (*gone, *unread)
        return answer


def _parquet_text(path: LakePath) -> bytes | None:
    """What a Parquet file holds, as text; ``None`` for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return str(pq.ParquetFile(readable(path)).read().to_pylist()).encode("utf-8", "surrogateescape")
    except (pa.ArrowException, OSError):
        return None


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What an erasure did, over all its runs.

    Attributes:
        tombstone: File in the lake that keeps them from coming back.
        partitions: Each that was rewritten, as plain values: ``realm_id``, ``day``, ``rows_erased``, ``rows_changed``, and the
            SHA-256 of its files ``before`` and ``after``; ``None`` for a file that there is not.
        definitions: Tenants whose definitions named them.
        elsewhere: Files that still name them and are not the lake's data: rendered reports, files set aside.
        not_looked_into: How many files set aside could not be searched.
        unread: Files of the lake that could not be read: they may still hold the person, and the erasure is not finished.
    """

    tombstone: LakePath
    partitions: tuple[Row, ...]
    definitions: int
    elsewhere: tuple[LakePath, ...]
    not_looked_into: int
    unread: tuple[DamagedFile, ...] = ()

    @property
    def rows_erased(self) -> int:
        """Rows of theirs that were in the lake."""
        return sum(int(entry["rows_erased"]) for entry in self.partitions)

    @property
    def rows_changed(self) -> int:
        """Rows of others that named them."""
        return sum(int(entry["rows_changed"]) for entry in self.partitions)

    def to_dict(self) -> dict[str, Json]:
        """The same facts as plain JSON values."""
        return {
            "tombstone": str(self.tombstone),
            "rows_erased": self.rows_erased,
            "rows_changed": self.rows_changed,
            "partitions": list(self.partitions),
            "realms_with_definitions_changed": self.definitions,
            "files_that_still_name_them": [str(path) for path in self.elsewhere],
            "set_aside_files_not_looked_into": self.not_looked_into,
            "files_that_could_not_be_read": [one.name for one in self.unread],
        }


def erase(
    lake: Lake,
    user: str,
    policy: Policy,
    *,
    realms: Sequence[str | None] = (),
    reports: Path | None = None,
    wait_seconds: float = 0,
) -> ErasureReceipt:
    """Take every row of a person out of the lake, and their id out of the others. Killed at any point, the next call finishes.

    Args:
        lake: One that is there.
        user: Their id as the log has it, or a pseudonym.
        policy: With the lake's pseudonym key, where there is one.
        realms: Only in these tenants; in all, also those that come later, when empty.
        reports: Folder of rendered reports, which is searched and not changed.
        wait_seconds: How long to wait for another run to release the lake.

    Raises:
        UnknownNameError: The lake holds nothing of that tenant.
        LakeError: A partition is not as the ledger says; the others are done.
        LakeLockedError: Another run is writing this lake.
    """
    lake.ensure_there()
    with lake.lock(wait_seconds), lake.workspace() as workspace:
        return _Erasure(lake, Person(lake, user, policy), tuple(realms), workspace).run(reports)


class _Erasure:
    def __init__(self, lake: Lake, subject: Person, realms: tuple[str | None, ...], workspace: Path) -> None:
        known = lake.realms()
        if unknown := [realm for realm in realms if realm not in known]:
            raise UnknownNameError(
                f"the lake holds nothing of realm {unknown[0]!r}",
                hint="`strategy-analytics status --all-realms` lists them",
            )
        self._lake, self._subject, self._workspace = lake, subject, workspace
        self._realms = realms or tuple(known)
        own = tombstones.lake_secret(lake.root)
        erasures = tombstones.read(lake.root, may_lack=True)
        if own is None and (
            old := [tombstone for tombstone in erasures if not tombstone.key_id and "secret_id" not in tombstone.data]
        ):
            raise ConfigurationError(
                "the secret of the lake's tombstones is lost, so that nobody can say whom "
                f"{tombstones.FOLDER}/{old[0].name} is about",
                hint="restore the folder from a backup; if it is lost, delete that file, and erase each of those people again",
            )
        secret = subject.key or own or self._new_secret()
        self._secret = secret
        tombstone = Tombstone(
            digest_of(secret, subject.user),
            subject.key.key_id if subject.key else "",
            realms or None,
            {"partitions": []},
        )
        same = [old for old in erasures if old.name == tombstone.name]
        self._tombstone = (
            same[0] if same else replace(tombstone, data={"version": __version__, "asked_at": _now(), "partitions": []})
        )
        if not subject.key:
            self._tombstone.data["secret_id"] = secret.key_id
        if not is_pseudonym(subject.user):
            self._tombstone.data["length"] = len(subject.user)
        pseudonyms = {name for realm in self._realms for name in subject.names(realm)} - {subject.user}
        self._tombstone.data["names"] = sorted(
            {*self._tombstone.data.get("names", ()), *(digest_of(secret, name) for name in pseudonyms)}
        )
        # The lake may call them by a pseudonym, which the tombstone's hash of the id does not tell.
        named = [
            replace(self._tombstone, digest=digest_of(secret, name), realms=(realm,))
            for realm in self._realms
            for name in subject.names(realm)
        ]
        self._erased = ErasedIndex(named, subject.key, own or secret)
        self._entries: list[dict[str, Any]] = list(self._tombstone.data["partitions"])

    def run(self, reports: Path | None) -> ErasureReceipt:
        lake = self._lake
        self._tombstone.data["finished_at"] = None
        self._record()
        self._finish_the_last()
        stuck: dict[Partition, DamagedFile] = {}
        hits = self._subject.find(self._realms)
        before = {day: lake.recorded(day) for day in {hit.day for hit in hits}}
        for info in [self._info(hit) for hit in hits]:
            try:
                self._rewrite(info)
            except DamagedFileError as error:
                name = self._lake.name("executions", info.partition)
                stuck[info.partition] = damage.of(self._lake, name, error.message)
        broken = self._broken_programs()
        self._day_files(before)
        changed = 0
        for realm in (realm for realm in self._realms if realm not in broken):
            without = functools.partial(protect_definition, self._people(realm))
            changed += definitions.protect(lake, realm, without, self._workspace)
        hits = [hit for hit in self._subject.find(self._realms) if hit.theirs or hit.as_caller]
        left = [hit for hit in hits if Partition(hit.realm, hit.day) not in stuck]
        if left:
            raise LakeError(
                f"{Partition(left[0].realm, left[0].day)} still holds rows of the person",
                hint="run the same erase again; if it stays, report it with this message",
            )
        self._tombstone.data.setdefault("definitions", 0)
        self._tombstone.data["definitions"] += changed
        unread = (*self._subject.unread, *stuck.values(), *(one for found in broken.values() for one in found))
        if not unread:
            self._tombstone.data["finished_at"] = _now()
        self._record()
        resurfaced.take_out(lake, self._subject.key, self._workspace, newest=self._newest())
        elsewhere, closed = self._subject.elsewhere(self._realms, reports)
        return ErasureReceipt(
            lake.root / tombstones.FOLDER / self._tombstone.name,
            tuple(_told(entry) for entry in self._entries),
            int(self._tombstone.data["definitions"]),
            tuple(elsewhere),
            closed,
            unread,
        )

    def _newest(self) -> Newest | None:
        """What the tombstone recognises; ``None`` where somebody's id may be recognised that is not known here."""
        subject, told = self._subject, {*self._tombstone.digests}
        if subject.key and is_pseudonym(subject.user):
            return None  # the id of whom it stands for
        ids = {subject.user, *(name for realm in self._realms for name in subject.names(realm))}
        return Newest(self._tombstone, ids) if told == {digest_of(self._secret, one) for one in ids} else None

    # ---- one partition ---------------------------------------------------------------------------------------------

    def _rewrite(self, info: PartitionInfo) -> None:
        done = rewrite(self._lake, info, self._people(info.partition.realm), self._workspace)
        if not done.excluded and not done.changed:
            return  # the letters of the id, as a part of something else
        self._entries.append(self._entry(info, done))
        self._record()
        put(self._lake, done.files)
        self._settle(self._entries[-1])

    def _entry(self, info: PartitionInfo, done: RewriteResult) -> dict[str, Any]:
        executions, node_days = (self._lake.path(table, info.partition) for table in ("executions", "node_days"))
        fresh = done.files
        return {
            "realm_id": info.partition.realm,
            "day": info.partition.day.isoformat() if info.partition.day else None,
            "rows_erased": done.excluded,
            "rows_changed": done.changed,
            "before": {"executions": _sha256(executions), "node_days": _sha256(node_days)},
            "after": {
                "executions": _sha256(fresh.executions) if fresh.info.row_count else None,
                "node_days": _sha256(fresh.node_days) if fresh.info.row_count and fresh.node_days else None,
            },
            "ledger": ledger.entry(fresh.info),
            "is_done": False,
        }

    def _finish_the_last(self) -> None:
        """A killed run was in the middle of one partition at most, and the file of its rows tells in which half."""
        if not self._entries or self._entries[-1]["is_done"]:
            return
        entry = self._entries[-1]
        partition = Partition(entry["realm_id"], date.fromisoformat(entry["day"]) if entry["day"] else None)
        reached = _sha256(self._lake.path("executions", partition)) == entry["after"]["executions"]
        if reached and self._lake.recorded(partition.day):
            self._settle(entry)
        else:
            self._entries.pop()  # it was not begun, or an extraction has been here since: it is looked at again

    def _settle(self, entry: dict[str, Any]) -> None:
        """Write the ledger's new entry of a partition whose files are in their places."""
        day = date.fromisoformat(entry["day"]) if entry["day"] else None
        info = ledger.info_of(entry["ledger"], day)
        if record := self._lake.recorded(day):
            self._lake.record(replace(record, partitions={**record.partitions, info.partition.realm: info}))
        entry["is_done"] = True  # durable with the next entry, or at the end

    def _people(self, realm: str | None) -> PrivacyContext:
        known = KnownIds({realm: self._subject.names(realm)})
        return PrivacyContext(Policy(), self._erased, known)

    def _info(self, hit: PersonRows) -> PartitionInfo:
        record = self._lake.recorded(hit.day)
        info = record.partitions.get(hit.realm) if record else None
        if info is None:
            raise LakeError(
                f"the ledger does not know {Partition(hit.realm, hit.day)}, which holds something of the person; nothing more "
                "was rewritten",
                hint=f"extract that day again, and then erase again: strategy-analytics extract --since {hit.day or '1d'}",
            )
        return info

    def _broken_programs(self) -> dict[str | None, list[DamagedFile]]:
        """Files of tenants' programs that cannot be read, and so cannot be made anew without the person; by tenant."""
        tables = ("definitions", "program_history")
        owners = {
            str(path): realm
            for realm in self._realms
            for table in tables
            if (path := self._lake.realm_path(table, realm)).exists()
        }
        places = {
            table: [name for name in owners if name.startswith(f"{self._lake.root}/{table}/")] for table in tables
        }
        broken: dict[str | None, list[DamagedFile]] = {}
        for one in damage.find(self._lake, places):
            broken.setdefault(owners[f"{self._lake.root}/{one.name}"], []).append(one)
        return broken

    # ---- the whole lake --------------------------------------------------------------------------------------------

    def _record(self) -> None:
        """Write the tombstone."""
        self._tombstone.data["partitions"] = self._entries
        self._write(self._tombstone.name, self._tombstone.to_json())

    def _new_secret(self) -> PseudonymKey:
        name, text = tombstones.new_secret()
        self._write(name, text)
        return PseudonymKey(bytes.fromhex(text.strip()))

    def _write(self, name: str, text: str) -> None:
        staged = self._workspace / f"{name}.tmp"
        staged.touch(mode=0o600)
        staged.write_text(text, encoding="utf-8")
        self._lake.replace(staged, self._lake.root / tombstones.FOLDER / name)

    def _day_files(self, before: Mapping[date | None, DayRecord | None]) -> None:
        """Make the day files of the days anew, and take away every one that no longer tells what the ledger tells.

        What others' partitions hold comes from the file that goes: one person's row must not cost a read of all tenants.

        Args:
            before: The ledger's days as they were when the search began.
        """
        days = sorted({date.fromisoformat(entry["day"]) for entry in self._entries if entry["day"]})
        try:
            with closing(DayCompactor(self._workspace, set())) as gathering:
                day_files.write(self._lake, days, before, gathering, self._workspace)
        finally:
            for file in list(day_files.everywhere(self._lake)):
                record = self._lake.recorded(file.day)
                now = day_files.current(self._lake, record) if record else {}
                if now.get(file.table) != file:
                    self._lake.remove(file.path)


def _now() -> str:
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("realm_id", "day", "rows_erased", "rows_changed", "before", "after")}


def _sha256(path: LakePath) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
