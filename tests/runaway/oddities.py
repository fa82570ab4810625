"""Names that repeat or attack, rows that no engine should write, bursts across midnight, traces that hide what matters."""

from __future__ import annotations

from typing import Any, Final

from analytics.demo.families.elsewhere import HOSTILE_FAMILY, HOSTILE_REALM
from tests.runaway import programs
from tests.runaway.fleet import (
    FAR,
    SINCE,
    UNTIL,
    Expected,
    Incident,
    Judged,
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
_NEAR: Final = programs.levels(326, spread=4)


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


def _stopped(realm: str | None, name: str = _LADDER, tags: str = "new", **rest: Any) -> Expected:
    """Runs of one strategy's first version that the cap stopped."""
    return Expected(
        kinds("limit"),
        kinds(tags),
        (realm, name, 1),
        lambda run: _limited(run) and (run.realm, run.family) == (realm, name),
        **rest,
    )


ODDITIES: Final[tuple[Story, ...]] = (
    Story(
        "names",
        "Four realms, one of them NULL, have a strategy of the same name; two of them run into the cap, and so does one whose "
        "realm and name are attacks on whoever prints them.",
        (
            *quiet(),
            Player(family("east", _LADDER, _SMALL, programs.tall())),
            Player(family("south", _LADDER, _SMALL, programs.tall())),
            Player(family("west", _LADDER, _LEAP, (programs.tall(), at(0, "05:00")))),
            Player(family(None, _LADDER, _LEAP, (programs.tall(), at(0, "05:00")))),
            Player(family(HOSTILE_REALM, HOSTILE_FAMILY, _LEAP, (programs.tall(), at(0, "05:00")))),
        ),
        expected=(
            _stopped("west", words=("Badge ladder v1 (west)",)),
            _stopped(None, words=("Badge ladder v1 (no realm)",)),
            _stopped(HOSTILE_REALM, HOSTILE_FAMILY),
        ),
        groups={(realm, _LADDER, 1): FAR for realm in ("east", "south")},
        absent={
            "findings": ("<script", "<img", "\u202e", "may have been lowered"),
            "league": ("<script", "<img", "\u202e"),
        },
    ),
    Story(
        "odd_rows",
        "Stopped runs that keep the first entries of their trace; a status that nobody knows; stopped runs without a time, so that "
        "nobody can say they were of this day, though those that passed came close; canary codes on runs that went well.",
        (
            *quiet(),
            Player(family("traced", _LADDER, _NEAR, programs.tall())),
            Player(family("aborted", _LADDER, _SMALL, programs.tall()), 400),
            Player(family("timeless", _LADDER, _NEAR, programs.tall())),
            Player(family("coded", _LADDER, _SMALL, programs.tall())),
        ),
        (
            Incident(moment(3), UNTIL, "traced", row=_with_a_trace),
            Incident(moment(0, "10:00"), moment(0, "11:00"), "aborted", row=_aborted, extra=400),
            Incident(moment(3), UNTIL, "timeless", row=_timeless),
            Incident(SINCE, UNTIL, "coded", row=_canary_code_on_ok),
        ),
        (
            _stopped("traced", tags="finding"),
            Expected(kinds("close"), kinds("finding new worse"), ("timeless", _LADDER, 1)),
        ),
        leads=("traced", _LADDER, 1),
        groups={(realm, _LADDER, 1): FAR for realm in ("aborted", "coded")},
        absent={"findings": ("may have been lowered",)},
    ),
    Story(
        "bursts",
        "A cap is lowered from ten to midnight until ten past, and the report is of the second day; another twice that day, for "
        "twenty minutes each.",
        (
            *quiet(),
            Player(family("tram", _LADDER, programs.levels(230, spread=12), programs.tall()), 240),
            Player(family("ferry", _LADDER, programs.levels(230, spread=12), programs.tall()), 240),
        ),
        (
            Incident(moment(1, "23:50"), moment(0, "00:10"), "tram", cap=600, extra=40),
            *(Incident(moment(0, f"{hour}:00"), moment(0, f"{hour}:20"), "ferry", cap=600, extra=20) for hour in ("09", "18")),
        ),
        (
            _stopped("ferry", words=("in 2 bursts", "a limit may have been lowered")),
            _stopped(
                "tram",
                tags="finding new",
                words=("{before} runs in the days before",),
                told=lambda runs: {
                    "before": sum(_limited(run) and run.realm == "tram" and run.created_at < SINCE for run in runs)
                },
            ),
        ),
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
        "One rule was not seen to match, one matched in all looks, one cannot match for another takes all its runs.",
        (*quiet(), Player(family("hill", "Shadowed", programs.shadow_fields, programs.shadows()), 600)),
        days=8,
        page={
            "nodes": (
                "data.legacy was false in all looks",
                "cannot be true where data.steps >= 4000 is false past rule 3 walked",
                "rule 4 double",
                "rule 1 ever",
                "matched in all",
            )
        },
        absent={"nodes": ("always", "dead", "shadow")},
        judged=(Judged("double", "cannot match (proven)"), Judged("never", "not seen"), Judged("ever", "matched in all looks")),
    ),
    Story(
        "rare_rule",
        "One rule matches in 0.7 % of its looks; another cannot, for the first one takes all that it asks for.",
        (*quiet(60), Player(family("hill", "Jackpots", programs.rare_fields, programs.rare()), 1_000)),
        days=8,
        rate=0.05,
        absent={"nodes": ("never matched", "dead")},
        judged=(Judged("rare", "not seen", share=programs.RARE), Judged("twice", "cannot match (proven)")),
    ),
    Story(
        "weekend_rule",
        "One rule matches at weekends only, and the log holds a Monday.",
        (*quiet(60), Player(family("hill", "Weekends", programs.weekend_fields, programs.weekend()), 1_000)),
        days=1,
        absent={"nodes": ("not seen to match", "never", "dead")},
        judged=(Judged("weekend", "not judged: few looks"),),
    ),
    Story(
        "behind_the_cut",
        "Traces are cut after 200 entries; the rule that leaves most of them stands behind.",
        (*quiet(100), Player(family("hill", "Two ladders", programs.hidden_fields, programs.hidden()), 300)),
        page={"nodes": ("late of Two ladders v1 (hill) leaves most entries", "lie after the cut of a trace")},
    ),
)  # fmt: skip
