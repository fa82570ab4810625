"""Flat files for other tools."""

from __future__ import annotations

from pathlib import Path

from analytics import sql
from analytics.lake import Lake
from analytics.model import Partition
from analytics.warehouse import Warehouse
from analytics.window import Window


def export_nodes(lake: Warehouse, out: Path, window: Window | None) -> int:
    """Write the view ``nodes`` as flat Parquet files for other tools, one per realm and day.

    Args:
        lake: What to export; its realm scope holds.
        out: A new folder; files lie under hive keys as in the lake.
        window: Only these days; everything when not given.

    Returns:
        Trace entries written.
    """
    # A connection of its own, which may write there.
    lake = Warehouse(lake.lake, realms=lake.realms if lake.is_scoped else None, writes_into=[out])
    days = set(window.whole_days().days) if window else None
    total = 0
    for record in lake.records():
        if days is not None and record.day not in days:
            continue
        for realm in record.partitions:
            if realm not in lake.realms:
                continue
            partition = Partition(realm, record.day)
            target = Path(str(Lake(out).path("nodes", partition)))
            target.parent.mkdir(parents=True, exist_ok=True)
            parameters = {"realm": realm, "day": record.day, "path": str(target)}
            total += lake.connection.execute(sql.text("files", "export_nodes"), parameters).fetchall()[0][0]
    return total
