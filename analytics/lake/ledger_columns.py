"""A day's ledger once more, column by column, for readers of many tenants: tens of thousands of partitions without an object each.

Beside the ledger's file of a day with many partitions lies ``ledger/columns/day=<YYYY-MM-DD>.txt``. Its first line says of which
version of the ledger's file it was made, and has a hash of the other two: what readers of all tenants ask for, and the rest.

It is derived, and never believed over the ledger. It is written after the ledger's file, so whoever is killed in between leaves
one of an earlier version; one that is of another version, damaged or of another format is as none, and the ledger's file is read.
A version is told by size, number and time of change of the file, which nobody can set, or in a lake that was copied by its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from analytics.errors import DamagedFileError
from analytics.lake import ledger, small_partitions
from analytics.model import DayRecord, PartitionInfo
from analytics.storage import LakePath, Storage, is_same_file, typed_json
from analytics.storage.typed_json import Json, JsonObject, Unchecked

FOLDER: Final = "columns"
FORMAT: Final = 1

_COUNTS: Final = (
    "row_count",
    "kept_count",
    "erased_count",
    "trace_entries",
    "irregular_count",
    "file_bytes",
    "node_days_bytes",
)
_OFTEN: Final = ("realm_id", *_COUNTS, "source_count", "rates", "extracted_at")
"""Columns of ``sql/files/ledger_rows.sql``, and what losses and day files are asked for."""
_SELDOM: Final = ("id_hash", "treatment", "status_counts", "sample_rates")
_SOURCE: Final = ("id_hash", "change_hash", "max_created_at", "transaction_ids")


class ColumnarPartitions(Mapping[str | None, PartitionInfo]):
    """The partitions of a day, of which objects are made for who asks for one.

    Args:
        path: Where it was read.
        day: Of it.
        often, seldom: The two lines.

    Attributes:
        text: The first of them.
        is_exact: It tells of the ledger's file by its number and time, not only by its content.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is damaged.
    """

    def __init__(self, path: LakePath, day: date | None, often: str, seldom: str, *, is_exact: bool) -> None:
        self._path, self._day, self.text, self._seldom, self.is_exact = path, day, often, seldom, is_exact
        self.told = typed_json.document(often)
        columns: dict[str, list[Unchecked]] = {name: typed_json.listed(self.told[name]) for name in _OFTEN}
        self._columns = columns
        self._places: dict[str | None, int] = {realm: place for place, realm in enumerate(columns["realm_id"])}
        if any(len(column) != len(self._places) for column in columns.values()):
            raise ValueError("its columns are not of one length")
        if not _types(columns["realm_id"]) <= {str, type(None)} or not _types(columns["extracted_at"]) <= {str}:
            raise ValueError("it has columns of another type")
        "".join(filter(None, columns["realm_id"])).encode()  # what is no text of UTF-8 names no folder
        for name in (*_COUNTS, "source_count"):
            column = columns[name]
            if not _types(column) <= {int} or min(column, default=0) < 0:
                raise ValueError(f"{name} are no counts")
            typed_json.whole(max(column, default=0))
        self.digest = typed_json.text(self.told["digest"])
        self._rest: dict[str, list[Unchecked]] | None = None
        self._infos: dict[str | None, PartitionInfo] = {}

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, realm: object) -> bool:
        return realm in self._places

    def __getitem__(self, realm: str | None) -> PartitionInfo:
        """What the ledger tells of a partition.

        Raises:
            KeyError: Nothing.
            DamagedFileError: It is no entry of a ledger.
        """
        place = self._places[realm]
        info = self._infos.get(realm)
        if info is None:
            try:
                info = self._infos[realm] = ledger.info_of(self._item(place), self._day)
            except typed_json.WRONG as error:
                raise DamagedFileError(
                    f"{self._path} is damaged: {typed_json.said(error)}",
                    hint="remove it: it is made of the ledger, and an extraction makes it anew",
                    paths=[str(self._path)],
                ) from error
        return info

    def column(self, name: str) -> list[Unchecked]:
        """One of the columns that are often asked for."""
        return self._columns[name]

    def chosen(self, realms: Collection[str | None]) -> str:
        """The first line with the rows of some tenants only."""
        places = [place for realm, place in self._places.items() if realm in realms]
        return json.dumps(self.told | {name: [self._columns[name][p] for p in places] for name in _OFTEN})

    def _item(self, place: int) -> JsonObject:
        if self._rest is None:
            rest = typed_json.document(self._seldom)
            self._rest = {name: typed_json.listed(column) for name, column in rest.items()}
        item = {name: self._columns[name][place] for name in ("realm_id", *_COUNTS, "extracted_at")}
        rest = {name: column[place if len(column) > 1 else 0] for name, column in self._rest.items()}
        source = {name: rest[f"source {name}"] for name in _SOURCE}
        item |= {name: rest[name] for name in _SELDOM}
        return item | {"source": source | {"row_count": self._columns["source_count"][place]}}


def _types(column: Iterable[Json]) -> set[type]:
    return set(map(type, column))


# ---- reading ---------------------------------------------------------------------------------------------------------


def path_beside(ledger_path: LakePath) -> LakePath:
    """Where the columns of a day lie."""
    return ledger_path.parent / FOLDER / ledger_path.name.replace(".json", ".txt")


def read(storage: Storage, ledger_path: LakePath, day: date | None) -> DayRecord | None:
    """The record of a day from its columns; ``None`` where there are none that can be believed."""
    path = path_beside(ledger_path)
    if not storage.is_file(str(path)):
        return None
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        about = typed_json.document(head.decode())
        if (about["format"], about["small_rows"]) != (FORMAT, small_partitions.SMALL_ROWS):
            return None
        made_of = typed_json.text(about["made_of"])
        now = storage.identity(str(ledger_path), made_of)
        if not is_same_file(made_of, now) or hashlib.sha256(body).hexdigest() != about["sha256"]:
            return None
        often, seldom = body.decode().splitlines()
        partitions = ColumnarPartitions(path, day, often, seldom, is_exact=now == made_of)
        facts = typed_json.fields(partitions.told["facts"])
        days = {typed_json.day_or_none(facts["day"]), typed_json.day_or_none(partitions.told["day"])}
        if days != {day} or facts["format"] != ledger.FORMAT:  # what the ledger's own file is refused for
            return None
        return ledger.of_facts(facts, day, partitions)
    except (OSError, *typed_json.WRONG):
        return None


def sizes(record: DayRecord) -> Iterator[tuple[str | None, int, int, int]]:
    """Of each partition its tenant, rows and the bytes of its two files."""
    partitions = record.partitions
    if isinstance(partitions, ColumnarPartitions):
        names = ("realm_id", "row_count", "file_bytes", "node_days_bytes")
        return zip(*(partitions.column(name) for name in names), strict=True)
    return ((realm, info.row_count, info.file_bytes, info.node_days_bytes) for realm, info in record.partitions.items())


def row_counts(record: DayRecord) -> Mapping[str | None, int]:
    """Rows of each partition, by its tenant."""
    return {realm: rows for realm, rows, _, _ in sizes(record)}


def has_kept(record: DayRecord) -> bool:
    """A partition holds rows that the source has lost."""
    if isinstance(record.partitions, ColumnarPartitions):
        return any(record.partitions.column("kept_count"))
    return any(info.kept_count for info in record.partitions.values())


def small_digest(record: DayRecord) -> str:
    """By which the day file of its small partitions is known."""
    if isinstance(record.partitions, ColumnarPartitions):
        return record.partitions.digest
    return small_partitions.digest(small_partitions.of(record.partitions.values()))


def rows_json(records: Iterable[DayRecord], realms: Sequence[str | None] | None) -> str:
    """The ledger as ``sql/files/ledger_rows.sql`` reads it: a document for each day.

    Args:
        records: Its days.
        realms: Only these tenants; all when ``None``.
    """
    wanted = None if realms is None else set(realms)
    return f"[{','.join(_day_json(record, wanted) for record in records)}]"


def _day_json(record: DayRecord, realms: Collection[str | None] | None) -> str:
    partitions = record.partitions
    if isinstance(partitions, ColumnarPartitions):
        return partitions.text if realms is None else partitions.chosen(realms)
    infos = [info for realm, info in partitions.items() if realms is None or realm in realms]
    return json.dumps(_often(record, infos))


# ---- writing ---------------------------------------------------------------------------------------------------------


def of_record(record: DayRecord, made_of: str) -> str:
    """The columns of a day.

    Args:
        record: What the ledger tells of it.
        made_of: What tells the ledger's file from any other, see ``Storage.identity``.
    """
    infos = ledger.in_order(record)
    often = _often(record, infos) | {"facts": ledger.facts(record), "digest": small_digest(record)}
    entries: list[dict[str, Unchecked]] = [ledger.entry(info) for info in infos]
    rest = {name: [entry[name] for entry in entries] for name in _SELDOM}
    rest |= {f"source {name}": [entry["source"].get(name) for entry in entries] for name in _SOURCE}
    seldom = {name: column[:1] if _is_constant(column) else column for name, column in rest.items()}
    body = f"{json.dumps(often)}\n{json.dumps(seldom)}\n"
    digest = hashlib.sha256(body.encode()).hexdigest()
    about = {"format": FORMAT, "small_rows": small_partitions.SMALL_ROWS, "made_of": made_of, "sha256": digest}
    return f"{json.dumps(about)}\n{body}"


def _often(record: DayRecord, infos: Sequence[PartitionInfo]) -> dict[str, Json]:
    return {
        "day": record.day.isoformat() if record.day else None,
        "is_complete": record.is_complete,
        "complete_until": record.complete_until.isoformat() if record.complete_until else None,
        "realm_id": [info.partition.realm for info in infos],
        **{name: [getattr(info, name) for info in infos] for name in _COUNTS},
        "source_count": [info.fingerprint.row_count for info in infos],
        "rates": [[step.rate for step in info.sample_rates] for info in infos],
        "extracted_at": [info.extracted_at.isoformat() for info in infos],
    }


def _is_constant(column: Sequence[Json]) -> bool:
    return all(value == column[0] for value in column)
