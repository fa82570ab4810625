"""Another version tried on a run, against an engine of its own: `python -m tests.whole_program --pairs 20000`.

Two random versions around a built-in that depends on which it is, on its variables and on the data it is given. One runs and is
logged as the engine logs it; what the other would have paid is asked of the trial, and then of a second engine, a few lines of
plain recursion below, on the event that the trial never sees.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import math
import operator
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from analytics.demo import dsl
from analytics.findings.post_mortem.groups import Group
from analytics.findings.replay.replay_run import (
    Inputs,
    PaidRun,
    Replayer,
    ReplayOutcome,
    first_reads,
    instead_of,
    recorded,
)
from analytics.findings.replay.run_evidence import Definition, Evidence, joined
from analytics.findings.replay.trace_variants import Variant, Variants
from analytics.program import ParentResult, compile_program, generate_ids, outline

Json = dict[str, Any]
KEYS: Final = ("a", "b", "k")
PARENTS: Final = ("default", "socio")
ALL_FIELDS: Final = ("data.a", "data.b", "data.k", "user.avg_time")


# ---- the second engine -------------------------------------------------------------------------------------------------


class Failed(Exception):  # noqa: N818 - control flow, as in the engine
    """The run fails: it is paid nothing."""


class Ended(Exception):  # noqa: N818 - as above
    """A statement ends the phase."""


COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip
ARITH: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "min": min, "max": max,
}  # fmt: skip


def value(node: Json, fields: Json) -> Any:
    """What an expression comes to."""
    kind = node["type"]
    if kind == "literal":
        return node["value"]
    if kind == "field":
        return fields[node["path"]]
    if kind == "not":
        return not value(node["arg"], fields)
    if kind == "and":
        return all(value(arg, fields) for arg in node["args"])
    if kind == "or":
        return any(value(arg, fields) for arg in node["args"])
    try:
        if kind == "func_call":
            found, low, high = (value(arg, fields) for arg in node["args"])
            return max(low, min(high, found))
        table: Mapping[str, Callable[[Any, Any], Any]] = COMPARE if kind == "compare" else ARITH
        return table[node["op"]](value(node["left"], fields), value(node["right"], fields))
    except (TypeError, ZeroDivisionError) as error:
        raise Failed from error


def phase(rules: list[Json], fields: Json, do: Callable[[Json, Any], None]) -> None:
    """Run the rules of a phase; ``do`` takes each statement with its value."""
    for each in rules:
        steps = each["then"] if value(each["when"], fields) else each.get("else") or []
        for step in steps:
            do(step, value(step["value"], fields) if "value" in step else None)


def built_in(name: str, variables: Json, data: Json) -> ParentResult:
    """The wrapped strategy: all three matter, but not always."""
    points = {"default": 4, "socio": 7}[name] + (data["k"] if data["a"] >= 2 else 0)
    if data["b"] > 3:
        return ParentResult(points + variables.get("variable_bonus_points", 10), f"{name} bonus")
    return ParentResult(points, "basic")


def engine(version: Definition, event: Json) -> tuple[float, str | None]:
    """Points and case that a version pays; nothing when it fails."""
    ast = version.ast
    data = {key: event[f"data.{key}"] for key in KEYS}
    paid: Json = {"points": 0, "case": None}

    def before(step: Json, found: Any) -> None:
        if step["type"] == "set_data":
            data[step["key"]] = found
        elif step["type"] == "veto":
            paid["case"] = step["case_name"]
            raise Ended

    def after(step: Json, found: Any) -> None:
        if step["type"] == "return":
            raise Ended
        paid["points" if step["type"] == "set_points" else "case"] = found

    try:
        try:
            phase(ast.get("pre_rules") or [], event, before)
        except Ended:
            return 0.0, paid["case"]
        answer = built_in(str(version.parent_strategy_id), ast.get("parent_variables") or {}, data)
        paid = {"points": answer.points, "case": answer.case_name}
        seen = {**event, **{f"data.{key}": found for key, found in data.items()}}
        seen |= {"parent.points": answer.points, "parent.case_name": answer.case_name}
        with contextlib.suppress(Ended):
            phase(ast.get("post_rules") or [], seen, after)
    except Failed:
        return 0.0, None
    return float(paid["points"]), paid["case"]


# ---- random versions ---------------------------------------------------------------------------------------------------


def number(rng: random.Random, paths: tuple[str, ...], depth: int = 0) -> Json:
    """An expression that comes to a number."""
    chosen = rng.random()
    if chosen < 0.4 or depth > 1:
        return dsl.field(rng.choice(paths))
    if chosen < 0.6:
        return dsl.lit(rng.choice([0, 1, 2, 3, 5, 10, 0.5, -2]))
    if chosen < 0.7:
        return dsl.call("clamp", number(rng, paths, depth + 1), 0, 6)
    return dsl.arith(number(rng, paths, depth + 1), rng.choice(list(ARITH)), number(rng, paths, depth + 1))


def condition(rng: random.Random, paths: tuple[str, ...], depth: int = 0) -> Json:
    """A condition of comparisons."""
    chosen = rng.random()
    if chosen < 0.1:
        return dsl.lit(True)
    if chosen < 0.7 or depth > 1:
        return dsl.compare(rng.choice(paths), rng.choice(list(COMPARE)), rng.choice([0, 1, 2, 3, 4, 5, 8]))
    if chosen < 0.8:
        return dsl.negate(condition(rng, paths, depth + 1))
    both = condition(rng, paths, depth + 1), condition(rng, paths, depth + 1)
    return dsl.all_of(*both) if chosen < 0.9 else dsl.any_of(*both)


def first(rng: random.Random) -> Json:
    """A rule before the built-in."""
    steps = [
        dsl.veto("refused")
        if rng.random() < 0.2
        else dsl.effect("set_data", number(rng, ALL_FIELDS) if rng.random() < 0.4 else rng.choice([3, 5]), key=key)
        for key in rng.sample(KEYS, rng.choice([1, 1, 2]))
    ]
    return dsl.rule(condition(rng, ALL_FIELDS), *steps)


def last(rng: random.Random) -> Json:
    """A rule after the built-in."""
    paths = (*ALL_FIELDS, "parent.points", "parent.points")
    steps = []
    for _ in range(rng.choice([1, 1, 2])):
        chosen = rng.random()
        if chosen < 0.3:
            steps.append(dsl.effect("set_case_name", rng.choice(["Mine", "Other"])))
        elif chosen < 0.4:
            steps.append(dsl.effect("set_case_name", dsl.arith("parent.case_name", "+", "!")))
        elif chosen < 0.5:
            steps.append(dsl.halt())
        else:
            steps.append(dsl.effect("set_points", number(rng, paths)))
    when = condition(rng, paths)
    if rng.random() < 0.2:
        when = dsl.compare("parent.case_name", rng.choice(["==", "!="]), "basic")
    return dsl.rule(
        when, *steps, otherwise=[dsl.effect("set_points", number(rng, paths))] if rng.random() < 0.2 else None
    )


def program(rng: random.Random) -> Json:
    """A version's rules and variables."""
    found: Json = {
        "pre_rules": [first(rng) for _ in range(rng.choice([0, 1, 1, 2]))],
        "post_rules": [last(rng) for _ in range(rng.choice([0, 1, 2, 3]))],
    }
    if rng.random() < 0.5:
        found["parent_variables"] = rng.choice([{}, {"variable_bonus_points": 12}])
    return found


def changed(rng: random.Random, old: Json) -> Json:
    """The next version of a program: one thing is another, or two."""
    found = copy.deepcopy(old)
    for _ in range(rng.choice([1, 1, 2])):
        what = rng.choice(["pre_rules", "post_rules", "post_rules", "post_rules", "parent_variables", "nothing"])
        if what == "parent_variables":
            found[what] = rng.choice([{}, {"variable_bonus_points": 12}, {"variable_bonus_points": 20}])
        elif what != "nothing":
            new = first(rng) if what == "pre_rules" else last(rng)
            place = rng.randint(0, len(found[what]))
            found[what][place : place + rng.choice([0, 1])] = [new] if rng.random() < 0.8 else []
    return found


def version(ast: Json, parent: str) -> Definition:
    """A definition as the lake holds it."""
    full = generate_ids(ast)
    return Definition(full, compile_program(full), outline(full), "Family", parent, "DSL_EXTEND")


# ---- one pair ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two versions and an event; the first one ran."""

    ran: Definition
    other: Definition
    event: Json
    kept: int | None


def draw(rng: random.Random) -> Pair:
    """A pair whose first version does not fail."""
    while True:
        old = program(rng)
        parents = [rng.choice(PARENTS)] * 2 if rng.random() < 0.75 else rng.sample(PARENTS, 2)
        pair = version(old, parents[0]), version(changed(rng, old) if rng.random() < 0.8 else program(rng), parents[1])
        event = {path: rng.choice([0, 1, 2, 3, 4, 5, 6, 2.5, -1]) for path in ALL_FIELDS}
        if logged(pair[0], event, None) is not None:
            return Pair(*pair, event, rng.randint(0, 12) if rng.random() < 0.1 else None)


def logged(ran: Definition, event: Json, kept: int | None) -> Evidence | None:
    """The run as the log has it: its trace, cut after so many entries; None when it failed."""
    data = {key: event[f"data.{key}"] for key in KEYS}

    def asked(given: Json) -> ParentResult:
        return built_in(str(ran.parent_strategy_id), dict(ran.built_in.variables), given)

    outcome = ran.program.run_extend(event, asked, data=data)
    if not outcome.ok:
        return None
    assert (float(outcome.points), outcome.case_name) == engine(ran, event)
    trace, whole = outcome.trace or [], len(outcome.trace or [])
    row = {
        "execution_id": "run", "created_at": datetime(2026, 7, 9, tzinfo=UTC), "strategy_id": "s", "strategy_version": 1,
        "strategy_type": "DSL_EXTEND", "status": "ok", "points": float(outcome.points), "case_name": outcome.case_name,
        "nodes_executed": whole, "is_truncated": kept is not None and kept < whole,
        "parent_strategy_id": ran.parent_strategy_id, "external_game_id": "g", "external_task_id": "t",
        "external_user_id": "u", "trace": None, "trace_irregular": json.dumps(trace[:kept]),
    }  # fmt: skip
    return joined(row, ran)


def trial(pair: Pair, found: Evidence) -> ReplayOutcome:
    """What the counterfactual makes of it."""
    assert found.alignment is not None
    assert found.trace is not None
    variant = Variant("v", 1, 1.0, found.alignment.end == "finished", found.alignment, frozenset())
    at = found.run.created_at
    assert at is not None
    variants = Variants("r", Group("v1", "s", 1, at, at, pd.DataFrame()), pair.ran, (variant,))
    reads = first_reads(variants, variant)
    values = tuple(json.dumps(found.trace[entry]["value"]) for entry in reads.values())
    rows = pd.DataFrame([{**found.run.columns, "variant": 0}])
    inputs = Inputs(variants, (variant,), tuple(reads), rows, [values], 1.0, np.zeros(1, dtype=np.int64))
    [run] = PaidRun.of(rows)
    return Replayer(pair.other, inputs).run(run, values)


def judge(pair: Pair, told: Counter[str]) -> None:
    """Count what is said of a pair, and what of it is wrong."""
    found = logged(pair.ran, pair.event, pair.kept)
    assert found is not None
    assert found.fits, found.alignment
    told["pairs"] += 1
    points, case = engine(pair.other, pair.event)
    said = trial(pair, found)
    run = recorded(found)
    assert run is not None
    again = instead_of(pair.other, pair.ran, is_extend=True).pays(run)
    assert (again.low, again.high, again.case_name, again.knows_case) == (
        said.low, said.high, said.case_name, said.knows_case,
    )  # fmt: skip
    same = pair.ran.built_in == pair.other.built_in and pair.ran.ast.get("pre_rules") == pair.other.ast.get("pre_rules")
    told["alike"] += same and pair.kept is None
    if said.missing is None:
        told["decided"] += 1
        told["decided alike"] += same and pair.kept is None
        told["decided wrong"] += not math.isclose(said.low, points, rel_tol=1e-9, abs_tol=1e-9)
        told["cases"] += said.knows_case
        told["cases wrong"] += said.knows_case and said.case_name != case
    else:
        told["bounded"] += math.isfinite(said.low) or math.isfinite(said.high)
    told["outside bounds"] += not said.low - 1e-9 <= points <= said.high + 1e-9


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20)
    asked = parser.parse_args()
    rng, told = random.Random(asked.seed), Counter[str]()
    for _ in range(asked.pairs):
        judge(draw(rng), told)
    lines = [
        f"{told['pairs']:,} pairs, seed {asked.seed}",
        f"decided {told['decided']:,} ({told['decided'] / told['pairs']:.1%}), wrong {told['decided wrong']:,}",
        f"cases told {told['cases']:,}, wrong {told['cases wrong']:,}",
        f"bounded {told['bounded']:,}; outside their bounds {told['outside bounds']:,}",
        f"same built-in, variables and pre phase, whole trace: {told['alike']:,}, "
        f"of them decided {told['decided alike'] / max(1, told['alike']):.1%}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    raise SystemExit(bool(told["decided wrong"] + told["cases wrong"] + told["outside bounds"]))


if __name__ == "__main__":
    main()
