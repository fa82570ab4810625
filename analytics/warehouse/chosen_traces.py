"""The traces of a few runs among many: Arrow reads them from the files in half the time that DuckDB takes.

Of an even part of the runs every page of a file holds some, so all of them are read, whoever reads. DuckDB makes each entry of each
run before it looks at which runs are wanted; Arrow hands over the numbers of the texts in the files' own dictionaries, and only the
entries of the wanted runs are made.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from analytics import sql
from analytics.lake.lake import day_directory, realm_directory
from analytics.lake.schema import execution_schema
from analytics.storage import local_path, readable
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_NAMES = ("node_id", "type", "branch", "value")
_TEXTS = tuple(f"trace.list.element.{name}" for name in _NAMES)
_ROWS_AT_ONCE = 4_000
"""Of long traces a million entries, whose numbers are held before the wanted ones are picked."""
_STARTS_A_NUMBER = tuple("-0123456789")


@dataclass(frozen=True, slots=True)
class ChosenRuns:
    """Some runs of one program.

    Attributes:
        realm: Their tenant.
        strategy_id: Id of the version.
        days: UTC days on which they ran.
        ids: Of the runs.
    """

    realm: str | None
    strategy_id: str
    days: frozenset[date]
    ids: pa.ChunkedArray


class ChosenTraces:
    """The traces of some runs of several programs: their files are read once, and held as small as they are in them.

    Args:
        lake: Where the runs are.
        chosen: All of them.
    """

    def __init__(self, lake: Warehouse, chosen: Sequence[ChosenRuns]) -> None:
        import pyarrow as pa

        self._lake = lake
        self._parts = _read(lake, chosen)
        pa.default_memory_pool().release_unused()  # the dictionaries of many files

    def of(self, chosen: ChosenRuns) -> pa.Array:
        """Those of one program, in the order of its ids; NULL for a run without one.

        Args:
            chosen: One of those that were given.
        """
        return _asked(self._lake, chosen) if self._parts is None else _whole(_of_parts(self._parts, chosen))


def _asked(lake: Warehouse, chosen: ChosenRuns) -> pa.Array:
    """The same by DuckDB: of a lake in a bucket, and where a file cannot be read or was replaced, which it knows to tell."""
    import pyarrow as pa

    days = chosen.days
    asked = {"strategy": chosen.strategy_id, "first": min(days, default=None), "last": max(days, default=None)}
    lake.connection.register("chosen_runs", pa.table({"execution_id": chosen.ids}))
    try:
        found = lake.ask(
            lambda: lake.connection.sql(sql.text("variants", "chosen_traces"), params=asked).to_arrow_table()
        )
    finally:
        lake.connection.unregister("chosen_runs")
    return found["trace"].combine_chunks().take(_places(chosen, found["execution_id"]))


def _places(chosen: ChosenRuns, ids: pa.ChunkedArray) -> pa.Array:
    """Where each of the chosen runs stands among some ids."""
    import pyarrow.compute as pc

    return pc.index_in(chosen.ids.combine_chunks(), value_set=ids.combine_chunks())


def _read(lake: Warehouse, chosen: Sequence[ChosenRuns]) -> list[_Part] | None:
    """All of them by Arrow; None where not all were found, or a file is not to be read."""
    import pyarrow as pa

    if local_path(lake.lake.root) is None:
        return None
    wanted = {
        program: pa.chunked_array(
            [chunk for one in chosen if one.strategy_id == program for chunk in one.ids.chunks], pa.string()
        ).combine_chunks()
        for program in dict.fromkeys(one.strategy_id for one in chosen)
    }
    names = file_names(lake, {(one.realm, day) for one in chosen for day in one.days})
    found: list[_Part] = []
    left = sum(map(len, wanted.values()))
    try:
        for name in names:
            if not left:
                break
            for part, count in _of_file(lake, name, wanted):
                found.append(part)
                left -= count
    except (pa.ArrowException, KeyError, OSError):
        return None
    return None if left else found


def file_names(lake: Warehouse, partitions: Collection[tuple[str | None, date]]) -> list[str]:
    """Files of the days of some partitions: a run may lie in another one than its own partition's, which stand first.

    Args:
        lake: Where the files are.
        partitions: Tenant and day.
    """
    days = {day_directory(day) for _, day in partitions}
    places = {(realm_directory(realm), day_directory(day)) for realm, day in partitions}
    folders = {name: Path(name).parent for name in lake.files["executions"]}
    names = [name for name, folder in folders.items() if folder.name in days]
    return sorted(names, key=lambda name: (folders[name].parent.name, folders[name].name) not in places)


def _of_parts(parts: Sequence[_Part], chosen: ChosenRuns) -> pa.Array:
    """The traces of one program, still as numbers in a dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = chosen.ids.combine_chunks()
    every = pa.chunked_array([part.ids for part in parts], pa.string())
    # One look at all parts: each look hashes the wanted ids anew, and they are many more than a part has.
    is_wanted = pc.is_in(every.combine_chunks(), value_set=wanted)
    begins = itertools.accumulate((len(part.ids) for part in parts), initial=0)
    looked = ((part, is_wanted.slice(begin, len(part.ids))) for part, begin in zip(parts, begins, strict=False))
    found = [(part, here) for part, here in looked if here.true_count]
    ids = pa.chunked_array([part.ids.filter(here) for part, here in found], pa.string())
    if not found:
        return pa.nulls(len(wanted), _coded_type())
    return pa.concat_arrays([part.traces.filter(here) for part, here in found]).take(_places(chosen, ids))


@dataclass(frozen=True, slots=True)
class _Part:
    """Runs of one part of a file; ``traces``: of their entries the four texts, as numbers in the dictionaries of the part."""

    ids: pa.Array
    traces: pa.Array


def _of_file(lake: Warehouse, name: str, wanted: Mapping[str, pa.Array]) -> Iterator[tuple[_Part, int]]:
    """The traces in one file, part by part; and how many of the runs were in the part, those without a trace too.

    ``wanted`` are ids by their program: of the programs that a part may hold they are few, and each look hashes them anew.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(readable(lake.lake.place(name)), read_dictionary=list(_TEXTS), pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            here_wanted = [wanted[program] for program in programs_within(file, group, wanted)]
            if not here_wanted:
                continue
            ids = file.read_row_group(group, columns=["execution_id"], use_threads=False)[
                "execution_id"
            ].combine_chunks()
            is_wanted = pc.is_in(ids, value_set=pa.concat_arrays(here_wanted))
            if not is_wanted.true_count:
                continue
            at = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=list(_TEXTS), use_threads=False):
                [traces] = batch.columns
                own = is_wanted.slice(at, len(traces))
                if own.true_count:
                    here = pc.and_(own, traces.is_valid())
                    yield _Part(ids.slice(at, len(traces)).filter(here), _few(traces.filter(here))), own.true_count
                at += len(traces)
                # Rows lie by strategy: behind the last wanted one come others' alone.
                if not is_wanted.slice(at).true_count:
                    break


def _coded_type() -> pa.DataType:
    import pyarrow as pa

    code = pa.dictionary(pa.int32(), pa.string())
    return pa.list_(pa.struct([(name, pa.string() if name == "value" else code) for name in _NAMES]))


def _few(traces: pa.Array) -> pa.Array:
    """Some of many traces, whose values do not keep the dictionary of all: it is the one that may be large."""
    import pyarrow as pa

    entries = traces.flatten()
    fields = [entries.field(name) for name in _NAMES]
    fields[-1] = fields[-1].cast(pa.string())
    return pa.ListArray.from_arrays(traces.offsets, pa.StructArray.from_arrays(fields, names=list(_NAMES)))


def may_hold(file: pq.ParquetFile, group: int, programs: Collection[str]) -> bool:
    """Whether a part of a file may hold runs of these programs; small files do not say.

    Args:
        file: The file.
        group: Number of the part.
        programs: Ids of their versions.
    """
    return bool(programs_within(file, group, programs))


def programs_within(file: pq.ParquetFile, group: int, programs: Iterable[str]) -> list[str]:
    """Those of some programs whose runs a part of a file may hold, as ``may_hold``."""
    columns = file.metadata.row_group(group)
    at = file.schema_arrow.get_field_index("strategy_id")  # as in the file's own list: no column before it has parts
    told = columns.column(at).statistics
    if columns.column(at).path_in_schema != "strategy_id" or told is None or not told.has_min_max:
        return list(programs)
    least, most = told.min, told.max
    return [program for program in programs if least <= program <= most]


def _whole(traces: pa.Array) -> pa.Array:
    """Traces as the lake has them: texts in place of their numbers in dictionaries, and the numbers that texts of values spell."""
    import pyarrow as pa

    kind = execution_schema().field("trace").type
    entries = traces.flatten()
    texts = [entries.field(name).cast(pa.string()) for name in _NAMES]
    values = texts[-1].dictionary_encode()
    numbers = pa.array([_number(text) for text in values.dictionary.to_pylist()], pa.float64()).take(values.indices)
    made = pa.StructArray.from_arrays([*texts, numbers], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(traces.offsets, made, kind, mask=traces.is_null())


def _number(text: str | None) -> float | None:
    """The number that a JSON text is, as the encoder makes it of the same text; of other texts none."""
    return float(text) if text is not None and text.startswith(_STARTS_A_NUMBER) else None
