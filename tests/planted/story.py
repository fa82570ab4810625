"""The noun of the planted lake: one strategy, what happens to it, what is true of it, and what may be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from analytics.demo.catalog import Family, utc

#: Two weeks from a Monday, away from the demo's.
FIRST: Final = utc("2026-05-04 00:00")
UNTIL: Final = utc("2026-05-18 00:00")
#: Wednesday of the second week.
CHANGE: Final = "2026-05-13 09:30"
#: What is asked for begins the day before.
ASKED: Final = utc("2026-05-12 00:00")
LONG_AGO: Final = "2026-03-02 08:00"

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stall:
    """An event loop that stands still: runs time out, whatever their program.

    Attributes:
        since, until: When, UTC.
        share: Of its runs.
    """

    since: datetime
    until: datetime
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Story:
    """One strategy and what happens to it.

    Attributes:
        key: A word for it.
        family: Realm, name, programs, fields.
        words: What is true, in a sentence.
        kinds: What a post-mortem may call it; anything else is wrong.
        since, until: The window to ask for, UTC.
        moment: When it began; None where nothing does.
        version: The version that is to blame; None where none is.
        code: The error code that began.
        tolerance: How far from ``moment`` an answer may be: hours go by between two logged rows.
        rollback: When the earlier version was back.
        rollout: How long both versions ran side by side.
        client: What clients make of the fields from ``moment`` on.
        game: Only this game's client does so.
        slow_ms: Median of what an analytics query takes longer: under ``version``, or from ``moment`` on where none is to blame.
        runs: Runs in the fortnight.
        begins: When its first run may happen.
        logged: Keep exactly so many ok rows.
        counterfactual: ``overpaid`` is to be compared with the truth.
        stalls: When runs time out.
        causes: What a headline may give as the cause; any other is wrong. "unknown" is never wrong.
        guilty: Versions that pay otherwise than the one before: never to be acquitted.
        path: The field that moved, which is to be named.
        told: Kinds of findings of which the page tells every one.
        ended: What began is over before ``until``.
        unsaid: Words that the page must not have.
        steady: The error code of which some runs have always failed: to say so, without a moment, is no alarm.
    """

    key: str
    family: Family
    words: str
    kinds: frozenset[str]
    since: datetime = ASKED
    until: datetime = UNTIL
    moment: datetime | None = None
    version: int | None = None
    code: str | None = None
    tolerance: timedelta = timedelta(hours=6)
    rollback: datetime | None = None
    rollout: timedelta = timedelta(0)
    client: Callable[[Fields], Fields] | None = None
    game: str | None = None
    slow_ms: float = 0.0
    runs: int = 12_000
    begins: datetime = FIRST
    logged: int | None = None
    counterfactual: bool = False
    stalls: tuple[Stall, ...] = ()
    causes: frozenset[str] = frozenset()
    guilty: frozenset[int] = frozenset()
    path: str | None = None
    told: frozenset[str] = frozenset()
    ended: bool = False
    unsaid: tuple[str, ...] = ()
    steady: str | None = None

    @property
    def blamed(self) -> frozenset[int]:
        """Versions that may never be acquitted."""
        return self.guilty or (frozenset({self.version}) if self.version and "version" in self.kinds else frozenset())

    @property
    def to_blame(self) -> frozenset[str]:
        """What a headline may give as the cause, "unknown" left out."""
        usual = {"version": "program", "data": "inputs", "failures": "failures"}
        found = {usual[kind] for kind in self.kinds if kind in usual}
        # What fails under an unchanged program fails by what it is sent.
        return self.causes or frozenset(found | ({"inputs"} if "failures" in found and self.version is None else set()))

    def ask(self) -> dict[str, Any]:
        """The arguments of ``analytics.post_mortem``; without definitions a family has an id and no name."""
        name = {"family": self.family.name} if self.family.defined else {"strategy_id": self.family.strategy_id(1)}
        days = {"since": self.since.date().isoformat(), "until": self.until.date().isoformat()}
        return {"realm": self.family.realm, **name, **days}
