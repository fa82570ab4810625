"""What the audit of the sampling says, in the places of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analytics.reports.page import number as write

if TYPE_CHECKING:
    from analytics.operations.sampling_audit import Audit


def doubt(sampling: Audit | None) -> str | None:
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


def marked(facts: Mapping[str, object], sampling: Audit | None) -> dict[str, object]:
    """A report's facts with the audit, and each estimate marked where the configured rate is contradicted."""
    if sampling is None:
        return dict(facts)
    marks = {name: _marked(value) for name, value in facts.items()} if sampling.is_contradicted else facts
    return {**marks, "sampling_audit": sampling.to_dict()}


def _marked(value: object) -> object:
    if isinstance(value, dict):
        inner = {key: _marked(item) for key, item in value.items()}
        return {**inner, "is_in_doubt": True} if {"value", "low", "high", "grade"} <= inner.keys() else inner
    return [_marked(item) for item in value] if isinstance(value, list) else value
