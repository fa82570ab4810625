"""The request that runs a logged run again on the engine, tried out on our own evaluator first.

`POST …/v1/strategies/custom/<strategyId>/simulate` takes the event and a map of mocked fields, and runs DSL_FULL programs only.
The event's data is not logged; what the run read of it stands in its trace. The endpoint queries every analytics path of the
program, read by a run or not, unless it is mocked; and it refuses ids that the log can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from analytics.findings.receipt import wording as words
from analytics.findings.replay.run_evidence import EVENT_FIELDS, Definition, Evidence
from analytics.program import Outcome, analytics_paths
from analytics.program.outcome import as_written, same_json
from analytics.program.validator import refusal
from analytics.storage.typed_json import Json

_UNREAD: Final = "DSL_FIELD_NOT_PRECOMPUTED"
_LONGEST_ID: Final = 200
"""Characters; the endpoint's schema takes no longer id."""
_PLACEHOLDER: Final = "placeholder"
_NO_VALUE: Final = 0
"""Of an analytics path that was not read: counts and seconds are numbers."""
_MOST_PATHS: Final = 8


@dataclass(frozen=True, slots=True)
class Request:
    """An event and a map of mocked fields. The endpoint takes it, and queries no database for it.

    Attributes:
        event: ``externalGameId`` and the other ids.
        data: Key → value of the event's data.
        mock_state: Field path → value; a mocked path comes before the event's own.
    """

    event: dict[str, Json]
    data: dict[str, Json]
    mock_state: dict[str, Json]

    @property
    def fields(self) -> dict[str, Json]:
        """The fields a program sees when the endpoint runs it."""
        return {**self.event, **{f"data.{key}": value for key, value in self.data.items()}, **self.mock_state}

    def to_dict(self) -> dict[str, Json]:
        """The body's JSON."""
        return {**self.event, "data": self.data, "mockState": self.mock_state}


@dataclass(frozen=True, slots=True)
class Simulation:
    """A request, and what our own evaluator makes of it.

    Attributes:
        path: Of the endpoint.
        request: What to post; None when there can be none.
        verdict: In words: what our replay of the request pays, or why there is none.
        is_reproduced: The replay paid the same for the same case, entry by entry; None without a request.
        notes: What the endpoint refuses of the program, what in the body only holds a place, and what is not in it.
    """

    path: str
    request: Request | None
    verdict: str
    is_reproduced: bool | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def body(self) -> dict[str, Json] | None:
        """The request's JSON."""
        return self.request.to_dict() if self.request is not None else None


def simulate(evidence: Evidence) -> Simulation:
    """The request for one run. Never raises."""
    path = f"/v1/strategies/custom/{evidence.run.strategy_id}/simulate"
    why = _why_not(evidence)
    if why or evidence.definition is None or evidence.alignment is None:
        return Simulation(path, None, why)
    tried = []
    # jsonb may have turned a float into an integer: a body that does not come out right with one is tried with the other.
    for restore in (_unchanged, as_written):
        request, replaced = _request(evidence, restore)
        outcome = evidence.definition.program.run(request.fields)
        tried.append((_is_same(evidence, outcome), request, outcome))
        if tried[-1][0]:
            break
    is_same, request, outcome = next((attempt for attempt in tried if attempt[0]), tried[0])
    is_open = outcome.error_code == _UNREAD and not is_same
    unread = [path for path in analytics_paths(evidence.definition.ast) if path not in request.mock_state]
    # Tried without them: what holds a place must not be taken for what a run has read.
    request = replace(request, mock_state={**request.mock_state, **dict.fromkeys(unread, _NO_VALUE)})
    notes = [*_refused(evidence.definition), *replaced, *_missing(evidence, unread)]
    return Simulation(path, request, _said(outcome, is_same, evidence), None if is_open else is_same, notes)


def _unchanged(value: Json) -> Json:
    return value


def _why_not(evidence: Evidence) -> str:
    if evidence.is_extend:
        return "The simulate endpoint cannot run a program around a built-in (DSL_EXTEND): it answers 0 and an empty trace."
    if evidence.trace is None:
        return "Without a trace it is not known what the run read, so no request can be built."
    if evidence.definition is None:
        return "Without the definition the values of the trace have no paths, so no request can be built."
    if evidence.definition.replaced_at is not None:
        return (
            "The version was edited in place since, and the endpoint runs what it is now, so no request can be built."
        )
    if not evidence.fits:
        return "The definition is not the program that ran, so no request can be built."
    return ""


def _request(evidence: Evidence, restore: Callable[[Json], Json]) -> tuple[Request, list[str]]:
    """The request, and which of its ids are others than those of the log."""
    assert evidence.alignment is not None and evidence.definition is not None  # noqa: S101  # asked before
    read = {path: restore(value) for path, value in evidence.alignment.fields.items()}
    data: dict[str, Json] = {}
    state: dict[str, Json] = {}
    for path, value in read.items():
        if path.startswith("data."):
            data[path[5:]] = value
        elif path not in EVENT_FIELDS:
            state[path] = value
    asked = {node.path for node in evidence.definition.outline.nodes}
    event: dict[str, Json] = {}
    notes = []
    for path, column in EVENT_FIELDS.items():
        logged = read.get(path, getattr(evidence.run, column))
        event[path] = logged
        if refused := _refused_id(logged):
            event[path] = _PLACEHOLDER
            seen = "no rule reads it"
            if path in asked:
                state[path] = logged  # a mocked path comes before the event's own
                seen = "the rules see the logged one, from mockState"
            notes.append(f"{path} is “{_PLACEHOLDER}”, for the endpoint refuses {refused} (422); {seen}.")
    return Request(event, data, state), notes


def _refused_id(value: object) -> str:
    """What the endpoint's schema has against an id of the event; empty when it takes it."""
    if value is None:
        return "the logged NULL"
    if not isinstance(value, str):
        return "an id that is no text"
    if not value:
        return "the logged empty text"
    return f"the logged {len(value):,} characters, more than {_LONGEST_ID}" if len(value) > _LONGEST_ID else ""


def _refused(program: Definition) -> list[str]:
    why = refusal(program.ast)
    return [f"The endpoint refuses the stored program (400), whatever the body: {why}."] if why else []


def _is_same(evidence: Evidence, outcome: Outcome) -> bool:
    run, made, trace = evidence.run, outcome.trace or [], evidence.trace or []
    if not evidence.is_ok:
        return not outcome.ok and outcome.error_code == run.error_code and _is_prefix(trace, made)
    if not outcome.ok or outcome.case_name != run.case_name or not _is_prefix(trace, made):
        return False
    if not run.is_truncated and len(made) != len(trace):
        return False
    try:
        return outcome.points is not None and bool(float(outcome.points) == run.points)
    except (TypeError, ValueError, OverflowError):
        return False


def _is_prefix(trace: list[Any], made: Sequence[Mapping[str, Json]]) -> bool:
    return len(trace) <= len(made) and all(
        old.get("nodeId") == new["nodeId"]
        and old.get("type") == new["type"]
        and old.get("branch") == new.get("branch")
        and same_json(old.get("value"), new["value"])
        for old, new in zip(trace, made, strict=False)
    )


def _said(outcome: Outcome, is_same: bool, evidence: Evidence) -> str:
    if outcome.ok:
        gives = f"gives {words.points(outcome.points)}, {words.case(outcome.case_name)}"
    elif outcome.error_code == _UNREAD and not is_same:
        unread = str(outcome.error_detail).removesuffix(" was not precomputed")
        return f"Our own replay of the simulate request stops at {unread}, which the stored trace does not hold."
    else:
        gives = f"fails with {outcome.error_code}"
    if is_same:
        return f"Our own replay of the simulate request {gives}, as logged."
    logged = "the log says otherwise" if evidence.is_ok else f"the run was logged as {words.name(evidence.run.status)}"
    return f"Our own replay of the simulate request {gives}: {logged}."


def _missing(evidence: Evidence, unread: Sequence[str]) -> list[str]:
    """What only holds a place, and what is not there at all."""
    assert evidence.definition is not None and evidence.alignment is not None  # noqa: S101  # asked before
    paths = dict.fromkeys(node.path for node in evidence.definition.outline.nodes if node.path is not None)
    read = evidence.alignment.fields
    left_out = [path for path in paths if path not in read and path not in EVENT_FIELDS and path not in unread]
    is_whole, notes = evidence.alignment.end == "finished", []
    why = "this run did not read them" if is_whole else "the stored trace does not hold them"
    if unread:
        matters = "" if is_whole else "; where the run read one behind the cut, the answer is another"
        notes.append(
            f"In mockState {_listed(unread)} only {'hold places' if len(unread) > 1 else 'holds a place'}, so that the endpoint "
            f"queries no database: {why if len(unread) > 1 else why.replace('them', 'it')}{matters}."
        )
    if left_out:
        notes.append(f"Not in it, because {why}: {_listed(left_out)}.")
    return notes


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(words.name(path) for path in paths[:_MOST_PATHS]) + (", …" if len(paths) > _MOST_PATHS else "")
