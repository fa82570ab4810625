"""What a version does to a strategy, planted with its cause: what may be said of each, and what may not.

``CAUSES`` are these and those of ``circumstances``, where no version is to blame, or not it alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from analytics.demo.catalog import BuiltIn, Family, MakeFields, Version, utc
from analytics.demo.dsl import Node
from tests.planted import trips, wrapped
from tests.planted.circumstances import CIRCUMSTANCES
from tests.planted.story import CHANGE, LONG_AGO, Story

_PROGRAM: Final = frozenset({"program"})


def family(
    realm: str,
    name: str,
    fields: MakeFields,
    *programs: Node,
    at: tuple[str, ...] = (CHANGE,),
    back_at: str | None = None,
    around: tuple[BuiltIn, ...] = (),
    **rest: Any,
) -> Family:
    """A family whose versions follow each other at these moments; the first is back at ``back_at``.

    ``around`` has the built-in of each version, the last of them those of all later ones.
    """
    versions = tuple(
        Version(
            number,
            ast,
            LONG_AGO if number == 1 else at[number - 2],
            back_at=back_at if number == 1 else None,
            built_in=around[min(number, len(around)) - 1] if around else None,
        )
        for number, ast in enumerate(programs, 1)
    )
    return Family(realm, name, 1.0, versions, fields, games=("main", "second", "third"), **rest)


def _guilty(key: str, what: Family, words: str, **rest: Any) -> Story:
    """Version 2 pays otherwise, and nothing else happens."""
    known = {"moment": utc(CHANGE), "version": 2, "causes": _PROGRAM, "guilty": frozenset({2})}
    return Story(key, what, words, rest.pop("kinds", frozenset({"version"})), **{**known, **rest})


_WHOLE, _ACQUIT, _HEAD, _ROUTES, _MANY = "whole-program", "acquittal", "headline", "routing", "many"
_SESSION, _TRIP = wrapped.session_fields, trips.trip_fields
_BASIC, _EFFORT = wrapped.BASIC, wrapped.EFFORT
_QUIET: Final = frozenset({"quiet"})

GUILTY: Final[tuple[Story, ...]] = (
    # ---- the whole program ----
    _guilty(
        "other_parent",
        family(_WHOLE, "Other parent", _SESSION, wrapped.around(), wrapped.around(), around=(_BASIC, _EFFORT)),
        "Version 2 has the same rules and wraps another built-in: other cases in most runs.",
    ),
    _guilty(
        "parent_bonus",
        family(_WHOLE, "Bonus", _SESSION, wrapped.around(10), wrapped.around(12), around=(_BASIC,)),
        "Version 2 sets the built-in's bonus to 12 instead of 10 and changes no rule.",
        counterfactual=True,
    ),
    _guilty(
        "handed_data",
        family(_WHOLE, "Handed", _SESSION, wrapped.handed(5), wrapped.handed(3), around=(_BASIC,)),
        "Version 2 sets k to 3 instead of 5 before the built-in runs; its rules after it ask for k: 1 point instead of 10.",
        counterfactual=True,
    ),
    _guilty(
        "handed_to_parent",
        family(_WHOLE, "Shortened", _SESSION, wrapped.shortened(60), wrapped.shortened(30), around=(_BASIC,)),
        "Version 2 hands the built-in at most 30 minutes instead of 60: it pays its bonus to everybody.",
    ),
    _guilty(
        "own_case_name",
        family(
            _WHOLE, "Case name", _SESSION, wrapped.asks_case("BonusEngagement"), wrapped.names_case("BonusEngagement"),
            around=(_BASIC,),
        ),
        "Version 1 doubles what the built-in calls a bonus; version 2 doubles nothing and calls every run by that name.",
    ),
    # ---- acquittal ----
    _guilty(
        "night_published_by_day",
        family(_ACQUIT, "Night by day", _TRIP, trips.night(12), trips.night(24), at=("2026-05-16 09:00",)),
        "Version 2 pays the case Night twice as much; it is live for two days and the night between them.",
        moment=utc("2026-05-16 09:00"), tolerance=timedelta(hours=16), counterfactual=True, runs=16_000,
    ),
    _guilty(
        "night_published_by_night",
        family(_ACQUIT, "Night by night", _TRIP, trips.night(12), trips.night(24), at=("2026-05-16 23:00",)),
        "Version 2 pays the case Night twice as much; it is published by night and live for the day after it.",
        moment=utc("2026-05-16 23:00"), counterfactual=True, runs=16_000,
    ),
    _guilty(
        "unread_field",
        family(_ACQUIT, "Climbs", _TRIP, trips.trips(8), trips.trips(8, extra=trips.climb(40))),
        "Version 2 pays one run in twenty for a field that version 1 never reads, before anything else is read.",
    ),
    _guilty(
        "high_fails",
        family(_ACQUIT, "Tours", _TRIP, trips.high_fails(fails=False), trips.high_fails(fails=True)),
        "Version 2 fails on every trip of fifteen kilometres or more and pays the others as before.",
        kinds=frozenset({"failures", "version"}), causes=frozenset({"program", "failures"}),
        code="DSL_ARITH_TYPE_MISMATCH", told=frozenset({"failures"}),
    ),
    _guilty(
        "fails_by_night",
        family(_ACQUIT, "Nights", _TRIP, trips.trips(), trips.trips(extra=trips.BY_NIGHT)),
        "Version 2, published in the morning, divides by the hours past five: it fails at night only.",
        kinds=frozenset({"failures", "version"}), causes=frozenset({"program", "failures"}),
        code="DSL_ARITH_DIV_BY_ZERO", told=frozenset({"failures"}), tolerance=timedelta(hours=24),
        unsaid=("a client may send something else since", "outside the rules"),
    ),
    _guilty(
        "weekend_guard",
        family(
            _ACQUIT, "Weekends", _TRIP, trips.weekend(guarded=True), trips.weekend(guarded=False),
            at=("2026-05-09 10:00",),
        ),
        "Version 2, published on a Saturday, forgets to ask for the weekend: from Monday on it pays half as much again.",
        since=utc("2026-05-09 00:00"), until=utc("2026-05-13 00:00"), moment=utc("2026-05-09 10:00"),
        counterfactual=True,
    ),
    # ---- the headline ----
    _guilty(
        "half_more_of_more",
        family(_HEAD, "More of more", trips.share_fields(0.6, 0.7, CHANGE), trips.shares(10, 0.4), trips.shares(15, 0.4)),
        "Version 2 pays 15 instead of 10 for fast trips, 49 % more for the same runs; more trips are fast too: 72 % in all.",
        causes=frozenset({"program", "inputs"}), counterfactual=True,
    ),
    _guilty(
        "less_of_more",
        family(_HEAD, "Less of more", trips.share_fields(0.3, 0.8, CHANGE), trips.shares(10, 1), trips.shares(8, 1)),
        "Version 2 pays 8 instead of 10 for fast trips, a fifth less for the same runs; far more trips are fast.",
        causes=frozenset({"program", "inputs"}), counterfactual=True,
    ),
    # ---- routing ----
    _guilty(
        "lost_branch",
        family(_ROUTES, "Lost branch", _TRIP, trips.routes(), trips.routes(long_way=False)),
        "Version 2 has lost the else-if that paid long ways 9 points; they are paid 2, as short ones.",
        counterfactual=True,
    ),
    _guilty(
        "reordered",
        family(_ROUTES, "Reordered", _TRIP, trips.ordered(), trips.ordered(fast_first=False)),
        "Version 2 asks for long trips first: fast and long ones are paid 4 instead of 10.",
        counterfactual=True,
    ),
    _guilty(
        "lost_guard",
        family(_ROUTES, "Lost guard", _TRIP, trips.members(guarded=True), trips.members(guarded=False)),
        "Version 2 no longer asks whether the user is a member: all fast trips are paid 10.",
    ),
    # ---- several ----
    _guilty(
        "same_height",
        family(
            _MANY, "Same height", _TRIP, trips.trips(10), trips.trips(15), trips.trips(15, ids="-new"),
            at=(CHANGE, "2026-05-15 09:30"),
        ),
        "Version 2 pays 15 instead of 10 for fast trips; two days later version 3 goes on at the same height.",
        guilty=frozenset({2, 3}), counterfactual=True,
    ),
    _guilty(
        "taking_turns",
        Family(
            _MANY, "Taking turns", 1.0,
            (
                Version(1, trips.trips(10), LONG_AGO, back_at="2026-05-14 12:00"),
                Version(2, trips.trips(15), "2026-05-13 12:00", back_at="2026-05-15 12:00"),
            ),
            _TRIP, games=("main", "second"),
        ),
        "Version 2 pays 15 instead of 10 for fast trips, for a day and then, a day later, for good.",
        moment=utc("2026-05-13 12:00"), counterfactual=True,
    ),
    _guilty(
        "staircase",
        family(
            _MANY, "Staircase", _TRIP, *(trips.trips(pays) for pays in (10, 11, 12, 13, 14)),
            at=tuple(f"2026-05-{day} 09:30" for day in (13, 14, 15, 16)),
        ),
        "Versions 2 to 5 pay a point more each for fast trips, day after day.",
        guilty=frozenset({2, 3, 4, 5}), counterfactual=True,
    ),
    _guilty(
        "small_cut",
        family(_MANY, "Small cut", _TRIP, trips.cut(1), trips.cut(0.88), rhythm="commute"),
        "Version 2 pays an eighth less, in some 1,700 runs of 44 points each.",
        runs=5_400, counterfactual=True,
    ),
    _guilty(
        "too_deep",
        family(_MANY, "Too deep", _TRIP, trips.deep(3), trips.deep(40)),
        "Version 2 is nested deeper than the engine's cap, so that it fails wherever that rule is asked; no limit was lowered.",
        kinds=frozenset({"failures", "version"}), causes=frozenset({"program", "failures"}),
        code="DSL_LIMIT_EXCEEDED", told=frozenset({"failures"}), unsaid=("may have been lowered", "limit was changed"),
    ),
)  # fmt: skip

INNOCENT: Final[tuple[Story, ...]] = (
    Story(
        "case_name_only",
        family(
            _WHOLE, "Name only", _SESSION, wrapped.asks_case("Friends"), wrapped.names_case("Friends"), around=(_BASIC,)
        ),
        "Version 1 asks for a case that the built-in never answers; version 2 calls every run by it and pays the same.",
        _QUIET,
    ),
    Story(
        "night_by_day_only",
        family(
            _ACQUIT, "Day only", _TRIP, trips.night(12), trips.night(24),
            at=("2026-05-13 07:00",), back_at="2026-05-13 20:00",
        ),
        "Version 2 pays the case Night twice as much, and is live by day only: it paid nobody otherwise.",
        _QUIET,
    ),
    Story(
        "renamed_around",
        family(
            _WHOLE, "Renamed around", _SESSION, wrapped.around(10), wrapped.around(10, node_id="with friends"),
            around=(_BASIC,),
        ),
        "Version 2 renames a rule around the same built-in.",
        _QUIET,
    ),
    Story(
        "unreachable_rule",
        family(
            _ACQUIT, "Unreachable", _TRIP,
            trips.trips(last=trips.unreachable(5)), trips.trips(last=trips.unreachable(500)),
        ),
        "Version 2 changes a rule that no run reaches.",
        _QUIET,
    ),
    Story(
        "alternating",
        Family(
            _ACQUIT, "Alternating", 1.0,
            (
                Version(1, trips.trips(), LONG_AGO, back_at="2026-05-14 12:00"),
                Version(2, trips.trips(ids="-new"), "2026-05-13 12:00", back_at="2026-05-15 12:00"),
            ),
            _TRIP, games=("main", "second"),
        ),
        "Two versions of one program take turns.",
        _QUIET,
    ),
    Story("no_change", family(_ACQUIT, "No change", _TRIP, trips.trips()), "Nothing happens.", _QUIET),
    Story(
        "no_change_around",
        family(_WHOLE, "No change around", _SESSION, wrapped.around(), around=(_BASIC,)),
        "Nothing happens, around a built-in.",
        _QUIET,
    ),
)  # fmt: skip

CAUSES: Final = (*GUILTY, *INNOCENT, *CIRCUMSTANCES)
_ALWAYS: Final = frozenset(
    (
        *(
            "other_parent",
            "parent_bonus",
            "handed_data",
            "renamed_around",
            "unread_field",
            "half_more_of_more",
            "no_change",
        ),
        *("staircase", "stall_and_version", "built_in_redeployed", "shrunk", "steady_0_1", "steady_3"),
    )
)
LATER: Final = frozenset(found.key for found in CAUSES) - _ALWAYS
"""Stories that ``make prove`` has and ``make test`` has not."""


def cause(key: str) -> Story:
    """The story of that name."""
    return next(found for found in CAUSES if found.key == key)
