"""Are two answers the same? Group by group, so that a wrong one cannot hide in a total."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.flatteners import KEYS

TOLERANCE = 1e-9
"""Relative: sums of doubles depend on their order."""


def differing_groups(answer: Path, reference: Path) -> int:
    """Groups that only one of two answers has, or that differ in count, mean or share of true.

    Args:
        answer, reference: Parquet files of ``KEYS`` and n, mean, true_share.
    """
    same_keys = " and ".join(f"a.{key} is not distinct from b.{key}" for key in KEYS)
    wrong = " or ".join(
        f"(a.{name} is null or isnan(a.{name})) <> (b.{name} is null or isnan(b.{name})) "
        f"or abs(a.{name} - b.{name}) > {TOLERANCE} * greatest(abs(a.{name}), abs(b.{name}), 1e-300)"
        for name in ("mean", "true_share")
    )
    columns = ", ".join([*KEYS, "n::bigint as n", "mean::double as mean", "true_share::double as true_share"])
    statement = f"""
        with a as (select {columns} from read_parquet($1)), b as (select {columns} from read_parquet($2))
        select count(*) from a full join b on {same_keys} where a.n is distinct from b.n or {wrong}"""
    with duckdb.connect() as connection:
        found = connection.execute(statement, [str(answer), str(reference)]).fetchone()
    return int(found[0]) if found else 0
