"""What both reports say of the log itself: what the audit of its sampling found, and stretches without a row of any strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analytics.lake import definitions, losses
from analytics.reports.page import number as write

if TYPE_CHECKING:
    from analytics.findings.failures.silences import Refused, Silences
    from analytics.lake.losses import Loss
    from analytics.operations.sampling_audit import Audit
    from analytics.warehouse.coverage import Coverage
    from analytics.warehouse.warehouse import Warehouse

_MOST_NAMED = 3
_COMPLETE, _NO_GAPS = "log complete for the window", "no gaps"
"""What the extraction says; it knows nothing of rows that never came."""
_TOTALS = ("est_runs", "est_total_ms", "est_nodes_total", "overpaid", "paid", "would_pay", "difference")
"""Facts that are sums over all runs of a window."""


def extent(held: Coverage) -> str:
    """The data box's word for how much of the window was extracted, is complete, and is still there."""
    ahead = f", {write.counted(len(held.to_come), 'day')} still to come" if held.to_come else ""
    if not held.obtainable and not held.partial:
        return f"{_NO_GAPS} so far{ahead}" if ahead else _NO_GAPS
    lost = (
        f", {write.counted(len(held.lost), 'day')} with lost files ({losses.words(held.losses)})" if held.lost else ""
    )
    never = f"{write.counted(len(held.never), 'day')} not extracted{held.of_them_expired}"
    return f"{never}, {len(held.partial)} not complete{lost}{ahead}"


def part_read(part: float) -> str:
    """The data box's clause where a report rests on a part of the log; empty where on all of it."""
    if part == 1:
        return ""
    return (
        f"; of the drawn rows an even part of {100 * part:.2g} % was read, by a hash of their ids, and every failure: what counts "
        "logged rows counts these, estimates are of all runs, and their intervals are for rows of this part"
    )


def programs(lake: Warehouse) -> str:
    """What stands before the data box's word on definitions where files of them are lost."""
    gone = lake.lost_programs()
    return f"{definitions.lost_words(gone)}; of what is there: " if gone else ""


def complete_words(words: str, found: Silences) -> str:
    """The clause of the head line; silences are said instead of, or beside, what the extraction says."""
    if not found.found:
        # That every day was read does not say that every row was there to be read.
        return "every day of the window extracted" if found.reason and words == _COMPLETE else words
    said = f"no row of any strategy {_of(found)}{_when(found)}: rows were lost or nothing ran"
    return said if words == _COMPLETE else f"{words}; {said}"


def doubt(said: str | None, found: Silences, lost: Sequence[Loss] = ()) -> str | None:
    """What stands above a report: what the lake has lost, the audit's words, and which totals miss rows."""
    if lost:
        return " ".join(filter(None, [losses.above(lost), doubt(said, found)]))
    if not found.found:
        return said
    days = list(dict.fromkeys(write.day(one.since) for one in found.found))
    named = ", ".join(days[:_MOST_NAMED]) + (" …" if len(days) > _MOST_NAMED else "")
    missed = (
        f"No row of any strategy {_of(found)}{_when(found)}, where {_rows(found)}: rows were lost or nothing ran. "
        f"Totals over {named} (runs, points, overpaid, failures) miss what was lost: they are at least."
    )
    return f"{missed} {said}" if said else missed


def gaps(words: str, found: Silences) -> str:
    """The data box's word for how much of the window is there."""
    if found.found:
        gone = f"gaps: no row of any strategy {_of(found)}{_when(found)}, where {_rows(found)}"
        return gone if words == _NO_GAPS else f"{words}, {gone}"
    if found.reason:
        words = "every day extracted" if words == _NO_GAPS else words
        return f"{words}; whether the log fell silent within cannot be told: {found.reason}"
    return f"{words}; no silence of all strategies {_of(found)}beyond chance"


def not_looked_for() -> str:
    """What the search cannot see."""
    return (
        "Rows lost while others came (of one process among several, of one strategy) are not seen from the log alone."
    )


def refused_words(found: Sequence[Refused]) -> str:
    """Ok rows that the database may have refused: a possibility, and what else it may be."""
    said = []
    for one in found[:_MOST_NAMED]:
        usual = ""
        if one.ok_usual == one.ok_usual:
            usual = f", where {write.number(one.ok_usual)} and {write.number(one.failed_usual)} are usual in such hours"
        rows = f"{write.counted(one.ok_count, 'ok row')} beside {write.counted(one.failed_count, 'failure')}"
        said.append(f"{one.label} logged {rows} {write.span(one.since, one.until)}{usual}")
    if not said:
        return ""
    return (
        f"Few ok rows for the failures: {'; '.join(said)}. Possible: the database refused ok rows (a trace with NaN, Infinity, "
        "U+0000 or half of a surrogate pair), while failures stay. That most runs fail, or fewer come, is as possible."
    )


def with_silences(facts: Mapping[str, object], found: Silences) -> dict[str, object]:
    """A report's facts with the silences, and each total marked that misses what was lost in one."""
    return {
        **({name: _marked(value, name) for name, value in facts.items()} if found.found else facts),
        "silences": [one.to_dict() for one in found.found],
        "silences_not_told_because": found.reason or None,
        "totals_are_at_least": bool(found.found),
    }


def _marked(value: object, name: str = "") -> object:
    if isinstance(value, list):
        return [_marked(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _marked(item, key) for key, item in value.items()}
    return {**inner, "misses_lost_rows": True} if name in _TOTALS and "value" in inner else inner


def _of(found: Silences) -> str:
    return f"{found.scope} " if found.scope else ""


def _when(found: Silences) -> str:
    named = found.found[:_MOST_NAMED]
    more = len(found.found) - len(named)
    if len({moment.date() for one in named for moment in (one.since, one.until)}) == 1:
        said = [f"between {write.clock(one.since)} and {write.clock(one.until)}" for one in named]
        day = f" on {write.day(named[0].since)}"
    else:
        said, day = [f"between {write.when(one.since)} and {write.when(one.until)}" for one in named], ""
    listed = ", ".join(said) if more or len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"{listed}{day}" + (f" and in {more} more stretches" if more else "")


def _rows(found: Silences) -> str:
    said = [
        f"{write.number(one.expected_rows, one.low, one.high)} {write.bounds(one.expected_rows, one.low, one.high)}"
        for one in found.found[:_MOST_NAMED]
    ]
    return f"{' and '.join(said)} logged rows are usual"


def audit_doubt(sampling: Audit | None) -> str | None:
    """What stands above a report whose estimates are in doubt, or whose log has lost rows; ``None`` when nothing is wrong."""
    if sampling is None or not (sampling.contradictions or sampling.losses or sampling.undecided):
        return None
    words = [*sampling.contradictions, *sampling.losses]
    words += [f"{sentence} It cannot be told whether estimates below are right." for sentence in sampling.undecided]
    if sampling.contradictions and sampling.weights is not None:
        words.append("Estimates below weigh ok runs by the engine's counters instead, where those know the hour.")
    elif sampling.contradictions:
        words.append(
            "Every estimate below is in doubt: set the rate with its date, extract with --force, render again."
        )
    return " ".join(words)


def sampling_words(sampling: Audit | None) -> str:
    """What the data box says of it."""
    if sampling is None:
        return "the sampling was not looked at"
    if sampling.source is None:
        found = "contradicts it (see above)" if sampling.is_contradicted else "does not contradict it"
        if sampling.undecided:
            found = "cannot tell whether it holds (see above)"
        elif not sampling.was_compared and not sampling.is_contradicted:
            found = f"cannot tell whether it holds ({sampling.reason})"
        return f"The log alone {found}; the engine's counters were not given, so true totals are unchecked."
    if not sampling.was_compared:
        return " ".join([f"Counters from {sampling.source} know nothing of these runs.", *sampling.notes])
    drawn, counted = (float(sampling.realms[name].sum()) for name in ("drawn_count", "counted_ok"))
    share = f"{write.count(round(drawn))} of {write.count(round(counted))} ok runs they counted were logged"
    rate = f" ({write.percent(drawn / counted)})" if counted >= 1 else ""
    return " ".join([f"Counters from {sampling.source}: {share}{rate}; ok runs are weighed by them.", *sampling.notes])


def with_audit(facts: Mapping[str, object], sampling: Audit | None) -> dict[str, object]:
    """A report's facts with the audit, and each estimate marked where the configured rate is contradicted."""
    if sampling is None:
        return dict(facts)
    marks = {name: _in_doubt(value) for name, value in facts.items()} if sampling.is_contradicted else facts
    return {**marks, "sampling_audit": sampling.to_dict()}


def _in_doubt(value: object) -> object:
    if isinstance(value, dict):
        inner = {key: _in_doubt(item) for key, item in value.items()}
        return {**inner, "is_in_doubt": True} if {"value", "low", "high", "grade"} <= inner.keys() else inner
    return [_in_doubt(item) for item in value] if isinstance(value, list) else value
