"""Two strategies of one tenant side by side: one pays more, both pay the same, other people play."""

from __future__ import annotations

from typing import Any, Final

from analytics.demo.catalog import Column, Events, Family, MakeFields, Version, utc
from analytics.demo.dsl import Node
from tests.planted import programs
from tests.planted.story import CHANGE, LONG_AGO, Story

REALM: Final = "rivals"


def long_rides(events: Events) -> dict[str, Column]:
    """Rides of people who ride twice as far."""
    return {**programs.ride_fields(events), "data.distance": events.around(12.4, 0.6)}


def _story(name: str, fields: MakeFields, *programs_: Node, words: str, **rest: Any) -> Story:
    versions = tuple(
        Version(number, ast, LONG_AGO if number == 1 else CHANGE) for number, ast in enumerate(programs_, 1)
    )
    of_family = {key: rest.pop(key) for key in ("games", "defined", "rhythm") if key in rest}
    family = Family(REALM, name, 1.0, versions, fields, **{"games": ("main", "second", "third"), **of_family})
    key = f"rival_{name.lower().replace(' ', '_')}"
    return Story(key, family, words, frozenset({"against"}), **{"runs": 8_000, **rest})


_RIDE = programs.ride_fields

RIVALS: Final[tuple[Story, ...]] = (
    _story("Ten", _RIDE, programs.ride(10), words="10 in case Fast."),
    _story("Fifteen", _RIDE, programs.ride(15), words="15 in case Fast; the same people."),
    _story("Far fifteen", long_rides, programs.ride(15), words="15 in case Fast; others play.", games=("north", "south")),
    _story("Far ten", long_rides, programs.ride(10), words="10 in case Fast; others play.", games=("north", "south")),
    _story("Old shop", programs.shop_fields, programs.shop(renamed=False), words="A shop."),
    _story("New shop", programs.shop_fields, programs.shop(renamed=True), words="The same in other words and ids."),
    _story("Climbs", _RIDE, programs.ride(10, climb=programs.CLIMB), words="Pays for a field that Ten never reads."),
    _story("Nameless", _RIDE, programs.ride(10), words="10 in case Fast, and no definition.", defined=False),
    _story("Sunday", _RIDE, programs.ride(15), words="15 in case Fast, at a weekend only.", begins=utc("2026-05-16 00:00")),
    _story("Grown", _RIDE, programs.ride(10), programs.ride(15), words="Version 2 pays 15 since Wednesday."),
)  # fmt: skip


def rival(name: str) -> Story:
    """The story of that strategy."""
    return next(found for found in RIVALS if found.family.name == name)
