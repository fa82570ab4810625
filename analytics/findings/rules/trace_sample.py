"""Some logged runs of one version beside its program: enough to tell what each place of it does, few enough for every morning.

The runs are an even part by a hash of their ids, each weighed for those left out (Horvitz and Thompson, *J. Am. Stat. Assoc.* 47,
1952). Runs of one shape are lined up with the program once. Of the runs whose trace was cut, some are followed to their end;
they stand for the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.findings.replay.run_evidence import Definition, definition, event_fields, read_json
from analytics.findings.replay.trace_variants import CONDITIONS, entries, prepare
from analytics.findings.runaway.keys import Key
from analytics.program import Alignment, TruncatedSuffix, align, truncated_suffix
from analytics.program.alternative import paths_set_in
from analytics.program.paths import Branch
from analytics.warehouse.chosen_traces import ChosenRuns, ChosenTraces

Json = dict[str, Any]
"""A row of an answer, or what a run read: each value as JSON has it."""

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.warehouse.warehouse import Warehouse

MOST_RUNS = 5_000
"""Logged runs of a version that are read."""
MOST_FOLLOWED = 100
"""Cut runs that are followed to their end, in the window and before it."""
MOST_KEPT = 300
"""Whole runs whose fields are kept, to try other rules on them."""
_ENOUGH_DAYS = 2
"""Days before the window are taken, the latest first, until they have so many times the runs that are read of them."""
_FEW_MISFITS = 0.05


@dataclass(frozen=True, slots=True)
class PathGroup:
    """Runs that took the same way through the program, or one cut run.

    Attributes:
        logged_count: How many were read.
        weight, weight_square: Sums of the weights of these rows, and of their squares.
        is_recent: They are of the window, not of the days before.
        turns: Position → turn, of the places that the trace shows.
        rest: What one cut run did behind the cut; None for whole runs, and where nothing can be said.
        unseen: Entries of one cut run behind the cut.
        ended: The statement that ended the program; None when it ran out of rules, or when that is not seen.
    """

    logged_count: int
    weight: float
    weight_square: float
    is_recent: bool
    turns: Mapping[int, Branch]
    rest: TruncatedSuffix | None = None
    unseen: int = 0
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class TraceSample:
    """The runs that a profile rests on.

    Attributes:
        key: Which version.
        definition: Its program.
        since: From when on.
        logged_count: Logged ok runs since then that left entries.
        read_count: Runs that were read.
        misfit_count: Of them, those that the program cannot have left; they are set aside.
        cut_count: Of those read, those with a cut trace.
        followed_count, complete_count: Cut runs that were followed behind the cut, and those for which one way fits.
        ways: What they did.
        values: Position → how many entries, the least and the most of their JSON texts.
        kept: Of some whole runs: the statement that ended them (None: no statement did), and what they read.
        most_weight: The largest weight of a run, or of one that stands for others.
        weekdays: Days of the week with logged runs, as ``looks.weekdays`` has them.
    """

    key: Key
    definition: Definition
    since: datetime
    logged_count: int
    read_count: int
    misfit_count: int
    cut_count: int
    followed_count: int
    complete_count: int
    ways: tuple[PathGroup, ...]
    values: Mapping[int, tuple[int, str, str]]
    kept: tuple[tuple[int | None, Json], ...]
    most_weight: float
    weekdays: int

    @property
    def doubt(self) -> str:
        """Why the program cannot stand for the version, in a clause; empty when it can."""
        if self.misfit_count <= _FEW_MISFITS * self.read_count:
            return ""
        return f"the definition in the lake does not fit {self.misfit_count:,} of {self.read_count:,} traces"


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The runs of one version that are to be read.

    Attributes:
        key: Which version.
        strategy_id: Id of its definition.
        program: Its definition.
        runs: Of ``profile_runs``.
        since, logged_count, weekdays: As `TraceSample` has them.
    """

    key: Key
    strategy_id: str
    program: Definition
    runs: pa.Table
    since: datetime
    logged_count: int
    weekdays: int

    @property
    def of_lake(self) -> ChosenRuns:
        """Whose traces are read."""
        days = frozenset(self.runs["day"].unique().to_pylist())
        return ChosenRuns(self.key.realm, self.strategy_id, days, self.runs["execution_id"])


def sample_runs(
    lake: Warehouse,
    versions: Iterable[tuple[Key, str]],
    since: datetime,
    recent: datetime,
    until: datetime,
    *,
    most: int = MOST_RUNS,
) -> Iterator[TraceSample]:
    """Read some runs of each version and line them up with its program; nothing of one whose program or runs the lake lacks.

    Args:
        lake: Where they are.
        versions: Which, with the ids of their definitions; which runs of all of them are read is known before any is.
        since, recent, until: The window begins at ``recent``; earlier runs, at most those since ``since``, add evidence on what
            was not seen.
        most: Runs of each to read, about.
    """
    prepare(lake)
    found = (_choose(lake, key, strategy_id, since, recent, until, most) for key, strategy_id in versions)
    chosen = [(one, one.of_lake) for one in found if one is not None]
    traces = ChosenTraces(lake, [of_lake for _, of_lake in chosen])
    for one, of_lake in chosen:
        rows = _with_traces(lake, one.runs, traces.of(of_lake))
        if not rows.num_rows:
            continue
        lake.connection.register("profile_sample", rows)
        try:
            yield _read(lake, one, rows)
        finally:
            lake.connection.unregister("profile_sample")
            del rows  # long traces are many bytes, and those of the next version come on top


def _choose(
    lake: Warehouse, key: Key, strategy_id: str, since: datetime, recent: datetime, until: datetime, most: int
) -> _Chosen | None:
    """Which runs of a version are read, and before it from which day on."""
    program = definition(lake, strategy_id, key.version)
    if program is None:
        return None
    about: Json = {
        "realm": key.realm,
        "strategy": strategy_id,
        "version": key.version,
        "since": since,
        "until": until,
    }
    about["recent"] = recent
    days = lake.sql(sql.text("variants", "profile_count"), **about).fetchall()
    now = sum(count for _, is_recent, count in days if is_recent)
    room = most - min(now, most // 2)
    before = 0
    for day, is_recent, count in reversed(days):
        if is_recent or before >= _ENOUGH_DAYS * room:  # older days would cost reading and tell no more
            continue
        before += count
        about["since"] = max(since, datetime(day.year, day.month, day.day, tzinfo=UTC))
    # What the days before leave room for, the window takes.
    shares = {"share": min(1.0, (most - min(before, room)) / now) if now else 1.0}
    shares["share_before"] = min(1.0, room / before) if before else 1.0
    runs = lake.sql(sql.text("variants", "profile_runs"), tables=None, **about, **shares).to_arrow_table()
    start = about["since"] if before else recent
    weekdays = sum({1 << day.weekday() for day, _, _ in days if day >= start.date()})
    return _Chosen(key, strategy_id, program, runs, start, before + now, weekdays) if runs.num_rows else None


def _with_traces(lake: Warehouse, runs: pa.Table, traces: pa.Array) -> pa.Table:
    """The runs that left entries, with them and the names of their ways; in the order of the runs."""
    import pyarrow.compute as pc

    rows = runs.append_column("trace", traces)
    if not pc.all(has_some := pc.greater(pc.list_value_length(traces), 0), skip_nulls=False).as_py():
        rows = rows.filter(has_some)
    lake.connection.register("profile_runs", rows)
    try:
        told = lake.connection.sql(sql.text("variants", "profile_sample")).to_arrow_table()
    finally:
        lake.connection.unregister("profile_runs")
    at = pc.index_in(rows["execution_id"], value_set=told["execution_id"])
    for name in ("is_cut", "variant"):
        rows = rows.append_column(name, told[name].take(at))
    return rows


def _read(lake: Warehouse, chosen: _Chosen, rows: pa.Table) -> TraceSample:
    import pyarrow.compute as pc

    program = chosen.program
    shapes = lake.connection.sql(sql.text("variants", "profile_variants")).to_arrow_table()
    known: dict[str, _Shape] = {}
    ways, misfits = [], 0
    cut_weight: dict[bool, float] = {}
    for row in _records(shapes):
        if row["variant"] not in known:
            known[row["variant"]] = _shape(program, row)
        shape = known[row["variant"]]
        if not shape.beside.fits:
            misfits += row["logged_count"]
        elif row["is_cut"]:
            cut_weight[row["is_recent"]] = cut_weight.get(row["is_recent"], 0.0) + row["weight"]
        else:
            sums = (row["logged_count"], row["weight"], row["weight_square"])
            ways.append(PathGroup(*sums, row["is_recent"], shape.turns, ended=shape.ended))
    followed = _followed(program, rows, known, cut_weight)
    changed = paths_set_in(program.outline)
    kept = [
        (shape.ended, {**event_fields(row), **_left(fields, shape.beside, changed), **post})
        for row in _with_texts(rows, pc.invert(rows["is_cut"]), MOST_KEPT)
        if (shape := known[row["variant"]]).beside.fits
        for fields, post in [_fields(shape, row["texts"])]
    ]
    return TraceSample(
        chosen.key, program, chosen.since, chosen.logged_count, rows.num_rows, misfits, pc.sum(rows["is_cut"]).as_py() or 0,
        len(followed), sum(way.rest is not None and way.rest.is_complete for way in followed), (*ways, *followed),
        _values(lake, known), tuple(kept),
        max([pc.max(rows["sample_weight"]).as_py(), *(way.weight for way in followed)]), chosen.weekdays,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shape:
    """Runs of one shape beside the program; ``reads``: the entries of fields, their paths, whether the post phase read them."""

    beside: Alignment
    turns: Mapping[int, Branch]
    ended: int | None
    is_extend: bool
    reads: tuple[tuple[int, str, bool], ...]


def _shape(program: Definition, row: Json) -> _Shape:
    trace = entries(row["trace"])
    beside = align(program.outline, trace, is_extend=row["is_extend"], is_whole=not row["is_cut"])
    turns: dict[int, Branch] = {}
    for position, entry in zip(beside.positions, trace, strict=False):
        kind = entry["type"]
        turns[position] = entry["branch"] if kind == "rule" else bool(entry["value"]) if kind in CONDITIONS else None
    last = trace[-1]["type"] if beside.fits and not row["is_cut"] else None
    ended = beside.positions[-1] if last in ("assign_points", "return", "veto") else None
    nodes = [program.outline.nodes[position] for position in beside.positions]
    reads = tuple(
        (at, node.path, node.section == "post_rules")
        for at, node in enumerate(nodes)
        if node.type == "field" and node.path is not None
    )
    return _Shape(beside, turns, ended, row["is_extend"], reads)


def _followed(
    program: Definition, rows: pa.Table, known: Mapping[str, _Shape], weights: Mapping[bool, float]
) -> list[PathGroup]:
    """Some of the cut runs, each to its end, weighed for all of them."""
    import pyarrow.compute as pc

    found: list[PathGroup] = []
    done: dict[tuple[object, ...], TruncatedSuffix | None] = {}
    asked = {node.path for node in program.outline.nodes}
    for is_recent in (True, False):
        own = pc.and_(rows["is_cut"], pc.equal(rows["is_recent"], is_recent))
        fitting = [row for row in _with_texts(rows, own, MOST_FOLLOWED) if known[row["variant"]].beside.fits]
        total = sum(row["sample_weight"] for row in fitting)
        factor = weights.get(is_recent, 0.0) / total if total else 0.0
        for row in fitting:
            shape = known[row["variant"]]
            fields, post = _fields(shape, row["texts"])
            paid = (row["nodes_executed"], row["points"], row["case_name"])
            ids = {path: value for path, value in event_fields(row).items() if path in asked}
            same = (row["variant"], repr((fields, post)), *paid, *ids.values())
            if same not in done:
                beside = replace(shape.beside, fields=fields, post_fields=post)
                count, points, case = paid
                done[same] = truncated_suffix(
                    program.outline, beside, [{"value": _value(text)} for text in row["texts"]],
                    is_extend=shape.is_extend, count=count, points=points, case_name=case, known=ids,
                )  # fmt: skip
            weight = row["sample_weight"] * factor
            unseen = row["nodes_executed"] - len(row["texts"])
            found.append(PathGroup(1, weight, weight**2, is_recent, shape.turns, done[same], unseen))
    return found


def _fields(shape: _Shape, texts: list[str | None]) -> tuple[Json, Json]:
    """What one run read before the built-in of DSL_EXTEND, and behind it."""
    read: tuple[Json, Json] = ({}, {})
    for at, path, is_post in shape.reads:
        text = texts[at]
        if text is not None and path not in read[is_post]:
            read[is_post][path] = read_json(text)
    return read


def _value(text: str | None) -> Any:
    return None if text is None else read_json(text)


def _left(fields: Json, beside: Alignment, changed: frozenset[str]) -> Json:
    """What the phase that a run ended in sees of what was read before: in the post phase not what may have been set meanwhile."""
    return {path: value for path, value in fields.items() if not (beside.reached_post and path in changed)}


def _values(lake: Warehouse, known: Mapping[str, _Shape]) -> dict[int, tuple[int, str, str]]:
    import pyarrow as pa

    fitting = {name: shape for name, shape in known.items() if shape.beside.fits}
    places = pa.table(
        {
            "variant": pa.array(list(fitting), pa.string()),
            "positions": pa.array([shape.beside.positions for shape in fitting.values()], pa.list_(pa.int32())),
        }
    )
    lake.connection.register("profile_places", places)
    try:
        found = lake.connection.execute(sql.text("variants", "profile_values")).fetchall()
    finally:
        lake.connection.unregister("profile_places")
    return {position: (count, least, most) for position, count, least, most in found}


def _with_texts(rows: pa.Table, wanted: pa.ChunkedArray, most: int) -> Iterator[Json]:
    """The first of the wanted rows; of their traces the JSON texts of the values, the rest is their shape's."""
    import pyarrow.compute as pc

    some = rows.take(pc.indices_nonzero(wanted).slice(0, most))
    traces = some["trace"]
    texts = iter(pc.struct_field(pc.list_flatten(traces), "value").to_pylist())
    for row, length in zip(
        some.drop_columns("trace").to_pylist(), pc.list_value_length(traces).to_pylist(), strict=True
    ):
        yield {**row, "texts": list(itertools.islice(texts, length))}


def _records(rows: pa.Table) -> Iterator[Json]:
    for batch in rows.to_batches(max_chunksize=1_000):  # all entries as Python objects at once would be large
        yield from batch.to_pylist()
