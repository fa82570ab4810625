"""Everything the lake knows about one run: its row, its trace, the program that left it, and whether the two agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from analytics.errors import UnknownNameError, UsageError
from analytics.extraction.encode.trace_json import rebuild
from analytics.lake import losses
from analytics.program import (
    Alignment,
    BuiltIn,
    Outline,
    Program,
    Replay,
    align,
    built_in,
    compile_program,
    outline,
    replay,
)
from analytics.storage.typed_json import Json
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

#: Fields that the row itself holds, whether or not the program read them, and the names of the columns.
EVENT_FIELDS: Final[Mapping[str, str]] = {
    "externalGameId": "external_game_id",
    "externalTaskId": "external_task_id",
    "externalUserId": "external_user_id",
}
_LONGEST_INTEGER: Final = 4000  # digits; Python refuses more than 4,300


@dataclass(frozen=True, slots=True)
class Definition:
    """A version's program.

    Attributes:
        ast: The author's JSON.
        program: Compiled.
        outline: Its nodes, linked.
        family_name: What its author calls it.
        parent_strategy_id: The built-in it wraps; None for a program of its own.
        strategy_type: DSL_FULL or DSL_EXTEND; None when not known.
        replaced_at: When an extraction noticed that the version was edited in place and has another program now, UTC; None for
            the program that it has.
    """

    ast: Mapping[str, Json]
    program: Program
    outline: Outline
    family_name: str | None
    parent_strategy_id: str | None = None
    strategy_type: str | None = None
    replaced_at: datetime | None = None

    @property
    def built_in(self) -> BuiltIn:
        """The built-in it wraps, with the variables it is asked with: as much part of the version as its rules."""
        return built_in(self.ast, self.parent_strategy_id)


class EventIds(Protocol):
    """The ids of a run's event, as its row holds them."""

    @property
    def external_game_id(self) -> str | None:
        """Of the game; None for NULL."""

    @property
    def external_task_id(self) -> str | None:
        """Of the task; None for NULL."""

    @property
    def external_user_id(self) -> str | None:
        """Of the player; None for NULL."""


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A row of ``executions``: what one run was paid, and of which event and version it was.

    Attributes:
        execution_id: Its id.
        created_at: UTC; None where the log holds no usable time.
        realm_id: Tenant; None for the NULL realm.
        strategy_id, strategy_version, strategy_type: The version that ran; DSL_FULL or DSL_EXTEND.
        parent_strategy_id: The built-in that was asked; None for none.
        status, error_code: ``ok``, or how it failed.
        points, case_name: What it was paid; None for nothing.
        duration_ms: Of the walk.
        nodes_executed: Entries of the whole trace, as the engine counted them.
        external_game_id, external_task_id, external_user_id: Of its event.
        is_truncated: The stored trace is cut.
        columns: All columns of the row but the trace, for programs.
    """

    execution_id: str
    created_at: datetime | None
    realm_id: str | None
    strategy_id: str
    strategy_version: int
    strategy_type: str | None
    parent_strategy_id: str | None
    status: str
    error_code: str | None
    points: float | None
    case_name: str | None
    duration_ms: float | None
    nodes_executed: int
    external_game_id: str | None
    external_task_id: str | None
    external_user_id: str | None
    is_truncated: bool
    columns: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> LoggedRun:
        """The run of a row of the query ``run_trace``, without its trace."""
        return cls(
            execution_id=str(row["execution_id"]),
            created_at=row["created_at"],
            realm_id=row.get("realm_id"),
            strategy_id=str(row["strategy_id"]),
            strategy_version=int(row["strategy_version"]),
            strategy_type=row["strategy_type"],
            parent_strategy_id=row.get("parent_strategy_id"),
            status=row["status"],
            error_code=row.get("error_code"),
            points=row["points"],
            case_name=row["case_name"],
            duration_ms=row.get("duration_ms"),
            nodes_executed=int(row["nodes_executed"]),
            external_game_id=row.get("external_game_id"),
            external_task_id=row.get("external_task_id"),
            external_user_id=row.get("external_user_id"),
            is_truncated=bool(row["is_truncated"]),
            columns={name: row[name] for name in row if name not in ("trace", "trace_irregular")},
        )

    @property
    def is_ok(self) -> bool:
        """It did not fail."""
        return self.status == "ok"

    @property
    def is_extend(self) -> bool:
        """Its program wraps a built-in."""
        return self.strategy_type == "DSL_EXTEND"

    @property
    def version(self) -> tuple[str, int]:
        """The version that ran: strategy id and number."""
        return self.strategy_id, self.strategy_version


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one run.

    Attributes:
        run: Its row.
        trace: Its entries as the log held them (``nodeId``, ``type``, ``value``, ``branch``); None when there is none.
        definition: The program; None when the lake does not hold it.
        alignment: The trace beside the program; None without either.
        replay: The program run again on what the trace recorded; None without either.
    """

    run: LoggedRun
    trace: list[Json] | None
    definition: Definition | None
    alignment: Alignment | None
    replay: Replay | None

    @property
    def is_ok(self) -> bool:
        """The run did not fail."""
        return self.run.is_ok

    @property
    def is_extend(self) -> bool:
        """The program wraps a built-in."""
        return self.run.is_extend

    @property
    def fits(self) -> bool:
        """There is a program, and the trace is one that it leaves."""
        return self.alignment is not None and self.alignment.fits


def definition(lake: Warehouse, strategy_id: str, version: int) -> Definition | None:
    """The program of a version; None when the lake holds none that can be read."""
    rows = lake.named("definition", {"strategy": strategy_id, "version": version}).fetchall()
    return _read(*rows[0]) if rows else None


def past_definitions(lake: Warehouse, strategy_id: str, version: int) -> list[Definition]:
    """Programs that a version had before it was edited in place, the latest first."""
    rows = lake.named("past_programs", {"strategy": strategy_id, "version": version}).fetchall()
    return [found for row in rows if (found := _read(*row[:5]))]


def _read(
    text: str | None,
    family_name: str | None,
    parent_strategy_id: str | None,
    strategy_type: str | None,
    replaced_at: datetime | None = None,
) -> Definition | None:
    ast = read_json(text) if text is not None else None
    if not isinstance(ast, Mapping):
        return None
    program, nodes = compile_program(ast), outline(ast)
    return Definition(ast, program, nodes, family_name, parent_strategy_id, strategy_type, replaced_at)


def evidence(lake: Warehouse, execution_id: str) -> Evidence:
    """Load one run with all that is known of it.

    Raises:
        UnknownNameError: The lake holds no such run (of the realms in sight).
    """
    found = pieces(lake, [execution_id])
    if not found:
        raise UnknownNameError(
            f"no run {execution_id!r} in this lake",
            hint="only a sample of the ok runs is logged; if it was, extract its day first",
            name=execution_id,
        )
    return found[0]


def pieces(lake: Warehouse, execution_ids: Sequence[str], moments: Sequence[datetime] | None = None) -> list[Evidence]:
    """The same for several runs, in the order of their ids' first mention; ids that are not there are left out.

    Args:
        lake: Where they are.
        execution_ids: Their ids.
        moments: Their ``created_at``, where all are known: few files are looked into then.
    """
    asked = {"executions": list(execution_ids), "moments": None if moments is None else list(moments)}
    relation = lake.named("run_trace", asked)
    names = relation.columns
    runs = {row["execution_id"]: row for row in (dict(zip(names, row, strict=True)) for row in relation.fetchall())}
    known: dict[tuple[str, int], Definition | None] = {}
    past: dict[tuple[str, int], list[Definition]] = {}
    found = []
    for execution_id in dict.fromkeys(execution_ids):
        if execution_id in runs:
            row = runs[execution_id]
            version = LoggedRun.of(row).version
            if version not in known:
                known[version] = definition(lake, *version)
            found.append(_lined_up(lake, row, known[version], past, version))
    return found


def _lined_up(
    lake: Warehouse,
    row: Mapping[str, Any],
    program: Definition | None,
    past: dict[tuple[str, int], list[Definition]],
    version: tuple[str, int],
) -> Evidence:
    """One run beside the program that gives it again: the version's own, or one that it had before it was edited in place."""
    now = joined(row, program)
    if now.trace is None or is_told_by(now):
        return now
    if version not in past:
        past[version] = past_definitions(lake, *version)
    return next((then for other in past[version] if is_told_by(then := joined(row, other))), now)


def is_told_by(evidence: Evidence) -> bool:
    """The program leaves this trace, and run again on what the trace recorded gives nothing else."""
    return evidence.fits and (evidence.replay is None or evidence.replay.verdict != "differs")


def joined(row: Mapping[str, Any], program: Definition | None) -> Evidence:
    """One run beside its program.

    Args:
        row: Of the query ``run_trace``.
        program: Its version's program.
    """
    run, text = LoggedRun.of(row), rebuild(row["trace"], row["trace_irregular"])
    trace = read_json(text) if text is not None else None
    if not isinstance(trace, list):
        return Evidence(run, None, program, None, None)
    if program is None:
        return Evidence(run, trace, None, None, None)
    is_whole = run.is_ok and not run.is_truncated
    beside = align(program.outline, trace, is_extend=run.is_extend, is_whole=is_whole)
    if not run.is_ok or not beside.fits:
        return Evidence(run, trace, program, beside, None)
    entries = [entry for entry in trace if isinstance(entry, Mapping)]  # all of them, or it would not fit
    again = replay(
        program.program,
        beside,
        entries,
        is_extend=run.is_extend,
        points=run.points,
        case_name=run.case_name,
        node_count=run.nodes_executed,
        known=event_ids(run),
    )
    return Evidence(run, trace, program, beside, again)


def event_ids(run: EventIds) -> dict[str, str]:
    """The ids of a run's event as fields; those that are NULL are left out, for NULL may also mean not logged."""
    ids = {path: getattr(run, column) for path, column in EVENT_FIELDS.items()}
    return {path: value for path, value in ids.items() if isinstance(value, str)}


def event_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a row that a query has given."""
    return {path: row[column] for path, column in EVENT_FIELDS.items() if row.get(column) is not None}


def read_json(text: str) -> Json:
    """The value of a JSON text of the log; None when it cannot be read (nested beyond Python's stack)."""
    if text in _WORDS:  # what most entries of a trace have recorded
        return _WORDS[text]
    try:
        # Any other parser of whole numbers has to be built for each text: most are too short to need one.
        value: Json = json.loads(text) if len(text) < _LONGEST_INTEGER else _LONG_INTEGERS.decode(text)
    except (ValueError, RecursionError):
        return None
    return value


_WORDS: Final[Mapping[str, Json]] = {"true": True, "false": False, "null": None}
_LONG_INTEGERS: Final = json.JSONDecoder(
    parse_int=lambda digits: int(digits) if len(digits) < _LONGEST_INTEGER else float(digits)
)


LEAST: Final = 4
"""Letters of an id that are enough, where only one run has them."""
_MOST_LISTED: Final = 10


def find_run(lake: Warehouse, prefix: str, window: Window | None = None) -> str:
    """The id of the run whose id begins so.

    Ids are random, so every day in sight is looked through, one column of it; a window spares the other days.

    Args:
        lake: Where to look.
        prefix: The id, or its first letters: at least four.
        window: Only runs of this time.

    Raises:
        UsageError: Too few letters, or several runs begin with them.
        UnknownNameError: No run does.
    """
    wanted = prefix.strip().lower()
    if len(wanted) < LEAST:
        raise UsageError(
            f"{prefix!r} is too short for the id of a run", hint=f"give at least the first {LEAST} letters of it"
        )
    ends = {"since": window.since if window else None, "until": window.until if window else None}
    rows = lake.named("find_runs", {"prefix": wanted, **ends}).fetchall()
    if not rows:
        where = "in this window of the lake" if window else "in this lake"
        raise UnknownNameError(
            f"no run {prefix!r} {where}",
            hint=f"{losses.perhaps(lake.lost())}only a sample of the ok runs is logged; if this one was, extract its day first",
            name=prefix,
        )
    ids = list(dict.fromkeys(str(row[0]) for row in rows))
    if len(ids) > 1 and wanted not in ids:
        many = "at least " if len(rows) >= 20 else ""
        listed = [
            f"{row[0]}  {row[1]:%Y-%m-%d %H:%M:%S}  {row[5]}" if row[1] else f"{row[0]}  {row[5]}"
            for row in rows[:_MOST_LISTED]
        ]
        more = [f"and {len(ids) - _MOST_LISTED} more"] if len(ids) > _MOST_LISTED else []
        raise UsageError(
            f"{many}{len(ids)} runs have an id that begins with {prefix!r}",
            hint="\n  ".join([*listed, *more]),
            candidates=ids,
        )
    return wanted if wanted in ids else ids[0]


def other_version(lake: Warehouse, evidence: Evidence, version: int) -> Definition:
    """Another version of the strategy of a run.

    Raises:
        UnknownNameError: The lake holds no program of that version.
    """
    own = {"strategy": evidence.run.strategy_id, "version": evidence.run.strategy_version}
    rows = lake.named("sister_versions", own).fetchall()
    for strategy_id, number, _ in rows:
        if number == version and (other := definition(lake, strategy_id, number)) is not None:
            return other
    known = ", ".join(dict.fromkeys(str(row[1]) for row in rows))
    raise UnknownNameError(
        f"the lake holds no program of version {version} of this strategy",
        hint=f"versions it holds: {known}" if known else "not that of this run either",
        version=version,
    )


def days_around(lake: Warehouse, execution_id: str) -> dict[str, str]:
    """The window of a report that is asked for by a run: its day, with the days before and after; empty if it has none.

    Raises:
        UsageError, UnknownNameError: As ``find_run``.
    """
    at = evidence(lake, find_run(lake, execution_id)).run.created_at
    if at is None:
        return {}
    return {"since": f"{at - timedelta(days=1):%Y-%m-%d}", "until": f"{at + timedelta(days=2):%Y-%m-%d}"}
