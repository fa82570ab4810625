"""The traces of all runs of one program, a few thousand at a time and as small as they are in the files.

DuckDB makes a text of each entry's id, type, branch and value, 1.3 s for 25 million entries; Arrow hands over their numbers in the
files' own dictionaries in half of that, and who asks what a million entries say looks at each text of a dictionary once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from analytics import sql
from analytics.storage import local_path, readable
from analytics.warehouse.chosen_traces import file_names, may_hold
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Bools, Ints

COLUMNS: Final = ("node_id", "type", "branch", "value")
_TEXTS: Final = tuple(f"trace.list.element.{name}" for name in COLUMNS)
_AT_ONCE: Final = 4_000
"""Rows: of long traces a million entries."""


@dataclass(frozen=True, slots=True)
class ProgramRuns:
    """The runs of one version on some days.

    Attributes:
        realm: Their tenant.
        strategy_id, strategy_version: The version.
        days: UTC days on which they ran.
    """

    realm: str | None
    strategy_id: str
    strategy_version: int
    days: frozenset[date]


@dataclass(frozen=True, slots=True)
class SomeTraces:
    """The traces of some of the runs that were asked for.

    Attributes:
        places: Where each of them stands among those.
        entries: Of all of them, one trace after the other: ``COLUMNS``, each a dictionary or texts.
        lengths: Entries of each trace.
    """

    places: Ints
    entries: dict[str, pa.Array]
    lengths: Ints


def by_arrow(lake: Warehouse, of: ProgramRuns, ids: pa.Array, is_wanted: Bools) -> Iterator[SomeTraces]:
    """From the files.

    Args:
        lake: Where they are, on a disk.
        of: Whose runs.
        ids: Of the runs, each once.
        is_wanted: Of which of them; the others' traces are no lists that can be given back.

    Raises:
        LookupError: Not each of the runs was found once, or the lake is on no disk.
        OSError, pyarrow.ArrowException: A file cannot be read.
    """
    import numpy as np

    if local_path(lake.lake.root) is None:
        raise LookupError("the lake is in a bucket")
    left, at = len(ids), 0
    for name in file_names(lake, {(of.realm, day) for day in of.days}):
        if not left:
            break
        for traces, places in _of_file(lake, name, of.strategy_id, ids, at):
            left -= int((places >= 0).sum())
            yield _wanted(traces, np.where(is_wanted[places], places, -1))
        at = len(ids) - left
    if left:
        raise LookupError(f"{left} runs are in none of the files, or in several")


def by_duckdb(lake: Warehouse, of: ProgramRuns, ids: pa.Array) -> Iterator[SomeTraces]:
    """The same where Arrow does not find them: of a lake in a bucket, and of files that were replaced.

    Args:
        lake: Where they are.
        of: Whose runs.
        ids: Of the runs, each once.
    """
    first, last = min(of.days, default=None), max(of.days, default=None)
    asked = {"strategy": of.strategy_id, "version": of.strategy_version, "first": first, "last": last}
    reader = lake.connection.sql(sql.text("variants", "run_traces"), params=asked).to_arrow_reader(_AT_ONCE)
    for batch in reader:
        yield _wanted(batch.column("trace"), _places(batch.column("execution_id"), ids))


def _of_file(lake: Warehouse, name: str, program: str, ids: pa.Array, begin: int) -> Iterator[tuple[pa.Array, Ints]]:
    """The traces in one file, some at a time, and where each of their runs stands among those asked for; -1 where it does not.

    Args:
        lake: Where it is.
        name: The file's.
        program: Whose runs.
        ids: Of the runs.
        begin: Where those of this file begin, if they stand one file after the other.
    """
    import numpy as np
    import pyarrow.parquet as pq

    with pq.ParquetFile(readable(lake.lake.place(name)), read_dictionary=list(_TEXTS), pre_buffer=False) as file:
        groups = [number for number in range(file.num_row_groups) if may_hold(file, number, {program})]
        if not groups:
            return
        read = file.read_row_groups(groups, columns=["execution_id"], use_threads=False)["execution_id"]
        own = read.combine_chunks()
        # Of whole days DuckDB mostly gives the rows as they lie; looking each up costs as much as a third of the reading.
        in_order = ids.slice(begin, len(own)).equals(own)
        places, at = np.arange(begin, begin + len(own)) if in_order else _places(own, ids), 0
        for group in groups:
            end = at + file.metadata.row_group(group).num_rows
            if not (places[at:end] >= 0).any():
                at = end
                continue
            for batch in file.iter_batches(_AT_ONCE, row_groups=[group], columns=list(_TEXTS), use_threads=False):
                [traces] = batch.columns
                here = places[at : at + len(traces)]
                at += len(traces)
                if (here >= 0).any():
                    yield traces, here


def _places(some: pa.Array, ids: pa.Array) -> Ints:
    """Where some ids stand among others; -1 where they do not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: Ints = pc.index_in(some, value_set=ids).fill_null(-1).cast(pa.int64()).to_numpy()
    return found


def _wanted(traces: pa.Array, places: Ints) -> SomeTraces:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    is_valid = traces.is_valid().to_numpy(zero_copy_only=False)
    inside = (places >= 0) & is_valid
    if (is_valid & ~inside).any():
        traces, is_valid = traces.filter(pa.array(inside)), inside[inside]
    entries = traces.flatten()  # without those that are NULL
    lengths = pc.list_value_length(traces).to_numpy(zero_copy_only=False)[is_valid].astype(np.int64)
    return SomeTraces(places[inside], {name: entries.field(name) for name in COLUMNS}, lengths)
