"""Programs that grow towards what the validator takes, and caps that are lowered between two versions."""

from __future__ import annotations

from typing import Final

from tests.runaway import programs
from tests.runaway.fleet import (
    SINCE,
    Expected,
    Incident,
    Player,
    Refused,
    Run,
    Story,
    at,
    family,
    kinds,
    moment,
    quiet,
)

_RUNGS: Final = 170
_BOTH_RUNGS: Final = 310


def _stopped(run: Run) -> bool:
    return run.status == "limit"


# 15 + 3 · 170 + 6 · 31 = 711 nodes, then 90 more, 90 and 90: 981. The next version is planned for noon in two days.
_SEASON = family(
    "gym",
    "Season rules",
    programs.climbers(160),
    (programs.crowded(_RUNGS, 31), at(20)),
    (programs.crowded(_RUNGS, 46), at(12, "09:00")),
    (programs.crowded(_RUNGS, 61), at(9, "09:00")),
    (programs.crowded(_RUNGS, 76), at(4, "09:00")),
    (programs.crowded(_RUNGS, 91), at(-3, "12:00")),
)
# 525, then 84, 78, 90 and 78 more: 855; 145 are left, which the version after the next would use up, in six days.
_PASSES = family(
    "bay",
    "Pass rules",
    programs.climbers(160),
    (programs.crowded(_RUNGS, 0), at(14)),
    *((programs.crowded(_RUNGS, rules), at(day, "09:00")) for rules, day in ((14, 11), (27, 8), (42, 5), (55, 2))),
)
# One that shrank, and one whose versions change a number only.
_SHRANK = family(
    "bay",
    "Spring rules",
    programs.climbers(160),
    (programs.crowded(_RUNGS, 78), at(9)),
    (programs.crowded(_RUNGS, 40), at(3)),
)
_STEADY = family(
    "bay",
    "Steady rules",
    programs.climbers(160),
    *((programs.crowded(_RUNGS, 55, from_level=level), at(day)) for level, day in ((4, 12), (5, 8), (4, 2))),
)
_BOTH = family("gym", "Tall rules", programs.levels(305, spread=1), programs.crowded(_BOTH_RUNGS, 6))
_CHECKOUT = family(
    "tram",
    "Checkout ladder",
    programs.levels(230, spread=12),
    programs.crowded(280, 0),
    (programs.crowded(280, 1), at(5, "06:00")),
)
_THEN = (moment(9, "13:05"), moment(9, "14:40"))
_NOW = (moment(0, "13:05"), moment(0, "14:40"))

PUBLISHING: Final[tuple[Story, ...]] = (
    Story(
        "programs_grow",
        "A program grows by fifteen rules a version up to 981 nodes, though its runs need half of that; another is on its way, one "
        "shrank, and one only changes a number now and then.",
        tuple(map(Player, (_SEASON, _PASSES, _SHRANK, _STEADY))) + quiet(),
        expected=(
            Expected(
                kinds("program"),
                kinds("finding"),
                ("gym", "Season rules", 4),
                words=(
                    "is close to the most that the validator takes: 981 of 1,000 nodes",
                    "A next version that adds more than 19 is refused",
                    "the smallest rule of this program has 6",
                    "It stops no run: the largest of its",
                    "711 → 801 → 891 → 981, v1 to v4",
                    "At steps like these the first version that is refused is the next one, 0 – ",
                ),
                refused=Refused(1, 2.5),
            ),
            Expected(
                kinds("program"),
                kinds("finding"),
                ("bay", "Pass rules", 5),
                words=(
                    "grows towards what the validator takes: 855 of 1,000 nodes",
                    "525 → 609 → 687 → 777 → 855, v1 to v5",
                    "the 2nd from now",
                ),
                refused=Refused(2, 5.0),
            ),
        ),
        days=14,
        rate=0.05,
        leads=("gym", "Season rules", 4),
        groups={
            ("gym", "Season rules", 4): frozenset({"program close to the cap"}),
            ("bay", "Pass rules", 5): frozenset({"not growing"}),
            ("bay", "Steady rules", 3): frozenset({"not growing"}),
        },
        page={"league": ("1 has a program close to what the validator takes", "19 left")},
    ),
    Story(
        "close_to_both",
        "One ladder's runs need 929 nodes and its program has 981: two limits, and it is close to each.",
        (*quiet(), Player(_BOTH)),
        expected=(
            Expected(kinds("close"), kinds("finding"), ("gym", "Tall rules", 1), words=("of 1,000 nodes at p99",)),
            Expected(
                kinds("program"),
                kinds("finding"),
                ("gym", "Tall rules", 1),
                words=("981 of 1,000 nodes", "adds more than 19 is refused", "logged ok runs took 9"),
            ),
        ),
        rate=0.05,
        leads=("gym", "Tall rules", 1),
        groups={("gym", "Tall rules", 1): frozenset({"close to the cap"})},
        absent={"findings": ("grew from version to version",)},
    ),
    Story(
        "lowered_again",
        "The cap of one deployment was lowered for an hour nine days ago, under version 1, and is again today, under version 2, "
        "which was never stopped before.",
        (*quiet(), Player(_CHECKOUT, 240)),
        (Incident(*_THEN, "tram", cap=600, extra=24), Incident(*_NOW, "tram", cap=600, extra=24)),
        (
            Expected(
                kinds("limit"),
                kinds("new"),
                ("tram", "Checkout ladder", 2),
                lambda run: _stopped(run) and run.created_at >= SINCE,
                (
                    "a limit may have been lowered",
                    "Of this version it is the first time; of others of it, {before} runs in the days before",
                ),
                lambda runs: {"before": sum(_stopped(run) and run.version == 1 for run in runs)},
            ),
        ),
        days=14,
        rate=0.05,
        leads=("tram", "Checkout ladder", 2),
        absent={"findings": ("Not the first time",)},
    ),
)  # fmt: skip
