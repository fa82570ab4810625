"""What a job that publishes drafts refuses: conditions in words, held against the cautious end of each number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal

_CONDITION = re.compile(
    r"\s*(?P<name>[a-z]+)\s*(?:(?P<sign>[<>])\s*(?P<limit>[+-]?\d+(?:\.\d+)?)\s*(?P<percent>%?)\s*)?", re.ASCII
)


def version_number(text: str) -> int:
    """The version that a text names, ``v2`` or ``2``; 0 for none.

    Raises:
        UsageError: It names none.
    """
    if not text:
        return 0
    match = re.fullmatch(r"v?([1-9]\d{0,8})", text.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"{text!r} is no version to hold a draft against", hint="write --against v2")
    return int(match[1])


@dataclass(frozen=True, slots=True)
class Number:
    """What a condition may be about.

    Attributes:
        what: In words.
        is_share: Its limit is a percentage.
        ends: The least and the most that it may be, as far as the log tells; NaN where nothing bounds it.
    """

    what: str
    is_share: bool
    ends: Callable[[Rehearsal], tuple[float, float]]


def _points(found: Rehearsal) -> tuple[float, float]:
    share = found.worst_relative
    return (math.nan, math.nan) if share is None else (share.low, share.high)


def _cautious(name: str) -> Callable[[Rehearsal], tuple[float, float]]:
    def ends(found: Rehearsal) -> tuple[float, float]:
        from analytics.findings.rehearsal import cautious  # as below

        least, most = getattr(cautious, name)(found)
        return float(least), float(most)

    return ends


def _nodes(found: Rehearsal) -> tuple[float, float]:
    from analytics.program import published_size  # who only reads conditions waits for no interpreter

    nodes = published_size(found.program.ast).nodes
    return nodes, nodes


NUMBERS: Mapping[str, Number] = {
    "points": Number("points beyond what was paid, undecided runs at their worst", True, _points),
    "undecided": Number("runs that cannot be decided", True, lambda found: (found.undecided.low, found.undecided.high)),
    "untried": Number("logged ok runs that could not be tried", True, _cautious("untried")),
    "changed": Number("runs paid otherwise", True, _cautious("changed")),
    "failures": Number("tried runs that would fail", False, _cautious("failures")),
    "visits": Number("most nodes visited for a tried run", False, _cautious("visits")),
    "nodes": Number("nodes of the program, as the validator counts them", False, _nodes),
}


_COUNTED = ("changed", "failures", "visits")
"""Numbers of which the log tells all but what undecided runs do."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One reason to refuse a draft.

    Attributes:
        text: As it was written.
        name: One of ``NUMBERS``.
        is_above: It refuses what is above the limit; else what is below.
        limit: In the number's unit; a share is a part of one.
    """

    text: str
    name: str
    is_above: bool
    limit: float

    def refuses(self, found: Rehearsal) -> str:
        """Why it refuses a draft; empty where it does not.

        An interval that reaches beyond the limit is beyond it: what the log cannot exclude is not shown to hold.
        """
        number = NUMBERS[self.name]
        if not len(found.tried.rows) and self.name not in ("nodes",):
            return f"{self.text}: no run was tried"
        low, high = number.ends(found)
        end = high if self.is_above else low
        if not math.isfinite(end):
            return f"{self.text}: nothing bounds it"
        if end <= self.limit if self.is_above else end >= self.limit:
            return ""
        scale, unit = (100, " %") if number.is_share else (1, "")
        ends = [f"{scale * one:,.4g}" if math.isfinite(one) else "no limit" for one in (low, high)]
        spread = f"{ends[0]}{unit}" if low == high else f"{ends[0]} to {ends[1]}{unit}"
        is_open = low != high and self.name in _COUNTED and (found.undecided.value > 0 or self.name != "changed")
        what = number.what
        if found.beside is not None:
            what = what.replace("what was paid", f"what {found.beside[0]} pays")
        return f"{self.text}: {what}: {spread}{', undecided ones at their worst' if is_open else ''}"


def conditions(texts: Iterable[str]) -> list[Condition]:
    """Conditions such as ``points>5%``, ``undecided>10%``, ``failures``, ``visits>800``.

    Raises:
        UsageError: One is none.
    """
    return [_condition(text) for text in texts if text.strip()]


def _condition(text: str) -> Condition:
    text = text.strip()
    match = _CONDITION.fullmatch(text)
    known = (
        f"conditions are {', '.join(NUMBERS)} with > or < and a number: points>5%, undecided>10%, failures, visits>800"
    )
    if match is None or match["name"] not in NUMBERS:
        name = match["name"] if match is not None else text
        raise UsageError(f"{text!r} is no condition", hint=f"{did_you_mean(name, NUMBERS)}{known}")
    number = NUMBERS[match["name"]]
    if match["limit"] is None:
        if match["name"] != "failures":
            raise UsageError(f"{text!r} has no limit", hint=known)
        return Condition(text, "failures", True, 0)
    if number.is_share is not bool(match["percent"]):
        raise UsageError(
            f"the limit of {text!r} is {'a percentage' if number.is_share else 'no percentage'}",
            hint=f"write {match['name']}{match['sign']}{match['limit']}{'%' if number.is_share else ''}",
        )
    limit = float(match["limit"]) / (100 if number.is_share else 1)
    return Condition(text, match["name"], match["sign"] == ">", limit)
