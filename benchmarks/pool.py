"""Traces as the engine writes them: rules in order, operands before their operator, 28 entries on average, 200 at most."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analytics.demo.engine import note_of_cut

STRUCTURES = 40
VARIANTS = 250
VERSIONS = (1, 2)
LIMIT = 200

#: Tuned to what the engine's log shows: half of the traces under 0.7 kB, a long tail, one in thirty cut at the limit.
_TYPICAL, _SPREAD = 4.4, 2.35


@dataclass(frozen=True, slots=True)
class Drawn:
    """One row of ``bench_pool``."""

    structure: int
    version: int
    variant: int
    trace: str
    entries: int
    points: str
    case_name: str | None
    notes: str | None


def draw(structures: int = STRUCTURES, variants: int = VARIANTS, seed: int = 7) -> Iterator[Drawn]:
    """The whole pool; the same arguments give the same traces."""
    for structure in range(structures):
        for version in VERSIONS:
            chance = random.Random(f"{seed} {structure} {version}")  # noqa: S311  # reproducible, not secret
            program = [1, 1, *(chance.choice((1, 1, 2, 3)) for _ in range(chance.randint(12, 60)))]
            for variant in range(variants):
                yield _run(structure, version, variant, program, chance)


def _run(structure: int, version: int, variant: int, program: list[int], chance: random.Random) -> Drawn:
    """One run: rules are skipped until about the drawn length is reached; the next one pays."""
    length = math.exp(chance.gauss(math.log(_TYPICAL), _SPREAD))
    entries: list[dict[str, Any]] = []
    points, case_name = 0.0, None
    for rule, conditions in enumerate(program):
        # an inserted rule shifts the generated ids of version 2
        name = f"rule.{rule + (version - 1) * (rule > 2)}"
        matches = len(entries) + 6 >= length
        _condition(entries, name, conditions, matches, chance)
        entries.append(
            {"nodeId": name, "type": "rule", "value": matches, "branch": "match" if matches else chance.choice(_ELSE)}
        )
        if matches:
            points, case_name = chance.choice((1.0, 2.5, 10.0, 0.1 * chance.randint(1, 99))), f"case {rule}"
            _statement(entries, name, points, chance)
            break
    count = len(entries)
    notes = note_of_cut(count, LIMIT)
    kept = entries[:LIMIT]
    trace = json.dumps(kept, ensure_ascii=False)
    return Drawn(structure, version, variant, trace, len(kept), repr(points), case_name, notes)


_ELSE = ("skip", "skip", "skip", "else", "elseif:0")


def _condition(entries: list[dict[str, Any]], rule: str, count: int, matches: bool, chance: random.Random) -> None:
    cut = count if matches else chance.randrange(count)  # the comparison that fails
    for number in range(count):
        name = f"{rule}.and.0.compare.{number}" if count > 1 else f"{rule}.compare.0"
        found, wanted = _operands(chance)
        entries += [
            {"nodeId": f"{name}.field.0", "type": "field", "value": found},
            {"nodeId": f"{name}.literal.1", "type": "literal", "value": wanted},
            {"nodeId": name, "type": "compare", "value": number != cut},
        ]
        if number == cut:
            break
    if count > 1:
        joined: dict[str, Any] = {"nodeId": f"{rule}.and.0", "type": "and", "value": matches}
        if not matches and cut < count - 1:
            joined["branch"] = f"short_circuit:{cut}"
        entries.append(joined)


def _operands(chance: random.Random) -> tuple[Any, Any]:
    kind = chance.random()
    if kind < 0.6:
        return chance.randint(0, 500), chance.randint(0, 500)
    if kind < 0.85:
        return chance.expovariate(0.01), 120.5
    if kind < 0.95:
        return chance.choice(("gold", "silver", "brönze", "🏅", "1", "true")), "gold"
    if kind < 0.9993:
        return None if kind < 0.997 else [1, "two", {"three": 3.5}], chance.choice((True, False, None))
    return "long text, " * chance.randint(100, 450), "gold"


def _statement(entries: list[dict[str, Any]], rule: str, points: float, chance: random.Random) -> None:
    if chance.random() < 0.4:
        half = points / 2
        entries += [
            {"nodeId": f"{rule}.assign.0.arith.0.field.0", "type": "field", "value": half},
            {"nodeId": f"{rule}.assign.0.arith.0.literal.1", "type": "literal", "value": half},
            {"nodeId": f"{rule}.assign.0.arith.0", "type": "arith", "value": points},
        ]
    else:
        entries.append({"nodeId": f"{rule}.assign.0.literal.0", "type": "literal", "value": points})
    entries.append({"nodeId": f"{rule}.assign.0", "type": "assign_points", "value": points, "branch": "match"})
