"""Lakes that no server takes part in: generated rows in files and a ledger, as an extraction would have left them."""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import duckdb
import numpy as np

from analytics.estimates.sampling_rates import RateStep
from analytics.extraction.encode import parquet_writer
from analytics.lake import schema
from analytics.lake.lake import Lake
from analytics.model import DayRecord, Fingerprint, Partition, PartitionInfo
from analytics.window import ONE_DAY

FIRST_DAY = date(2026, 6, 1)
RATE = 0.05
US_A_DAY = 86_400_000_000
SEED = 20260601
_BEGIN = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
_MADE_AT = datetime(2026, 9, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a lake is to hold. A subclass stands in the module that makes the lake, and is named for it.

    Attributes:
        rows: Logged, about.
        days: They spread over, from ``FIRST_DAY`` on.
        made_by: What else decides what is in it, besides that module and this one.
    """

    rows: int
    days: int = 30
    made_by: ClassVar[tuple[ModuleType, ...]] = ()

    @property
    def kind(self) -> str:
        """Of its module."""
        return type(self).__module__.rpartition(".")[2].removesuffix("_lake")

    @property
    def name(self) -> str:
        """Of its folder; changes with everything that decides what is in it."""
        modules = (sys.modules[__name__], sys.modules[type(self).__module__], *self.made_by)
        made_by = (repr(astuple(self)), *map(inspect.getsource, modules), repr(schema.execution_schema()))
        return f"{self.kind}_{self.rows}_{hashlib.sha256(''.join(made_by).encode()).hexdigest()[:8]}"

    @property
    def until(self) -> date:
        """The day after the last."""
        return FIRST_DAY + timedelta(days=self.days)


def prepare(cache: Path, shape: Shape, make: Callable[[Lake], None]) -> Path:
    """The lake of this shape; made when the cache does not have it yet, or has half of it."""
    folder = cache / "lakes" / shape.name
    done = folder.with_suffix(".done")
    if not done.exists():
        for other in (cache / "lakes").glob(f"{shape.kind}_{shape.rows}_*"):  # of older code, or killed
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        folder.mkdir(parents=True)
        make(Lake(folder))
        done.touch()
    return folder


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one strategy.

    Attributes:
        realm, family, number: Which.
    """

    realm: str
    family: str
    number: int

    @property
    def strategy_id(self) -> str:
        """The id of its definition."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.realm}/{self.family}/{self.number}"))

    def definition(self, ast: dict[str, Any], since: timedelta) -> dict[str, Any]:
        """Its row of the definition table.

        Args:
            ast: The program.
            since: When it was published, from ``FIRST_DAY`` on; a version that is there from the beginning is older than the log.
        """
        row = dict.fromkeys([column.lake for column in schema.DEFINITION_COLUMNS])
        return row | {
            "strategy_id": self.strategy_id,
            "realm_id": self.realm,
            "name": self.family,
            "strategy_type": "DSL_FULL",
            "ast_json": json.dumps(ast),
            "strategy_version": self.number,
            "status": "PUBLISHED",
            "published_at": (_BEGIN + (since or -timedelta(days=60))).isoformat(),
        }


def moments(times: Any) -> Any:
    """Microseconds from the beginning of ``FIRST_DAY`` on as times."""
    import pyarrow as pa

    return pa.array(times + int(_BEGIN.timestamp()) * 1_000_000).cast(pa.timestamp("us", tz="UTC"))


def named(names: list[str], codes: Any) -> Any:
    """Texts by their places in a list, as a dictionary."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def log_table(columns: dict[str, Any], count: int) -> Any:
    """Logged rows by the lake's columns; those that are not given are NULL."""
    import pyarrow as pa

    return pa.table({f.name: columns.get(f.name, pa.nulls(count, f.type)) for f in schema.execution_schema()})


def random_ids(chance: np.random.Generator, count: int) -> Any:
    """Sixteen random bytes a row."""
    return np.frombuffer(chance.bytes(16 * count), np.uint8).reshape(-1, 16).copy()


def write(lake: Lake, partition: Partition, rows: Any, ids: Any, rate: float = RATE) -> PartitionInfo:
    """Write a partition's files.

    Args:
        lake: Where to.
        partition: Which.
        rows: By ``log_table``, in the order of the file.
        ids: Of ``random_ids``.
        rate: At which ok runs were logged.
    """
    entries = len(rows["trace"].combine_chunks().flatten())
    rows = rows.set_column(0, "execution_id", _texts(ids))
    size, rollup_size = _write_file(lake, "executions", partition, rows), 0
    if entries:
        rollup_size = _write_file(lake, "node_days", partition, _rolled_up(rows))
    counted = rows["status"].to_pandas().value_counts()
    id_hash = _hash_of(ids)
    return PartitionInfo(
        partition=partition,
        fingerprint=Fingerprint(len(rows), id_hash, id_hash),
        row_count=len(rows),
        kept_count=0,
        id_hash=id_hash,
        trace_entries=entries,
        irregular_count=0,
        status_counts={str(status): int(some) for status, some in counted.items() if some},
        sample_rates=(RateStep(None, rate),),
        file_bytes=size,
        node_days_bytes=rollup_size,
        extracted_at=_MADE_AT,
    )


def record(lake: Lake, day: int, infos: Iterable[PartitionInfo]) -> None:
    """Write the ledger's entry of a day, a complete one."""
    end = _BEGIN + (day + 1) * ONE_DAY
    lake.record(
        DayRecord(
            day=FIRST_DAY + timedelta(days=day),
            partitions={info.partition.realm: info for info in infos},
            covers_all_realms=True,
            complete_until=end,
            horizon_reason="generated",
            source={"database": "generated"},
            recorded_at=end,
        )
    )


def _write_file(lake: Lake, table: str, partition: Partition, rows: Any) -> int:
    path = lake.path(table, partition)
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet_writer.create(path, rows.schema, {}, small=len(rows) < parquet_writer.SMALL_ROWS) as writer:
        writer.write_table(rows, row_group_size=parquet_writer.ROW_GROUP_ROWS)
    return int(path.stat().st_size)


def _rolled_up(table: Any) -> Any:
    """The day's per-node rollup, as ``analytics.extraction.encode.partition_files`` has it."""
    with duckdb.connect() as connection:
        connection.register("rows", table)
        return connection.sql(_ROLLUP).to_arrow_table().cast(schema.node_day_schema())


_ROLLUP = """
    with entries as (select realm_id::varchar as realm_id, strategy_id::varchar as strategy_id, strategy_version,
                            sample_weight, unnest(trace) as e from rows)
    select realm_id, strategy_id, strategy_version, e.node_id::varchar as node_id, e.type::varchar as type,
           e.branch::varchar as branch, count(*) as entry_count, sum(sample_weight) as est_entries,
           count(*) filter (where e.value = 'true') as true_count, count(*) filter (where e.value = 'false') as false_count,
           count(*) filter (where e.value = 'null') as null_count,
           count(*) filter (where starts_with(e.value, '"')) as text_count, count(e.value_number) as number_count,
           sum(e.value_number) as number_sum, sum(e.value_number ** 2) as number_sum_squares,
           min(e.value_number) as number_min, max(e.value_number) as number_max
      from entries group by all order by all"""


def _texts(ids: Any) -> Any:
    import pyarrow as pa

    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((len(ids), 36), ord("-"), np.uint8)
    places = [n for n in range(36) if n not in (8, 13, 18, 23)]
    text[:, places[0::2]], text[:, places[1::2]] = digits[ids >> 4], digits[ids & 15]
    offsets = np.arange(0, 36 * (len(ids) + 1), 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))


def _hash_of(ids: Any) -> int:
    """As the ledger has it: the sum of their first sixty bits."""
    first60 = ids[:, :8].copy().view(">u8").ravel() >> np.uint64(4)
    return int((first60 >> 30).sum()) * 2**30 + int((first60 & (2**30 - 1)).sum())
