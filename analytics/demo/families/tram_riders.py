"""tram-riders: a ladder that is fine until somebody lowers the cap, and a built-in wrapped with a veto."""

from __future__ import annotations

from analytics.demo.catalog import Column, Events, Family, Fields, Version
from analytics.demo.dsl import Node, any_of, arith, assign, compare, effect, field, ladder, lit, note, rule, veto
from analytics.program import ParentResult

REALM = "tram-riders"


def _checkout_ladder(rungs: int, *, member: bool) -> dict[str, object]:
    first: list[Node] = []
    if member:
        first = [rule(ladder("data.stops", 1, rungs), note("member", field("data.line")), node_id="member-ladder")]
    return {
        "rules": [
            *first,
            rule(
                ladder("data.stops", 1, rungs),
                assign(arith("data.stops", "*", 0.05), "Checked out"),
                node_id="stop-ladder",
            ),
        ]
    }


def _checkout_fields(events: Events) -> dict[str, Column]:
    return {"data.stops": events.steps(100, 0.163, 160), "data.line": events.rng.choice(["4", "11", "N2"], len(events))}


def _badge_hunt(rungs: int) -> dict[str, object]:
    return {
        "rules": [
            rule(ladder("data.badges", 1, rungs), note("badges", field("data.badges")), node_id="count"),
            rule(
                any_of(compare("data.km", ">", 20), compare("data.badges", ">", 60)),
                assign(8, "Explorer"),
                node_id="explorer",
            ),
            rule(compare("data.km", ">", 0), assign(3, "Any ride"), node_id="any-ride"),
            rule(compare("data.hour", ">=", 23), assign(9, "Night owl"), node_id="night-owl"),  # shadowed by any-ride
        ]
    }


def _badge_fields(events: Events) -> dict[str, Column]:
    return {
        "data.badges": events.steps(40, 0.38, 115),
        "data.km": events.around(7.5, 0.9, 2),
        "data.hour": events.whole(5, 23),
    }


_REFERRAL = {
    "pre_rules": [
        rule(compare("data.self_invite", "==", True), veto("SelfInvite")),
        rule(compare("data.friends", ">", 10), effect("set_data", 10, key="friends")),
    ],
    "post_rules": [
        rule(compare("parent.points", "<", 0), {"type": "return"}),
        rule(
            compare("data.friends", ">=", 3),
            effect("set_points", arith("parent.points", "*", field("data.factor"))),
            effect("set_case_name", arith("parent.case_name", "+", lit("+Boost"))),
        ),
        rule(compare("data.label", "!=", None), effect("set_case_name", field("data.label"))),
        rule(compare("data.override", "!=", None), effect("set_points", field("data.override"))),
    ],
}


def _referral_fields(events: Events) -> dict[str, Column]:
    count = len(events)
    return {
        "data.self_invite": (events.rng.random(count) < 0.06).tolist(),
        "data.friends": events.whole(0, 14),
        "data.factor": events.rng.choice([1.5, 2.0, 2.1], count),
        "data.label": events.rarely(0.05, "Partner week", [None] * count),
        "data.override": [None] * count,
    }


def _built_in(data: Fields) -> ParentResult:
    """The wrapped strategy; a refusal is points −1 and a sentence where the case name goes."""
    if data["friends"] == 7:
        return ParentResult(-1, "The referral code was already used by this account.")
    return ParentResult(5 + int(data["friends"]), "Referral")


_TRAM_PASS = {"rules": [rule(compare("data.zone", "<=", 2), assign(2, "Inner city"), otherwise=[assign(3, "Far out")])]}


def _pass_fields(events: Events) -> dict[str, Column]:
    return {"data.zone": events.whole(1, 4)}


FAMILIES = (
    Family(
        REALM,
        "Checkout ladder",
        4.6,
        (
            Version(6, _checkout_ladder(160, member=False), "2026-05-18 07:00"),
            Version(7, _checkout_ladder(160, member=True), "2026-06-29 07:00"),
        ),
        _checkout_fields,
        rhythm="commute",
        games=("city-lines",),
        tasks=("checkout",),
    ),
    Family(
        REALM,
        "Badge hunt",
        7.0,
        (
            Version(8, _badge_hunt(120), "2026-03-09 07:00"),
            Version(9, _badge_hunt(125), "2026-06-28 12:00"),
        ),
        _badge_fields,
        rhythm="commute",
        weekend=0.8,
        games=("city-lines", "night-lines"),
        tasks=("badge",),
    ),
    Family(
        REALM,
        "Referral boost",
        2.5,
        (Version(1, _REFERRAL, "2026-06-15 09:00"),),
        _referral_fields,
        parent=_built_in,
        rhythm="evening",
        games=("friends",),
        tasks=("invite",),
    ),
    Family(
        REALM,
        "Old tram pass",
        1.0,
        (Version(2, _TRAM_PASS, "2025-11-03 09:00"),),
        _pass_fields,
        rhythm="commute",
        games=("city-lines",),
        tasks=("pass",),
        defined=False,
    ),
)
