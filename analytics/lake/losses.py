"""Partitions that the ledger tells of and the lake does not hold as it tells: their files are gone, empty, or other ones.

A half-restored backup, a bucket's lifecycle rule or a hand that slipped takes files away without a word, and what is not there
cannot be read. So whoever says "complete", "quiet" or "nothing else" asks here first. Days that were let go on purpose are no
losses: the ledger does not tell of them any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from analytics.lake import ledger_columns
from analytics.lake.lake import Lake
from analytics.lake.repair import extraction
from analytics.model import DayRecord, Partition, PartitionInfo

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Loss:
    """A partition's file that is not the one the ledger describes.

    Attributes:
        partition: Whose.
        table: ``executions`` or ``node_days``.
        row_count: Logged runs of the partition, by the ledger.
        bytes_on_disk: What is there; 0 for nothing.
        bytes_in_ledger: What should be.
    """

    partition: Partition
    table: str
    row_count: int
    bytes_on_disk: int
    bytes_in_ledger: int


def of(lake: Lake, infos: Iterable[PartitionInfo]) -> list[Loss]:
    """Which of these entries of the ledger have no such file; of a bucket one listing tells, whatever their number.

    Args:
        lake: The files.
        infos: What the ledger remembers.
    """
    found = []
    for info in infos:
        for table, told in (("executions", info.file_bytes), ("node_days", info.node_days_bytes)):
            there = lake.size(lake.name(table, info.partition)) if told else told
            if there != told:
                found.append(Loss(info.partition, table, info.row_count, there, told))
                break  # one file of a partition is enough to say that it is not there
    return found


def of_days(lake: Lake, records: Iterable[DayRecord], realms: Collection[str | None] | None) -> list[Loss]:
    """The same of whole days, of some tenants or of all.

    Args:
        lake: The files.
        records: The ledger.
        realms: Which tenants; ``None`` for all.
    """
    if realms is None:
        for table in ("executions", "node_days"):
            lake.look_into(table)
    return [loss for record in records for loss in _of_day(lake, record, realms)]


def _of_day(lake: Lake, record: DayRecord, realms: Collection[str | None] | None) -> Iterator[Loss]:
    """Of sizes alone: tens of thousands of partitions are looked at, and hardly one is lost."""
    kept = [told for told in ledger_columns.sizes(record) if realms is None or told[0] in realms]
    found: dict[str | None, Loss] = {}
    for table in ("executions", "node_days"):
        name_of = lake.names_of_day(table, record.day)
        wanted = [
            (realm, rows, told)
            for realm, rows, executions, node_days in kept
            if (told := executions if table == "executions" else node_days)
        ]
        for (realm, rows, told), there in zip(wanted, lake.sizes(name_of(one[0]) for one in wanted), strict=True):
            if there != told:
                # one file of a partition is enough to say that it is not there
                found.setdefault(realm, Loss(Partition(realm, record.day), table, rows, there, told))
    return (found[realm] for realm, *_ in kept if realm in found)


def days_of(lost: Iterable[Loss]) -> list[date]:
    """The days that lost something, in order."""
    return sorted({loss.partition.day for loss in lost if loss.partition.day})


def words(lost: Sequence[Loss]) -> str:
    """What is lost, in a sentence without its full stop; empty for nothing."""
    if not lost:
        return ""
    gone = sum(loss.bytes_on_disk == 0 for loss in lost)
    count = len(lost)
    named = ", ".join(str(loss.partition) for loss in lost[:_MOST_NAMED]) + (" …" if count > _MOST_NAMED else "")
    if gone == count:
        what = "is gone or empty" if count == 1 else "are gone or empty"
    elif gone:
        what = f"are gone or empty ({gone}) or not the ones that the ledger describes ({count - gone})"
    else:
        what = (
            "is not the one that the ledger describes" if count == 1 else "are not the ones that the ledger describes"
        )
    files = "the file of a partition" if count == 1 else f"the files of {count:,} partitions"
    rows = sum(loss.row_count for loss in lost)
    return f"{files} {what}: {named}, with {rows:,} logged run{'s' * (rows != 1)} by the ledger"


def repair(lost: Sequence[Loss]) -> str:
    """What brings them back."""
    days = days_of(lost)
    # Rows without a day are read by every extraction.
    command = extraction(days) if days else "strategy-analytics extract"
    return f"put the files back from a backup, or read the days again where the source still holds them: {command}"


def above(lost: Sequence[Loss]) -> str:
    """What is lost and what brings it back, as it stands above numbers that it is not in; empty for nothing."""
    if not lost:
        return ""
    said = words(lost)
    return f"{said[0].upper()}{said[1:]}. What was in there is in no number here. Repair: {repair(lost)}."


def perhaps(lost: Sequence[Loss]) -> str:
    """Before the hint of an error that says that something is not in the lake; empty where nothing is lost."""
    return f"{words(lost)}, so it may have been in there: {repair(lost)}; " if lost else ""
