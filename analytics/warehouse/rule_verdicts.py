"""The query dead_rules: what was not seen of each rule and how much of it there may be, and what its program proves.

The log is a sample. That a rule matched in none of its logged looks bounds the share of all looks in which it matches, and proves
nothing else; what is called dead for less gets deleted and is missed by the runs it served. So three things are told apart. What
the program proves (``program.proofs``) holds for every event. What was not seen is bounded: by how many logged looks, which lead.
And what nobody can judge from these looks is not judged: where the cut of traces hides too many of them, where several rules of the
program share the id under which they are counted, and where there are few. Few are less than thirty, and any number that leaves out
a day of the week: what a field like ``data.weekday`` may hold is in no log, so that a rule can only match at weekends shows
nowhere, and looks from Monday to Friday say nothing of it. That is asked of the rule's own looks; a tenant that is closed on
Sundays gets bounds and no verdict. Hours are told and not asked for: nights without a run are the rule, and a look at night is of
no other kind than the share of all looks that is bounded.
"""

from __future__ import annotations

import calendar
import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from analytics.estimates import estimators
from analytics.program.proofs import Proof, proofs
from analytics.program.walk import outline
from analytics.sql import Row

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FEW, ENOUGH = 30, 300
"""Logged looks below which nothing is judged, and from which a bound is narrow enough to act on."""
MOST_HIDDEN: Final = 0.05
"""Looks that the cut of traces may hide, as a share of those seen, up to which the seen ones still tell."""
ALL_WEEK: Final = 0b1111111

SEEN, NOT_SEEN, ALL_SEEN = "seen", "not seen", "matched in all looks"
CANNOT_MATCH, CANNOT_BUT = "cannot match (proven)", "always matches (proven)"
CUT, FEW_LOOKS, SHARED_ID = "not judged: cut", "not judged: few looks", "not judged: shared id"


def share_at_most(hits: float, looks: float) -> float:
    """Upper bound of a share of which so many hits were seen: exact binomial, one-sided 95 %.

    Clopper and Pearson, *Biometrika* 26, 1934. It is a bound of one place; of many together, one in twenty may fail.
    """
    from scipy import special

    return float(special.betaincinv(hits + 1, looks - hits, estimators.CONFIDENCE)) if hits < looks else 1.0


def effective(looks: int, weight: float | None, most: float | None) -> float:
    """Looks of one weight that bound a share as these do, whose weights differ: never more than there are.

    Where the sampling rate changed, matches may lie where fewest are logged. Of ``N_h`` looks at rate ``r_h`` none matched of
    ``N_h·r_h`` logged ones, with probability ``Π(1 − p_h)^(N_h·r_h) ≤ Π(1 − p_h)^(N_h·r) ≤ (1 − p)^(N·r)``: ``r`` is the least
    rate, ``p`` the share of all looks, and the last step is Jensen's, for the logarithm is concave. So these bound ``p`` as ``N·r``
    looks of one rate would: the sum of weights by the largest.

    Args:
        looks: Logged ones.
        weight: Sum of their weights; None where a weight is not known.
        most: The largest.
    """
    if weight is None or most is None or not most > 0:
        return 0.0
    return min(float(looks), weight / most)


def runs_at_most(share: float, weight: float, most: float) -> float:
    """How many runs a share may be, at most: of the looks as they are estimated, and of what no sampling would show.

    Args:
        share: An upper bound, as of ``share_at_most``.
        weight: Sum of the weights of the looks.
        most: The largest.
    """
    if not share < 1:
        return math.inf
    return math.ceil(max(share * weight, estimators.upper_bound_of_none(1 / most)))


def together(places: int) -> float:
    """By what the bounds of so many places are taken for all of them to hold at once, 95 %.

    Bonferroni: each at ``0.05 / places`` instead of 0.05. With no hit the bound is ``1 − α^(1/n)``, which is concave in ``ln 1/α``
    and 0 at 0, so times the ratio of the logarithms is enough. The places are all that were looked at, not the listed ones only:
    they are listed for what was seen of them (Benjamini and Yekutieli, *J. Am. Stat. Assoc.* 100, 2005, on selected bounds).
    """
    return math.log(max(places, 1) / (1 - estimators.CONFIDENCE)) / math.log(1 / (1 - estimators.CONFIDENCE))


def weekdays(mask: int) -> str:
    """The days of the week of a sum of 2 to the power of their number, Monday's being 0: `Mon–Fri`, `Sat, Sun`."""
    days = [number for number in range(7) if mask >> number & 1]
    names = [calendar.day_abbr[number] for number in days]
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{names[0]}–{names[-1]}"
    return ", ".join(names)


def grade_of(looks: float) -> str:
    """How far to trust that something was not seen, by the number of looks."""
    return "good" if looks >= ENOUGH else "rough" if looks >= FEW else "too few"


_PROVEN: Final[Mapping[str, str]] = {
    "never": CANNOT_MATCH, "unreachable": CANNOT_MATCH, "always": CANNOT_BUT,
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
        | {"weekdays": weekdays(row["weekday_mask"])}
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
        return _row(None, SHARED_ID, f"{_several(row['places_count'])} of its program share the id")
    if is_foreign and not entries:
        return _row(0, FEW_LOOKS, "the definition does not fit the traces")
    reached = entries > 0 and not is_default
    sure, weight = (entries, row["est_count"]) if reached else (ok - cut, row["est_whole"])
    if is_default:
        sure = max(sure, matches)
    if not sure:
        return _row(0, CUT if cut else FEW_LOOKS, "behind the cut of every trace" if cut else "")
    hidden = min(cut, ok - entries) if reached else cut
    if 0 < matches < sure:
        return _row(sure, SEEN, "")
    if hidden > MOST_HIDDEN * sure:
        return _row(sure, CUT, "too much lies behind the cut")
    known = effective(sure, None if row["weightless_count"] else weight, most)
    rest = share_at_most(hidden, known + hidden)
    runs = runs_at_most(rest, weight + hidden * most, most) if known else math.inf
    verdict = ALL_SEEN if matches else NOT_SEEN
    why = _why(row, reached, sure)
    if not known:
        verdict, why = FEW_LOOKS, "the sampling rate of some runs is not known"
    elif sure < FEW:
        verdict = FEW_LOOKS
    elif row["weekday_mask"] != ALL_WEEK:
        verdict, why = FEW_LOOKS, f"looked at on {weekdays(row['weekday_mask']) or 'no known day'} only"
    low, high = (1 - rest, 1.0) if matches else (0.0, rest)
    grade = "" if verdict == FEW_LOOKS else grade_of(known)
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
    grade = grade or ("too few" if verdict.startswith("not judged") else grade_of(count or 0))
    return {"look_count": count, "verdict": verdict, "why": why, "share_low": low, "share_high": high,
            "est_runs_high": runs if math.isfinite(runs) else None, "grade": grade}  # fmt: skip
