"""The events of a chunk: who plays which version when, with which fields, before anything has run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from analytics.demo import stories
from analytics.demo.catalog import DAY_ZERO, Column, Events, Family
from analytics.demo.programs import FAMILIES, family
from analytics.demo.traffic import Chunk, Ints, microseconds, moments, users
from analytics.program import Outcome


@dataclass(slots=True)
class Batch:
    """Events of one family in one chunk, and what came of them. One element per run."""

    family: Family
    rng: np.random.Generator
    created: Ints
    user: list[str]
    game: list[str]
    task: list[str]
    version: list[int]
    fields: list[dict[str, Any]]
    planted: bool
    queries: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    timed_out: list[bool] = field(default_factory=list)
    max_nodes: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.created)


def batches(chunk: Chunk, seed: int) -> list[Batch]:
    """The events of a chunk, ordinary ones first, then those that a story plants."""
    found = []
    for index, (played, count) in enumerate(zip(FAMILIES, chunk.counts, strict=True)):
        if count:
            rng = np.random.default_rng([seed, 3, chunk.index, index])
            found.append(_batch(played, rng, seed, moments(played, chunk, count, rng)))
    for index, plant in enumerate(stories.PLANTS):
        if chunk.since <= plant.story.since < chunk.until and plant.story.until is not None:
            rng = np.random.default_rng([seed, 4, index])
            start, end = microseconds(plant.story.since), microseconds(plant.story.until)
            when = np.sort(rng.integers(start, end, len(plant.overrides)))
            found.append(_batch(family(plant.realm, plant.family), rng, seed, when, plant))
    return found


def _batch(
    played: Family, rng: np.random.Generator, seed: int, created: Ints, plant: stories.Plant | None = None
) -> Batch:
    count = len(created)
    people = users(played.realm, seed)
    who = people.pick(rng, 1 if plant and plant.one_user else count)
    who = np.resize(who, count)
    shares = 1.0 / np.arange(1, len(played.games) + 1)
    game = rng.choice(len(played.games), count, p=shares / shares.sum())
    events = Events(rng, (created - microseconds(DAY_ZERO)) / 86_400e6, game, people.time[who], people.age[who])
    rows = _rows(played.fields(events), count)
    for row, overrides in zip(rows, plant.overrides if plant else (), strict=False):
        row.update(overrides)
        for path in [path for path, value in overrides.items() if value is stories.MISSING]:
            del row[path]
    schedule = played.schedule()
    live = np.searchsorted([microseconds(since) for since, _ in schedule], created, side="right") - 1
    games = [played.games[number] for number in game.tolist()]
    if client := _CLIENTS.get((played.realm, played.name)):
        client(rows, games, created)
    return Batch(
        family=played,
        rng=rng,
        created=created,
        user=[people.ids[number] for number in who.tolist()],
        game=games,
        task=[played.tasks[number] for number in rng.integers(0, len(played.tasks), count).tolist()],
        version=[schedule[max(0, number)][1] for number in live.tolist()],
        fields=rows,
        planted=plant is not None,
    )


def _rows(columns: Mapping[str, Column], count: int) -> list[dict[str, Any]]:
    values = [column if isinstance(column, list) else column.tolist() for column in columns.values()]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)] if names else [{}] * count


def _send_zero_minutes(rows: list[dict[str, Any]], games: list[str], created: Ints) -> None:
    since, broken = microseconds(stories.ZERO_MINUTES.since), stories.ZERO_MINUTES.facts["external_game_id"]
    for row, game, moment in zip(rows, games, created.tolist(), strict=True):
        if game == broken and moment >= since:
            row["data.minutes"] = 0


def _send_metres(rows: list[dict[str, Any]], _games: list[str], created: Ints) -> None:
    for row, moment in zip(rows, created.tolist(), strict=True):
        if moment >= microseconds(stories.METRES.since):
            row["data.km"] *= stories.METRES.facts["factor"]


def _read_more_at_weekends(rows: list[dict[str, Any]], _games: list[str], created: Ints) -> None:
    facts = stories.LONG_READ.facts
    at_weekend = (created // 86_400_000_000 + 3) % 7 >= 5  # the epoch was a Thursday
    for row, often in zip(rows, at_weekend.tolist(), strict=True):
        if often and row["data.pages"] is not None:
            row["data.pages"] = min(facts["most"], round(row["data.pages"] * facts["factor"]))


#: What clients of a family make of its fields, after every random number has been drawn: the other families stay as they are.
_CLIENTS: Final[Mapping[tuple[str | None, str | None], Callable[[list[dict[str, Any]], list[str], Ints], None]]] = {
    (stories.ZERO_MINUTES.realm, stories.ZERO_MINUTES.family): _send_zero_minutes,
    (stories.METRES.realm, stories.METRES.family): _send_metres,
    (stories.LONG_READ.realm, stories.LONG_READ.family): _read_more_at_weekends,
}
