"""A program tried on the inputs that another version's runs recorded: what it would have paid, run by run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics.findings.evidence import EVENT_FIELDS, Definition
from analytics.findings.inputs import Decoder, Inputs, event_ids
from analytics.findings.variants import Variant, Variants
from analytics.program import MAX_NODES
from analytics.program.instead import Answer, Instead, Recorded

#: The run did end, so whatever its cap was, it is not what ended it.
_NO_CAP: Final = 10**9
_LARGE: Final = re.compile(r"(?<![\d.])\d{17,}(?![\d.])")
"""A whole number that may have been a float when it was logged."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a program pays on one run's inputs.

    Attributes:
        low, high: Its points, twice the same when they are decided; else the least and the most.
        case_name: The case; None when none is or when it is not decided.
        code: Error code when the program fails there: it then pays nothing.
        missing: What it needs and the trace does not hold, in words; None when decided.
    """

    low: float
    high: float
    case_name: Any = None
    code: str | None = None
    missing: str | None = None


def wraps(program: Definition) -> bool | None:
    """Whether a program wraps a built-in; None for one without any rules, which may be either."""
    if program.ast.get("pre_rules") or program.ast.get("post_rules"):
        return True
    return False if program.ast.get("rules") or program.ast.get("default") else None


class Trial:
    """One program on many inputs; equal inputs are tried once.

    Args:
        program: To be tried; of the same kind as the one that ran (``wraps``).
        inputs: What the runs of some version read.
    """

    def __init__(self, program: Definition, inputs: Inputs) -> None:
        ran = inputs.variants.definition
        self._inputs, self._decoder = inputs, Decoder()
        self._done: dict[Any, Tried] = {}
        self._plain: dict[Any, Tried] = {}  # those that depend on nothing but what was read: a million runs ask for few
        self._is_extend = bool(wraps(program) or wraps(ran))
        self._own = Instead(ran.program, ran.program, is_extend=self._is_extend, max_nodes=_NO_CAP)
        cap = _NO_CAP if program is ran else MAX_NODES
        self._instead = Instead(program.program, ran.program, is_extend=self._is_extend, max_nodes=cap)
        self._answers = [answer_of(inputs.variants, variant) for variant in inputs.used]
        # Only where the program asks for the event's ids do equal inputs need equal ids.
        asked = {node.path for node in program.outline.nodes}
        self._ids = not asked.isdisjoint(EVENT_FIELDS)

    def run(self, row: Mapping[str, Any], values: tuple[str | None, ...]) -> Tried:
        """Try the program on one run's inputs."""
        read = (row["variant"], values)
        if (known := self._plain.get(read)) is not None:
            return known
        ids = event_ids(row) if self._ids else {}
        is_large = any(text is not None and len(text) > 16 and _LARGE.search(text) is not None for text in values)
        paid = (row["points"], row["case_name"]) if self._is_extend or is_large else None
        key = (*read, paid, tuple(ids.items()))
        found = self._done.get(key)
        if found is None:
            recorded = self._recorded(row, values, ids)
            if is_large:
                recorded = self._as_it_ran(row, recorded)
            said = self._instead.pays(recorded)
            missing = None if said.is_decided else said.missing or "points that are no number"
            found = self._done[key] = Tried(said.low, said.high, said.case_name, said.code, missing)
            if paid is None and not self._ids:
                self._plain[read] = found
        return found

    def _recorded(self, row: Mapping[str, Any], values: tuple[str | None, ...], ids: Mapping[str, Any]) -> Recorded:
        fields = {**ids, **self._decoder.fields(self._inputs, values, "pre")}
        if not self._is_extend:
            return Recorded(fields)
        vetoed, points_are_paid, case_is_paid = self._answers[int(row["variant"])]
        read = self._decoder.fields(self._inputs, values, "post")
        knows = points_are_paid or "parent.points" in read, case_is_paid or "parent.case_name" in read
        points, case = read.pop("parent.points", row["points"]), read.pop("parent.case_name", row["case_name"])
        return Recorded(fields, read, points, case, knows_points=knows[0], knows_case=knows[1], vetoed=vetoed)

    def _as_it_ran(self, row: Mapping[str, Any], recorded: Recorded) -> Recorded:
        """Large whole numbers as floats, where the program that ran only then gives what was paid."""

        def is_paid(said: Answer) -> bool:
            return bool(said.low == said.high == row["points"] and said.case_name == row["case_name"])

        restored = recorded.as_written()
        same = is_paid(self._own.pays(recorded)) or not is_paid(self._own.pays(restored))
        return recorded if same else restored


def answer_of(found: Variants, variant: Variant) -> tuple[bool, bool, bool]:
    """Whether a veto ended a variant's runs; whether what they paid, and for which case, is the built-in's answer."""
    beside, nodes = variant.beside, found.definition.outline.nodes
    wrote = {nodes[position].type for position in beside.positions}
    passed_on = beside.end == "finished" and not beside.vetoed
    return beside.vetoed, passed_on and "set_points" not in wrote, passed_on and "set_case_name" not in wrote
