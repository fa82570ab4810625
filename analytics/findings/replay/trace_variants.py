"""The ways that runs of one version took through its program: each is lined up with the AST once, for all its runs.

A *variant* is process mining's word for the traces of one shape (van der Aalst, *Process Mining*, 2016). Traces of one shape
take the same turns, so the node behind their n-th entry is the same: aligning a thousand variants explains a million runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analytics import sql
from analytics.findings.replay.run_evidence import Definition, definition, read_json
from analytics.program import Alignment, align
from analytics.warehouse.warehouse import Warehouse
from analytics.window import midnight

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Ints
    from analytics.findings.post_mortem.groups import Group

_ONE: Final = timedelta(microseconds=1)

CONDITIONS: Final = frozenset({"rule", "compare", "not", "and", "or"})
"""Types whose value is true or false, and thereby the same in all runs of a variant."""

_FEW_MISFITS: Final = 0.05
"""Share of traces that a program may not fit and still be the one that ran: what is left out is as much as an undecided run."""

MOST_RECORDED: Final = 100_000
"""Runs that are replayed; of more, an even part is taken."""
_BATCH: Final = 50_000
_REPEATED: Final = ("case_name", "external_game_id", "external_task_id", "external_user_id", "parent_strategy_id")
_MORE: Final = 1.05
"""Times the runs to be replayed that are kept: of some the trace is missing or does not fit, and then a larger part is taken."""
_MOST_VALUES: Final = 5_000_000
"""Values of entries that are kept of one version's runs; where the runs to be replayed have more, the log is read again."""
NUMBERS: Final = ("arith", "func_call", "assign_points", "set_points")
"""Types whose value is what the program has computed."""
_KEPT_TYPES: Final = ("field", *NUMBERS)
"""Types of the entries that are asked for again; the others say the same in all runs of a variant."""
_RUNS_AT_ONCE, _VALUES_AT_ONCE = 25_000, 600_000
"""Runs, and values of entries, that one statement gathers to be kept: DuckDB holds ten times what it hands over."""


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """What the entries of some runs hold, from the one time that their traces were read.

    Attributes:
        table: Grain: logged ok run with finite points. The columns of ``run_fields`` but for its last two; ``variant``, the
            variant's key; ``entry_values``, JSON texts of the entries that are kept.
        share: The part of the runs that was kept.
        places: Variant's key → entry of its traces → its place in ``entry_values``.
    """

    table: pa.Table
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
        key: The shape's name, as the macro ``run_shape`` gives it.
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
    import pyarrow as pa

    prepare(lake)
    share, part = min(1.0, _share_to_keep(side, most) / looked_at), part * looked_at
    found: dict[str, Variant] = {}
    places: dict[str, Mapping[int, int]] = {}
    runs: list[pa.Table] = []
    statement, asked = sql.text("variants", "trace_variants"), parameters(realm, side)
    taken = {"part": part, "share": part * share, "types": list(_KEPT_TYPES)}
    for since, until in _spans(side, share * looked_at):
        answer = lake.sql(statement, **{**asked, **taken, "since": since, "until": until}).to_arrow_table()
        runs.append(_kept(answer))
        for row in _records(answer.drop(["runs"])):
            if row["variant"] in found:
                known = found[row["variant"]]
                count, weight = known.logged_count + row["logged_count"], known.weight + (row["weight"] or 0.0)
                found[row["variant"]] = replace(known, logged_count=count, weight=weight)
            else:
                found[row["variant"]] = _variant(program, row)
                kept = [number for number, entry in enumerate(row["trace"]) if entry["type"] in _KEPT_TYPES]
                places[row["variant"]] = {entry: place for place, entry in enumerate(kept)}
    kept_runs = KeptRuns(pa.concat_tables(runs), share, places)
    return Variants(realm, side, program, tuple(found.values()), part, kept_runs)


def _records(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=2_000):  # all of many variants as Python objects are large
        yield from batch.to_pylist()


def _variant(program: Definition, row: Mapping[str, Any]) -> Variant:
    trace = entries(row["trace"])
    beside = align(program.outline, trace, is_extend=row["is_extend"], is_whole=row["is_whole"])
    true = frozenset(
        position
        for position, entry in zip(beside.positions, trace, strict=False)
        if entry["type"] in CONDITIONS and entry["value"]
    )
    return Variant(row["variant"], row["logged_count"], row["weight"] or 0.0, row["is_whole"], beside, true)


def _spans(side: Group, share: float) -> list[tuple[datetime, datetime]]:
    """The time of a group in whole days, as many together as one statement may keep the runs of; of few runs all."""
    since, until = side.since, side.until + _ONE  # the last row is one of the side's
    ok_count = int((side.rows["status"] == "ok").sum())
    count = share * max(ok_count / _RUNS_AT_ONCE, _value_count(side) / _VALUES_AT_ONCE)
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


def _kept(asked: pa.Table) -> pa.Table:
    """The runs of each variant as rows of one table."""
    import pyarrow as pa
    import pyarrow.compute as pc

    runs = asked["runs"].combine_chunks()
    of = asked["variant"].combine_chunks().take(pc.list_parent_indices(runs))
    return pa.Table.from_struct_array(runs.flatten()).append_column("variant", of)


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
    lake: Warehouse,
    variants: Variants,
    wanted: Mapping[str, Sequence[int | None]],
    *,
    share: float = 1.0,
    only_fields: bool = False,
) -> pa.Table:
    """What each run read, by one SQL statement.

    Args:
        lake: Where the runs are.
        variants: Their variants.
        wanted: Variant's key → for each field the entry that read it, None where it was not read. Other variants are left out.
        share: Part of the variants' runs to take, an even one that does not depend on chance.
        only_fields: All that is wanted are entries of fields: the others of a trace are then not looked at.

    Returns:
        Grain: logged ok run with finite points, in the order of their ids: sums of floats depend on the order of their rows, and a
        report of the same runs is to be the same. ``variant`` is the variant's place in ``wanted``; ``field_0``, ``field_1`` …
        are JSON texts in the order of the fields, as dictionaries: a million runs hold each once.
    """
    import pyarrow as pa

    kept = variants.kept if variants.kept is not None and share <= variants.kept.share else None
    placed = kept.placed(wanted) if kept is not None else None
    asked: dict[str, Any] = {"share": float(share * variants.part)}
    if kept is None or placed is None:
        kept = None
        prepare(lake)
        asked |= {"only_fields": only_fields, **parameters(variants.realm, variants.group)}
    else:
        lake.connection.register("kept_runs", kept.table)
    at = placed if kept is not None and placed is not None else wanted
    places = _Places.of(variants, at, only_fields=only_fields and kept is None)
    statement = sql.text("variants", "run_fields" if kept is None else "kept_fields")

    def ask() -> pa.Table:
        reader = lake.connection.sql(statement, params=asked).to_arrow_reader(_BATCH)
        # Batch by batch: the traces of all rows are never there at once.
        batches = [places.picked(pa.Table.from_batches([batch])) for batch in reader]
        return pa.concat_tables(batches or [places.picked(reader.schema.empty_table())]).unify_dictionaries()

    try:
        table = lake.ask(ask)
    finally:
        if kept is not None:
            lake.connection.unregister("kept_runs")
    table = table.sort_by("execution_id")
    for name in _REPEATED:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
    return table


@dataclass(frozen=True, slots=True)
class _Places:
    """Where among the values of a run's trace each wanted one stands.

    Attributes:
        numbers: Variant's key → its number.
        places: By number and field, from 0; -1 where the variant did not read it.
    """

    numbers: Mapping[str, int]
    places: Ints

    @classmethod
    def of(cls, variants: Variants, wanted: Mapping[str, Sequence[int | None]], *, only_fields: bool) -> _Places:
        """Of some variants.

        Args:
            variants: All of them.
            wanted: As ``read`` has it.
            only_fields: Among the values of fields, in place of those of all entries.
        """
        import numpy as np

        nodes = variants.definition.outline.nodes
        of_key = {variant.key: variant for variant in variants.variants}
        rows = []
        for key, at in wanted.items():
            order = list(range(max((entry for entry in at if entry is not None), default=-1) + 1))
            if only_fields:
                is_field = [nodes[position].type == "field" for position in of_key[key].beside.positions]
                order = list(itertools.accumulate(is_field, initial=0))
            rows.append([-1 if entry is None else order[entry] for entry in at])
        width = max(map(len, rows), default=0)
        places = np.array(rows, dtype=np.int64).reshape(len(rows), width)
        return cls({key: number for number, key in enumerate(wanted)}, places)

    def picked(self, table: pa.Table) -> pa.Table:
        """The rows of these variants, each wanted value as a column, and texts that repeat as dictionaries."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = table["variant"].combine_chunks().dictionary_encode()
        known = np.array([self.numbers.get(key, -1) for key in keys.dictionary.to_pylist()] + [-1], dtype=np.int32)
        numbers = known[keys.indices.to_numpy()]
        table, numbers = table.filter(pa.array(numbers >= 0)), numbers[numbers >= 0]
        values = table["entry_values"].combine_chunks()
        lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
        starts, flat = np.cumsum(lengths) - lengths, values.flatten()
        table = table.drop(["entry_values", "variant"]).append_column("variant", pa.array(numbers))
        for name in _REPEATED:
            table = table.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
        for field_number in range(self.places.shape[1]):
            place = self.places[numbers, field_number]
            texts = flat.take(pa.array(starts + place, mask=(place < 0) | (place >= lengths)))
            table = table.append_column(f"field_{field_number}", texts.dictionary_encode())
        return table


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
