"""A lake of very many small tenants in minutes, no server: every partition's bytes are those of one, with its names and times.

    python -m benchmarks.tenants_lake FOLDER [--tenants 5000] [--days 90]

Five logged runs a tenant and day, of users who come back every day; every fourth tenant's runs have traces. Small files have
neither dictionaries nor statistics, and here they are not compressed either: so what differs from one partition to the next lies
in the file as it is, as often as it stands there, and can be put in its place. Day files and the ledger are the package's own.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.extraction import day_files
from analytics.extraction.privacy import policy
from analytics.extraction.privacy.policy import Policy
from analytics.lake import definitions, small_partitions
from analytics.lake.lake import Lake
from analytics.model import Fingerprint, Partition, PartitionInfo
from benchmarks import lakes
from benchmarks.report import progress

ROWS_EACH = 5
STRATEGIES = 3
_TRACED = 4
"""One tenant in so many has traces."""

_REALM = "tenant-00000"
_ID = "{:08x}-0000-4000-8000-{:012x}"
_EACH_HOURS = 4


@dataclass(frozen=True, slots=True)
class Template:
    """The files of a partition.

    Attributes:
        executions, node_days: Bytes of its files; the second are none where there is no trace.
        info: What the ledger tells of it.
    """

    executions: bytes
    node_days: bytes
    info: PartitionInfo


def realm_of(tenant: int) -> str:
    """Its name; all of one length."""
    return f"tenant-{tenant:05}"


def make(lake: Lake, tenants: int, days: int) -> None:
    """The whole lake, day by day."""
    definitions.write(lake, list(_programs(tenants)), lake.root)
    lake.write_text(lake.root / policy.FILE, Policy().to_json())  # or every command asks the whole ledger for keys
    with tempfile.TemporaryDirectory(dir=lake.root.parent) as folder:
        templates = [_template(Lake(Path(folder)), has_traces) for has_traces in (True, False)]
        for table in day_files.TABLES:
            for tenant in range(tenants):
                lake.realm_path(table, realm_of(tenant)).parent.mkdir(parents=True)
        for day in range(days):
            todays = [_of_day(template, day) for template in templates]
            infos = [_write(lake, todays[bool(tenant % _TRACED)], tenant, day) for tenant in range(tenants)]
            lakes.record(lake, day, infos)
            for table in day_files.TABLES:
                _write_day_file(lake, Path(folder, "day.tmp"), table, todays, infos)
            progress(f"{day + 1} of {days} days")


def _of_day(template: Template, day: int) -> Template:
    content = template.executions
    for row in range(ROWS_EACH):
        content = content.replace(_moment(0, row), _moment(day, row))
    return replace(template, executions=content)


def _write(lake: Lake, template: Template, tenant: int, day: int) -> PartitionInfo:
    partition = Partition(realm_of(tenant), lakes.FIRST_DAY + timedelta(days=day))
    number, name = tenant * 1000 + day, partition.realm.encode() if partition.realm else b""
    executions = template.executions.replace(_REALM.encode(), name)
    for row in range(ROWS_EACH):
        executions = executions.replace(_ID.format(0, row).encode(), _ID.format(number, row).encode())
    for table, content in (
        ("executions", executions),
        ("node_days", template.node_days.replace(_REALM.encode(), name)),
    ):
        if content:
            path = lake.name(table, partition)
            os.mkdir(os.path.dirname(path))  # noqa: PTH102, PTH120  # half a million of them
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(content)
    total = ROWS_EACH * (number << 28 | 0x400)  # each id's first sixty bits
    return replace(template.info, partition=partition, id_hash=total, fingerprint=Fingerprint(ROWS_EACH, total, total))


def _write_day_file(lake: Lake, staged: Path, table: str, todays: list[Template], infos: list[PartitionInfo]) -> None:
    """As an extraction would, but that it need not read what was written."""
    day = infos[0].partition.day or lakes.FIRST_DAY
    sink = day_files.ParquetSink(staged, day)
    read = [_read(one, table) for one in todays]
    for first in range(0, len(infos), _TRACED):  # one with traces, and those without
        some = [read[bool(n)] for n in range(min(_TRACED, len(infos) - first))]
        for info, rows in zip(infos[first:], some, strict=False):
            if rows is not None:
                sink.add(_renamed(rows, info))
    sink.close()
    target = lake.root / day_files.FOLDER / table / "realm=~many" / f"day={day}"
    lake.replace(staged, target / f"{small_partitions.digest(infos)}-{staged.stat().st_size}.parquet")


def _read(template: Template, table: str) -> Any:
    content = template.executions if table == "executions" else template.node_days
    return pq.ParquetFile(pa.BufferReader(content)).read() if content else None


def _renamed(rows: Any, info: PartitionInfo) -> Any:
    day = info.partition.day or lakes.FIRST_DAY
    number = int((info.partition.realm or "").rpartition("-")[2]) * 1000 + (day - lakes.FIRST_DAY).days
    kind = rows.schema.field("realm_id").type
    rows = rows.set_column(
        rows.schema.get_field_index("realm_id"), "realm_id", pa.array([info.partition.realm] * len(rows), kind)
    )
    if "execution_id" in rows.column_names:
        rows = rows.set_column(0, "execution_id", pa.array([_ID.format(number, row) for row in range(ROWS_EACH)]))
        place = rows.schema.get_field_index("external_user_id")
        users = [f"user-{row}@{info.partition.realm}" for row in range(ROWS_EACH)]
        rows = rows.set_column(place, "external_user_id", pa.array(users, rows.schema.field(place).type))
    return rows


_FIRST_US = int(datetime.combine(lakes.FIRST_DAY, time(), UTC).timestamp()) * 1_000_000


def _moment(day: int, row: int) -> bytes:
    return struct.pack("<q", _FIRST_US + day * lakes.US_A_DAY + row * _EACH_HOURS * 3_600_000_000 + 1_000_003)


def _template(lake: Lake, has_traces: bool) -> Template:
    """One partition, written as every other is, and then once more without compression."""
    info = lakes.write(lake, Partition(_REALM, lakes.FIRST_DAY), _rows(has_traces), _ids())
    contents = {}
    for table in ("executions", "node_days"):
        path = lake.root / table / f"realm={_REALM}" / f"day={lakes.FIRST_DAY}" / "part.parquet"
        contents[table] = _plain(Path(str(path))) if path.exists() else b""
        path.unlink(missing_ok=True)
    executions, node_days = contents["executions"], contents["node_days"]
    return Template(executions, node_days, replace(info, file_bytes=len(executions), node_days_bytes=len(node_days)))


def _plain(path: Path) -> bytes:
    table = pq.ParquetFile(path).read()
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False, store_schema=False)
    return bytes(sink.getvalue().to_pybytes())


def _ids() -> Any:
    texts = [_ID.format(0, row).replace("-", "") for row in range(ROWS_EACH)]
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(-1, 16).copy()


def _rows(has_traces: bool) -> Any:
    from analytics.lake import schema

    kinds = {field.name: field.type for field in schema.execution_schema()}
    times = np.array([row * _EACH_HOURS * 3_600_000_000 + 1_000_003 for row in range(ROWS_EACH)])
    trace = [
        {"node_id": f"n{n}", "type": "compare", "branch": None, "value": "true", "value_number": None} for n in range(6)
    ]
    traces = [trace if has_traces and row else None for row in range(ROWS_EACH)]
    given = {
        "realm_id": [_REALM] * ROWS_EACH,
        "strategy_id": [f"strategy-{row % STRATEGIES}" for row in range(ROWS_EACH)],
        "strategy_version": [1] * ROWS_EACH,
        "external_user_id": [f"user-{row}@{_REALM}" for row in range(ROWS_EACH)],
        "status": ["error", *["ok"] * (ROWS_EACH - 1)],
        "duration_ms": [10.0 + row for row in range(ROWS_EACH)],
        "points": [None, *[5.0] * (ROWS_EACH - 1)],
        "sample_weight": [1.0, *[1 / lakes.RATE] * (ROWS_EACH - 1)],
        "trace": traces,
    }
    columns = {name: pa.array(values, kinds[name]) for name, values in given.items() if name in kinds}
    columns |= {name: lakes.moments(times).cast(kinds[name]) for name in ("created_at", "updated_at") if name in kinds}
    return lakes.log_table(columns, ROWS_EACH)


def _programs(tenants: int) -> Iterator[dict[str, Any]]:
    program = {"id": "p", "type": "literal", "value": 5}
    ast = {"rules": [{"id": "r", "when": {"id": "w", "type": "literal", "value": True}, "then": [
        {"id": "a", "type": "assign_points", "case_name": "C", "value": program}]}]}  # fmt: skip
    for tenant in range(tenants):
        for strategy in range(STRATEGIES):
            version = lakes.Version(realm_of(tenant), f"Strategy {strategy}", 1)
            yield version.definition(ast, timedelta()) | {"strategy_id": f"strategy-{strategy}"}


def main() -> int:
    """Make it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tenants_lake", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tenants", type=int, default=5000)
    parser.add_argument("--days", type=int, default=90)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    make(Lake(options.folder), options.tenants, options.days)
    return 0


if __name__ == "__main__":
    sys.exit(main())
