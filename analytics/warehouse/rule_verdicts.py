"""The query dead_rules: what was not seen of each rule and how much of it there may be, and what its program proves.

A rule that is deleted because a sample did not show it is missed by the runs it served. So three things are told apart. What the
program proves (``program.proofs``) holds for every event. What was not seen is bounded: by how many logged looks, which lead. And
what nobody can judge from these looks is not judged: where the cut of traces hides too many of them, where several rules of the
program share the id under which they are counted, and where there are few. Few are less than thirty, and any number that leaves
out a day of the week: what a field like ``data.weekday`` may hold is in no log, so that a rule can only match at weekends shows
nowhere, and looks from Monday to Friday say nothing of it. That is asked of the rule's own looks; a tenant that is closed on
Sundays gets bounds and no verdict. Hours are told and not asked for: nights without a run are the rule, and a look at night
is of no other kind than the share of all looks that is bounded.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from analytics.estimates import looks
from analytics.program.proofs import Proof, proofs
from analytics.program.walk import outline
from analytics.sql import Row

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_PROVEN: Final[Mapping[str, str]] = {
    "never": looks.CANNOT_MATCH, "unreachable": looks.CANNOT_MATCH, "always": looks.CANNOT_BUT,
}  # fmt: skip
_COLUMNS: Final = (
    "realm_id", "strategy", "family_name", "strategy_version", "section", "rule_index", "position", "rule_id", "type",
    "look_count", "match_count", "verdict", "share_low", "share_high", "est_runs_high", "grade", "why", "weekdays",
    "entry_count", "else_count", "ok_logged_count", "cut_logged_count", "places_count", "strategy_id",
)  # fmt: skip


def finish(connection: duckdb.DuckDBPyConnection, gathered: pa.Table) -> pa.Table:
    """The answer: the statement's rows with their verdicts.

    Args:
        connection: With the lake's views.
        gathered: As the statement gives it.

    Returns:
        Grain: as the statement's. ``verdict``: one of the words of ``looks``; ``why``: a clause. ``look_count``: logged looks that
        it rests on; NULL where they cannot be told apart. ``share_low``, ``share_high``: bounds of the share of looks that match;
        ``est_runs_high``: how many runs of the window that may be at most, NULL where nothing bounds them. ``grade``.
        ``weekdays``: days of the week with looks.
    """
    import pyarrow as pa

    rows = gathered.to_pylist()
    proven = _proven(connection, rows)
    # A rule in the traces that the definition does not have: the definition is not the program that ran.
    foreign = {
        _version(row) for row in rows if row["entry_count"] and row["position"] is None and row["rule_id"] is not None
    }
    told = [
        _sentence(row, _version(row) in foreign, proven.get(_version(row), {}).get(row["position"]))
        | {"weekdays": looks.weekdays(row["weekday_mask"])}
        for row in rows
    ]
    schema = pa.schema(
        [("look_count", pa.int64()), ("verdict", pa.string()), ("why", pa.string()), ("share_low", pa.float64()),
         ("share_high", pa.float64()), ("est_runs_high", pa.float64()), ("grade", pa.string()), ("weekdays", pa.string())]
    )  # fmt: skip
    added = pa.Table.from_pylist(told, schema)
    return pa.table({name: (added if name in schema.names else gathered)[name] for name in _COLUMNS})


def _version(row: Row) -> tuple[str, int]:
    return row["strategy_id"], row["strategy_version"]


def _proven(connection: duckdb.DuckDBPyConnection, rows: list[Row]) -> dict[tuple[str, int], Mapping[int, Proof]]:
    """Position → proof, of each version that the rows speak of."""
    wanted = {_version(row) for row in rows if row["position"] is not None}
    if not wanted:
        return {}
    found = connection.execute(
        "select strategy_id, strategy_version, ast_json from definitions where strategy_id in (select unnest($1::varchar[]))",
        [sorted({name for name, _ in wanted})],
    ).fetchall()
    return {(name, version): proofs_of(text) for name, version, text in found if (name, version) in wanted and text}


@functools.lru_cache(maxsize=1_024)
def proofs_of(text: str) -> Mapping[int, Proof]:
    """What a program proves of itself, by position; nothing where it is no JSON.

    Args:
        text: The program, as JSON.
    """
    try:
        return proofs(outline(json.loads(text)))
    except (ValueError, RecursionError):
        return {}


def _sentence(row: Row, is_foreign: bool, proof: Proof | None) -> Row:
    entries, matches = row["entry_count"], row["match_count"]
    ok, cut, most = row["ok_logged_count"], row["cut_logged_count"], row["most_weight"]
    is_default = row["type"] != "rule"
    # A rule is looked at once in a run at most; more entries than runs stand under the id of several.
    is_shared = row["places_count"] > 1 or entries > ok
    if proof is not None and not is_foreign and (is_shared or not _denies(proof, matches, entries)):
        return _row(None if is_shared else entries, _PROVEN[proof.what], proof.why, *_bounds_of(proof))
    if is_shared:
        return _row(None, looks.SHARED_ID, f"{_several(row['places_count'])} of its program share the id")
    if is_foreign and not entries:
        return _row(0, looks.FEW_LOOKS, "the definition does not fit the traces")
    reached = entries > 0 and not is_default
    sure, weight = (entries, row["est_count"]) if reached else (ok - cut, row["est_whole"])
    if is_default:
        sure = max(sure, matches)
    if not sure:
        return _row(0, looks.CUT if cut else looks.FEW_LOOKS, "behind the cut of every trace" if cut else "")
    hidden = min(cut, ok - entries) if reached else cut
    if 0 < matches < sure:
        return _row(sure, looks.SEEN, "")
    if hidden > looks.MOST_HIDDEN * sure:
        return _row(sure, looks.CUT, "too much lies behind the cut")
    known = looks.effective(sure, None if row["weightless_count"] else weight, most)
    rest = looks.share_at_most(hidden, known + hidden)
    runs = looks.runs_at_most(rest, weight + hidden * most, most) if known else math.inf
    verdict = looks.ALL_SEEN if matches else looks.NOT_SEEN
    why = _why(row, reached, sure)
    if not known:
        verdict, why = looks.FEW_LOOKS, "the sampling rate of some runs is not known"
    elif sure < looks.FEW:
        verdict = looks.FEW_LOOKS
    elif row["weekday_mask"] != looks.ALL_WEEK:
        verdict, why = looks.FEW_LOOKS, f"looked at on {looks.weekdays(row['weekday_mask']) or 'no known day'} only"
    low, high = (1 - rest, 1.0) if matches else (0.0, rest)
    grade = "" if verdict == looks.FEW_LOOKS else looks.grade_of(known)
    return _row(sure, verdict, why, low, high, runs, grade)


def _why(row: Row, reached: bool, sure: int) -> str:
    """What was seen, in a clause."""
    if row["match_count"]:
        return ""
    clauses = [] if reached or row["type"] != "rule" else [f"not seen to be reached in {sure:,} logged runs"]
    if row["else_count"]:
        clauses.append("its else branch runs instead")
    if row["first_hour"] is not None and row["last_hour"] - row["first_hour"] < 23:
        clauses.append(f"all runs between {row['first_hour']:02}:00 and {row['last_hour']:02}:59 UTC")
    return "; ".join(clauses)


def _denies(proof: Proof, matches: int, entries: int) -> bool:
    """The log shows what the program rules out, so it is not the program that ran."""
    shown = {"never": matches, "unreachable": entries, "always": entries - matches}
    return shown[proof.what] > 0


def _several(places: int) -> str:
    return f"{places} rules" if places > 1 else "several rules"


def _bounds_of(proof: Proof) -> tuple[float, float, float, str]:
    return (1.0, 1.0, math.inf, "good") if proof.what == "always" else (0.0, 0.0, 0.0, "good")


def _row(
    count: int | None, verdict: str, why: str, low: float = 0.0, high: float = 1.0, runs: float = math.inf,
    grade: str = "",
) -> Row:  # fmt: skip
    grade = grade or ("too few" if verdict.startswith("not judged") else looks.grade_of(count or 0))
    return {"look_count": count, "verdict": verdict, "why": why, "share_low": low, "share_high": high,
            "est_runs_high": runs if math.isfinite(runs) else None, "grade": grade}  # fmt: skip
