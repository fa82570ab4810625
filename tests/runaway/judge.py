"""What a report got wrong about a story. Every answer is a list of mistakes in words; an empty one is right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from tests.runaway import agreement
from tests.runaway.engine import MOST_NODES, play
from tests.runaway.fleet import UNTIL, Expected, Key, Run
from tests.runaway.world import Told

#: A forecast speaks of days; where in the last day it begins to count is its own matter.
_HALF_A_DAY: Final = 0.5
_FORESEEN_DAYS: Final = 30
_A_DAY: Final = timedelta(days=1)


def key_of(row: dict[str, Any]) -> Key | None:
    """Realm, family, version of a finding or a row of the league; None where it concerns several."""
    return None if row["family"] is None else (row["realm"], row["family"], row["version"])


def matching(told: Told, wanted: Expected) -> list[dict[str, Any]]:
    """The findings that may be the expected one."""
    return [row for row in told.facts["findings"] if _is(row, wanted)]


def programs_near(told: Told) -> dict[Key, int]:
    """Versions that ran last of their family, and whose whole program has nine tenths of what the validator takes, or more."""
    found = {}
    for player in told.story.fleet:
        own = [
            run
            for run in told.window
            if run.family == player.family.name and run.realm == player.family.realm and run.logged
        ]
        if not own:
            continue  # a version that no row shows is not told of
        last = max(own, key=_moment)
        nodes = 1 + _nodes(player.family.programs[last.version]["rules"])
        if nodes >= 0.9 * MOST_NODES:
            found[last.key] = nodes
    return found


def _nodes(part: Any) -> int:
    """What the validator counts of a part of these programs, none of which has a bare condition, for short."""
    if isinstance(part, list):
        return sum(map(_nodes, part))
    if not isinstance(part, dict):
        return 0
    is_counted = "type" in part or "when" in part
    return is_counted + sum(_nodes(value) for key, value in part.items() if part.get("type") != "literal")


def large_programs(told: Told) -> list[str]:
    """Is each program that is close to what the validator takes, or above it, found with its count, and no other called close?"""
    said = {key_of(row): row for row in told.facts["findings"] if row["what"] == "program"}
    near = programs_near(told)
    wrong = [f"the program of {key}, {nodes} nodes, is not found" for key, nodes in near.items() if key not in said]
    for key, row in said.items():
        true = near.get(key) if key else None
        told_close = "is close to" in row["sentence"] or "and 1,000 is the most" in row["sentence"]
        if (true is not None and row["number"]["value"] != true) or told_close != (true is not None):
            wrong.append(f"{key} has {true}: {row['sentence']}")
    return wrong


def _is(row: dict[str, Any], wanted: Expected) -> bool:
    return row["what"] in wanted.whats and key_of(row) == wanted.key


def _heard(told: Told) -> list[str]:
    return [row["sentence"] for row in told.facts["findings"]]


def named(told: Told) -> list[str]:
    """Is each planted thing found once, and called what it is?"""
    wrong = []
    for wanted in told.story.expected:
        found = matching(told, wanted)
        if [row["kind"] in wanted.kinds for row in found] != [True]:
            wrong.append(
                f"{' or '.join(wanted.whats)} of {wanted.key}: {[row['kind'] for row in found]} among {_heard(told)}"
            )
    return wrong


def false_findings(told: Told) -> list[str]:
    """Is anything found that was not planted?"""
    found = told.facts["findings"]
    near = programs_near(told)  # those are looked at by `large_programs`, in every story
    return [
        row["sentence"]
        for row in found
        if not any(_is(row, wanted) for wanted in told.story.expected)
        and not (row["what"] == "program" and key_of(row) in near)
    ]


def counted(told: Told) -> list[str]:
    """Are number, first and last of the runs those of the truth?"""
    wrong = []
    for wanted in told.story.expected:
        if wanted.runs is None:
            continue
        times = sorted(run.created_at for run in told.window if wanted.runs(run))
        for row in matching(told, wanted):
            said = (row["count"], *(datetime.fromisoformat(row[end]) for end in ("since", "until")))
            if said != (len(times), times[0], times[-1]):
                wrong.append(f"{row['what']}: said {said}, true {(len(times), times[0], times[-1])}")
    return wrong


def ordered(told: Told) -> list[str]:
    """Do the findings stand in the order of their urgency, and does the league begin with who should lead?"""
    order = [wanted.whats for wanted in told.story.expected]
    # Equals may stand in any order.
    places = [
        order.index(wanted.whats)
        for row in told.facts["findings"]
        for wanted in told.story.expected
        if _is(row, wanted)
    ]
    wrong = [] if places == sorted(places) else [f"findings stand as {places}"]
    league = {key_of(row): row for row in told.facts["league"]}
    if told.story.leads and next(iter(league)) != told.story.leads:
        wrong.append(f"the league begins with {next(iter(league))}")
    for key, groups in told.story.groups.items():
        if key not in league or league[key]["group"] not in groups:
            wrong.append(f"{key} is {league[key]['group'] if key in league else 'not in the league'}")
    return wrong


def worded(told: Told) -> list[str]:
    """Do the sentences say what they should?"""
    wrong = []
    for wanted in told.story.expected:
        values = {name: f"{value:,}" for name, value in (wanted.told(told.truth) if wanted.told else {}).items()}
        for words in wanted.words:
            text = words.format(**values)
            wrong += [
                f"no {text!r} in: {row['sentence']}" for row in matching(told, wanted) if text not in row["sentence"]
            ]
    return wrong  # fmt: skip


def foreseen(told: Told) -> list[str]:
    """Does the day on which one run in a hundred is stopped lie in the range that was told?"""
    wrong = _refused(told)
    for wanted in told.story.expected:
        if not wanted.reaches_cap:
            continue
        true = days_to_cap(told, wanted)
        for row in matching(told, wanted):
            low, high = row["number"]["low"], row["number"]["high"]
            high = math.inf if high is None else high
            if not low - _HALF_A_DAY <= true <= high + _HALF_A_DAY:
                wrong.append(f"{true:.1f} days to the cap, said {low:.1f} – {high:.1f}")
    return wrong


def _refused(told: Told) -> list[str]:
    """Versions and days until the validator refuses one: does what the author has planned lie in what is told?"""
    wrong = []
    league = {key_of(row): row for row in told.facts["league"]}
    for wanted in told.story.expected:
        if wanted.refused is None:
            continue
        row = league[wanted.key]
        for name, true in zip(("est_ast_versions_to_cap", "est_ast_days_to_cap"), wanted.refused, strict=True):
            low, high = row[name]["low"], row[name]["high"]
            if not low <= true <= (math.inf if high is None else high):
                wrong.append(f"{name} of {wanted.key}: {true}, said {low} – {high}")
    return wrong


def days_to_cap(told: Told, wanted: Expected) -> float:
    """From noon of the last day to the first moment before which, for a day, one run in a hundred was stopped."""
    players = tuple(player for player in told.story.fleet if player.family.name == wanted.key[1]) if wanted.key else ()
    future = replace(told.story, fleet=tuple(replace(player, runs=150) for player in players))
    runs = sorted(play(future, told.seed, until=UNTIL + timedelta(days=_FORESEEN_DAYS)).truth, key=_moment)
    first = stopped = 0
    for place, run in enumerate(runs):
        stopped += run.status == "limit"
        while runs[first].created_at <= run.created_at - _A_DAY:
            stopped -= runs[first].status == "limit"
            first += 1
        if stopped >= 0.01 * (place + 1 - first) and run.created_at >= UNTIL - _A_DAY:
            return (run.created_at - (UNTIL - _A_DAY / 2)) / _A_DAY
    raise AssertionError(f"nobody is stopped by {MOST_NODES} nodes within {_FORESEEN_DAYS} days")


def _moment(run: Run) -> datetime:
    return run.created_at


def shown(told: Told) -> list[str]:
    """Does the page say it too, and nothing that it should not?"""
    wrong = []
    for section, texts in told.story.page.items():
        said = getattr(told.report, section)().text
        wrong += [f"{section} does not say {text!r}" for text in texts if text not in said]
    for section, texts in told.story.absent.items():
        html = getattr(told.report, section)().html
        wrong += [f"{section} says {text!r}" for text in texts if text in html]
    return wrong


def judged(told: Told) -> list[str]:
    """Is each rule called what it is, and does the bound of what was not seen hold?"""
    wrong = []
    for wanted in told.story.judged:
        rows = [row for row in told.facts["rules"] if row["rule_id"] == wanted.rule_id and row["kind"] == "rule"]
        right = [row["verdict"] == wanted.verdict and row["share_high"] >= wanted.share for row in rows]
        if right != [True] and not (wanted.share and not rows):
            wrong.append(
                f"{wanted.rule_id}: {[(row['verdict'], row['entry_count'], row['share_high']) for row in rows]}"
            )
    return wrong


def agreed(told: Told) -> list[str]:
    """Does it tell every number the same wherever it tells it?"""
    return list(agreement.disagreements(agreement.pages(told.report)))


def dated(told: Told) -> list[str]:
    """Do beginning and end of what was planted lie in the intervals that are told?"""
    wrong = []
    for wanted in told.story.expected:
        for row in matching(told, wanted) if wanted.lasted else []:
            for end, true in zip(("began", "ended"), wanted.lasted or (), strict=True):
                low, high = (row[f"{end}_{side}"] for side in ("low", "high"))
                is_after = low is None or datetime.fromisoformat(low) <= true
                if not (is_after and (high is None or true <= datetime.fromisoformat(high))):
                    wrong.append(f"{row['what']} {end} {true}, said {low} – {high}")
    return wrong


CHECKS: Final[dict[str, Callable[[Told], list[str]]]] = {
    "named": named,
    "nothing else": false_findings,
    "large programs": large_programs,
    "counted": counted,
    "ordered": ordered,
    "worded": worded,
    "foreseen": foreseen,
    "shown": shown,
    "judged": judged,
    "agreed": agreed,
    "dated": dated,
}
