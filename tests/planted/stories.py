"""What happens to each planted strategy in the fortnight, and what a post-mortem should find."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from analytics.demo.catalog import Family, MakeFields, Parent, Version, utc
from tests.planted import programs
from tests.planted.story import ASKED, CHANGE, FIRST, LONG_AGO, UNTIL, Fields, Story

__all__ = ["FIRST", "STORIES", "UNTIL", "Story", "story"]

_ROLLED_BACK: Final = "2026-05-15 09:30"


def _family(
    realm: str,
    name: str,
    fields: MakeFields,
    old: dict[str, Any],
    new: dict[str, Any] | None = None,
    *,
    back_at: str | None = None,
    parent: Parent | None = None,
    rhythm: Any = "flat",
    games: tuple[str, ...] = ("main", "second", "third"),
    **rest: Any,
) -> Family:
    versions = (Version(1, old, LONG_AGO, back_at=back_at),)
    if new is not None:
        versions += (Version(2, new, CHANGE),)
    return Family(realm, name, 1.0, versions, fields, parent, rhythm, games=games, **rest)


def _story(key: str, kinds: str, family: Family, words: str, **rest: Any) -> Story:
    new = len(family.versions) > 1
    rest = {"moment": utc(CHANGE), "version": 2, **rest} if new else rest
    return Story(key, family, words, frozenset(kinds.split()), **rest)


def _quiet(key: str, family: Family, words: str, **rest: Any) -> Story:
    return _story(key, "quiet", family, words, **{"moment": None, "version": None, **rest})


def _metres(fields: Fields) -> Fields:
    return {**fields, "data.distance": fields["data.distance"] * 1000}


def _text(fields: Fields) -> Fields:
    return {**fields, "data.minutes": f"{fields['data.minutes']} min"}


_RIDE, _WALK = programs.ride_fields, programs.step_fields
_TOWN, _BAY, _HILL, _FALLS = "version-town", "client-bay", "quiet-hill", "wrapped-falls"

STORIES: Final[tuple[Story, ...]] = (
    _story(
        "half_more_rolled_back",
        "version",
        _family(_TOWN, "Fast rides", _RIDE, programs.ride(10), programs.ride(15), back_at=_ROLLED_BACK),
        "Version 2 pays 15 instead of 10 in case Fast, until a rollback two days later.",
        rollback=utc(_ROLLED_BACK),
        counterfactual=True,
    ),
    _story(
        "half_more",
        "version",
        _family(_TOWN, "Far rides", _RIDE, programs.ride(10, 2), programs.ride(10, 3), rhythm="commute"),
        "Version 2 pays 3 instead of 2 points per kilometre in case Far, and is still live.",
        counterfactual=True,
    ),
    _story(
        "pays_less",
        "version",
        _family(_TOWN, "Evening rides", _RIDE, programs.ride(10), programs.ride(6), rhythm="evening"),
        "Version 2 pays 6 instead of 10 in case Fast.",
        counterfactual=True,
    ),
    _story(
        "mix",
        "version",
        _family(_TOWN, "Long walks", _WALK, programs.steps(100, 12), programs.steps(60, 12)),
        "Version 2 calls 6,000 steps a long walk instead of 10,000; the amounts are the same.",
    ),
    _story(
        "cancels",
        "quiet version",
        _family(_TOWN, "Fair walks", _WALK, programs.steps(100, 12), programs.steps(60, 7.85)),
        "Version 2 calls 6,000 steps a long walk instead of 10,000 and pays 7.85 for it instead of 12: nearly the same in all.",
    ),
    _quiet(
        "renamed",
        _family(_HILL, "Corner shop", programs.shop_fields, programs.shop(renamed=False), programs.shop(renamed=True)),
        "Version 2 renames and reorders rules and shifts the generated ids; no run is paid otherwise.",
    ),
    _quiet(
        "weekend",
        _family(_HILL, "Weekend walks", programs.weekend_fields, programs.steps(100, 12), weekend=1.6),
        "At weekends most walks are long ones, at both weekends alike.",
        since=utc("2026-05-16 00:00"),
    ),
    _story(
        "metres",
        "data",
        _family(_BAY, "Commute", _RIDE, programs.COMMUTE, rhythm="commute"),
        "Clients send data.distance in metres instead of kilometres.",
        moment=utc("2026-05-14 07:00"),
        tolerance=timedelta(hours=12),
        client=_metres,
    ),
    _story(
        "text_minutes",
        "failures",
        _family(_BAY, "Reading hour", programs.reading_fields, programs.READING, games=("app", "web", "tablet")),
        "The client of the game tablet sends a text as data.minutes: every such run fails.",
        moment=utc("2026-05-13 14:00"),
        tolerance=timedelta(hours=3),
        code="DSL_ARITH_TYPE_MISMATCH",
        client=_text,
        game="tablet",
    ),
    _story(
        "slow_version",
        "duration",
        _family(_BAY, "Slow walks", _WALK, programs.steps(80, 9), programs.steps(80, 9, programs.ASK_ALL)),
        "Version 2 reads all.avg_time, whose query takes about 60 ms; no run is paid otherwise.",
        slow_ms=60.0,
    ),
    _story(
        "slow_field",
        "duration",
        _family(_BAY, "Slow rides", _RIDE, programs.ride(10)),
        "The query of an analytics field takes about 60 ms longer; no version changed.",
        moment=utc("2026-05-14 07:00"),
        tolerance=timedelta(hours=12),
        slow_ms=60.0,
    ),
    _story(
        "parent_points",
        "version",
        _family(
            _FALLS,
            "Invite",
            programs.invite_fields,
            programs.invite(),
            programs.invite(1.5),
            parent=programs.built_in,
        ),
        "Version 2 multiplies the built-in's points by 1.5 instead of adding one.",
    ),
    _story(
        "veto",
        "version",
        _family(
            _FALLS,
            "Invite once",
            programs.invite_fields,
            programs.invite(),
            programs.invite(most=9),
            parent=programs.built_in,
        ),
        "Version 2 refuses more than nine friends: a third of the runs is paid nothing.",
    ),
    _quiet(
        "heavy_tail",
        _family(_HILL, "Coins", programs.heavy_fields, programs.HEAVY, rhythm="evening"),
        "Points have a heavy tail, and nothing happens.",
    ),
    _story(
        "new_field",
        "version",
        _family(_FALLS, "Mountain rides", _RIDE, programs.ride(8), programs.ride(8, climb=programs.CLIMB)),
        "Version 2 pays for data.elevation, which version 1 never read.",
    ),
    _story(
        "long_traces",
        "version",
        _family(_FALLS, "Tram stops", programs.stop_fields, programs.stops(8), programs.stops(12), rhythm="commute"),
        "Version 2 pays 12 instead of 8 in case Quick change; the traces are cut before the rule that pays.",
        runs=6_000,
    ),
    _story(
        "ten_rows",
        "quiet single",
        _family(_HILL, "New walks", _WALK, programs.steps(80, 9)),
        "Ten rows were logged.",
        runs=200,
        begins=ASKED,
        logged=10,
    ),
    _story(
        "only_failures",
        "failures",
        _family(_BAY, "Page race", programs.zero_fields, programs.READING),
        "Every run divides by zero.",
        moment=utc("2026-05-13 08:00"),
        code="DSL_ARITH_DIV_BY_ZERO",
        runs=60,
        begins=utc("2026-05-13 08:00"),
    ),
    _story(
        "shared_id",
        "version",
        _family(
            _FALLS,
            "Imported rides",
            _RIDE,
            programs.ride(10),
            programs.ride(15),
            defined=False,
            shared_id=True,
        ),
        "All versions share one id and no definition is left; version 2 pays 15 instead of 10 in case Fast.",
    ),
    _story(
        "rollout",
        "version",
        _family(_FALLS, "Rolling rides", _RIDE, programs.ride(10), programs.ride(15)),
        "For three hours one process of two runs version 2, which pays 15 instead of 10 in case Fast; then both do.",
        rollout=timedelta(hours=3),
    ),
)


def story(key: str) -> Story:
    """The story of that name."""
    return next(found for found in STORIES if found.key == key)
