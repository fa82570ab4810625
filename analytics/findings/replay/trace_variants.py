"""The ways that runs of one version took through its program: each is lined up with the AST once, for all its runs.

A *variant* is process mining's word for the traces of one shape (van der Aalst, *Process Mining*, 2016). Traces of one shape
take the same turns, so the node behind their n-th entry is the same: aligning a thousand variants explains a million runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analytics import sql
from analytics.findings.replay.run_evidence import Definition, definition, read_json
from analytics.program import Alignment, align
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.findings.post_mortem.groups import Group

CONDITIONS: Final = frozenset({"rule", "compare", "not", "and", "or"})
"""Types whose value is true or false, and thereby the same in all runs of a variant."""

_FEW_MISFITS: Final = 0.05
"""Share of traces that a program may not fit and still be the one that ran: what is left out is as much as an undecided run."""

MOST_RECORDED: Final = 100_000
"""Runs that are replayed; of more, an even part is taken."""
_MORE: Final = 1.05
"""Times the runs to be replayed that are kept: of some the trace is missing or does not fit, and then a larger part is taken."""
_MOST_VALUES: Final = 5_000_000
"""Values of entries that are kept of one version's runs; where the runs to be replayed have more, the log is read again."""


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """What the entries of some runs hold, from the one time that their traces were read.

    Attributes:
        table: Grain: logged ok run with finite points. The columns of ``run_fields`` but for its last two; ``variant``, the
            variant's key; ``entry_values``, JSON texts.
        share: The part of the runs that was kept.
    """

    table: pa.Table
    share: float


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
    lake: Warehouse, realm: str | None, side: Group, *, part: float = 1.0, most: int = MOST_RECORDED
) -> Variants | None:
    """Line up every variant of one version; None when the group holds several versions or the lake lacks the program.

    Traces that no typed list can give back (``trace_irregular``) are left out.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        side: The group.
        part: The part of the logged runs that its rows are of.
        most: Runs whose values will be asked for.
    """
    if side.strategy_id is None or side.strategy_version is None:
        return None
    program = definition(lake, side.strategy_id, side.strategy_version)
    if program is None:
        return None
    prepare(lake)
    found = []
    share = _share_to_keep(side, most)
    asked = lake.sql(
        sql.text("variants", "trace_variants"), part=part, share=part * share, **parameters(realm, side)
    ).to_arrow_table()
    for batch in asked.drop(["runs"]).to_batches(
        max_chunksize=2_000
    ):  # all of many variants as Python objects are large
        for row in batch.to_pylist():
            trace = entries(row["trace"])
            beside = align(program.outline, trace, is_extend=row["is_extend"], is_whole=row["is_whole"])
            true = frozenset(
                position
                for position, entry in zip(beside.positions, trace, strict=False)
                if entry["type"] in CONDITIONS and entry["value"]
            )
            found.append(
                Variant(row["variant"], row["logged_count"], row["weight"] or 0.0, row["is_whole"], beside, true)
            )
    return Variants(realm, side, program, tuple(found), part, KeptRuns(_kept(asked), share))


def _share_to_keep(side: Group, most: int) -> float:
    """The part of a group's runs whose values are kept, as far as its rows tell how many there are and how long."""
    is_ok = (side.rows["status"] == "ok").to_numpy(bool)
    values = float(side.rows["nodes_executed"].to_numpy(float)[is_ok].sum())
    return min(1.0, _MORE * most / max(1, int(is_ok.sum())), _MOST_VALUES / max(1.0, values))


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
    until: datetime = side.until + timedelta(microseconds=1)  # the last row is one of the side's
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
    """Rows of ``run_fields``: what each run read, by one SQL statement.

    Args:
        lake: Where the runs are.
        variants: Their variants.
        wanted: Variant's key → for each field the entry that read it, None where it was not read. Other variants are left out.
        share: Part of the variants' runs to take, an even one that does not depend on chance.

    Returns:
        Grain: logged ok run with finite points. ``variant`` is the variant's place in ``wanted``, ``field_values`` JSON texts.
    """
    import pyarrow as pa

    kept = variants.kept if variants.kept is not None and share <= variants.kept.share else None
    taken = {"share": float(share * variants.part)}
    lake.connection.register(
        "variant_places",
        pa.table(
            {
                "variant": pa.array(list(wanted), pa.string()),
                "number": pa.array(range(len(wanted)), pa.int32()),
                "entries": pa.array([list(entries) for entries in wanted.values()], pa.list_(pa.int32())),
            }
        ),
    )
    try:
        if kept is None:
            prepare(lake)
            asked = sql.text("variants", "run_fields")
            return lake.sql(asked, **taken, **parameters(variants.realm, variants.group)).to_arrow_table()
        lake.connection.register("kept_runs", kept.table)
        return lake.sql(sql.text("variants", "kept_fields"), **taken).to_arrow_table()
    finally:
        lake.connection.unregister("variant_places")
        if kept is not None:
            lake.connection.unregister("kept_runs")


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
