"""Rules or fields: planted costs must be found, and what no data can tell must be said to be untold."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analytics.demo import simulate
from analytics.demo.scenarios import SLOW_FIELD
from analytics.estimates.estimate import Estimate
from analytics.findings.runaway.keys import Key
from analytics.findings.timing import cost_model
from analytics.findings.timing import time_split as split_verdict
from analytics.findings.timing.cost_model import ProgramInputs
from analytics.findings.timing.levels import levels, medians, pool, slopes
from analytics.findings.timing.time_split import Fleet, TimePart, TimePartKind, TimeSplit, split
from analytics.findings.timing.version_times import Times, VersionTime, became_slow
from analytics.reports import charts
from analytics.reports.runaway import time_split
from analytics.reports.runaway.finding_sentences import why_slow
from analytics.reports.runaway.report import RunawayRules
from analytics.warehouse.warehouse import Warehouse
from tests.fields.coverage import Cell, experiment
from tests.fields.fleet import FIRST, Program, World, reads, runs, taken_apart, wanted

AVG, TASK, USER = "all.avg_time", "task.measurements_count", "user.avg_time"
QUERY = {AVG: 2.0, TASK: 1.5, USER: 2.5}


def program(realm: str, name: str, version: int = 1, *fields: str, **more: object) -> Program:
    return Program(Key(realm, name, version), fields, **more)  # type: ignore[arg-type]


PLAIN = tuple(program("a", f"plain {n}", nodes=20.0 * n) for n in range(1, 6))
"""Programs that read nothing."""
READERS = (
    program("a", "reads avg", 1, AVG), program("b", "reads avg too", 1, AVG), program("c", "reads task", 1, TASK),
    program("a", "reads task too", 1, TASK), program("b", "reads user", 1, USER), program("c", "reads user too", 1, USER),
    program("c", "reads all", 1, AVG, TASK, USER),
)  # fmt: skip


def of(fleet: Fleet, name: str, version: int = 1) -> TimeSplit:
    return next(one for one in fleet.splits if one.key.strategy == name and one.key.version == version)


def part(one: TimeSplit, kind: str, name: str | None = None) -> TimePart:
    found = [part for part in one.parts if part.kind == kind and (name is None or name in part.names)]
    assert len(found) == 1, one.parts
    return found[0]


def holds(found: TimePart, truth: float) -> bool:
    return found.ms.low <= truth <= found.ms.high


# ---- planted costs -----------------------------------------------------------------------------------------------------


def test_nodes_fields_and_rest_are_told_apart() -> None:
    fleet = taken_apart(World((*PLAIN, *READERS), QUERY), 1)

    costs = {part.names: part for part in fleet.costs}
    assert all(holds(costs[(path,)], ms) for path, ms in QUERY.items())
    assert holds(costs[()], 0.5)
    assert fleet.per_node == pytest.approx(0.045, rel=0.05)
    assert {one.verdict for one in fleet.splits} == {"fine"}
    assert holds(part(of(fleet, "reads all"), "walk"), 60 * 0.045)


def test_a_field_slow_in_one_realm_is_named_with_the_realm() -> None:
    more = (program("b", "also reads avg", 1, AVG, USER),)
    fleet = taken_apart(World((*PLAIN, *READERS, *more), QUERY, slow={(AVG, "b", 0): 60.0}), 2)

    for name in ("reads avg too", "also reads avg"):
        [blamed] = of(fleet, name).blamed
        assert (blamed.kind, blamed.names, blamed.in_realm, blamed.realm) == ("field", (AVG,), True, "b")
        assert holds(blamed, 60.0)
    assert of(fleet, "reads avg").verdict == of(fleet, "reads user").verdict == "fine"
    elsewhere = next(part for part in fleet.costs if part.names == (AVG,) and not part.in_realm)
    assert holds(elsewhere, 2.0)


def test_one_program_alone_with_a_slow_field_may_be_slow_by_itself() -> None:
    fleet = taken_apart(World((*PLAIN, *READERS), QUERY, slow={(AVG, "b", 0): 60.0}), 3)

    one = of(fleet, "reads avg too")  # the one program of realm b that reads it, in one version
    assert (one.verdict, part(one, "cannot tell").names) == ("cannot tell", (AVG,))


def test_a_version_change_tells_what_one_program_alone_cannot() -> None:
    before = program("b", "reads avg too", 0, USER, last=4)
    after = program("b", "reads avg too", 1, USER, AVG, first=4)
    others = [one for one in READERS if one.key.strategy != "reads avg too"]
    fleet = taken_apart(World((*PLAIN, *others, before, after), QUERY, slow={(AVG, "b", 0): 60.0}), 4)

    [blamed] = of(fleet, "reads avg too").blamed
    assert (blamed.names, blamed.realm) == ((AVG,), "b")
    assert holds(blamed, 60.0)


def test_fields_that_always_come_together_share_one_sum() -> None:
    readers = [program(realm, f"both {realm}", 1, AVG, TASK) for realm in "abc"]
    fleet = taken_apart(World((*PLAIN, *readers), {AVG: 20.0, TASK: 15.0}), 5)

    [blamed] = of(fleet, "both a").blamed
    assert blamed.names == (AVG, TASK)
    assert blamed.ms.value == pytest.approx(35, rel=0.15)
    assert [part.names for part in fleet.costs if part.kind == "field"] == [(AVG, TASK)]
    assert "together" in why_slow(version(of(fleet, "both a")))


def test_a_field_only_one_program_reads_cannot_be_told_from_the_program() -> None:
    fleet = taken_apart(World((*PLAIN, program("b", "alone", 1, AVG)), {AVG: 60.0}), 6)

    one = of(fleet, "alone")
    assert one.verdict == "cannot tell"
    assert part(one, "cannot tell").names == (AVG,)
    assert "or the program itself" in why_slow(version(one))


def test_a_program_with_time_of_its_own_blames_no_field() -> None:
    fleet = taken_apart(World((*PLAIN, *READERS, program("a", "odd", 1, AVG, own_ms=80.0)), QUERY), 7)

    assert of(fleet, "odd").verdict == "cannot tell"
    assert of(fleet, "reads avg").verdict == "fine"
    assert holds(next(part for part in fleet.costs if part.names == (AVG,)), 2.0)


def test_a_wrapped_built_in_is_blamed_and_not_the_nodes_or_fields() -> None:
    wrappers = [program(realm, f"wraps {realm}", 1, *fields, built_in="default", nodes=30.0)
                for realm, fields in (("a", (AVG,)), ("b", ()), ("c", (TASK,)))]  # fmt: skip
    fleet = taken_apart(World((*PLAIN, *READERS, *wrappers), {**QUERY, "default": 40.0}), 8)

    for realm in "abc":
        one = of(fleet, f"wraps {realm}")
        assert (one.verdict, [part.names for part in one.blamed]) == ("built-in", [("default",)])
        assert holds(one.blamed[0], 40.0)
    assert of(fleet, "reads avg").verdict == "fine"


def test_slow_rules_are_said_to_be_the_rules() -> None:
    fleet = taken_apart(World((*PLAIN, *READERS, program("a", "ladder", 1, AVG, nodes=900.0)), QUERY), 9)

    one = of(fleet, "ladder")
    assert (one.verdict, one.is_slow) == ("rules", False)
    assert holds(part(one, "walk"), 900 * 0.045)


def test_a_field_that_got_slower_one_day_is_found_with_its_day() -> None:
    fleet = taken_apart(World((*PLAIN, *READERS), QUERY, slow={(AVG, "*", 5): 60.0}), 10)

    thursday = FIRST + timedelta(days=5)
    assert fleet.levels.changes == [thursday]
    for name in ("reads avg", "reads avg too", "reads all"):
        [blamed] = of(fleet, name).blamed
        assert (blamed.names, blamed.since, blamed.in_realm) == ((AVG,), thursday, False)
        assert holds(blamed, 60.0)
    assert not of(fleet, "reads user").is_slow


def test_without_runs_of_one_program_with_other_nodes_the_programs_tell_what_a_node_costs() -> None:
    still = tuple(replace(one, spread=0.0) for one in (*PLAIN, *READERS))
    fleet = taken_apart(World(still, QUERY), 11)

    assert math.isnan(fleet.per_node)
    per_node = of(fleet, "plain 5").per_node
    assert per_node.low <= 0.045 <= per_node.high


def test_nodes_that_move_with_a_field_are_not_told_from_it() -> None:
    sizes = ((10.0, ()), (500.0, (AVG,)))
    moving = tuple(
        program(realm, f"{nodes:g} nodes in {realm}", 1, *fields, nodes=nodes, spread=0.0)
        for nodes, fields in sizes
        for realm in "ab"
    )
    fleet = taken_apart(World(moving, QUERY), 12)

    one = of(fleet, "500 nodes in b")
    assert [part.kind for part in one.parts if part.kind in ("walk", "field")] == []
    assert AVG in part(one, "cannot tell").names


def test_a_stall_and_a_tail_do_not_move_what_a_node_costs() -> None:
    fleet = taken_apart(World((*PLAIN, *READERS), QUERY, stalls=0.1, tails=0.1), 13)

    assert fleet.per_node == pytest.approx(0.045, rel=0.1)
    assert {one.verdict for one in fleet.splits} == {"fine"}


def test_a_program_whose_definition_is_gone_is_left_open() -> None:
    world = World((*PLAIN, *READERS, program("a", "gone", 1, AVG, own_ms=60.0)), QUERY)
    frame = runs(world, np.random.default_rng(14))
    read = {key: one for key, one in reads(world).items() if key.strategy != "gone"}

    one = of(split(frame, read, wanted(frame)), "gone")

    assert (one.verdict, part(one, "cannot tell").names) == ("cannot tell", ())
    assert "definition is not known" in why_slow(replace(version(one), fields=None))


def test_rows_that_stand_for_several_runs_count_as_several() -> None:
    world = World((*PLAIN, *READERS), QUERY)
    frame = runs(world, np.random.default_rng(15))
    frame["duration_ms"] = frame["duration_ms"].round(1)
    names = ["realm_id", "strategy", "strategy_version", "day", "status", "nodes_executed", "duration_ms"]
    folded = frame.groupby(names, as_index=False).agg(logged_count=("sample_weight", "size"))
    assert len(folded) < len(frame)

    ends = wanted(frame)
    whole, short = (split(rows, reads(world), ends) for rows in (frame, folded))

    for one, other in zip(whole.costs, short.costs, strict=True):
        assert (one.names, one.ms.value) == (
            other.names,
            pytest.approx(other.ms.value, abs=0.01),
        )  # ties may be cut elsewhere


def test_nothing_logged_tells_nothing() -> None:
    empty = runs(World(PLAIN, {}), np.random.default_rng(0)).head(0)
    fleet = split(empty, {}, {})
    assert (fleet.splits, fleet.costs) == ((), ())
    assert levels(empty).levels == []


# ---- what holds over the whole interval --------------------------------------------------------------------------------


def one_large_program(*more: Program) -> World:
    """Three small programs, and a ladder that always walks all of its rungs: nothing fixes what a node costs."""
    small = [program(realm, f"small in {realm}", 1, *fields, nodes=nodes, spread=0.1, per_day=10)
             for realm, fields, nodes in (("a", (AVG,), 16.0), ("b", (), 9.0), ("c", (USER,), 15.0))]  # fmt: skip
    ladder = program("d", "ladder", 1, nodes=369.0, spread=0.0, per_day=15)
    return World((*small, ladder, *more), QUERY)


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_nodes_that_may_explain_the_time_leave_no_time_to_the_program_itself(seed: int) -> None:
    one = of(taken_apart(one_large_program(), seed), "ladder")  # all of its 17 ms are nodes

    assert (one.is_slow, one.verdict) == (False, "unclear")


def test_what_cannot_be_told_from_nodes_is_said_so() -> None:
    fleet = taken_apart(one_large_program(), 0)

    text = why_slow(version(of(fleet, "ladder")))

    assert "nodes may take up to" in text
    assert "time of its own" not in text
    answer = time_split.section(times_of(fleet), 500.0).text
    assert "ladder v1 (d) takes long, and the log cannot tell whether its nodes explain it." in answer


def test_a_small_program_is_slow_whatever_a_node_costs() -> None:
    odd = program("a", "odd", nodes=10.0, spread=0.1, own_ms=80.0)
    for seed in range(2):
        one = of(taken_apart(one_large_program(odd), seed), "odd")
        assert (one.verdict, one.is_slow) == ("cannot tell", True)
        assert one.ms.low > 3 * one.explained.high


def estimate(value: float) -> Estimate:
    return Estimate(value, 0.9 * value, 1.1 * value, 200, "good")


@pytest.mark.parametrize(
    ("took", "walk", "said"),
    [
        (80.0, (1.0, 0.5, 1.5), "cannot tell"),  # 80 are more than three times 2.5 and than anything the nodes may take
        (80.0, (1.0, 0.0, 60.0), "unclear"),  # all but 19 may be nodes
        (80.0, (70.0, 60.0, 80.0), "rules"),  # at the least 60 of the 75 that others do not take
        (80.0, (70.0, 10.0, 130.0), "unclear"),  # but not surely
        (80.0, (math.nan, math.nan, math.nan), "unclear"),  # nobody knows what a node costs
        (6.0, (1.0, 0.0, 60.0), "fine"),
        (15.0, (3.5, 3.2, 3.8), "fine"),  # just over three times 4.5, but not surely
    ],
)
def test_a_verdict_holds_over_the_whole_interval(took: float, walk: tuple[float, float, float], said: str) -> None:
    nodes, rest = Estimate(*walk, 200, "rough"), Estimate(1.0, 0.8, 1.2, 900, "good")
    due = split_verdict.explained_by(nodes, rest)

    assert (
        split_verdict.decide_verdict(
            estimate(took), due, nodes, [TimePart(TimePartKind.WALK, (), nodes)], 5.0, 10.0, 3.0
        )[0]
        == said
    )


@pytest.mark.parametrize(
    ("ms", "named"), [((60.0, 50.0, 70.0), "field"), ((60.0, 20.0, 100.0), "cannot tell"), ((20.0, 18.0, 22.0), "cannot tell")]
)  # fmt: skip
def test_a_field_is_blamed_where_it_takes_most_of_it_over_its_whole_interval(
    ms: tuple[float, float, float], named: str
) -> None:
    nodes, rest = Estimate(2.0, 1.8, 2.2, 200, "good"), Estimate(1.0, 0.8, 1.2, 900, "good")
    parts = [
        TimePart(TimePartKind.WALK, (), nodes),
        TimePart(TimePartKind.FIELD, (AVG,), Estimate(*ms, 300, "rough")),
        TimePart(TimePartKind.REST, (), rest),
    ]
    due = split_verdict.explained_by(nodes, rest)

    assert split_verdict.decide_verdict(estimate(63.0), due, nodes, parts, 5.0, 10.0, 3.0)[0] == named


@pytest.mark.parametrize(
    ("before", "is_slow"),
    [(None, False), (4.0, True), (16.0, False), (5.6, False)],  # 16.9 may be 15.2, and 5.6 may be 6.2
)
def test_a_version_that_is_slow_beside_its_own_past_is_slow_whatever_a_node_costs(
    before: float | None, is_slow: bool
) -> None:
    fleet = taken_apart(one_large_program(), 0)
    one = replace(of(fleet, "ladder"), verdict="unclear", ms=estimate(16.9))

    assert became_slow(one, None if before is None else estimate(before), fleet) is is_slow


def test_a_version_that_became_slow_one_day_is_slow_whatever_a_node_costs() -> None:
    fleet = taken_apart(one_large_program(), 0)
    one = replace(of(fleet, "ladder"), verdict="unclear", ms=estimate(60.0))
    changed = replace(fleet.levels, changed={one.key: [(FIRST + timedelta(days=5), 50.0)]})

    assert not became_slow(one, None, fleet)
    assert became_slow(one, None, replace(fleet, levels=changed))


# ---- the parts it is made of -------------------------------------------------------------------------------------------


def test_medians_of_many_groups_are_those_of_each() -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 40, 3000)
    values = rng.lognormal(size=3000)

    found = medians(groups, values, np.ones(3000), 41)

    assert found.value[:40] == pytest.approx([np.median(values[groups == g]) for g in range(40)])
    assert math.isnan(found.value[40])


def test_the_error_of_a_median_is_how_much_medians_differ() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(500), 200)

    found = medians(groups, rng.lognormal(sigma=0.5, size=len(groups)), np.ones(len(groups)), 500)

    assert found.error.mean() == pytest.approx(found.value.std(), rel=0.12)


def test_programs_that_tell_little_lean_on_the_others() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(6), [400] * 5 + [30])
    nodes = np.round(rng.uniform(20, 200, len(groups)))
    took = 0.05 * nodes + np.where(groups == 5, 40.0, 1.0) * rng.lognormal(sigma=0.4, size=len(groups))

    found = pool(slopes(groups, nodes, took, np.ones(len(groups)), 6))

    assert found.value == pytest.approx([0.05] * 6, rel=0.2)
    assert found.own[:5].all() and not found.own[5]


@pytest.mark.parametrize(
    ("rows", "families", "members", "answer"),
    [
        ([[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1], [1, 0, 0]], [0, 1, 2, 3, 4, 5], [1], True),
        ([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1]], [0, 1, 2, 3, 4], [1], False),  # one program alone
        (
            [[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1]],
            [0, 1, 2, 2, 3],
            [1],
            True,
        ),  # but for its older version
        ([[1, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]], [0, 1, 2, 3], [1], False),  # always together
        ([[1, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]], [0, 1, 2, 3], [1, 2], True),  # so their sum
        ([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]], [0, 1, 2, 3], [1], False),  # every program reads it
    ],
)
def test_linear_algebra_says_what_can_be_told(
    rows: list[list[float]], families: list[int], members: list[int], answer: bool
) -> None:
    projection = cost_model.null_space_projection(np.array(rows, dtype=float), np.array(families))
    assert cost_model.is_identifiable(projection, members) is answer


@cache
def measured() -> Counter[str]:
    total: Counter[str] = Counter()
    for number in range(5):
        total += experiment(np.random.default_rng([number, 7]), Cell(10, 25), 1_000)
    return total


@pytest.mark.parametrize("what", ["field", "node"])
def test_intervals_hold_on_random_fleets(what: str) -> None:
    total = measured()
    assert total[f"{what} told"] >= 20
    # 95 % are promised; so few fleets may fall short by chance (binomial, one in a thousand).
    assert total[f"{what} covered"] >= 0.85 * total[f"{what} told"]
    assert total["blamed wrongly"] == 0


# ---- the page ----------------------------------------------------------------------------------------------------------


def version(one: TimeSplit) -> VersionTime:
    names = tuple(name for part in one.parts for name in part.names)
    return VersionTime(
        one, one.ms, one.ms, one.per_node, is_slow=one.is_slow, fields=names, new_fields=None, earlier_version=None,
        earlier_ms_p50=None, slow_since=None, since_is_version=False, time_share=0.1,
    )  # fmt: skip


def times_of(fleet: Fleet) -> Times:
    return Times(tuple(version(one) for one in fleet.splits), fleet)


def test_the_section_says_who_is_slow_because_of_what() -> None:
    world = World(
        (*PLAIN, *READERS, program("b", "also reads avg", 1, AVG, USER), program("a", "ladder", nodes=900.0),
         program("c", "odd", 1, TASK, own_ms=90.0)), QUERY, slow={(AVG, "b", 0): 60.0},
    )  # fmt: skip
    times = times_of(taken_apart(world, 16))

    text = time_split.section(times, 500.0).text

    assert "also reads avg v1 (b) and reads avg too v1 (b) are slow because of the field all.avg_time in b." in text
    assert "ladder v1 (a) is slow because of its nodes." in text
    assert "odd v1 (c) is slow, and the log cannot tell why." in text
    told = json.loads(json.dumps(time_split.facts(times), allow_nan=False))
    assert {one["verdict"] for one in told["strategies"]} == {"field", "rules", "cannot tell", "fine"}
    assert any(cost["names"] == [AVG] and cost["realm"] == "b" for cost in told["costs"])


def test_names_that_others_wrote_cannot_become_markup() -> None:
    bad = "<img src=x onerror=alert(1)>"
    paths = {f"user.{bad}": 60.0}
    readers = [program(bad, f"{bad} {n}", 1, *paths) for n in range(3)]
    html = time_split.section(times_of(taken_apart(World((*PLAIN, *readers), paths), 17)), 500.0).html

    assert "<img" not in html
    assert "&lt;img" in html


def test_a_quiet_fleet_has_nobody_slow() -> None:
    answer = time_split.section(times_of(taken_apart(World((*PLAIN, *READERS), QUERY), 1)), 500.0).text
    assert "No strategy is slow" in answer


@pytest.mark.parametrize("width", [848, 358])
def test_the_picture_shows_each_part_with_a_look_of_its_own(width: int) -> None:
    kinds = ("walk", "blamed", "field", "built-in", "rest", "cannot tell")
    frame = pd.DataFrame(
        [{"label": "A", "kind": kind, "name": "", "ms": 10.0, "total": 60.0, "total_low": 55.0, "total_high": 66.0,
          "note": "what to know", "role": "finding"} for kind in kinds]
    )  # fmt: skip
    svg = str(charts.inline_svg(charts.time_split(frame, width=width), "t", "alt"))

    for words in ("A", "60\u00a0ms", "what to know", "walk, grows with nodes", "wrapped built-in", "cannot tell"):
        assert words in svg
    assert re.findall(r"#[0-9a-f]{6}", svg) == []  # every colour became a variable
    assert "var(--finding)" in svg


def test_the_picture_of_nothing_says_so() -> None:
    svg = str(charts.inline_svg(charts.time_split(pd.DataFrame()), "t", ""))
    assert "No strategy has enough runs" in svg


# ---- the demo ----------------------------------------------------------------------------------------------------------


def test_the_demos_slow_field_is_not_proven_by_version_12_alone(warehouse: Warehouse) -> None:
    """The shared log has the last four days, and version 11 is not in them."""
    report = RunawayRules(warehouse, since=datetime(2026, 7, 7, tzinfo=UTC), until=datetime(2026, 7, 11, tzinfo=UTC))

    [slow] = [one for one in report.evidence.times.versions if one.is_slow]

    assert (slow.key.strategy, slow.key.version, slow.split.verdict) == (SLOW_FIELD.family, 12, "cannot tell")
    assert SLOW_FIELD.facts["field"] in slow.split.blamed[0].names
    untold = slow.split.blamed[0].ms
    # Its other two fields take 1.3 ms each.
    assert untold.value == pytest.approx(float(SLOW_FIELD.facts["query_ms_median"]) + 2.6, rel=0.2)
    assert slow.new_fields == (SLOW_FIELD.facts["field"],)


def test_the_demos_slow_field_is_told_where_version_11_is_in_the_log(tmp_path: Path) -> None:
    log = pd.read_parquet(simulate(runs=15_000, directory=tmp_path).truth_path)
    log = log[log["logged"] & (log["status"] == "ok")].rename(columns={"family": "strategy"})
    log = log.assign(day=log["created_at"].dt.date)
    count, recent = "user.measurements_count", "user.recent_measurements_count"
    read = {key: ProgramInputs() for key in wanted(log)}
    for key in read:  # as the families' programs are written
        quest = (USER, count, AVG) if key.version == 12 else (USER, count)
        fields = {"Daily quest": quest, "Speed bonus": (AVG, USER, count), "Tier ladder": (TASK, USER)}
        streak = (
            (recent,) if key.realm == "acme-cycling" else (recent, "user.last_window_diff", "user.new_last_window_diff")
        )
        read[key] = ProgramInputs(tuple(sorted({**fields, "Weekly streak": streak}.get(key.strategy, ()))))

    fleet = split(log, read, wanted(log))

    [blamed] = of(fleet, "Daily quest", 12).blamed
    assert blamed.names == (AVG,)
    assert holds(blamed, float(SLOW_FIELD.facts["query_ms_median"]))
    assert of(fleet, "Speed bonus", 2).verdict == "fine"
