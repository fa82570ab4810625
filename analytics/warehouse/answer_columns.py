"""What each column of a named query's answer means: the data dictionary of answers, as the views have one of their own.

A statement's comment comes first (``-- column kind: …``), then what every query means by a name, then the column of that name of
the first view that the statement reads. The columns of an estimate are told by what it estimates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from analytics import sql

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)
"""A window without a row: an answer's columns are known before its rows."""

_EVERYWHERE: Final[Mapping[str, str]] = {
    "boolean_count": "Entries whose value is true or false.",
    "canary_count": "Failures whose code no validated program can give.",
    "content_hash": "Hash of what the version was then.",
    "drawn_count": "Rows that the sampler drew.",
    "else_count": "Logged entries with which the rule went into its else.",
    "error_count": "Failures, without timeouts and limits.",
    "est_duration_ok_p99_ms": "99 % quantile of the wall clock of ok runs, in ms, estimated.",
    "est_duration_p50_ms": "Median wall clock of all runs, in ms, estimated.",
    "est_duration_p95_ms": "95 % quantile of the wall clock of all runs, in ms, estimated.",
    "est_duration_p99_ms": "99 % quantile of the wall clock of all runs, in ms, estimated.",
    "est_entry_share": "Share of all estimated entries of the window, 0 to 1.",
    "est_failure_rate": "Estimated share of runs that failed, 0 to 1.",
    "est_nodes": "Estimated entries before any cut, of all runs together.",
    "est_nodes_p50": "Median of the entries that a run leaves before any cut, estimated.",
    "est_nodes_p99": "99 % quantile of the entries that a run leaves before any cut, estimated.",
    "est_ok_runs": "Estimated ok runs: what the weights make of the drawn rows.",
    "est_points_mean": "Points per ok run with finite points, estimated.",
    "est_points_sum": "Points paid by ok runs, estimated.",
    "est_runs": "Estimated runs.",
    "est_runs_high": "Runs in which the rule may match at most, estimated.",
    "est_stored_entries": "Estimated entries that traces keep after the cut.",
    "est_total_ms": "Estimated wall clock of all runs together, in ms; a run counts for ten seconds at most.",
    "est_total_ms_variance": "Variance of est_total_ms from the sampling, in ms².",
    "example_execution_id": "Id of the last of these runs, for lake.explain.",
    "failed_count": "Failures: every status but ok. All are meant to be kept, so this counts runs.",
    "first_logged_at": "When the first logged run ended, UTC.",
    "grade": "How far the bound may be trusted: good, rough or too few.",
    "has_definition": "Whether a definition of the version is in the lake.",
    "hour": "Beginning of the hour in which the runs ended, UTC.",
    "is_before": "Whether the run ended before the window that is reported.",
    "is_logged": "Whether a run of the version is in the log.",
    "is_meanwhile": "Whether the run ended within one of the spans.",
    "is_same_id": "Whether it has the id of the version that was asked about.",
    "is_truncated": "Whether the trace was cut, as the notes say.",
    "kept_count": "Rows kept because the run failed.",
    "last_logged_at": "When the last logged run ended, UTC.",
    "limit_count": "Runs stopped by the node or depth cap.",
    "look_count": "Logged looks at the rule that the verdict rests on; NULL where they cannot be told apart.",
    "match_count": "How often the rule matched in the log.",
    "minute": "Beginning of the minute in which the runs ended, UTC; NULL for runs without a time.",
    "nodes_max": "Most entries that a logged run left, before any cut.",
    "number_deviation": "Standard deviation of the numbers below 1e150.",
    "number_mean": "Mean of the finite numbers; NULL when there is none.",
    "ok_logged_count": "Ok rows in the log.",
    "only_user": "The user, where all runs are of one; else NULL.",
    "points_set_aside_count": "Ok rows whose points are NULL, NaN or infinite: they enter no mean and no sum.",
    "replaced_at": "When the extraction saw that it had been edited, UTC.",
    "rule_id": "Id of the rule: the author's or generated; NULL where none is known.",
    "sampled_count": "Rows that the sampler drew.",
    "share_high": "Share of looks in which the rule may match at most (exact binomial, one-sided 95 %), 0 to 1.",
    "share_low": "Share of looks in which the rule matches at least, 0 to 1.",
    "strategy": "family_name, or strategy_id where no definition tells one.",
    "timeout_count": "Runs stopped by the time limit.",
    "unknown_code_count": "Failures whose code looks like the engine's and is not known here.",
    "unweighted_count": "Drawn rows without a weight: a rate of 0.",
    "users": "Hashes of the distinct users.",
    "verdict": "What the log has shown of the rule, and what its program proves.",
    "weekdays": "Weekdays on which the version was logged: a rule for the others could not be seen.",
    "weight_square_sum": "Sum of the squared weights.",
    "weight_sum": "Sum of the weights.",
    "why": "What the verdict rests on, in words.",
}
_ENDS: Final[Mapping[str, str]] = {
    "_is_at_least": "Whether {} is a lower bound: the value lies among stopped runs, or nothing failed among those that were seen.",
    "_grade": "How far {} may be trusted: good (act on it), rough (right order of size), too few (do not use).",
    "_low": "Lower end of the 95 % interval of {}; NULL: unknown, or open on that side.",
    "_high": "Upper end of the 95 % interval of {}; NULL: unknown, or open on that side.",
}


def empty_window(name: str) -> dict[str, object]:
    """Values of a named query's parameters with which it answers with its columns, and no row."""
    wanted = sql.parameters(sql.text("queries", name))
    spans = dict(zip(("since", "until"), _LONG_AGO, strict=True))
    return {parameter: spans.get(parameter) for parameter in wanted}


def meaning(name: str, column: str, columns: list[str], view: Callable[[str], Mapping[str, str]]) -> str:
    """What a column of a named query's answer means; empty where nobody has said it.

    Args:
        name: Of the query.
        column: Of its answer.
        columns: All of the answer.
        view: The meanings of a view's columns, by their names.
    """
    statement = sql.text("queries", name)
    if told := sql.told_columns(statement).get(column):
        return told
    for end, words in _ENDS.items():
        base = column.removesuffix(end)
        if base != column and base in columns and f"{base}_grade" in columns:
            return words.format(base)
    if column in _EVERYWHERE:
        return _EVERYWHERE[column]
    read = re.findall(r"\b(?:from|join) (?:files\.)?(\w+)", sql.body(statement))
    for one in dict.fromkeys(found for found in read if found in sql.names("views")):
        if told := view(one).get(column):
            return told
    return ""
