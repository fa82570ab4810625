"""Pairs of versions, each program tried on the other's runs: every pair once, every version's ways through its program once."""

from __future__ import annotations

from typing import Any

from analytics.findings.post_mortem.groups import Side
from analytics.findings.replay.alike_inputs import AlikeInputs, alike_inputs
from analytics.findings.replay.counterfactual import Counterfactual, Ways, both_ways, refusal, replayed
from analytics.findings.replay.recorded_inputs import MOST
from analytics.findings.replay.replayed import Replayed
from analytics.findings.replay.trace_variants import Variants, find_variants
from analytics.findings.replay.trials import VersionTrial, judged, needs_both
from analytics.warehouse.warehouse import Warehouse


class Pairs:
    """What was tried so far.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        most: Runs of a version that are replayed at a time; of more, an even part is taken.
    """

    def __init__(self, lake: Warehouse, realm: str | None, most: int = MOST) -> None:
        self.most = most
        self._lake, self._realm = lake, realm
        self._variants: dict[Any, Variants | None] = {}
        self._tried: dict[Any, Replayed | None] = {}

    def variants(self, side: Side) -> Variants | None:
        """The ways of a group's runs through their program; None where it holds several, or the lake lacks the program."""
        key = _key(side)
        if key not in self._variants:
            self._variants[key] = find_variants(self._lake, self._realm, side)
        return self._variants[key]

    def ways(self, before: Side | None, after: Side | None) -> Ways:
        """Of both groups."""
        old, new = (self.variants(side) if side is not None else None for side in (before, after))
        return old, new

    def tried(self, before: Side | None, after: Side | None, *, both: bool = False) -> Counterfactual:
        """The earlier program on the later runs; the other way round where that leaves much open, or if ``both``."""
        if reason := refusal(before, after, self.ways(before, after)):
            return Counterfactual(reason=reason)
        assert before is not None and after is not None  # noqa: S101  # it would have been refused
        forward = self._replayed(after, before)
        if forward is not None and forward.is_telling and not both:
            return Counterfactual(forward)
        return both_ways(forward, self._replayed(before, after))

    def trial(self, before: Side, after: Side) -> VersionTrial:
        """The later version on trial."""
        found = judged(before, after, self.tried(before, after))
        return judged(before, after, self.tried(before, after, both=True)) if needs_both(found) else found

    def alike(self, before: Side, after: Side) -> AlikeInputs | None:
        """Whether what both versions always read moved between them; None where there is no such thing."""
        old, new = self.ways(before, after)
        return None if old is None or new is None else alike_inputs(self._lake, old, new)

    def _replayed(self, runs: Side, program: Side) -> Replayed | None:
        """The program of one group on the runs of another."""
        key = (*_key(runs), program.strategy_id, program.strategy_version)
        if key not in self._tried:
            inputs, other = self.variants(runs), self.variants(program)
            assert inputs is not None and other is not None  # noqa: S101  # it would have been refused
            self._tried[key] = replayed(self._lake, inputs, other.definition, program.label, most=self.most)
        return self._tried[key]


def _key(side: Side) -> tuple[Any, ...]:
    return side.strategy_id, side.strategy_version, side.since, side.until
