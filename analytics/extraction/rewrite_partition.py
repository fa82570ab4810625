"""A partition's files made once more from its own rows, without what may no longer be in them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.errors import LakeError
from analytics.estimates.sampling_rates import RateEntry, Rates
from analytics.extraction import transfer
from analytics.extraction.encode import partition_files
from analytics.extraction.encode.partition_files import StagedFiles
from analytics.extraction.encode.row_buffer import RowBuffer
from analytics.extraction.privacy.row_filter import ExcludedRows, PrivacyContext, RowFilter
from analytics.lake.lake import Lake
from analytics.model import Partition, PartitionInfo
from analytics.storage import LakePath

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bytes


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """A partition's new files, not yet in their place.

    Attributes:
        files: They, and the new entry of the ledger.
        excluded: Rows that are not in them.
        changed: Rows that are, in another form.
    """

    files: StagedFiles
    excluded: int
    changed: int


def rewrite(lake: Lake, info: PartitionInfo, privacy: PrivacyContext, workspace: Path) -> RewriteResult:
    """Read a partition's rows from the lake, let them in again, and write and verify its files.

    Every other row stays what it was, its weight included.

    Args:
        lake: Where; nothing of it is changed.
        info: The ledger's entry of the partition.
        privacy: What is done to rows.
        workspace: Folder for the new files.

    Raises:
        LakeError: The file is not as the ledger says.
        VerificationError: The new file does not hold every other row.
    """
    row_filter = RowFilter(privacy, is_lake=True)
    files = _write(info, row_filter.apply(transfer.blocks(_file(lake, info))), row_filter.excluded, workspace)
    fresh = replace(
        files.info,
        fingerprint=info.fingerprint,
        kept_count=info.kept_count,
        erased_count=info.erased_count + files.info.erased_count,
    )
    return RewriteResult(replace(files, info=fresh), files.info.erased_count, row_filter.changed[info.partition])


def without_ids(lake: Lake, info: PartitionInfo, ids: Sequence[str], workspace: Path) -> StagedFiles:
    """A partition's files less the runs with these ids; every other row stays what it was, its weight included.

    Args:
        lake: Nothing of it is changed.
        info: The ledger's entry of the partition.
        ids: Of runs that the partition holds.
        workspace: Folder for the new files.

    Returns:
        The files, and an entry for the ledger with the source's fingerprint and the counts of rows kept and left out as before.

    Raises:
        LakeError: The file is not as the ledger says.
        VerificationError: The new file does not hold every other row.
    """
    gone = {info.partition: ExcludedRows(len(ids), hash_of(ids))}
    files = _write(info, transfer.blocks(_file(lake, info), without=ids), gone, workspace)
    fresh = replace(
        files.info, fingerprint=info.fingerprint, kept_count=info.kept_count, erased_count=info.erased_count
    )
    return replace(files, info=fresh)


def hash_of(ids: Iterable[str]) -> int:
    """Sum of the first 60 bits of each id, as in the server's fingerprint."""
    return sum(uuid.UUID(execution_id).int >> 68 for execution_id in ids)


def _file(lake: Lake, info: PartitionInfo) -> LakePath:
    path, partition = lake.path("executions", info.partition), info.partition
    if not path.is_file() or path.stat().st_size != info.file_bytes:
        raise LakeError(
            f"{partition}: the file is not as the ledger says; nothing of it was rewritten",
            hint=f"extract it again first: strategy-analytics extract --since {partition.day or '1d'}; see "
            "strategy-analytics check",
        )
    return path


def _write(
    info: PartitionInfo, blocks: Iterable[Bytes], excluded: Mapping[Partition, ExcludedRows], workspace: Path
) -> StagedFiles:
    partition = info.partition
    # What the file has stands for what a server counted: every row of it is either in the new one or left out.
    there = replace(info.fingerprint, row_count=info.row_count, id_hash=info.id_hash)
    first, *later = info.sample_rates
    rates = Rates(tuple(RateEntry(step.rate, since=step.since) for step in later), first.rate)
    with contextlib.closing(RowBuffer(workspace, {partition: there})) as buffer:
        for _ in buffer.load(blocks):
            pass
        return partition_files.write(
            *(buffer.sorted_rows(0, 0), [partition], {partition: there}, workspace, rates),
            excluded=excluded,
            privacy_version=info.privacy_version,
        )[partition]


def put(lake: Lake, files: StagedFiles) -> None:
    """Put a partition's finished files in their places, or take away those that hold nothing any more; the rows last."""
    executions, node_days = (lake.path(table, files.info.partition) for table in ("executions", "node_days"))
    if files.node_days:
        lake.replace(files.node_days, node_days)
    else:
        lake.remove(node_days)
    if files.info.row_count:
        lake.replace(files.executions, executions)
    else:
        lake.remove(executions)
