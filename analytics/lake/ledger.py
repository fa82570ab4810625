"""The ledger's file format: one JSON file per day, what was extracted and how complete it is."""

from __future__ import annotations

import functools
import gc
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from analytics.estimates.sampling_rates import RateStep
from analytics.model import (
    DayRecord,
    Fingerprint,
    IgnoredTransaction,
    OpenTransaction,
    Partition,
    PartitionInfo,
    TransactionIds,
)
from analytics.storage import LakePath, typed_json
from analytics.storage.typed_json import Json, JsonObject, Unchecked

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def entry(info: PartitionInfo) -> dict[str, Json]:
    """A partition as plain values."""
    return {
        "realm_id": info.partition.realm,
        "row_count": info.row_count,
        "kept_count": info.kept_count,
        "erased_count": info.erased_count,
        "treatment": info.privacy_version,
        "id_hash": str(info.id_hash),
        "trace_entries": info.trace_entries,
        "irregular_count": info.irregular_count,
        "status_counts": info.status_counts,
        "sample_rates": [
            {"since": step.since.isoformat() if step.since else None, "rate": step.rate} for step in info.sample_rates
        ],
        "file_bytes": info.file_bytes,
        "node_days_bytes": info.node_days_bytes,
        "extracted_at": info.extracted_at.isoformat(),
        "source": {
            "row_count": info.fingerprint.row_count,
            "id_hash": str(info.fingerprint.id_hash),  # text: JSON numbers end at 2^53 in many readers
            "change_hash": str(info.fingerprint.change_hash),
            "max_created_at": info.fingerprint.max_created_at.isoformat() if info.fingerprint.max_created_at else None,
            **({"transaction_ids": str(info.fingerprint.ids)} if info.fingerprint.ids else {}),
        },
    }


def to_json(record: DayRecord) -> str:
    """The ledger file of a day, readable by people too: a partition is a line."""
    head = json.dumps(facts(record), ensure_ascii=False, indent=1).removesuffix("\n}")
    # Not indented within: only then the standard library's compiled encoder is used, which takes a tenth of the time.
    lines = ",\n".join(f"  {_ENCODER.encode(entry(info))}" for info in in_order(record))
    listed = f"[\n{lines}\n ]" if lines else "[]"
    return f'{head},\n "partitions": {listed}\n}}\n'


def in_order(record: DayRecord) -> list[PartitionInfo]:
    """Its partitions as they stand in the file."""
    return sorted(record.partitions.values(), key=lambda i: (i.partition.realm is None, i.partition.realm or ""))


def facts(record: DayRecord) -> dict[str, Json]:
    """What it tells of the day as a whole, as plain values."""
    return {
        "format": FORMAT,
        "day": record.day.isoformat() if record.day else None,
        "is_complete": record.is_complete,
        "complete_until": record.complete_until.isoformat() if record.complete_until else None,
        "horizon_reason": record.horizon_reason,
        "covers_all_realms": record.covers_all_realms,
        "recorded_at": record.recorded_at.isoformat(),
        "source": record.source,
        "not_waited_for": [span.to_dict() for span in record.ignored_transactions],
    }


def from_json(text: str) -> DayRecord:
    """Read a ledger file.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is damaged.
        LakeFormatError: A newer version has written it.
    """
    # Tens of thousands of small objects without a cycle: looking for one takes a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return _record(typed_json.document(text))
    except (ArithmeticError, LookupError, RecursionError) as error:
        raise ValueError(typed_json.said(error)) from None
    finally:
        if collects:
            gc.enable()


def read(path: LakePath, day: date | None) -> DayRecord:
    """The ledger file of a day.

    Raises:
        OSError: It cannot be opened.
        ValueError, KeyError, TypeError, AttributeError: It is damaged, or another day's.
        LakeFormatError: A newer version has written it.
    """
    record = from_json(path.read_text(encoding="utf-8"))
    if record.day != day:
        raise ValueError(f"it tells of {record.day or 'rows without a day'}")
    return record


def _record(data: JsonObject) -> DayRecord:
    typed_json.refuse_newer(data, FORMAT, "the lake's ledger")
    if data["format"] != FORMAT:
        raise ValueError("no known format of a ledger")
    day = typed_json.day_or_none(data["day"])
    partitions = [info_of(item, day) for item in map(typed_json.fields, typed_json.listed(data["partitions"]))]
    by_realm = {info.partition.realm: info for info in partitions}
    if len(by_realm) != len(partitions):
        raise ValueError("it tells of a realm twice")
    return of_facts(data, day, by_realm)


def of_facts(data: JsonObject, day: date | None, partitions: Mapping[str | None, PartitionInfo]) -> DayRecord:
    """The record of a day.

    Args:
        data: As ``facts`` has it.
        day: Which.
        partitions: Of it.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is damaged.
    """
    return DayRecord(
        day=day,
        partitions=partitions,
        covers_all_realms=typed_json.flag(data["covers_all_realms"]),
        complete_until=typed_json.moment_or_none(data["complete_until"]),
        horizon_reason=typed_json.text(data["horizon_reason"]),
        source={k: typed_json.text(v) for k, v in typed_json.fields(data["source"]).items()},
        recorded_at=typed_json.moment(data["recorded_at"]),
        ignored_transactions=tuple(
            _span(typed_json.fields(item)) for item in typed_json.listed(data.get("not_waited_for", []))
        ),  # older ledgers lack it
    )


def info_of(item: JsonObject, day: date | None) -> PartitionInfo:
    """What ``entry`` made of a partition.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is damaged.
    """
    source = typed_json.fields(item["source"])
    row_count, kept_count, trace_entries, irregular_count, file_bytes, node_days_bytes = counts = _COUNTS(item)
    erased_count: Unchecked = item.get("erased_count", 0)  # older ledgers lack it
    source_count: Unchecked = source["row_count"]
    statuses: Unchecked = typed_json.fields(item["status_counts"])
    typed_json.wholes((*counts, erased_count, source_count, *statuses.values()))
    return PartitionInfo(
        partition=Partition(typed_json.text_or_none(item["realm_id"]), day),
        fingerprint=Fingerprint(
            row_count=source_count,
            id_hash=typed_json.digits(source["id_hash"]),
            change_hash=typed_json.digits(source["change_hash"]),
            max_created_at=typed_json.moment_or_none(source["max_created_at"]),
            ids=_ids(source),
        ),
        row_count=row_count,
        kept_count=kept_count,
        id_hash=typed_json.digits(item["id_hash"]),
        trace_entries=trace_entries,
        irregular_count=irregular_count,
        status_counts=dict(statuses),
        sample_rates=_rates(item),
        file_bytes=file_bytes,
        node_days_bytes=node_days_bytes,
        extracted_at=_second(item["extracted_at"]),
        erased_count=erased_count,
        privacy_version=typed_json.text(item.get("treatment", "")),  # older ledgers lack it
    )


_COUNTS = itemgetter("row_count", "kept_count", "trace_entries", "irregular_count", "file_bytes", "node_days_bytes")


def _second(value: Json) -> datetime:
    """When a partition was written: hundreds are within a second."""
    return _seconds(value) if isinstance(value, str) else typed_json.moment(value)


_seconds = functools.lru_cache(maxsize=64)(typed_json.moment)


def _rates(item: JsonObject) -> tuple[RateStep, ...]:
    if "sample_rates" not in item:  # older ledgers knew one rate for all rows
        return (RateStep(None, _rate(item["sample_rate"])),)
    listed = typed_json.listed(item["sample_rates"])
    if len(listed) == 1 and type(only := listed[0]) is dict and only["since"] is None and type(only["rate"]) is float:
        return _one_rate(only["rate"])
    steps = map(typed_json.fields, listed)
    return tuple(RateStep(typed_json.moment_or_none(step["since"]), _rate(step["rate"])) for step in steps)


@functools.lru_cache(maxsize=64)
def _one_rate(rate: float) -> tuple[RateStep, ...]:
    """Of a day in which it did not change; nearly all partitions of a lake have the same."""
    return (RateStep(None, _rate(rate)),)


def _rate(value: Json) -> float:
    rate = typed_json.number(value)
    if not 0 <= rate <= 1:
        raise ValueError(f"{rate} is no share of runs")
    return rate


def _ids(source: JsonObject) -> TransactionIds | None:
    said = typed_json.text_or_none(source.get("transaction_ids"))  # older ledgers lack it
    return None if said is None else TransactionIds.parse(said)


def _span(item: JsonObject) -> IgnoredTransaction:
    return IgnoredTransaction(
        since=typed_json.moment(item["since"]),
        until=typed_json.moment(item["until"]),
        transaction=OpenTransaction(
            str(item["role"]),
            typed_json.moment(item["began"]),
            pid=None if item["pid"] is None else typed_json.whole(item["pid"]),
            gid=typed_json.text_or_none(item["gid"]),
        ),
        recorded_at=typed_json.moment(item["recorded_at"]),
        settled_at=typed_json.moment_or_none(item["settled_at"]),
    )


_COLUMNS = 14
"""Of the view ``partitions``."""


def columns(records: Sequence[DayRecord], realms: Sequence[str | None] | None) -> list[list[Any]]:
    """The ledger as rows, one per partition, column by column as the view ``partitions`` has them.

    Args:
        records: Its days.
        realms: Only these; all when ``None``.
    """
    found: list[list[Any]] = [[] for _ in range(_COLUMNS)]
    for record in records:
        infos = [info for info in record.partitions.values() if realms is None or info.partition.realm in realms]
        # Column by column: a dictionary per row takes ten times as long.
        values: tuple[list[Any], ...] = (
            [info.partition.realm for info in infos],
            [record.day] * len(infos),
            [info.row_count for info in infos],
            [info.fingerprint.row_count for info in infos],
            [info.kept_count for info in infos],
            [info.erased_count for info in infos],
            [info.trace_entries for info in infos],
            [info.irregular_count for info in infos],
            [info.sample_rates[0].rate if len(info.sample_rates) == 1 else None for info in infos],
            [[step.rate for step in info.sample_rates] for info in infos],
            [info.file_bytes for info in infos],
            [record.is_complete] * len(infos),
            [record.complete_until] * len(infos),
            [info.extracted_at for info in infos],
        )
        for column, some in zip(found, values, strict=True):
            column += some
    return found


def table(records: Sequence[DayRecord], realms: Sequence[str | None] | None) -> pa.Table:
    """``columns`` as an Arrow table, for Spark: Arrow loads pandas to look at a Python list, which DuckDB does not."""
    import pyarrow as pa

    utc = pa.timestamp("us", tz="UTC")
    table_schema = pa.schema(
        [
            ("realm_id", pa.string()),
            ("day", pa.date32()),
            ("logged_count", pa.int64()),
            ("source_count", pa.int64()),
            ("kept_count", pa.int64()),
            ("erased_count", pa.int64()),
            ("trace_entries", pa.int64()),
            ("irregular_count", pa.int64()),
            ("sample_rate", pa.float64()),
            ("sample_rates", pa.list_(pa.float64())),
            ("file_bytes", pa.int64()),
            ("is_complete", pa.bool_()),
            ("complete_until", utc),
            ("extracted_at", utc),
        ]
    )
    found = columns(records, realms)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(found, table_schema, strict=True)], table_schema
    )
