"""Runs that a limit stops, those who are heading there, and what only looks like it."""

from __future__ import annotations

from typing import Any, Final

from tests.runaway import programs
from tests.runaway.fleet import (
    FAR,
    SINCE,
    UNTIL,
    Expected,
    Incident,
    Player,
    Run,
    Story,
    at,
    family,
    kinds,
    moment,
    quiet,
)

LEVEL_983: Final = programs.level_of(983)
_DAY: Final = (SINCE, UNTIL)
STALL_WORDS: Final = ("Likely a stalled event loop", "No rule is named")


def _limited(run: Run) -> bool:
    return run.status == "limit"


def _most_that_passed(family_name: str, until: Any) -> Any:
    """The most entries of a logged run that passed before something began."""

    def told(runs: list[Run]) -> dict[str, Any]:
        return {
            "passed": max(
                run.nodes
                for run in runs
                if run.family == family_name and run.status == "ok" and run.logged and run.created_at < until
            )
        }

    return told


_TIERS = family(
    "gym",
    "Tier ladder",
    programs.levels(LEVEL_983, spread=0),
    programs.tall(above=LEVEL_983 - programs.level_of(143)),
    (programs.tall(above=LEVEL_983 - programs.level_of(423), odd=True), at(9, "06:00")),
    (programs.tall(), at(4, "06:00")),
)
_RISING = family("gym", "Step ladder", programs.levels(180, 8, spread=4), programs.tall())
_LEVELS_OFF = family("gym", "Season ladder", programs.levels(80, 22, spread=4, flat_after=8), programs.tall())
_CHECKOUT = family("tram", "Checkout ladder", programs.levels(230, spread=12), programs.tall())
_KIOSK = family("tram", "Kiosk ladder", programs.levels(120, spread=8), programs.tall())
_STAND = family("tram", "Kiosk ladder", programs.levels(120, spread=8), programs.tall(rungs=150))
_PROBED = family(
    "bay", "Daily quest", programs.quest_fields, programs.quest("user.avg_time", "user.measurements_count")
)
_HEAVY = family("hill", "Group scores", programs.levels(150, spread=10), programs.tall())
_LEAP = programs.levels(350, spread=6)
_BURSTS = (moment(0, "13:05"), moment(0, "14:40"))
_STALL = (moment(0, "13:11"), moment(0, "13:12:30"))
_PROBE = (moment(0, "02:11"), moment(0, "02:15"))

STORIES: Final[tuple[Story, ...]] = (
    Story(
        "grows_by_version",
        "A rule set grows from 143 over 423 to 983 entries a run in three versions; nobody is stopped yet.",
        (*quiet(), Player(_TIERS, 200)),
        expected=(
            Expected(
                kinds("close versions"),
                kinds("finding new worse"),
                ("gym", "Tier ladder", 3),
                words=("983", "143", "423"),
            ),
        ),
        days=14,
        leads=("gym", "Tier ladder", 3),
        groups={("gym", "Tier ladder", 3): frozenset({"close to the cap", "heading for the cap"})},
        page={"growing": ("Tier ladder",)},
    ),
    Story(
        "grows_by_day",
        "A ladder's users climb eight rungs a day: some 24 entries more every day, and the cap in about a week.",
        (*quiet(), Player(_RISING, 200)),
        expected=(Expected(kinds("growing"), kinds("worse new"), ("gym", "Step ladder", 1), reaches_cap=True),),
        days=14,
        leads=("gym", "Step ladder", 1),
        groups={("gym", "Step ladder", 1): frozenset({"heading for the cap"})},
        page={"growing": ("Step ladder",)},
    ),
    Story(
        "levels_off",
        "A ladder grew for eight days and then stayed where it is, well below the cap, for six.",
        (*quiet(), Player(_LEVELS_OFF, 200)),
        days=14,
        groups={("gym", "Season ladder", 1): FAR},
    ),
    Story(
        "lowered_cap",
        "For an hour and a half the cap of one deployment is 600 instead of 1,000.",
        (*quiet(), Player(_CHECKOUT, 240), Player(_KIOSK, 240)),
        (Incident(*_BURSTS, "tram", cap=600, extra=24),),
        (
            Expected(
                kinds("limit"),
                kinds("new"),
                ("tram", "Checkout ladder", 1),
                lambda run: _limited(run) and run.family == "Checkout ladder",
                ("a limit may have been lowered", "passed with up to {passed} of 1,000 nodes"),
                _most_that_passed("Checkout ladder", _BURSTS[0]),
                lasted=_BURSTS,
            ),
        ),
        leads=("tram", "Checkout ladder", 1),
        groups={("tram", "Kiosk ladder", 1): FAR},
    ),
    Story(
        "stall",
        "The event loop of all stands still for ninety seconds; no rule is to blame.",
        (*quiet(), Player(_HEAVY, 200)),
        (Incident(*_STALL, stall=1.0, extra=3),),
        (Expected(kinds("stall"), kinds("finding new"), None, lambda run: run.stalled, STALL_WORDS, lasted=_STALL),),
        page={"when": ("stalled event loop",)},
    ),
    Story(
        "stall_under_lowered_cap",
        "A restart: the cap of one realm is lowered for an hour, and the event loop stands still in the middle of it.",
        (*quiet(), Player(_CHECKOUT, 240)),
        (
            Incident(moment(0, "12:40"), moment(0, "13:40"), "tram", cap=600, extra=20),
            Incident(*_STALL, stall=1.0, extra=3),
        ),
        (
            Expected(
                kinds("limit"),
                kinds("new"),
                ("tram", "Checkout ladder", 1),
                _limited,
                ("a limit may have been lowered",),
            ),
            Expected(kinds("stall"), kinds("finding new"), None, lambda run: run.stalled, STALL_WORDS),
        ),
        leads=("tram", "Checkout ladder", 1),
    ),
    Story(
        "slow_field",
        "The query of all.avg_time takes 60 ms in one realm and is as fast as ever in another that reads it too.",
        (
            *quiet(500),
            *(
                Player(
                    family(
                        realm,
                        "Daily quest",
                        programs.quest_fields,
                        programs.quest("user.avg_time"),
                        (programs.quest("user.avg_time", "all.avg_time"), at(3, "07:40")),
                    ),
                    500,
                )
                for realm in ("harbor", "lake")
            ),
        ),
        (Incident(moment(3), UNTIL, "harbor", query_ms={"all.avg_time": 60.0}),),
        (Expected(kinds("slow"), kinds("new finding worse"), ("harbor", "Daily quest", 2), words=("all.avg_time",)),),
        page={"fields": ("all.avg_time",)},
    ),
    Story(
        "probing",
        "One user asks twelve times for a field that was not precomputed.",
        (*quiet(), Player(_PROBED)),
        (Incident(*_PROBE, "bay", "Daily quest", missing="user.avg_time", extra=12, one_user=True),),
        (
            Expected(
                kinds("canary"),
                kinds("new"),
                ("bay", "Daily quest", 1),
                lambda run: run.error_code == "DSL_FIELD_NOT_PRECOMPUTED",
                ("one user", "a field that was not precomputed", "May be probing"),
                lasted=_PROBE,
            ),
        ),
    ),
    Story(
        "unknown_statement",
        "Version 2 was deployed past the editor, with a statement that no engine knows; all users meet it.",
        (
            *quiet(),
            Player(
                family(
                    "bay",
                    "Daily quest",
                    programs.quest_fields,
                    programs.quest("user.avg_time"),
                    ({"rules": [programs.SHELL, *programs.quest("user.avg_time")["rules"]]}, at(0, "09:30")),
                )
            ),
        ),
        expected=(
            Expected(
                kinds("canary"),
                kinds("new"),
                ("bay", "Daily quest", 2),
                lambda run: run.error_code == "DSL_UNKNOWN_STATEMENT",
                ("{users} users", "a statement the engine does not know", "hardly are a probe"),
                lambda runs: {"users": len({run.user for run in runs if run.error_code == "DSL_UNKNOWN_STATEMENT"})},
            ),
        ),
    ),
    Story(
        "own_timeouts",
        "One strategy's rules take too long in one run of twenty; nobody else's do.",
        (*quiet(), Player(_HEAVY, 500, timeouts=0.05)),
        expected=(
            Expected(
                kinds("timeout"),
                kinds("finding new worse"),
                ("hill", "Group scores", 1),
                lambda run: run.status == "timeout" and run.family == "Group scores",
                ("its rules may be the cause",),
            ),
        ),
    ),
    Story(
        "own_timeouts_alone",
        "The lake holds one strategy only, and three of its runs in a hundred take too long.",
        (Player(_HEAVY, 900, timeouts=0.03),),
        expected=(
            Expected(
                kinds("timeout"),
                kinds("finding new worse"),
                ("hill", "Group scores", 1),
                lambda run: run.status == "timeout",
            ),
        ),
    ),
    Story(
        "quiet",
        "Nothing happens.",
        (*quiet(), Player(_STAND), Player(_PROBED)),
        days=8,
        page={"head": ("Nothing new",)},
    ),
    Story(
        "fixed",
        "Version 2 ran into the cap all of yesterday and was rolled back in the evening.",
        (
            *quiet(),
            Player(
                family(
                    "tram",
                    "Badge ladder",
                    programs.levels(300, spread=25),
                    (programs.tall(rungs=120), "2025-11-03 08:00", at(1, "21:00")),
                    (programs.tall(), at(1, "08:00")),
                ),
                400,
            ),
        ),
        expected=(
            Expected(
                kinds("limit"),
                kinds("fixed"),
                ("tram", "Badge ladder", 2),
                words=("{before} runs",),
                told=lambda runs: {"before": sum(map(_limited, runs))},
            ),
        ),
        page={"head": ("1 fixed",)},
        groups={("tram", "Badge ladder", 1): FAR},
    ),
    Story(
        "known_limit",
        "A ladder has run into the cap for days, and still does.",
        (*quiet(), Player(family("tram", "Badge ladder", programs.levels(310, spread=10), programs.tall()), 200)),
        expected=(
            Expected(
                kinds("limit"),
                kinds("finding"),
                ("tram", "Badge ladder", 1),
                _limited,
                ("Not the first time: {before} runs",),
                lambda runs: {"before": sum(_limited(run) and run.created_at < SINCE for run in runs)},
            ),
        ),
        leads=("tram", "Badge ladder", 1),
        absent={"findings": ("may have been lowered",)},
    ),
    Story(
        "always_limited",
        "Version 2, out since this morning, is stopped by the cap in every single run.",
        (
            *quiet(),
            Player(
                family(
                    "tram",
                    "Badge ladder",
                    _LEAP,
                    programs.tall(rungs=100),
                    (programs.tall(rungs=400), at(0, "07:00")),
                ),
                200,
            ),
        ),
        expected=(Expected(kinds("limit"), kinds("new"), ("tram", "Badge ladder", 2), _limited),),
        leads=("tram", "Badge ladder", 2),
        groups={("tram", "Badge ladder", 1): FAR},
        absent={"findings": ("may have been lowered",)},
    ),
)
