"""What the runs of one version read, run by run: the inputs on which another program can be tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.findings.replay.run_evidence import EVENT_FIELDS, read_json
from analytics.findings.replay.trace_variants import Variant, Variants, read
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST = 100_000
"""Runs that are replayed; of more, an even part is taken."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Ok runs with finite points whose traces fit their program, and what they read.

    Attributes:
        variants: Their ways through the program.
        used: Those of them that fit, in the order of the numbers in ``rows.variant``.
        fields: (phase, path) of each field that some run read; phase is ``post`` behind the built-in of DSL_EXTEND, else ``pre``.
        rows: Grain: logged run. ``execution_id``, ``created_at``, ``weight`` (runs it stands for, with the part that was taken),
            ``points``, ``case_name``, the event's ids, ``parent_strategy_id``, ``variant``.
        values: Of each run, JSON texts in the order of ``fields``; None where it did not read one.
        share: The part of the runs that was taken.
    """

    variants: Variants
    used: tuple[Variant, ...]
    fields: tuple[tuple[str, str], ...]
    rows: pd.DataFrame
    values: list[tuple[str | None, ...]]
    share: float


def read_inputs(lake: Warehouse, found: Variants, *, most: int = MOST) -> Inputs:
    """Read the inputs of a version's runs, at most about so many."""
    used = tuple(variant for variant in found.found if variant.beside.fits)
    places = [first_reads(found, variant) for variant in used]
    fields = tuple(dict.fromkeys(key for reads in places for key in reads))
    wanted = {variant.key: [reads.get(key) for key in fields] for variant, reads in zip(used, places, strict=True)}
    logged = sum(variant.logged_count for variant in used)
    share = min(1.0, most / logged) if logged else 1.0
    table = read(lake, found, wanted, share=share)
    flat = table["field_values"].combine_chunks().flatten().to_pylist()
    width = len(fields)
    values: list[tuple[str | None, ...]] = [tuple(flat[at * width : (at + 1) * width]) for at in range(len(table))]
    rows = table.drop(["field_values"]).to_pandas()
    rows["weight"] = rows["sample_weight"].to_numpy(float, na_value=np.nan) / share
    return Inputs(found, used, fields, rows, values, share)


def first_reads(found: Variants, variant: Variant) -> dict[tuple[str, str], int]:
    """The entry at which each field was read first."""
    nodes = found.definition.outline.nodes
    first: dict[tuple[str, str], int] = {}
    for entry, position in enumerate(variant.beside.positions):
        node = nodes[position]
        if node.type == "field" and node.path is not None:
            first.setdefault(("post" if node.section == "post_rules" else "pre", node.path), entry)
    return first


class Decoder:
    """JSON texts to values, each text once."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def fields(self, inputs: Inputs, values: tuple[str | None, ...], phase: str) -> dict[str, Any]:
        """Path → value of what was read in a phase."""
        found = {}
        for (of, path), text in zip(inputs.fields, values, strict=True):
            if text is not None and of == phase:
                if text not in self._known:
                    self._known[text] = read_json(text)
                found[path] = self._known[text]
        return found


def event_ids(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ids of a run's event as fields, as far as they are known."""
    return {path: row[column] for path, column in EVENT_FIELDS.items() if isinstance(row[column], str)}
