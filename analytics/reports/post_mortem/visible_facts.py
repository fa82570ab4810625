"""The facts of a post-mortem that its readers may see: all of them, or without what few users did."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from analytics.findings.post_mortem.incident import NO_CASE
from analytics.findings.post_mortem.post_mortem import Inquiry
from analytics.reports.small_cells import SmallCells

if TYPE_CHECKING:
    from analytics.findings.post_mortem.case_split import Case
    from analytics.findings.post_mortem.incident import Incident
    from analytics.findings.post_mortem.node_changes import NodeChanges
    from analytics.findings.replay.counterfactual import Counterfactual, Replayed


class Shown:
    """What is told of an inquiry.

    Args:
        inquiry: The facts.
        small: What may be shown of few users.
    """

    def __init__(self, inquiry: Inquiry, small: SmallCells) -> None:
        self._inquiry, self.small = inquiry, small

    @cached_property
    def incident(self) -> Incident:
        """What stands out, and what else, without what few users met."""
        found = self._inquiry.incident
        if not self.small:
            return found
        failed = self._inquiry.window[self._inquiry.window["status"] != "ok"]
        hidden = self.small.hidden(failed["error_code"].astype(object).fillna(""), failed["external_user_id"])
        return replace(found, also=type(found.also)(other for other in found.also if other.code not in hidden))

    @cached_property
    def hidden_cases(self) -> frozenset[str]:
        """Cases that too few users reached, on either side."""
        found = self.incident
        hidden: set[str] = set()
        for side in (found.before, found.after):
            if self.small and side is not None:
                rows = side.rows[side.rows["status"] == "ok"]
                hidden |= self.small.hidden(rows["case_name"].astype(object).fillna(NO_CASE), rows["external_user_id"])
        return frozenset(hidden)

    @cached_property
    def cases(self) -> list[Case]:
        """Cases of both sides that may be shown."""
        return [case for case in self._inquiry.cases if case.name not in self.hidden_cases]

    @cached_property
    def counterfactual(self) -> Counterfactual:
        """Each version's program on the other's inputs, by the cases that may be shown."""
        tried = self._inquiry.counterfactual
        return replace(tried, forward=self._shown(tried.forward), backward=self._shown(tried.backward))

    @cached_property
    def telling(self) -> Replayed | None:
        """The counterfactual that says how much was overpaid, where there is one."""
        return self._shown(self._inquiry.telling)

    def _shown(self, tried: Replayed | None) -> Replayed | None:
        if tried is None or not self.small:
            return tried
        return replace(tried, cases=[case for case in tried.cases if case.name not in self.hidden_cases], users=[])

    @cached_property
    def nodes(self) -> NodeChanges | None:
        """Nodes that differ, and that enough runs came by."""
        found = self._inquiry.nodes
        if found is None or not self.small or found.frame.empty:
            return found
        counts = found.frame[["before_count", "after_count"]].min(axis=1)
        return replace(found, frame=found.frame[counts >= self.small.least])
