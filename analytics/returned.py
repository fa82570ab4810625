"""Kept rows whose id comes back in another partition: the source has moved them after all, so they are kept no longer."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from analytics.lake import Lake
from analytics.model import Fingerprint, Partition, RealmFilter
from analytics.object_store import readable
from analytics.plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa


class Keeping:
    """The unchanged partitions of a plan that keep rows which the source has lost.

    Args:
        lake: The files.
        plan: What was compared; partitions of other days are not looked at.
        chosen: Tenants that were compared: of others nobody has asked what the source holds.
    """

    def __init__(self, lake: Lake, plan: Plan, chosen: RealmFilter) -> None:
        self._lake = lake
        self._fingerprints = {
            info.partition: info.fingerprint
            for record in plan.records.values()
            if record
            for info in record.partitions.values()
            if info.kept_count and info.partition not in plan.changed and chosen.holds(info.partition.realm)
        }
        self._ids = functools.cache(self._read)  # for the run: asked again after each day

    def met_in(self, written: Iterable[Partition]) -> dict[Partition, Fingerprint]:
        """Those that hold a row of partitions that were just written, and what the source has of them.

        Transferred once more they leave out what the source has elsewhere. Costs nothing where no rows are kept.
        """
        import pyarrow.compute as pc

        found: dict[Partition, Fingerprint] = {}
        for partition in written if self._fingerprints else ():
            fresh = self._read(partition)
            for keeping, fingerprint in self._fingerprints.items():
                if pc.any(pc.is_in(fresh, value_set=self._ids(keeping)), min_count=0).as_py():
                    found[keeping] = fingerprint
        return found

    def _read(self, partition: Partition) -> pa.Array:
        import pyarrow.parquet as pq

        with pq.ParquetFile(readable(self._lake.path("executions", partition))) as file:
            return file.read(columns=["execution_id"])["execution_id"].combine_chunks()
