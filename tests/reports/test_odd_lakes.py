"""Reports of lakes in which much is missing: they are made, hold nothing that is no number, and say what is missing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from analytics.cli import main
from analytics.estimates.comparisons import rate_change_p
from analytics.estimates.estimate import Estimate
from analytics.reports.page import number as write
from tests.fewer import one_in
from tests.odd import judge
from tests.odd.lakes import REALMS, Shape, Strategy, make
from tests.odd.tell import faults

NO_FIELD = (Strategy("data_only", None, "Far", 1, False),)
HOSTILE = tuple(Strategy(kind, REALMS[3], f"<b>{kind}", 2, True) for kind in ("hostile", "same_ids"))
BUILT_IN = (Strategy("bare", "acme", "Ride", 1, False), Strategy("extend", "", "Ride", 2, False))

LAKES = {
    "strategies that read no analytics field, of the only tenant, which has no name": Shape(rows=60, strategies=NO_FIELD),
    "not one ok row": Shape(rows=40, failed_share=1.0, failing=("error", "timeout", "limit", "canary", "unknown")),
    "no table of definitions, and runs whose rate nobody knows": Shape(rows=40, definitions="no table", rate="zero"),
    "cut traces only": Shape(rows=30, traces="cut"),
    "durations that are all zero": Shape(
        rows=50, strategies=(Strategy("plain", "acme", "Ride", 1, False),), durations="zero", bursts=True
    ),
    "durations and points at the ends of a double": Shape(
        seed=7, rows=60, strategies=(Strategy("bare", "acme", "Ride", 2, False),), durations="odd", points="huge", nodes="zero"
    ),
    "hostile tenants, programs without sense": Shape(rows=40, strategies=HOSTILE, texts="hostile", traces="odd ids"),
    "built-ins and programs that are none": Shape(rows=30, strategies=BUILT_IN, definitions="broken", traces="no list"),
    "nothing": Shape(rows=0, window="minute"),
    "one row, and nothing of the window": Shape(rows=1, window="future", undated=1.0),
}  # fmt: skip


@pytest.mark.parametrize("shape", one_in(3, LAKES.values()), ids=list(LAKES))
def test_both_reports_are_made_and_show_nothing_that_is_none(shape: Shape) -> None:
    assert list(faults(shape, more=0)) == []


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (5e-324, None, None, "5.00e−324"),  # as Python writes the smallest double
        (0.0, -1.7e308, 1.7e308, "0"),
        (1e300, 0.0, 1e300, "1.00e300"),
    ],
)
def test_numbers_at_the_ends_of_a_double_are_written(
    value: float, low: float | None, high: float | None, text: str
) -> None:
    assert write.number(value, low, high) == text


def test_where_nobody_knows_how_many_ran_chance_is_not_ruled_out() -> None:
    unknown = Estimate(math.nan, math.nan, math.nan, 20, "too few")
    assert rate_change_p((1, 19), (unknown, unknown)) == 1.0


@pytest.mark.long
@pytest.mark.parametrize("shape", LAKES.values(), ids=list(LAKES))
def test_and_in_every_other_way_to_ask(shape: Shape) -> None:
    assert list(faults(replace(shape, seed=7), more=99)) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["strategies that read no analytics field, of the only tenant, which has no name", "nothing"]
)
def test_the_command_renders_them_too(name: str, tmp_path: Path) -> None:
    shape = LAKES[name]
    lake = make(shape, tmp_path / "lake")
    window = ["--since", f"{shape.asked[0]:%Y-%m-%d %H:%M}", "--until", f"{shape.asked[1]:%Y-%m-%d %H:%M}"]
    asked = ["--lake", str(lake.root), "--all-realms", "--out", str(tmp_path / "out"), *window]
    assert main(["report", "runaway_rules", *asked]) == 0
    [page] = (tmp_path / "out").rglob("report.html")
    assert judge.faults(page.read_text(encoding="utf-8")) == []
