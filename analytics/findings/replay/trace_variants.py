"""The ways that runs of one version took through its program: each is lined up with the AST once, for all its runs.

A *variant* is process mining's word for the traces of one shape (van der Aalst, *Process Mining*, 2016). Traces of one shape
take the same turns, so the node behind their n-th entry is the same: aligning a thousand variants explains a million runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analytics import sql
from analytics.findings.replay.run_evidence import Definition, definition, read_json
from analytics.findings.replay.trace_shapes import TraceShapes
from analytics.findings.replay.traced_runs import OF_RUN, REPEATED, FoundVariant, read_traced_runs
from analytics.program import Alignment, align
from analytics.warehouse.warehouse import Warehouse
from analytics.window import midnight

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Array, Ints
    from analytics.findings.post_mortem.groups import Group

_ONE: Final = timedelta(microseconds=1)

CONDITIONS: Final = frozenset({"rule", "compare", "not", "and", "or"})
"""Types whose value is true or false, and thereby the same in all runs of a variant."""

_FEW_MISFITS: Final = 0.05
"""Share of traces that a program may not fit and still be the one that ran: what is left out is as much as an undecided run."""

MOST_RECORDED: Final = 100_000
"""Runs that are replayed; of more, an even part is taken."""
_PREFIX: Final = 8
_MORE: Final = 1.05
"""Times the runs to be replayed that are kept: of some the trace is missing or does not fit, and then a larger part is taken."""
_MOST_VALUES: Final = 40_000_000
"""Entries of the runs of one version whose values are kept; where the runs to be replayed have more, the log is read again."""
NUMBERS: Final = ("arith", "func_call", "assign_points", "set_points")
"""Types whose value is what the program has computed."""
_KEPT_TYPES: Final = ("field", *NUMBERS)
"""Types of the entries that are asked for again; the others say the same in all runs of a variant."""
_RUNS_AT_ONCE = 100_000
"""Runs that one statement is asked for, and among which the traces in the files are looked up."""


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """What the entries of some runs hold, from the one time that their traces were read.

    Attributes:
        tables: Grain: logged ok run with finite points. The columns of ``variant_runs`` to ``lot``; ``variant``, the variant's key;
            ``entry_values``, of the entries that are kept the numbers of their JSON texts in a dictionary of each chunk.
        share: The part of the runs that was kept.
        places: Variant's key → entry of its traces → its place in ``entry_values``.
    """

    tables: tuple[pa.Table, ...]
    share: float
    places: Mapping[str, Mapping[int, int]]

    def placed(self, wanted: Mapping[str, Sequence[int | None]]) -> dict[str, list[int | None]] | None:
        """Places of some entries; None where one of them was not kept."""
        found = {}
        for variant, asked in wanted.items():
            places = self.places.get(variant, {})
            if any(entry is not None and entry not in places for entry in asked):
                return None
            found[variant] = [None if entry is None else places[entry] for entry in asked]
        return found


@dataclass(frozen=True, slots=True)
class Variant:
    """One way through a program.

    Attributes:
        key: The shape's name, the same in each reading.
        logged_count: Logged runs that took it.
        weight: Runs they stand for.
        is_whole: Of ok runs whose trace was not cut.
        beside: The shape beside the program. Its values are those of one of the runs.
        true: Positions of the conditions and rules that came out true, in all of its runs.
    """

    key: str
    logged_count: int
    weight: float
    is_whole: bool
    beside: Alignment
    true: frozenset[int]


@dataclass(frozen=True, slots=True)
class Variants:
    """All ways through one version's program, in some window.

    Attributes:
        realm: Tenant.
        group: The runs' version and window.
        definition: The program.
        variants: In the order of their first run.
        part: The part of the logged runs that they are of, 1 for all; the group's rows are of the same part.
        kept: What some of the runs hold; None where it is to be read from the log.
    """

    realm: str | None
    group: Group
    definition: Definition
    variants: tuple[Variant, ...]
    part: float = 1.0
    kept: KeptRuns | None = field(default=None, compare=False, repr=False)

    @property
    def logged_count(self) -> int:
        """Logged runs with a trace."""
        return sum(variant.logged_count for variant in self.variants)

    @property
    def misfits(self) -> list[Variant]:
        """Those that the program cannot have left."""
        return [variant for variant in self.variants if not variant.beside.fits]

    @property
    def doubt(self) -> str:
        """Why the program cannot stand for the version, in a clause; empty when it can: it was edited under the same version."""
        misfit = sum(variant.logged_count for variant in self.misfits)
        if misfit <= _FEW_MISFITS * self.logged_count:
            return ""
        return (
            f"the definition of {self.group.label} in the lake does not fit {misfit:,} of {self.logged_count:,} traces"
        )


def find_variants(
    lake: Warehouse,
    realm: str | None,
    side: Group,
    *,
    part: float = 1.0,
    most: int = MOST_RECORDED,
    looked_at: float = 1.0,
) -> Variants | None:
    """Line up every variant of one version; None when the group holds several versions or the lake lacks the program.

    Traces that no typed list can give back (``trace_irregular``) are left out.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        side: The group.
        part: The part of the logged runs that its rows are of.
        most: Runs whose values will be asked for.
        looked_at: The part of the group's runs whose traces are looked at, for who asks for few of them.
    """
    if side.strategy_id is None or side.strategy_version is None:
        return None
    program = definition(lake, side.strategy_id, side.strategy_version)
    if program is None:
        return None
    share, part = min(1.0, _share_to_keep(side, most) / looked_at), part * looked_at
    found: dict[str, Variant] = {}
    places: dict[str, Mapping[int, int]] = {}
    runs: list[pa.Table] = []
    shapes = TraceShapes(_KEPT_TYPES)
    for since, until in _spans(side, looked_at):
        asked = {**parameters(realm, side), "since": since, "until": until, "part": part, "kept": part * share}
        read = read_traced_runs(lake, asked, shapes, only_kept=False)
        runs += read.kept
        for one in read.variants:
            if one.key in found:
                known = found[one.key]
                count, weight = known.logged_count + one.logged_count, known.weight + one.weight
                found[one.key] = replace(known, logged_count=count, weight=weight)
            else:
                found[one.key] = _variant(program, one)
                kept = [number for number, entry in enumerate(one.trace) if entry["type"] in _KEPT_TYPES]
                places[one.key] = {entry: place for place, entry in enumerate(kept)}
    return Variants(realm, side, program, tuple(found.values()), part, KeptRuns(tuple(runs), share, places))


def _variant(program: Definition, one: FoundVariant) -> Variant:
    trace = entries(one.trace)
    beside = align(program.outline, trace, is_extend=one.is_extend, is_whole=one.is_whole)
    true = frozenset(
        position
        for position, entry in zip(beside.positions, trace, strict=False)
        if entry["type"] in CONDITIONS and entry["value"]
    )
    return Variant(one.key, one.logged_count, one.weight, one.is_whole, beside, true)


def _spans(side: Group, share: float) -> list[tuple[datetime, datetime]]:
    """The time of a group in whole days, as many together as one statement may be asked for the runs of; of few runs all."""
    since, until = side.since, side.until + _ONE  # the last row is one of the side's
    count = share * len(side.rows) / _RUNS_AT_ONCE
    days = (until.date() - since.date()).days
    step = max(1, int(days / count)) if count > 1 else days + 1
    edges = [midnight(since.date() + timedelta(days=day)) for day in range(step, days + 1, step)]
    edges = [edge for edge in edges if since < edge < until]
    return list(zip([since, *edges], [*edges, until], strict=True))


def _share_to_keep(side: Group, most: int) -> float:
    """The part of a group's runs whose values are kept, as far as its rows tell how many there are and how long."""
    ok_count = int((side.rows["status"] == "ok").sum())
    return min(1.0, _MORE * most / max(1, ok_count), _MOST_VALUES / max(1.0, _value_count(side)))


def _value_count(side: Group) -> float:
    """Entries that the ok runs of a group left, those behind a cut too."""
    is_ok = (side.rows["status"] == "ok").to_numpy(bool)
    return float(side.rows["nodes_executed"].to_numpy()[is_ok].sum())


def prepare(lake: Warehouse) -> None:
    """Teach the lake's connection the macros that number shapes."""
    for name in ("trace_shape", "run_shape"):
        lake.connection.execute(sql.text("variants", name))


def parameters(realm: str | None, side: Group) -> dict[str, Any]:
    """The parameters that pick a side's runs."""
    until: datetime = side.until + _ONE  # the last row is one of the side's
    return {
        "realm": realm,
        "strategy": side.strategy_id,
        "version": side.strategy_version,
        "since": side.since,
        "until": until,
    }


def read(
    lake: Warehouse, variants: Variants, wanted: Mapping[str, Sequence[int | None]], *, share: float = 1.0
) -> pa.Table:
    """What each run read.

    Args:
        lake: Where the runs are.
        variants: Their variants.
        wanted: Variant's key → for each field the entry that read it, None where it was not read. Other variants are left out.
        share: Part of the variants' runs to take, an even one that does not depend on chance.

    Returns:
        Grain: logged ok run with finite points, in the order of their ids: sums of floats depend on the order of their rows, and a
        report of the same runs is to be the same. ``variant`` is the variant's place in ``wanted``; ``field_0``, ``field_1`` …
        are JSON texts in the order of the fields, as dictionaries: a million runs hold each once.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kept = variants.kept
    if kept is None or share > kept.share or (placed := kept.placed(wanted)) is None:
        kept = _read_again(lake, variants, wanted, share)
        placed = kept.placed(wanted) or {}
    places = _Places.of(placed)
    most = 1_000_000 * float(share * variants.part)
    picked = [places.picked(table.filter(pc.less(table["lot"], most)).drop(["lot"])) for table in kept.tables]
    if not picked:
        empty = {**parameters(variants.realm, variants.group), "part": 1.0, "kept": 0.0, "only_kept": True}
        runs = lake.sql(sql.text("variants", "variant_runs"), **empty).to_arrow_table()
        picked = [places.none(runs.drop(list(OF_RUN)))]
    table = pa.concat_tables(picked).unify_dictionaries()
    table = table.take(_order(table["execution_id"].combine_chunks()))
    for name in REPEATED:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
    return table


def _order(ids: pa.Array) -> Array:
    """Places of ids in their order: eight bytes of ids of one length are a number, and few of a million share them."""
    import numpy as np
    import pyarrow.compute as pc

    lengths = pc.min_max(pc.binary_length(ids)).as_py()
    size = lengths["max"]
    if size is None or size < _PREFIX or lengths["min"] != size:
        slow: Array = pc.sort_indices(ids).to_numpy()
        return slow
    start = np.frombuffer(ids.buffers()[1], dtype=np.int32)[ids.offset]
    texts = np.frombuffer(ids.buffers()[2], dtype=np.uint8)[start : start + size * len(ids)].reshape(len(ids), size)
    number = np.ascontiguousarray(texts[:, :_PREFIX]).view(">u8").ravel().astype(np.uint64)
    order: Array = np.argsort(number, kind="stable")
    is_tied = number[order][1:] == number[order][:-1]
    tied = np.flatnonzero(np.r_[is_tied, False] | np.r_[False, is_tied])
    if len(tied):
        order[tied] = order[tied][np.lexsort((np.array(ids.take(order[tied]).to_pylist()), number[order[tied]]))]
    return order


def _read_again(
    lake: Warehouse, variants: Variants, wanted: Mapping[str, Sequence[int | None]], share: float
) -> KeptRuns:
    """The values of more runs than were kept, or of entries of other types."""
    nodes, of_key = variants.definition.outline.nodes, {variant.key: variant for variant in variants.variants}
    positions = {key: of_key[key].beside.positions for key in wanted}
    types = {
        str(nodes[positions[key][entry]].type) for key, asked in wanted.items() for entry in asked if entry is not None
    }
    shapes, tables = TraceShapes(types), []
    for since, until in _spans(variants.group, share):
        asked = {**parameters(variants.realm, variants.group), "since": since, "until": until, "part": 1.0}
        asked["kept"] = float(share * variants.part)
        tables += read_traced_runs(lake, asked, shapes, only_kept=True).kept
    places = {
        key: {entry: place for place, entry in enumerate(e for e, at in enumerate(of) if nodes[at].type in types)}
        for key, of in positions.items()
    }
    return KeptRuns(tuple(tables), share, places)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where among the values that are kept of a run each wanted one stands.

    Attributes:
        numbers: Variant's key → its number.
        places: By number and field, from 0; -1 where the variant did not read it.
    """

    numbers: Mapping[str, int]
    places: Ints

    @classmethod
    def of(cls, placed: Mapping[str, Sequence[int | None]]) -> _Places:
        """Of some variants.

        Args:
            placed: Variant's key → for each field its place, None where it was not read.
        """
        import numpy as np

        rows = [[-1 if place is None else place for place in places] for places in placed.values()]
        width = max(map(len, rows), default=0)
        places = np.array(rows, dtype=np.int64).reshape(len(rows), width)
        return cls({key: number for number, key in enumerate(placed)}, places)

    def none(self, runs: pa.Table) -> pa.Table:
        """No rows, with the columns that some would have."""
        import pyarrow as pa

        code = pa.dictionary(pa.int32(), pa.string())
        table = runs.append_column("variant", pa.nulls(len(runs), pa.int32()))
        for field_number in range(self.places.shape[1]):
            table = table.append_column(f"field_{field_number}", pa.nulls(len(runs), code))
        return table

    def picked(self, table: pa.Table) -> pa.Table:
        """The rows of these variants, each wanted value as a column, and texts that repeat as dictionaries."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = table["variant"].combine_chunks()
        known = np.array([self.numbers.get(key, -1) for key in keys.dictionary.to_pylist()], dtype=np.int32)
        numbers = known[keys.indices.to_numpy()]
        if (numbers < 0).any():
            table, numbers = table.filter(pa.array(numbers >= 0)), numbers[numbers >= 0]
        values = table["entry_values"].combine_chunks()
        lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
        starts, flat = np.cumsum(lengths) - lengths, values.flatten()
        codes = flat.indices.fill_null(-1).to_numpy()
        table = table.drop(["entry_values", "variant"]).append_column("variant", pa.array(numbers))
        for field_number in range(self.places.shape[1]):
            place = self.places[numbers, field_number]
            is_there = (place >= 0) & (place < lengths)
            found = (
                np.where(is_there, codes[np.where(is_there, starts + place, 0)], -1) if len(codes) else place * 0 - 1
            )
            table = table.append_column(f"field_{field_number}", _texts(found, flat.dictionary))
        return table


def _texts(codes: Array, dictionary: pa.Array) -> pa.DictionaryArray:
    """Texts of a dictionary by their numbers, with a dictionary of those alone."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    numbers, used = pd.factorize(np.where(codes < 0, np.nan, codes) if (codes < 0).any() else codes)
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers.astype(np.int32), mask=numbers < 0), dictionary.take(pa.array(used.astype(np.int64)))
    )


def entries(trace: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lake's entries as the log held them."""
    return [
        {
            "nodeId": entry["node_id"],
            "type": entry["type"],
            "value": None if entry["value"] is None else read_json(entry["value"]),
            "branch": entry["branch"],
        }
        for entry in trace
    ]
