"""What happens to a strategy around its versions: other inputs, another built-in, failures, and a steady nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from analytics.demo.catalog import BuiltIn, Family, MakeFields, Version, utc
from analytics.demo.dsl import Node
from tests.planted import programs, trips, wrapped
from tests.planted.story import ASKED, CHANGE, LONG_AGO, Stall, Story

_INPUTS: Final = frozenset({"inputs"})
_DATA: Final = frozenset({"data"})
_MORNING: Final = "2026-05-14 07:00"
#: Nobody bounds what became smaller, or what a built-in answers.
_NO_BOUND: Final = ("clamp", "bound the field")


def _family(name: str, fields: MakeFields, *versions: Node | Version, around: BuiltIn | None = None) -> Family:
    """One program, or a version after it since `CHANGE`."""
    made = tuple(
        given
        if isinstance(given, Version)
        else Version(number, given, LONG_AGO if number == 1 else CHANGE, built_in=around)
        for number, given in enumerate(versions, 1)
    )
    return Family("circumstances", name, 1.0, made, fields, games=("main", "second", "third"))


def _inputs(key: str, family: Family, words: str, **rest: Any) -> Story:
    """Clients send something else, and no version is to blame."""
    usual = {"moment": utc(_MORNING), "causes": _INPUTS, "path": "data.distance", "tolerance": timedelta(hours=12)}
    return Story(key, family, words, _DATA, **{**usual, **rest})


def _steady(percent: float, *, history: bool) -> Story:
    """A share of the runs fails, always."""
    word = f"{percent:g}".replace(".", "_")
    return Story(
        f"steady_{word}{'' if history else '_new'}",
        _family(f"Steady {percent:g}{'' if history else ' new'}", trips.page_fields(percent / 100), trips.PAGES),
        f"{percent:g} % of the runs fail, always{'' if history else '; its first run is in the window'}.",
        frozenset({"quiet", "single"}),
        begins=utc("2026-05-04 00:00") if history else ASKED,
        runs=12_000 if history else 5_000,
        steady="DSL_ARITH_DIV_BY_ZERO",
    )


_BURST: Final = {
    "moment": utc("2026-05-14 10:00"),
    "tolerance": timedelta(hours=2),
    "code": "DSL_ARITH_DIV_BY_ZERO",
    "causes": frozenset({"failures", "inputs"}),
    "told": frozenset({"failures"}),
    "ended": True,
}
_FAILURES: Final = frozenset({"failures"})
_TRIP = trips.trip_fields
_SHRINKING: Final = trips.scaled("data.distance", 0.4, CHANGE)

CIRCUMSTANCES: Final[tuple[Story, ...]] = (
    # ---- the built-in ----
    Story(
        "built_in_redeployed",
        _family("Redeployed", wrapped.session_fields, wrapped.around(), around=wrapped.redeployed(CHANGE)),
        "The built-in is deployed anew and pays half as much again; the program around it stays as it is.",
        _DATA,
        moment=utc(CHANGE),
        causes=frozenset({"built-in"}),
        path="parent.points",
        unsaid=_NO_BOUND,
    ),
    Story(
        "built_in_and_renamed",
        _family(
            "Redeployed later",
            wrapped.session_fields,
            wrapped.around(),
            wrapped.around(node_id="with friends"),
            around=wrapped.redeployed(_MORNING),
        ),
        "Version 2 renames a rule; a day later the built-in is deployed anew and pays half as much again.",
        _DATA,
        moment=utc(_MORNING),
        tolerance=timedelta(hours=24),
        causes=frozenset({"built-in"}),
        path="parent.points",
        unsaid=_NO_BOUND,
    ),
    Story(
        "built_in_alone",
        _family("Redeployed alone", wrapped.session_fields, {"post_rules": []}, around=wrapped.redeployed(CHANGE)),
        "The built-in is deployed anew and pays half as much again; the program around it has no rule, and no run a trace.",
        _DATA,
        moment=utc(CHANGE),
        causes=frozenset({"built-in"}),
        unsaid=(*_NO_BOUND, "look at who plays and at the data clients send"),
    ),
    # ---- inputs ----
    _inputs(
        "routed_by_inputs",
        _family("Shorter ways", trips.scaled("data.distance", 0.55, _MORNING), trips.routes()),
        "Trips become shorter, so that fewer are long ones; the program stays as it is.",
        unsaid=_NO_BOUND,
    ),
    _inputs(
        "routed_by_inputs_and_renamed",
        _family("Shorter ways, renamed", _SHRINKING, trips.routes(), trips.routes(ids="-new")),
        "Trips become shorter at the very moment of a version that changes nothing.",
        moment=utc(CHANGE),
        unsaid=_NO_BOUND,
    ),
    _inputs(
        "tenfold",
        _family(
            "Tenfold",
            trips.scaled("data.distance", 10, _MORNING),
            trips.trips(),
            Version(2, trips.trips(extra=trips.REMARK), "2026-05-04 09:00"),
        ),
        "Clients send ten times the distance; the first hours of the history are another version's, which pays the same.",
    ),
    _inputs(
        "shrunk",
        _family("Shrunk", trips.scaled("data.distance", 0.3, _MORNING), trips.trips()),
        "Clients send a third of the distance.",
        unsaid=_NO_BOUND,
    ),
    _inputs(
        "fading",
        _family("Fading", trips.fading("data.distance", 0.07), trips.trips(4)),
        "Trips become seven percent shorter every day of the fortnight.",
        moment=None,
        unsaid=_NO_BOUND,
    ),
    _inputs(
        "tenfold_for_a_day",
        _family("A day", trips.scaled("data.distance", 10, _MORNING, "2026-05-15 07:00"), trips.trips()),
        "For a day clients send ten times the distance.",
        ended=True,
    ),
    # ---- failures ----
    *(_steady(percent, history=history) for percent in (0.1, 1, 3, 10) for history in (True, False)),
    Story(
        "burst",
        _family("Burst", trips.page_fields(0.004, 0.4), trips.PAGES),
        "For three hours two runs of five divide by zero.",
        _FAILURES,
        **_BURST,
    ),
    Story(
        "burst_new",
        _family("Burst new", trips.page_fields(0.004, 0.4), trips.PAGES),
        "For three hours two runs of five divide by zero, in a strategy whose first run is in the window.",
        _FAILURES,
        begins=ASKED,
        runs=5_000,
        **_BURST,
    ),
    Story(
        "stall_bursts",
        _family("Long program", programs.stop_fields, programs.stops(8)),
        "The event loop stands still for two minutes, eighteen times, every six minutes; the program is a long one.",
        _FAILURES,
        moment=utc("2026-05-14 14:00"),
        tolerance=timedelta(hours=2),
        code="DSL_TIMEOUT",
        causes=_FAILURES,
        told=_FAILURES,
        stalls=tuple(
            Stall(
                utc("2026-05-14 14:00") + timedelta(minutes=6 * turn),
                utc("2026-05-14 14:02") + timedelta(minutes=6 * turn),
            )
            for turn in range(18)
        ),
        ended=True,
    ),
    Story(
        "stall_and_version",
        _family("Two things", _TRIP, trips.trips(10, 2), trips.trips(14, 3)),
        "Version 2 changes two amounts; a day later nine runs of ten time out for an hour.",
        frozenset({"version", "failures"}),
        moment=None,
        version=2,
        causes=frozenset({"program", "failures"}),
        guilty=frozenset({2}),
        told=frozenset({"version", "failures"}),
        stalls=(Stall(utc("2026-05-14 15:00"), utc("2026-05-14 16:00"), 0.9),),
        counterfactual=True,
    ),
)
