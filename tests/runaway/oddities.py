"""Names that repeat or attack, rows that no engine should write, bursts across midnight, traces that hide what matters."""

from __future__ import annotations

from typing import Any, Final

from analytics.demo.families.elsewhere import HOSTILE_FAMILY, HOSTILE_REALM
from tests.runaway import programs
from tests.runaway.fleet import (
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

Row = dict[str, Any]
_LADDER: Final = "Badge ladder"
_SMALL: Final = programs.levels(60, spread=6)
_LEAP: Final = programs.levels(318, spread=10)


def _limited(run: Run) -> bool:
    return run.status == "limit"


def _with_a_trace(row: Row) -> Row:
    """Another build of the engine keeps what was walked until the cap."""
    if row["status"] != "limit":
        return row
    trace = (
        '[{"nodeId": "ladder", "type": "field", "value": 317}, {"nodeId": "last seen", "type": "literal", "value": 1}]'
    )
    return {**row, "trace": trace, "nodesExecuted": "2"}


def _aborted(row: Row) -> Row:
    """A status that nobody has heard of."""
    return {**row, "status": "aborted", "errorCode": "DSL_ABORTED", "points": None, "caseName": None, "trace": "null",
            "nodesExecuted": "0", "sampled": "f", "notes": None}  # fmt: skip


def _timeless(row: Row) -> Row:
    return {**row, "created_at": None} if row["status"] != "ok" else row


def _canary_code_on_ok(row: Row) -> Row:
    return {**row, "errorCode": "DSL_FIELD_NOT_PRECOMPUTED"} if row["status"] == "ok" else row


ODDITIES: Final[tuple[Story, ...]] = (
    Story(
        "twins",
        "Three realms, one of them NULL, have a strategy of the same name; one of them runs into the cap.",
        (
            *quiet(),
            Player(family("east", _LADDER, _SMALL, programs.tall())),
            Player(family("west", _LADDER, _LEAP, (programs.tall(), at(0, "05:00")))),
            Player(family(None, _LADDER, _SMALL, programs.tall())),
        ),
        expected=(
            Expected(kinds("limit"), kinds("new"), ("west", _LADDER, 1), _limited, ("Badge ladder v1 (west)",)),
        ),
        leads=("west", _LADDER, 1),
        absent={"findings": ("may have been lowered",)},
        groups={
            ("east", _LADDER, 1): frozenset({"not growing"}),
            (None, _LADDER, 1): frozenset({"not growing"}),
        },
    ),
    Story(
        "no_realm_runs_away",
        "The strategy that runs into the cap belongs to no realm; a realm has one of the same name.",
        (
            *quiet(),
            Player(family("east", _LADDER, _SMALL, programs.tall())),
            Player(family(None, _LADDER, _LEAP, (programs.tall(), at(0, "05:00")))),
        ),
        expected=(Expected(kinds("limit"), kinds("new"), (None, _LADDER, 1), _limited, ("(no realm)",)),),
        leads=(None, _LADDER, 1),
        groups={("east", _LADDER, 1): frozenset({"not growing"})},
    ),
    Story(
        "hostile_names",
        "Realm and name of the strategy that runs into the cap are attacks on whoever prints them.",
        (*quiet(), Player(family(HOSTILE_REALM, HOSTILE_FAMILY, _LEAP, (programs.tall(), at(0, "05:00"))))),
        expected=(Expected(kinds("limit"), kinds("new"), (HOSTILE_REALM, HOSTILE_FAMILY, 1), _limited),),
        leads=(HOSTILE_REALM, HOSTILE_FAMILY, 1),
        absent={"findings": ("<script", "<img", "\u202e"), "league": ("<script", "<img", "\u202e")},
    ),
    Story(
        "limit_with_a_trace",
        "Stopped runs keep the first entries of their trace: 2 nodes, which is not what they needed.",
        (*quiet(), Player(family("west", _LADDER, programs.levels(326, spread=4), programs.tall()), 200)),
        (Incident(moment(3), UNTIL, "west", row=_with_a_trace),),
        (Expected(kinds("limit"), kinds("finding"), ("west", _LADDER, 1), _limited),),
        leads=("west", _LADDER, 1),
        absent={"findings": ("may have been lowered",)},
    ),
    Story(
        "unknown_status",
        "For an hour every logged run of one strategy has a status that nobody knows.",
        (*quiet(), Player(family("west", _LADDER, _SMALL, programs.tall()), 400)),
        (Incident(moment(0, "10:00"), moment(0, "11:00"), "west", row=_aborted, extra=200),),
        groups={("west", _LADDER, 1): frozenset({"not growing"})},
    ),
    Story(
        "no_time",
        "The rows of stopped runs lost their time; nobody can say that it was this day. Those that passed came close.",
        (*quiet(), Player(family("west", _LADDER, programs.levels(326, spread=4), programs.tall()), 200)),
        (Incident(moment(3), UNTIL, "west", row=_timeless),),
        (Expected(kinds("close"), kinds("finding new worse"), ("west", _LADDER, 1)),),
    ),
    Story(
        "code_on_ok",
        "Runs that went well carry the code of a canary.",
        (*quiet(), Player(family("west", _LADDER, _SMALL, programs.tall()))),
        (Incident(SINCE, UNTIL, "west", row=_canary_code_on_ok),),
    ),
    Story(
        "across_midnight",
        "A cap is lowered from ten to midnight until ten past; the report is of the second day.",
        (*quiet(), Player(family("tram", _LADDER, programs.levels(230, spread=12), programs.tall()), 240)),
        (Incident(moment(1, "23:50"), moment(0, "00:10"), "tram", cap=600, extra=40),),
        (
            Expected(
                kinds("limit"),
                kinds("finding new"),
                ("tram", _LADDER, 1),
                _limited,
                ("{before} runs in the days before",),
                lambda runs: {"before": sum(_limited(run) and run.created_at < SINCE for run in runs)},
            ),
        ),
        leads=("tram", _LADDER, 1),
    ),
    Story(
        "two_bursts",
        "A cap is lowered twice a day, for twenty minutes each.",
        (*quiet(), Player(family("tram", _LADDER, programs.levels(230, spread=12), programs.tall()), 240)),
        tuple(
            Incident(moment(0, f"{hour}:00"), moment(0, f"{hour}:20"), "tram", cap=600, extra=20) for hour in ("09", "18")
        ),
        (Expected(kinds("limit"), kinds("new"), ("tram", _LADDER, 1), _limited, ("in 2 bursts", "a limit may have been lowered")),),
        leads=("tram", _LADDER, 1),
    ),
    Story(
        "two_realms_time_out",
        "Strategies of the same name time out in two realms all day, one run in twenty-five; that is no stall.",
        (
            *quiet(),
            *(Player(family(realm, "Group scores", _SMALL, programs.tall()), 500, timeouts=0.04) for realm in ("east", "west")),
        ),
        expected=tuple(
            Expected(
                kinds("timeout"),
                kinds("finding new worse"),
                (realm, "Group scores", 1),
                lambda run, realm=realm: run.status == "timeout" and (run.realm, run.family) == (realm, "Group scores"),
            )
            for realm in ("east", "west")
        ),
    ),
    Story(
        "busy_day",
        "A day so busy that timeouts without a reason of several strategies fall into the same minutes; nothing stalls.",
        tuple(
            Player(family(f"realm-{index}", "Pages", programs.plain_fields, programs.plain()), 12_000) for index in range(5)
        ),
        days=1,
        rate=0.02,
    ),
    Story(
        "rules_without_work",
        "One rule never matches, one always does, one stands behind another that takes all its runs.",
        (*quiet(), Player(family("hill", "Shadowed", programs.shadow_fields, programs.shadows()), 600)),
        page={
            "nodes": (
                "data.legacy is always false",
                "shadowed by rule 3 walked",
                "rule 4 double",
                "rule 1 ever",
                "always matches",
            )
        },
    ),
    Story(
        "behind_the_cut",
        "Traces are cut after 200 entries; the rule that leaves most of them stands behind.",
        (*quiet(100), Player(family("hill", "Two ladders", programs.hidden_fields, programs.hidden()), 300)),
        page={"nodes": ("late of Two ladders v1 (hill) leaves most entries", "lie after the cut of a trace")},
    ),
)  # fmt: skip
