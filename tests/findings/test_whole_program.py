"""A version is its rules, its built-in, the built-in's variables and the data that it is given: all of them are tried, or none."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from analytics.demo import dsl
from analytics.findings.replay.replayed import Replayed, counterfactual
from analytics.lake.lake import Lake
from analytics.program import ParentResult
from analytics.reports.post_mortem.example_runs import program_diff
from tests.conftest import Table
from tests.findings.test_instead import Log
from tests.whole_program import draw, judge

Json = dict[str, Any]
READS: Json = {
    "post_rules": [
        dsl.rule(dsl.compare("parent.points", ">", 0), dsl.effect("set_points", dsl.arith("parent.points", "+", 1)))
    ]
}


@pytest.mark.parametrize("seed", [1, pytest.param(20, marks=pytest.mark.long)])
def test_no_decided_answer_is_wrong_and_every_bound_holds_the_truth(seed: int) -> None:
    told = Counter[str]()
    rng = random.Random(seed)
    for _ in range(300 if seed == 1 else 20_000):
        judge(draw(rng), told)
    assert (told["decided wrong"], told["cases wrong"], told["outside bounds"]) == (0, 0, 0)
    # It is no use to know nothing: where built-in, variables and pre phase are the same, most is decided.
    assert told["decided alike"] > 0.8 * told["alike"] > 50


class Wrapping(Log):
    """Two versions around a built-in, with the built-in that each wraps."""

    def __init__(self, table: Table, lake: Lake, *programs: Json, wraps: tuple[str, str]) -> None:
        self.wraps = wraps
        super().__init__(table, lake, *programs, kind="DSL_EXTEND")

    def define(self, name: str, program: Json, number: int, **columns: Any) -> None:
        super().define(name, program, number, parentStrategyId=self.wraps[number - 1], **columns)

    def pay(self, version: int, fields: Json, points: float, case: str) -> None:
        self.run(version, fields, parent=ParentResult(points, case), parentStrategyId=self.wraps[version - 1])

    def tried(self) -> tuple[Replayed, str, str]:
        """The first version on the second one's runs, and what is said to have changed."""
        lake, old, new = self.sides()
        found = counterfactual(lake, "acme", old, new).forward
        assert found is not None
        told, listed = program_diff(lake, old, new)
        return found, told, "\n".join(getattr(part, "text", str(part)) for part in listed)


def test_another_built_in_under_the_same_rules_is_never_the_same(table: Table, fresh: Lake) -> None:
    log = Wrapping(table, fresh, READS, READS, wraps=("default", "socio"))
    log.pay(1, {}, 4, "Basic")
    for _ in range(5):
        log.pay(2, {}, 9, "Social")
    found, told, listed = log.tried()
    assert (found.tried_count, found.own_count, found.decided_count) == (5, 5, 0)
    assert found.missing == {"another built-in was asked": 5}
    assert not found.is_conclusive
    assert "say the same;" not in told
    assert "the built-in it wraps: default → socio" in listed


def test_a_variable_of_the_built_in_is_as_much_the_version_as_a_literal(table: Table, fresh: Lake) -> None:
    ten, twelve = ({**READS, "parent_variables": {"variable_bonus_points": bonus}} for bonus in (10, 12))
    log = Wrapping(table, fresh, ten, twelve, wraps=("default", "default"))
    log.pay(1, {}, 10, "Bonus")
    for _ in range(5):
        log.pay(2, {}, 12, "Bonus")
    found, told, listed = log.tried()
    assert (found.decided_count, found.missing) == (0, {"the built-in was asked with other variables": 5})
    assert told.startswith("1 variable of the built-in changed;")
    assert "variable_bonus_points: 10 → 12" in listed


def test_the_other_versions_post_phase_reads_what_its_own_pre_phase_has_set(table: Table, fresh: Lake) -> None:
    def sets(k: int) -> Json:
        rich, poor = dsl.effect("set_points", 10), dsl.effect("set_points", 1)
        return {
            "pre_rules": [dsl.rule(dsl.lit(True), dsl.effect("set_data", k, key="k"))],
            "post_rules": [dsl.rule(dsl.compare("data.k", ">=", 5), rich, otherwise=[poor])],
        }

    log = Wrapping(table, fresh, sets(5), sets(3), wraps=("default", "default"))
    log.pay(1, {"data.k": 0}, 4, "Basic")
    log.pay(2, {"data.k": 0}, 4, "Basic")
    found, _, _ = log.tried()
    # v1 pays 10 and v2 1 for any event; a row stands for 20 runs
    assert (found.decided_count, found.paid.value, found.would_pay.value) == (1, 20, 200)


def test_with_the_same_built_in_variables_and_data_all_is_decided(table: Table, fresh: Lake) -> None:
    more = json.loads(json.dumps(READS).replace('"value": 1', '"value": 3'))
    log = Wrapping(table, fresh, {**READS, "parent_variables": {}}, more, wraps=("default", "default"))
    log.pay(1, {}, 4, "Basic")
    for _ in range(5):
        log.pay(2, {}, 4, "Basic")
    found, _, _ = log.tried()
    assert (found.decided_count, found.difference.value) == (5, 5 * 2 * 20)


def test_the_row_tells_which_built_in_was_asked_though_the_definition_names_another(table: Table, fresh: Lake) -> None:
    log = Wrapping(table, fresh, READS, json.loads(json.dumps(READS)), wraps=("default", "default"))
    log.pay(1, {}, 4, "Basic")
    log.wraps = ("default", "socio")  # when it ran; the definition was changed afterwards
    log.pay(2, {}, 9, "Social")
    found, _, _ = log.tried()
    assert (found.own_count, found.missing) == (1, {"another built-in was asked": 1})
