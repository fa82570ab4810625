"""What to do with a draft: change it, publish it, or let some games run it first, with the calls that do so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.program import MAX_NODES
from analytics.reports import commands, missing_days, page
from analytics.reports.rehearsal import wording

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.reports.rehearsal.visible_facts import VisibleFacts

_NO_DEFINITION = "its definition is not in the lake"


def todo(shown: VisibleFacts, *, is_refused: bool = False) -> list[page.Todo]:
    """What to do with the draft, the most urgent first."""
    found = shown.found
    steps = []
    if is_refused:
        steps.append(page.Todo("Do not publish it as it is.", "The conditions that refuse it are on top of the page."))
    if not len(found.tried.rows):
        return [*steps, *missing_days.todo(found.coverage), _on_other_runs(found)]
    if found.failures:
        codes = wording.codes(shown)
        named = f" ({codes})" if codes else ""
        steps.append(
            page.Todo(
                f"Change the draft: it fails on recorded inputs{named}.", "What fails stands above.", _again(found)
            )
        )
    if found.most_visits is not None and found.most_visits > wording.CLOSE_TO_CAP * MAX_NODES:
        steps.append(page.Todo("Make it visit fewer nodes.", f"A run is stopped at {MAX_NODES:,}."))
    is_open = bool(found.undecided.value or found.may_fail.value)
    if is_open and any(unknown.path is not None for unknown in found.unknown):
        steps.append(
            page.Todo(
                "Publish a version that reads the missing fields without paying for them, and rehearse again in a few days.",
                "What a run reads is recorded; what it does not read is not.",
                "\n".join(
                    [commands.new_draft(found.running_id), commands.publish(None), commands.usage(found.running_id)]
                ),
            )
        )
    elif is_open:
        why = "The log does not hold what the undecided runs would have read or been answered."
        steps.append(_beside(found, "Let some games run it first, and compare after a few days.", why))
    return steps or _publish(found)


def _on_other_runs(found: Rehearsal) -> page.Todo:
    if any(version.reason == _NO_DEFINITION for version in found.tried.versions):
        return page.Todo(
            "Extract the definitions, and rehearse it again.",
            "The programs that these runs ran are not in the lake: the reader needs rights on the table of definitions.",
        )
    return page.Todo("Rehearse it on another window.", "It was tried on no run, so nothing is known of it.")


def _publish(found: Rehearsal) -> list[page.Todo]:
    """Nothing stands against it."""
    standing, live = found.standing, found.running_id
    if standing is not None and standing.status == "PUBLISHED":
        return [page.Todo("Nothing to publish: it is the version that is published.", "", done=True)]
    if standing is not None and standing.status == "ARCHIVED":
        call = commands.roll_back(standing.strategy_id, standing.version)
        text = f"Go back to version {standing.version}, or make a draft of it and change that first."
        return [page.Todo(text, "It also points games and tasks back; publishing it again is answered 409.", call)]
    calls = [] if standing is not None else [commands.new_draft(live)]
    calls += [commands.publish(standing.strategy_id if standing is not None else None), commands.usage(live)]
    note = (
        "Publishing archives the version that is live, and games and tasks go on naming that one until each is given the new id. "
        "A post-mortem of the days after tells what really came of it."
    )
    beside = _beside(found, "Or let some games run it first, under an experiment's tag.", "")
    return [page.Todo("Publish it.", note, "\n".join([*calls, _afterwards(found)])), beside]


def _beside(found: Rehearsal, text: str, why: str) -> page.Todo:
    """A family has one published version, so that an experiment is a strategy of its own."""
    note = (
        "One version of a name is published at a time, so an experiment is a strategy of another name; the engine keeps its tag "
        "and sends nobody there by it. Publish it, and give some games or tasks its id."
    )
    whose = commands.strategy(found.family.realm, found.family.name, None, is_named=found.family.is_named)
    call = f"{commands.experiment()}\n{commands.PROGRAM} report post_mortem {whose} --since 7d --against tag:NAME"
    return page.Todo(text, f"{why} {note}".strip(), call)


def _again(found: Rehearsal) -> str:
    """The same runs, another draft."""
    whose = commands.strategy(found.family.realm, found.family.name, None, is_named=found.family.is_named)
    when = commands.window(found.since, found.until)
    return f"{commands.PROGRAM} report rehearsal {whose} --draft FILE.json {when}"


def _afterwards(found: Rehearsal) -> str:
    whose = commands.strategy(found.family.realm, found.family.name, None, is_named=found.family.is_named)
    return f"{commands.PROGRAM} report post_mortem {whose} --since 7d      # a week later"
