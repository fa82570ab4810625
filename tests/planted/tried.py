"""The versions of a family, each with the built-in it wraps: what any of them pays for an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics.demo.catalog import Family
from analytics.demo.engine import run
from analytics.program import Outcome, compile_program
from tests.planted.story import Fields

_MOST_NODES: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Engine:
    """The versions of a family, each with what it wraps, ready to run."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._programs = {version: compile_program(ast) for version, ast in family.programs.items()}
        self._wrapped = {version: family.wrapped(version) for version in family.programs}
        self.moving = {found.number for found in family.versions if found.built_in and found.built_in.redeployed}
        # Versions of one program around one built-in pay alike: only the first of them is asked.
        kinds = [
            (json.dumps(family.programs[found.number], sort_keys=True), found.built_in) for found in family.versions
        ]
        self._same = {
            found.number: family.versions[kinds.index(kind)].number
            for found, kind in zip(family.versions, kinds, strict=True)
        }

    def run(self, version: int, fields: Fields, created: int | None, *, keep_trace: bool = False) -> Outcome:
        """Run one event; ``created`` in microseconds, or None for before every redeployment."""
        parent = self._wrapped[version]
        if created is not None and version in self.moving:
            parent = self.family.wrapped(version, _EPOCH + timedelta(microseconds=created))
        return run(self._programs[version], parent, fields, max_nodes=_MOST_NODES, keep_trace=keep_trace)

    def paid(self, fields: Fields, created: int, live: int, outcome: Outcome) -> list[tuple[int, float | None]]:
        """What each version pays for a run of which one outcome is known."""
        known = {self._same[live]: points_of(outcome)}
        for asked in self._same.values():
            if asked not in known:
                known[asked] = points_of(self.run(asked, fields, created))
        return [(version, known[same]) for version, same in self._same.items()]


def points_of(outcome: Outcome) -> float | None:
    """What was paid; None for a failure."""
    return float(outcome.points) if outcome.ok else None
