"""The counterfactual against the simulation, which knows what the other program pays for every run."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow.compute as pc
import pytest

from analytics import api
from analytics.findings.replay import trace_variants
from analytics.findings.replay.replay_run import Inputs, PaidRun, Replayer, ReplayOutcome, read_inputs
from analytics.findings.replay.replayed import Counterfactual, counterfactual
from analytics.findings.replay.run_evidence import definition
from analytics.findings.replay.trace_variants import find_variants
from analytics.warehouse.warehouse import Warehouse
from tests.planted.stories import story
from tests.planted.world import Planted

#: Stories whose two versions both have definitions.
PAIRS = (
    "half_more_rolled_back",
    "half_more",
    "pays_less",
    "mix",
    "parent_points",
    "veto",
    "new_field",
    "long_traces",
    "rollout",
)


@pytest.fixture(scope="module")
def report(planted: Planted) -> Any:
    """The post-mortem of a story, whose two sides are compared; made once."""
    return cache(lambda key: api.post_mortem(planted.warehouse, **story(key).ask()))


@pytest.fixture(scope="module")
def compared(planted: Planted, report: Any) -> Any:
    """Both counterfactuals of a story."""

    def make(key: str) -> Counterfactual:
        found = report(key).inquiry.incident
        return counterfactual(planted.warehouse, report(key).inquiry.family.realm, found.before, found.after)

    return cache(make)


def tries(planted: Planted, report: Any, key: str) -> tuple[Inputs, list[ReplayOutcome]]:
    """The earlier program on what each logged run of the later version read."""
    found = report(key)
    before, after = found.inquiry.incident.before, found.inquiry.incident.after
    variants = find_variants(planted.warehouse, found.inquiry.family.realm, after)
    assert variants is not None
    inputs = read_inputs(planted.warehouse, variants)
    program = definition(planted.warehouse, before.strategy_id, before.strategy_version)
    assert program is not None
    trial = Replayer(program, inputs)
    return inputs, [trial.run(run, values) for run, values in zip(PaidRun.of(inputs.rows), inputs.values, strict=True)]


@pytest.mark.parametrize("key", PAIRS)
def test_every_decided_run_is_what_the_simulation_pays_and_every_bound_holds(
    planted: Planted, report: Any, key: str
) -> None:
    inputs, tried = tries(planted, report, key)
    truth = planted.runs(story(key))
    truth = truth.filter(pc.is_valid(truth["points_baseline"]))
    baseline = dict(zip(truth["execution_id"].to_pylist(), truth["points_baseline"].to_pylist(), strict=True))
    checked = 0
    for execution_id, one in zip(inputs.rows["execution_id"], tried, strict=True):
        if execution_id not in baseline:
            continue
        checked += 1
        assert one.low - 1e-9 <= baseline[execution_id] <= one.high + 1e-9, one
        if one.missing is None:
            assert one.low == one.high == pytest.approx(baseline[execution_id])
    assert checked > 30


@pytest.mark.parametrize("key", PAIRS)
def test_a_versions_own_program_gives_its_runs_again(compared: Any, key: str) -> None:
    for one in (compared(key).forward, compared(key).backward):
        assert one.misfit_count == 0
        if key != "long_traces":  # a cut trace may lack what its own run read behind the cut
            assert one.own_count == one.tried_count > 0


@pytest.mark.parametrize("key", ["half_more_rolled_back", "half_more", "pays_less", "mix", "parent_points", "rollout"])
def test_the_estimated_difference_lies_around_the_true_one(planted: Planted, compared: Any, key: str) -> None:
    found = compared(key).forward
    assert found.is_conclusive
    true, half = planted.overpaid(story(key)), (found.difference.high - found.difference.low) / 2
    # Twice the 95 % interval: one seed must not decide whether the test passes.
    assert abs(found.difference.value - true) <= 2 * half
    assert abs(true) > half, "the story must be one that an estimate of nothing would fail"


def test_cases_and_users_add_up_to_the_whole(compared: Any) -> None:
    found = compared("half_more").forward
    assert sum(case.difference.value for case in found.cases) == pytest.approx(found.difference.value)
    assert sum(case.logged_count for case in found.cases) == found.decided_count
    assert abs(found.cases[0].difference.value) == max(abs(case.difference.value) for case in found.cases)
    assert all(user.logged_count >= 1 and user.logged_difference for user in found.users)


def test_both_ways_round_have_opposite_signs(compared: Any) -> None:
    found = compared("half_more")
    assert found.forward.per_run.low > 0 > found.backward.per_run.high


def test_a_field_that_was_not_read_is_bounded_and_named(compared: Any) -> None:
    found = compared("new_field").backward
    assert found.undecided_count > 0
    assert sum(found.missing.values()) == found.undecided_count
    assert any("was not precomputed" in why for why in found.missing)
    assert found.undecided_low <= found.undecided_high


def test_a_veto_that_did_not_run_before_leaves_the_built_in_unasked(compared: Any) -> None:
    found = compared("veto").forward
    assert "the built-in was not asked" in found.missing


@pytest.mark.parametrize(
    ("key", "says"),
    [("shared_id", "is not in the lake"), ("weekend", "the same program"), ("ten_rows", "nothing to compare")],
)
def test_where_there_is_none_the_reason_is_told(compared: Any, key: str, says: str) -> None:
    assert says in compared(key).reason


def test_of_very_many_runs_an_even_part_stands_for_all(planted: Planted, report: Any) -> None:
    side = report("half_more").inquiry.incident.before
    variants = find_variants(planted.warehouse, report("half_more").inquiry.family.realm, side)
    assert variants is not None
    whole, part = (read_inputs(planted.warehouse, variants, most=most) for most in (200_000, 150))
    assert whole.share == 1
    assert 90 < len(part.rows) < 220
    assert set(part.rows["execution_id"]) < set(whole.rows["execution_id"])
    assert part.rows["weight"].sum() == pytest.approx(whole.rows["weight"].sum(), rel=0.3)


def test_the_running_total_ends_where_the_whole_is(compared: Any) -> None:
    found = compared("half_more").forward
    last = found.running.iloc[-1]
    assert (last["est_overpaid"], last["est_overpaid_low"], last["est_overpaid_high"]) == pytest.approx(
        (found.difference.value, found.difference.low, found.difference.high)
    )
    assert found.running["until"].is_monotonic_increasing
    assert len(found.running) <= 120
    widths = found.running["est_overpaid_high"] - found.running["est_overpaid_low"]
    assert widths.is_monotonic_increasing


def test_ways_that_are_looked_for_some_days_at_a_time_are_those_of_the_whole_time(
    planted: Planted, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report("half_more").inquiry
    whole = find_variants(planted.warehouse, found.family.realm, found.incident.before)
    monkeypatch.setattr(trace_variants, "_RUNS_AT_ONCE", 40)
    statements: list[str] = []
    ask = Warehouse.sql
    monkeypatch.setattr(Warehouse, "sql", lambda self, query, **of: statements.append(query) or ask(self, query, **of))
    parts = find_variants(planted.warehouse, found.family.realm, found.incident.before)
    assert whole is not None
    assert parts is not None
    assert len(statements) > 2
    counts = [[(one.key, one.logged_count, one.beside.positions) for one in of.variants] for of in (whole, parts)]
    assert counts[0] == counts[1]
    assert read_inputs(planted.warehouse, whole).values == read_inputs(planted.warehouse, parts).values
