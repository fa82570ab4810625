"""Flat files for other tools."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from analytics import sql
from analytics.errors import DamagedFileError
from analytics.lake.lake import Lake
from analytics.model import Partition
from analytics.warehouse import damage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window


def export_nodes(lake: Warehouse, out: Path, window: Window | None) -> int:
    """Write the view ``nodes`` as flat Parquet files for other tools, one per realm and day.

    Args:
        lake: What to export; its realm scope holds.
        out: A new folder; files lie under hive keys as in the lake.
        window: Only these days; everything when not given.

    Returns:
        Trace entries written.

    Raises:
        DamagedFileError: Some files cannot be read; the others were exported.
    """
    # A connection of its own, which may write there.
    lake = Warehouse(lake.lake, realms=lake.realms if lake.is_scoped else None, writes_into=[out])
    try:
        return _export(lake, out, window, frozenset())
    except DamagedFileError:
        sound, damaged = lake.sound()
    total = _export(sound, out, window, frozenset(f"{lake.lake.root}/{one.name}" for one in damaged))
    if error := damage.error_of(lake.lake, damaged):
        raise DamagedFileError(
            f"{error.message}; all else was exported ({total:,} trace entries)", hint=error.hint, **error.facts
        )
    return total


def _export(lake: Warehouse, out: Path, window: Window | None, damaged: Collection[str]) -> int:
    days = set(window.whole_days().days) if window else None
    statement, total = sql.text("files", "export_nodes"), 0
    for record in lake.records():
        if days is not None and record.day not in days:
            continue
        for realm in record.partitions:
            partition = Partition(realm, record.day)
            if realm not in lake.realms or lake.lake.name("executions", partition) in damaged:
                continue
            target = Path(str(Lake(out).path("nodes", partition)))
            target.parent.mkdir(parents=True, exist_ok=True)
            parameters = {"realm": realm, "day": record.day, "path": str(target)}
            rows = lake.ask(lambda: lake.connection.execute(statement, parameters).fetchall())  # noqa: B023  # asked at once
            total += rows[0][0]
    return total
