"""The branches of a program's rules, each with a number: which of them a run took is then a number, too, with a bit for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from analytics.storage.typed_json import Json, JsonObject

_SECTIONS: Final = ("pre_rules", "rules", "post_rules")


class Branch(NamedTuple):
    """One way out of a rule that has statements of its own.

    Attributes:
        section: ``pre_rules``, ``rules`` or ``post_rules``.
        rule: The rule's place in its section.
        slot: ``then``, ``else_if[0]`` … or ``else``.
    """

    section: str
    rule: int
    slot: str


def rule_branches(rule: Json) -> list[str]:
    """The slots of a rule's branches. An ``else`` has its number also where the rule has none."""
    if not isinstance(rule, Mapping):
        return []
    others = rule.get("else_if")
    return ["then", *(f"else_if[{at}]" for at in range(len(others) if isinstance(others, list) else 0)), "else"]


def branches(program: JsonObject) -> list[Branch]:
    """Every branch; its place in the list is the bit of `Outcome.hits`."""
    return [
        Branch(section, at, slot)
        for section in _SECTIONS
        for at, rule in enumerate(_rules(program, section))
        for slot in rule_branches(rule)
    ]


def first_branch(program: JsonObject, section: str) -> int:
    """The number of a section's first branch."""
    return sum(
        len(rule_branches(rule))
        for earlier in _SECTIONS[: _SECTIONS.index(section)]
        for rule in _rules(program, earlier)
    )


def _rules(program: JsonObject, section: str) -> list[Json]:
    found = program.get(section)
    return list(found) if isinstance(found, list) else []
