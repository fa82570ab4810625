"""What goes wrong in the simulated fortnight, and when exactly: the answers that reports should find."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from analytics.demo.catalog import Fields, utc
from analytics.demo.families.elsewhere import HOSTILE_FAMILY, HOSTILE_REALM, PROBES


@dataclass(frozen=True, slots=True)
class Scenario:
    """One planted event.

    Attributes:
        key: The word in the truth's `story` column.
        realm: Tenant; None when it concerns several (or the NULL realm).
        family: Strategy; None when it concerns several.
        since: First moment, UTC.
        until: First moment after it, UTC; None when it never ended.
        words: One sentence for a person.
        facts: What is true about it, for tests.
    """

    key: str
    realm: str | None
    family: str | None
    since: datetime
    until: datetime | None
    words: str
    facts: Fields = field(default_factory=dict)

    def covers(self, moment: datetime) -> bool:
        """Whether a moment lies within the story."""
        return self.since <= moment and (self.until is None or moment < self.until)


SPEED_BONUS: Final = Scenario(
    "speed_bonus_v3",
    "acme-cycling",
    "Speed bonus",
    utc("2026-07-08 09:30"),
    utc("2026-07-10 15:00"),
    "Version 3 of Speed bonus pays 15 instead of 10 in case PerformanceBonus, until a rollback to version 2.",
    {"version": 3, "before": 2, "case_name": "PerformanceBonus", "paid_before": 10, "pays": 15, "rollback_to": 2},
)
TIER_LADDER: Final = Scenario(
    "tier_ladder_v5",
    "sunny-gym",
    "Tier ladder",
    utc("2026-07-05 06:00"),
    None,
    "Version 5 of Tier ladder leaves about 880 entries a run and grows by nine a day as users climb its tiers.",
    {"version": 5, "nodes_v3": 143, "nodes_v4": 423, "nodes_first_day": 880, "nodes_per_day": 9, "max_nodes": 1000},
)
STALL: Final = Scenario(
    "stall",
    None,
    None,
    utc("2026-07-09 13:11"),
    utc("2026-07-09 13:12:30"),
    "The event loop stalls for 90 seconds: runs of several strategies in several realms time out, no rule is to blame.",
    {"error_code": "DSL_TIMEOUT", "share": 0.8, "planted_runs": 16},
)
ZERO_MINUTES: Final = Scenario(
    "zero_minutes",
    "harbor-schools",
    "Homework race",
    utc("2026-07-07 08:00"),
    None,
    "A client release sends data.minutes = 0 for the game tablet-pilot; every such run divides by zero.",
    {"error_code": "DSL_ARITH_DIV_BY_ZERO", "external_game_id": "tablet-pilot", "field": "data.minutes", "value": 0},
)
SLOW_FIELD: Final = Scenario(
    "slow_all_avg_time",
    "harbor-schools",
    "Daily quest",
    utc("2026-07-03 07:40"),
    None,
    "Version 12 of Daily quest reads all.avg_time, whose query takes about 60 ms in this realm.",
    {"version": 12, "field": "all.avg_time", "query_ms_median": 60.0, "timeouts_from_it": 0},
)
LOWERED_CAP: Final = Scenario(
    "lowered_cap",
    "tram-riders",
    "Checkout ladder",
    utc("2026-07-10 13:05"),
    utc("2026-07-10 14:40"),
    "The node cap of the deployment that serves tram-riders is 600 instead of 1000: Checkout ladder v7 runs into it.",
    {"error_code": "DSL_LIMIT_EXCEEDED", "version": 7, "max_nodes": 600, "planted_runs": 24},
)
CANARY: Final = Scenario(
    "sandbox_canary",
    "harbor-schools",
    "Daily quest",
    utc("2026-07-10 02:11"),
    utc("2026-07-10 02:15"),
    "One user asks twelve times for a field that was not precomputed.",
    {"error_code": "DSL_FIELD_NOT_PRECOMPUTED", "runs": 12, "users": 1},
)
BYPASS: Final = Scenario(
    "bypassed_validation",
    HOSTILE_REALM,
    HOSTILE_FAMILY,
    utc("2026-07-09 10:00"),
    utc("2026-07-09 10:30"),
    "A program that went past the editor's validation is probed branch by branch.",
    {"error_codes": sorted({code for code, _ in PROBES.values()}), "runs": len(PROBES)},
)
ODD_REFERRAL: Final = Scenario(
    "odd_referral",
    "tram-riders",
    "Referral boost",
    utc("2026-07-09 16:00"),
    utc("2026-07-09 16:20"),
    "A partner's client sends a text as points and a number as case name.",
    {"error_codes": ["DSL_SET_CASE_NAME_NOT_STRING", "DSL_SET_POINTS_NOT_NUMBER"], "runs": 4},
)
LONG_READ: Final = Scenario(
    "long_read_weekend",
    "north-library",
    "Reading log",
    utc("2026-07-04 00:00"),
    utc("2026-07-06 00:00"),
    "A weekend that looks like a change of Reading log and is none: people read half as much again, as at every weekend.",
    {"field": "data.pages", "factor": 1.5, "most": 240, "every_weekend": True},
)
METRES: Final = Scenario(
    "metres",
    "tram-riders",
    "Badge hunt",
    utc("2026-07-08 16:00"),
    None,
    "A client release sends data.km in metres: nearly every run reaches case Explorer, though no version changed.",
    {"field": "data.km", "factor": 1000, "case_name": "Explorer", "pays": 8, "version_before_and_after": 9},
)
WEEKEND: Final = Scenario(
    "quiet_weekend",
    None,
    None,
    utc("2026-07-04 00:00"),
    utc("2026-07-06 00:00"),
    "An ordinary weekend: fewer runs, the same points per run (but for Reading log's).",
    {},
)

#: The first story that claims a run names it in the truth, so the narrow ones come first.
SCENARIOS: Final[tuple[Scenario, ...]] = (
    STALL,
    CANARY,
    BYPASS,
    ODD_REFERRAL,
    LOWERED_CAP,
    ZERO_MINUTES,
    SPEED_BONUS,
    TIER_LADDER,
    SLOW_FIELD,
    METRES,
    LONG_READ,
    WEEKEND,
)


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """Runs that happen whatever the size of the population, so that each story can be seen in a small one too.

    Attributes:
        scenario: Whose runs they are.
        realm: Tenant of the family.
        family: The family that runs.
        overrides: One mapping per run: field path → value; a value of `MISSING` takes the field away.
        one_user: All of them are one user's.
    """

    scenario: Scenario
    realm: str | None
    family: str
    overrides: tuple[Fields, ...]
    one_user: bool = False


MISSING: Final = object()

PLANTED_FAULTS: Final[tuple[PlantedFault, ...]] = (
    *(
        PlantedFault(STALL, realm, family, ({},) * count)
        for realm, family, count in (
            ("acme-cycling", "Speed bonus", 4),
            ("harbor-schools", "Kind words", 3),
            ("harbor-schools", "Daily quest", 3),
            ("north-library", "Reading log", 2),
            ("tram-riders", "Badge hunt", 2),
            (None, "Quiet hours", 2),
        )
    ),
    PlantedFault(LOWERED_CAP, "tram-riders", "Checkout ladder", ({},) * 24),
    PlantedFault(CANARY, "harbor-schools", "Daily quest", ({"user.avg_time": MISSING},) * 12, one_user=True),
    PlantedFault(BYPASS, HOSTILE_REALM, HOSTILE_FAMILY, tuple({"data.probe": number} for number in PROBES)),
    PlantedFault(
        ODD_REFERRAL,
        "tram-riders",
        "Referral boost",
        tuple(
            {"data.self_invite": False, "data.friends": 4, **odd} for odd in ({"data.label": 7}, {"data.override": "9"})
        )
        * 2,
    ),
)
