"""The runs of one version by the shape of their traces, and what the wanted entries of some of them hold: each is read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from analytics import sql
from analytics.findings.replay.trace_shapes import Shaped, TraceShapes, with_flag
from analytics.warehouse.run_traces import COLUMNS, ProgramRuns, SomeTraces, by_arrow, by_duckdb
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Array, Bools, Codes, Ints

REPEATED: Final = ("case_name", "external_game_id", "external_task_id", "external_user_id", "parent_strategy_id")
"""Texts that many runs share."""
OF_RUN: Final = ("lot", "run_weight", "is_whole", "is_extend", "is_regular", "is_kept")
"""Columns of ``variant_runs`` that nobody asks for again, but for the first."""


@dataclass(frozen=True, slots=True)
class FoundVariant:
    """What some of the runs show of a variant; ``first_at``: when the first of them ran; ``trace``: of one of them."""

    key: str
    is_whole: bool
    is_extend: bool
    logged_count: int
    weight: float
    first_at: int
    trace: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TracedRuns:
    """The runs of a span of time.

    Attributes:
        variants: The earliest first.
        kept: The runs whose values are kept, as ``KeptRuns`` has them.
    """

    variants: list[FoundVariant]
    kept: list[pa.Table]


def read_traced_runs(lake: Warehouse, asked: Mapping[str, Any], shapes: TraceShapes, *, only_kept: bool) -> TracedRuns:
    """Read some runs' traces once: by Arrow from the files, and where that does not find them, by DuckDB.

    Args:
        lake: Where they are.
        asked: Parameters of ``variant_runs``, but for the last.
        shapes: Tells their shapes, and of which entries values are kept.
        only_kept: Of the runs whose values are kept alone.
    """
    import pyarrow as pa

    statement = sql.text("variants", "variant_runs")
    runs = lake.sql(statement, **asked, only_kept=only_kept).to_arrow_table().combine_chunks()
    of = ProgramRuns(asked["realm"], asked["strategy"], asked["version"], _days(runs))
    ids, is_regular = runs["execution_id"].combine_chunks(), runs["is_regular"].to_numpy().astype(bool)
    try:
        return _gathered(runs, by_arrow(lake, of, ids, is_regular), shapes)
    except (pa.ArrowException, LookupError, OSError):
        return lake.ask(lambda: _gathered(runs, by_duckdb(lake, of, ids), shapes))


def _days(runs: pa.Table) -> frozenset[date]:
    """UTC days on which they ran."""
    import numpy as np

    time = runs["created_at"].cast("int64").to_numpy()
    return frozenset(np.unique(time.astype("datetime64[us]").astype("datetime64[D]")).tolist())


def _gathered(runs: pa.Table, traces: Iterable[SomeTraces], shapes: TraceShapes) -> TracedRuns:
    """Number the shapes of traces as they come; what is kept is kept part by part of a file."""
    import numpy as np

    is_whole = runs["is_whole"].to_numpy().astype(bool)
    is_kept = runs["is_kept"].to_numpy().astype(bool)
    time = runs["created_at"].cast("int64").to_numpy()
    keys = np.zeros(len(runs), dtype=np.uint64)
    seen: Bools = np.zeros(len(runs), dtype=bool)
    first: dict[int, tuple[int, int]] = {}
    shown: dict[int, list[dict[str, Any]]] = {}
    kept = _Kept(runs, keys)
    for some in traces:
        shaped, at = shapes.of(some), some.places
        keys[at], seen[at] = with_flag(shaped.shapes, is_whole[at]), True
        kept.add(some, shaped, is_kept[at])
        order = np.argsort(time[at], kind="stable")
        of_here, earliest = np.unique(keys[at][order], return_index=True)
        for key, place in zip(of_here.tolist(), order[earliest].tolist(), strict=True):
            moment = int(time[at[place]]), int(at[place])
            if key not in first or moment < first[key]:
                first[key] = moment
            if key not in shown:
                shown[key] = _entries(some, place)
    return TracedRuns(_counted(runs, keys, seen, first, shown), kept.tables())


def _entries(some: SomeTraces, place: int) -> list[dict[str, Any]]:
    """One of some traces."""
    length = int(some.lengths[place])
    start = int(some.lengths[:place].sum())
    texts = [some.entries[name].slice(start, length).to_pylist() for name in COLUMNS]
    return [dict(zip(COLUMNS, entry, strict=True)) for entry in zip(*texts, strict=True)]


def _counted(
    runs: pa.Table,
    keys: Array,
    seen: Bools,
    first: Mapping[int, tuple[int, int]],
    shown: Mapping[int, list[dict[str, Any]]],
) -> list[FoundVariant]:
    """Each variant's runs added up."""
    import numpy as np

    names, numbers = np.unique(keys[seen], return_inverse=True)
    counts = np.bincount(numbers, minlength=len(names))
    weight = np.nan_to_num(runs["run_weight"].to_numpy()[seen].astype(float), nan=0.0)
    weights = np.bincount(numbers, weights=weight, minlength=len(names))
    found = []
    for name, count, total in zip(names.tolist(), counts.tolist(), weights.tolist(), strict=True):
        moment, place = first[name]
        is_whole, is_extend = runs["is_whole"][place].as_py(), runs["is_extend"][place].as_py()
        found.append(FoundVariant(_name(name), is_whole, is_extend, count, total, moment, shown[name]))
    return sorted(found, key=lambda one: (one.first_at, one.key))


def _name(key: int) -> str:
    return f"{key:016x}"


class _Kept:
    """Values of the wanted entries of some runs: numbers in the dictionary of a part of a file, of which only what is used stays.

    Args:
        runs: All of them, as ``variant_runs`` has them.
        keys: Of each its shape, once its trace was seen.
    """

    def __init__(self, runs: pa.Table, keys: Array) -> None:
        self._runs, self._keys = runs.drop([name for name in OF_RUN if name != "lot"]), keys
        self._dictionary: pa.Array | None = None
        self._values: list[Codes] = []
        self._counts: list[Ints] = []
        self._places: list[Ints] = []
        self._done: list[pa.Table] = []

    def add(self, some: SomeTraces, shaped: Shaped, is_kept: Bools) -> None:
        """Some traces, of which those of some runs are kept."""
        import numpy as np

        if not is_kept.any():
            return
        if self._dictionary is not shaped.dictionary:
            self._flush()
            self._dictionary = shaped.dictionary
        inside = shaped.is_wanted & np.repeat(is_kept, some.lengths)
        ends = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), shaped.is_wanted]))
        stops = np.cumsum(some.lengths)
        self._values.append(shaped.values[inside])
        self._counts.append((ends[stops] - ends[stops - some.lengths])[is_kept])
        self._places.append(some.places[is_kept])

    def tables(self) -> list[pa.Table]:
        """The runs that were kept."""
        self._flush()
        return self._done

    def _flush(self) -> None:
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        if not self._places:
            return
        assert self._dictionary is not None  # noqa: S101  # it was set with the first of them
        values, places = np.concatenate(self._values), np.concatenate(self._places)
        used = pd.unique(values)
        if 2 * len(used) < len(self._dictionary):
            values, used = pd.factorize(values)
            values, dictionary = np.where(used[values] < 0, -1, values), self._dictionary.take(np.maximum(used, 0))
        else:
            dictionary = self._dictionary
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.concatenate(self._counts))])
        texts = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32), mask=values < 0), dictionary)
        held = pa.LargeListArray.from_arrays(offsets, texts)
        table = self._runs.take(places)
        for name in REPEATED:
            table = table.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
        keys, numbers = np.unique(self._keys[places], return_inverse=True)
        names = pa.DictionaryArray.from_arrays(
            pa.array(numbers.astype(np.int32)), [_name(key) for key in keys.tolist()]
        )
        self._done.append(table.append_column("variant", names).append_column("entry_values", held))
        self._values, self._counts, self._places = [], [], []
