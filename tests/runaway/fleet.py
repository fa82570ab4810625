"""The nouns of the stories: who runs, what goes wrong, and what a report should find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from analytics.demo.catalog import Family, MakeFields, Version, utc
from tests.planted import programs as small
from tests.runaway import programs

#: The window a report is asked for is the last day; the log begins up to two weeks before its end, on a Monday.
UNTIL: Final = utc("2026-03-17 00:00")
SINCE: Final = UNTIL - timedelta(days=1)
EVERYWHERE: Final = "*"
FAR: Final = frozenset({"not growing", "program close to the cap"})
"""Groups of versions whose runs are far from any limit; ladders that a cap can stop are programs that no validator takes."""

Key = tuple[str | None, str, int]


class Run(NamedTuple):
    """One run, logged or not.

    ``nodes`` and ``visits`` are what the walk did up to where it was stopped, ``wanted`` what it would have needed without a cap.
    ``stalled``: timed out because the event loop stood still, and ``own``: because its own rules are heavy.
    """

    execution_id: str
    created_at: datetime
    realm: str | None
    family: str
    version: int
    status: str
    error_code: str | None
    nodes: int
    visits: int
    wanted: int
    duration_ms: float
    user: str
    logged: bool
    stalled: bool
    own: bool

    @property
    def key(self) -> Key:
        """Realm, family, version."""
        return self.realm, self.family, self.version


@dataclass(frozen=True, slots=True)
class Player:
    """A family and its traffic.

    Attributes:
        family: Realm, name, versions, fields.
        runs: A day.
        timeouts: Share of runs whose own rules take longer than the engine allows.
    """

    family: Family
    runs: int = 200
    timeouts: float = 0.0


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong for a while.

    Attributes:
        since, until: When.
        realm, family: Whose; `EVERYWHERE` for all.
        cap: The node cap of the engine meanwhile.
        stall: Share of the runs that time out because the event loop stands still.
        query_ms: Median of what the query of a field takes.
        missing: A field that was not precomputed.
        extra: Runs of each player in addition to its usual ones.
        one_user: The additional runs are one user's, and only those lack the field.
        row: What becomes of the log's row of a run.
    """

    since: datetime
    until: datetime
    realm: str | None = EVERYWHERE
    family: str = EVERYWHERE
    cap: int | None = None
    stall: float = 0.0
    query_ms: Mapping[str, float] = field(default_factory=dict)
    missing: str | None = None
    extra: int = 0
    one_user: bool = False
    row: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def concerns(self, family: Family) -> bool:
        """Whether it can happen to a family."""
        return self.realm in (EVERYWHERE, family.realm) and self.family in (EVERYWHERE, family.name)


class Refused(NamedTuple):
    """When the validator would first refuse a version, if authors go on as planned: which from now, and in how many days."""

    version: int
    days: float


@dataclass(frozen=True, slots=True)
class Expected:
    """One finding that should be there.

    Attributes:
        whats: As in the report's summary; one of them.
        kinds: What it may be called.
        key: Realm, family, version; None where it concerns several.
        runs: The runs of the window it speaks of; their number, the first and the last are compared exactly.
        words: What its sentence says; ``{…}`` is filled from ``told``.
        told: Values for the words, from the truth.
        refused: What the author has planned, which must lie in the ranges that are told.
        lasted: When what caused it began and ended; both lie in the intervals that are told, in nineteen of twenty seeds.
        reaches_cap: The growth goes on, and the day on which one run in a hundred is stopped lies in the range that is told.
    """

    whats: frozenset[str]
    kinds: frozenset[str]
    key: Key | None
    runs: Callable[[Run], bool] | None = None
    words: tuple[str, ...] = ()
    told: Callable[[list[Run]], dict[str, Any]] | None = None
    reaches_cap: bool = False
    refused: Refused | None = None
    lasted: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What should be said of a rule.

    Attributes:
        rule_id: Which.
        verdict: As in the query dead_rules.
        share: In so many of its looks it matches: then it may have been seen, and of what is not seen the bound is no less.
    """

    rule_id: str
    verdict: str
    share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """A fleet, what goes wrong in it, and what a report on its last day should say.

    Attributes:
        key: A word for it.
        words: What is true, in a sentence.
        fleet: Who runs.
        incidents: What goes wrong.
        expected: The findings, in the order of the report; nothing else may be found.
        days: Days of log before the end of the window.
        rate: Sampling rate of ok runs.
        leads: The version on top of the league.
        groups: Groups of the league that a version may be in.
        page: Section → texts that stand in it.
        absent: Section → texts that do not.
        judged: What is said of rules.
    """

    key: str
    words: str
    fleet: tuple[Player, ...]
    incidents: tuple[Incident, ...] = ()
    expected: tuple[Expected, ...] = ()
    days: int = 4
    rate: float = 0.1
    leads: Key | None = None
    groups: Mapping[Key, frozenset[str]] = field(default_factory=dict)
    page: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()

    @property
    def begins(self) -> datetime:
        """Start of its first day."""
        return UNTIL - timedelta(days=self.days)


def at(day: int, clock: str = "00:00") -> str:
    """A time so many days before the last one (0), as a family's version wants it."""
    return f"{SINCE - timedelta(days=day):%Y-%m-%d} {clock}"


def moment(day: int, clock: str = "00:00") -> datetime:
    """The same as a time."""
    return utc(at(day, clock))


LONG_AGO: Final = "2025-11-03 08:00"


def family(realm: str | None, name: str, fields: MakeFields, *versions: Any, **rest: Any) -> Family:
    """A family; a version is a program, live for ever, or a program and since when (and when it was back)."""
    live = [part if isinstance(part, tuple) else (part, LONG_AGO) for part in versions]
    numbered = tuple(Version(number, part[0], *part[1:]) for number, part in enumerate(live, 1))
    return Family(realm, name, 1.0, numbered, fields, **rest)


def quiet(runs: int = 200) -> tuple[Player, ...]:
    """Four strategies of three realms, of which there is nothing to say."""
    return (
        Player(family("acme", "Rides", small.ride_fields, small.ride()), runs),
        Player(family("bay", "Pages", programs.plain_fields, programs.plain()), runs),
        Player(family("bay", "Walks", small.step_fields, small.steps(80, 9)), runs),
        Player(family(None, "Baskets", small.shop_fields, small.shop(renamed=False)), runs),
    )


def kinds(text: str) -> frozenset[str]:
    """Several words as a set."""
    return frozenset(text.split())
