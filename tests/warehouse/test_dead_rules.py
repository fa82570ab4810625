"""The query dead_rules: a row per place, and what its verdicts claim, against populations of which all is known."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analytics.warehouse import rule_verdicts
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from tests.conftest import Table

ONE = "00000000-0000-4000-8000-000000000001"
WEEK = [f"2026-07-{number:02} 12:00:00+00" for number in range(2, 9)]


def lit(value: Any) -> dict[str, Any]:
    return {"type": "literal", "value": value}


def asks(path: str, op: str, value: Any) -> dict[str, Any]:
    return {"type": "compare", "op": op, "left": {"type": "field", "path": path}, "right": lit(value)}


def pays(kind: str = "assign_points", **rest: Any) -> dict[str, Any]:
    return {"type": kind, "value": lit(1), **rest}


def skipped(*ids: str | None) -> list[dict[str, Any]]:
    return [{"nodeId": name, "type": "rule", "branch": "skip", "value": False} for name in ids]


PROGRAM = {
    "rules": [
        {"id": "a", "when": asks("data.a", ">", 1), "then": [pays()]},
        {"id": "b", "when": asks("data.a", ">", 2), "then": [pays()]},
        {"id": None, "when": asks("data.b", "==", 1), "then": [pays()]},
        {"id": "twin", "when": asks("data.c", "==", 1), "then": [pays("set_callback_data", key="c")]},
        {"id": "twin", "when": asks("data.c", "==", 2), "then": [pays()]},
    ],
    "default": pays(id="last"),
}
EXTEND = {
    "rules": [],
    "pre_rules": [{"id": "root.rule.0", "when": asks("data.a", ">", 1), "then": [pays("set_data", key="a")]}],
    "post_rules": [{"id": "root.rule.0", "when": asks("data.a", ">", 1), "then": [pays("set_points")]}],
}


def define(table: Table, program: dict[str, Any], kind: str) -> None:
    table.define(program, id=ONE, realmId="r", name="Rides", type=kind, publishedAt="2026-07-01 00:00+00")


def answers(table: Table, lake: Lake, trace: list[dict[str, Any]], days: list[str] = WEEK) -> list[dict[str, Any]]:
    with table.at_once() as rows:
        for at in days:
            for _ in range(10):
                rows.insert(
                    created_at=at, updated_at=at, realmId="r", strategyId=ONE, strategyVersion=1, status="ok", points=1,
                    durationMs=2, nodesExecuted=len(trace), trace=json.dumps(trace), sampled=True,
                )  # fmt: skip
    table.extract(lake, "2026-07-01", "2026-07-10")
    return list(Warehouse(lake).run("dead_rules").replace({np.nan: None}).to_dict("records"))


def test_every_place_is_a_row_with_what_the_log_and_the_program_say_of_it(table: Table, fresh: Lake) -> None:
    define(table, PROGRAM, "DSL_FULL")
    paid = {"nodeId": "last", "type": "assign_points", "branch": "match", "value": 1}

    rows = answers(table, fresh, [*skipped("a", "b", None, "twin", "twin"), paid])

    told = [(row["section"], row["rule_id"], row["look_count"], row["verdict"]) for row in rows]
    assert told == [
        ("rules", "a", 70, "not seen"),
        ("rules", "b", 70, "cannot match (proven)"),
        ("rules", None, 70, "not seen"),  # the only rule without an id has its counts for itself
        ("rules", "twin", None, "not judged: shared id"),
        ("rules", "twin", None, "not judged: shared id"),
        ("default", "last", 70, "matched in all looks"),
    ]
    assert {row["family_name"] for row in rows} == {"Rides"}
    assert rows[0]["share_high"] == pytest.approx(1 - 0.05 ** (1 / 70))
    assert rows[1]["why"] == "data.a > 2 cannot be true where data.a > 1 is false past rule 1 a"
    assert rows[0]["weekdays"] == "Mon–Sun"


def test_rules_before_and_behind_the_built_in_that_share_an_id_are_two_rows(table: Table, fresh: Lake) -> None:
    define(table, EXTEND, "DSL_EXTEND")

    rows = answers(table, fresh, skipped("root.rule.0", "root.rule.0"))

    told = [(row["section"], row["rule_id"], row["verdict"]) for row in rows]
    assert told == [
        ("pre_rules", "root.rule.0", "not judged: shared id"),
        ("post_rules", "root.rule.0", "not judged: shared id"),
    ]


def test_nothing_is_proven_by_a_program_that_its_traces_deny(table: Table, fresh: Lake) -> None:
    define(table, PROGRAM, "DSL_FULL")
    other = [*skipped("a"), {"nodeId": "b", "type": "rule", "branch": "match", "value": True}, *skipped("gone")]

    rows = {row["rule_id"]: row for row in answers(table, fresh, other)}

    assert rows["b"]["verdict"] == "matched in all looks"
    assert (rows["last"]["verdict"], rows["last"]["why"]) == (
        "not judged: few looks",
        "the definition does not fit the traces",
    )


# ---- how often the bounds hold ---------------------------------------------------------------------------------------


def population(rng: np.random.Generator) -> tuple[dict[str, Any], float, int]:
    """A rule's row of the statement, drawn at two rates, and in how many of its looks, and runs, it matches."""
    runs = rng.integers(500, 20_000, 2)
    rates = np.array([[0.05, 0.05], [0.05, 0.2], [0.2, 0.05], [0.01, 0.5]][rng.integers(4)])
    share = np.array([0.0, 10 ** rng.uniform(-5, -1)]) if rng.random() < 0.5 else np.full(2, 10 ** rng.uniform(-5, -1))
    matching = rng.binomial(runs, share)
    seen, hits = rng.binomial(runs - matching, rates), rng.binomial(matching, rates)
    logged, weight = int((seen + hits).sum()), float(((seen + hits) / rates).sum())
    row = {
        "type": "rule", "entry_count": logged, "match_count": int(hits.sum()), "else_count": 0, "ok_logged_count": logged,
        "cut_logged_count": 0, "places_count": 1, "est_count": weight, "est_whole": weight,
        "most_weight": float((1 / rates).max()), "weightless_count": 0, "first_hour": 0, "last_hour": 23,
        "weekday_mask": rule_verdicts.ALL_WEEK,
    }  # fmt: skip
    return row, float(matching.sum() / runs.sum()), int(matching.sum())


def test_bounds_of_what_was_not_seen_hold_against_the_full_population_at_changing_rates() -> None:
    rng = np.random.default_rng(20260317)
    judged = failed = failed_runs = unseen = 0
    for _ in range(4_000):
        row, share, count = population(rng)
        told = rule_verdicts._sentence(row, False, None)
        judged += told["verdict"] in (rule_verdicts.NOT_SEEN, rule_verdicts.SEEN)
        if told["verdict"] == rule_verdicts.NOT_SEEN:
            unseen += 1
            failed += share > told["share_high"]
            failed_runs += count > told["est_runs_high"]
    assert unseen > 1_000
    assert failed <= 0.05 * unseen
    assert failed_runs <= 0.05 * unseen


@pytest.mark.parametrize("places", [1, 51, 700])
def test_all_bounds_hold_together_when_they_are_widened_for_their_number(places: int) -> None:
    for count in (30, 300, 30_000):
        wide = 1 - (0.05 / places) ** (1 / count)  # each at a confidence that leaves 5 % to all
        assert rule_verdicts.share_at_most(0, count) * rule_verdicts.together(places) >= wide - 1e-12


def test_looks_at_a_higher_rate_do_not_stand_for_those_at_a_lower() -> None:
    assert rule_verdicts.effective(300, 300 * 20.0, 20.0) == 300
    assert rule_verdicts.effective(1_100, 100 * 100 + 1_000 * 2.0, 100.0) == pytest.approx(120)
    assert rule_verdicts.effective(10, None, 20.0) == 0
    assert rule_verdicts.runs_at_most(0.0, 100.0, 20.0) == math.floor(math.log(0.05) / math.log(0.95))
