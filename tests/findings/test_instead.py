"""What another version would have paid, by hand: small programs, odd values, built-ins."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import pytest

from analytics.demo import dsl
from analytics.findings.post_mortem.family import family_runs, find_family
from analytics.findings.post_mortem.groups import Group, group_of
from analytics.findings.replay.replayed import Counterfactual, counterfactual
from analytics.findings.replay.trace_variants import find_variants
from analytics.lake.lake import Lake
from analytics.program import ParentResult, compile_program, evaluate, generate_ids
from analytics.program.alternative import AlternativeProgram, PointsBounds, RecordedRun
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table

Json = dict[str, Any]


# ---- by hand ---------------------------------------------------------------------------------------------------------


class Log:
    """Two versions of one strategy in a table of its own."""

    def __init__(self, table: Table, lake: Lake, *programs: Json, kind: str = "DSL_FULL") -> None:
        self.table, self.lake, self.kind = table, lake, kind
        self.programs = [generate_ids(program) for program in programs]
        self.ids = [str(uuid.uuid4()) for _ in programs]
        for number, (name, program) in enumerate(zip(self.ids, self.programs, strict=True), 1):
            self.define(name, program, number)

    def define(self, name: str, program: Json, number: int, **columns: Any) -> None:
        self.table.define(program, id=name, name="Family", type=self.kind, version=number, **columns)

    def run(
        self, version: int, fields: Json, *, user: str = "u1", parent: ParentResult | None = None, **rest: Any
    ) -> None:
        program = compile_program(self.programs[version - 1])
        outcome = program.run(fields) if parent is None else program.run_extend(fields, lambda _data: parent)
        assert outcome.ok, outcome.error_detail
        self.table.insert(
            strategyId=self.ids[version - 1],
            strategyVersion=version,
            strategyType=self.kind,
            externalUserId=user,
            caseName=outcome.case_name,
            nodesExecuted=outcome.nodes,
            **{
                "created_at": f"2026-07-08 1{version}:00:00+00",
                "trace": json.dumps(outcome.trace),
                "points": outcome.points,
                **rest,
            },
        )

    def sides(self) -> tuple[Warehouse, Group, Group]:
        self.table.extract(self.lake)
        lake = Warehouse(self.lake)
        window = Window.parse("2026-07-07", "2026-07-10")
        rows = family_runs(lake, find_family(lake, realm="acme", family="Family"), window.since, window.until)
        old, new = (group_of(f"v{number}", rows[rows["strategy_version"] == number]) for number in (1, 2))
        return lake, old, new

    def compare(self) -> Counterfactual:
        lake, old, new = self.sides()
        return counterfactual(lake, "acme", old, new)


def pays(value: Any, case: str | None = "Paid") -> Json:
    return {"rules": [dsl.rule(dsl.compare("data.n", ">", 0), dsl.assign(value, case))]}


def test_totals_cases_and_users_by_hand(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, pays(dsl.arith("data.n", "*", 2)), pays(dsl.arith("data.n", "*", 3)))
    log.run(1, {"data.n": 5})
    for user, n in (("u1", 1), ("u1", 4), ("u2", 10), ("u3", 0)):
        log.run(2, {"data.n": n}, user=user)
    found = log.compare()
    assert found.reason == ""
    undo, ahead = found.forward, found.backward
    assert undo is not None
    assert ahead is not None
    # 15 · 3 = 45 paid, 15 · 2 = 30 before; each row stands for 20 runs
    assert (undo.paid.value, undo.would_pay.value, undo.difference.value) == (900, 600, 300)
    assert undo.per_run.value == 15 / 4
    assert (undo.logged_count, undo.tried_count, undo.own_count) == (4, 4, 4)
    assert [(case.name, case.logged_count, case.difference.value) for case in undo.cases] == [
        ("Paid", 3, 300),
        (None, 1, 0),
    ]
    assert [(user.name, user.logged_count, user.logged_difference, user.difference.value) for user in undo.users] == [
        ("u2", 1, 10, 200),
        ("u1", 2, 5, 100),
    ]
    assert (ahead.paid.value, ahead.would_pay.value, ahead.difference.value) == (200, 300, -100)


def test_a_run_that_the_other_program_fails_on_would_be_paid_nothing(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, pays(dsl.arith(dsl.lit(10), "/", dsl.arith("data.n", "-", 2))), pays(7))
    log.run(1, {"data.n": 4})
    for n in (2, 2, 3):
        log.run(2, {"data.n": n})
    undo = log.compare().forward
    assert undo is not None
    assert (undo.decided_count, undo.failed) == (3, {"DSL_ARITH_DIV_BY_ZERO": 2})
    assert undo.would_pay.value == 20 * 10
    assert undo.difference.value == 20 * (7 + 7 - 3)


def test_null_that_was_read_is_a_value_and_what_was_not_read_is_none(table: Table, fresh: Lake) -> None:
    asks = dsl.compare("data.a", "==", None)
    old = {"rules": [dsl.rule(asks, dsl.assign(3, "None"))], "default": dsl.assign(1, "Some")}
    new = {"rules": [dsl.rule(dsl.all_of(dsl.field("data.b"), asks), dsl.assign(5, "Both"))]}
    log = Log(table, fresh, old, new)
    log.run(1, {"data.a": None})
    log.run(2, {"data.b": True, "data.a": None})
    log.run(2, {"data.b": False, "data.a": None})
    undo = log.compare().forward
    assert undo is not None
    assert undo.missing == {"field 'data.a' was not precomputed": 1}
    # 5 − 3 for sure; 0 − 3 at least and 0 − 1 at most
    assert (undo.difference.value, undo.undecided_low, undo.undecided_high) == (40, -60, -20)


def test_a_field_that_cannot_matter_leaves_a_run_decided(table: Table, fresh: Lake) -> None:
    asks = dsl.rule(dsl.compare("all.avg_time", ">", 0), dsl.note("average", dsl.field("all.avg_time")))
    log = Log(table, fresh, {"rules": [asks, *pays(2)["rules"]]}, pays(3))
    log.run(1, {"all.avg_time": 1, "data.n": 1})
    log.run(2, {"data.n": 1})
    undo = log.compare().forward
    assert undo is not None
    assert (undo.decided_count, undo.missing, undo.would_pay.value) == (1, {}, 40)


def test_the_ids_of_the_event_are_known_from_the_row(table: Table, fresh: Lake) -> None:
    old = {"rules": [dsl.rule(dsl.compare("externalUserId", "==", "anna"), dsl.assign(9, "Anna"))]}
    log = Log(table, fresh, old, pays(4))
    log.run(1, {"externalUserId": "anna"}, user="anna")
    for user in ("anna", "bert"):
        log.run(2, {"data.n": 1}, user=user)
    undo = log.compare().forward
    assert undo is not None
    assert [(user.name, user.would_pay.value) for user in undo.users] == [("anna", 180), ("bert", 0)]


def test_a_float_that_the_log_wrote_as_a_whole_number_is_tried_as_one(table: Table, fresh: Lake) -> None:
    # 1e23 − 99999999999999991611392 is 0.0 for the float, and 8388608 for the integer that jsonb makes of it
    whole = {"rules": [dsl.rule(dsl.lit(True), dsl.assign(dsl.arith("data.n", "-", 99999999999999991611392), "Rest"))]}
    log = Log(table, fresh, whole, whole)
    for version in (1, 2):
        log.run(version, {"data.n": 1e23})
    undo = log.compare().forward
    assert undo is not None
    assert (undo.own_count, undo.would_pay.value, undo.difference.value) == (1, 0, 0)


def test_author_text_is_data(table: Table, fresh: Lake) -> None:
    path = "data.'; drop table x; --\" $realm {0}"
    odd = {"rules": [dsl.rule(dsl.compare(path, ">", 0), dsl.assign(dsl.arith(path, "*", 2), path))]}
    log = Log(table, fresh, odd, pays(3))
    log.run(1, {path: 2})
    log.run(2, {"data.n": 1})
    found = log.compare()
    assert found.backward is not None
    assert found.forward is not None
    assert found.forward.missing == {f"field {path!r} was not precomputed": 1}
    assert (found.backward.own_count, found.backward.decided_count) == (1, 0)
    assert found.backward.missing == {"field 'data.n' was not precomputed": 1}


def test_runs_of_one_shape_share_a_variant_whatever_they_read(table: Table, fresh: Lake) -> None:
    asks = {"rules": [dsl.rule(dsl.any_of(dsl.field("data.x"), dsl.field("data.y")), dsl.assign(5, "Any"))]}
    log = Log(table, fresh, pays(2), asks)
    log.run(1, {"data.n": 1})
    values: list[Any] = [None, False, 0, -0.0, "", [], {}, True, 7, "0", "false", [0], {"value": False}, "⟂,:'\""]
    for value in values:
        log.run(2, {"data.x": value, "data.y": 0})
    log.run(2, {"data.x": 0, "data.y": 1})
    lake, old, new = log.sides()
    found = find_variants(lake, "acme", new)
    assert found is not None
    # nothing is true (seven runs), the first is (seven), the second is (one)
    assert sorted(variant.logged_count for variant in found.variants) == [1, 7, 7]
    undo = counterfactual(lake, "acme", old, new).forward
    assert undo is not None
    assert (undo.own_count, undo.tried_count) == (15, 15)


def test_runs_without_a_trace_are_counted_and_left_out(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, pays(2), pays(3))
    log.run(1, {"data.n": 1})
    log.run(2, {"data.n": 1})
    log.run(2, {"data.n": 1}, trace="null")
    log.run(2, {"data.n": 1}, points="NaN")
    undo = log.compare().forward
    assert undo is not None
    assert (undo.logged_count, undo.tried_count, undo.difference.value) == (2, 1, 20)


# ---- programs around a built-in --------------------------------------------------------------------------------------

PLUS: Json = {"post_rules": [dsl.rule(dsl.lit(True), dsl.effect("set_points", dsl.arith("parent.points", "+", 1)))]}
NAMED: Json = {"post_rules": [dsl.rule(dsl.lit(True), dsl.effect("set_case_name", "Mine"))]}
REFUSES: Json = {"pre_rules": [dsl.rule(dsl.compare("data.n", ">", 5), dsl.veto("Too many"))], **PLUS}
FIXED: Json = {"post_rules": [dsl.rule(dsl.lit(True), dsl.effect("set_points", 3))]}
WRITES: Json = {"pre_rules": [dsl.rule(dsl.lit(True), dsl.effect("set_data", 1, key="n"))], **PLUS}
BY_CASE: Json = {
    "post_rules": [dsl.rule(dsl.compare("parent.case_name", "==", "Parent"), dsl.effect("set_points", 11))]
}
KNOWN = RecordedRun({"data.n": 2}, {}, 10, "Parent", knows_points=True, knows_case=True)
SILENT = RecordedRun({"data.n": 2})
VETOED = RecordedRun({"data.n": 9}, vetoed=True)


@pytest.mark.parametrize(
    ("other", "ran", "run", "bounds", "missing"),
    [
        (PLUS, NAMED, KNOWN, (11, 11), None),
        (NAMED, PLUS, KNOWN, (10, 10), None),
        (PLUS, FIXED, SILENT, (-math.inf, math.inf), "what the built-in answered"),
        (FIXED, PLUS, SILENT, (3, 3), None),
        (REFUSES, PLUS, KNOWN, (11, 11), None),
        (REFUSES, PLUS, RecordedRun({"data.n": 9}, {}, 10, None, knows_points=True), (0, 0), None),
        (
            REFUSES,
            PLUS,
            RecordedRun({}, {}, 10, None, knows_points=True),
            (0, 11),
            "field 'data.n' was not precomputed",
        ),
        (PLUS, REFUSES, VETOED, (-math.inf, math.inf), "the built-in was not asked"),
        (REFUSES, REFUSES, VETOED, (0, 0), None),
        (FIXED, REFUSES, VETOED, (3, 3), None),
        (WRITES, PLUS, KNOWN, (-math.inf, math.inf), "the built-in was asked with other data"),
        (PLUS, WRITES, KNOWN, (-math.inf, math.inf), "the built-in was asked with other data"),
        (WRITES, WRITES, KNOWN, (11, 11), None),
        ({"pre_rules": REFUSES["pre_rules"]}, PLUS, KNOWN, (10, 10), None),
        (BY_CASE, PLUS, KNOWN, (11, 11), None),
        (BY_CASE, NAMED, RecordedRun({}, {}, 10, None, knows_points=True), (10, 11), "what the built-in answered"),
    ],
)
def test_a_built_in_is_never_asked_again(
    other: Json, ran: Json, run: RecordedRun, bounds: tuple[float, float], missing: str | None
) -> None:
    answer = AlternativeProgram(compile_program(other), compile_program(ran), is_extend=True).pays(run)
    assert (answer.low, answer.high) == bounds
    if not answer.is_decided:
        assert answer.missing == missing


@pytest.mark.parametrize(
    ("other", "ran", "run", "may"),
    [
        (PLUS, NAMED, KNOWN, False),
        (FIXED, PLUS, SILENT, False),  # it was asked, and answered something
        (FIXED, REFUSES, VETOED, True),  # asked for the first time, it may fail
        (FIXED | {"pre_rules": WRITES["pre_rules"]}, PLUS, KNOWN, True),
        (REFUSES, REFUSES, VETOED, False),
        # What the event lacks is in no order with a number.
        (REFUSES, PLUS, RecordedRun({}, {}, 10, None, knows_points=True), True),
    ],
)
def test_a_built_in_that_would_be_asked_anew_may_fail(other: Json, ran: Json, run: RecordedRun, may: bool) -> None:
    answer = AlternativeProgram(compile_program(other), compile_program(ran), is_extend=True).pays(run)
    assert answer.may_fail is may
    assert answer.missing or not may


def test_what_a_pre_phase_does_not_tell_leaves_the_way_of_the_run_open() -> None:
    noted = {"pre_rules": [dsl.rule(dsl.compare("data.k", "==", 1), dsl.note("seen", 1))], **PLUS}
    answer = AlternativeProgram(compile_program(noted), compile_program(PLUS), is_extend=True).pays(KNOWN)
    assert (answer.low, answer.high, answer.may_fail, answer.visits, answer.hits) == (11, 11, False, None, 0)
    assert answer.missing == "field 'data.k' was not precomputed"


def test_what_a_pre_phase_set_is_not_what_the_event_sent() -> None:
    sets = {
        "pre_rules": [dsl.rule(dsl.lit(True), dsl.effect("set_data", 5, key="k"))],
        "post_rules": [dsl.rule(dsl.compare("data.k", ">", 0), dsl.effect("set_points", 8))],
    }
    refuses = {"pre_rules": [dsl.rule(dsl.compare("data.k", ">=", 5), dsl.veto("Many"))], **FIXED}
    run = RecordedRun({}, {"data.k": 5}, 10, "Parent", knows_points=True, knows_case=True)
    answer = AlternativeProgram(compile_program(refuses), compile_program(sets), is_extend=True).pays(run)
    # The event may have sent anything as k: it is vetoed, or paid the 3 that the rule behind the built-in sets.
    assert (answer.low, answer.high, answer.missing) == (0, 3, "field 'data.k' was not precomputed")
    # Where nothing was set, what the post phase read is what was sent.
    reads = {"post_rules": sets["post_rules"]}
    sent = AlternativeProgram(compile_program(refuses), compile_program(reads), is_extend=True).pays(run)
    assert (sent.low, sent.high, sent.case_name) == (0, 0, "Many")


def test_a_value_that_is_set_to_what_was_sent_leaves_the_data_as_they_were() -> None:
    sets = {"pre_rules": [dsl.rule(dsl.compare("data.k", ">", 0), dsl.effect("set_data", 5, key="k"))], **PLUS}
    for sent, decided in ((5, True), (4, False)):
        run = RecordedRun({}, {"data.k": sent}, 10, "Parent", knows_points=True, knows_case=True)
        answer = AlternativeProgram(compile_program(sets), compile_program(PLUS), is_extend=True).pays(run)
        assert answer.is_decided is decided
        assert answer.missing == (None if decided else "the built-in was asked with other data")


def test_a_case_that_a_rule_set_is_not_the_built_ins_and_one_that_no_rule_set_is() -> None:
    run = RecordedRun({"data.n": 2}, {}, 10, "Mine", knows_points=True, knows_case=False)
    answer = AlternativeProgram(compile_program(PLUS), compile_program(NAMED), is_extend=True).pays(run)
    assert (answer.low, answer.is_decided, answer.case_name, answer.knows_case) == (11, True, None, False)
    named = AlternativeProgram(compile_program(NAMED), compile_program(NAMED), is_extend=True).pays(run)
    assert (named.case_name, named.knows_case) == ("Mine", True)


def test_what_the_built_in_answered_is_read_or_is_what_was_paid(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, NAMED, PLUS, kind="DSL_EXTEND")
    log.run(1, {}, parent=ParentResult(6, "Parent"))
    log.run(2, {}, parent=ParentResult(10, "Parent"))
    found = log.compare()
    assert found.forward is not None
    assert found.backward is not None
    assert (found.forward.paid.value, found.forward.would_pay.value) == (220, 200)
    assert (found.backward.paid.value, found.backward.would_pay.value) == (120, 140)
    assert (found.forward.own_count, found.backward.own_count) == (1, 1)


def test_around_a_built_in_what_a_cut_trace_lacks_is_not_made_up(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, NAMED, PLUS, kind="DSL_EXTEND")
    log.run(1, {}, parent=ParentResult(6, "Parent"))
    log.run(2, {}, parent=ParentResult(10, "Parent"), trace="[]", notes="trace truncated: 4 -> 0 entries")
    undo = log.compare().forward
    assert undo is not None
    # 11 was paid, but not by the built-in
    assert (undo.decided_count, undo.missing) == (0, {"what the built-in answered": 1})


def test_the_node_cap_holds_for_the_other_program() -> None:
    many = {"rules": [dsl.rule(dsl.lit(True), dsl.note("n", 1)) for _ in range(400)]}
    answer = AlternativeProgram(compile_program(many), compile_program(pays(1)), is_extend=False).pays(RecordedRun({}))
    assert evaluate(many, {}).error_code == answer.code == "DSL_LIMIT_EXCEEDED"
    assert answer == PointsBounds(0, 0, code="DSL_LIMIT_EXCEEDED", visits=1001)


# ---- why there is no answer ------------------------------------------------------------------------------------------


def test_there_is_a_sentence_where_there_is_no_answer(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, pays(2), pays(3))
    log.run(1, {"data.n": 1})
    log.run(2, {"data.n": 1})
    lake, old, new = log.sides()
    both = Group("all", None, None, old.since, new.until, old.rows)
    lost = Group("v9", log.ids[0], 9, old.since, old.until, old.rows)
    for pair, words in (
        ((old, old), "same program"),
        ((both, new), "several versions"),
        ((lost, new), "definition of v9"),
    ):
        found = counterfactual(lake, "acme", *pair)
        assert (found.forward, found.backward) == (None, None)
        assert words in (found.reason or "")


def test_a_definition_that_was_edited_afterwards_is_not_taken_for_the_program_that_ran(
    table: Table, fresh: Lake
) -> None:
    log = Log(table, fresh, pays(2), pays(3))
    log.run(1, {"data.n": 1})
    log.programs[1] = generate_ids(pays(4))
    log.run(2, {"data.n": 1})
    found = log.compare()
    # Its runs cannot be read, and what it would do now is not what it did.
    assert (found.forward, found.backward) == (None, None)
    assert "fit" in found.reason


def test_a_program_of_its_own_is_not_compared_with_one_around_a_built_in(table: Table, fresh: Lake) -> None:
    log = Log(table, fresh, PLUS, pays(2), kind="DSL_EXTEND")
    log.run(1, {}, parent=ParentResult(1, None))
    log.kind = "DSL_FULL"
    table.execute("update strategydefinition set type = 'DSL_FULL' where version = 2")
    log.run(2, {"data.n": 1})
    assert "wraps a built-in" in (log.compare().reason or "")
