"""The nouns of the simulated engine: a family of strategies, its versions, its traffic, its events."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from analytics.demo.dsl import Node
from analytics.estimates.arrays import Array, Floats, Ints
from analytics.program import ParentResult, generate_ids
from analytics.program.outcome import Value

Column: TypeAlias = list[Any] | Array
"""Values of one field, an element per event."""
Fields: TypeAlias = dict[str, Any]
"""What one event sends: field path → value, of whatever type the client thinks right."""

#: Day 0 of the fields that grow with time; the stories are told against it.
DAY_ZERO: Final = datetime(2026, 6, 27, tzinfo=UTC)
_NAMESPACE: Final = uuid.UUID("5f1d9d52-8a44-4b0c-9d0e-3a9b3f6f2c11")


def utc(text: str) -> datetime:
    """`2026-07-08 09:30` as a UTC time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Events:
    """A batch of scoring events of one family, before their fields are known. One element per event.

    Attributes:
        rng: The batch's own random numbers.
        day: Days since `DAY_ZERO`, fractional.
        game: Index of the external game.
        user_time: The user's average time, stable per user.
        user_age: 0 for a newcomer, 1 for the oldest account of the realm.
    """

    rng: np.random.Generator
    day: Floats
    game: Ints
    user_time: Floats
    user_age: Floats

    def __len__(self) -> int:
        return len(self.day)

    def whole(self, low: int, high: int) -> Ints:
        """Uniform integers, both ends included."""
        return self.rng.integers(low, high + 1, len(self))

    def around(self, median: float, sigma: float, digits: int = 1) -> Floats:
        """Log-normal numbers around a median, rounded as a client would send them."""
        return np.round(median * np.exp(sigma * self.rng.standard_normal(len(self))), digits)

    def steps(self, median: float, sigma: float, most: int) -> Ints:
        """Log-normal counts from 1 to `most`."""
        return np.clip(self.around(median, sigma, 0), 1, most).astype(np.int64)

    def seconds(self, noise: float = 0.25) -> Floats:
        """`user.avg_time` of each event's user."""
        return np.round(self.user_time * np.exp(noise * self.rng.standard_normal(len(self))), 1)

    def measurements(self, most: int = 120, newcomers: float = 0.1) -> Ints:
        """`user.measurements_count`: a tenth have fewer than two."""
        grown = 2 + (self.user_age * most * (0.7 + 0.6 * self.rng.random(len(self)))).astype(np.int64)
        return np.where(self.rng.random(len(self)) < newcomers, self.whole(0, 1), grown)

    def rarely(self, share: float, odd: Value, usual: Column) -> list[Any]:
        """The usual values, but for a share of the events an odd one."""
        values = list(usual) if isinstance(usual, list) else usual.tolist()
        for index in np.flatnonzero(self.rng.random(len(self)) < share).tolist():
            values[index] = odd
        return values


MakeFields = Callable[[Events], dict[str, Column]]
Parent = Callable[[dict[str, Value]], ParentResult]
#: What a built-in makes of the event's data and its variables.
Answer = Callable[[Fields, Fields], ParentResult]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A strategy of the engine's own that a version can wrap: the log has its id, and nobody has its code.

    Attributes:
        strategy_id: What `parentStrategyId` says.
        answer: What it pays.
        variables: Its own; a program's `parent_variables` override them.
        redeployed: When it was deployed anew, and what it pays since; no row tells of it.
    """

    strategy_id: str
    answer: Answer
    variables: Mapping[str, Value] = field(default_factory=dict)
    redeployed: tuple[tuple[str, Answer], ...] = ()

    def asked(self, ast: Node, moment: datetime | None = None) -> Parent:
        """The built-in as a program calls it.

        Args:
            ast: The program around it.
            moment: When it is called; None for before every redeployment.
        """
        variables = {**self.variables, **(ast.get("parent_variables") or {})}
        live = [answer for since, answer in self.redeployed if moment is not None and moment >= utc(since)]
        answer = live[-1] if live else self.answer
        return lambda data: answer(data, variables)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a family: a row of the definition table with an id of its own.

    Attributes:
        number: The version.
        ast: The program; ids are generated unless `raw`.
        since: When it was published; None for a draft.
        back_at: When a rollback published it again, which overwrites `publishedAt`.
        raw: Leave missing node ids missing, as an import did that went past the editor.
        built_in: What it wraps; None for what its family wraps.
    """

    number: int
    ast: Node
    since: str | None
    back_at: str | None = None
    raw: bool = False
    built_in: BuiltIn | None = None


@dataclass(frozen=True)
class Family:
    """What a person calls one strategy.

    Attributes:
        realm: The tenant; None is a real one.
        name: What its author calls it.
        weight: Share of all traffic, in percent, on an average day.
        versions: In order; the log decides from `since` and `back_at` which one was live.
        fields: Makes the field values of a batch of events.
        parent: The built-in of versions that have none of their own. Either of them makes the family DSL_EXTEND.
        rhythm: Name of the hours at which its users are awake.
        weekend: Traffic of a weekend day against a weekday.
        games: External game ids; the first is the most played.
        tasks: External task ids.
        defined: False when the definition rows were hard-deleted.
        shared_id: All versions share one strategyId, as in the log of another deployment.
    """

    realm: str | None
    name: str
    weight: float
    versions: tuple[Version, ...]
    fields: MakeFields
    parent: Parent | None = None
    rhythm: Literal["school", "commute", "evening", "flat"] = "flat"
    weekend: float = 0.55
    games: tuple[str, ...] = ("main",)
    tasks: tuple[str, ...] = ("default",)
    defined: bool = True
    shared_id: bool = False

    @cached_property
    def programs(self) -> Mapping[int, Node]:
        """The program of each version as the engine stores it; made when it is asked for, as many families are never run."""
        return {found.number: found.ast if found.raw else generate_ids(found.ast) for found in self.versions}

    @property
    def strategy_type(self) -> str:
        """DSL_FULL or DSL_EXTEND."""
        wraps = self.parent is not None or any(found.built_in for found in self.versions)
        return "DSL_EXTEND" if wraps else "DSL_FULL"

    def version(self, number: int) -> Version:
        """The version of that number."""
        return next(found for found in self.versions if found.number == number)

    def parent_strategy_id(self, version: int) -> str | None:
        """The id of the built-in that a version wraps."""
        own = self.version(version).built_in
        return own.strategy_id if own else "default" if self.parent else None

    def wrapped(self, version: int, moment: datetime | None = None) -> Parent | None:
        """The built-in that a version calls, as it is deployed at that moment; None before every redeployment."""
        own = self.version(version).built_in
        return own.asked(self.programs[version], moment) if own else self.parent

    def strategy_id(self, version: int) -> str:
        """The id of a version's definition row; the same for the same names, for ever."""
        tail = "" if self.shared_id else f"|{version}"
        return str(uuid.uuid5(_NAMESPACE, f"{self.realm!r}|{self.name}{tail}"))

    def schedule(self) -> list[tuple[datetime, int]]:
        """(since, version) in time order: what was live when, which nobody but the simulation knows."""
        times = [(utc(at), found.number) for found in self.versions for at in (found.since, found.back_at) if at]
        return sorted(times)
