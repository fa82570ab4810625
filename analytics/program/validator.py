"""What the engine's validator counts when a version is saved, and what it refuses.

It looks at the whole program, read by a run or not, against the very limits that stop runs. Nothing is live that was not saved
before, so a program that has grown up to the limit cannot be published with another rule, however little its runs need. A
program that is stored and would be refused was written past the validator, or saved under another limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analytics.program.evaluate import MAX_DEPTH, MAX_NODES
from analytics.program.outcome import same_json
from analytics.program.refusals import inspection
from analytics.storage.typed_json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Which built-in is asked, and with which of its variables overridden.

    Attributes:
        strategy_id: Its id; None when not known, and of a program that wraps none.
        variables: `parent_variables` of the program, name → value; empty when there are none, which is the same.
    """

    strategy_id: str | None = None
    variables: JsonObject = field(default_factory=dict)

    def has_same_variables(self, other: BuiltIn) -> bool:
        """Whether both override the same variables with the same JSON values."""
        return same_json(dict(self.variables), dict(other.variables))


def built_in(ast: Json, strategy_id: str | None = None) -> BuiltIn:
    """What a program wraps: the variables are in its AST, the id stands beside it."""
    return BuiltIn(strategy_id, variables(ast))


def variables(ast: Json) -> JsonObject:
    """The variables that a program overrides; what is no map of them is shown under a name of its own."""
    found = ast.get("parent_variables") if isinstance(ast, Mapping) else None
    if isinstance(found, Mapping):
        return {str(name): value for name, value in found.items()}
    return {"parent_variables": found} if found else {}


@dataclass(frozen=True, slots=True)
class PublishedSize:
    """A program as the validator counts it.

    Attributes:
        nodes: The program itself, rules, `else if` branches, statements, conditions and expressions, in all sections, whether a
            run reads them or not; a bare literal or field as a condition twice. What has no readable shape counts as one node.
        depth: Of the deepest node: a rule is at 1, a condition or statement at 2, an operand one below its operator; an
            `else if` branch nests no deeper than its rule.
        smallest_rule: Nodes of its smallest rule, the least that another of its kind would add; None where it has none.
        refusal: Why the validator refuses it, in a clause; empty where it takes it. The first of what `refusals` lists.
    """

    nodes: int
    depth: int
    smallest_rule: int | None
    refusal: str


def published_size(ast: Json, *, max_nodes: float = MAX_NODES, max_depth: float = MAX_DEPTH) -> PublishedSize:
    """What the validator counts, and whether it takes the program. Never raises on an odd shape.

    Args:
        ast: The program as its author's JSON holds it.
        max_nodes: The engine's cap of nodes, which bounds programs as it bounds runs.
        max_depth: The engine's cap of depth, likewise.
    """
    found = inspection(ast, max_nodes=max_nodes, max_depth=max_depth, most=1)
    first = found.refusals[0].reason if found.refusals else ""
    return PublishedSize(found.nodes, found.depth, found.smallest_rule, first)


def refusal(ast: Json) -> str:
    """Why the validator refuses a program, in a clause; empty where it takes it."""
    return published_size(ast).refusal
