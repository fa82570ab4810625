"""All that a post-mortem finds out about one strategy, each fact once: what the page, the summary and a notebook tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from analytics.findings import cases as case_findings
from analytics.findings.activations import Activation, activations
from analytics.findings.baseline import Baseline, with_rows
from analytics.findings.counterfactual import Counterfactual, Replayed, Ways, counterfactual
from analytics.findings.family import Family, family_runs
from analytics.findings.incident import LOOK_BACK, RHYTHM, Incident, find_incident
from analytics.findings.node_changes import NodeChanges, node_changes
from analytics.findings.replays import ReplayShare, replay_share
from analytics.findings.variants import find_variants
from analytics.findings.weighed import weighed
from analytics.status import Coverage
from analytics.status import coverage as window_coverage
from analytics.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd


class Inquiry:
    """What happened to one strategy in a window.

    Args:
        lake: Where to look.
        family: The strategy.
        since, until: The window in question, UTC.
        baseline: What to compare with; chosen when ``None``.
    """

    def __init__(
        self, lake: Warehouse, family: Family, since: datetime, until: datetime, baseline: Baseline | None = None
    ) -> None:
        self.lake, self.family, self.since, self.until, self._baseline = lake, family, since, until, baseline
        self._done: dict[tuple[int, int], tuple[Ways, Counterfactual]] = {}

    @cached_property
    def history(self) -> pd.DataFrame:
        """Logged runs of the family, from four weeks before the window to its end: earlier weekends tell a weekend."""
        return family_runs(self.lake, self.family, self.since - RHYTHM, self.until)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Logged runs of the family, from a week before the window to its end."""
        return self.history[self.history["created_at"] >= self.since - LOOK_BACK]

    @cached_property
    def window(self) -> pd.DataFrame:
        """Logged runs within the window."""
        return self.runs[self.runs["created_at"] >= self.since]

    @cached_property
    def coverage(self) -> Coverage:
        """How much of the window the lake holds."""
        return window_coverage(self.lake, Window(self.since, self.until))

    @cached_property
    def spans(self) -> list[Activation]:
        """When which version was live."""
        return activations(self.runs)

    @cached_property
    def compared(self) -> Incident:
        """What comparing groups of runs says."""
        asked = with_rows(self._baseline, self.lake, self.family, self.history) if self._baseline else None
        return find_incident(self.history, self.since, self.until, baseline=asked)

    @cached_property
    def incident(self) -> Incident:
        """What stands out, once the version has been tried on the same inputs."""
        tried = self._tried(self.compared)[1] if self.compared.kind == "version" else Counterfactual()
        forward = tried.forward
        return weighed(self.compared, forward if forward is not None and forward.is_telling else None)

    @cached_property
    def cases(self) -> list[case_findings.Case]:
        """Cases of both sides; none when there are no two sides."""
        found = self.incident
        return case_findings.compare_cases(found.before, found.after) if found.before and found.after else []

    @cached_property
    def split(self) -> case_findings.Split | None:
        """Effect and mix, and what was overpaid: as the replay has it where that is telling; ``None`` without two sides."""
        found = self.incident
        if not (found.before and found.after):
            return None
        parts, forward = case_findings.split(found.before, found.after), self.telling
        return parts if forward is None else replace(parts, overpaid=forward.difference)

    @property
    def ways(self) -> Ways:
        """How the runs of both sides went through their programs."""
        return self._tried(self.incident)[0]

    @property
    def counterfactual(self) -> Counterfactual:
        """Each version's program on the other's inputs."""
        return self._tried(self.incident)[1]

    def _tried(self, found: Incident) -> tuple[Ways, Counterfactual]:
        key = (id(found.before), id(found.after))  # sides are kept by the incidents that this object holds
        if key not in self._done:
            realm, sides = self.family.realm, (found.before, found.after)
            old, new = (find_variants(self.lake, realm, side) if side else None for side in sides)
            self._done[key] = (old, new), counterfactual(self.lake, realm, found.before, found.after, (old, new))
        return self._done[key]

    @property
    def telling(self) -> Replayed | None:
        """The counterfactual, where it covers enough of the runs to say how much was overpaid."""
        forward = self.counterfactual.forward
        return forward if forward is not None and forward.is_telling else None

    @cached_property
    def replays(self) -> ReplayShare:
        """Whether the definitions give the logged runs again."""
        return replay_share(self.lake, self.runs)

    @cached_property
    def nodes(self) -> NodeChanges | None:
        """Conditions, fields and amounts that differ; ``None`` when there are no two sides."""
        found = self.incident
        return node_changes(self.lake, found.before, found.after, *self.ways) if found.before and found.after else None
