"""Places of a program: entries, matches, what never happens and what lies behind the cut, against runs whose every step is known.

A program is run twice on each event: with the ids its author gave, which is what the log holds, and with an id of its own for
each place, which tells the place behind each entry without the code under test.
"""

from __future__ import annotations

import copy
import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from analytics.demo.dsl import (
    all_of,
    any_of,
    arith,
    assign,
    branch,
    compare,
    effect,
    field,
    halt,
    ladder,
    negate,
    note,
    rule,
)
from analytics.demo.engine import note_of_cut
from analytics.findings.rules.node_profile import NodeProfile, ProgramProfile, profile_program
from analytics.findings.rules.rule_findings import Reading, readings
from analytics.findings.rules.trace_sample import sample_runs
from analytics.findings.runaway.keys import Key
from analytics.program import Outcome, ParentResult, align, compile_program, outline, truncated_suffix
from analytics.program.proofs import proofs
from analytics.reports import charts
from analytics.reports.runaway.report import RunawayRules
from analytics.reports.runaway.rules import icicle_frame
from analytics.warehouse.warehouse import Warehouse
from tests.simulated import run_row

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from tests.conftest import Table

Json = dict[str, Any]
START = datetime(2026, 7, 8, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = "<script>alert(1)</script>\u202e$\\alpha$"
BUILT_IN = ParentResult(7, "Parent")


def places(program: Json) -> Iterator[Json]:
    """The nodes in the order that a reader meets them, written down here once more."""
    for section in ("rules", "default", "pre_rules", "post_rules"):
        found = program.get(section)
        for top in found if isinstance(found, list) else [found] if found else []:
            yield from below(top)


def below(node: Json) -> Iterator[Json]:
    yield node
    if "when" in node:
        yield from below(node["when"])
        for other in node.get("then", []):
            yield from below(other)
        for other in node.get("else_if", []):
            yield from below(other["when"])
            for inner in other["then"]:
                yield from below(inner)
        for other in node.get("else", []):
            yield from below(other)
    elif node["type"] != "literal":
        for slot in ("arg", "left", "right", "value"):
            if slot in node:
                yield from below(node[slot])
        for other in node.get("args", []):
            yield from below(other)


def evaluate(program: Json, fields: Json) -> Outcome:
    compiled = compile_program(program)
    return compiled.run_extend(fields, lambda _: BUILT_IN) if compiled.extends else compiled.run(fields)


@dataclass
class Run:
    fields: Json
    outcome: Outcome
    steps: list[tuple[int, Json]]
    """The place of each entry, and the entry."""

    @property
    def row(self) -> tuple[Any, Any]:
        return self.outcome.points, self.outcome.case_name


def play(program: Json, events: Sequence[Json]) -> list[Run]:
    marked = copy.deepcopy(program)
    for position, node in enumerate(places(marked)):
        node["id"] = str(position)
    runs = []
    for fields in events:
        outcome, truth = evaluate(program, fields), evaluate(marked, fields)
        assert outcome.ok and outcome.trace is not None and truth.trace is not None
        steps = [(int(own["nodeId"]), entry) for own, entry in zip(truth.trace, outcome.trace, strict=True)]
        runs.append(Run(fields, outcome, steps))
    return runs


def log(
    table: Table, program: Json, runs: Sequence[Run], *, limit: int = 200, at: datetime = START, realm: str = "acme"
) -> str:
    """Log these runs of a program, all of them, their traces cut at some entries; the id of its definition."""
    kind = "DSL_EXTEND" if "post_rules" in program or "pre_rules" in program else "DSL_FULL"
    strategy = table.define(program, realmId=realm, name="Ladder", type=kind)
    table.insert_all(
        run_row(
            id=uuid.UUID(int=number + 1),
            created_at=at + timedelta(seconds=7 * number),
            strategyId=strategy,
            strategyType=kind,
            realmId=realm,
            points=run.outcome.points,
            caseName=run.outcome.case_name,
            nodesExecuted=len(run.steps),
            trace=json.dumps([entry for _, entry in run.steps[:limit]]),
            notes=note_of_cut(len(run.steps), limit),
        )
        for number, run in enumerate(runs)
    )
    return strategy


def profiled(table: Table, fresh: Lake, strategy: str, *, rate: float = 1.0, **options: Any) -> ProgramProfile:
    table.extract(fresh, sample_rate=rate)
    version = Key("acme", "Ladder", 1), strategy
    [found] = sample_runs(Warehouse(fresh), [version], START, START, START + DAY, **options)
    made = profile_program(found)
    assert made is not None
    return made


def told(found: ProgramProfile, words: str) -> Reading:
    matching = [row for row in readings(found) if words in row.words]
    assert len(matching) == 1, [(row.words, row.reading) for row in readings(found)]
    return matching[0]


def at(found: ProgramProfile, node_id: str) -> list[NodeProfile]:
    return [place for place in found.places if place.node.node_id == node_id]


def visits(runs: Sequence[Run]) -> Counter[int]:
    return Counter(position for run in runs for position, _ in run.steps)


# ---- places, not ids -------------------------------------------------------------------------------------------------

TWICE: Json = {
    "rules": [
        rule(
            compare("data.km", ">", 5), note("far", 1), node_id="again",
            else_if=[branch(compare("data.km", ">", 3), note("near", 2))], otherwise=[note("short", 3)],
        ),
        rule(all_of(compare("data.km", ">", 2), negate(compare("data.wet", "==", True))), assign(3, "Dry"), node_id="again"),
        {"when": any_of(compare("data.wet", "==", True), compare("data.km", "<", 1)), "then": [assign(1, "Some")]},
    ],
    "default": assign(0, None),
}  # fmt: skip


def events(count: int, seed: int = 5) -> list[Json]:
    draw = random.Random(seed)
    return [{"data.km": draw.randint(0, 8), "data.wet": draw.random() < 0.4} for _ in range(count)]


def shared(program: Json) -> Json:
    """The same with one id for all nodes of a rule that have none, as authors who copy blocks leave them."""
    program = copy.deepcopy(program)
    for node in places(program):
        if node.get("id") is None and node.get("type") in ("compare", "set_callback_data", "field"):
            node["id"] = "copied"
    return program


def test_places_are_told_apart_where_ids_repeat_or_are_missing(table: Table, fresh: Lake) -> None:
    program = shared(TWICE)
    runs = play(program, events(120))

    found = profiled(table, fresh, log(table, program, runs))

    truth = visits(runs)
    assert len(found.places) == sum(1 for _ in places(program))
    for place in found.places:
        assert place.entries.value * len(runs) == pytest.approx(truth[place.node.position]), place.words
        assert place.looks.sure == truth[place.node.position] and place.looks.maybe == 0
    assert found.entries == pytest.approx(sum(len(run.steps) for run in runs) / len(runs))
    assert found.unseen == 0


def test_rules_count_each_of_their_branches(table: Table, fresh: Lake) -> None:
    runs = play(TWICE, events(120))
    found = profiled(table, fresh, log(table, TWICE, runs))

    first = at(found, "again")[0]
    branches = Counter(
        entry["branch"].partition(":")[0]
        for run in runs
        for position, entry in run.steps
        if position == first.node.position
    )

    assert set(branches) == {"match", "elseif", "else"}
    assert {turn: share * 120 for turn, share in first.turns.items()} == pytest.approx(dict(branches))
    [cost, *_] = found.rules
    assert cost.match == pytest.approx((branches["match"] + branches["elseif"]) / 120)


def test_an_id_that_stands_at_several_places_repeats_within_a_run(table: Table, fresh: Lake) -> None:
    program = shared(TWICE)
    runs = play(program, events(60))
    found = profiled(table, fresh, log(table, program, runs))

    per_run = [sum(entry["nodeId"] == "copied" for _, entry in run.steps) for run in runs]

    assert found.rules[0].repeats == pytest.approx(sum(per_run) / sum(count > 0 for count in per_run))


def test_both_phases_of_a_wrapped_program_are_places_of_their_own(table: Table, fresh: Lake) -> None:
    def gate(path: str, limit: int, then: Json) -> Json:
        own = rule(compare(path, ">", limit), then, node_id="root.rule.0")
        own["when"]["id"] = "root.rule.0.compare.0"
        return own

    program = {
        "rules": [],
        "pre_rules": [gate("data.km", 4, effect("set_data", 1, key="long"))],
        "post_rules": [
            gate("parent.points", 6, effect("set_points", 9)),
            gate("data.km", 6, effect("set_case_name", "Far")),
        ],
    }
    runs = play(program, events(90))
    found = profiled(table, fresh, log(table, program, runs))

    truth = visits(runs)
    assert [place.looks.sure for place in found.places] == [truth[place.node.position] for place in found.places]
    pre, post, last = at(found, "root.rule.0")
    assert (pre.node.section, post.node.section, last.node.section) == ("pre_rules", "post_rules", "post_rules")
    assert told(found, "after the built-in, rule 1").reading == "matched in all looks"
    assert found.rules[0].repeats == pytest.approx(3)


# ---- what never happens ----------------------------------------------------------------------------------------------


def test_a_rule_that_an_earlier_one_took_all_runs_of_names_it(table: Table, fresh: Lake) -> None:
    program = {
        "rules": [
            rule(compare(arith("data.km", "+", field("data.km")), ">=", 0), assign(1, "Any"), node_id="any-ride"),
            rule(compare("data.km", ">", 6), assign(5, "Far"), node_id="far"),
        ]
    }
    runs = play(program, events(60))

    row = told(profiled(table, fresh, log(table, program, runs)), "far")

    would = sum(run.fields["data.km"] > 6 for run in runs)
    assert (row.reading, row.match_count, row.entry_count) == ("not seen to be reached", 0, 60)
    assert (1 - row.share_high) ** 60 == pytest.approx(0.05)
    came_first = f"rule 1 any-ride came first: it would have matched in {would} of the 60 logged runs that ended there"
    assert row.note == f"{came_first}; looked at on Wed only"


def test_a_rule_behind_the_built_in_is_not_tried_on_data_that_were_set_meanwhile(table: Table, fresh: Lake) -> None:
    program = {
        "pre_rules": [rule(compare("data.km", ">=", 0), effect("set_data", 0, key="km"))],
        "post_rules": [
            rule(compare("parent.points", ">=", 0), effect("set_points", 1), {"type": "return"}, node_id="stop"),
            rule(compare("data.km", ">", 6), effect("set_points", 5), node_id="far"),
        ],
    }
    runs = play(program, events(60))
    assert any(run.fields["data.km"] > 6 for run in runs)

    row = told(profiled(table, fresh, log(table, program, runs)), "far")

    # Whatever the event sent, behind the built-in it is 0: the rule would have matched in none of them.
    assert row.note.startswith("after the built-in, rule 1 stop ended all 60 logged runs that came by")


def test_a_rule_that_is_reached_only_when_it_cannot_match_is_proven(table: Table, fresh: Lake) -> None:
    program = {
        "rules": [
            rule(compare("data.km", ">", 3), assign(1, "More"), node_id="more"),
            rule(compare("data.km", ">", 6), assign(5, "Far"), node_id="far"),
        ]
    }
    runs = play(program, events(80))

    row = told(profiled(table, fresh, log(table, program, runs)), "far")

    ended = [run for run in runs if run.row[1] == "More"]
    assert (row.reading, row.entry_count, row.grade) == ("cannot match (proven)", 80 - len(ended), "good")
    assert row.note == "data.km > 6 cannot be true where data.km > 3 is false past rule 1 more"


def test_a_default_that_no_run_reached_or_can_reach_is_told(table: Table, fresh: Lake) -> None:
    rules = [rule(compare("data.km", ">=", 0), assign(1, "Any"))]
    closed = {"when": {"type": "literal", "value": True}, "then": [assign(2, "All")]}
    runs = play({"rules": rules, "default": assign(0, "None")}, events(40))
    found = profiled(table, fresh, log(table, {"rules": rules, "default": assign(0, "None")}, runs))

    row = told(found, "otherwise")
    assert (row.kind, row.reading, row.entry_count) == ("default", "not seen to be reached", 40)
    program = outline({"rules": [closed], "default": assign(0, "None")})
    assert proofs(program)[program.tops["default"].position].what == "unreachable"


def test_no_shadow_is_claimed_where_the_traces_show_none(table: Table, fresh: Lake) -> None:
    program = {
        "rules": [
            rule(compare("data.km", ">", 3), assign(1, "More"), node_id="more"),
            rule(compare("data.legacy", "==", True), assign(5, "Old"), node_id="old"),
        ]
    }
    runs = play(program, [{**fields, "data.legacy": False} for fields in events(80)])

    row = told(profiled(table, fresh, log(table, program, runs)), "rule 2 old")

    assert (row.reading, row.match_count) == ("not seen to match", 0)
    assert (
        row.note == "data.legacy was false in all looks; looked at on Wed only"
    )  # the runs that ended before did not read it: no guess


def test_conditions_that_never_vary_are_named_once_and_only_with_enough_looks(table: Table, fresh: Lake) -> None:
    program = {
        "rules": [
            rule(
                all_of(ladder("data.km", 1, 12, start=-4), compare("data.wet", "!=", None)),
                assign(1, "All"),
                node_id="steps",
            ),
        ]
    }
    runs = play(program, [{**fields, "data.rare": 1} for fields in events(200)])
    found = profiled(table, fresh, log(table, program, runs))

    rungs = {
        position: [entry["value"] for run in runs for at, entry in run.steps if at == position]
        for position, node in enumerate(places(program))
        if node.get("type") == "compare"
    }
    never = [values for values in rungs.values() if len(values) >= 30 and not any(values)]

    row = told(found, "of the 12 conditions of an or")
    assert (row.reading, row.match_count) == ("not seen true", 0)
    assert row.words.startswith(f"rule 1 steps › {len(never)} of the 12")
    assert row.entry_count == min(map(len, never))
    # That the rule matched in all looks says that both of its conditions held in them: they are not said again.
    assert [(r.kind, r.reading) for r in readings(found)].count(("condition", "not seen false")) == 0
    assert [r.reading for r in readings(found) if r.kind == "rule"] == ["matched in all looks"]


def test_of_conditions_in_one_row_those_with_fewest_looks_say_what_is_behind_the_cut(table: Table, fresh: Lake) -> None:
    steps = any_of(compare("data.km", "<=", -3), compare("data.km", "<=", 4), compare("data.wet", "==", 7))
    program = {"rules": [rule(steps, assign(1, "All"), node_id="steps")]}
    found = profiled(table, fresh, log(table, program, play(program, events(200)), limit=3))

    row = told(found, "2 of the 3 conditions of an or")
    assert 0 < row.entry_count < 200
    assert row.note.startswith("worked out behind the cut, not seen in a trace")  # the first condition is before it


def test_a_field_that_always_has_one_value_is_told_unless_a_condition_tells_it(table: Table, fresh: Lake) -> None:
    program = {
        "rules": [
            rule(compare("data.km", ">", "data.limit"), note("x", 1)),
            rule(compare(arith("data.km", "+", field("data.limit")), ">", 9), assign(arith("data.bonus", "*", 2), "Pay")),
        ]
    }  # fmt: skip
    program["rules"][0]["when"]["right"] = field("data.limit")
    runs = play(
        program, [{**fields, "data.limit": 4, "data.bonus": index % 3} for index, fields in enumerate(events(90))]
    )

    found = profiled(table, fresh, log(table, program, runs))

    [row] = [row for row in readings(found) if row.kind == "operand"]
    assert (row.words.partition(" › ")[2], row.reading, row.entry_count) == ("data.limit", "only 4 seen", 90)


# ---- behind the cut --------------------------------------------------------------------------------------------------


def climbing(extra: Sequence[Json] = ()) -> Json:
    """Two ladders on one field, so that the first tells how far the second goes."""
    return {
        "rules": [
            rule(ladder("data.km", 1, 9, start=-1), note("one", 1), node_id="one"),
            rule(ladder("data.km", 1, 9, start=-1), note("two", 2), node_id="two"),
            *extra,
            rule(compare("data.km", ">", 4), assign(2, "High"), node_id="high"),
        ],
        "default": assign(1, "Low"),
    }


def test_a_cut_run_is_completed_where_its_row_and_its_inputs_leave_one_way(table: Table, fresh: Lake) -> None:
    program = climbing()
    runs = play(program, events(80))
    longest = max(len(run.steps) for run in runs)
    found = profiled(table, fresh, log(table, program, runs, limit=30))

    truth = visits(runs)
    assert longest > 60
    assert found.sample.cut_count == sum(len(run.steps) > 30 for run in runs) > 40
    assert found.sample.complete_count == found.sample.followed_count == found.sample.cut_count
    for place in found.places:
        assert place.entries.value * 80 == pytest.approx(truth[place.node.position]), place.words
    hidden = sum(max(len(run.steps) - 30, 0) for run in runs) / sum(len(run.steps) for run in runs)
    assert found.unseen == pytest.approx(hidden)
    assert sum(place.unseen for place in found.places) == pytest.approx(hidden * found.entries)


def test_what_stays_open_behind_the_cut_is_bounded_and_never_called_dead(table: Table, fresh: Lake) -> None:
    # Whether the two flags are set was read behind the cut; both ways leave as many entries and pay the same.
    extra = [
        rule(compare("data.a", "==", True), note("a", 1), node_id="a"),
        rule(compare("data.b", "==", True), note("b", 1), node_id="b"),
    ]
    program = climbing(extra)
    runs = play(program, [{"data.km": 8, "data.a": False, "data.b": True} for _ in range(60)])
    found = profiled(table, fresh, log(table, program, runs, limit=35))

    truth = visits(runs)
    assert (found.sample.followed_count, found.sample.complete_count) == (60, 0)
    for place in found.places:
        assert place.entries.low - 1e-9 <= truth[place.node.position] / 60 <= place.entries.high + 1e-9, place.words
    assert sum(place.entries.value for place in found.places) == pytest.approx(found.entries)
    rows = {row.rule_id: row for row in readings(found) if row.kind == "rule"}
    assert (rows["a"].reading, rows["b"].reading) == ("cannot tell", "cannot tell")
    assert rows["high"].reading == "matched in all looks"


def test_the_case_that_was_paid_tells_that_a_rule_behind_the_cut_did_not_match(table: Table, fresh: Lake) -> None:
    program = climbing([rule(compare("data.legacy", "==", True), assign(9, "Legacy"), node_id="legacy")])
    runs = play(program, [{**fields, "data.legacy": False} for fields in events(60)])
    found = profiled(table, fresh, log(table, program, runs, limit=8))

    assert at(found, "legacy")[0].unseen == pytest.approx(1)
    row = told(found, "legacy")
    assert (row.reading, row.match_count, row.entry_count) == ("not seen to match", 0, 60)
    assert "worked out behind the cut, not seen in a trace" in row.note


def expression(draw: random.Random, depth: int = 0) -> Json:
    kind = draw.choice(("and", "or", "not", "compare", "compare", "compare"))
    if depth > 2 or kind == "compare":
        return compare(f"data.{draw.choice('abcdef')}", draw.choice(("<", ">", "==")), draw.randint(0, 3))
    if kind == "not":
        return negate(expression(draw, depth + 1))
    return {"type": kind, "args": [expression(draw, depth + 1) for _ in range(draw.randint(1, 4))]}


def statement(draw: random.Random) -> Json:
    kind = draw.random()
    if kind < 0.25:
        return assign(draw.randint(0, 3), draw.choice(("A", "B", None)))
    if kind < 0.3:
        return halt()
    return note(draw.choice("xyz"), arith(f"data.{draw.choice('abcdef')}", "+", 1))


def any_program(draw: random.Random) -> Json:
    rules = []
    for _ in range(draw.randint(2, 6)):
        own = rule(expression(draw), *(statement(draw) for _ in range(draw.randint(0, 2))))
        if draw.random() < 0.4:
            own["else_if"] = [branch(expression(draw), statement(draw)) for _ in range(draw.randint(1, 2))]
        if draw.random() < 0.4:
            own["else"] = [statement(draw)]
        rules.append(own)
    found: Json = {"rules": rules}
    if draw.random() < 0.5:
        found["default"] = assign(1, "Default")
    return found


def test_whatever_the_program_the_way_that_was_taken_is_among_the_ways_that_fit() -> None:
    draw = random.Random(20260708)
    cut = complete = 0
    for _ in range(250):
        program = any_program(draw)
        [run] = play(program, [{f"data.{name}": draw.randint(0, 3) for name in "abcdef"}])
        limit = draw.randint(1, max(1, len(run.steps) - 1))
        if len(run.steps) <= limit:
            continue
        trace = [entry for _, entry in run.steps[:limit]]
        linked = outline(program)
        beside = align(linked, trace, is_whole=False)
        assert beside.positions == [position for position, _ in run.steps[:limit]]
        points, case = run.row

        found = truncated_suffix(
            linked, beside, trace, is_extend=False, count=len(run.steps), points=points, case_name=case
        )

        assert found is not None
        taken = [position for position, _ in run.steps[limit:]]
        assert found.sure <= set(taken) <= set(found.visits)
        assert sum(found.visits.values()) == pytest.approx(len(taken)) == found.unseen
        assert not found.is_complete or set(found.visits) == set(taken)
        for position, entry in run.steps[limit:]:
            turn = entry["branch"] if entry["type"] == "rule" else None
            assert turn is None or (position, turn) in found.turns
        cut, complete = cut + 1, complete + found.is_complete
    assert cut > 150
    assert 20 < complete < cut


def test_a_row_that_fits_no_way_through_the_program_is_left_open() -> None:
    program = climbing()
    [run] = play(program, [{"data.km": 6}])
    linked, trace = outline(program), [entry for _, entry in run.steps[:10]]
    beside = align(linked, trace, is_whole=False)

    for count, case in ((len(run.steps) + 1, "High"), (len(run.steps), "Low")):
        assert truncated_suffix(linked, beside, trace, is_extend=False, count=count, points=2, case_name=case) is None


# ---- a sample of the runs --------------------------------------------------------------------------------------------


def test_of_many_runs_an_even_part_is_read_and_the_intervals_say_so(table: Table, fresh: Lake) -> None:
    runs = play(TWICE, events(600))
    strategy = log(table, TWICE, runs)
    found = profiled(table, fresh, strategy, most=150)
    again = profiled(table, fresh, strategy, most=150)

    assert found.sample.logged_count == 600
    assert 100 < found.sample.read_count < 200
    assert [place.entries for place in again.places] == [place.entries for place in found.places]
    truth = visits(runs)
    # Places that the same runs come by are one question.
    asked = {truth[place.node.position]: place.entries for place in found.places}
    missed = [count for count, entries in asked.items() if not entries.low <= count / 600 <= entries.high]
    assert len(asked) > 8
    assert len(missed) <= 2  # one in twenty may
    assert any(place.entries.low < place.entries.value < place.entries.high for place in found.places)


def test_days_before_the_window_add_evidence_the_latest_first_and_only_as_many_as_it_takes(
    table: Table, fresh: Lake
) -> None:
    strategy = log(table, TWICE, play(TWICE, events(40)))
    for days in range(1, 8):
        table.execute(
            'insert into strategyexecutionlog (id, created_at, "strategyId", "strategyVersion", "strategyType", "realmId", status, '
            'points, "caseName", "durationMs", "nodesExecuted", trace, sampled) select md5(id::text || %s)::uuid, '
            'created_at - %s * interval \'1 day\', "strategyId", "strategyVersion", "strategyType", "realmId", status, points, '
            '"caseName", "durationMs", "nodesExecuted", trace, sampled from strategyexecutionlog '
            "where created_at >= '2026-07-08' order by id limit 30",
            (str(days), days),
        )
    table.extract(fresh, "2026-07-01", "2026-07-09", sample_rate=1.0)

    version = Key("acme", "Ladder", 1), strategy
    [found] = sample_runs(Warehouse(fresh), [version], START - 7 * DAY, START, START + DAY, most=80)

    # The window's 40 runs, and of 40 more that are wanted from before twice as many are looked through: three days of 30.
    assert (found.since, found.logged_count) == (START - 3 * DAY, 40 + 90)
    recent = sum(way.logged_count for way in found.ways if way.is_recent)
    assert recent == 40
    assert 20 < found.read_count - recent < 60


def test_a_definition_that_was_edited_in_place_does_not_stand_for_its_runs(table: Table, fresh: Lake) -> None:
    program = climbing()
    log(table, program, play(program, events(40)))
    table.execute('update strategydefinition set "astJson" = %s', (json.dumps(TWICE),))
    table.extract(fresh, sample_rate=1.0)

    text = RunawayRules(Warehouse(fresh), since=START, until=START + DAY).nodes().text

    assert "the definition in the lake does not fit 40 of 40 traces" in text
    assert "rule 1 one" not in text  # by id, as without a definition


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_shows_places_the_cut_and_what_is_idle_and_the_summary_says_the_same(
    table: Table, fresh: Lake
) -> None:
    program = climbing([rule(compare("data.legacy", "==", True), assign(9, "Legacy"), node_id="legacy")])
    runs = play(program, [{**fields, "data.legacy": False} for fields in events(60)])
    log(table, program, runs, limit=20)
    table.extract(fresh, sample_rate=1.0)
    report = RunawayRules(Warehouse(fresh), since=START, until=START + DAY)

    page, summary = report.nodes(), report.summary()

    hidden = sum(max(len(run.steps) - 20, 0) for run in runs) / sum(len(run.steps) for run in runs)
    assert f"{round(100 * hidden)} % of all entries lie after the cut" in page.text
    assert "Ladder v1 (60 of 60 logged runs since Wed 8 July)" in page.text
    assert "What nobody saw" in page.text
    idle = {row["rule_id"]: row for row in summary["rules"] if row["kind"] == "rule"}
    assert (idle["legacy"]["reading"], idle["legacy"]["entry_count"]) == ("not seen to match", 60)
    assert "rule 3 legacy" in page.text
    truth = visits(runs)
    hot = summary["hot"][0]
    own = range(sum(1 for _ in below(program["rules"][0])))
    assert hot["place"] == "rule 1 one"
    assert hot["per_run"]["value"] * 60 == pytest.approx(sum(truth[position] for position in own))
    assert sum(row["part"] for row in summary["hot"]) == pytest.approx(1)
    json.dumps(summary, allow_nan=False)


def test_hostile_ids_reach_neither_page_nor_picture_as_markup(table: Table, fresh: Lake) -> None:
    program = copy.deepcopy(TWICE)
    for node in places(program):
        node["id"] = HOSTILE
        if node.get("type") == "set_callback_data":
            node["key"] = HOSTILE
    runs = play(program, events(50))
    log(table, program, runs, limit=12, realm=HOSTILE)
    table.extract(fresh, sample_rate=1.0)
    report = RunawayRules(Warehouse(fresh), since=START, until=START + DAY)

    html = report.nodes().html

    assert "rule 1 " in html and "<svg" in html
    assert not re.search("<script|[\u202e]", html)
    json.dumps(report.summary(), allow_nan=False)


def test_without_a_definition_rules_are_told_by_their_ids(table: Table, fresh: Lake) -> None:
    log(table, TWICE, play(TWICE, events(40)))
    table.execute("delete from strategydefinition")
    table.extract(fresh, sample_rate=1.0)
    report = RunawayRules(Warehouse(fresh), since=START, until=START + DAY)

    assert "No rule can be told apart: no definition is readable." in report.nodes().text
    assert "<svg" not in report.nodes().html
    assert report.summary()["hot"][0]["is_profiled"] is False


def test_heights_of_the_icicle_are_entries_and_what_nobody_saw_is_hatched(table: Table, fresh: Lake) -> None:
    program = climbing()
    runs = play(program, [{"data.km": 8} for _ in range(40)])
    found = profiled(table, fresh, log(table, program, runs, limit=25))
    frame = icicle_frame(found, readings(found))

    axes = charts.icicle(frame, name="Ladder v1").axes[0]

    assert float(frame["entries"].sum()) == pytest.approx(len(runs[0].steps))
    columns: dict[float, list[float]] = {}
    for block in axes.patches:
        columns.setdefault(block.get_x(), [0.0, 0.0])[bool(block.get_hatch())] += block.get_height()
    assert columns[0.0] == pytest.approx([25, len(runs[0].steps) - 25])
    assert sum(columns[sorted(columns)[1]]) == pytest.approx(len(runs[0].steps))  # the rules share it all
    [line] = axes.lines
    assert list(line.get_ydata()) == pytest.approx([25, 25])
